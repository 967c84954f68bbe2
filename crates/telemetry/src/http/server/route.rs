//! Span names from route templates. The program has few templates, so each name is built once.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::intern::intern;

/// A route template and the names of its spans.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route {
    /// `http.route`.
    pub(super) template: &'static str,
    /// `{method} {http.route}`.
    pub(super) span_name: &'static str,
}

#[derive(Debug)]
struct Known {
    template: &'static str,
    names: Vec<(&'static str, &'static str)>,
}

thread_local! {
    static ROUTES: RefCell<HashMap<String, Known>> = RefCell::default();
}

impl Route {
    pub(super) fn of(method: &'static str, template: String) -> Self {
        ROUTES.with_borrow_mut(|routes| {
            let route = match routes.get_mut(&template) {
                Some(route) => route,
                None => routes.entry(template.clone()).or_insert(Known {
                    template: intern(template),
                    names: Vec::new(),
                }),
            };
            let name = route.names.iter().find(|(known, _)| *known == method);
            let span_name = match name {
                Some((_, name)) => name,
                None => {
                    let name = intern(format!("{method} {}", route.template));
                    route.names.push((method, name));
                    name
                }
            };
            Self {
                template: route.template,
                span_name,
            }
        })
    }
}
