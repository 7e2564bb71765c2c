//! The command line of `chatroom`, and its exit codes: 0 done, 1 failed while running, 2 bad input.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use super::manifest::Manifest;
use super::{crd, render};
use crate::room::{Defaults, Invalid};

/// Works with chat rooms without a cluster.
///
/// Exit codes: 0 done, 1 failed while running, 2 bad input.
#[derive(Debug, Parser)]
#[command(name = "chatroom", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the CustomResourceDefinition of ChatRoom
    Crd,
    /// Print every object that the operator would create for a room, without asking a cluster
    Render(Render),
}

#[derive(Debug, Args)]
struct Render {
    /// File with one ChatRoom; - reads standard input
    #[arg(value_name = "ROOM.yaml")]
    file: PathBuf,
    #[command(flatten)]
    images: Images,
}

/// What the operator would be installed with.
#[derive(Debug, Args)]
struct Images {
    /// Image of the chat gateway, for rooms that name none
    #[arg(long, value_name = "IMAGE", env = "RELATED_IMAGE_GATEWAY",
          default_value = concat!("ghcr.io/chatroom-dev/gateway:", env!("CARGO_PKG_VERSION")))]
    gateway_image: String,
    /// Image of the Redis of rooms that bring none
    #[arg(long, value_name = "IMAGE", env = "RELATED_IMAGE_REDIS",
          default_value = concat!("ghcr.io/chatroom-dev/redis:", env!("CARGO_PKG_VERSION")))]
    redis_image: String,
}

impl Images {
    fn into_defaults(self) -> Defaults {
        Defaults { gateway_image: self.gateway_image, redis_image: self.redis_image }
    }
}

/// Why a command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// What was given cannot be used.
    #[error("{source_name} cannot be used:{}", list(invalid))]
    BadInput { source_name: String, invalid: Invalid },
    /// A file cannot be read.
    #[error("failed to read {source_name}: {source}")]
    Unreadable { source_name: String, source: io::Error },
    /// The output cannot be written.
    #[error("failed to write to standard output: {0}")]
    Unwritable(io::Error),
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::BadInput { .. } | Self::Unreadable { .. } => ExitCode::from(2),
            Self::Unwritable(_) => ExitCode::FAILURE,
        }
    }
}

fn list(invalid: &Invalid) -> String {
    invalid.violations.iter().map(|violation| format!("\n  {violation}")).collect()
}

/// Runs the tool with the command line of the process.
pub fn run() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    let done = match command {
        Command::Crd => print(&crd::crd()),
        Command::Render(Render { file, images }) => rendered(&file, images).and_then(|text| print(&text)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nowhere is left to complain about a closed standard error.
            let _ = writeln!(io::stderr(), "chatroom: {failure}");
            failure.exit_code()
        }
    }
}

fn rendered(file: &Path, images: Images) -> Result<String, Failure> {
    let source_name = name_of(file);
    let text = read(file).map_err(|source| Failure::Unreadable { source_name: source_name.clone(), source })?;
    Manifest::parse(&text)
        .and_then(|manifest| render::render(&manifest, &images.into_defaults()))
        .map_err(|invalid| Failure::BadInput { source_name, invalid })
}

fn read(file: &Path) -> io::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(file)
}

fn name_of(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() }
}

fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has seen enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Failure::Unwritable),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Arguments::command().debug_assert();
    }
}
