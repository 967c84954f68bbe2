//! How much a search may examine, so that none is slow however much is stored.

/// Steps of one search. A step is about two nanoseconds: an attribute is 2, a text 48 and its length / 8.
const MAX_STEPS: u64 = 25_000_000;

/// What is left of the steps of a search.
#[derive(Debug)]
pub(crate) struct Work(u64);

impl Default for Work {
    fn default() -> Self {
        Self(MAX_STEPS)
    }
}

impl Work {
    /// For one of two parts of a search.
    pub(crate) fn half() -> Self {
        Self(MAX_STEPS / 2)
    }

    pub(crate) fn spend(&mut self, steps: usize) {
        self.0 = self.0.saturating_sub(u64::try_from(steps).unwrap_or(u64::MAX));
    }

    pub(crate) fn left(&self) -> u64 {
        self.0
    }

    pub(crate) fn is_exhausted(&self) -> bool {
        self.0 == 0
    }
}
