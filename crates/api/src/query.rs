//! Query strings. Errors name the parameter.

use std::ops::RangeInclusive;
use std::str::FromStr;

use actix_web::HttpRequest;
use actix_web::error::QueryPayloadError;

use crate::problem::{Problem, sentence};

/// Parses the parameter if it is present; `takes` completes the sentence "`limit` takes ...".
pub(crate) fn parameter<T: FromStr>(
    name: &str,
    value: Option<&str>,
    takes: &str,
) -> Result<Option<T>, Problem> {
    let read = |text: &str| {
        text.parse()
            .map_err(|_| Problem::bad_request(format!("`{name}` takes {takes}.")))
    };
    value.map(read).transpose()
}

/// Parses a whole number within `range` if it is present.
pub(crate) fn number(
    name: &str,
    value: Option<&str>,
    range: RangeInclusive<u32>,
) -> Result<Option<u32>, Problem> {
    let takes = format!("a whole number from {} to {}", range.start(), range.end());
    match parameter(name, value, &takes)? {
        Some(number) if !range.contains(&number) => {
            Err(Problem::bad_request(format!("`{name}` takes {takes}.")))
        }
        number => Ok(number),
    }
}

/// Turns actix's error about an unknown or repeated parameter into a problem.
pub(crate) fn problem(error: QueryPayloadError, _: &HttpRequest) -> actix_web::Error {
    let detail = match error {
        QueryPayloadError::Deserialize(error) => sentence(&error.to_string()),
        _ => "The query could not be read.".to_owned(),
    };
    Problem::bad_request(detail).into()
}
