//! Follows a log file as `tail -F` does.

use std::io::SeekFrom;
use std::path::Path;
use std::time::Duration;

use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::time::sleep;

use crate::journal::Journal;
use crate::part::Part;

const INTERVAL: Duration = Duration::from_millis(250);
/// What is shown of a file that exists already, and what is read of it in one interval: more is left out.
const MAX_BYTES: u64 = 32 << 10;

/// Writes the lines of a part's log into the journal. Never returns.
pub(crate) async fn follow(part: Part, path: &Path, journal: &Journal) {
    let mut read = Read::default();
    loop {
        // The file may not exist yet, or be replaced.
        if let Ok(file) = File::open(path).await
            && let Ok(text) = read.next(file).await
        {
            for line in read.lines(&text) {
                journal.output(part, &line);
            }
        }
        sleep(INTERVAL).await;
    }
}

/// How far a file was read.
#[derive(Debug, Default)]
struct Read {
    position: u64,
    /// The beginning of a line whose end is not written yet.
    unfinished: String,
}

impl Read {
    async fn next(&mut self, mut file: File) -> std::io::Result<String> {
        let length = file.metadata().await?.len();
        if length < self.position {
            *self = Self::default();
        }
        if length - self.position > MAX_BYTES {
            self.position = length - MAX_BYTES;
            self.unfinished.clear();
        }
        file.seek(SeekFrom::Start(self.position)).await?;
        let mut bytes = Vec::new();
        file.take(length - self.position).read_to_end(&mut bytes).await?;
        self.position = length;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn lines(&mut self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for part in text.split_inclusive('\n') {
            self.unfinished.push_str(part);
            if part.ends_with('\n') {
                let line = std::mem::take(&mut self.unfinished);
                lines.extend(Some(line.trim_end().to_owned()).filter(|line| !line.is_empty()));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_once_they_are_complete_also_after_the_file_was_replaced() {
        let path = std::env::temp_dir().join(format!("throughline-tail-{}", std::process::id()));
        let mut read = Read::default();
        let mut next = async |text: &str| {
            std::fs::write(&path, text).unwrap();
            let text = read.next(File::open(&path).await.unwrap()).await.unwrap();
            read.lines(&text)
        };
        assert_eq!(next("one\n\ntw").await, ["one"]);
        assert_eq!(next("one\n\ntwo\n").await, ["two"]);
        assert_eq!(next("new\n").await, ["new"]);
        let long = "x".repeat(100_000);
        assert_eq!(
            next(&format!("new\n{long}\nlast\n")).await.last().unwrap(),
            "last"
        );
        std::fs::remove_file(&path).unwrap();
    }
}
