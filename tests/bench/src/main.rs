//! How fast the product is, beside the least that the same job can cost: both in one run, in turns, as ratios.

mod probe;

mod floor;
mod http;
mod load;
mod stage;

mod scenarios;

mod machine;
mod report;
mod rounds;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use self::floor::Program;
use self::load::function::Function;
use self::machine::Machine;
use self::probe::Effort;
use self::report::Report;
use self::rounds::Verdict;
use self::scenarios::Scenarios;
use self::stage::Stage;

/// About a minute. Longer rounds rather than more of them: a range grows with each round.
const FULL: Effort = Effort { rounds: 31, turns: 60, burst: 20 };
/// Some seconds.
const SHORT: Effort = Effort { rounds: 11, turns: 20, burst: 20 };

/// Measures the gateways beside the least that the same job can cost.
///
/// Both are measured in one run and in turns, and what counts is the ratio: a figure in microseconds belongs to one machine in
/// one moment. Nothing is asserted: a missed bar is said in the table, and the exit code is 0.
///
/// It needs the programs `chatroom` and `chatroom-gateway` beside itself, built as it is, and `redis-server` on PATH. `make
/// bench` builds them for release and runs it.
#[derive(Debug, Parser)]
#[command(name = "chatroom-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One push, and one call of a transport function: how long from end to end, on warm connections.
    ///
    /// Starts three gateways with `chatroom local`, a Redis of its own and functions of its own, and the programs that are the
    /// floor; ends them again. Prints two tables: the comparisons with their bars, and the p50 of everything that was timed.
    Push {
        /// Fewer and shorter rounds: some seconds. Good for a look while changing something; the ranges are wider.
        #[arg(long)]
        short: bool,
        /// Writes the tables, the method and the machine to this file, as Markdown. A short run writes nothing.
        #[arg(long, value_name = "FILE")]
        write: Option<PathBuf>,
    },
    /// The programs that are the floor; the bench starts them itself.
    #[command(subcommand, hide = true)]
    Floor(Program),
}

fn main() -> anyhow::Result<()> {
    let Arguments { command } = Arguments::parse();
    // One thread: a client that wakes another thread before it looks at its socket would time that, too.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Push { short, write } => push(short, write).await,
            Command::Floor(program) => match program.run().await? {},
        }
    })
}

async fn push(short: bool, write: Option<PathBuf>) -> anyhow::Result<()> {
    let effort = if short { SHORT } else { FULL };
    if let Some(folder) = write.as_ref().and_then(|file| file.parent()) {
        std::fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    }
    let before = machine::load();
    let machine = Machine::look();
    let function = Function::start()?;
    let stage = Stage::start(&function).await?;
    let mut scenarios = Scenarios::prepare(&stage, function).await?;
    let rounds = scenarios.run(effort, |number| progress(number, effort.rounds)).await?;
    drop(scenarios);
    stage.end().await;

    let verdicts = scenarios::comparisons().into_iter().map(|comparison| Verdict::over(&rounds, comparison)).collect();
    let report = Report { verdicts, rounds, effort, machine, load: [before, machine::load()] };
    say(&report.text())?;
    match write {
        Some(file) if !short => {
            std::fs::write(&file, report.markdown()).with_context(|| format!("failed to write {}", file.display()))
        }
        _ => Ok(()),
    }
}

fn progress(number: usize, of: usize) {
    if !io::stderr().is_terminal() {
        return;
    }
    // Not worth to fail for.
    let _ = write!(io::stderr(), "\rround {number} of {of}{}", if number == of { "\n" } else { "" });
}

/// A line to whoever reads the output, at once.
pub(crate) fn say(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}
