//! Pure: which gateways run where, and what each of them is told.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use chatroom_settings::names::files;
use chatroom_settings::{Backplane, Cold, Hot, LogFormat};
use clap::ValueEnum;
use sha2::{Digest as _, Sha256};

use super::backplane::Shared;
use super::function_secrets::FunctionSecrets;
use super::push_keys::PushKeys;
use crate::hex::hex;

/// Between the ports of two replicas, so that a person reads the replica off the port.
const STEP: u16 = 10;
/// From a replica's port for clients to the one for pushes.
const PUSH: u16 = 1;
/// From a replica's port for clients to its internal one.
const INTERNAL: u16 = 2;

/// Everything that a run of a room on this machine will be, decided before anything is started.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Name of the room.
    pub room: String,
    /// What all replicas are told for life.
    pub cold: Cold,
    /// What all replicas are told and may be told anew.
    pub hot: Hot,
    /// The gateways, in the order of their ports; never empty.
    pub replicas: Vec<Replica>,
}

/// One gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its place, from 0.
    pub index: u16,
    /// Where clients connect.
    pub clients: SocketAddr,
    /// Where other programs push.
    pub push: SocketAddr,
    /// Where probes and metrics are.
    pub internal: SocketAddr,
    /// What it is called in logs.
    pub pod_name: String,
    /// By this a gateway that is started again recognises what it left behind.
    pub pod_uid: String,
}

/// What only the gateways may read.
pub struct Credentials<'a> {
    /// Where they find their Redis; absent: they need none.
    pub redis_url: Option<&'a str>,
    /// Who may push.
    pub push_keys: &'a PushKeys,
    /// What the room's functions are called with.
    pub functions: &'a FunctionSecrets,
}

/// A port that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{replicas} replicas from port {port} on would need ports above 65535: use --port {highest} or lower")]
pub struct NoSuchPort {
    port: u16,
    replicas: u16,
    highest: u16,
}

/// For whom the output is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// People: lines to read, and the gateways' logs with the replica before each line.
    #[default]
    Text,
    /// Programs: one line of JSON when all gateways are ready; logs as the gateways write them.
    Json,
}

/// What a run is told from outside.
#[derive(Clone, Copy, Debug)]
pub struct Wishes<'a> {
    /// How many gateways; at least 1.
    pub replicas: u16,
    /// The address of all ports.
    pub bind: IpAddr,
    /// The first port.
    pub port: u16,
    /// For whom the output is.
    pub output: Output,
    /// What carries messages between the gateways.
    pub shared: &'a Shared,
    /// Unlike any other run's: two runs of one room must not take each other's gateways for their own predecessors.
    pub run: &'a str,
}

impl Plan {
    /// Lays out the run of a room whose settings are `cold` and `hot`.
    ///
    /// # Errors
    /// When the ports do not suffice.
    pub fn new(cold: Cold, hot: Hot, wishes: Wishes<'_>) -> Result<Self, NoSuchPort> {
        let Wishes { replicas, bind, port, output, shared, run } = wishes;
        let room = cold.room.name.clone();
        let replicas = (0..replicas)
            .map(|index| {
                let first = index.checked_mul(STEP).and_then(|offset| port.checked_add(offset));
                let beside = |clients: u16| Some((clients, clients.checked_add(PUSH)?, clients.checked_add(INTERNAL)?));
                let (clients, push, internal) = first.and_then(beside).ok_or(NoSuchPort {
                    port,
                    replicas,
                    highest: (u16::MAX - INTERNAL).saturating_sub((replicas - 1).saturating_mul(STEP)),
                })?;
                Ok(Replica {
                    index,
                    clients: SocketAddr::new(bind, clients),
                    push: SocketAddr::new(bind, push),
                    internal: SocketAddr::new(bind, internal),
                    pod_name: format!("{room}-{index}"),
                    pod_uid: format!("local-{room}-{index}-{run}"),
                })
            })
            .collect::<Result<_, _>>()?;
        let backplane = match (shared, cold.backplane) {
            // Whether it is the room's own Redis or another: locally its whole URL stands in the credentials' directory.
            (Shared::Url(_) | Shared::OwnServer, Backplane::Redis(mut redis)) => {
                redis.address = None;
                Backplane::Redis(redis)
            }
            (Shared::Memory, _) | (_, Backplane::Memory) => Backplane::Memory,
        };
        let log_format = match output {
            Output::Text => LogFormat::Text,
            Output::Json => cold.log_format,
        };
        Ok(Self { room, cold: Cold { backplane, log_format, ..cold }, hot, replicas })
    }

