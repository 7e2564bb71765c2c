//! The keys that a push is recognised by: read from the Secret's file, again and again, and never shown.

use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use tracing::{info, warn};

use crate::credential::{Credential, Found};

/// A shorter key could be guessed.
const MIN_KEY_CHARACTERS: usize = 16;

/// What the file says. It holds digests: a key can neither be printed nor compared byte by byte.
#[derive(Clone, Default)]
pub struct Keys {
    digests: Vec<[u8; 32]>,
    /// Lines that are no key.
    refused: usize,
    /// Why there is a file and its text is not known.
    unreadable: Option<io::ErrorKind>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Keys").field("good", &self.digests.len()).field("refused", &self.refused).finish()
    }
}

impl Keys {
    /// One key a line; blank lines and spaces around a key mean nothing. A key is at least 16 visible characters of
    /// ASCII: it has to fit into a path and a header.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let good = |line: &&&str| line.len() >= MIN_KEY_CHARACTERS && line.bytes().all(|byte| byte.is_ascii_graphic());
        let digests: Vec<_> = lines.iter().filter(good).map(|line| digest(line.as_bytes())).collect();
        Self { refused: lines.len() - digests.len(), digests, unreadable: None }
    }

    /// Whether nobody can push.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// Whether the file holds nothing at all, or is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.digests.is_empty() && self.refused == 0
    }

    /// Whether the file holds a line that is no key.
    #[must_use]
    pub fn has_refused(&self) -> bool {
        self.refused > 0
    }

    /// Whether this is one of the keys. Takes as long for a wrong one as for a right one: all digests are compared to
    /// their end.
    #[must_use]
    pub fn accept(&self, presented: &[u8]) -> bool {
        let presented = digest(presented);
        let found = self.digests.iter().fold(Choice::from(0), |found, key| found | key.ct_eq(&presented));
        found.into()
    }
}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

impl Credential for Keys {
    /// A file that cannot be read holds no key: who revokes one by taking the file away must be believed.
    fn read(found: Found<'_>, _: Option<&Self>) -> Self {
        match found {
            Found::Text(text) => Self::parse(text),
            Found::Nothing => Self::default(),
            Found::Unreadable(kind) => Self { unreadable: Some(kind), ..Self::default() },
        }
    }

    /// A missing file is a state: the room's clients need no key.
    fn tell(&self, path: &Path, first: bool) {
        let path = path.display();
        match (self.is_missing(), first) {
            (true, true) => warn!(%path, "there are no push keys, pushes are answered with 503"),
            (true, false) => warn!(%path, "the push keys are gone, pushes are answered with 503"),
            (false, true) => {}
            (false, false) => info!(%path, good = self.digests.len(), "took over new push keys"),
        }
        if let Some(kind) = self.unreadable {
            warn!(%path, error = %kind, "failed to read the push keys");
        }
        if self.has_refused() {
            warn!(
                %path,
                lines = self.refused,
                "refused push keys: each line must be at least 16 visible characters of ASCII"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0123456789abcdef";
    const TWO: &str = "fedcba9876543210+/==";

    #[test]
    fn every_line_is_a_key_and_spaces_around_it_are_not() {
        let keys = Keys::parse(&format!("\n  {ONE}\t\r\n\n{TWO}"));
        assert!(keys.accept(ONE.as_bytes()) && keys.accept(TWO.as_bytes()) && !keys.has_refused());
    }

    #[test]
    fn nothing_but_a_whole_key_is_accepted() {
        let keys = Keys::parse(&format!("{ONE}\n{TWO}\n"));
        for wrong in ["", &ONE[1..], &ONE[..15], &format!("{ONE}0"), &format!("{ONE}\n{TWO}"), &ONE.to_uppercase()] {
            assert!(!keys.accept(wrong.as_bytes()), "{wrong:?}");
        }
        assert!(!Keys::default().accept(b""));
    }

    #[test]
    fn a_line_that_could_be_guessed_or_not_be_sent_is_refused_and_the_others_count() {
        for bad in [&ONE[1..], "0123456789 abcdef", "0123456789abcdé0"] {
            let keys = Keys::parse(&format!("{bad}\n{ONE}\n"));
            assert!(keys.has_refused() && keys.accept(ONE.as_bytes()) && !keys.accept(bad.as_bytes()), "{bad}");
            let alone = Keys::parse(bad);
            assert!(alone.is_empty() && !alone.is_missing(), "{bad}");
        }
    }

    #[test]
    fn a_key_cannot_be_printed() {
        assert_eq!(format!("{:?}", Keys::parse(ONE)), "Keys { good: 1, refused: 0 }");
    }
}
