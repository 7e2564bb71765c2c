//! Holds a program that knows nothing of its parent: ends it some time after standard input closed.
//!
//! A redis-server does not mind the death of whoever started it. This does: it is started with a pipe as standard input,
//! starts the program, and when the pipe closes, because its parent died, it kills the program, but not before those who
//! still use it have had time to take leave.

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use clap::Args;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

/// The program to hold.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Options {
    /// How long the program lives on after standard input closed.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub linger_seconds: u16,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Runs the program until it ends, standard input has been closed for its time, or SIGTERM or SIGINT comes.
///
/// # Errors
/// When standard input is no pipe, the program cannot be started, or a signal not be waited for.
///
/// # Panics
/// Never: the command line does not take an empty command.
pub async fn run(options: &Options) -> std::io::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Not tokio's stdin: a thread would sit in its read for good, and this process could not end by itself.
    let input = pipe::Receiver::from_owned_fd(std::io::stdin().as_fd().try_clone_to_owned()?)?;
    let (program, arguments) = options.command.split_first().expect("the command line asks for at least one word");
    let linger = Duration::from_secs(options.linger_seconds.into());
    let mut child = Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).spawn()?;
    tokio::select! {
        status = child.wait() => {
            let code = status?.code().and_then(|code| u8::try_from(code).ok());
            return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
        }
        () = after_end_of(input, linger) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    child.kill().await?;
    Ok(ExitCode::SUCCESS)
}

async fn after_end_of(mut input: pipe::Receiver, linger: Duration) {
    let mut ignored = [0; 64];
    while let Ok(1..) = input.read(&mut ignored).await {}
    tokio::time::sleep(linger).await;
}
