//! `chatroom`, the tool for people: prints the CRD, renders rooms, runs a room on this machine.

use std::process::ExitCode;

fn main() -> ExitCode {
    chatroom_operator::tool::cli::run()
}
