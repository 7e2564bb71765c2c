//! The command line of `chatroom`, and its exit codes: 0 done, 1 failed while running, 2 bad input.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::local::{LocalError, keeper};
use super::manifest::Manifest;
use super::{crd, local, reference, render};
use crate::causes;
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
    /// Print the CustomResourceDefinition of ChatRoom, or what its fields mean
    Crd(Crd),
    /// Print every object that the operator would create for a room, without asking a cluster
    Render(Render),
    /// Run the gateways of a room as processes on this machine, without a cluster
    Local(local::Options),
    /// Clean up when standard input closes: end a program, remove a directory
    #[command(hide = true)]
    Keep(keeper::Options),
}

#[derive(Debug, Args)]
struct Crd {
    /// yaml: what a cluster installs; markdown: the reference of its fields, for people
    #[arg(long, value_name = "FORMAT", default_value = "yaml")]
    output: CrdFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CrdFormat {
    Yaml,
    Markdown,
}

#[derive(Debug, Args)]
struct Render {
    /// File with one ChatRoom; - reads standard input
    #[arg(value_name = "ROOM.yaml")]
    file: PathBuf,
    #[command(flatten)]
    images: Images,
}

/// The images of this version's release.
const GATEWAY_IMAGE: &str = concat!("ghcr.io/chatroom-dev/gateway:", env!("CARGO_PKG_VERSION"));
const REDIS_IMAGE: &str = concat!("ghcr.io/chatroom-dev/redis:", env!("CARGO_PKG_VERSION"));

/// What the operator would be installed with.
#[derive(Debug, Args)]
struct Images {
    /// Image of the chat gateway, for rooms that name none
    #[arg(long, value_name = "IMAGE", env = "RELATED_IMAGE_GATEWAY",
          default_value = GATEWAY_IMAGE)]
    gateway_image: String,
    /// Image of the Redis of rooms that bring none
    #[arg(long, value_name = "IMAGE", env = "RELATED_IMAGE_REDIS",
          default_value = REDIS_IMAGE)]
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
    /// A room does not run on this machine.
    #[error("{}", causes::in_one_line(.0))]
    Local(#[from] LocalError),
    /// What should be kept or cleaned up was not.
    #[error("failed to clean up: {0}")]
    Keep(io::Error),
    /// The runtime of a program that waits cannot be made.
    #[error("failed to start: {0}")]
    Runtime(io::Error),
    /// The output cannot be written.
    #[error("failed to write to standard output: {0}")]
    Unwritable(io::Error),
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::BadInput { .. } | Self::Unreadable { .. } => ExitCode::from(2),
            Self::Local(error) if error.is_bad_input() => ExitCode::from(2),
            Self::Local(_) | Self::Keep(_) | Self::Runtime(_) | Self::Unwritable(_) => ExitCode::FAILURE,
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
        Command::Crd(Crd { output: CrdFormat::Yaml }) => print(&crd::crd()),
        Command::Crd(Crd { output: CrdFormat::Markdown }) => print(&reference::reference()),
        Command::Render(options) => rendered(options).and_then(|text| print(&text)),
        Command::Local(options) => run_locally(&options),
        Command::Keep(options) => wait_for(keeper::run(&options)).and_then(|kept| kept.map_err(Failure::Keep)),
    };
    done.unwrap_or_else(|failure| {
        // Nowhere is left to complain about a closed standard error.
        let _ = writeln!(io::stderr(), "chatroom: {failure}");
        failure.exit_code()
    })
}

fn rendered(Render { file, images }: Render) -> Result<String, Failure> {
    let manifest = manifest(&file)?;
    render::render(&manifest, &images.into_defaults()).map_err(bad_input(&file))
}

fn run_locally(options: &local::Options) -> Result<ExitCode, Failure> {
    let manifest = manifest(&options.file)?;
    // Processes have no image; what the manifest says about it is checked all the same.
    let defaults = Defaults { gateway_image: GATEWAY_IMAGE.to_owned(), redis_image: REDIS_IMAGE.to_owned() };
    let room = manifest.validate(local::uid, &defaults).map_err(bad_input(&options.file))?;
    wait_for(local::run(&manifest, &room, options))??;
    Ok(ExitCode::SUCCESS)
}

/// Runs what waits for the world.
fn wait_for<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    Ok(runtime.block_on(work))
}

fn manifest(file: &Path) -> Result<Manifest, Failure> {
    let text = read(file).map_err(|source| Failure::Unreadable { source_name: name_of(file), source })?;
    Manifest::parse(&text).map_err(bad_input(file))
}

fn bad_input(file: &Path) -> impl FnOnce(Invalid) -> Failure {
    move |invalid| Failure::BadInput { source_name: name_of(file), invalid }
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

fn print(text: &str) -> Result<ExitCode, Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has seen enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        result => result.map(|()| ExitCode::SUCCESS).map_err(Failure::Unwritable),
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
