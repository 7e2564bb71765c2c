//! `chatroom local`: runs the gateways of a room as processes on this machine.
//!
//! The manifest takes the same road as in a cluster, through the same validation to the same settings; only the last
//! steps differ: files instead of a ConfigMap, processes instead of pods, this program instead of a kubelet. What is
//! decided is pure ([`plan`], [`backplane`], [`announce`]); what is done is in [`machine`], [`kept`] and [`running`].

pub mod backplane;
pub mod plan;

pub mod announce;
pub mod function_secrets;
pub mod push_keys;

pub mod keeper;
mod kept;
mod machine;
mod probe;
mod running;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use chatroom_settings::names::files;
use clap::Args;
use tempfile::TempDir;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub use machine::Lacking;
pub use plan::Output;
pub use running::EndedEarly;

use backplane::{External, NotARedisUrl, Shared};
use function_secrets::{FunctionSecrets, NotForFunctions, Roots, SigningKeys};
use plan::{Credentials, NoSuchPort, Plan, Wishes};
use push_keys::{NoPushKeys, PushKeys};
use running::{OwnRedis, Programs, Running};

use super::manifest::Manifest;
use crate::desired::settings;
use crate::names::Names;
use crate::room::{self, ExternalRedis, Overrides, Redis, Room};

/// Below the run's directory: the configuration of its own Redis.
const REDIS_CONFIGURATION: &str = "server/redis.conf";

/// What `chatroom local` is told.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Options {
    /// The manifest of the room; Secrets that it names are further documents of the file.
    #[arg(value_name = "ROOM.yaml")]
    pub file: PathBuf,

    /// Where clients connect; replica i listens on this port + 10·i, for pushes one above, and for probes and metrics two above.
    #[arg(long, value_name = "PORT", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,

    /// The address of all ports.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub bind: IpAddr,

    /// The Redis that the replicas share: redis://[user:password@]host[:port][/database], or rediss:// for TLS.
    ///
    /// Absent: the external Redis of the manifest, if the file holds the Secret with its URL; else one replica needs none,
    /// and several get a redis-server from PATH that ends with them.
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,

    /// How many gateways, whatever the manifest says.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub replicas: u16,

    /// For whom the output is.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// What stands for the uid that an API server would give a room: two runs of one name on one Redis are one room.
#[must_use]
pub fn uid(name: &str) -> String {
    format!("local-{name}")
}

/// Runs a room until a signal comes, then lets its clients go and ends everything.
///
/// # Errors
/// See [`LocalError`]. Whatever was started has ended then as well.
pub async fn run(manifest: &Manifest, room: &Room, options: &Options) -> Result<(), LocalError> {
    // Before anything is started: a signal that came earlier than its handler would leave the files behind.
    let mut stops = Stops::listen().map_err(LocalError::system("listen for signals"))?;
    let shared = shared(manifest, room, options)?;
    let keys = push_keys(manifest, room)?;
    let functions = function_secrets(manifest, room)?;
    let plan = plan(room, options, &shared, &functions)?;
    machine::check_ports(&plan)?;
    let (programs, directory) = prepare(&plan, room, &shared, (&keys, &functions))?;
    let mut running = Running::start(&programs, directory, options.output);
    let ready = tokio::select! {
        ready = running.until_ready(&plan, &programs) => Some(ready),
        () = stops.next() => None,
    };
    let done = match ready {
        Some(Ok(pids)) => {
            announce(&announce::announcement(&plan, &pids, &keys, options.output));
            running.until_stopped(&mut stops).await;
            Ok(())
        }
        Some(Err(ended)) => Err(ended.into()),
        None => Ok(()),
    };
    running.end(&mut stops).await;
    done
}

/// What the gateways share, from the command line and the manifest.
fn shared(manifest: &Manifest, room: &Room, options: &Options) -> Result<Shared, LocalError> {
    let Options { replicas, redis, .. } = options;
    if let Some(url) = redis {
        check_url("--redis", url)?;
    }
    let external = match &room.redis {
        Redis::Ephemeral(_) => External::NotNamed,
        Redis::External(external) => external_url(manifest, external)?,
    };
    let left_out = external == External::Unknown && redis.is_none();
    let shared = Shared::choose(*replicas, redis.clone(), external);
    if left_out {
        let instead = if shared == Shared::Memory { "no Redis" } else { "a Redis of this run's own" };
        say(&format!("the Secret of spec.redis.external.urlSecretRef is not in the file: {instead} is used instead"));
    }
    Ok(shared)
}

