//! Runbooks say something of everything that can be read at night: each reason of a condition, each alert of the chart.

use std::collections::BTreeSet;

use chatroom_api::condition;
use chatroom_tests::repository;

/// What an entry about trouble has to say.
const PARTS: [&str; 5] = ["**Means**", "**Clients**", "**Look**", "**Do**", "**Over**"];

#[test]
fn every_reason_has_a_heading_and_every_heading_a_reason() {
    let page = text_of("docs/runbooks/conditions.md");
    let reasons = condition::TYPES.iter().flat_map(|kind| {
        std::iter::once(kind.name.to_owned())
            .chain(kind.reasons.iter().map(|reason| format!("{}: {}", kind.name, reason.name)))
    });
    let known: BTreeSet<_> = reasons.collect();
    let told: BTreeSet<_> = entries(&page).into_iter().map(|(heading, _)| heading).collect();
    assert_eq!(told.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "headings without a reason");
    assert_eq!(known.difference(&told).collect::<Vec<_>>(), Vec::<&String>::new(), "reasons without a heading");
}

#[test]
fn an_entry_says_what_to_do_or_that_there_is_nothing_or_where_it_stands() {
    let pages = ["conditions", "alerts", "situations"].map(|name| text_of(&format!("docs/runbooks/{name}.md")));
    let mut hollow = Vec::new();
    for (heading, text) in pages.iter().flat_map(|page| entries(page)) {
        hollow.extend(lacks(&text).map(|part| format!("{heading}: no {part}")));
    }
    assert_eq!(hollow, Vec::<String>::new());
}

#[test]
fn a_hollow_entry_is_found() {
    let whole = PARTS.map(|part| format!("- {part}: x")).join("\n");
    assert_eq!(lacks(&whole).next(), None);
    assert_eq!(lacks(&whole.replace("- **Over**: x", "")).collect::<Vec<_>>(), ["**Over**"]);
    assert_eq!(lacks("True. Nothing\nto do.").next(), None);
    assert_eq!(lacks("False. See [Stalled](#stalled).").next(), None);
    assert_eq!(lacks("False. Somebody has to act.").count(), PARTS.len());
}

/// Which parts an entry is without. One about no trouble, and one that points to another, needs none.
fn lacks(entry: &str) -> impl Iterator<Item = &'static str> {
    // Lines break anywhere.
    let words = entry.split_whitespace().collect::<Vec<_>>().join(" ");
    let says_enough = words.contains("Nothing to do") || words.contains("See [");
    let needs_none = entry.trim().is_empty() || (says_enough && !entry.contains("- **"));
    PARTS.into_iter().filter(move |part| !needs_none && !entry.contains(part))
}

/// The headings of a page below its title, each with the text up to the next.
fn entries(page: &str) -> Vec<(String, String)> {
    let mut entries: Vec<(String, String)> = Vec::new();
    for line in page.lines() {
        match line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")) {
            Some(heading) => entries.push((heading.to_owned(), String::new())),
            None => {
                if let Some((_, text)) = entries.last_mut() {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
    }
    entries
}

fn text_of(page: &str) -> String {
    let path = repository::root().join(page);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{page}: {error}"))
}
