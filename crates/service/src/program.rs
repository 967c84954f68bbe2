//! The frame of a binary: arguments, exit code, and telemetry.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use settings::{Env, SettingError};

use crate::ShutdownSignal;

/// Upper bound of the last telemetry export; SHUTDOWN_TIMEOUT applies if it is shorter.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// A binary. It takes no argument to serve, `--help`, `--version`, `health`, or one of its commands. With
/// `--help` among them it only prints the usage.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Name of the binary, and the telemetry's `service.name`.
    pub name: &'static str,
    /// Version; with the commit it is the telemetry's `service.version`.
    pub version: &'static str,
    /// PORT, if it is not set, and the path of the health check that `health` requests.
    pub health: (u16, &'static str),
    /// Other commands than serving, with their options as `--help` shows them: `prune --older-than DURATION`.
    pub commands: &'static [&'static str],
}

impl Program {
    /// Calls `work` with the command and its options, or without any to serve. An error is printed on one
    /// line; the exit code is then 1.
    pub fn run(&self, work: impl FnOnce(&[&str], &Env) -> anyhow::Result<()>) -> ExitCode {
        // Fails only if a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        match self.run_command(work) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}: {error:#}", self.name);
                ExitCode::FAILURE
            }
        }
    }

    fn run_command(&self, work: impl FnOnce(&[&str], &Env) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match arguments.as_slice() {
            some if some.contains(&"--help") => println!("{}", self.usage()),
            ["--version"] => println!("{} {}", self.name, settings::full_version(self.version)),
            ["health"] => {
                let (port, path) = self.health;
                settings::check_health(&Env::process(), port, path)?;
            }
            some if !self.accepts(some) => bail!("got `{}`; {}", some.join(" "), self.usage()),
            command => work(command, &Env::process())?,
        }
        Ok(())
    }

    /// Whether the first argument is a command, and others follow only where it has options.
    fn accepts(&self, arguments: &[&str]) -> bool {
        let [command, options @ ..] = arguments else {
            return true;
        };
        let takes_options = self
            .commands
            .iter()
            .map(|usage| {
                usage
                    .split_once(' ')
                    .map_or((*usage, false), |(name, _)| (name, true))
            })
            .find(|(name, _)| name == command);
        takes_options.is_some_and(|(_, takes)| takes || options.is_empty())
    }

    /// Runs `work` with telemetry set up from the environment, and flushes the telemetry afterwards. Call it
    /// inside a tokio runtime.
    pub async fn serve<W>(&self, work: impl FnOnce(ShutdownSignal) -> W) -> anyhow::Result<()>
    where
        W: Future<Output = anyhow::Result<()>>,
    {
        let flush_timeout = flush_timeout(&Env::process())?;
        let shutdown = ShutdownSignal::install().context("cannot wait for signals")?;
        let telemetry = telemetry::builder(self.name, settings::full_version(self.version));
        let telemetry = telemetry.namespace("throughline").process_metrics().init()?;
        let result = work(shutdown).await;
        telemetry.shutdown(flush_timeout).await;
        result
    }

    fn usage(&self) -> String {
        let options = [self.commands, &["health", "--help", "--version"]].concat();
        format!("usage: {} [{}]", self.name, options.join(" | "))
    }
}

fn flush_timeout(env: &Env) -> Result<Duration, SettingError> {
    Ok(env
        .duration_or("SHUTDOWN_TIMEOUT", FLUSH_TIMEOUT)?
        .min(FLUSH_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_commands_run_and_only_some_take_options() {
        let program = Program {
            name: "test",
            version: "1",
            health: (0, "/health"),
            commands: &["migrate", "prune --older-than DURATION"],
        };
        for accepted in [
            &[][..],
            &["migrate"],
            &["prune"],
            &["prune", "--older-than", "90d"],
        ] {
            assert!(program.accepts(accepted), "{accepted:?}");
        }
        for refused in [&["serve"][..], &["migrate", "twice"], &["--older-than"]] {
            assert!(!program.accepts(refused), "{refused:?}");
        }
    }

    #[test]
    fn the_flush_takes_no_longer_than_the_shutdown_timeout() {
        let within = |timeout| flush_timeout(&Env::of([("SHUTDOWN_TIMEOUT", timeout)]));
        assert_eq!(within("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(within("30s"), Ok(FLUSH_TIMEOUT));
        assert_eq!(within(""), Ok(FLUSH_TIMEOUT));
        assert!(within("soon").is_err());
    }
}
