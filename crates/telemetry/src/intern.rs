//! Names that are made of others at run time, and are needed as `'static` to make a span without copying them.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The same text for as long as the process lives. Only for sets that the program bounds: its routes, its queues.
pub(crate) fn intern(text: String) -> &'static str {
    static NAMES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_default();
    match names.get(text.as_str()) {
        Some(known) => known,
        None => {
            let name: &'static str = Box::leak(text.into_boxed_str());
            names.insert(name);
            name
        }
    }
}