fn external_url(manifest: &Manifest, redis: &ExternalRedis) -> Result<External, LocalError> {
    let ExternalRedis { secret_name, secret_key, .. } = redis;
    if !manifest.has_secret(secret_name) {
        return Ok(External::Unknown);
    }
    let place = format!("key {secret_key} of Secret {secret_name}");
    let value = manifest.secret(secret_name, secret_key).and_then(|value| std::str::from_utf8(value).ok());
    // A newline at its end is what an editor leaves behind.
    let url = value.unwrap_or_default().trim();
    check_url(&place, url)?;
    Ok(External::Known(url.to_owned()))
}

/// Those of the Secret that the room names, if it is in the file; else one that is made up.
fn push_keys(manifest: &Manifest, room: &Room) -> Result<PushKeys, LocalError> {
    match &room.push.secret_name {
        Some(name) if manifest.has_secret(name) => {
            let value = manifest.secret(name, files::PUSH_KEYS).and_then(|value| std::str::from_utf8(value).ok());
            PushKeys::parse(value.unwrap_or_default())
                .map_err(|reason| LocalError::NoPushKeys { secret: name.clone(), reason })
        }
        Some(_) => {
            say("the Secret of spec.push.secretName is not in the file: a push key is made up instead");
            random_word().map(PushKeys::made_up)
        }
        None => random_word().map(PushKeys::made_up),
    }
}

/// Those of the Secrets that the room names, as far as they are in the file. What is not is left out, aloud: nobody could make up
/// a key that the functions know.
fn function_secrets(manifest: &Manifest, room: &Room) -> Result<FunctionSecrets, LocalError> {
    let Some(functions) = &room.functions else { return Ok(FunctionSecrets::default()) };
    let text = |secret: &str, key: &str| {
        let value = manifest.secret(secret, key).and_then(|value| std::str::from_utf8(value).ok());
        value.unwrap_or_default().to_owned()
    };
    let wrong = |secret: &str, key: &str, reason| LocalError::NotForFunctions {
        place: format!("key {key} of Secret {secret}"),
        reason,
    };
    let mut found = FunctionSecrets::default();
    if let Some(secret) = &functions.signing_secret {
        if manifest.has_secret(secret) {
            let keys = SigningKeys::parse(&text(secret, files::SIGNING_KEYS));
            found.signing_keys = Some(keys.map_err(|reason| wrong(secret, files::SIGNING_KEYS, reason))?);
        } else {
            say("the Secret of spec.functions.signingSecretRef is not in the file: calls are not signed");
        }
    }
    if let Some(room::Roots { secret_name, secret_key }) = &functions.roots {
        if manifest.has_secret(secret_name) {
            let roots = Roots::parse(&text(secret_name, secret_key));
            found.roots = Some(roots.map_err(|reason| wrong(secret_name, secret_key, reason))?);
        } else {
            say("the Secret of spec.functions.caSecretRef is not in the file: public authorities alone are trusted");
        }
    }
    Ok(found)
}

fn check_url(place: &str, url: &str) -> Result<(), LocalError> {
    backplane::check_url(url).map_err(|reason| LocalError::NotARedisUrl { place: place.to_owned(), reason })
}

fn plan(room: &Room, options: &Options, shared: &Shared, functions: &FunctionSecrets) -> Result<Plan, LocalError> {
    let Options { replicas, bind, port, output, .. } = *options;
    let run = random_word()?;
    let cold = settings::cold(room, settings::backplane(&Names::new(&room.identity), room));
    let cold = functions.limit(cold);
    Ok(Plan::new(cold, settings::hot(room), Wishes { replicas, bind, port, output, shared, run: &run })?)
}

