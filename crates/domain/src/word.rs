//! Enums that are stored and sent as words.

/// A stored or received word that is not a value of its enum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{got}` is no {what}; accepted: {accepted}")]
pub struct UnknownWord {
    /// What the enum is called in messages, for example `order status`.
    pub what: &'static str,
    /// The word as received.
    pub got: String,
    /// The accepted words, separated by commas.
    pub accepted: &'static str,
}

/// Declares an enum whose values are the same lower-case words in JSON, SQL and telemetry.
macro_rules! word_enum {
    ($(#[$doc:meta])* $name:ident ($what:literal) { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant,)+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &[$name] = &[$($name::$variant),+];

            /// The value's word.
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
            type Err = $crate::word::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok($name::$variant),)+
                    other => Err($crate::word::UnknownWord {
                        what: $what,
                        got: other.to_owned(),
                        accepted: $crate::word::strip_first_comma(concat!($(", ", $word),+)),
                    }),
                }
            }
        }
    };
}
pub(crate) use word_enum;

/// Removes the separator that `concat!` leaves in front, because it cannot join.
pub(crate) const fn strip_first_comma(words: &'static str) -> &'static str {
    match words.split_at_checked(2) {
        Some((_, rest)) => rest,
        None => words,
    }
}
