//! Durations and sizes as people write them.

use std::time::Duration;

/// A thousand years. No clock overflows by the addition of it.
const MAX_DURATION: Duration = Duration::from_secs(365_000 * 86_400);

/// `500ms`, `5s`, `2m`, `1h`, `90d`, or a number of seconds such as `30` or `0.5`; `None` for other text, for
/// 0, and above [`MAX_DURATION`].
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "ms" => number / 1e3,
        "" | "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        "d" => number * 86_400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero() && *duration <= MAX_DURATION)
}

/// A whole number of bytes, or of `KiB`, `MiB`, `GiB`; `None` for other text and for 0.
pub(crate) fn bytes(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: usize = match text.strip_prefix(digits)? {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    let number: usize = digits.trim_end().parse().ok()?;
    number.checked_mul(unit).filter(|bytes| *bytes > 0)
}

fn split(text: &str) -> Option<(f64, &str)> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.strip_prefix(digits)?;
    let decimal = |c: char| c.is_ascii_digit() || c == '.';
    let number = digits.trim_end();
    (!number.is_empty() && number.chars().all(decimal))
        .then(|| number.parse().ok())
        .flatten()
        .map(|number| (number, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_every_documented_form() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("5s"), Some(Duration::from_secs(5)));
        assert_eq!(duration("2m"), Some(Duration::from_secs(120)));
        assert_eq!(duration("90d"), Some(Duration::from_secs(90 * 86_400)));
        assert_eq!(duration("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(duration("365000d"), Some(MAX_DURATION));
        for bad in [
            "365001d",
            "",
            "s",
            "0",
            "-1s",
            "5 weeks",
            "inf",
            "nan",
            "1e3",
            "99999999999999999999h",
        ] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_are_read_in_every_documented_form() {
        assert_eq!(bytes("65536"), Some(65_536));
        assert_eq!(bytes("64KiB"), Some(65_536));
        assert_eq!(bytes("1 MiB"), Some(1 << 20));
        for bad in ["", "0", "KiB", "64kb", "1.5MiB", "-1", "99999999999GiB"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }
}
