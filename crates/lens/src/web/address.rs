//! Addresses with a query.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// `path?a=1&b=2`, without the parameters that are empty.
pub(crate) fn address(path: &str, parameters: &[(&str, &str)]) -> String {
    let set = parameters.iter().filter(|(_, value)| !value.is_empty());
    let encoded = set.map(|(key, value)| {
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        format!("{}={}", encoded(key), encoded(value))
    });
    let encoded: Vec<String> = encoded.collect();
    if encoded.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", encoded.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_encoded_and_empty_ones_left_out() {
        let all = [("q", "a=\"é b\"&c"), ("service", ""), ("last", "5m")];
        assert_eq!(address("/logs", &all), "/logs?q=a%3D%22%C3%A9%20b%22%26c&last=5m");
        assert_eq!(address("/", &[("q", "")]), "/");
    }
}
