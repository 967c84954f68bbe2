//! Runs the program, each test with its own folder instead of `.local`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

pub(crate) struct Xtask {
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

impl Xtask {
    pub(crate) fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("throughline-{test}-{}", std::process::id()));
        Self {
            folder,
            environment: Vec::new(),
        }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a command to its end. The background process of `up --detach` does not hold the pipes that are
    /// read here.
    pub(crate) fn run(&self, arguments: &str) -> Ran {
        let mut command = self.command(arguments);
        Ran(command.stdin(Stdio::null()).output().unwrap())
    }

    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(arguments.split(' '));
        self.surround(command)
    }

    /// A script that may call `$XTASK`; it ends with the first command that fails.
    pub(crate) fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-ec", script]);
        command.env("XTASK", env!("CARGO_BIN_EXE_xtask"));
        self.surround(command)
    }

    fn surround(&self, mut command: Command) -> Command {
        command.env("THROUGHLINE_LOCAL", &self.folder);
        for name in [
            "DATABASE_URL",
            "REDIS_URL",
            "THROUGHLINE_API_URL",
            "THROUGHLINE_LENS_URL",
            "JWT_SECRET",
        ] {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn state(&self) -> Value {
        let json = std::fs::read(self.folder.join("stack.json")).expect("nothing is up");
        serde_json::from_slice(&json).unwrap()
    }
}

impl Drop for Xtask {
    fn drop(&mut self) {
        // Also after a failure, nothing may stay behind.
        let _ = self.command("down --clean").output();
    }
}

pub(crate) struct Ran(Output);

impl Ran {
    #[track_caller]
    pub(crate) fn succeeds(self) -> String {
        assert!(self.0.status.success(), "{}\n{}", self.stdout(), self.stderr());
        self.stdout()
    }

    /// Exit code 1 and one line on stderr; returns that line.
    #[track_caller]
    pub(crate) fn fails_with_one_line(self) -> String {
        let line = self.stderr();
        assert_eq!(self.0.status.code(), Some(1), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(self.0.stdout.is_empty(), "{}", self.stdout());
        line
    }

    fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }
}
