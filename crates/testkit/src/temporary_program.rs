//! A program that runs beside the servers of a test, with a temporary folder.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::supervised::{Supervised, Task};

/// Generous because the machine may be busy.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// It stops when dropped, and its folder is deleted.
#[derive(Debug)]
pub(crate) struct TemporaryProgram {
    folder: PathBuf,
    process: Option<Supervised>,
}

impl TemporaryProgram {
    /// Starts it; returns once it is ready. The folder is the task's working folder.
    pub(crate) async fn start<F>(mut task: Task, is_ready: impl Fn() -> F) -> anyhow::Result<Self>
    where
        F: Future<Output = bool>,
    {
        task.delete = Some(task.working_folder.clone());
        let mut program = Self {
            folder: task.working_folder.clone(),
            process: None,
        };
        let process = Supervised::start(&task)?;
        process.until_ready(START_TIMEOUT, is_ready).await?;
        program.process = Some(process);
        Ok(program)
    }
}

impl Drop for TemporaryProgram {
    fn drop(&mut self) {
        drop(self.process.take());
        // If this fails, the supervisor deletes it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
