//! Rooms with functions: what their status says of what functions are called with, and of ends.

use chatroom_api::{ChatRoom, ChatRoomStatus};
use chatroom_operator::controller::notices::of_transition;
use chatroom_operator::controller::report::{Outcome, report};
use chatroom_operator::observed::Observed;
use chatroom_settings::CleanupStatus;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::fixtures::{answer, chat_room, room, settled, unreachable};
use crate::report::{after, applied, condition, words};

/// Both conditions have something to say about it.
fn spec() -> Value {
    json!({"functions": {
        "dialect": "Tencent",
        "cleanup": {"url": "https://chat.example.com/cleanup"},
        "signingSecretRef": {"name": "sign"},
        "caSecretRef": {"name": "corp", "key": "root.pem"},
    }})
}

fn types(status: &ChatRoomStatus) -> Vec<&str> {
    status.conditions.iter().map(|condition| condition.type_.as_str()).collect()
}

fn ends(waiting: u64, dead: u64, problem: &str) -> Option<CleanupStatus> {
    Some(CleanupStatus { waiting, dead, problem: problem.to_owned() })
}

/// Every gateway reports these ends.
fn all_report(waiting: u64, dead: u64, problem: &str) -> impl FnOnce(&mut Observed) {
    move |observed| (0..2).for_each(|index| answer(observed, index).cleanup = ends(waiting, dead, problem))
}

#[test]
fn only_rooms_that_have_something_to_say_have_the_conditions() {
    let plain = after(json!({}), |_| {});
    let url = json!({"url": "http://chat.default.svc/"});
    let asked = after(json!({"functions": {"dialect": "Tencent", "register": url}}), |_| {});
    let told = after(json!({"functions": {"dialect": "Tencent", "cleanup": url}}), |_| {});
    let whole = after(spec(), |_| {});
    assert_eq!(types(&asked), types(&plain));
    assert!(!types(&plain).contains(&"FunctionsReady") && !types(&plain).contains(&"CleanupHealthy"));
    assert!(!types(&told).contains(&"FunctionsReady") && types(&told).contains(&"CleanupHealthy"));
    assert!(types(&whole).contains(&"FunctionsReady") && types(&whole).contains(&"CleanupHealthy"));
    let roots = json!({"functions": {"dialect": "Tencent", "register": url, "caSecretRef": {"name": "corp"}}});
    assert!(types(&after(roots, |_| {})).contains(&"FunctionsReady"));
}

#[test]
fn what_functions_cannot_be_called_without_is_told_with_the_secret_and_says_nothing_against_the_room() {
    let missing = |file: &str| {
        let file = file.to_owned();
        after(spec(), move |observed| answer(observed, 1).missing = vec![file])
    };
    let refused = |file: &str| {
        let file = file.to_owned();
        after(spec(), move |observed| answer(observed, 1).refused = vec![file])
    };
    let found = "once it is there, gateways find it within about 90 seconds";
    let cases = [
        (
            missing("signing/keys"),
            "SigningKeysNotFound",
            format!("there is no Secret sign with the key keys ({found}); until then they call no function"),
        ),
        (
            refused("signing/keys"),
            "SigningKeysRefused",
            "a line of Secret sign with the key keys is no signing key, which is whsec_ and the base64 of 24 to 64 bytes; the other lines count"
                .to_owned(),
        ),
        (
            missing("ca/ca.crt"),
            "RootsNotFound",
            format!("there is no Secret corp with the key root.pem ({found}); until then they trust public authorities alone"),
        ),
        (
            refused("ca/ca.crt"),
            "RootsRefused",
            "what Secret corp with the key root.pem holds cannot be read as certificates in PEM; until it can, they trust public \
             authorities, and the last good ones if they had any".to_owned(),
        ),
    ];
    for (status, reason, message) in cases {
        let message = format!("1 of 2 gateways: {message}");
        assert_eq!(condition(&status, "FunctionsReady"), ("False", reason, message.as_str()));
        assert_eq!(words(&status, "Ready"), ("True", "AllReplicasReady"));
        assert_eq!(words(&status, "PushReady"), ("True", "Accepting"));
        let before = after(spec(), |_| {});
        let told: Vec<_> = of_transition(Some(&before), &status).into_iter().map(|it| it.reason.to_string()).collect();
        assert_eq!(told, [reason]);
    }
    assert_eq!(words(&after(spec(), |_| {}), "FunctionsReady"), ("True", "Configured"));
}

#[test]
fn a_secret_that_the_room_no_longer_names_is_missed_by_nobody() {
    let unsigned = json!({"functions": {
        "dialect": "Tencent", "register": {"url": "http://chat.default.svc/"}, "caSecretRef": {"name": "corp"},
    }});
    let status = after(unsigned, |observed| answer(observed, 0).missing = vec!["signing/keys".to_owned()]);
    assert_eq!(words(&status, "FunctionsReady"), ("True", "Configured"));
}

