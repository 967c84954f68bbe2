//! The faults that can be injected.

use askama::Template;

use crate::fault::Fault;
use crate::part::Part;
use crate::web::shared::Shared;

#[derive(Template)]
#[template(path = "faults.html")]
pub(in crate::web) struct FaultsView<'a> {
    csrf: &'a str,
    groups: Vec<(Part, Vec<FaultView>)>,
}

struct FaultView {
    fault: Fault,
    is_active: bool,
}

impl<'a> FaultsView<'a> {
    pub(in crate::web) fn of(shared: &'a Shared) -> Self {
        let active = shared.parts.faults.active();
        let parts = [Part::Gateway, Part::Redis, Part::PostgreSql].into_iter();
        let groups = parts.filter(|part| shared.parts.system.has(*part)).map(|part| {
            let faults = Fault::all().filter(|fault| fault.part() == part);
            let views = faults.map(|fault| FaultView {
                fault,
                is_active: active.iter().any(|(other, _)| *other == fault),
            });
            (part, views.collect())
        });
        Self {
            csrf: &shared.keys.csrf,
            groups: groups.collect(),
        }
    }
}
