//! Pure: with which keys other programs may push to a run.

use std::fmt;

/// The push keys of a run, in the order of their lines; never empty.
#[derive(Clone, PartialEq, Eq)]
pub struct PushKeys(Vec<String>);

/// A text in which no push key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must hold push keys, one a line")]
pub struct NoPushKeys;

impl PushKeys {
    /// Takes what stands in a Secret: one key a line. Empty lines count for nothing.
    ///
    /// # Errors
    /// [`NoPushKeys`].
    pub fn parse(text: &str) -> Result<Self, NoPushKeys> {
        let keys: Vec<_> = text.lines().map(str::trim).filter(|key| !key.is_empty()).map(str::to_owned).collect();
        if keys.is_empty() { Err(NoPushKeys) } else { Ok(Self(keys)) }
    }

    /// One key, made up for this run.
    #[must_use]
    pub fn made_up(key: String) -> Self {
        Self(vec![key])
    }

    /// The keys; the first is the one to hand out.
    #[must_use]
    pub fn all(&self) -> &[String] {
        &self.0
    }

    /// The keys as the file that gateways read.
    #[must_use]
    pub fn lines(&self) -> String {
        self.0.join("\n")
    }
}

impl fmt::Debug for PushKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PushKeys({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_key_and_empty_ones_are_none() {
        let keys = PushKeys::parse("new\r\n\n old \n").unwrap();
        assert_eq!(keys.all(), ["new", "old"]);
        assert_eq!(keys.lines(), "new\nold");
        assert_eq!(PushKeys::parse(" \n"), Err(NoPushKeys));
    }

    #[test]
    fn no_key_is_shown_by_debug() {
        let shown = format!("{:?}", PushKeys::made_up("secret".into()));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
