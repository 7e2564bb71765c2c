//! A room that runs on this machine: its processes, from the first to the last.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::kept::{Ended, Kept, Kind, MakeCommand};
use super::plan::{Output, Plan, Replica};
use super::probe::Probe;
use super::{Stops, say};

/// Ends that wait to be told. Full, an ended process waits a little longer for its next start: nothing is lost.
const UNTOLD_ENDS: usize = 16;
/// Seconds that a gateway has beyond its drain, as in a cluster, before it is killed.
const BEYOND_DRAIN_SECONDS: u32 = 30;
/// Neither the keeper nor a Redis without a disk has anything to do at its end.
const KEEPER_GRACE: Duration = Duration::from_secs(5);

/// When this process is killed, the gateways still have the ends of their connections to write.
const LINGER_SECONDS: u16 = 5;
/// Between two looks whether Redis listens.
const BETWEEN_CONNECTS: Duration = Duration::from_millis(20);

/// What is started.
#[derive(Debug)]
pub(super) struct Programs {
    /// This program: it is the keeper as well.
    pub own: PathBuf,
    /// The gateway.
    pub gateway: OsString,
    /// Variables that the room gives its gateways.
    pub environment: Vec<(String, String)>,
    /// The Redis, when the run has its own.
    pub redis: Option<OwnRedis>,
}

/// How a Redis of the run's own is started and found.
#[derive(Debug)]
pub(super) struct OwnRedis {
    /// The program.
    pub program: OsString,
    /// The path of its configuration.
    pub configuration: PathBuf,
    /// The port that stands there.
    pub port: u16,
}

/// A process that ended before the room was ready: it would do so again.
#[derive(Debug, thiserror::Error)]
#[error("{name} {how} before all gateways were ready; its own words stand above")]
pub struct EndedEarly {
    name: String,
    how: String,
}

/// All processes of a run. Dropped without [`Running::end`] they are killed.
#[derive(Debug)]
pub(super) struct Running {
    gateways: Vec<Kept>,
    keeper: Kept,
    ended: mpsc::Receiver<Ended>,
    told: mpsc::Sender<Ended>,
    output: Output,
    // Gone last: the processes read what is in it.
    directory: TempDir,
}

impl Running {
    /// Starts the keeper and the Redis; the gateways come with [`Running::until_ready`].
    #[must_use]
    pub(super) fn start(programs: &Programs, directory: TempDir, output: Output) -> Self {
        let (told, ended) = mpsc::channel(UNTOLD_ENDS);
        let name = if programs.redis.is_some() { "redis" } else { "keeper" }.into();
        let command = command(keeper_words(programs, directory.path()), &[]);
        let keeper = Kept::start(Kind { name, command, grace: KEEPER_GRACE, output }, told.clone());
        Self { gateways: Vec::new(), keeper, ended, told, output, directory }
    }

    /// Starts the gateways and waits until each of them takes clients; answers their process ids.
    ///
    /// # Errors
    /// When a process ends meanwhile.
    pub(super) async fn until_ready(&mut self, plan: &Plan, programs: &Programs) -> Result<Vec<u32>, EndedEarly> {
        let Self { gateways, ended, told, output, directory, .. } = self;
        let all_ready = async {
            // Earlier they would be up as well, but say that they are not and try again only after a second.
            if let Some(redis) = &programs.redis {
                until_listening(redis.port).await;
            }
            gateways.extend(plan.replicas.iter().map(|replica| {
                Kept::start(gateway_kind(plan, replica, programs, directory.path(), *output), told.clone())
            }));
            let probe = Probe::new();
            join_all(plan.replicas.iter().map(|replica| {
                let tell = |why| say(&format!("{} is not ready: {why}", replica.pod_name));
                let url = replica.internal_url();
                let probe = &probe;
                async move { probe.until_ready(&url, tell).await }
            }))
            .await;
        };
        let early = tokio::select! {
            () = all_ready => None,
            early = ended.recv() => early,
        };
        match early {
            Some(Ended { name, how }) => Err(EndedEarly { name, how }),
            None => Ok(self.gateways.iter().filter_map(Kept::pid).collect()),
        }
    }

    /// Tells of every process that ends and is started again, until the run shall stop.
    pub(super) async fn until_stopped(&mut self, stops: &mut Stops) {
        loop {
            tokio::select! {
                () = stops.next() => return,
                Some(Ended { name, how }) = self.ended.recv() => say(&format!("{name} {how}; it starts again in a second")),
            }
        }
    }

    /// Lets the clients go, then ends everything; another signal ends it at once.
    pub(super) async fn end(mut self, stops: &mut Stops) {
        // Whoever ends now was asked to; nobody reads about it, so nobody may wait for a reader.
        self.ended.close();
        end_all(&mut self.gateways, stops).await;
        // The gateways wrote to it until they were gone.
        end_all(std::slice::from_mut(&mut self.keeper), stops).await;
    }
}

async fn end_all(kept: &mut [Kept], stops: &mut Stops) {
    kept.iter().for_each(Kept::end);
    // The ends are waited for together, and each only once.
    let handles: Vec<_> = kept.iter().map(Kept::killer).collect();
    let mut all = std::pin::pin!(join_all(kept.iter_mut().map(Kept::ended)));
    loop {
        tokio::select! {
            _ = &mut all => return,
            () = stops.next() => handles.iter().for_each(|kill| kill()),
        }
    }
}

/// The keeper holds the Redis, if there is one, and removes the directory should this process be killed.
fn keeper_words(programs: &Programs, directory: &Path) -> Vec<OsString> {
    let linger = format!("--linger-seconds={LINGER_SECONDS}").into();
    let mut words = vec![programs.own.clone().into(), "keep".into(), linger, "--remove".into(), directory.into()];
    if let Some(OwnRedis { program, configuration, .. }) = &programs.redis {
        words.extend([program.clone(), configuration.clone().into()]);
    }
    words
}

async fn until_listening(port: u16) {
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
        sleep(BETWEEN_CONNECTS).await;
    }
}

fn gateway_kind(plan: &Plan, replica: &Replica, programs: &Programs, directory: &Path, output: Output) -> Kind {
    let arguments = plan.arguments(replica, directory).into_iter().map(OsString::from);
    let words = std::iter::once(programs.gateway.clone()).chain(arguments).collect();
    let seconds = plan.cold.drain.timeout_seconds.saturating_add(BEYOND_DRAIN_SECONDS);
    Kind {
        name: replica.pod_name.clone(),
        command: command(words, &programs.environment),
        grace: Duration::from_secs(seconds.into()),
        output,
    }
}

fn command(words: Vec<OsString>, environment: &[(String, String)]) -> MakeCommand {
    let environment = environment.to_vec();
    Box::new(move || {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).envs(environment.iter().cloned());
        command
    })
}
