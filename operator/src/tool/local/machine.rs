//! What this machine has to offer: free ports, programs, a private directory.

use std::ffi::OsString;
use std::fs::Permissions;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::plan::Plan;

/// The program of a gateway.
const GATEWAY: &str = "chatroom-gateway";
/// The program of a Redis.
const REDIS: &str = "redis-server";

/// What this machine does not offer; what to do about it is part of the words.
#[derive(Debug, thiserror::Error)]
pub enum Lacking {
    /// A port is not to be had.
    #[error("port {port} of {address} is taken: end what listens there, or choose other ports with --port")]
    PortTaken {
        /// The address.
        address: IpAddr,
        /// The port.
        port: u16,
    },
    /// An address or port is not to be had.
    #[error("failed to listen on {address}: choose another address with --bind or another port with --port")]
    Unusable {
        /// Address and port.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no gateway to start.
    #[error(
        "no {GATEWAY} at {} and none on PATH: build it with `cargo build --package {GATEWAY}`, or put it beside this program",
        beside.display()
    )]
    Gateway {
        /// Where it was looked for first.
        beside: PathBuf,
    },
    /// There is no Redis to start.
    #[error(
        "several replicas share a Redis and there is no {REDIS} on PATH: install one, or name one with --redis URL"
    )]
    Redis,
}

/// Finds out whether all ports can be had, before anything is started.
///
/// # Errors
/// [`Lacking::PortTaken`], [`Lacking::Unusable`].
pub(super) fn check_ports(plan: &Plan) -> Result<(), Lacking> {
    for address in plan.replicas.iter().flat_map(|replica| [replica.clients, replica.push, replica.internal]) {
        TcpListener::bind(address).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => Lacking::PortTaken { address: address.ip(), port: address.port() },
            _ => Lacking::Unusable { address, source },
        })?;
    }
    Ok(())
}

/// A port of this machine alone that nobody uses now.
///
/// # Errors
/// When there is none.
pub(super) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The gateway beside this program, else the one on PATH.
///
/// # Errors
/// [`Lacking::Gateway`].
pub(super) fn find_gateway(own_program: &Path) -> Result<OsString, Lacking> {
    let beside = own_program.with_file_name(GATEWAY);
    if runs(&beside) {
        return Ok(beside.into());
    }
    if runs(Path::new(GATEWAY)) { Ok(GATEWAY.into()) } else { Err(Lacking::Gateway { beside }) }
}

/// The Redis on PATH.
///
/// # Errors
/// [`Lacking::Redis`].
pub(super) fn find_redis() -> Result<OsString, Lacking> {
    if runs(Path::new(REDIS)) { Ok(REDIS.into()) } else { Err(Lacking::Redis) }
}

/// Makes a directory that only this user can look into, and writes `files` there. It goes with its handle.
///
/// # Errors
/// When it cannot be written.
pub(super) fn private_directory(room: &str, files: &[(PathBuf, String)]) -> io::Result<TempDir> {
    // This is what keeps the credentials in it from others.
    let mode = Permissions::from_mode(0o700);
    let directory = tempfile::Builder::new().prefix(&format!("chatroom-{room}-")).permissions(mode).tempdir()?;
    for (path, text) in files {
        write(directory.path(), path, text)?;
    }
    Ok(directory)
}

/// Writes one file below `directory`.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(directory: &Path, path: &Path, text: &str) -> io::Result<()> {
    let path = directory.join(path);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, text)
}

/// Whether a program can be started; a name without a slash is looked for on PATH by the system itself.
fn runs(program: &Path) -> bool {
    let status = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use chatroom_settings::names::files;

    use super::*;
    use crate::tool::local::backplane::Shared;
    use crate::tool::local::function_secrets::FunctionSecrets;
    use crate::tool::local::plan::Credentials;
    use crate::tool::local::plan::tests::{plan, wishes};
    use crate::tool::local::push_keys::PushKeys;

    #[test]
    fn a_taken_port_is_named_with_the_way_out() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut plan = plan(wishes(&Shared::Memory));
        plan.replicas.truncate(1);
        plan.replicas[0].clients = taken.local_addr().unwrap();
        let said = check_ports(&plan).unwrap_err().to_string();
        assert!(said.contains(&taken.local_addr().unwrap().port().to_string()) && said.contains("--port"), "{said}");
    }

    #[test]
    fn a_gateway_that_is_nowhere_is_told_with_where_it_was_looked_for() {
        let directory = TempDir::new().unwrap();
        let Err(lacking) = find_gateway(&directory.path().join("chatroom")) else { return };
        let said = lacking.to_string();
        assert!(said.contains(directory.path().to_str().unwrap()) && said.contains("cargo build"), "{said}");
    }

    #[test]
    fn nobody_else_can_look_into_the_directory() {
        let plan = plan(wishes(&Shared::OwnServer));
        let keys = PushKeys::made_up("key".into());
        let functions = FunctionSecrets::default();
        let credentials =
            Credentials { redis_url: Some("redis://:secret@r/"), push_keys: &keys, functions: &functions };
        let directory = private_directory("lobby", &plan.files(&credentials)).unwrap();
        let mode = std::fs::metadata(directory.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let url = directory.path().join("redis").join(files::REDIS_URL);
        assert_eq!(std::fs::read_to_string(url).unwrap(), "redis://:secret@r/");
    }
}
