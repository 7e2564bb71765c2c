//! The scripts, and how one is called.

use redis::Cmd;
use redis::aio::MultiplexedConnection;

use super::trouble::{self, When};
use crate::backplane::BackplaneError;

/// Which script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Lease,
    Publish,
    Register,
    Unregister,
    Sweep,
    Leave,
    Send,
    Claim,
    Settle,
    Hasten,
    Replay,
}

/// All of them, in the order of [`Script`].
const SOURCES: [&str; 11] = [
    include_str!("lease.lua"),
    include_str!("publish.lua"),
    include_str!("register.lua"),
    include_str!("unregister.lua"),
    include_str!("sweep.lua"),
    include_str!("leave.lua"),
    include_str!("send.lua"),
    include_str!("claim.lua"),
    include_str!("settle.lua"),
    include_str!("hasten.lua"),
    include_str!("replay.lua"),
];

/// The names under which a server knows the scripts.
#[derive(Clone, Debug)]
pub(super) struct Loaded([String; SOURCES.len()]);

/// Loads all scripts, before anything else is sent: were they loaded when they are missed, the calls in flight would change
/// their order.
pub(super) async fn load(connection: &MultiplexedConnection) -> Result<Loaded, BackplaneError> {
    let mut pipeline = redis::pipe();
    for source in SOURCES {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(source);
    }
    let names: Result<Vec<String>, _> = pipeline.query_async(&mut connection.clone()).await;
    let names = names.map_err(|error| trouble::of(&error, When::Connecting))?;
    let unexpected = |_| BackplaneError::Unsuitable("Redis did not load the scripts of the room".into());
    names.try_into().map(Loaded).map_err(unexpected)
}

/// A call of a script, under construction.
#[derive(Debug)]
pub(super) struct Call {
    script: Script,
    keys: Vec<String>,
    arguments: Vec<Vec<u8>>,
}

impl Call {
    pub(super) fn new(script: Script) -> Self {
        Self { script, keys: Vec::new(), arguments: Vec::new() }
    }

    pub(super) fn keys(mut self, keys: impl IntoIterator<Item = String>) -> Self {
        self.keys.extend(keys);
        self
    }

    pub(super) fn arg(mut self, argument: impl AsRef<[u8]>) -> Self {
        self.arguments.push(argument.as_ref().to_vec());
        self
    }

    pub(super) fn command(&self, loaded: &Loaded) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&loaded.0[self.script as usize]).arg(self.keys.len()).arg(&self.keys).arg(&self.arguments);
        command
    }
}
