//! The alerts ask for numbers that the programs have.

use std::collections::BTreeSet;
use std::sync::Arc;

use chatroom_operator::metrics::{CategoryLabel, phases};
use chatroom_tests::repository;
use serde_json::Value;

use crate::helm::with_helm;

const RUNBOOK: &str = "docs/runbooks/alerts.md";

#[test]
fn every_alert_is_about_numbers_that_there_are() {
    with_helm("every_alert_is_about_numbers_that_there_are", |helm| {
        let rendering = helm.render(["--set=metrics.prometheusRule.enabled=true"]).unwrap();
        let page = std::fs::read_to_string(repository::root().join(RUNBOOK)).expect("the page is there");
        let (names, text) = (numbers(), operators_text());
        let mut alerts = BTreeSet::new();
        for rule in rules(rendering.one("PrometheusRule")) {
            let (alert, expression) = (rule["alert"].as_str().unwrap(), rule["expr"].as_str().unwrap());
            assert!(alerts.insert(alert.to_owned()), "two alerts are called {alert}");
            let asked = names_in(expression);
            assert!(!asked.is_empty(), "{alert}: {expression}");
            for name in asked {
                assert!(names.contains(&name), "{alert} asks for {name}, which nobody counts");
            }
            if let Some((_, phase)) = expression.split_once("phase=\"") {
                let phase = phase.split('"').next().unwrap();
                assert!(phases(&[]).contains_key(phase), "{alert}: no room is ever {phase}");
            }
            let runbook = rule["annotations"]["runbook_url"].as_str().unwrap_or_default();
            assert!(runbook.ends_with(&format!("/{RUNBOOK}#{}", alert.to_lowercase())), "{alert}: {runbook}");
            assert!(page.lines().any(|line| line == format!("### {alert}")), "{RUNBOOK} has nothing about {alert}");
            for part in ["summary", "description"] {
                assert!(rule["annotations"][part].as_str().is_some_and(|words| words.len() > 10), "{alert}: {part}");
            }
        }
        assert!(text.contains("category=\"forbidden\""), "the label that an alert groups by: {text}");
    });
}

#[test]
fn names_are_found_in_an_expression() {
    let expression = "sum(increase(chatroom_a_total{x=\"y\"}[5m])) by (z) > absent(chatroom_b)";
    assert_eq!(names_in(expression), ["chatroom_a_total", "chatroom_b"]);
}

fn rules(object: &Value) -> Vec<Value> {
    let groups = object["spec"]["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn names_in(expression: &str) -> Vec<String> {
    let words = expression.split(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
    words.filter(|word| word.starts_with("chatroom_")).map(str::to_owned).collect()
}

/// The names of all numbers of both programs, as they are served.
fn numbers() -> BTreeSet<String> {
    let text = operators_text() + &gateways_text();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(['{', ' ']).next().unwrap_or_default().to_owned()).collect()
}

fn operators_text() -> String {
    let metrics: Arc<_> = chatroom_operator::metrics::Metrics::new(|| phases(&[]));
    // A family is there as soon as something was counted in it.
    metrics.errors.get_or_create(&CategoryLabel { category: "forbidden" }).inc();
    metrics.render()
}

fn gateways_text() -> String {
    let (metrics, registry) = chatroom_gateway::metrics::Metrics::new();
    let reason = chatroom_gateway::http::problem::Refusal::PodFull.code();
    metrics.refusals.get_or_create(&chatroom_gateway::metrics::ByReason { reason }).inc();
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("writing to a String cannot fail");
    text
}
