//! Numbers, durations and amounts as people write them.

use std::time::Duration;

/// A whole number with commas between groups of three digits: `48,211`. A negative count is 0.
pub fn grouped(number: impl TryInto<u64>) -> String {
    group(&number.try_into().unwrap_or_default().to_string())
}

/// A decimal amount with its currency: `1500.00` and `USD` make `1,500.00 USD`.
pub fn amount(decimal: &str, currency: &str) -> String {
    let text = match decimal.split_once('.') {
        Some((whole, fraction)) => format!("{}.{fraction}", group(whole)),
        None => group(decimal),
    };
    format!("{text} {currency}")
}

/// Three significant digits at most below 100, whole above: `0.42`, `6.4`, `312`, `48,211`.
pub fn decimal(number: f64) -> String {
    let text = match number.abs() {
        0.0 => return "0".to_owned(),
        n if n < 1.0 => format!("{number:.2}"),
        n if n < 100.0 => format!("{number:.1}"),
        _ => return group(&format!("{number:.0}")),
    };
    let trimmed = text.trim_end_matches('0').trim_end_matches('.');
    if trimmed == "0" {
        "< 0.01".to_owned()
    } else {
        trimmed.to_owned()
    }
}

/// A number per second: `312 /s`.
pub fn rate(per_second: f64) -> String {
    format!("{} /s", decimal(per_second))
}

/// The part of a whole: `0.4 %`. Of nothing, 0.
pub fn percent(part: f64, whole: f64) -> String {
    let percent = if whole > 0.0 { part / whole * 100.0 } else { 0.0 };
    format!("{} %", decimal(percent))
}

/// A duration in its two largest units: `2.1 ms`, `41 s`, `4 min 5 s`, `3 h 2 min`, `5 d 3 h`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let pair = |size: u64, unit: &str, small: u64, small_unit: &str| {
        let rest = seconds % size / small;
        let large = grouped(seconds / size);
        if rest == 0 {
            format!("{large} {unit}")
        } else {
            format!("{large} {unit} {rest} {small_unit}")
        }
    };
    match seconds {
        0 => format!("{} ms", decimal(duration.as_secs_f64() * 1000.0)),
        1..=9 => format!("{} s", decimal(duration.as_secs_f64())),
        10..=59 => format!("{seconds} s"),
        60..=3_599 => pair(60, "min", 1, "s"),
        3_600..=86_399 => pair(3_600, "h", 60, "min"),
        _ => pair(86_400, "d", 3_600, "h"),
    }
}

/// The first and the last characters of a long id: `01a21c43…fe9ce86`.
pub fn shortened(id: &str) -> String {
    const FIRST: usize = 8;
    const LAST: usize = 7;
    let length = id.chars().count();
    if length <= FIRST + LAST + 1 {
        return id.to_owned();
    }
    let first: String = id.chars().take(FIRST).collect();
    let last: String = id.chars().skip(length - LAST).collect();
    format!("{first}…{last}")
}

/// Commas between groups of three digits, after a sign.
fn group(digits: &str) -> String {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    text.push_str(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        assert_eq!(
            [0, 999, 1_000, 48_211, u64::MAX].map(grouped),
            ["0", "999", "1,000", "48,211", "18,446,744,073,709,551,615"]
        );
        assert_eq!(
            [0.0, 0.001, 0.42, 6.4, 99.95, 312.4, 48_211.0].map(decimal),
            ["0", "< 0.01", "0.42", "6.4", "100", "312", "48,211"]
        );
        assert_eq!(amount("1500.00", "USD"), "1,500.00 USD");
        assert_eq!(amount("99999999", "JPY"), "99,999,999 JPY");
        assert_eq!(
            (percent(1.0, 250.0), percent(0.0, 0.0)),
            ("0.4 %".into(), "0 %".into())
        );
    }

    #[test]
    fn a_duration_has_its_two_largest_units() {
        let of = |seconds: f64| duration(Duration::from_secs_f64(seconds));
        assert_eq!(
            [0.0, 0.0021, 1.5, 41.0, 245.0, 10_920.0, 442_800.0].map(of),
            [
                "0 ms",
                "2.1 ms",
                "1.5 s",
                "41 s",
                "4 min 5 s",
                "3 h 2 min",
                "5 d 3 h"
            ]
        );
    }

    #[test]
    fn a_long_id_is_shortened_and_a_short_one_is_not() {
        assert_eq!(
            shortened("01a21c42-d6e8-74f6-aff1-150e400dea2b"),
            "01a21c42…00dea2b"
        );
        assert_eq!(shortened("ada"), "ada");
    }
}
