//! docs/metrics.md lists what operator and gateway expose: every metric, with its type and labels, and no other.

use std::collections::{BTreeMap, BTreeSet};

use chatroom_gateway::metrics as gateway;
use chatroom_operator::metrics as operator;
use chatroom_tests::repository;

/// Type and labels of a metric.
type Shape = (String, BTreeSet<String>);

#[test]
fn the_page_lists_every_metric_with_its_type_and_labels_and_no_other() {
    let path = repository::root().join("docs/metrics.md");
    let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut exposed = shapes(&of_gateway());
    exposed.extend(shapes(&of_operator()));
    assert_eq!(rows(&page), exposed);
}

/// A family without a series is not exposed, so each has to be touched above before it can be compared.
#[test]
fn every_registered_metric_is_compared() {
    for text_and_names in [(of_gateway(), registered_by_gateway()), (of_operator(), registered_by_operator())] {
        let (text, names) = text_and_names;
        assert!(names.len() > 5, "{names:?}");
        let untouched: Vec<_> = names.iter().filter(|name| !text.contains(&format!("_{name} "))).collect();
        assert!(untouched.is_empty(), "give these families a series in this test: {untouched:?}");
    }
}

#[test]
fn a_missing_row_and_a_wrong_label_are_found() {
    let text = "# HELP a_closes Closes.\n# TYPE a_closes counter\na_closes_total{code=\"1\"} 0\n# EOF\n";
    let right = "| `a_closes_total` | counter | `code` | x |";
    assert_eq!(rows(right), shapes(text));
    for wrong in ["", "| `a_closes_total` | counter | | x |", "| `a_closes` | counter | `code` | x |"] {
        assert_ne!(rows(wrong), shapes(text), "{wrong}");
    }
}

fn of_gateway() -> String {
    let (metrics, registry) = gateway::Metrics::new();
    metrics.closes.get_or_create(&gateway::ByCode { code: 1000 }).inc();
    metrics.refusals.get_or_create(&gateway::ByReason { reason: "pod_full" }).inc();
    metrics.publishes.get_or_create(&gateway::ByResult { result: "ok" }).inc();
    metrics.pushes.get_or_create(&gateway::ByPush { dialect: "plain", outcome: "ok" }).inc();
    let function = "register";
    metrics.function_calls.get_or_create(&gateway::ByCall { function, result: "ok" }).inc();
    metrics.function_seconds.0.get_or_create(&gateway::ByFunction { function }).observe(0.01);
    metrics.function_calls_in_flight.get_or_create(&gateway::ByFunction { function }).set(1);
    metrics.function_breakers_open.get_or_create(&gateway::ByFunction { function }).set(1);
    metrics.function_failures_ignored.get_or_create(&gateway::ByFunction { function }).inc();
    metrics.leases.get_or_create(&gateway::ByResult { result: "ok" }).inc();
    metrics.cleanups.get_or_create(&gateway::ByResult { result: "delivered" }).inc();
    metrics.settings_info.get_or_create(&gateway::BySettings { hot: "a".into(), cold: "b".into() }).set(1);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("writing to a String cannot fail");
    text
}

fn of_operator() -> String {
    let metrics = operator::Metrics::new(|| BTreeMap::from([("ready", 1)]));
    metrics.wrote("Service", "apply");
    metrics.reconciles.get_or_create(&operator::ResultLabel { result: "ok" }).inc();
    metrics.errors.get_or_create(&operator::CategoryLabel { category: "server" }).inc();
    metrics.watch_errors.get_or_create(&operator::KindLabel { kind: "Pod" }).inc();
    metrics.namespace_watched.get_or_create(&operator::NamespaceLabel { namespace: "chat".into() }).set(1);
    metrics.gateway_polls.get_or_create(&operator::ResultLabel { result: "answered" }).inc();
    metrics.render()
}

fn registered_by_gateway() -> BTreeSet<String> {
    registered(&format!("{:?}", gateway::Metrics::new().1))
}

fn registered_by_operator() -> BTreeSet<String> {
    registered(&format!("{:?}", operator::Metrics::new(BTreeMap::new)))
}

/// The registry tells the names of its descriptors only to whoever debugs it.
fn registered(debugged: &str) -> BTreeSet<String> {
    let after = debugged.split("Descriptor { name: \"").skip(1);
    after.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

/// Every metric of an exposition, under the name that a query uses.
fn shapes(text: &str) -> BTreeMap<String, Shape> {
    let mut found = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            current = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
            found.insert(current.clone(), (kind.to_owned(), BTreeSet::new()));
        } else if !line.starts_with('#')
            && let Some((_, rest)) = line.split_once('{')
            && let Some((labels, _)) = rest.rsplit_once('}')
            && let Some((_, known)) = found.get_mut(&current)
        {
            let names = labels.split(',').filter_map(|label| label.split_once('=')).map(|(name, _)| name.to_owned());
            known.extend(names.filter(|name| name != "le"));
        }
    }
    found
}

/// Every metric of the page's tables.
fn rows(page: &str) -> BTreeMap<String, Shape> {
    let code = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let mut found = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, name, kind, labels, ..] = cells.as_slice() else { panic!("a row has four cells: {line}") };
        let name = code(name).concat();
        let twice = found.insert(name, ((*kind).to_owned(), code(labels).into_iter().collect()));
        assert_eq!(twice, None, "twice: {line}");
    }
    found
}
