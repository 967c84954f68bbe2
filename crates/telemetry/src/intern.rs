//! Names that are built at run time but used as `'static`, so that a span does not copy them.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The same text, never freed. Only for sets that the program bounds, such as its routes and queues.
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
