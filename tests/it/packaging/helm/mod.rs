//! The chart, as both versions of Helm see it: rendered, linted, and installed on a real API server.

mod cluster;
mod files;
mod life;
mod people;
mod render;
mod rights;
mod rolling;
mod walk;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use control_plane::binaries::Helm;
use control_plane::supervise::Scratch;
use serde_json::Value;
use test_support::OPERATOR_NAMESPACE;
use test_support::repository::root;

/// The release's name, which is also the name of most of what it installs.
const RELEASE: &str = "upstream-params-operator";

fn chart() -> PathBuf {
    root().join("charts/upstream-params-operator")
}

/// Helm with caches and settings of its own: nothing of the user's home is read or written.
fn helm(version: Helm) -> Command {
    static PROGRAMS: OnceLock<[(Helm, PathBuf); 2]> = OnceLock::new();
    static HOME: OnceLock<Scratch> = OnceLock::new();
    let programs = PROGRAMS.get_or_init(|| {
        // A thread of its own: some callers are inside a runtime.
        let find = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let progress = control_plane::on_standard_error();
            Helm::ALL.map(|version| (version, runtime.block_on(version.find_or_build(&progress)).unwrap()))
        };
        std::thread::spawn(find).join().unwrap()
    });
    let (_, program) = programs.iter().find(|(one, _)| *one == version).unwrap();
    let mut helm = Command::new(program);
    helm.env("HOME", HOME.get_or_init(|| Scratch::new("helm").unwrap()).path());
    for variable in ["KUBECONFIG", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HELM_NAMESPACE"] {
        helm.env_remove(variable);
    }
    helm
}

/// Runs a command with this text as its standard input.
fn run(mut command: Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // A command that refuses its flags reads nothing.
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

pub(crate) fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `helm template` with these values and more arguments.
pub(crate) fn template(version: Helm, values: &Value, arguments: &[&str]) -> Output {
    template_of(version, &chart(), values, arguments)
}

fn template_of(version: Helm, chart: &std::path::Path, values: &Value, arguments: &[&str]) -> Output {
    let mut command = helm(version);
    command.args(["template", RELEASE]).arg(chart).args(["--namespace", OPERATOR_NAMESPACE, "--values", "-"]).args(arguments);
    run(command, &values.to_string())
}

/// The rendered objects.
fn objects(yaml: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// What Helm renders from these values.
pub(crate) fn rendered(values: &Value) -> Vec<Value> {
    objects(&succeeds(&template(Helm::V4, values, &[])))
}

/// What Helm says when it refuses these values.
fn refusal(values: &Value) -> String {
    let output = template(Helm::V4, values, &[]);
    assert!(!output.status.success(), "accepted: {values}");
    text(&output.stderr)
}

pub(crate) fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap()
}

pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

/// The environment that a kubelet gives the one container of a pod.
pub(crate) fn environment(pod: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let value = |variable: &Value| match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
        Some(path) => text(pod.pointer(&format!("/{}", path.replace('.', "/"))).unwrap()),
        None => text(&variable["value"]),
    };
    let variables = pod["spec"]["containers"][0]["env"].as_array().unwrap();
    variables.iter().map(|variable| (text(&variable["name"]), value(variable))).collect()
}

/// The one object of a kind.
fn the<'a>(objects: &'a [Value], wanted: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| kind(object) == wanted);
    let one = found.next().unwrap_or_else(|| panic!("no {wanted}"));
    assert!(found.next().is_none(), "more than one {wanted}");
    one
}
