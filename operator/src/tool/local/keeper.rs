//! What is left to do when this program was killed: ends a program that knows nothing of its parent, removes files.
//!
//! A redis-server does not mind the death of whoever started it, and credentials in files stay where they are. The keeper is
//! started with a pipe as standard input and starts the program; when the pipe closes, because its parent died, it kills
//! the program and removes the files, but not before those who still use them have had time to take leave.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use clap::Args;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// What to keep.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Options {
    /// How long everything is left as it is after standard input closed.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub linger_seconds: u16,
    /// A directory that is removed then.
    #[arg(long, value_name = "DIRECTORY")]
    pub remove: Option<PathBuf>,
    /// The program to hold, and its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Runs the program until it ends, standard input has been closed for its time, or SIGTERM or SIGINT comes. After a
/// signal the files are left: whoever sent it lives, and removes them.
///
/// # Errors
/// When standard input is no pipe, the program cannot be started, the files cannot be removed, or a signal not be waited
/// for.
pub async fn run(options: &Options) -> io::Result<ExitCode> {
    let Options { linger_seconds, remove, command } = options;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Not tokio's stdin: a thread would sit in its read for good, and this process could not end by itself.
    let input = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    let linger = Duration::from_secs((*linger_seconds).into());
    let mut child = start(command)?;
    let is_orphan = tokio::select! {
        status = end_of(&mut child) => {
            let code = status?.code().and_then(|code| u8::try_from(code).ok());
            return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
        }
        () = after_end_of(input, linger) => true,
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
    };
    if let Some(child) = &mut child {
        child.kill().await?;
    }
    if let Some(directory) = remove.as_ref().filter(|_| is_orphan) {
        std::fs::remove_dir_all(directory)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn start(command: &[OsString]) -> io::Result<Option<Child>> {
    let Some((program, arguments)) = command.split_first() else { return Ok(None) };
    Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).spawn().map(Some)
}

/// Waits for the program's end; without a program for ever.
async fn end_of(child: &mut Option<Child>) -> io::Result<ExitStatus> {
    match child {
        Some(child) => child.wait().await,
        None => std::future::pending().await,
    }
}

async fn after_end_of(mut input: pipe::Receiver, linger: Duration) {
    let mut ignored = [0; 64];
    while let Ok(1..) = input.read(&mut ignored).await {}
    tokio::time::sleep(linger).await;
}
