//! A process that does not outlive its test, and whose last words are told when something fails.

use std::fmt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::wait;

/// A started program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: Lines,
    stderr: Lines,
    readers: JoinSet<()>,
    // Where it puts its temporary files: one that is killed cannot take them away itself.
    _temporary: TempDir,
}

/// What a program has written so far.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Process {
    /// Starts `program`. It is killed when the guard goes.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(program: &Path, arguments: &[&str]) -> Self {
        let temporary = TempDir::new().expect("there is room for a temporary directory");
        let mut child = Command::new(program)
            .args(arguments)
            .env("TMPDIR", temporary.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let stdout = Lines::default();
        let stderr = Lines::default();
        let mut readers = JoinSet::new();
        readers.spawn(stdout.clone().follow(child.stdout.take().expect("stdout is a pipe")));
        readers.spawn(stderr.clone().follow(child.stderr.take().expect("stderr is a pipe")));
        Self { name: program.display().to_string(), child, stdout, stderr, readers, _temporary: temporary }
    }

    /// What it wrote to stdout.
    #[must_use]
    pub fn stdout(&self) -> &Lines {
        &self.stdout
    }

    /// What it wrote to stderr.
    #[must_use]
    pub fn stderr(&self) -> &Lines {
        &self.stderr
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it has ended and was waited for.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it still runs")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Waits until it has ended and everything it wrote was read.
    ///
    /// # Panics
    /// When it has not ended at the deadline.
    pub async fn ended(&mut self, deadline: Duration) -> ExitStatus {
        let Ok(status) = timeout(deadline, self.child.wait()).await else {
            panic!("{self} has not ended within {deadline:?}");
        };
        // Its pipes may have been inherited by somebody who still lives; that is for the test to find out.
        let everything_read = async { while self.readers.join_next().await.is_some() {} };
        let _ = timeout(deadline, everything_read).await;
        status.expect("a child can be waited for")
    }

    /// Waits for the first line on stdout.
    ///
    /// # Panics
    /// When there is none at the deadline, or the program ended without one.
    pub async fn first_line(&mut self, deadline: Duration) -> String {
        let stdout = self.stdout.clone();
        let answer = wait::ask(deadline, async || {
            if let Some(line) = stdout.all().first() {
                return Ok(Some(line.clone()));
            }
            match self.child.try_wait() {
                Ok(Some(_)) => Ok(None),
                _ => Err("no line yet"),
            }
        })
        .await;
        match answer {
            Ok(Some(line)) => line,
            Ok(None) => panic!("{self} ended without a line on stdout"),
            Err(seen) => panic!("{seen} from {self} after {deadline:?}"),
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}\n--- its stdout\n{}\n--- its stderr\n{}", self.name, self.stdout, self.stderr)
    }
}

impl Lines {
    /// Everything so far.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn follow(self, pipe: impl AsyncRead + Send + Unpin) {
        let mut reader = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = reader.next_line().await {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }
}

impl fmt::Display for Lines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.all().join("\n"))
    }
}

/// Sends a signal to a process; one that is gone already is no failure.
pub fn send(pid: u32, signal: Signal) {
    let _ = kill(to_pid(pid), signal);
}

/// Whether a process of this id runs; one that ended and is only waited for does not.
#[must_use]
pub fn is_running(pid: u32) -> bool {
    state(pid).is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// As in `/proc`; absent: there is no such process.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // It stands behind the last bracket of the name, which may itself hold brackets.
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// Waits until a process that got SIGSTOP stands still.
///
/// # Panics
/// When it does not, or where there is no `/proc`.
pub async fn has_stopped(pid: u32) {
    wait::until(&format!("{pid} stands still"), wait::SOON, async || match state(pid) {
        Some('T') => Ok(()),
        state => Err(format!("{state:?}")),
    })
    .await;
}

/// The processes that `pid` started and those that these started.
///
/// # Panics
/// Where there is no `/proc`.
#[must_use]
pub fn descendants(pid: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("this system has a /proc").flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        parents.push((child, parent.unwrap_or(0)));
    }
    let mut found = vec![pid];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        next += 1;
    }
    found.split_off(1)
}

fn to_pid(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).expect("process ids are positive i32"))
}
