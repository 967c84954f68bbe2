//! What a caller says about one call.

use std::borrow::Cow;

/// Options of one call.
///
/// ```
/// use throughline_telemetry::http::client::Call;
///
/// let call = Call::new().url_template("/parcels/{id}").resends(1);
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Call {
    pub(super) template: Option<Cow<'static, str>>,
    pub(super) name: Option<Cow<'static, str>>,
    pub(super) resends: u32,
    pub(super) is_local: bool,
}

impl Call {
    /// No options.
    pub fn new() -> Self {
        Self::default()
    }

    /// `url.template`: the path with placeholders, such as `/parcels/{id}`, of a bounded set. It is in the
    /// span's name, and an attribute of the span and of the metric.
    pub fn url_template(mut self, template: impl Into<Cow<'static, str>>) -> Self {
        self.template = Some(template.into());
        self
    }

    /// The span's name, of a bounded set, instead of `{method}` and the template.
    pub fn span_name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// `http.request.resend_count`: how often this request was sent before.
    pub fn resends(mut self, resends: u32) -> Self {
        self.resends = resends;
        self
    }

    /// Sends no trace context: the trace ends at this process.
    pub fn without_propagation(mut self) -> Self {
        self.is_local = true;
        self
    }
}
