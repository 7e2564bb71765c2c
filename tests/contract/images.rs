//! The two roads to an image lead to the same one: what `deploy/Dockerfile` says against what `deploy/scripts/images.sh` packs.
//!
//! Texts are compared, since only one of the roads can be gone on a machine without Docker.

use std::collections::{BTreeMap, BTreeSet};

use chatroom_tests::repository;

/// What a kubelet and a room see of an image.
#[derive(Debug, Default, PartialEq, Eq)]
struct Image {
    entrypoint: String,
    user: String,
    path: String,
    programs: BTreeSet<String>,
}

#[test]
fn the_dockerfile_builds_the_images_that_are_packed() {
    let built = built(&text("deploy/Dockerfile"));
    assert_eq!(built, packed(&text("deploy/scripts/images.sh"), &text("tests/cluster/cmd/image/main.go")));
    assert_eq!(built.keys().collect::<Vec<_>>(), ["functions-sample", "gateway", "operator", "redis"]);
}

#[test]
fn the_dockerfile_builds_with_the_rust_of_the_toolchain_file() {
    let toolchain = text("rust-toolchain.toml");
    let channel = between(&toolchain, "channel = \"", "\"").expect("rust-toolchain.toml names a channel");
    let dockerfile = text("deploy/Dockerfile");
    assert_eq!(between(&dockerfile, "\nFROM rust:", "-"), Some(channel));
}

/// The images whose stage begins with nothing: `FROM scratch AS name`.
fn built(dockerfile: &str) -> BTreeMap<String, Image> {
    let joined = dockerfile.replace("\\\n", " ");
    // `bash …/rootfs.sh /gateway PROGRAM…`: folder → names of the programs that go into its /usr/local/bin.
    let folders: BTreeMap<&str, BTreeSet<String>> = joined
        .split("rootfs.sh /")
        .skip(1)
        .filter_map(|call| call.split(['\n', '&']).next()?.split_once(' '))
        .map(|(folder, programs)| (folder, programs.split_whitespace().map(|path| in_image(base_name(path))).collect()))
        .collect();
    let stages = joined.split("\nFROM scratch AS ").skip(1);
    let images = stages.map(|stage| {
        let (name, instructions) = stage.split_once('\n').expect("a stage has instructions");
        let mut image = Image::default();
        for (instruction, rest) in instructions.lines().filter_map(|line| line.split_once(' ')) {
            match instruction {
                "ENTRYPOINT" => image.entrypoint = rest.trim_matches(['[', ']', '"']).replace("\", \"", " "),
                "USER" => image.user = rest.to_owned(),
                "ENV" => image.path = rest.to_owned(),
                "COPY" => {
                    let folder = between(rest, " /", " /").expect("a stage copies one folder to the root");
                    image.programs.extend(folders.get(folder).cloned().unwrap_or_default());
                }
                "#" => {}
                other => panic!("{other} is not compared yet"),
            }
        }
        (name.to_owned(), image)
    });
    images.collect()
}

/// The images that the script packs with the program `image`, whose defaults are user and PATH.
fn packed(script: &str, packer: &str) -> BTreeMap<String, Image> {
    let user = between(packer, "flag.String(\"user\", \"", "\"").expect("the packer has a default user");
    let path = between(packer, "\"Env\":        []string{\"", "\"").expect("the packer sets PATH");
    let joined = script.replace("\\\n", " ");
    let calls = joined.lines().filter_map(|line| line.trim().strip_prefix("pack ")?.split_once(' '));
    let images = calls.map(|(name, arguments)| {
        // One word, or several in quotes.
        let end = arguments.strip_prefix('"').map_or(" ", |_| "\" ");
        let (entrypoint, files) = arguments.split_once(end).expect("a packed image holds files");
        let programs =
            files.split(['"', ' ']).filter_map(|word| word.split_once("ldd=")).map(|(_, path)| path.to_owned());
        let image = Image {
            entrypoint: entrypoint.trim_matches('"').to_owned(),
            user: user.to_owned(),
            path: path.to_owned(),
            programs: programs.collect(),
        };
        (name.to_owned(), image)
    });
    images.collect()
}

fn in_image(program: &str) -> String {
    format!("/usr/local/bin/{program}")
}

fn base_name(path: &str) -> &str {
    path.trim_matches('"').rsplit('/').next().unwrap_or_default()
}

/// What stands between the first `before` and the next `after`.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(inner, _)| inner)
}

fn text(file: &str) -> String {
    std::fs::read_to_string(repository::root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}
