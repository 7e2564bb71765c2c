//! Starts a gateway, and turns how it ended into an exit code.

use std::error::Error;
use std::process::ExitCode;

use chatroom_gateway::app;
use chatroom_gateway::cli::Arguments;
use clap::Parser as _;

const FAILED: u8 = 1;
/// clap ends with the same code when the command line is no good.
const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let inputs = match app::read_inputs(&arguments) {
        Ok(inputs) => inputs,
        Err(error) => return end(&error, BAD_INPUT),
    };
    match app::run(&arguments, inputs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => end(&error, FAILED),
    }
}

/// The last words go to standard error as they are, whatever the log filter says.
fn end(error: &dyn Error, code: u8) -> ExitCode {
    let mut words = format!("chatroom-gateway: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    eprintln!("{words}");
    ExitCode::from(code)
}
