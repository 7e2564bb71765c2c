//! Pure: with which signing keys and roots a run calls the functions of its room.

use std::fmt;

use chatroom_settings::Cold;

/// What functions are called with, as far as the file holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionSecrets {
    /// What calls are signed with; absent: they are not signed.
    pub signing_keys: Option<SigningKeys>,
    /// What is trusted beside the public authorities.
    pub roots: Option<Roots>,
}

/// Signing keys, one a line; never empty.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKeys(String);

/// Certificates of authorities, as PEM; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots(String);

/// Bytes of a signing key, as gateways see it.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A text that is not what functions are called with. It does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotForFunctions {
    /// It is not signing keys alone.
    #[error("must hold signing keys, one a line, each `whsec_` and the base64 of {} to {} bytes", KEY_BYTES.start(), KEY_BYTES.end())]
    NoSigningKeys,
    /// It holds no certificate.
    #[error("must hold certificates of authorities as PEM, each between BEGIN CERTIFICATE and END CERTIFICATE")]
    NoRoots,
}

impl FunctionSecrets {
    /// The settings of a run that has no others than these: what is not there is not waited for.
    #[must_use]
    pub fn limit(&self, mut cold: Cold) -> Cold {
        if let Some(functions) = &mut cold.functions {
            functions.signed &= self.signing_keys.is_some();
            functions.own_roots &= self.roots.is_some();
        }
        cold
    }
}

impl SigningKeys {
    /// Takes what stands in a Secret. Empty lines count for nothing.
    ///
    /// # Errors
    /// [`NotForFunctions::NoSigningKeys`].
    pub fn parse(text: &str) -> Result<Self, NotForFunctions> {
        let keys: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let good = |key: &&str| key.strip_prefix("whsec_").and_then(bytes).is_some_and(|it| KEY_BYTES.contains(&it));
        if keys.is_empty() || !keys.iter().all(good) {
            return Err(NotForFunctions::NoSigningKeys);
        }
        Ok(Self(keys.join("\n")))
    }

    /// The keys as the file that gateways read.
    #[must_use]
    pub fn lines(&self) -> &str {
        &self.0
    }
}

impl Roots {
    /// Takes what stands in a Secret. Whether each certificate is a good one, the gateways find out.
    ///
    /// # Errors
    /// [`NotForFunctions::NoRoots`].
    pub fn parse(text: &str) -> Result<Self, NotForFunctions> {
        let is_there = |mark: &str| text.lines().any(|line| line.trim() == mark);
        let whole = is_there("-----BEGIN CERTIFICATE-----") && is_there("-----END CERTIFICATE-----");
        if whole { Ok(Self(text.to_owned())) } else { Err(NotForFunctions::NoRoots) }
    }

    /// The certificates as the file that gateways read.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKeys({})", self.0.lines().count())
    }
}

/// Of how many bytes this is the base64; padding may be left out.
fn bytes(base64: &str) -> Option<usize> {
    let digits = base64.trim_end_matches('=');
    let is_base64 = digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/');
    let is_padded =
        base64.len() == digits.len() || (base64.len() - digits.len() <= 2 && base64.len().is_multiple_of(4));
    (is_base64 && is_padded && digits.len() % 4 != 1).then_some(digits.len() * 3 / 4)
}

#[cfg(test)]
mod tests {
    use chatroom_settings::Functions;
    use serde_json::json;

    use super::super::backplane::Shared;
    use super::super::plan::tests::{plan, wishes};
    use super::*;

    /// 24 bytes.
    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn each_line_is_a_key_and_empty_ones_are_none() {
        let other = format!("whsec_{}=", "A".repeat(43));
        assert_eq!(SigningKeys::parse(&format!("{KEY}\r\n\n {other} \n")).unwrap().lines(), format!("{KEY}\n{other}"));
        let unpadded = format!("whsec_{}", "A".repeat(43));
        assert!(SigningKeys::parse(&unpadded).is_ok());
        let of = |digits: usize| SigningKeys::parse(&format!("whsec_{}", "A".repeat(digits))).is_ok();
        assert_eq!([31, 32, 33, 34, 85, 86, 87, 88].map(of), [false, true, false, true, false, true, false, false]);
        for wrong in [
            "",
            " \n",
            "whsec_",
            &KEY["whsec_".len()..],
            &KEY.replace('8', "-"),
            &format!("{KEY}="),
            &format!("{KEY}\nshort"),
        ] {
            assert_eq!(SigningKeys::parse(wrong), Err(NotForFunctions::NoSigningKeys), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_waited_for() {
        let mut cold = plan(wishes(&Shared::Memory)).cold;
        let all: Functions = serde_json::from_value(json!({
            "dialect": "Tencent", "signed": true, "ownRoots": true,
            "tencent": {"serviceName": "lobby", "stage": "release", "transportAction": "DataRecv"},
        }))
        .unwrap();
        cold.functions = Some(all.clone());
        let left = |secrets: FunctionSecrets| {
            let functions = secrets.limit(cold.clone()).functions.unwrap();
            (functions.signed, functions.own_roots)
        };
        let signing_keys = SigningKeys::parse(KEY).ok();
        let roots = Some(Roots("PEM".into()));
        assert_eq!(left(FunctionSecrets::default()), (false, false));
        assert_eq!(left(FunctionSecrets { signing_keys: signing_keys.clone(), roots: None }), (true, false));
        assert_eq!(left(FunctionSecrets { signing_keys: None, roots: roots.clone() }), (false, true));
        let whole = FunctionSecrets { signing_keys, roots };
        assert_eq!(whole.limit(cold.clone()).functions, Some(all));
        cold.functions = None;
        assert_eq!(whole.limit(cold).functions, None, "what was not asked for is not added");
    }

    #[test]
    fn no_key_is_shown_by_debug() {
        let shown = format!("{:?}", SigningKeys::parse(KEY));
        assert!(!shown.contains("MfKQ"), "{shown}");
    }

    #[test]
    fn roots_hold_a_certificate() {
        let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(Roots::parse(certificate).unwrap().pem(), certificate);
        let key = certificate.replace("CERTIFICATE", "PRIVATE KEY");
        for wrong in ["", "AAAA", key.as_str(), &certificate[..40]] {
            assert_eq!(Roots::parse(wrong), Err(NotForFunctions::NoRoots), "{wrong}");
        }
    }
}
