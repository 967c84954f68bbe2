//! Values with a form of their own.

use std::time::Duration;

use serde::Deserialize;
use tracing_subscriber::filter::LevelFilter;

/// The latest minor version of the file format whose keys are known here.
const KNOWN_MINOR: u32 = 1;

/// `1.0` and the like.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct FileFormat {
    minor: u32,
}

impl FileFormat {
    /// A line for the start if the file may contain keys that are not known here.
    pub(super) fn warning(self) -> Option<String> {
        let Self { minor } = self;
        (minor > KNOWN_MINOR).then(|| {
            format!("file_format 1.{minor} is later than 1.{KNOWN_MINOR}, by which the configuration is read")
        })
    }
}

impl TryFrom<String> for FileFormat {
    type Error = String;

    fn try_from(version: String) -> Result<Self, String> {
        let minor = version.strip_prefix("1.").and_then(|minor| minor.parse().ok());
        match minor {
            Some(minor) => Ok(Self { minor }),
            None => Err(format!("got `{version}`; takes \"1.0\" or \"1.{KNOWN_MINOR}\"")),
        }
    }
}

/// A level of log records of the specification.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Severity(pub(super) LevelFilter);

impl TryFrom<String> for Severity {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let level = match name.strip_suffix(['2', '3', '4']).unwrap_or(&name) {
            "trace" => LevelFilter::TRACE,
            "debug" => LevelFilter::DEBUG,
            "info" => LevelFilter::INFO,
            "warn" => LevelFilter::WARN,
            "error" | "fatal" => LevelFilter::ERROR,
            _ => {
                let takes = "trace, debug, info, warn, error or fatal, each also with 2, 3 or 4 at its end";
                return Err(format!("got `{name}`; takes {takes}"));
            }
        };
        Ok(Self(level))
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "u64")]
pub(super) struct Milliseconds(pub(super) Duration);

impl TryFrom<u64> for Milliseconds {
    type Error = &'static str;

    fn try_from(number: u64) -> Result<Self, &'static str> {
        match number {
            0 => Err("got `0`; takes a number of milliseconds above 0"),
            number => Ok(Self(Duration::from_millis(number))),
        }
    }
}

/// A share of traces, 0 to 1.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
pub(super) struct Ratio(pub(super) f64);

impl TryFrom<f64> for Ratio {
    type Error = String;

    fn try_from(number: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&number) {
            Ok(Self(number))
        } else {
            Err(format!("got `{number}`; takes a number from 0 to 1"))
        }
    }
}

/// A mapping without keys.
#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Empty {}
