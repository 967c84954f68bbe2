//! Why an export was not stored.

use std::time::Duration;

use crate::otlp::Malformed;

/// A client that sends for longer than this gives up its place.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Why an export was not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("content type is `{0}`; it must be application/x-protobuf or application/json")]
    ContentType(String),
    #[error("content encoding is `{0}`; it must be gzip or absent")]
    ContentEncoding(String),
    #[error("the export is larger than {0} bytes; LENS_MAX_BYTES sets the limit")]
    TooLarge(usize),
    #[error("the export takes more than {0} bytes of memory; LENS_MAX_BYTES sets the limit")]
    TooManyItems(usize),
    #[error("the export did not arrive within {} s", READ_TIMEOUT.as_secs())]
    Timeout,
    #[error("the body is not an OTLP export request: {0}")]
    Malformed(String),
}

impl From<Malformed> for Rejection {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<prost::DecodeError> for Rejection {
    fn from(error: prost::DecodeError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<serde_json::Error> for Rejection {
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}
