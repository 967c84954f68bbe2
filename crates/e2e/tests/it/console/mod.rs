//! The console in a real browser: an operator's day.

mod access;
mod bulk;
mod keyboard;
mod orders;
mod pages;
mod queue;
mod screenshots;
mod seed;
mod untrusted;

use testkit::Service;

use crate::operator::Operator;
use crate::shop::Shop;

/// An operator at the console of this shop.
async fn operator(shop: &Shop) -> Operator {
    Operator::at(&shop.stack.url(Service::Api)).await
}
