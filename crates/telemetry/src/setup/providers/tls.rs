//! The TLS provider of rustls, which a process has one of. Without one the HTTP clients panic.

use rustls::crypto::CryptoProvider;

use crate::setup::error::SetupError;

/// Uses the one that the program installed, otherwise ring.
pub(super) fn provider() -> Result<(), SetupError> {
    #[cfg(feature = "ring")]
    if CryptoProvider::get_default().is_none() {
        // Another thread may install one first, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    match CryptoProvider::get_default() {
        Some(_) => Ok(()),
        None => Err(SetupError::Client(
            "no TLS provider is installed in this process; install one of rustls first, or use the feature `ring`"
                .to_owned(),
        )),
    }
}