    /// The files that the gateways read, each with its path below the run's directory.
    ///
    /// # Panics
    /// Never: settings are maps with text keys, which YAML can hold.
    #[must_use]
    pub fn files(&self, credentials: &Credentials<'_>) -> Vec<(PathBuf, String)> {
        let cold = serde_yaml::to_string(&self.cold).expect("settings can be written as YAML");
        let hot = serde_yaml::to_string(&self.hot).expect("settings can be written as YAML");
        let keys = (push_directory().join(files::PUSH_KEYS), credentials.push_keys.lines());
        let mut files = vec![(cold_file(), cold), (hot_file(), hot), keys];
        let FunctionSecrets { signing_keys, roots } = credentials.functions;
        files.extend(
            signing_keys.as_ref().map(|keys| (signing_directory().join(files::SIGNING_KEYS), keys.lines().to_owned())),
        );
        files.extend(roots.as_ref().map(|roots| (ca_directory().join(files::CA_FILE), roots.pem().to_owned())));
        files.extend(credentials.redis_url.map(|url| (redis_directory().join(files::REDIS_URL), url.to_owned())));
        files
    }

    /// What a gateway is told on its command line, when the run's files lie below `directory`.
    #[must_use]
    pub fn arguments(&self, replica: &Replica, directory: &Path) -> Vec<String> {
        let path = |inside: PathBuf| directory.join(inside).display().to_string();
        [
            ("--cold-file", path(cold_file())),
            ("--hot-file", path(hot_file())),
            ("--redis-directory", path(redis_directory())),
            ("--push-directory", path(push_directory())),
            ("--signing-directory", path(signing_directory())),
            ("--ca-directory", path(ca_directory())),
            ("--bind", replica.clients.ip().to_string()),
            ("--client-port", replica.clients.port().to_string()),
            ("--push-port", replica.push.port().to_string()),
            ("--internal-port", replica.internal.port().to_string()),
            ("--pod-name", replica.pod_name.clone()),
            ("--pod-uid", replica.pod_uid.clone()),
            ("--template-hash", self.template_hash()),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .chain(["--exit-with-stdin".to_owned()])
        .collect()
    }

    /// Names what a pod template would be: two runs of one room with different settings are two versions of it.
    fn template_hash(&self) -> String {
        let text = serde_yaml::to_string(&self.cold).expect("settings can be written as YAML");
        hex(&Sha256::digest(text)[..5])
    }
}

impl Replica {
    /// Where a client on this machine connects.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", reachable(self.clients))
    }

    /// Where a browser on this machine finds the page.
    #[must_use]
    pub fn page_url(&self, path: &str) -> String {
        format!("http://{}{path}", reachable(self.clients))
    }

    /// Where a program on this machine pushes. Without a key.
    #[must_use]
    pub fn push_url(&self) -> String {
        format!("http://{}/push", reachable(self.push))
    }

    /// Where probes and metrics are asked on this machine.
    #[must_use]
    pub fn internal_url(&self) -> String {
        format!("http://{}", reachable(self.internal))
    }
}

/// "All addresses" is no address to connect to; the loopback one is among them.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(ip, address.port())
}

fn cold_file() -> PathBuf {
    Path::new("cold").join(files::COLD_FILE)
}

fn hot_file() -> PathBuf {
    Path::new("hot").join(files::HOT_FILE)
}

fn redis_directory() -> PathBuf {
    PathBuf::from("redis")
}

fn push_directory() -> PathBuf {
    PathBuf::from("push")
}

fn signing_directory() -> PathBuf {
    PathBuf::from("signing")
}

fn ca_directory() -> PathBuf {
    PathBuf::from("ca")
}

#[cfg(test)]
pub(super) mod tests {
    use chatroom_settings::{Broadcast, Drain, Limits, Push, RedisBackplane, RoomIdentity};

    use super::super::function_secrets::{Roots, SigningKeys};
    use super::*;

    fn cold() -> Cold {
        Cold {
            room: RoomIdentity { name: "lobby".into(), namespace: "default".into(), uid: "local-lobby".into() },
            path: "/chat".into(),
            web_client: true,
            broadcast: Broadcast { exclude_sender: true, online_suffix: None },
            ping_interval_seconds: 25,
            functions: None,
            push: Push::default(),
            backplane: Backplane::Redis(RedisBackplane {
                key_prefix: "cr1:{local-lobby}:".into(),
                address: Some("lobby-redis.default.svc:6379".into()),
            }),
            drain: Drain { timeout_seconds: 120 },
            log_format: LogFormat::Json,
        }
    }

    fn hot() -> Hot {
        let limits = Limits {
            max_connections_per_pod: 10,
            max_message_bytes: 100,
            max_pending_bytes: 65_536,
            slow_seconds: 10,
            idle_timeout_seconds: None,
            max_connection_age_seconds: None,
        };
        Hot { log_filter: "info".into(), allowed_origins: None, limits }
    }

