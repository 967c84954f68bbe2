//! The options of a command: `--name VALUE` or `--name=VALUE`, and flags.

use anyhow::bail;

pub(super) struct Options<'a>(Vec<&'a str>);

impl<'a> Options<'a> {
    pub(super) fn new(arguments: &[&'a str]) -> Self {
        Self(arguments.to_vec())
    }

    /// Removes a flag; gives whether it is present.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|argument| *argument != name);
        self.0.len() < before
    }

    /// Removes an option; gives its value, if it is present.
    pub(super) fn value(&mut self, name: &str) -> Option<&'a str> {
        let has_name = |argument: &&str| argument.split('=').next() == Some(name);
        let at = self.0.iter().position(has_name)?;
        match self.0.remove(at).split_once('=') {
            Some((_, value)) => Some(value),
            None => (at < self.0.len()).then(|| self.0.remove(at)),
        }
    }

    /// An error if an argument is left that is no option of the command.
    pub(super) fn end(self) -> anyhow::Result<()> {
        match self.0.first() {
            Some(argument) => bail!("got `{argument}`; --help shows the options"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_in_any_order_and_an_unknown_one_is_an_error() {
        for arguments in [
            &["--dry-run", "--older-than", "90d"][..],
            &["--older-than=90d", "--dry-run"],
        ] {
            let mut options = Options::new(arguments);
            assert_eq!(options.value("--older-than"), Some("90d"));
            assert!(options.flag("--dry-run") && !options.flag("--dry-run"));
            options.end().unwrap();
        }
        let mut options = Options::new(&["--older", "--older-than"]);
        assert_eq!(options.value("--older-than"), None);
        let error = options.end().unwrap_err().to_string();
        assert_eq!(error, "got `--older`; --help shows the options");
    }
}
