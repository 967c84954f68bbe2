//! Authentication and authorization, and the attacks that they must withstand.

mod attacks;
mod audit;
mod keys;
mod scopes;
pub(crate) mod tokens;
