//! The command line, and the only place where the environment is read.

use std::net::IpAddr;
use std::path::PathBuf;

use chatroom_settings::names::{env, files, ports};
use clap::{Parser, Subcommand};

use crate::id::ConnectionId;

/// The gateway of a chat room: holds the clients' sockets and fans messages out.
///
/// A gateway is told what room it serves by two files. The cold settings (room, path, backplane, drain) are read once:
/// to change them is to start another gateway. The hot settings (limits, origins, log filter) are read again every five
/// seconds. The operator writes both, and `chatroom local` does so on a machine without a cluster; by hand, `chatroom
/// render ROOM.yaml` shows what they look like.
///
/// `dead list` and `dead replay` run beside it: they look after the ends of connections that the cleanup function could not be
/// told of.
///
/// SIGTERM or SIGINT makes it let its clients go, a few at a time, and end; the same signal again ends it at once.
///
/// Exit codes: 0 done, 1 failed while running, 2 bad input (the file and the field stand on standard error).
#[derive(Clone, Debug, PartialEq, Eq, Parser)]
#[command(name = "chatroom-gateway", version, max_term_width = 100)]
pub struct Arguments {
    /// Absent: a gateway runs.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The cold settings: what belongs to this gateway for life.
    #[arg(long, value_name = "FILE", env = env::COLD_FILE, default_value_os_t = cold_file(), global = true)]
    pub cold_file: PathBuf,

    /// The hot settings: what may change under a running gateway.
    #[arg(long, value_name = "FILE", env = env::HOT_FILE, default_value_os_t = hot_file())]
    pub hot_file: PathBuf,

    /// Directory of the Redis credentials: `password` for the room's own Redis, `url` for an external one. Read at each
    /// connect, so a rotated credential needs no restart.
    #[arg(
        long,
        value_name = "DIRECTORY",
        env = env::REDIS_DIRECTORY,
        default_value = files::REDIS_DIRECTORY,
        global = true
    )]
    pub redis_directory: PathBuf,

    /// Directory of the push credential: `keys`, one a line. Looked at every five seconds, so a rotated key needs no
    /// restart. Without it pushes are answered with 503.
    #[arg(long, value_name = "DIRECTORY", env = env::PUSH_DIRECTORY, default_value = files::PUSH_DIRECTORY)]
    pub push_directory: PathBuf,

    /// Directory of the signing keys: `keys`, one a line, each `whsec_` and base64. Needed where the room's functions are signed
    /// for; read again when it changes.
    #[arg(long, value_name = "DIRECTORY", env = env::SIGNING_DIRECTORY, default_value = files::SIGNING_DIRECTORY)]
    pub signing_directory: PathBuf,

    /// Directory of the roots that the certificates of functions may come from: `ca.crt`, as PEM. Needed where the room has
    /// roots of its own; read again when it changes.
    #[arg(long, value_name = "DIRECTORY", env = env::CA_DIRECTORY, default_value = files::CA_DIRECTORY)]
    pub ca_directory: PathBuf,

    /// Port for clients: WebSocket and page. 0: any free one, told in the log.
    #[arg(long, value_name = "PORT", default_value_t = ports::CLIENTS)]
    pub client_port: u16,

    /// Port for pushes, from functions and other programs. 0: any free one, told in the log.
    #[arg(long, value_name = "PORT", default_value_t = ports::PUSH)]
    pub push_port: u16,

    /// Port for probes, metrics and /status; keep it away from clients. 0: any free one, told in the log.
    #[arg(long, value_name = "PORT", default_value_t = ports::INTERNAL)]
    pub internal_port: u16,

    /// Address that all ports are bound to [default: all, IPv6 and IPv4].
    #[arg(long, value_name = "ADDRESS")]
    pub bind: Option<IpAddr>,

    /// Name of the pod, for log lines.
    #[arg(long, value_name = "NAME", env = env::POD_NAME, default_value = "")]
    pub pod_name: String,

    /// uid of the pod. A restarted container's predecessor is recognised by it, and cleaned up after at once.
    #[arg(long, value_name = "UID", env = env::POD_UID, default_value = "")]
    pub pod_uid: String,

    /// Hash of the pod template. While gateways of another template are there, a gateway that ends first waits for those
    /// of its own to end too, so that a client that comes back meets the new ones.
    #[arg(long, value_name = "HASH", env = env::TEMPLATE_HASH, default_value = "")]
    pub template_hash: String,

    /// End, as by SIGTERM, when standard input is closed: for a parent that must not leave gateways behind.
    #[arg(long)]
    pub exit_with_stdin: bool,
}

