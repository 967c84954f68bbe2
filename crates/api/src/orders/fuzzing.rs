//! What `fuzz/` calls: the parts of a request that clients choose.

use super::cursor::Cursor;
use super::draft;

/// The response's body for the body of a request, if that is refused.
///
/// # Errors
/// The problem, as it is sent.
pub fn order_body(body: &[u8]) -> Result<(), Vec<u8>> {
    let order = draft::read(body).and_then(draft::validate);
    order.map(drop).map_err(|problem| problem.body("/api/orders"))
}

/// The cursor, written again; `None` if it is refused.
#[must_use]
pub fn cursor(text: &str) -> Option<String> {
    Some(text.parse::<Cursor>().ok()?.to_string())
}
