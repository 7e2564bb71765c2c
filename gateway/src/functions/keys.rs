//! The keys that calls are signed with, as Standard Webhooks has it: read from the Secret's file and never shown.

use std::path::Path;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::hmac;
use tracing::{info, warn};

use crate::credential::{Credential, Found};

/// What a key begins with.
const PREFIX: &str = "whsec_";
/// Bytes of a key, as Standard Webhooks bounds them.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// A rotation needs the old and the new one.
const SIGNING: usize = 2;

/// Padding may be left out: some generators do.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the file says: the first keys of it, with which each call is signed.
#[derive(Clone, Default)]
pub struct SigningKeys {
    first: Vec<hmac::Key>,
    /// Good lines, those included that nobody signs with.
    good: usize,
    /// Lines that are no key.
    refused: usize,
    unreadable: bool,
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SigningKeys").field("good", &self.good).field("refused", &self.refused).finish()
    }
}

impl SigningKeys {
    /// One key a line, `whsec_` and the base64 of 24 to 64 bytes; blank lines and spaces around a key mean nothing.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let (mut keys, mut refused) = (Vec::new(), 0);
        for line in lines {
            match line.strip_prefix(PREFIX).and_then(|rest| BASE64.decode(rest).ok()) {
                Some(bytes) if KEY_BYTES.contains(&bytes.len()) => keys.push(hmac::Key::new(hmac::HMAC_SHA256, &bytes)),
                _ => refused += 1,
            }
        }
        let good = keys.len();
        keys.truncate(SIGNING);
        Self { first: keys, good, refused, unreadable: false }
    }

    /// Whether nothing can be signed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Whether the file holds nothing at all, is not there or cannot be read.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.first.is_empty() && self.refused == 0
    }

    /// Whether the file holds a line that is no key.
    #[must_use]
    pub fn has_refused(&self) -> bool {
        self.refused > 0
    }

    /// The value of `webhook-signature`: one signature for each key, newest first as the file has them.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let signature = |key: &hmac::Key| {
            let mut context = hmac::Context::with_key(key);
            context.update(format!("{id}.{timestamp}.").as_bytes());
            context.update(body);
            format!("v1,{}", STANDARD.encode(context.sign()))
        };
        self.first.iter().map(signature).collect::<Vec<_>>().join(" ")
    }
}

impl Credential for SigningKeys {
    /// A file that cannot be read holds no key: who takes one back by taking the file away must be believed.
    fn read(found: Found<'_>, _: Option<&Self>) -> Self {
        match found {
            Found::Text(text) => Self::parse(text),
            Found::Nothing => Self::default(),
            Found::Unreadable(_) => Self { unreadable: true, ..Self::default() },
        }
    }

    fn tell(&self, path: &Path, first: bool) {
        let path = path.display();
        if self.unreadable {
            warn!(%path, "failed to read the signing keys");
        }
        if self.has_refused() {
            warn!(
                %path,
                lines = self.refused,
                "refused signing keys: each line must be `whsec_` and the base64 of 24 to 64 bytes"
            );
        }
        if self.is_empty() {
            warn!(%path, "there is no signing key, no function is called");
        } else if !first {
            info!(%path, good = self.good, "took over new signing keys");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the signature that the specification's own libraries are tested with.
    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn key_of(bytes: usize) -> String {
        format!("{PREFIX}{}", STANDARD.encode(vec![7; bytes]))
    }

    #[test]
    fn signs_as_the_specification_does() {
        let signature =
            SigningKeys::parse(KEY).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_of_the_first_two_keys_signs_and_the_others_do_not() {
        let [one, two, three] = [24, 32, 64].map(key_of);
        let sign = |text: &str| SigningKeys::parse(text).sign("id", 1, b"body");
        let both = format!("{} {}", sign(&one), sign(&two));
        assert_eq!(sign(&format!("\n {one}\r\n\nnonsense\n{two}\n{three}\n")), both);
        assert_ne!(sign(&one), sign(&two));
    }

    #[test]
    fn a_key_is_24_to_64_bytes_behind_its_prefix() {
        for good in [key_of(24), key_of(64), key_of(32).trim_end_matches('=').to_owned()] {
            let keys = SigningKeys::parse(&good);
            assert!(!keys.is_empty() && !keys.has_refused(), "{good}");
        }
        let without_prefix = STANDARD.encode([7; 32]);
        for bad in [key_of(23), key_of(65), without_prefix, "whsec_".into(), "whsec_?".repeat(9), format!("whsk_{KEY}")]
        {
            let keys = SigningKeys::parse(&bad);
            assert!(keys.is_empty() && keys.has_refused() && !keys.is_missing(), "{bad}");
        }
        assert!(SigningKeys::parse(" \n").is_missing());
    }

    #[test]
    fn a_key_cannot_be_printed() {
        assert_eq!(format!("{:?}", SigningKeys::parse(KEY)), "SigningKeys { good: 1, refused: 0 }");
    }
}
