//! What Helm says after an installation is true of that installation.

use std::fs;
use std::path::Path;

use chatroom_operator::room::Defaults;
use chatroom_operator::tool::manifest::Manifest;
use tempfile::TempDir;

use crate::helm::{Helm, RELEASE, chart, values_files, with_helm};

#[test]
fn the_notes_tell_what_was_installed_and_what_was_not() {
    with_helm("the_notes_tell_what_was_installed_and_what_was_not", |helm| {
        let notes = Notes::new();
        let plain = notes.with(helm, &[]);
        assert!(plain.contains("rooms of all namespaces") && plain.contains("--take-ownership"), "{plain}");
        for words in ["crds.install is false", "rbac.create is false", "crds.keep is false"] {
            assert!(!plain.contains(words), "{plain}");
        }
        let given = notes.with(helm, &["--set=crds.install=false", "--set=rbac.create=false"]);
        assert!(given.contains("crds.install is false") && given.contains("rbac.create is false"), "{given}");
        assert!(!given.contains("--take-ownership"), "{given}");
        let fleeting = notes.with(helm, &["--set=crds.keep=false"]);
        assert!(fleeting.contains("deletes the CRD") && !fleeting.contains("--take-ownership"), "{fleeting}");
        let listed = notes.with(helm, &["--set=watchNamespaces={team-a,team-b}"]);
        assert!(listed.contains("namespaces team-a, team-b, and no others"), "{listed}");
        assert!(listed.contains("kubectl apply --namespace team-a") && !listed.contains("default"), "{listed}");
        let elsewhere = notes.with(helm, &["--set=namespaceOverride=chat"]);
        assert!(elsewhere.contains("in namespace chat."), "{elsewhere}");
    });
}

#[test]
fn the_room_of_the_notes_is_a_good_one() {
    with_helm("the_room_of_the_notes_is_a_good_one", |helm| {
        let notes = Notes::new();
        for (name, file) in values_files() {
            let text = notes.with(helm, &["--values", &file.to_string_lossy()]);
            let room = text.split("<<'ROOM'\n").nth(1).and_then(|rest| rest.split("\nROOM\n").next());
            let room = room.unwrap_or_else(|| panic!("{name}: the notes show a room: {text}"));
            let defaults = Defaults { gateway_image: "gateway:1".into(), redis_image: "redis:1".into() };
            let manifest = Manifest::parse(room).unwrap_or_else(|invalid| panic!("{name}: {invalid}"));
            manifest.validate(|_| "uid".into(), &defaults).unwrap_or_else(|invalid| panic!("{name}: {invalid}"));
        }
    });
}

/// A copy of the chart whose notes are an object: Helm shows the real ones only when it installs.
struct Notes(TempDir);

impl Notes {
    fn new() -> Self {
        let copy = TempDir::new().expect("a temporary directory can be made");
        copy_files(&chart(), copy.path());
        let templates = copy.path().join("templates");
        fs::rename(templates.join("NOTES.txt"), copy.path().join("notes")).expect("the chart has notes");
        let object = "kind: Notes\ntext: {{ tpl (.Files.Get \"notes\") . | quote }}\n";
        fs::write(templates.join("notes.yaml"), object).expect("a template can be written");
        Self(copy)
    }

    fn with(&self, helm: &Helm, arguments: &[&str]) -> String {
        let rendering = helm.render_chart(self.0.path(), RELEASE, arguments).expect("the notes can be rendered");
        rendering.one("Notes")["text"].as_str().expect("the notes are text").to_owned()
    }
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory can be made");
    for entry in fs::read_dir(from).expect("the chart can be listed").flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_files(&source, &target);
        } else {
            fs::copy(&source, &target).expect("a file can be copied");
        }
    }
}
