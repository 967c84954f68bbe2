//! The guided walk.

use askama::Template;
use ui::Moment;

use crate::order_state::Event;
use crate::part::Part;
use crate::walk::{Killed, Stage};
use crate::web::shared::Shared;

#[derive(Template)]
#[template(path = "walk.html")]
pub(in crate::web) struct WalkView<'a> {
    csrf: &'a str,
    lens: &'a str,
    console: &'a str,
    /// 0: closed; 4: the order is final.
    pub(in crate::web) step: u8,
    in_charge: Vec<(Part, usize)>,
    killed: Option<Killed>,
    is_down: bool,
    charges: Option<usize>,
    lease: String,
    accepted: String,
    trouble: Option<String>,
}

impl<'a> WalkView<'a> {
    pub(in crate::web) fn of(shared: &'a Shared) -> Self {
        let parts = &shared.parts;
        let known = parts.audit.known();
        let mut view = Self {
            csrf: &shared.keys.csrf,
            lens: &parts.system.lens,
            console: &parts.system.api,
            step: 0,
            in_charge: Vec::new(),
            killed: None,
            is_down: false,
            charges: known.charges,
            lease: ui::duration(parts.lease),
            accepted: ui::grouped(known.numbers.accepted),
            trouble: shared.walk_trouble(),
        };
        match parts.walk.stage() {
            Stage::Closed => {}
            Stage::Explained => view.step = 1,
            Stage::Loaded(in_charge) => {
                view.step = 2;
                view.in_charge = in_charge.into_iter().collect();
            }
            Stage::Killed(killed) => {
                let is_final = killed.now.as_ref().is_some_and(|now| now.is_final);
                // The ledger is read after the row.
                let is_counted = view.charges.is_some_and(|charges| charges > 0);
                view.step = if is_final && is_counted { 4 } else { 3 };
                view.is_down = parts.walk.is_down(killed.part);
                view.killed = Some(killed);
            }
        }
        view
    }

    fn charged(&self) -> String {
        match self.charges {
            Some(1) => "charged once".to_owned(),
            Some(2) => "charged twice".to_owned(),
            Some(charges) => format!("charged {charges} times"),
            None => "not charged".to_owned(),
        }
    }
}

impl Event {
    fn moment(&self) -> Moment {
        Moment::precise(self.at)
    }

    fn class(&self) -> &'static str {
        match self.to.as_str() {
            "completed" => "ok",
            "failed" => "bad",
            "processing" => "busy",
            _ => "wait",
        }
    }
}

impl Killed {
    fn moment(&self) -> Moment {
        Moment::precise(self.at)
    }
}
