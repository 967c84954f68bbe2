//! Where the traces of orders are shown: TRACE_URL.

use std::str::FromStr;

use reqwest::Url;

const PLACEHOLDER: &str = "{trace_id}";

/// A template such as `https://traces.example.com/trace/{trace_id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceUrl {
    template: String,
    /// Such as `http://127.0.0.1:8100`, if it is on this machine.
    local_origin: Option<String>,
}

impl TraceUrl {
    /// The address of a trace.
    pub(crate) fn of(&self, trace_id: &str) -> String {
        self.template.replace(PLACEHOLDER, trace_id)
    }

    /// The origin of a viewer on this machine, which may be shown inside a page.
    pub(crate) fn local_origin(&self) -> Option<&str> {
        self.local_origin.as_deref()
    }
}

impl FromStr for TraceUrl {
    type Err = ();

    fn from_str(template: &str) -> Result<Self, ()> {
        let url = Url::parse(&template.replace(PLACEHOLDER, "0")).map_err(|_| ())?;
        let host = url.host_str().ok_or(())?;
        if !template.contains(PLACEHOLDER) || !matches!(url.scheme(), "http" | "https") {
            return Err(());
        }
        Ok(Self {
            local_origin: settings::is_loopback(host).then(|| url.origin().ascii_serialization()),
            template: template.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_viewer_on_this_machine_may_be_shown_inside_a_page() {
        let local: TraceUrl = "http://127.0.0.1:8100/traces/{trace_id}".parse().unwrap();
        assert_eq!(local.local_origin(), Some("http://127.0.0.1:8100"));
        assert_eq!(local.of("ab"), "http://127.0.0.1:8100/traces/ab");
        let remote: TraceUrl = "https://traces.example.com/?id={trace_id}".parse().unwrap();
        assert_eq!(remote.local_origin(), None);
        for bad in [
            "",
            "https://traces.example.com/",
            "javascript:{trace_id}",
            "/traces/{trace_id}",
        ] {
            assert!(bad.parse::<TraceUrl>().is_err(), "{bad}");
        }
    }
}
