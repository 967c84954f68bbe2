//! What the drawings of a trace over time share ([`Scale`]), and the one for a terminal ([`text`]).

mod scale;
pub(crate) mod text;

pub(crate) use scale::{Scale, error_type};
