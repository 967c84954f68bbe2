//! Who may do what, and every attack that must not get through.

mod attacks;
mod keys;
mod scopes;
pub(crate) mod tokens;
