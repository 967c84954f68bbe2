//! Checks the history that an order's row has, by its stored text and not by the product's reader.

use chrono::{DateTime, Utc};
use serde_json::Value;

/// Whether the transitions lead from the creation to `status` at `final_at`, each from the status to which
/// the one before led, and none earlier than the one before. The oldest of a long history are cut off.
pub(crate) fn is_sound(text: &str, status: &str, final_at: DateTime<Utc>) -> bool {
    let mut lines = text.lines();
    let mut last = if text.starts_with('-') {
        lines.next();
        None
    } else {
        Some((i64::MIN, "pending".to_owned()))
    };
    for line in lines {
        let Some((at, from, to)) = read(line) else {
            return false;
        };
        if last.is_some_and(|(earlier, before)| at < earlier || from != before) {
            return false;
        }
        last = Some((at, to));
    }
    last == Some((final_at.timestamp_micros(), status.to_owned()))
}

/// When an operator last retried the order.
pub(crate) fn last_retry(text: &str) -> Option<DateTime<Utc>> {
    let retries = text.lines().filter_map(read).filter_map(|(at, from, to)| {
        (from == "failed" && to == "pending").then(|| DateTime::from_timestamp_micros(at))
    });
    retries.flatten().next_back()
}

/// The time, and the status before and after.
fn read(line: &str) -> Option<(i64, String, String)> {
    let line: Vec<Value> = serde_json::from_str(line).ok()?;
    let text = |index: usize| Some(line.get(index)?.as_str()?.to_owned());
    Some((line.first()?.as_i64()?, text(2)?, text(3)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIMED: &str = r#"[1000,1,"pending","processing","worker:1"]"#;
    const COMPLETED: &str = r#"[2000,1,"processing","completed"]"#;

    #[test]
    fn a_history_is_sound_if_it_leads_to_the_state_without_a_gap() {
        let at = |micros| DateTime::from_timestamp_micros(micros).unwrap();
        let both = format!("{CLAIMED}\n{COMPLETED}");
        assert!(is_sound(&both, "completed", at(2000)));
        assert!(is_sound(
            &format!("-1,\"x\"]\n{COMPLETED}"),
            "completed",
            at(2000)
        ));
        assert_eq!(last_retry(&both), None);
        let retried = r#"[3000,1,"failed","pending","operator:root"]"#;
        assert_eq!(last_retry(&format!("{both}\n{retried}")), Some(at(3000)));
        for (text, status, final_at) in [
            (both.as_str(), "failed", 2000),
            (&both, "completed", 2001),
            (CLAIMED, "completed", 1000),
            (COMPLETED, "completed", 2000),
            ("", "cancelled", 1000),
            (&format!("{COMPLETED}\n{CLAIMED}"), "processing", 1000),
            (&format!("{CLAIMED}\n{CLAIMED}\n{COMPLETED}"), "completed", 2000),
            (&format!("{CLAIMED}\n?\n{COMPLETED}"), "completed", 2000),
        ] {
            assert!(!is_sound(text, status, at(final_at)), "{text}");
        }
    }
}
