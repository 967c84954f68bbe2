//! `siege`: an api under attack, on private processes and servers. Exit code 1 if an ordinary client waited
//! too long or was not served, or the api's memory grew beyond its bound.

use std::process::ExitCode;
use std::time::Duration;

use chaos::{Attack, Siege};
use testkit::{Binaries, Profile};

use crate::signals::Signals;

/// Attack an api, and measure what an ordinary client notices
#[derive(clap::Args)]
pub(crate) struct Run {
    /// How long, such as 30s or 5m
    #[arg(long = "for", default_value = "5m", value_parser = crate::chaos::duration)]
    lasts: Duration,
    /// Only this attack, such as "slow heads"; may be repeated
    #[arg(long = "attack", value_parser = attack)]
    attacks: Vec<Attack>,
    /// Build with optimizations; only then are latencies checked
    #[arg(long)]
    release: bool,
}

impl Run {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let binaries = Binaries::build(Profile::of(self.release)).await?;
        let mut signals = Signals::new()?;
        let attacks = if self.attacks.is_empty() {
            Attack::ALL.to_vec()
        } else {
            self.attacks
        };
        let siege = Siege {
            lasts: self.lasts,
            attacks,
        };
        let report = tokio::select! {
            report = siege.run(&binaries) => report?,
            () = signals.received() => return Ok(ExitCode::FAILURE),
        };
        print!("{report}");
        let is_success = report.is_clean() && (!self.release || report.is_timely());
        Ok(crate::chaos::exit_code(is_success))
    }
}

fn attack(name: &str) -> Result<Attack, String> {
    let found = Attack::ALL.into_iter().find(|attack| attack.name() == name);
    found.ok_or_else(|| format!("takes one of {:?}", Attack::ALL.map(Attack::name)))
}
