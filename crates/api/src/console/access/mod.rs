//! Who may use the console: sessions in a cookie, and what a request needs to look and to act. A handler
//! takes an `Operator<Look>`, an `Operator<Act>` or an `Action`, so the checks cannot be forgotten.

mod action;
mod cookie;
mod operator;
mod origin;
mod sign_in;

pub(crate) use action::Action;
pub(crate) use operator::{Act, Look, Operator};
pub(crate) use origin::require_same_origin;
pub(crate) use sign_in::{begin_session, end_session};