#[test]
fn the_cleanup_function_is_healthy_while_no_end_waits_because_of_it() {
    assert_eq!(words(&after(spec(), all_report(0, 0, "")), "CleanupHealthy"), ("True", "Delivering"));
    let busy = after(spec(), all_report(900, 0, ""));
    assert_eq!(words(&busy, "CleanupHealthy"), ("True", "Delivering"), "a crowd that leaves is no trouble");
    let long_ago = after(spec(), all_report(0, 0, "no connection"));
    assert_eq!(words(&long_ago, "CleanupHealthy"), ("True", "Delivering"), "another gateway was heard since");
    let nobody_looked = after(spec(), |_| {});
    assert_eq!(words(&nobody_looked, "CleanupHealthy"), ("Unknown", "Starting"));
    let one_looked = after(spec(), |observed| answer(observed, 1).cleanup = ends(0, 0, ""));
    assert_eq!(words(&one_looked, "CleanupHealthy"), ("True", "Delivering"));
}

#[test]
fn a_cleanup_function_that_takes_no_calls_is_told_with_what_went_wrong() {
    let status = after(spec(), |observed| {
        answer(observed, 0).cleanup = ends(3, 0, "");
        answer(observed, 1).cleanup = ends(4, 0, "HTTP status 500");
    });
    let message =
        "the cleanup function was not told: HTTP status 500; ends are told again at growing intervals, for a day";
    assert_eq!(condition(&status, "CleanupHealthy"), ("False", "CleanupFailing", message));
    assert_eq!(words(&status, "Ready"), ("True", "AllReplicasReady"));
    assert_eq!(of_transition(Some(&after(spec(), |_| {})), &status), [], "it is tried again by itself");
}

#[test]
fn ends_that_were_given_up_are_told_with_the_command_that_brings_them_back_and_once_for_all_gateways() {
    let dead = |count| {
        let status = after(spec(), all_report(1, count, ""));
        let (truth, reason, message) = condition(&status, "CleanupHealthy");
        assert_eq!((truth, reason), ("False", "DeadEvents"));
        message.to_owned()
    };
    let rest = "given up after a day of tries; once the cleanup function takes calls, bring them back: kubectl -n default exec \
                deploy/lobby -- chatroom-gateway dead replay";
    assert_eq!(dead(1), format!("a few ends were {rest}"));
    assert_eq!(dead(60), format!("at least 10 ends were {rest}"));
    let both = after(spec(), all_report(5, 100, "no connection"));
    let (_, reason, message) = condition(&both, "CleanupHealthy");
    assert_eq!(reason, "DeadEvents");
    assert!(
        message.contains("at least 100 ends") && message.contains("the last call failed: no connection"),
        "{message}"
    );
    let told: Vec<_> =
        of_transition(Some(&after(spec(), |_| {})), &both).into_iter().map(|it| it.reason.to_string()).collect();
    assert_eq!(told, ["DeadEvents"]);
    let late = after(spec(), |observed| {
        answer(observed, 0).cleanup = ends(0, 0, "");
        answer(observed, 1).cleanup = ends(0, 70, "");
    });
    assert!(condition(&late, "CleanupHealthy").2.contains("at least 10 ends"), "the one that looked last knows");
}

#[test]
fn counts_that_move_leave_the_status_alone() {
    let mut chat_room = chat_room(spec());
    let status = |chat_room: &ChatRoom, second, waiting, dead| {
        let mut observed = settled(&room(spec()));
        all_report(waiting, dead, "no connection")(&mut observed);
        report(chat_room, &applied(chat_room, &observed), &observed, Timestamp::from_second(second).unwrap())
    };
    let first = status(&chat_room, 1, 5, 11);
    chat_room.status = Some(first.clone());
    assert_eq!(status(&chat_room, 1000, 7000, 99), first);
    assert_ne!(status(&chat_room, 1000, 7000, 100), first);
}

#[test]
fn gateways_that_cannot_be_asked_say_nothing_against_the_functions() {
    let silent = after(spec(), |observed| observed.gateways = vec![unreachable("lobby-0")]);
    let nobody = after(spec(), |observed| observed.gateways.clear());
    for type_ in ["FunctionsReady", "CleanupHealthy"] {
        assert_eq!(words(&silent, type_), ("Unknown", "GatewaysUnreachable"));
        assert_eq!(words(&nobody, type_), ("Unknown", "NoGateways"));
    }
}

#[test]
fn a_room_that_is_paused_keeps_the_conditions_that_it_had() {
    let paused = |before: Option<ChatRoomStatus>, change: &dyn Fn(&mut Observed)| {
        let mut observed = settled(&room(spec()));
        change(&mut observed);
        let paused = ChatRoom { status: before, ..chat_room(json!({})) };
        report(&paused, &Outcome::Paused, &observed, Timestamp::from_second(1).unwrap())
    };
    let missing = |observed: &mut Observed| {
        answer(observed, 0).missing = vec!["signing/keys".to_owned()];
        answer(observed, 0).cleanup = ends(0, 0, "");
    };
    let status = paused(Some(after(spec(), |_| {})), &missing);
    let (truth, reason, message) = condition(&status, "FunctionsReady");
    assert_eq!((truth, reason), ("False", "SigningKeysNotFound"));
    assert!(message.contains("no Secret of spec.functions.signingSecretRef"), "{message}");
    assert_eq!(words(&status, "CleanupHealthy"), ("True", "Delivering"));
    let never = paused(None, &missing);
    assert!(!types(&never).contains(&"FunctionsReady") && !types(&never).contains(&"CleanupHealthy"));
}
