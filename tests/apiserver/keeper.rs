//! The processes behind the tests: they run as long as the test program does, and not a moment longer.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Starts what it is told to, one command a line, and answers with its process id. When the pipe ends, which it does however
/// the test program ended, it kills all of them and removes their directory.
const SCRIPT: &str = r#"
pids=
while IFS= read -r command; do
  eval "$command &"
  pids="$pids $!"
  echo $!
done
kill -KILL $pids 2>/dev/null
wait
rm -rf "$1"
"#;

/// A shell that keeps processes.
#[derive(Debug)]
pub(crate) struct Keeper {
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Keeper {
    /// A keeper of processes that write to `directory`, which goes with them.
    ///
    /// # Errors
    /// When there is no `sh`.
    pub(crate) fn new(directory: &Path) -> std::io::Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "keeper"])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for the test program: its end is what is noticed here.
            .process_group(0)
            .spawn()?;
        let (stdin, stdout) = (shell.stdin.take(), shell.stdout.take());
        let pipes = (stdin.expect("stdin is a pipe"), BufReader::new(stdout.expect("stdout is a pipe")));
        Ok(Self { pipes: Mutex::new(pipes) })
    }

    /// Starts a program; what it writes goes to `log`. Answers its process id.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub(crate) fn start(
        &self,
        log: &Path,
        environment: &[(&str, &str)],
        program: &Path,
        words: &[&str],
    ) -> std::io::Result<u32> {
        let mut command = String::from("env");
        for (name, value) in environment {
            command.push_str(&format!(" {}", quoted(&format!("{name}={value}"))));
        }
        for word in [&*program.to_string_lossy()].into_iter().chain(words.iter().copied()) {
            command.push_str(&format!(" {}", quoted(word)));
        }
        let log = quoted(&log.display().to_string());
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(pipes.0, "{command} </dev/null >>{log} 2>&1")?;
        let mut answer = String::new();
        pipes.1.read_line(&mut answer)?;
        answer.trim().parse().map_err(std::io::Error::other)
    }
}

/// As one word of a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
