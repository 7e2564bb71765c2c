//! A child process that is started again when it ends, and that ends when this process does.
//!
//! On purpose a child is ended with SIGTERM. But each child also holds the reading end of a pipe as its standard input and
//! ends when the other end closes: the operating system closes it when this process dies, however it dies.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::plan::Output;
use super::say;

/// Between the end of a child and its next start, as a kubelet waits before the first restart.
const BEFORE_RESTART: Duration = Duration::from_secs(1);

/// Makes the command of a child anew for each start.
pub(super) type MakeCommand = Box<dyn Fn() -> Command + Send + Sync>;

/// A child that ended although nobody asked it to.
#[derive(Debug)]
pub(super) struct Ended {
    /// What it is called.
    pub name: String,
    /// How it ended, for people.
    pub how: String,
}

/// A handle to a kept child.
#[derive(Debug)]
pub(super) struct Kept {
    wish: watch::Sender<Wish>,
    pid: watch::Receiver<Option<u32>>,
    keeper: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Run,
    End,
    Kill,
}

/// What a child is and how it is dealt with.
pub(super) struct Kind {
    /// What it is called in what people read.
    pub name: String,
    /// How it is started.
    pub command: MakeCommand,
    /// How long it may take to end after it was asked to; then it is killed.
    pub grace: Duration,
    /// Whose eyes its log is for.
    pub output: Output,
}

impl Kept {
    /// Starts a child and keeps it running. Whenever it ends unasked, `ended` is told; its start, if it fails, counts as
    /// an end.
    #[must_use]
    pub(super) fn start(kind: Kind, ended: mpsc::Sender<Ended>) -> Self {
        let (wish, wishes) = watch::channel(Wish::Run);
        let (pid_sender, pid) = watch::channel(None);
        let keeper = tokio::spawn(keep(kind, wishes, pid_sender, ended));
        Self { wish, pid, keeper }
    }

    /// Its process id; absent between its end and its next start.
    #[must_use]
    pub(super) fn pid(&self) -> Option<u32> {
        *self.pid.borrow()
    }

    /// Asks it to end.
    pub(super) fn end(&self) {
        self.wish.send_replace(Wish::End);
    }

    /// What ends it at once, apart from the handle, so that it can be called while somebody waits.
    pub(super) fn killer(&self) -> impl Fn() + use<> {
        let wish = self.wish.clone();
        move || {
            wish.send_replace(Wish::Kill);
        }
    }

    /// Waits until it has ended. Not to be called again when it has answered.
    pub(super) async fn ended(&mut self) {
        if let Err(error) = (&mut self.keeper).await {
            // Nobody cancels it: it panicked.
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

async fn keep(
    kind: Kind,
    mut wishes: watch::Receiver<Wish>,
    pid: watch::Sender<Option<u32>>,
    ended: mpsc::Sender<Ended>,
) {
    loop {
        let how = match spawn(&kind) {
            Ok((child, logs)) => {
                pid.send_replace(child.id());
                let how = watch_over(child, logs, &kind, &mut wishes).await;
                pid.send_replace(None);
                how
            }
            Err(error) => Some(format!("could not be started: {error}")),
        };
        let Some(how) = how else { return };
        // Nobody listens any more only when the run is over.
        let _ = ended.send(Ended { name: kind.name.clone(), how }).await;
        let stopped = wished(&mut wishes, |wish| wish != Wish::Run);
        if tokio::time::timeout(BEFORE_RESTART, stopped).await.is_ok() {
            return;
        }
    }
}

/// Waits for the child's end; `None` when it was asked to end, else how it ended.
async fn watch_over(
    mut child: Child,
    mut logs: JoinSet<()>,
    kind: &Kind,
    wishes: &mut watch::Receiver<Wish>,
) -> Option<String> {
    // Taken out of the child: waiting for it would close the pipe first.
    let lifeline = child.stdin.take();
    let unasked = tokio::select! {
        status = child.wait() => Some(describe(status)),
        () = wished(wishes, |wish| wish != Wish::Run) => None,
    };
    if unasked.is_none() {
        terminate(&child, kind);
        tokio::select! {
            _ = child.wait() => {}
            () = wished(wishes, |wish| wish == Wish::Kill) => kill(&mut child, kind, "as asked").await,
            () = tokio::time::sleep(kind.grace) => kill(&mut child, kind, "its time is over").await,
        }
    }
    drop(lifeline);
    // Its last words are worth a moment; a grandchild that holds the pipe is not.
    let words = async { while logs.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(Duration::from_secs(1), words).await;
    unasked
}

/// Waits for a wish; a dropped handle is the wish for everything to be over.
async fn wished(wishes: &mut watch::Receiver<Wish>, fits: impl Fn(Wish) -> bool) {
    let _ = wishes.wait_for(|wish| fits(*wish)).await;
}

fn terminate(child: &Child, kind: &Kind) {
    // Without an id it has ended and was waited for.
    let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()) else { return };
    if let Err(error) = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGTERM) {
        say(&format!("{} could not be told to end: {error}", kind.name));
    }
}

async fn kill(child: &mut Child, kind: &Kind, why: &str) {
    say(&format!("{} is killed: {why}", kind.name));
    if let Err(error) = child.kill().await {
        say(&format!("{} could not be killed: {error}", kind.name));
    }
}

fn spawn(kind: &Kind) -> io::Result<(Child, JoinSet<()>)> {
    let mut command = (kind.command)();
    // Not in this process's group: Ctrl-C in a terminal goes to the whole group, and it is for this process to decide
    // what happens then, and in which order.
    command.stdin(Stdio::piped()).process_group(0).kill_on_drop(true);
    match kind.output {
        Output::Text => command.stdout(Stdio::piped()).stderr(Stdio::piped()),
        // Standard output belongs to the one line of JSON.
        Output::Json => command.stdout(io::stderr()).stderr(Stdio::inherit()),
    };
    let mut child = command.spawn()?;
    let mut logs = JoinSet::new();
    if let Some(pipe) = child.stdout.take() {
        logs.spawn(forward(kind.name.clone(), pipe));
    }
    if let Some(pipe) = child.stderr.take() {
        logs.spawn(forward(kind.name.clone(), pipe));
    }
    Ok((child, logs))
}

/// Hands a child's lines on, each with the child's name before it.
async fn forward(name: String, pipe: impl AsyncRead + Unpin) {
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    while let Ok(1..) = reader.read_until(b'\n', &mut line).await {
        say(&format!("{name} | {}", String::from_utf8_lossy(&line).trim_end()));
        line.clear();
    }
}

fn describe(status: io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => format!("ended with {status}"),
        Err(error) => format!("was lost: {error}"),
    }
}
