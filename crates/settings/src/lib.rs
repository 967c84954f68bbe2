//! Configuration from environment variables. Each binary reads them once at its start. An error names the
//! variable, the value, and the accepted values.
//!
//! ```
//! use std::time::Duration;
//! use throughline_settings::Env;
//!
//! let env = Env::of([("HTTP_KEEP_ALIVE", "soon")]);
//! assert_eq!(env.or("PORT", 8080_u16, "a port, 0 to 65535"), Ok(8080));
//! assert_eq!(
//!     env.duration_or("HTTP_KEEP_ALIVE", Duration::from_secs(75)).unwrap_err().to_string(),
//!     "HTTP_KEEP_ALIVE: got `soon`; takes a duration such as 500ms, 5s, 2m, 72h, or a number of seconds",
//! );
//! ```
#![warn(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod host;
mod program;
mod units;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use host::{is_local_host, is_loopback, is_same_origin};
pub use program::{COMMIT, HealthError, check_health, full_version};
pub use secrecy::{ExposeSecret, SecretSlice, SecretString};

/// The environment variables of a program. An empty value counts as absent, as in the OpenTelemetry
/// specification and in Compose files.
#[derive(Clone, Default)]
pub struct Env(HashMap<String, String>);

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter();
        Self(pairs.map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// The names alone: values may be secrets.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.keys().collect::<BTreeSet<_>>())
            .finish()
    }
}

/// A variable is missing or has an invalid value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// The variable is absent and has no default.
    #[error("{name}: is required; takes {takes}")]
    Missing {
        /// The variable.
        name: Cow<'static, str>,
        /// What it accepts.
        takes: String,
    },
    /// The value cannot be parsed, or is out of range.
    #[error("{name}: got `{got}`; takes {takes}")]
    Bad {
        /// The variable.
        name: Cow<'static, str>,
        /// Its value; `***` for a secret.
        got: String,
        /// What it accepts.
        takes: String,
    },
}

/// What [`retention`] takes, for messages.
pub const RETENTION: &str = "a duration such as 90d, 12h, or a number of seconds";

/// Reads the retention that is the value of a command's option `name`, as [`Env::retention`] reads a
/// variable.
pub fn retention(name: &'static str, value: &str) -> Result<Duration, SettingError> {
    units::duration(value).ok_or_else(|| SettingError::bad(name, value, RETENTION))
}

impl SettingError {
    /// For a rule that this crate does not have.
    pub fn bad(name: impl Into<Cow<'static, str>>, got: impl Into<String>, takes: impl Into<String>) -> Self {
        Self::Bad {
            name: name.into(),
            got: got.into(),
            takes: takes.into(),
        }
    }

    /// For a value that must not be printed.
    pub fn bad_secret(name: &'static str, takes: impl Into<String>) -> Self {
        Self::bad(name, "***", takes)
    }

    /// For a URL. Only its scheme is printed: the rest may contain a password.
    pub fn bad_url(name: &'static str, got: &str, takes: impl Into<String>) -> Self {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        match got.split_once("://") {
            Some((scheme, _)) if scheme.chars().all(plain) => {
                Self::bad(name, format!("{scheme}://***"), takes)
            }
            _ => Self::bad_secret(name, takes),
        }
    }

    /// For a variable that is required under a condition.
    pub fn missing(name: &'static str, takes: impl Into<String>) -> Self {
        Self::Missing {
            name: name.into(),
            takes: takes.into(),
        }
    }
}

impl Env {
    /// The variables of this process. Invalid UTF-8 in a value becomes U+FFFD, so the value is invalid, not
    /// absent.
    pub fn process() -> Self {
        let pairs = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        pairs.collect()
    }