/// Finds the programs and writes the files.
fn prepare(
    plan: &Plan,
    room: &Room,
    shared: &Shared,
    (push_keys, functions): (&PushKeys, &FunctionSecrets),
) -> Result<(Programs, TempDir), LocalError> {
    let own = std::env::current_exe().map_err(LocalError::system("find this program"))?;
    let gateway = machine::find_gateway(&own)?;
    let server = match shared {
        Shared::OwnServer => Some(OwnServer::plan()?),
        Shared::Memory | Shared::Url(_) => None,
    };
    let url = match (shared, &server) {
        (Shared::Url(url), _) => Some(url.clone()),
        (_, Some(server)) => Some(backplane::own_url(server.port, &server.password)),
        (_, None) => None,
    };
    let cannot_write = LocalError::system("write the settings into a directory of this run's own");
    let files = plan.files(&Credentials { redis_url: url.as_deref(), push_keys, functions });
    let directory = machine::private_directory(&plan.room, &files).map_err(&cannot_write)?;
    let mut redis = None;
    if let Some(server) = server {
        let file = Path::new(REDIS_CONFIGURATION);
        let text = backplane::own_configuration(server.port, &server.password, directory.path());
        machine::write(directory.path(), file, &text).map_err(&cannot_write)?;
        let OwnServer { program, port, .. } = server;
        redis = Some(OwnRedis { program, configuration: directory.path().join(file), port });
    }
    Ok((Programs { own, gateway, environment: environment(room), redis }, directory))
}

/// A Redis of the run's own.
struct OwnServer {
    program: OsString,
    port: u16,
    password: String,
}

impl OwnServer {
    fn plan() -> Result<Self, LocalError> {
        let port = machine::free_port().map_err(LocalError::system("find a port for Redis"))?;
        Ok(Self { program: machine::find_redis()?, port, password: random_word()? })
    }
}

/// The variables that the room gives its gateways by value. What is about objects of a cluster is left out, aloud.
fn environment(room: &Room) -> Vec<(String, String)> {
    let (elsewhere, here): (Vec<_>, Vec<_>) = room.pod.env.iter().partition(|variable| variable.value_from.is_some());
    for variable in elsewhere {
        say(&format!("spec.pod.env: {} comes from an object of a cluster and is left out", variable.name));
    }
    if !room.pod.env_from.is_empty() {
        say("spec.pod.envFrom: names objects of a cluster and is left out");
    }
    if room.overrides != Overrides::default() {
        say("spec.overrides: is about objects of a cluster and is left out");
    }
    here.into_iter().map(|variable| (variable.name.clone(), variable.value.clone().unwrap_or_default())).collect()
}

/// 32 random hex digits.
fn random_word() -> Result<String, LocalError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| LocalError::System { what: "draw a random number", source: error.into() })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// Prints to standard output. Whoever closed it does not want to know.
fn announce(text: &str) {
    let mut output = io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}

/// Why a room did not run, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// There are not that many ports.
    #[error(transparent)]
    NoSuchPort(#[from] NoSuchPort),
    /// What was given as the URL of a Redis is none.
    #[error("{place} {reason}")]
    NotARedisUrl {
        /// Where it was given.
        place: String,
        /// What would be right.
        reason: NotARedisUrl,
    },
    /// The Secret of the push keys holds none.
    #[error("key keys of Secret {secret} {reason}")]
    NoPushKeys {
        /// Its name.
        secret: String,
        /// What would be right.
        reason: NoPushKeys,
    },
    /// A Secret holds nothing that functions could be called with.
    #[error("{place} {reason}")]
    NotForFunctions {
        /// The key and the Secret.
        place: String,
        /// What would be right.
        reason: NotForFunctions,
    },
    /// This machine lacks something.
    #[error(transparent)]
    Lacking(#[from] Lacking),
    /// A process ended too early.
    #[error(transparent)]
    EndedEarly(#[from] EndedEarly),
    /// The system refused.
    #[error("failed to {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl LocalError {
    /// Whether something else has to be asked for, in the file or on the command line.
    #[must_use]
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::NoSuchPort(_)
            | Self::NotARedisUrl { .. }
            | Self::NoPushKeys { .. }
            | Self::NotForFunctions { .. }
            | Self::Lacking(_) => true,
            Self::EndedEarly(_) | Self::System { .. } => false,
        }
    }

    fn system(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

/// SIGINT and SIGTERM: the first lets clients go and ends everything, the next one does not wait.
#[derive(Debug)]
pub struct Stops {
    interrupt: Signal,
    terminate: Signal,
}

impl Stops {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// One line to whoever watches. Standard error may be closed; then there is nobody to tell.
fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
