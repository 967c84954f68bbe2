//! A child process that never outlives this process, not even when this one is killed with SIGKILL.
//!
//! It runs below a shell script (`supervisor.sh`) that reads from a pipe of this process; when the pipe
//! closes, for whatever reason, the script ends the child. `prctl(PR_SET_PDEATHSIG)` would not do: it fires
//! when the *thread* that started the child ends, which in tests is the first test that needed the server,
//! and only Linux has it.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use crate::process::children;
use crate::user::User;

/// In the environment rather than on the command line, so that `ps` shows what runs.
const SUPERVISOR: (&str, &str) = ("THROUGHLINE_SUPERVISOR", include_str!("supervisor.sh"));

/// Lines of a log that an error has.
const LAST_LINES: usize = 10;

/// A command to run, and how to stop it.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// Used in error messages.
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) working_folder: PathBuf,
    /// Standard output and standard error are appended here.
    pub(crate) log: PathBuf,
    /// The user to run as, if not the current one; only root can change it.
    pub(crate) user: Option<User>,
    /// The signal that stops the program when this process has ended.
    pub(crate) end: Signal,
    /// Deleted after the program was stopped because this process has ended.
    pub(crate) delete: Option<PathBuf>,
    /// The container's name, when `program` is docker.
    pub(crate) container: Option<String>,
}

impl Task {
    /// Without arguments, as the current user, stopped by SIGTERM. The log is in the working folder.
    pub(crate) fn new(name: &str, program: PathBuf, working_folder: &Path, log: &str) -> Self {
        Self {
            name: name.to_owned(),
            program,
            arguments: Vec::new(),
            environment: Vec::new(),
            working_folder: working_folder.to_owned(),
            log: working_folder.join(log),
            user: None,
            end: Signal::TERM,
            delete: None,
            container: None,
        }
    }
}

/// A running [`Task`]. Dropping it stops the process and blocks the thread until that has ended.
// The process types are std's, not tokio's: a shared server outlives the runtime of the test that started it.
#[derive(Debug)]
pub(crate) struct Supervised {
    name: String,
    log: PathBuf,
    container: Option<String>,
    shell: Mutex<Child>,
    server: Pid,
    /// The server stops when this pipe closes. Nothing is written to it.
    lifeline: Option<ChildStdin>,
}

impl Supervised {
    pub(crate) fn start(task: &Task) -> anyhow::Result<Self> {
        let name = &task.name;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            // The folder may belong to the server's user, who could have placed a link there.
            .custom_flags(i32::try_from(OFlags::NOFOLLOW.bits())?)
            .open(&task.log)
            .with_context(|| format!("cannot write {name}'s log {}", task.log.display()))?;
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "eval \"$THROUGHLINE_SUPERVISOR\"",
                "supervisor",
                signal_name(task.end)?,
            ])
            .env(SUPERVISOR.0, SUPERVISOR.1)
            .arg(task.delete.as_deref().unwrap_or(Path::new("")))
            .arg(task.container.as_deref().unwrap_or_default())
            .arg(&task.program)
            .args(&task.arguments)
            .envs(task.environment.iter().map(|(key, value)| (key, value)))
            .current_dir(&task.working_folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // A separate process group: Ctrl-C in a terminal signals this process alone, which stops the
            // others in order.
            .process_group(0);
        if let Some(user) = &task.user {
            command.uid(user.uid).gid(user.gid);
        }
        let mut shell = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let lifeline = shell.stdin.take();
        let output = shell.stdout.take().context("the supervisor has no output")?;
        let mut first_line = String::new();
        BufReader::new(output).read_line(&mut first_line)?;
        let server = first_line.trim().parse().ok().and_then(Pid::from_raw);
        let server = server.with_context(|| format!("the supervisor of {name} did not start"))?;
        Ok(Self {
            name: name.clone(),
            log: task.log.clone(),
            container: task.container.clone(),
            shell: Mutex::new(shell),
            server,
            lifeline,
        })
    }

    /// The process id of the program (for a container: of the docker command).
    pub(crate) fn pid(&self) -> i32 {
        self.server.as_raw_nonzero().get()
    }

    /// The last lines of its log, for the error about a program that has ended.
    pub(crate) fn last_lines(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let skipped = lines.len().saturating_sub(LAST_LINES);
        lines.into_iter().skip(skipped).collect::<Vec<_>>().join("\n")
    }

    /// Its exit status, if it has ended.
    pub(crate) fn ended(&self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self
            .shell
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .try_wait()?)
    }

    /// Sends a signal. It is no error if the program has ended already.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        if let Some(container) = &self.container {
            let docker = Command::new("docker")
                .args(["kill", "--signal", signal_name(signal)?, container])
                .output()?;
            if !docker.status.success() {
                bail!(
                    "docker kill {container}: {}",
                    String::from_utf8_lossy(&docker.stderr).trim()
                );
            }
            return Ok(());
        }
        // PostgreSQL serves each connection in a process of its own.
        let freezes = matches!(signal, Signal::STOP | Signal::CONT);
        let children = if freezes { children(self.pid()) } else { Vec::new() };
        for process in std::iter::once(self.server).chain(children.into_iter().filter_map(Pid::from_raw)) {
            match kill_process(process, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(error).with_context(|| format!("cannot signal {}", self.name)),
            }
        }
        Ok(())
    }

    /// Waits until the program is ready. If it ends before, or is not ready in time, the error has its last
    /// log lines.
    pub(crate) async fn until_ready<F>(
        &self,
        timeout: Duration,
        is_ready: impl Fn() -> F,
    ) -> anyhow::Result<()>
    where
        F: Future<Output = bool>,
    {
        let end = Instant::now() + timeout;
        loop {
            // First: another process may respond on the port that the program could not get.
            if let Some(status) = self.ended()? {
                bail!("{} ended ({status}):\n{}", self.name, self.last_lines());
            }
            if is_ready().await {
                return Ok(());
            }
            if Instant::now() >= end {
                bail!(
                    "{} was not ready within {timeout:?}:\n{}",
                    self.name,
                    self.last_lines()
                );
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the program has ended.
    pub(crate) async fn wait(&self, timeout: Duration) -> anyhow::Result<ExitStatus> {
        let end = Instant::now() + timeout;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if Instant::now() >= end {
                bail!("{} did not end within {timeout:?}", self.name);
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends `signal` and waits until the program has ended; kills it after `timeout`.
    pub(crate) async fn end(&self, signal: Signal, timeout: Duration) -> anyhow::Result<ExitStatus> {
        // A frozen process handles a signal only once it continues.
        self.signal(Signal::CONT)?;
        self.signal(signal)?;
        if let Ok(status) = self.wait(timeout).await {
            return Ok(status);
        }
        self.signal(Signal::KILL)?;
        self.wait(Duration::from_secs(10)).await
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // The supervisor kills the server after 10 s.
        let end = std::time::Instant::now() + Duration::from_secs(15);
        while matches!(self.ended(), Ok(None)) && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The name for `kill -s` and `docker kill --signal`.
fn signal_name(signal: Signal) -> anyhow::Result<&'static str> {
    Ok(match signal {
        Signal::TERM => "TERM",
        Signal::INT => "INT",
        Signal::QUIT => "QUIT",
        Signal::KILL => "KILL",
        Signal::STOP => "STOP",
        Signal::CONT => "CONT",
        other => bail!("signal {other:?} is not used here"),
    })
}
