//! The rooms that the contract is checked with: all samples, and some that say more.

use std::path::Path;

use chatroom_operator::decide::decide;
use chatroom_operator::desired::{Resources, desired};
use chatroom_operator::names::Names;
use chatroom_operator::observed::Observed;
use chatroom_operator::room::{Defaults, Room};
use chatroom_operator::tool::manifest::Manifest;
use chatroom_tests::repository;

/// One room and what the operator makes of it when it is new.
pub(crate) struct Case {
    /// The file, for the words of a failure.
    pub(crate) file: String,
    pub(crate) room: Room,
    pub(crate) resources: Resources,
}

/// Every sample of the repository and every room beside this file.
pub(crate) fn cases() -> Vec<Case> {
    let files: Vec<_> = ["deploy/samples", "tests/contract/rooms"]
        .iter()
        .flat_map(|folder| repository::files_with_extension(&repository::root().join(folder), "yaml"))
        .filter(|file| text(file).contains("kind: ChatRoom"))
        .collect();
    assert!(files.len() >= 4, "samples and rooms are there: {files:?}");
    files.iter().map(|file| case(file)).collect()
}

fn case(path: &Path) -> Case {
    let file = repository::relative(path);
    let defaults = Defaults { gateway_image: "gateway:1".into(), redis_image: "redis:1".into() };
    let manifest = Manifest::parse(&text(path)).unwrap_or_else(|invalid| panic!("{file}: {invalid}"));
    let room = manifest.validate(|name| format!("uid-of-{name}"), &defaults);
    let room = room.unwrap_or_else(|invalid| panic!("{file}: {invalid}"));
    let decision = decide(&room, &Observed::default());
    let resources = desired(&Names::new(&room.identity), &room, &decision);
    Case { file, room, resources }
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
