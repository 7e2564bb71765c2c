//! `chatroom local`: runs the gateways of a room as processes on this machine.
//!
//! The manifest takes the same road as in a cluster, through the same validation to the same settings; only the last
//! steps differ: files instead of a ConfigMap, processes instead of pods, this program instead of a kubelet. What is
//! decided is pure ([`plan`], [`backplane`], [`announce`]); what is done is in [`machine`], [`kept`] and [`running`].

pub mod backplane;
pub mod plan;

pub mod announce;

pub mod keeper;
mod kept;
mod machine;
mod probe;
mod running;

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub use announce::Output;
pub use machine::Lacking;
pub use running::EndedEarly;

use backplane::{External, NotARedisUrl, Shared};
use plan::{NoSuchPort, Plan, Wishes};
use running::{Programs, Running};

/// What `chatroom local` is told.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Options {
    /// The manifest of the room; Secrets that it names are further documents of the file.
    #[arg(value_name = "ROOM.yaml")]
    pub file: PathBuf,

    /// Where clients connect; replica i listens on this port + 10·i, and for probes and metrics two above.
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
            Self::NoSuchPort(_) | Self::NotARedisUrl { .. } | Self::Lacking(_) => true,
            Self::EndedEarly(_) | Self::System { .. } => false,
        }
    }

    fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
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
