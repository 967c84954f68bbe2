//! Orders and their rules. No I/O: nothing here knows PostgreSQL, Redis or HTTP.
//!
//! Start at [`Order`]. A client sends an [`OrderDraft`], which [`OrderDraft::validate`] turns into a
//! [`NewOrder`]. The transitions of an order are in [`OrderStatus`].

mod actor;
mod draft;
mod failure;
mod id;
mod item;
mod job;
mod money;
mod order;
mod payment;
mod status;
mod word;

pub use actor::Actor;
pub use draft::{FieldError, ItemDraft, NewOrder, OrderDraft, limits};
pub use failure::{Failure, FailureCode};
pub use id::{Attempt, CustomerId, InvalidCustomerId, OrderId};
pub use iso_currency::Currency;
pub use item::Item;
pub use job::{ProcessOrder, TraceContext};
pub use money::{AmountText, Money, MoneyError, Threshold};
pub use order::Order;
pub use payment::{PaymentMethod, PaymentStatus, PaymentToken};
pub use status::{ImpossibleTransition, OrderStatus};
pub use word::UnknownWord;