    pub(in crate::tool::local) fn wishes(shared: &Shared) -> Wishes<'_> {
        let bind = Ipv4Addr::LOCALHOST.into();
        Wishes { replicas: 3, bind, port: 8080, output: Output::Json, shared, run: "5eed" }
    }

    pub(in crate::tool::local) fn plan(wishes: Wishes<'_>) -> Plan {
        Plan::new(cold(), hot(), wishes).unwrap()
    }

    #[test]
    fn each_replica_has_its_own_ten_ports() {
        let plan = plan(wishes(&Shared::OwnServer));
        let ports: Vec<_> =
            plan.replicas.iter().map(|it| (it.clients.port(), it.push.port(), it.internal.port())).collect();
        assert_eq!(ports, [(8080, 8081, 8082), (8090, 8091, 8092), (8100, 8101, 8102)]);
    }

    #[test]
    fn ports_that_do_not_exist_are_refused_with_the_highest_that_works() {
        let refused = Plan::new(cold(), hot(), Wishes { port: 65520, ..wishes(&Shared::OwnServer) }).unwrap_err();
        assert_eq!(refused.highest, 65513);
        assert!(Plan::new(cold(), hot(), Wishes { port: 65513, ..wishes(&Shared::OwnServer) }).is_ok());
        assert!(Plan::new(cold(), hot(), Wishes { port: 65514, ..wishes(&Shared::OwnServer) }).is_err());
        assert!(Plan::new(cold(), hot(), Wishes { replicas: u16::MAX, ..wishes(&Shared::OwnServer) }).is_err());
    }

    #[test]
    fn a_shared_redis_is_found_by_its_url_and_keeps_the_rooms_prefix() {
        for shared in [Shared::OwnServer, Shared::Url("redis://r".into())] {
            let Backplane::Redis(redis) = plan(wishes(&shared)).cold.backplane else { panic!("redis was wished") };
            assert_eq!((redis.key_prefix.as_str(), redis.address), ("cr1:{local-lobby}:", None));
        }
        assert_eq!(plan(wishes(&Shared::Memory)).cold.backplane, Backplane::Memory);
    }

    #[test]
    fn people_get_logs_for_people_and_programs_what_the_room_says() {
        let people = plan(Wishes { output: Output::Text, ..wishes(&Shared::Memory) });
        assert_eq!(people.cold.log_format, LogFormat::Text);
        assert_eq!(plan(wishes(&Shared::Memory)).cold.log_format, LogFormat::Json);
    }

    #[test]
    fn the_files_hold_the_settings_and_the_credentials_have_their_own() {
        let plan = plan(wishes(&Shared::OwnServer));
        let keys = PushKeys::parse("secret-key-new-1\nsecret-key-old-1").unwrap();
        let functions = FunctionSecrets {
            signing_keys: Some(SigningKeys::parse("whsec_secretsecretsecretsecretsecretse").unwrap()),
            roots: Some(Roots::parse("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----").unwrap()),
        };
        let credentials =
            Credentials { redis_url: Some("redis://:secret@127.0.0.1:7000/"), push_keys: &keys, functions: &functions };
        let files = plan.files(&credentials);
        let paths: Vec<_> = files.iter().map(|(path, _)| path.to_str().unwrap()).collect();
        assert_eq!(paths, ["cold/cold.yaml", "hot/hot.yaml", "push/keys", "signing/keys", "ca/ca.crt", "redis/url"]);
        assert_eq!(serde_yaml::from_str::<Cold>(&files[0].1).unwrap(), plan.cold);
        assert_eq!(serde_yaml::from_str::<Hot>(&files[1].1).unwrap(), plan.hot);
        assert!(!files[0].1.contains("secret") && !files[1].1.contains("secret"));
        assert_eq!(files[2].1, "secret-key-new-1\nsecret-key-old-1");
        assert_eq!(files[3].1, "whsec_secretsecretsecretsecretsecretse");
        let none = FunctionSecrets::default();
        assert_eq!(plan.files(&Credentials { redis_url: None, functions: &none, ..credentials }).len(), 3);
    }

    #[test]
    fn a_gateway_is_told_where_everything_is_and_to_end_with_its_parent() {
        let plan = plan(wishes(&Shared::OwnServer));
        let arguments = plan.arguments(&plan.replicas[1], Path::new("/tmp/run"));
        let text = arguments.join(" ");
        for part in [
            "--cold-file /tmp/run/cold/cold.yaml",
            "--hot-file /tmp/run/hot/hot.yaml",
            "--redis-directory /tmp/run/redis",
            "--push-directory /tmp/run/push --signing-directory /tmp/run/signing --ca-directory /tmp/run/ca",
            "--bind 127.0.0.1 --client-port 8090 --push-port 8091 --internal-port 8092",
            "--pod-name lobby-1 --pod-uid local-lobby-1-5eed",
            "--exit-with-stdin",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn another_version_of_the_room_has_another_template_hash() {
        let one = plan(wishes(&Shared::OwnServer));
        let mut other = one.clone();
        assert_eq!(one.template_hash(), other.template_hash());
        other.cold.ping_interval_seconds += 1;
        assert_ne!(one.template_hash(), other.template_hash());
    }

    #[test]
    fn urls_lead_to_an_address_that_one_can_connect_to() {
        let everywhere = plan(Wishes { bind: Ipv4Addr::UNSPECIFIED.into(), ..wishes(&Shared::Memory) });
        assert_eq!(everywhere.replicas[0].url("/chat"), "ws://127.0.0.1:8080/chat");
        let six = plan(Wishes { bind: Ipv6Addr::UNSPECIFIED.into(), ..wishes(&Shared::Memory) });
        assert_eq!(six.replicas[0].internal_url(), "http://[::1]:8082");
        assert_eq!(six.replicas[0].page_url("/"), "http://[::1]:8080/");
    }
}
