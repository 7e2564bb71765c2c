//! Pure: what is printed when all gateways are ready.

use std::fmt::Write as _;

use serde::Serialize;

use super::plan::{Output, Plan};

/// The line for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    room: &'a str,
    replicas: Vec<LineReplica>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LineReplica {
    url: String,
    #[serde(rename = "internalURL")]
    internal_url: String,
    pid: u32,
}

/// What is printed to standard output, with a newline at its end; `pids` in the order of the replicas.
#[must_use]
pub fn announcement(plan: &Plan, pids: &[u32], output: Output) -> String {
    match output {
        Output::Text => text(plan, pids),
        Output::Json => json(plan, pids),
    }
}

fn json(plan: &Plan, pids: &[u32]) -> String {
    let path = &plan.cold.path;
    let replicas = plan.replicas.iter().zip(pids);
    let replicas = replicas
        .map(|(replica, pid)| LineReplica { url: replica.url(path), internal_url: replica.internal_url(), pid: *pid })
        .collect();
    let line =
        serde_json::to_string(&Line { room: &plan.room, replicas }).expect("text and numbers can be written as JSON");
    line + "\n"
}

fn text(plan: &Plan, pids: &[u32]) -> String {
    let path = &plan.cold.path;
    let count = match plan.replicas.len() {
        1 => "its gateway takes clients".to_owned(),
        several => format!("its {several} gateways take clients"),
    };
    let mut text = format!("room {}: {count}\n", plan.room);
    for (replica, pid) in plan.replicas.iter().zip(pids) {
        let (url, internal) = (replica.url(path), replica.internal_url());
        writeln!(text, "  {url}   probes and metrics {internal}   pid {pid}").expect("writing to a string cannot fail");
    }
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
        let expected = concat!(
            r#"{"room":"lobby","replicas":[{"url":"ws://127.0.0.1:8080/chat","internalURL":"http://127.0.0.1:8082","pid":11},"#,
            r#"{"url":"ws://127.0.0.1:8090/chat","internalURL":"http://127.0.0.1:8092","pid":12}]}"#,
            "\n"
        );
        assert_eq!(announcement(&plan, &[11, 12], Output::Json), expected);
    }

    #[test]
    fn people_are_told_of_the_page_only_when_there_is_one() {
        let mut plan = plan(wishes(&Shared::Memory));
        assert!(announcement(&plan, &[1, 2, 3], Output::Text).contains("http://127.0.0.1:8080/chat"));
        plan.cold.web_client = false;
        assert!(!announcement(&plan, &[1, 2, 3], Output::Text).contains("browser"));
    }
}
