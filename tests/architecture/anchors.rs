//! Every link to a heading: the heading is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chatroom_tests::repository;

#[test]
fn every_link_to_a_heading_leads_to_one() {
    let pages: BTreeMap<PathBuf, String> = repository::files_with_extension(repository::root(), "md")
        .into_iter()
        .map(|page| {
            let text = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
            (page, text)
        })
        .collect();
    assert_eq!(lost(&pages), Vec::<String>::new());
}

#[test]
fn a_link_to_no_heading_is_found() {
    let page = |text: &str| text.to_owned();
    let pages = BTreeMap::from([
        (
            PathBuf::from("/a/one.md"),
            page("# One\n[x](two.md#its-end) [y](#one) [z](../b/two.md#no) [e](https://x/#y)"),
        ),
        (
            PathBuf::from("/a/two.md"),
            page("## Its end\n```sh\n# a comment\n```\n[q](one.md#two) `[c](#code)` [r](#a-comment)"),
        ),
    ]);
    assert_eq!(
        lost(&pages),
        ["/a/one.md links to ../b/two.md#no", "/a/two.md links to #a-comment", "/a/two.md links to one.md#two"]
    );
}

#[test]
fn a_heading_has_the_name_that_hosts_of_markdown_give_it() {
    assert_eq!(anchor("Ready: AllReplicasReady"), "ready-allreplicasready");
    assert_eq!(anchor("spec.redis.external"), "specredisexternal");
    assert_eq!(anchor("How to …"), "how-to-");
    assert_eq!(anchor("`make up` and down"), "make-up-and-down");
}

/// Page and link of every link that names a heading which is not there.
fn lost(pages: &BTreeMap<PathBuf, String>) -> Vec<String> {
    let headings: BTreeMap<&Path, BTreeSet<String>> =
        pages.iter().map(|(page, text)| (page.as_path(), headings(text))).collect();
    let mut lost = Vec::new();
    for (page, text) in pages {
        let directory = page.parent().expect("a page lies in a directory");
        let mut links: Vec<_> = links(text).into_iter().filter(|link| !link.contains("://")).collect();
        links.sort_unstable();
        for link in links {
            let Some((target, heading)) = link.split_once('#') else { continue };
            let target = if target.is_empty() { page.clone() } else { plain(&directory.join(target)) };
            if !headings.get(target.as_path()).is_some_and(|known| known.contains(heading)) {
                lost.push(format!(
                    "{} links to {link}",
                    page.strip_prefix(repository::root()).unwrap_or(page).display()
                ));
            }
        }
    }
    lost
}

/// The path without its steps up.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part.as_os_str() == ".." {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

fn headings(text: &str) -> BTreeSet<String> {
    let outside = without_blocks(text);
    let titles = outside
        .iter()
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
    titles.map(anchor).collect()
}

/// Where the links of a page lead, those in code left out.
fn links(text: &str) -> Vec<String> {
    let prose = without_blocks(text).join("\n");
    let outside: String = prose.split('`').step_by(2).collect();
    outside.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link.to_owned()).collect()
}

fn without_blocks(text: &str) -> Vec<&str> {
    let mut inside = false;
    text.lines()
        .filter(|line| {
            let fence = line.trim_start().starts_with("```");
            inside ^= fence;
            !inside && !fence
        })
        .collect()
}

/// Lower case; of punctuation only what words are joined with.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}
