//! Runs the program, each test with a folder of its own in place of `.local`.

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

    /// Runs a command to its end: what `up --detach` leaves running holds none of the pipes that are read here.
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
        // After a failure, too, nothing may stay behind.
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

    /// One line that says what is wrong, and exit code 1.
    #[track_caller]
    pub(crate) fn fails_with_one_line(self) -> String {
        let said = self.stderr();
        assert_eq!(self.0.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(self.0.stdout.is_empty(), "{}", self.stdout());
        said
    }

    fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }
}
