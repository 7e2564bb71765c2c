//! Pure: what carries messages between the gateways of a run, and how a Redis of its own is set up.

use std::fmt;
use std::path::Path;

/// What the gateways of a run share.
#[derive(Clone, PartialEq, Eq)]
pub enum Shared {
    /// Nothing: there is one gateway.
    Memory,
    /// A Redis that somebody else runs; the URL is a credential.
    Url(String),
    /// A Redis that lives as long as the run.
    OwnServer,
}

/// The external Redis that the room's manifest names.
#[derive(Clone, PartialEq, Eq)]
pub enum External {
    /// It names none.
    NotNamed,
    /// It names a Secret that is not in the file.
    Unknown,
    /// The URL, from a Secret in the file; a credential.
    Known(String),
}

/// A URL that leads to no Redis. It does not repeat the URL: there may be a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be redis://[user:password@]host[:port][/database], or rediss:// for TLS")]
pub struct NotARedisUrl;

impl Shared {
    /// Decides: what was asked for on the command line, then what the manifest names, then as little as is needed.
    #[must_use]
    pub fn choose(replicas: u16, asked: Option<String>, external: External) -> Self {
        match (asked, external) {
            (Some(url), _) | (None, External::Known(url)) => Self::Url(url),
            (None, External::NotNamed | External::Unknown) if replicas == 1 => Self::Memory,
            (None, External::NotNamed | External::Unknown) => Self::OwnServer,
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Memory => "Memory",
            Self::Url(_) => "Url(…)",
            Self::OwnServer => "OwnServer",
        })
    }
}

impl fmt::Debug for External {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotNamed => "NotNamed",
            Self::Unknown => "Unknown",
            Self::Known(_) => "Known(…)",
        })
    }
}

/// Whether this can be the URL of a Redis.
///
/// # Errors
/// [`NotARedisUrl`].
pub fn check_url(url: &str) -> Result<(), NotARedisUrl> {
    let rest = url.strip_prefix("redis://").or_else(|| url.strip_prefix("rediss://")).ok_or(NotARedisUrl)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    if host.is_empty() || host.starts_with(':') || url.chars().any(char::is_whitespace) {
        return Err(NotARedisUrl);
    }
    Ok(())
}

/// Where the gateways of a run find its own Redis.
#[must_use]
pub fn own_url(port: u16, password: &str) -> String {
    format!("redis://:{password}@127.0.0.1:{port}/")
}

/// The configuration of a run's own Redis: it forgets everything at its end, and nobody before.
///
/// The password stands here, in a file that only this user can read, and not on a command line that everybody can.
/// A message may be as large as what Redis lets a subscriber lag behind by default: it would cut every gateway off.
#[must_use]
pub fn own_configuration(port: u16, password: &str, directory: &Path) -> String {
    format!(
        "bind 127.0.0.1\n\
         port {port}\n\
         requirepass {password}\n\
         save \"\"\n\
         appendonly no\n\
         maxmemory-policy noeviction\n\
         client-output-buffer-limit pubsub 128mb 32mb 60\n\
         dir \"{}\"\n\
         loglevel warning\n",
        directory.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "redis://r:6379/";

    #[test]
    fn what_is_asked_for_wins_over_what_the_manifest_names() {
        let chosen = Shared::choose(1, Some(URL.into()), External::Known("redis://other/".into()));
        assert_eq!(chosen, Shared::Url(URL.into()));
        assert_eq!(Shared::choose(3, None, External::Known(URL.into())), Shared::Url(URL.into()));
    }

    #[test]
    fn one_gateway_needs_no_redis_and_several_bring_their_own() {
        for external in [External::NotNamed, External::Unknown] {
            assert_eq!(Shared::choose(1, None, external.clone()), Shared::Memory);
            assert_eq!(Shared::choose(2, None, external), Shared::OwnServer);
        }
    }

    #[test]
    fn urls_of_redis_are_told_from_others() {
        let good = [
            "redis://r",
            "rediss://user:p%40ss@r.example:6380/2",
            "redis://:word@127.0.0.1:6379/",
            "redis://[::1]:6379",
        ];
        for url in good {
            assert_eq!(check_url(url), Ok(()), "{url}");
        }
        for url in ["", "r:6379", "http://r", "redis://", "redis://:6379", "redis://a@", "redis://a b"] {
            assert_eq!(check_url(url), Err(NotARedisUrl), "{url}");
        }
    }

    #[test]
    fn no_credential_is_shown_by_debug() {
        let shown =
            format!("{:?} {:?}", Shared::Url("redis://:secret@r".into()), External::Known("redis://:secret@r".into()));
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn the_own_redis_lets_a_gateway_take_its_time_over_the_largest_message() {
        let text = own_configuration(7000, "word", Path::new("/tmp"));
        let limit = text.lines().find_map(|own| own.strip_prefix("client-output-buffer-limit pubsub ")).unwrap();
        let hard: i32 = limit.split("mb").next().unwrap().parse().unwrap();
        assert!((hard << 20) >= 2 * chatroom_api::MAX_MESSAGE_BYTES.max, "{limit}");
    }

    #[test]
    fn the_own_redis_listens_to_this_machine_only_and_asks_for_its_password() {
        let text = own_configuration(7000, "word", Path::new("/tmp/a b"));
        for line in
            ["bind 127.0.0.1", "port 7000", "requirepass word", "maxmemory-policy noeviction", "dir \"/tmp/a b\""]
        {
            assert!(text.lines().any(|own| own == line), "{line}");
        }
    }
}
