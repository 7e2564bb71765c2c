//! What each room may not know: the table of the design, one line a room.

use std::path::Path;

use chatroom_tests::repository;

use crate::source::{Mention, read};

/// A room and the beginnings of the paths that it may not mention outside of its tests.
struct Rule {
    /// The room's parent file without `.rs`; the folder of the same name belongs to it.
    room: &'static str,
    may_not_know: &'static [&'static [&'static str]],
}

/// Sockets, files, clocks, chance: what a decision gets as a value.
const HANDS: &[&str] = &[
    "tokio",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::time::Instant::now",
    "std::time::SystemTime",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "rand",
    "getrandom",
];
/// Whatever speaks with an API server.
const CLUSTER: &[&str] =
    &["kube::Client", "kube::client", "kube::Api", "kube::api::Api", "kube::runtime", "kube::Config"];
const REDIS: &[&str] = &["redis"];
const HTTP: &[&str] = &["axum", "hyper", "hyper_util", "tower"];

const RULES: &[Rule] = &[
    // gateway
    Rule { room: "gateway/src/http", may_not_know: &[REDIS, &["crate::hub", "crate::backplane", "crate::delivery"]] },
    Rule { room: "gateway/src/admission", may_not_know: &[HANDS, HTTP, REDIS] },
    Rule { room: "gateway/src/socket", may_not_know: &[REDIS, HTTP, &["crate::backplane", "crate::membership"]] },
    Rule { room: "gateway/src/protocol", may_not_know: &[HANDS, HTTP, REDIS, &["crate::hub", "crate::session"]] },
    Rule { room: "gateway/src/session/machine", may_not_know: &[HANDS, HTTP, REDIS] },
    Rule { room: "gateway/src/session", may_not_know: &[REDIS, HTTP, &["crate::http", "crate::delivery"]] },
    Rule {
        room: "gateway/src/backplane",
        may_not_know: &[HTTP, &["crate::session", "crate::http", "crate::hub", "crate::socket"]],
    },
    Rule {
        room: "gateway/src/membership",
        may_not_know: &[HTTP, &["tokio::net", "crate::socket", "crate::http", "crate::session"]],
    },
    Rule {
        room: "gateway/src/hub",
        may_not_know: &[REDIS, HTTP, &["crate::backplane", "crate::http", "crate::session"]],
    },
    Rule { room: "gateway/src/delivery", may_not_know: &[REDIS, HTTP, &["crate::session", "crate::http"]] },
    Rule {
        room: "gateway/src/cleanup",
        may_not_know: &[
            REDIS,
            HTTP,
            &[
                "tokio::net",
                "crate::socket",
                "crate::hub",
                "crate::session",
                "crate::http",
                "crate::delivery",
                "crate::push",
            ],
        ],
    },
    Rule { room: "gateway/src/cleanup/schedule", may_not_know: &[HANDS] },
    Rule { room: "gateway/src/cleanup/health", may_not_know: &[HANDS] },
    Rule { room: "gateway/src/push/route", may_not_know: &[REDIS, HTTP, &["crate::http", "crate::socket"]] },
    Rule { room: "gateway/src/id", may_not_know: &[&["tokio"], HTTP, REDIS] },
    Rule { room: "gateway/src/message", may_not_know: &[HANDS, HTTP, REDIS] },
    Rule {
        room: "gateway/src/dialect",
        may_not_know: &[
            HANDS,
            HTTP,
            REDIS,
            &[
                "crate::push",
                "crate::functions",
                "crate::session",
                "crate::hub",
                "crate::backplane",
                "crate::membership",
            ],
        ],
    },
    Rule {
        room: "gateway/src/functions",
        may_not_know: &[
            REDIS,
            &[
                "axum",
                "tokio::net",
                "crate::backplane",
                "crate::delivery",
                "crate::http",
                "crate::hub",
                "crate::membership",
                "crate::push",
                "crate::session",
                "crate::socket",
            ],
        ],
    },
    // What an answer means and when nobody calls, as values.
    Rule { room: "gateway/src/functions/breaker", may_not_know: &[HANDS, HTTP] },
    Rule { room: "gateway/src/functions/outcome", may_not_know: &[HANDS, HTTP] },
    Rule { room: "gateway/src/credential", may_not_know: &[HTTP, REDIS] },
    Rule { room: "gateway/src/push", may_not_know: &[REDIS, &["axum", "crate::hub", "crate::socket"]] },
    // operator: the steps without hands
    Rule { room: "operator/src/controller/validate", may_not_know: &[HANDS, CLUSTER, HTTP] },
    Rule { room: "operator/src/controller/report", may_not_know: &[HANDS, CLUSTER, HTTP] },
    Rule { room: "operator/src/controller/pace", may_not_know: &[HANDS, CLUSTER, HTTP] },
    // It names rooms as the controller does, and that is a value.
    Rule { room: "operator/src/controller/takeover", may_not_know: &[HANDS, HTTP, &["kube::Client", "kube::Api"]] },
    Rule { room: "operator/src/controller/way_back", may_not_know: &[HANDS, CLUSTER, HTTP] },
    Rule { room: "operator/src/controller/notices", may_not_know: &[HANDS, CLUSTER, HTTP] },
    Rule { room: "operator/src/annotations", may_not_know: &[HANDS, CLUSTER, HTTP] },
    Rule { room: "operator/src/decide", may_not_know: &[HANDS, CLUSTER, HTTP] },
    Rule { room: "operator/src/desired", may_not_know: &[HANDS, CLUSTER, HTTP] },
    Rule { room: "operator/src/room", may_not_know: &[HANDS, CLUSTER, HTTP] },
    Rule { room: "operator/src/names", may_not_know: &[HANDS, CLUSTER, HTTP] },
    Rule { room: "operator/src/tool", may_not_know: &[CLUSTER] },
    // the bench: what turns samples into words
    Rule { room: "tests/bench/src/probe", may_not_know: &[HANDS, HTTP, REDIS] },
    Rule { room: "tests/bench/src/rounds", may_not_know: &[HANDS, HTTP, REDIS] },
    Rule { room: "tests/bench/src/report", may_not_know: &[HANDS, HTTP, REDIS] },
    // contracts
    Rule { room: "operator/api/src/lib", may_not_know: &[HANDS, CLUSTER, HTTP] },
    Rule { room: "gateway/settings/src/lib", may_not_know: &[HANDS, HTTP, REDIS] },
];

#[test]
fn no_room_knows_what_it_may_not_know() {
    let mut broken = Vec::new();
    for rule in RULES {
        for file in files_of(rule.room) {
            let text = std::fs::read_to_string(repository::root().join(&file)).expect("a listed file can be read");
            let module = module_of(&file);
            let module: Vec<&str> = module.iter().map(String::as_str).collect();
            let source = read(&text, &module).unwrap_or_else(|error| panic!("{file}: {error}"));
            broken.extend(
                forbidden(&source.mentions, rule.may_not_know)
                    .into_iter()
                    .map(|(path, line)| format!("{file}:{line}: {} may not know {path}", rule.room)),
            );
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn every_room_of_the_table_is_there() {
    let gone: Vec<_> = RULES.iter().map(|rule| rule.room).filter(|room| files_of(room).is_empty()).collect();
    assert_eq!(gone, Vec::<&str>::new(), "a rule about nothing forbids nothing");
}

#[test]
fn a_clock_in_a_pure_room_is_found_however_it_is_imported() {
    let texts = [
        "fn f() { std::time::Instant::now() }",
        "use std::time::Instant; fn f() { Instant::now() }",
        "use std::time::{Duration, Instant as I}; fn f() { I::now() }",
        "use std::time; fn f() { time::Instant::now() }",
    ];
    for text in texts {
        let source = read(text, &["crate", "decide"]).unwrap();
        let found = forbidden(&source.mentions, &[HANDS]);
        assert_eq!(found, [("std::time::Instant::now".to_owned(), 1)], "{text}");
    }
}

#[test]
fn a_neighbour_that_a_room_may_not_know_is_found_also_by_a_relative_path() {
    let source = read("use super::backplane::Backplane;\nuse crate::http;", &["crate", "hub"]).unwrap();
    let found = forbidden(&source.mentions, &[&["crate::backplane", "crate::http"]]);
    assert_eq!(found, [("crate::backplane::Backplane".to_owned(), 1), ("crate::http".to_owned(), 2)]);
}

#[test]
fn an_instant_as_an_argument_and_a_longer_name_are_allowed() {
    let source =
        read("use std::time::Instant; use redis_like::X; fn f(now: Instant) {}", &["crate", "decide"]).unwrap();
    assert_eq!(forbidden(&source.mentions, &[HANDS, REDIS]), []);
}

/// Path and line of every mention that begins with one of `beginnings`.
fn forbidden(mentions: &[Mention], beginnings: &[&[&str]]) -> Vec<(String, usize)> {
    let begins = |path: &[String], beginning: &str| {
        let segments: Vec<&str> = beginning.split("::").collect();
        path.len() >= segments.len() && segments.iter().zip(path).all(|(wanted, own)| wanted == own)
    };
    mentions
        .iter()
        .filter(|mention| beginnings.iter().copied().flatten().any(|beginning| begins(&mention.path, beginning)))
        .map(|mention| (mention.path.join("::"), mention.line))
        .collect()
}

/// The room's parent file and everything in its folder. `lib` means the whole crate.
fn files_of(room: &str) -> Vec<String> {
    let root = repository::root();
    let parent = format!("{room}.rs");
    let folder = root.join(room.strip_suffix("/lib").unwrap_or(room));
    let mut files = Vec::new();
    if root.join(&parent).is_file() {
        files.push(parent);
    }
    if folder.is_dir() {
        files.extend(repository::files_with_extension(&folder, "rs").iter().map(|path| repository::relative(path)));
    }
    files.dedup();
    // Sentences about time belong to the room's tests, which may use whatever they like.
    files.retain(|file| !Path::new(file).ends_with("tests.rs"));
    files
}

/// `gateway/src/hub/shard.rs` → `crate::hub::shard`.
fn module_of(file: &str) -> Vec<String> {
    let inside = file.split_once("/src/").map_or(file, |(_, inside)| inside);
    let name = inside.trim_end_matches(".rs");
    let own = name.split('/').filter(|segment| !matches!(*segment, "lib" | "main" | "mod"));
    std::iter::once("crate").chain(own).map(str::to_owned).collect()
}
