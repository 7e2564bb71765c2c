//! Manifests on pages are manifests that work: every fenced block of YAML is read as a cluster would read it.

use std::path::Path;

use chatroom_operator::room::Defaults;
use chatroom_operator::tool::manifest::Manifest;
use chatroom_tests::repository;
use serde::Deserialize;

#[test]
fn every_manifest_on_a_page_would_be_taken() {
    let (mut rooms, mut wrong) = (0, Vec::new());
    for page in repository::files_with_extension(repository::root(), "md") {
        let name = repository::relative(&page);
        for (line, block) in yaml_blocks(&text_of(&page)) {
            match judge(&block) {
                Ok(found) => rooms += found,
                Err(why) => wrong.push(format!("{name}:{line}: {why}")),
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(rooms >= 5, "{rooms} rooms were found: is the fence still ```yaml?");
}

#[test]
fn a_wrong_room_and_broken_yaml_are_found() {
    let room = |spec: &str| {
        format!("apiVersion: chatroom.dev/v1alpha1\nkind: ChatRoom\nmetadata: {{name: a}}\nspec: {{{spec}}}\n")
    };
    assert_eq!(judge(&room("replicas: 3")), Ok(1));
    assert!(judge(&room("replica: 3")).unwrap_err().contains("spec.replica: there is no such field"));
    assert!(judge(&room("pingIntervalSeconds: 1")).unwrap_err().contains("must be 5 to 300"));
    assert!(judge("kind: Ingress\nspec: {").is_err());
    assert!(judge("spec: {}").unwrap_err().contains("no kind"));
    let page = "text\n```yaml\na: 1\n```\n```sh\nb: 2\n```\n  ```yaml\n  c: 3\n  ```\n";
    assert_eq!(yaml_blocks(page), [(3, "a: 1\n".to_owned()), (9, "c: 3\n".to_owned())]);
}

/// How many rooms stand in the block; or what is wrong with it.
fn judge(block: &str) -> Result<usize, String> {
    let mut kinds = Vec::new();
    for document in serde_yaml::Deserializer::from_str(block) {
        let value = serde_yaml::Value::deserialize(document).map_err(|error| format!("no YAML: {error}"))?;
        let kind = value.get("kind").and_then(serde_yaml::Value::as_str).map(str::to_owned);
        // Values for Helm and parts of a manifest are no manifests; those begin with their version.
        if kind.is_none() && value.get("spec").is_some() {
            return Err("a manifest has no kind".to_owned());
        }
        kinds.extend(kind);
    }
    let rooms = kinds.iter().filter(|kind| *kind == "ChatRoom").count();
    if rooms > 0 {
        let defaults = Defaults { gateway_image: "gateway:1".into(), redis_image: "redis:1".into() };
        let manifest = Manifest::parse(block).map_err(|invalid| invalid.to_string())?;
        manifest.validate(str::to_owned, &defaults).map_err(|invalid| invalid.to_string())?;
    }
    Ok(rooms)
}

/// The text of each block, and the line on which it begins.
fn yaml_blocks(page: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, usize, String)> = None;
    for (number, line) in (1..).zip(page.lines()) {
        let indent = line.len() - line.trim_start().len();
        match &mut open {
            Some(_) if line.trim_start().starts_with("```") => {
                blocks.extend(open.take().map(|(line, _, text)| (line, text)));
            }
            Some((_, inside, text)) => {
                text.push_str(line.get(*inside..).unwrap_or_default());
                text.push('\n');
            }
            None if line.trim() == "```yaml" => open = Some((number + 1, indent, String::new())),
            None => {}
        }
    }
    blocks
}

fn text_of(page: &Path) -> String {
    std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}
