//! Helm at work: renders the chart into objects, or says why it refuses.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use chatroom_tests::repository::chart;
use chatroom_tests::{environment, repository, skipped, tools};
use serde::Deserialize as _;
use serde_json::Value;

/// The release of every rendering that does not choose its own.
pub(crate) const RELEASE: &str = "release";
/// The namespace of every rendering.
pub(crate) const NAMESPACE: &str = "chatroom-system";
/// The oldest Kubernetes that the chart takes. Without it, Helm takes the one that it was built with, perhaps an older one.
const KUBERNETES: &str = "1.34.0";

/// A Helm of some version.
pub(crate) struct Helm(PathBuf);

/// A file of the chart.
pub(crate) fn text_of(file: &str) -> String {
    let path = chart().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The values files with which charts are tried out, as pairs of name and path.
pub(crate) fn values_files() -> Vec<(String, PathBuf)> {
    let files = repository::files_with_extension(&chart().join("ci"), "yaml");
    assert!(files.len() >= 3, "the values files of the chart are there: {files:?}");
    files.into_iter().map(|path| (repository::relative(&path), path)).collect()
}

/// Runs `test` with Helm, if there is one.
pub(crate) fn with_helm(name: &str, test: impl FnOnce(&Helm)) {
    match Helm::find() {
        Some(helm) => test(&helm),
        None => skipped::say(name, "there is no helm in target/tools, on PATH or in CHATROOM_HELM"),
    }
}

impl Helm {
    fn find() -> Option<Self> {
        if let Some(chosen) = environment::helm() {
            return Some(Self(chosen));
        }
        let program = tools::path("helm");
        Command::new(&program).arg("version").output().ok().map(|_| Self(program))
    }

    /// The chart's objects with the given further arguments of `helm template`, or what Helm said against it.
    pub(crate) fn render<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<Rendering, String> {
        self.render_chart(&chart(), RELEASE, arguments)
    }

    /// The same with one values file.
    pub(crate) fn render_file(&self, file: &Path) -> Rendering {
        let rendered = self.render([OsStr::new("--values"), file.as_os_str()]);
        rendered.unwrap_or_else(|refusal| panic!("{}: {refusal}", file.display()))
    }

    /// As [`Helm::render`], with another chart and another name.
    pub(crate) fn render_chart<A: AsRef<OsStr>>(
        &self,
        chart: &Path,
        release: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Rendering, String> {
        let mut command = Command::new(&self.0);
        command.args(["template", release]).arg(chart).args(["--namespace", NAMESPACE, "--kube-version", KUBERNETES]);
        run(command.args(arguments)).map(|text| Rendering::read(&text))
    }

    /// Any other command.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String, String> {
        run(Command::new(&self.0).args(arguments))
    }
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
}

/// What Helm would install.
#[derive(Debug)]
pub(crate) struct Rendering(pub(crate) Vec<Value>);

impl Rendering {
    fn read(text: &str) -> Self {
        let documents = serde_yaml::Deserializer::from_str(text)
            .map(|document| Value::deserialize(document).unwrap_or_else(|error| panic!("{error} in\n{text}")));
        Self(documents.filter(|document| !document.is_null()).collect())
    }

    /// The objects of one kind.
    pub(crate) fn all(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|object| object["kind"] == kind).collect()
    }

    /// The only object of its kind, if there is one.
    pub(crate) fn find(&self, kind: &str) -> Option<&Value> {
        let all = self.all(kind);
        assert!(all.len() < 2, "there is at most one {kind}: {all:#?}");
        all.first().copied()
    }

    /// The only object of its kind.
    pub(crate) fn one(&self, kind: &str) -> &Value {
        self.find(kind).unwrap_or_else(|| panic!("there is a {kind} among {:?}", self.kinds()))
    }

    fn kinds(&self) -> Vec<&Value> {
        self.0.iter().map(|object| &object["kind"]).collect()
    }
}

/// `Kind name`, for the words of a failure.
pub(crate) fn title(object: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    format!("{} {}", word(&object["kind"]), word(&object["metadata"]["name"]))
}
