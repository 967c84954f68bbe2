//! What a form asks for.

use crate::fault::Fault;
use crate::part::Part;
use crate::system::{Act, System};
use crate::walk::Step;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Process(Part, Act),
    Fault(Fault),
    /// Orders per second.
    Load(u32),
    Walk(Step),
}

impl Command {
    /// The command of a form at `/actions/{kind}`; `None` if there is no such command.
    pub(super) fn parse(kind: &str, field: impl Fn(&str) -> String, system: &System) -> Option<Self> {
        Some(match kind {
            "process" => {
                let act = match field("act").as_str() {
                    "stop" => Act::Stop,
                    "start" => Act::Start,
                    "kill" => Act::Kill,
                    "pause" => Act::Pause,
                    "continue" => Act::Continue,
                    _ => return None,
                };
                Self::Process(system.part(&field("part"))?, act)
            }
            "fault" => Self::Fault(Fault::named(&field("fault"))?),
            "load" => Self::Load(field("rate").parse().ok()?),
            "walk" => Self::Walk(match field("step").as_str() {
                "open" => Step::Open,
                "create-orders" => Step::CreateOrders,
                "kill-worker" => Step::KillWorker,
                "end" => Step::End,
                _ => return None,
            }),
            _ => return None,
        })
    }
}
