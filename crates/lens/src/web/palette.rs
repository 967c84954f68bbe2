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

    pub(super) fn has(&self, service: &str) -> bool {
        self.place(service).is_ok()
    }

    /// The place of a service, or where it would be.
    fn place(&self, service: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|known| known.as_str().cmp(service))
    }

    /// The class of a service's colour.
    pub(super) fn class(&self, service: &str) -> &'static str {
        const CLASSES: [&str; COLOURS] = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"];
        let place = self.place(service).unwrap_or_else(|place| place);
        let index = place % COLOURS;
        CLASSES.get(index).copied().unwrap_or("c0")
    }
}