    /// These variables, for tests.
    pub fn of<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        pairs.into_iter().collect()
    }

    /// The names of the variables that are not empty, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.0.keys().map(String::as_str);
        names.filter(|name| self.get(name).is_some())
    }

    /// The trimmed value; `None` if it is absent or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// A required text.
    pub fn required(&self, name: &'static str, takes: &str) -> Result<String, SettingError> {
        match self.get(name) {
            Some(value) => Ok(value.to_owned()),
            None => Err(SettingError::missing(name, takes)),
        }
    }

    /// A secret: the value of `name`, or the content of the file that `{name}_FILE` names, without line
    /// breaks at its end; `None` if neither is set.
    ///
    /// # Errors
    /// If both are set, or the file cannot be read or is empty. An error has the path and never the content.
    pub fn secret(&self, name: &'static str) -> Result<Option<SecretString>, SettingError> {
        let file = format!("{name}_FILE");
        let path = match (self.get(name), self.get(&file)) {
            (value, None) => return Ok(value.map(SecretString::from)),
            (None, Some(path)) => path.to_owned(),
            (Some(_), Some(_)) => {
                let takes = format!("no value where {file} is set");
                return Err(SettingError::bad_secret(name, takes));
            }
        };
        let content = std::fs::read_to_string(&path);
        match content.as_ref().map(|text| text.trim_end_matches(['\r', '\n'])) {
            Ok("") => Err(SettingError::bad(
                file,
                path,
                "the path of a file that is not empty",
            )),
            Ok(value) => Ok(Some(value.into())),
            Err(error) => {
                let takes = format!("the path of a file with the value of {name} ({error})");
                Err(SettingError::bad(file, path, takes))
            }
        }
    }

    /// A value of any type that parses from text; `None` if it is absent.
    pub fn optional<T: FromStr>(&self, name: &'static str, takes: &str) -> Result<Option<T>, SettingError> {
        self.read(name, takes, |text| text.parse().ok())
    }

    /// A value of any type that parses from text, or its default.
    pub fn or<T: FromStr>(&self, name: &'static str, default: T, takes: &str) -> Result<T, SettingError> {
        Ok(self.optional(name, takes)?.unwrap_or(default))
    }

    /// A number within `range`, or its default.
    pub fn within<T>(
        &self,
        name: &'static str,
        default: T,
        range: std::ops::RangeInclusive<T>,
    ) -> Result<T, SettingError>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let takes = format!("a number from {} to {}", range.start(), range.end());
        let value = self.read(name, &takes, |text| {
            text.parse().ok().filter(|number| range.contains(number))
        })?;
        Ok(value.unwrap_or(default))
    }

    /// A duration above zero, and at most 1,000 years: `500ms`, `5s`, `2m`, `1h`, `90d`, or a number of
    /// seconds; or its default.
    pub fn duration_or(&self, name: &'static str, default: Duration) -> Result<Duration, SettingError> {
        let takes = "a duration such as 500ms, 5s, 2m, 72h, or a number of seconds";
        Ok(self.read(name, takes, units::duration)?.unwrap_or(default))
    }

    /// How old data is when it is deleted: a duration as in [`Env::duration_or`], typically of days; `None`
    /// if it is absent.
    pub fn retention(&self, name: &'static str) -> Result<Option<Duration>, SettingError> {
        self.read(name, RETENTION, units::duration)
    }

    /// A size in bytes, above zero: `65536`, `64KiB`, `1MiB`, `2GiB`; or its default.
    pub fn bytes_or(&self, name: &'static str, default: usize) -> Result<usize, SettingError> {
        let takes = "a size such as 65536, 64KiB or 1MiB";
        Ok(self.read(name, takes, units::bytes)?.unwrap_or(default))
    }

    /// `true` or `false`, in upper or lower case, or the default.
    pub fn flag_or(&self, name: &'static str, default: bool) -> Result<bool, SettingError> {
        let read = |text: &str| text.to_ascii_lowercase().parse().ok();
        Ok(self.read(name, "true or false", read)?.unwrap_or(default))
    }

    /// Whether ENVIRONMENT is `development` or absent. Any other value, misspelt ones included, is not: what
    /// is only for development is then off.
    pub fn is_development(&self) -> bool {
        matches!(self.get("ENVIRONMENT"), None | Some("development"))
    }

    /// For the variable `name` whose URL makes connections without verified TLS to `host`. `tls` says how the
    /// URL would have it.
    ///
    /// # Errors
    /// If the connections may cross a public network: ENVIRONMENT is not development, `host` is neither
    /// loopback nor private, and ALLOW_PLAINTEXT is not `true`.
    pub fn check_plaintext(
        &self,
        name: &'static str,
        url: &str,
        host: &str,
        tls: &str,
    ) -> Result<(), SettingError> {
        if self.flag_or("ALLOW_PLAINTEXT", false)? || self.is_development() || host::is_private(host) {
            return Ok(());
        }
        let takes = format!(
            "{tls}, as the host is neither loopback nor private; ALLOW_PLAINTEXT=true accepts unverified connections"
        );
        Err(SettingError::bad_url(name, url, takes))
    }

    fn read<T>(
        &self,
        name: &'static str,
        takes: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, SettingError> {
        match self.get(name) {
            None => Ok(None),
            Some(text) => read(text)
                .map(Some)
                .ok_or_else(|| SettingError::bad(name, text, takes)),
        }
    }
}

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_counts_as_absent() {
        let env = Env::of([("PORT", " "), ("HOST", "h")]);
        assert_eq!(env.names().collect::<Vec<_>>(), ["HOST"]);
        assert_eq!(env.or("PORT", 8080_u16, "a port"), Ok(8080));
        assert!(env.required("PORT", "a port").is_err());
    }

    #[test]
    fn of_a_bad_url_only_the_scheme_is_printed() {
        let got = |url| SettingError::bad_url("REDIS_URL", url, "a URL").to_string();
        assert_eq!(
            got("http://me:secret@cache"),
            "REDIS_URL: got `http://***`; takes a URL"
        );
        for url in ["me:secret@cache", "me:secret@cache://0"] {
            assert_eq!(got(url), "REDIS_URL: got `***`; takes a URL");
        }
    }

    #[test]
    fn a_secret_may_be_in_a_file_and_no_error_shows_it() {
        let folder = std::env::temp_dir().join(format!("throughline-settings-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, content: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let read = |value: &str, path: &str| {
            let secret = Env::of([("JWT_SECRET", value), ("JWT_SECRET_FILE", path)]).secret("JWT_SECRET");
            secret.map(|secret| secret.map(|it| it.expose_secret().to_owned()))
        };
        let error = |value: &str, path: &str| read(value, path).unwrap_err().to_string();

        assert_eq!(read("", ""), Ok(None));
        assert_eq!(read("s3cret", ""), Ok(Some("s3cret".to_owned())));
        for content in ["s3cret", "s3cret\n", "s3cret\r\n"] {
            let path = write("secret", content.as_bytes());
            assert_eq!(read("", &path), Ok(Some("s3cret".to_owned())), "{content:?}");
        }
        assert_eq!(
            read("", &write("blank", b" a b \n")),
            Ok(Some(" a b ".to_owned()))
        );

        let both = error("s3cret", &write("secret", b"other"));
        assert_eq!(
            both,
            "JWT_SECRET: got `***`; takes no value where JWT_SECRET_FILE is set"
        );
        let path = write("empty", b"\n");
        let takes = "takes the path of a file that is not empty";
        assert_eq!(
            error("", &path),
            format!("JWT_SECRET_FILE: got `{path}`; {takes}")
        );
        let path = write("binary", b"s3cret\xff");
        let takes = "takes the path of a file with the value of JWT_SECRET (";
        for path in [path, "/no/such".to_owned()] {
            let error = error("", &path);
            assert!(
                error.starts_with(&format!("JWT_SECRET_FILE: got `{path}`; {takes}")),
                "{error}"
            );
            assert!(!error.contains("s3cret"), "{error}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn no_value_is_shown() {
        let env = Env::of([("JWT_SECRET", "s3cret"), ("HOST", "h")]);
        assert_eq!(format!("{env:?}"), r#"{"HOST", "JWT_SECRET"}"#);
        assert!(!format!("{:?}", env.secret("JWT_SECRET")).contains("s3cret"));
    }

    #[test]
    fn plain_text_crosses_no_public_network_unless_it_is_allowed() {
        let check = |environment, allow, host| {
            let env = Env::of([("ENVIRONMENT", environment), ("ALLOW_PLAINTEXT", allow)]);
            env.check_plaintext("REDIS_URL", "redis://:secret@h", host, "rediss://")
        };
        assert_eq!(
            check("production", "", "cache.example.com")
                .unwrap_err()
                .to_string(),
            "REDIS_URL: got `redis://***`; takes rediss://, as the host is neither loopback nor private; \
             ALLOW_PLAINTEXT=true accepts unverified connections"
        );
        assert!(check("prod", "false", "8.8.8.8").is_err());
        for (environment, allow, host) in [
            ("production", "", "127.0.0.1"),
            ("production", "", "redis"),
            ("production", "true", "cache.example.com"),
            ("development", "", "cache.example.com"),
            ("", "", "cache.example.com"),
        ] {
            assert_eq!(
                check(environment, allow, host),
                Ok(()),
                "{environment} {allow} {host}"
            );
        }
    }

    #[test]
    fn a_number_out_of_range_says_the_range() {
        let error = Env::of([("WORKER_CONCURRENCY", "0")])
            .within("WORKER_CONCURRENCY", 64, 1..=1024)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "WORKER_CONCURRENCY: got `0`; takes a number from 1 to 1024"
        );
    }
}
