//! Starts a gateway, and turns how it ended into an exit code.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use chatroom_gateway::cleanup::dead::{self, DeadError};
use chatroom_gateway::cli::{Arguments, Command, DeadCommand};
use chatroom_gateway::{app, backplane, settings_file};
use chatroom_settings::{Backplane, Cold};
use clap::Parser as _;

const FAILED: u8 = 1;
/// clap ends with the same code when the command line is no good.
const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Command::Dead(command)) = &arguments.command {
        return look_after_the_dead(&arguments, command);
    }
    let inputs = match app::read_inputs(&arguments) {
        Ok(inputs) => inputs,
        Err(error) => return end(&error, BAD_INPUT),
    };
    match app::run(&arguments, inputs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => end(&error, FAILED),
    }
}

fn look_after_the_dead(arguments: &Arguments, command: &DeadCommand) -> ExitCode {
    let cold = match settings_file::read::<Cold>(&arguments.cold_file) {
        Ok(cold) => cold.value,
        Err(error) => return end(&error, BAD_INPUT),
    };
    if cold.backplane == Backplane::Memory {
        let file = arguments.cold_file.display();
        eprintln!(
            "chatroom-gateway: {file}: backplane: the room has no Redis (type: Memory). What its gateway knows ends with it, so              there is nothing to list or to bring back from outside"
        );
        return ExitCode::from(BAD_INPUT);
    }
    let done = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DeadError::from).and_then(
        |runtime| {
            let backplane = backplane::open(&cold.backplane, &arguments.redis_directory);
            let mut output = io::stdout().lock();
            runtime.block_on(async {
                match command {
                    DeadCommand::List => dead::list(&*backplane, &mut output).await,
                    DeadCommand::Replay { ids } => dead::replay(&*backplane, ids, &mut output).await,
                }
            })
        },
    );
    match done {
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
