//! `chatroom`, the tool for people: prints the CRD, renders rooms.

use std::process::ExitCode;

fn main() -> ExitCode {
    chatroom_operator::tool::cli::run()
}
