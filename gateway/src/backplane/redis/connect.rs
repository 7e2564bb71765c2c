//! Makes a connection: reads the credentials, connects, and checks that the room can be kept there.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chatroom_settings::{RedisBackplane, names};
use redis::aio::{MultiplexedConnection, SendError};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo as _, ProtocolVersion, PushInfo, PushKind,
    RedisConnectionInfo,
};
use tokio::sync::Notify;

use super::COMMAND;
use super::trouble::{self, When};
use crate::backplane::BackplaneError;

/// How `/status` names the file of the password.
const PASSWORD: &str = "redis/password";
/// How `/status` names the file of the URL.
const URL: &str = "redis/url";

/// What becomes of a message that the server pushes.
pub(super) type Pushed = Box<dyn Fn(PushInfo) + Send + Sync>;

/// Where Redis is and where its credentials stand.
#[derive(Clone, Debug)]
pub(super) struct Target {
    credentials: PathBuf,
    /// With the file of a password; absent: the file of a URL says it all.
    address: Option<String>,
}

impl Target {
    pub(super) fn new(settings: &RedisBackplane, credentials: &Path) -> Self {
        Self { credentials: credentials.to_owned(), address: settings.address.clone() }
    }

    /// Connects, with what the files say now. The notice comes when the connection is lost; `pushed` must not block.
    pub(super) async fn connect(
        &self,
        pushed: Option<Pushed>,
    ) -> Result<(MultiplexedConnection, Arc<Notify>), BackplaneError> {
        let info = self.read()?;
        let lost = Arc::new(Notify::new());
        let notice = Arc::clone(&lost);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(COMMAND))
            .set_response_timeout(Some(COMMAND))
            .set_push_sender(move |push: PushInfo| -> Result<(), SendError> {
                if push.kind == PushKind::Disconnection {
                    notice.notify_one();
                } else if let Some(pushed) = &pushed {
                    pushed(push);
                }
                Ok(())
            });
        let connect = async { Client::open(info)?.get_multiplexed_async_connection_with_config(&config).await };
        match tokio::time::timeout(COMMAND, connect).await {
            Ok(Ok(connection)) => Ok((connection, lost)),
            Ok(Err(error)) => Err(self.named(trouble::of(&error, When::Connecting))),
            Err(_) => Err(BackplaneError::Away(format!("no connection to Redis within {} s", COMMAND.as_secs()))),
        }
    }

    /// Puts the file into a refusal.
    pub(super) fn named(&self, error: BackplaneError) -> BackplaneError {
        match error {
            BackplaneError::CredentialsRefused { reason, .. } => {
                BackplaneError::CredentialsRefused { file: self.file(), reason }
            }
            other => other,
        }
    }

    /// The file, if nothing stands in it now. It is a few bytes on a memory-backed mount.
    pub(super) fn missing(&self) -> Option<&'static str> {
        match self.read() {
            Err(BackplaneError::CredentialsMissing(file)) => Some(file),
            _ => None,
        }
    }

    fn file(&self) -> &'static str {
        if self.address.is_some() { PASSWORD } else { URL }
    }

    fn read(&self) -> Result<ConnectionInfo, BackplaneError> {
        let settings = |redis: RedisConnectionInfo| {
            // What is published comes as a push, which only this version knows.
            redis.set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name()
        };
        let info = match &self.address {
            Some(address) => {
                let password = self.file_text(names::files::REDIS_PASSWORD, PASSWORD)?;
                let info = host_and_port(address)?;
                info.set_redis_settings(settings(RedisConnectionInfo::default().set_password(password)))
            }
            None => {
                let info = parse_url(&self.file_text(names::files::REDIS_URL, URL)?)?;
                let redis = settings(info.redis_settings().clone());
                info.set_redis_settings(redis)
            }
        };
        Ok(info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))
    }

    fn file_text(&self, file: &str, shown: &'static str) -> Result<String, BackplaneError> {
        match std::fs::read_to_string(self.credentials.join(file)) {
            Ok(text) if text.trim().is_empty() => Err(BackplaneError::CredentialsMissing(shown)),
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(BackplaneError::CredentialsMissing(shown)),
            Err(error) => Err(BackplaneError::Unsuitable(format!("failed to read the file {shown}: {error}"))),
        }
    }
}

fn host_and_port(address: &str) -> Result<ConnectionInfo, BackplaneError> {
    let wrong = || BackplaneError::Unsuitable(format!("the address of Redis is not host:port: {address}"));
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port: u16 = port.parse().map_err(|_| wrong())?;
    (host, port).into_connection_info().map_err(|_| wrong())
}