/// What else the program does than to be a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Ends of connections that the cleanup function could not be told of within a day.
    ///
    /// A gateway tries to tell an end for a day, then gives it up and keeps it here: about 10,000,
    /// the oldest go first. Works on the room's Redis, so one gateway of the room is as good as
    /// another:
    ///
    ///   kubectl exec deploy/ROOM -- chatroom-gateway dead replay
    ///
    /// Exit codes: 0 done, 1 failed (Redis cannot be reached, an ID is not among the dead), 2 bad input.
    #[command(subcommand, verbatim_doc_comment)]
    Dead(DeadCommand),
}

/// What to do with the dead.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum DeadCommand {
    /// Prints them, oldest first: ID, tries, what is known of the connection, why the last try failed.
    List,
    /// Brings them back: due at once, as if they had never been tried.
    Replay {
        /// Connection IDs as `dead list` prints them, behind all flags; without one, all.
        // An ID may begin with a hyphen.
        #[arg(value_name = "ID", allow_hyphen_values = true)]
        ids: Vec<ConnectionId>,
    },
}

fn cold_file() -> PathBuf {
    PathBuf::from(files::COLD_DIRECTORY).join(files::COLD_FILE)
}

fn hot_file() -> PathBuf {
    PathBuf::from(files::HOT_DIRECTORY).join(files::HOT_FILE)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn without_arguments_everything_is_where_the_operator_mounts_it() {
        let arguments = Arguments::parse_from(["chatroom-gateway"]);
        assert_eq!(arguments.cold_file, PathBuf::from("/etc/chatroom/cold/cold.yaml"));
        assert_eq!(arguments.hot_file, PathBuf::from("/etc/chatroom/hot/hot.yaml"));
        assert_eq!(arguments.redis_directory, PathBuf::from(files::REDIS_DIRECTORY));
        assert_eq!(arguments.push_directory, PathBuf::from(files::PUSH_DIRECTORY));
        assert_eq!(arguments.signing_directory, PathBuf::from(files::SIGNING_DIRECTORY));
        assert_eq!(arguments.ca_directory, PathBuf::from(files::CA_DIRECTORY));
        assert_eq!((arguments.client_port, arguments.internal_port), (ports::CLIENTS, ports::INTERNAL));
        assert_eq!(arguments.push_port, ports::PUSH);
    }

    #[test]
    fn the_dead_are_looked_after_with_the_flags_of_the_gateway() {
        let arguments = Arguments::parse_from(["chatroom-gateway", "dead", "replay", "--cold-file=here.yaml"]);
        assert_eq!(arguments.command, Some(Command::Dead(DeadCommand::Replay { ids: Vec::new() })));
        assert_eq!(arguments.cold_file, PathBuf::from("here.yaml"));
        let wrong = Arguments::try_parse_from(["chatroom-gateway", "dead", "replay", "somebody"]).unwrap_err();
        assert!(wrong.to_string().contains("32 characters"), "{wrong}");
    }

    #[test]
    fn an_id_may_begin_as_a_flag_does() {
        for beginning in ["-", "--", "-h", "-V", "--help"] {
            let id = format!("{beginning:x<32}");
            let said = ["chatroom-gateway", "dead", "replay", "--cold-file=here.yaml", &id, &id];
            let arguments = Arguments::try_parse_from(said).unwrap_or_else(|error| panic!("{id}: {error}"));
            let ids = vec![id.parse().unwrap(); 2];
            assert_eq!(arguments.command, Some(Command::Dead(DeadCommand::Replay { ids })));
            assert_eq!(arguments.cold_file, PathBuf::from("here.yaml"));
        }
    }

    #[test]
    fn the_help_says_where_a_value_can_come_from() {
        let help = Arguments::command().render_long_help().to_string();
        for name in [
            env::COLD_FILE,
            env::HOT_FILE,
            env::REDIS_DIRECTORY,
            env::PUSH_DIRECTORY,
            env::SIGNING_DIRECTORY,
            env::CA_DIRECTORY,
            env::POD_NAME,
            env::POD_UID,
            env::TEMPLATE_HASH,
        ] {
            assert!(help.contains(name), "{name}");
        }
        assert!(help.contains("Exit codes"));
    }
}
