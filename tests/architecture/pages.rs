//! Every page: what it points at is there.

use std::collections::BTreeSet;
use std::path::Path;

use chatroom_tests::repository;

/// Made by a command, so not there in a fresh checkout.
const MADE: [&str; 1] = ["target"];

#[test]
fn every_path_that_a_page_names_exists() {
    let root = repository::root();
    let folders = folders_of(root);
    let mut broken = Vec::new();
    for page in repository::files_with_extension(root, "md") {
        let text = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        let directory = page.parent().expect("a page lies in a directory");
        let name = repository::relative(&page);
        for link in links(&text) {
            // A link that begins with a slash is one of a web server or of the repository's host.
            let target = link.strip_prefix('/').map_or_else(|| directory.join(&link), |inside| root.join(inside));
            if !target.exists() {
                broken.push(format!("{name} links to {link}"));
            }
        }
        for path in paths(&text, &folders) {
            if !root.join(&path).exists() && !directory.join(&path).exists() {
                broken.push(format!("{name} names {path}"));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn links_are_found_and_those_to_other_sites_are_not_ours() {
    let text = "[a](guide/start.md#first) ![b](pictures/b.png \"title\") [c](https://x.y/z) [d](#here) `[e](no.md)` <mailto:x>";
    assert_eq!(links(text), ["guide/start.md", "pictures/b.png"]);
}

#[test]
fn paths_are_found_in_code_in_blocks_and_in_words() {
    let folders = BTreeSet::from(["docs".to_owned(), "deploy".to_owned()]);
    let text = "See `docs/a.md`, and\n```sh\nkubectl apply -f deploy/samples/lobby.yaml # then\n```\n(docs/b). Not \
                ghcr.io/docs/x, https://docs/x, docs/*.md, docs/<name>.md or tests/none, nor docs/… .";
    assert_eq!(paths(text, &folders), ["deploy/samples/lobby.yaml", "docs/a.md", "docs/b"]);
}

/// Where the links of a page lead, without those to other sites and within the page.
fn links(text: &str) -> Vec<String> {
    let without_code: String = text.split('`').step_by(2).collect::<Vec<_>>().join(" ");
    without_code
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .filter_map(|(target, _)| target.split_whitespace().next())
        .map(|target| target.split('#').next().unwrap_or_default())
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"))
        .map(str::to_owned)
        .collect()
}

/// The paths of the repository that a page names in words or code: they begin with one of its folders.
fn paths(text: &str, folders: &BTreeSet<String>) -> Vec<String> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || "/._-*<>{}:@$~#…".contains(character);
    let found: BTreeSet<String> = text
        .split(|character| !is_part(character))
        .map(|word| word.trim_end_matches(['.', ':']).trim_start_matches("./"))
        .filter(|word| !word.contains(['*', '<', '>', '{', '}', ':', '@', '$', '~', '#', '…']))
        .filter(|word| word.split_once('/').is_some_and(|(first, rest)| folders.contains(first) && !rest.is_empty()))
        .map(str::to_owned)
        .collect();
    found.into_iter().collect()
}

fn folders_of(root: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root).expect("the root can be listed").flatten();
    let folders =
        entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().to_string_lossy().into_owned());
    folders.filter(|name| !name.starts_with('.') && !MADE.contains(&name.as_str())).collect()
}