/// Never shows the URL: it holds a credential.
fn parse_url(text: &str) -> Result<ConnectionInfo, BackplaneError> {
    let wrong = |what: &str| {
        BackplaneError::Unsuitable(format!(
            "the file {URL} {what}; it should hold redis://[user:password@]host[:port][/database], or rediss:// for TLS"
        ))
    };
    let url = redis::parse_redis_url(text).ok_or_else(|| wrong("is no URL of a Redis"))?;
    if !matches!(url.scheme(), "redis" | "rediss") {
        return Err(wrong(&format!("begins with {}://", url.scheme())));
    }
    if url.fragment().is_some() {
        return Err(wrong("has a part behind #"));
    }
    // The library's words are constants here: host, database and encoding of the credentials.
    url.into_connection_info().map_err(|error| wrong(&format!("cannot be used ({})", error.category())))
}

/// Refuses a Redis that may throw away parts of the room.
pub(super) async fn check(connection: &MultiplexedConnection) -> Result<(), BackplaneError> {
    let mut command = redis::cmd("INFO");
    command.arg("memory");
    let memory: String =
        command.query_async(&mut connection.clone()).await.map_err(|error| trouble::of(&error, When::Connecting))?;
    match eviction_policy(&memory) {
        Some("noeviction") | None => Ok(()),
        Some(policy) => Err(BackplaneError::Unsuitable(format!(
            "maxmemory-policy of Redis is {policy} and has to be noeviction: it may throw away who is in the room"
        ))),
    }
}

fn eviction_policy(memory: &str) -> Option<&str> {
    memory.lines().find_map(|line| line.strip_prefix("maxmemory_policy:")).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(address: Option<&str>) -> (tempfile::TempDir, Target) {
        let directory = tempfile::tempdir().unwrap();
        let settings = RedisBackplane { key_prefix: "cr1:{u}:".into(), address: address.map(Into::into) };
        let target = Target::new(&settings, directory.path());
        (directory, target)
    }

    #[test]
    fn files_are_named_as_the_operator_mounts_them() {
        assert_eq!(PASSWORD, format!("redis/{}", names::files::REDIS_PASSWORD));
        assert_eq!(URL, format!("redis/{}", names::files::REDIS_URL));
    }

    #[test]
    fn a_file_that_is_not_there_or_empty_is_missing() {
        for (address, file, shown) in [(None, "url", URL), (Some("localhost:6379"), "password", PASSWORD)] {
            let (directory, target) = target(address);
            assert_eq!(target.read().unwrap_err(), BackplaneError::CredentialsMissing(shown));
            std::fs::write(directory.path().join(file), " \n").unwrap();
            assert_eq!(target.read().unwrap_err(), BackplaneError::CredentialsMissing(shown));
        }
    }

    #[test]
    fn a_password_goes_with_the_address_of_the_settings() {
        let (directory, target) = target(Some("[::1]:7000"));
        std::fs::write(directory.path().join("password"), "secret\n").unwrap();
        let info = target.read().unwrap();
        assert_eq!(info.addr().to_string(), "::1:7000");
        assert_eq!(info.redis_settings().password(), Some("secret"));
    }

    #[test]
    fn a_url_that_cannot_be_used_is_explained_without_showing_it() {
        let (directory, target) = target(None);
        for url in [
            "hunter2",
            "http://u:hunter2@redis:6379",
            "redis+unix:///hunter2",
            "redis://:hunter2@",
            "unix:///hunter2",
            "rediss://u:hunter2@redis:6379/#insecure",
            "redis://u:hunter2@redis:6379/hunter2",
            "redis://hunter2:x",
        ] {
            std::fs::write(directory.path().join("url"), url).unwrap();
            let error = target.read().unwrap_err();
            assert!(matches!(error, BackplaneError::Unsuitable(_)), "{url}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_url_may_hold_a_user_a_database_and_tls() {
        let (directory, target) = target(None);
        std::fs::write(directory.path().join("url"), "rediss://gw:p%40ss@redis.example.com:6380/3\n").unwrap();
        let info = target.read().unwrap();
        let redis = info.redis_settings();
        assert_eq!((redis.username(), redis.password(), redis.db()), (Some("gw"), Some("p@ss"), 3));
        assert_eq!(info.addr().to_string(), "redis.example.com:6380");
    }

    #[test]
    fn the_eviction_policy_is_found_among_other_facts() {
        assert_eq!(
            eviction_policy("# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:volatile-lru\r\n"),
            Some("volatile-lru")
        );
    }
}
