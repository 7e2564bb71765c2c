//! Reads a settings file: YAML into its type, what was not understood by name, and the hash of the text.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<T> {
    /// Its settings.
    pub value: T,
    /// Paths of fields that this version does not know, such as `limits.maxFoo`. A newer operator may write them, so
    /// they are ignored; a misspelt one is ignored as well, so they are told.
    pub unknown: Vec<String>,
    /// First 16 hex digits of the SHA-256 of the text.
    pub hash: String,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It cannot be read.
    #[error("failed to read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no YAML, or not of the form; the source names the field's path.
    #[error("failed to parse {}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_yaml::Error,
    },
    /// A field says what cannot be.
    #[error("failed to use {}: {problem}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Which field, and what would be right.
        problem: Problem,
    },
}

/// A field with a value that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {wanted}")]
pub struct Problem {
    /// The path of the field.
    pub field: String,
    /// What would be right.
    pub wanted: String,
}

impl Problem {
    /// Says that a field must be something else.
    pub fn new(field: impl Into<String>, wanted: impl Into<String>) -> Self {
        Self { field: field.into(), wanted: wanted.into() }
    }
}

/// Settings that can be read from a file.
pub trait Settings: DeserializeOwned {
    /// Looks for values that the types allow and that cannot be.
    ///
    /// # Errors
    /// The first one.
    fn check(&self) -> Result<(), Problem>;
}

/// Reads and checks a file.
///
/// # Errors
/// See [`SettingsError`].
pub fn read<T: Settings>(path: &Path) -> Result<Parsed<T>, SettingsError> {
    parse(path, &text(path)?)
}

/// The text of a file.
///
/// # Errors
/// [`SettingsError::Unreadable`].
pub fn text(path: &Path) -> Result<String, SettingsError> {
    std::fs::read_to_string(path).map_err(|source| SettingsError::Unreadable { path: path.to_owned(), source })
}

/// Parses and checks the text of the file `path`.
///
/// # Errors
/// See [`SettingsError`].
pub fn parse<T: Settings>(path: &Path, text: &str) -> Result<Parsed<T>, SettingsError> {
    let mut unknown = Vec::new();
    let value: T = serde_ignored::deserialize(serde_yaml::Deserializer::from_str(text), |field| {
        unknown.push(field.to_string());
    })
    .map_err(|source| SettingsError::Malformed { path: path.to_owned(), source })?;
    value.check().map_err(|problem| SettingsError::Invalid { path: path.to_owned(), problem })?;
    Ok(Parsed { value, unknown, hash: hash(text) })
}

/// First 16 hex digits of the SHA-256.
#[must_use]
pub fn hash(text: &str) -> String {
    Sha256::digest(text).iter().take(8).fold(String::with_capacity(16), |mut digits, byte| {
        write!(digits, "{byte:02x}").expect("writing to a string cannot fail");
        digits
    })
}

mod checks {
    //! What the types of the settings allow and a gateway cannot live with.

    use chatroom_settings::{Backplane, Cold, Hot};
    use tracing_subscriber::EnvFilter;

    use super::{Problem, Settings};

    /// A smaller queue for direct pushes would be no queue.
    const LEAST_PENDING_BYTES: u32 = 1024;

    impl Settings for Cold {
        fn check(&self) -> Result<(), Problem> {
            let path_is_good = self.path.starts_with('/')
                && self.path.parse::<http::uri::PathAndQuery>().is_ok_and(|path| path.path() == self.path);
            if !path_is_good {
                return Err(Problem::new("path", "a URL path that begins with `/`, without query or fragment"));
            }
            at_least_one("pingIntervalSeconds", self.ping_interval_seconds)?;
            at_least_one("drain.timeoutSeconds", self.drain.timeout_seconds)?;
            match &self.backplane {
                Backplane::Redis(redis) if !has_hash_tag(&redis.key_prefix) => {
                    Err(Problem::new("backplane.keyPrefix", "a string with a {hash tag}"))
                }
                _ => Ok(()),
            }
        }
    }

    impl Settings for Hot {
        fn check(&self) -> Result<(), Problem> {
            if EnvFilter::try_new(&self.log_filter).is_err() {
                return Err(Problem::new(
                    "logFilter",
                    "a filter such as `info` or `info,chatroom_gateway::http=debug`",
                ));
            }
            for (index, origin) in self.allowed_origins.iter().flatten().enumerate() {
                if origin != "null" && !is_origin(origin) {
                    return Err(Problem::new(format!("allowedOrigins[{index}]"), "scheme://host[:port], or null"));
                }
            }
            at_least_one("limits.maxConnectionsPerPod", self.limits.max_connections_per_pod)?;
            at_least_one("limits.maxMessageBytes", self.limits.max_message_bytes)?;
            if self.limits.max_pending_bytes < LEAST_PENDING_BYTES {
                return Err(Problem::new("limits.maxPendingBytes", "at least 1024"));
            }
            at_least_one("limits.slowSeconds", self.limits.slow_seconds)?;
            at_least_one("limits.idleTimeoutSeconds", self.limits.idle_timeout_seconds.unwrap_or(1))?;
            at_least_one("limits.maxConnectionAgeSeconds", self.limits.max_connection_age_seconds.unwrap_or(1))
        }
    }

