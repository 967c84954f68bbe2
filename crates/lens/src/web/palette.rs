//! The colours of the services.

/// The number of colours in the style sheet.
const COLOURS: usize = 8;

/// Colours by the order of all known services: up to eight never share one.
#[derive(Debug)]
pub(super) struct Palette(Vec<String>);

impl Palette {
    /// `services` are all known services, sorted by name.
    pub(super) fn of(services: Vec<String>) -> Self {
        Self(services)
    }

    /// The class of a service's colour.
    pub(super) fn class(&self, service: &str) -> &'static str {
        const CLASSES: [&str; COLOURS] = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"];
        let known = self.0.binary_search_by(|known| known.as_str().cmp(service));
        let index = known.unwrap_or_else(|place| place) % COLOURS;
        CLASSES.get(index).copied().unwrap_or("c0")
    }
}
