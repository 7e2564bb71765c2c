//! Pure: with which keys other programs may push to a run.

use std::fmt;

/// The push keys of a run, in the order of their lines; never empty.
#[derive(Clone, PartialEq, Eq)]
pub struct PushKeys(Vec<String>);

/// As gateways see it: a shorter key could be guessed.
const MIN_KEY_CHARACTERS: usize = 16;

/// A text that is not push keys alone. It does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must hold push keys, one a line, each at least {MIN_KEY_CHARACTERS} visible characters of ASCII")]
pub struct NoPushKeys;

impl PushKeys {
    /// Takes what stands in a Secret: one key a line. Empty lines count for nothing.
    ///
    /// # Errors
    /// [`NoPushKeys`].
    pub fn parse(text: &str) -> Result<Self, NoPushKeys> {
        let keys: Vec<_> = text.lines().map(str::trim).filter(|key| !key.is_empty()).map(str::to_owned).collect();
        let good = |key: &String| key.len() >= MIN_KEY_CHARACTERS && key.bytes().all(|byte| byte.is_ascii_graphic());
        if keys.is_empty() || !keys.iter().all(good) { Err(NoPushKeys) } else { Ok(Self(keys)) }
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

    const NEW: &str = "the-new-key-0123";
    const OLD: &str = "the-old-key-0123";

    #[test]
    fn each_line_is_a_key_and_empty_ones_are_none() {
        let keys = PushKeys::parse(&format!("{NEW}\r\n\n {OLD} \n")).unwrap();
        assert_eq!(keys.all(), [NEW, OLD]);
        assert_eq!(keys.lines(), format!("{NEW}\n{OLD}"));
        for wrong in [" \n", "short", "the old key 0123456", &format!("{NEW}\nshort")] {
            assert_eq!(PushKeys::parse(wrong), Err(NoPushKeys), "{wrong}");
        }
    }

    #[test]
    fn no_key_is_shown_by_debug() {
        let shown = format!("{:?}", PushKeys::made_up("secret".into()));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
