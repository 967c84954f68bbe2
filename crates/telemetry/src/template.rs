//! Templates, of any engine: an INTERNAL span `render {template}` for each.

use std::borrow::Cow;

use crate::intern::intern;
use crate::span::start_step;

/// `error.type` of a template that could not be rendered.
const TEMPLATE: &str = "template";

/// Renders a template inside its span. `name` is the template's, of a bounded set, such as `parcel.html`.
///
/// ```
/// use std::fmt::Error;
/// use throughline_telemetry::template;
///
/// // With askama: `template::render("parcel.html", || page.render())`.
/// let page = template::render("parcel.html", || Ok::<_, Error>("<p>parcel 7</p>".to_owned()));
/// ```
///
/// # Errors
/// Those of `render`. The span's `error.type` is `template`.
pub fn render<T, E>(name: &str, render: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let Some(operation) = start_step(|| intern(format!("render {name}")), || []) else {
        return render();
    };
    let result = {
        let _entered = operation.context().clone().attach();
        render()
    };
    operation.end(result.is_err().then_some(Cow::Borrowed(TEMPLATE)));
    result
}