    fn at_least_one(field: &str, value: u32) -> Result<(), Problem> {
        if value == 0 { Err(Problem::new(field, "at least 1")) } else { Ok(()) }
    }

    fn is_origin(text: &str) -> bool {
        text.split_once("://").is_some_and(|(scheme, authority)| {
            !scheme.is_empty() && !authority.is_empty() && !authority.contains(['/', '?', '#', '@'])
        })
    }

    fn has_hash_tag(prefix: &str) -> bool {
        prefix.split_once('{').and_then(|(_, rest)| rest.split_once('}')).is_some_and(|(tag, _)| !tag.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use chatroom_settings::{Cold, Hot};

    use super::*;

    const COLD: &str = "
room: {name: lobby, namespace: default, uid: u-1}
path: /
webClient: true
broadcast: {excludeSender: true, onlineSuffix: '({online})'}
pingIntervalSeconds: 25
backplane: {type: Redis, keyPrefix: 'cr1:{u-1}:'}
drain: {timeoutSeconds: 120}
logFormat: JSON
";
    const HOT: &str = "
logFilter: info
allowedOrigins: [https://chat.example.com, 'null']
limits: {maxConnectionsPerPod: 10, maxMessageBytes: 100, slowSeconds: 10}
";

    fn complaint<T: Settings + std::fmt::Debug>(text: &str) -> String {
        let error = parse::<T>(Path::new("f.yaml"), text).unwrap_err();
        error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
    }

    #[test]
    fn good_files_are_read() {
        assert!(parse::<Cold>(Path::new("c"), COLD).unwrap().unknown.is_empty());
        assert!(parse::<Hot>(Path::new("h"), HOT).unwrap().unknown.is_empty());
    }

    #[test]
    fn a_file_of_the_version_before_bounds_what_is_pending_as_usual() {
        let hot = parse::<Hot>(Path::new("h"), HOT).unwrap().value;
        assert_eq!(hot.limits.max_pending_bytes, chatroom_settings::MAX_PENDING_BYTES);
    }

    #[test]
    fn the_hash_is_the_beginning_of_the_texts_sha256() {
        assert_eq!(hash("abc"), "ba7816bf8f01cfea");
    }

    #[test]
    fn unknown_fields_are_ignored_and_named() {
        let newer = HOT.replace("slowSeconds: 10", "slowSeconds: 10, fastSeconds: 1") + "colour: red\n";
        assert_eq!(parse::<Hot>(Path::new("h"), &newer).unwrap().unknown, ["limits.fastSeconds", "colour"]);
    }

    #[test]
    fn a_complaint_names_the_file_and_the_field() {
        let said = complaint::<Hot>(&HOT.replace("slowSeconds: 10", "slowSeconds: soon"));
        assert!(said.contains("f.yaml") && said.contains("limits.slowSeconds"), "{said}");
        let said = complaint::<Hot>(&HOT.replace(", slowSeconds: 10", ""));
        assert!(said.contains("slowSeconds"), "{said}");
    }

    #[test]
    fn values_that_cannot_be_are_refused_with_what_would_be_right() {
        let cold = [("path: /", "path: chat", "path must be"), ("path: /", "path: /a?b", "path must be")];
        for (from, to, expected) in cold {
            assert!(complaint::<Cold>(&COLD.replace(from, to)).contains(expected), "{to}");
        }
        let said = complaint::<Cold>(&COLD.replace("cr1:{u-1}:", "cr1:"));
        assert!(said.contains("backplane.keyPrefix must be"), "{said}");
        let hot = [
            ("logFilter: info", "logFilter: 'a=b=c'", "logFilter"),
            ("https://chat.example.com", "chat.example.com", "allowedOrigins[0]"),
            ("https://chat.example.com", "https://chat.example.com/path", "allowedOrigins[0]"),
            ("maxConnectionsPerPod: 10", "maxConnectionsPerPod: 0", "limits.maxConnectionsPerPod must be at least 1"),
            (
                "slowSeconds: 10",
                "slowSeconds: 10, maxPendingBytes: 1023",
                "limits.maxPendingBytes must be at least 1024",
            ),
        ];
        for (from, to, expected) in hot {
            let said = complaint::<Hot>(&HOT.replace(from, to));
            assert!(said.contains(expected), "{to}: {said}");
        }
    }
}
