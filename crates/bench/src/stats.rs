//! Quantiles of measured values.

/// The quantile by the nearest-rank method: 500 per mille is the median. The default value if `values` is
/// empty.
pub(crate) fn quantile<T: Copy + PartialOrd + Default>(values: &[T], per_mille: usize) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let rank = (sorted.len() * per_mille).div_ceil(1000);
    let value = sorted.get(rank.saturating_sub(1));
    value.copied().unwrap_or_default()
}

pub(crate) fn median<T: Copy + PartialOrd + Default>(values: &[T]) -> T {
    quantile(values, 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<u32> = (1..=200).rev().collect();
        assert_eq!(median(&values), 100);
        assert_eq!(quantile(&values, 990), 198);
        assert_eq!(quantile(&values, 1000), 200);
        assert_eq!(median(&[7]), 7);
        assert_eq!(median::<u32>(&[]), 0);
    }
}
