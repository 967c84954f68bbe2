//! Orders, and the rules they obey. No I/O: nothing here knows PostgreSQL, Redis or HTTP.
//!
//! Start at [`Order`]; what a client may ask for is an [`OrderDraft`], which [`OrderDraft::validate`] turns into a
//! [`NewOrder`]. How an order may change is in [`OrderStatus`].

mod draft;
mod failure;
mod id;
mod item;
mod job;
mod money;
mod order;
mod payment;
mod status;

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

/// A stored or received word that is not one of the words of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{got}` is no {what}; accepted: {accepted}")]
pub struct UnknownWord {
    /// What the word was meant to name, for example `order status`.
    pub what: &'static str,
    /// The word as it came.
    pub got: String,
    /// The words that are accepted, separated by commas.
    pub accepted: &'static str,
}

/// An enum that is one lower-case word in JSON, in SQL and in telemetry, everywhere the same.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident ($what:literal) { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant,)+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &[$name] = &[$($name::$variant),+];

            /// The word for this value.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok($name::$variant),)+
                    other => Err($crate::UnknownWord {
                        what: $what,
                        got: other.to_owned(),
                        accepted: $crate::strip_first_comma(concat!($(", ", $word),+)),
                    }),
                }
            }
        }
    };
}
pub(crate) use words;

/// `concat!` cannot join with a separator; it leaves one in front, which goes here.
const fn strip_first_comma(words: &'static str) -> &'static str {
    match words.split_at_checked(2) {
        Some((_, rest)) => rest,
        None => words,
    }
}
