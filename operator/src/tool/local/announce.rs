//! Pure: what is printed when all gateways are ready.

use std::fmt::Write as _;

use serde::Serialize;

use super::plan::{Output, Plan};
use super::push_keys::PushKeys;

/// The line for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    room: &'a str,
    replicas: Vec<LineReplica>,
    push: LinePush<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LinePush<'a> {
    keys: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LineReplica {
    url: String,
    #[serde(rename = "pushURL")]
    push_url: String,
    #[serde(rename = "internalURL")]
    internal_url: String,
    pid: u32,
}

/// What is printed to standard output, with a newline at its end; `pids` in the order of the replicas. It is the one place where
/// a push key is shown: whoever started the run has to learn it.
#[must_use]
pub fn announcement(plan: &Plan, pids: &[u32], keys: &PushKeys, output: Output) -> String {
    match output {
        Output::Text => text(plan, pids, keys),
        Output::Json => json(plan, pids, keys),
    }
}

fn json(plan: &Plan, pids: &[u32], keys: &PushKeys) -> String {
    let path = &plan.cold.path;
    let replicas = plan.replicas.iter().zip(pids);
    let replicas = replicas
        .map(|(replica, pid)| LineReplica {
            url: replica.url(path),
            push_url: replica.push_url(),
            internal_url: replica.internal_url(),
            pid: *pid,
        })
        .collect();
    let line = Line { room: &plan.room, replicas, push: LinePush { keys: keys.all() } };
    serde_json::to_string(&line).expect("text and numbers can be written as JSON") + "\n"
}

fn text(plan: &Plan, pids: &[u32], keys: &PushKeys) -> String {
    let path = &plan.cold.path;
    let count = match plan.replicas.len() {
        1 => "its gateway takes clients".to_owned(),
        several => format!("its {several} gateways take clients"),
    };
    let mut text = format!("room {}: {count}\n", plan.room);
    for (replica, pid) in plan.replicas.iter().zip(pids) {
        let (url, push, internal) = (replica.url(path), replica.push_url(), replica.internal_url());
        writeln!(text, "  {url}   push {push}   probes and metrics {internal}   pid {pid}")
            .expect("writing to a string cannot fail");
    }
    writeln!(text, "  push key: {}", keys.all()[0]).expect("writing to a string cannot fail");
    if plan.cold.web_client {
        writeln!(text, "  the page, for a browser: {}", plan.replicas[0].page_url(path))
            .expect("writing to a string cannot fail");
    }
    text + "Ctrl-C lets the clients go and ends it.\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::local::backplane::Shared;
    use crate::tool::local::plan::tests::{plan, wishes};

    #[test]
    fn programs_get_one_line_with_everything_to_connect() {
        let mut plan = plan(wishes(&Shared::OwnServer));
        plan.replicas.truncate(2);
        let keys = PushKeys::parse("the-new-key-0123\nthe-old-key-0123").unwrap();
        let expected = concat!(
            r#"{"room":"lobby","replicas":["#,
            r#"{"url":"ws://127.0.0.1:8080/chat","pushURL":"http://127.0.0.1:8081/push","#,
            r#""internalURL":"http://127.0.0.1:8082","pid":11},"#,
            r#"{"url":"ws://127.0.0.1:8090/chat","pushURL":"http://127.0.0.1:8091/push","#,
            r#""internalURL":"http://127.0.0.1:8092","pid":12}],"push":{"keys":["the-new-key-0123","the-old-key-0123"]}}"#,
            "\n"
        );
        assert_eq!(announcement(&plan, &[11, 12], &keys, Output::Json), expected);
    }

    #[test]
    fn people_are_told_of_the_page_only_when_there_is_one() {
        let mut plan = plan(wishes(&Shared::Memory));
        let keys = PushKeys::parse("the-new-key-0123\nthe-old-key-0123").unwrap();
        assert!(announcement(&plan, &[1, 2, 3], &keys, Output::Text).contains("http://127.0.0.1:8080/chat"));
        plan.cold.web_client = false;
        assert!(!announcement(&plan, &[1, 2, 3], &keys, Output::Text).contains("browser"));
    }

    #[test]
    fn people_are_told_where_and_with_which_key_to_push() {
        let keys = PushKeys::parse("the-new-key-0123\nthe-old-key-0123").unwrap();
        let text = announcement(&plan(wishes(&Shared::OwnServer)), &[1, 2, 3], &keys, Output::Text);
        for part in
            ["push http://127.0.0.1:8081/push", "push http://127.0.0.1:8101/push", "push key: the-new-key-0123\n"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("the-old-key"), "one is enough: {text}");
    }
}
