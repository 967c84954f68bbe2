//! What a test of the tests may switch off. In every build of the product this is `false`, and the compiler removes what hangs on it.

/// Whether this part is to be left out.
#[cfg(feature = "sabotage")]
pub(crate) fn is_off(part: &str) -> bool {
    std::env::var("SABOTAGE").as_deref() == Ok(part)
}

/// Whether this part is to be left out: never.
#[cfg(not(feature = "sabotage"))]
pub(crate) const fn is_off(_part: &str) -> bool {
    false
}
