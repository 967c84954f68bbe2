//! The times of lines: RFC 3339, UTC, with microseconds.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

/// The length of `2026-01-31T12:00:00.000000Z`.
const LENGTH: usize = 27;
const SECONDS_OF_A_DAY: u64 = 86_400;

/// The current time. The date and the seconds are formatted once a second.
pub(super) fn now() -> String {
    thread_local! {
        static SECOND: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut text = String::with_capacity(LENGTH);
    SECOND.with_borrow_mut(|(second, formatted)| {
        if *second != now.as_secs() {
            *second = now.as_secs();
            *formatted = seconds(now.as_secs());
        }
        text.push_str(formatted);
    });
    text.push('.');
    let micros = now.subsec_micros();
    let mut place = 100_000;
    while place > 0 {
        text.extend(char::from_digit(micros / place % 10, 10));
        place /= 10;
    }
    text.push('Z');
    text
}

/// Without the fraction and the zone.
fn seconds(since_1970: u64) -> String {
    let (year, month, day) = date(since_1970 / SECONDS_OF_A_DAY);
    let second = since_1970 % SECONDS_OF_A_DAY;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// Year, month and day. The days of a year that begins in March, so that a leap day is its last:
/// <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    // From 0000-03-01 to 1970-01-01.
    let days = days_since_1970 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_since_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_since_march + 2) / 5 + 1;
    let month = if months_since_march < 10 {
        months_since_march + 3
    } else {
        months_since_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    #[test]
    fn a_timestamp_is_rfc_3339_in_utc_with_microseconds() {
        let before = Utc::now();
        let text = now();
        let time = DateTime::parse_from_rfc3339(&text).unwrap().to_utc();
        assert!((before - time).num_microseconds().unwrap() <= 0 && time <= Utc::now());
        assert_eq!(text.len(), LENGTH);
        assert!(text.ends_with('Z'), "{text}");
    }

    #[test]
    fn every_day_of_four_centuries_has_its_date() {
        for day in 0..146_097 + 366 {
            let time = DateTime::from_timestamp(day * 86_400 + 3_723, 0).unwrap();
            let expected = time.format("%Y-%m-%dT%H:%M:%S").to_string();
            assert_eq!(seconds(day.unsigned_abs() * SECONDS_OF_A_DAY + 3_723), expected);
        }
    }
}
