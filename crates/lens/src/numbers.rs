//! Conversions of numbers for charts, and quantiles.

use std::time::Duration;

/// The nearest `f64`.
pub(crate) fn double(number: u64) -> f64 {
    let half = |number: u64| f64::from(u32::try_from(number & 0xffff_ffff).unwrap_or_default());
    half(number >> 32) * 4_294_967_296.0 + half(number)
}

/// The nearest `f64`.
pub(crate) fn double_of_integer(number: i64) -> f64 {
    let size = double(number.unsigned_abs());
    if number < 0 { -size } else { size }
}

/// The nearest `f64`.
pub(crate) fn double_of_count(count: usize) -> f64 {
    double(u64::try_from(count).unwrap_or(u64::MAX))
}

/// The quantile of sorted durations by the nearest-rank method; 500 per mille is the median. `None` if there
/// are none.
pub(crate) fn quantile(sorted_nanos: &[u64], per_mille: usize) -> Option<Duration> {
    let rank = (sorted_nanos.len() * per_mille).div_ceil(1000);
    let nanos = sorted_nanos.get(rank.saturating_sub(1))?;
    Some(Duration::from_nanos(*nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_becomes_the_nearest_double() {
        for number in [
            0,
            1,
            u64::from(u32::MAX),
            1 << 52,
            1_714_564_800_000_000_000,
            u64::MAX,
        ] {
            assert_eq!(Ok(double(number)), number.to_string().parse());
        }
        assert_eq!(double_of_integer(-5), -5.0);
        assert_eq!(Ok(double_of_integer(i64::MIN)), i64::MIN.to_string().parse());
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let sorted: Vec<u64> = (1..=200).collect();
        assert_eq!(quantile(&sorted, 500), Some(Duration::from_nanos(100)));
        assert_eq!(quantile(&sorted, 990), Some(Duration::from_nanos(198)));
        assert_eq!(quantile(&[], 500), None);
    }
}
