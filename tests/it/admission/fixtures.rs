//! The API server's own verdict: it takes the committed definitions, every valid fixture and every example, and refuses
//! every invalid fixture with the message that the fixture announces.
//!
//! A fixture of several documents is applied document by document: all are accepted, or, in an invalid one, all but the last.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::PathBuf;
use std::process::{Command, Output};
use test_support::repository::{files, root};
use test_support::wait::eventually;

const REFUSED: &str = "# refused: ";
/// Both ways in which tools apply: with the last applied text in an annotation, and on the server.
const WAYS: [&[&str]; 2] = [&["apply"], &["apply", "--server-side", "--force-conflicts"]];

#[tokio::test]
async fn the_api_server_takes_what_is_valid_and_refuses_the_rest_with_a_remedy() {
    let control_plane = control_plane::ControlPlane::start(control_plane::Options::default()).await.unwrap();
    check(&|| control_plane.kubectl()).await;
    control_plane.stop().await.unwrap();
}

/// Checks definitions, fixtures and examples against the API server that `kubectl` talks to, and cleans up after itself but for
/// the definitions and what the examples need to be accepted.
async fn check(kubectl: &dyn Fn() -> Command) {
    install_definitions(kubectl).await;
    valid_fixtures_are_accepted(kubectl);
    a_new_object_is_not_taken_for_observed(kubectl);
    invalid_fixtures_are_refused_with_their_message(kubectl);
    invalid_fixtures_are_refused_on_the_server_too(kubectl);
    examples_are_accepted(kubectl);
    delete_all(kubectl);
}

/// Applies the committed definitions in both ways and waits until both kinds are served.
async fn install_definitions(kubectl: &dyn Fn() -> Command) {
    for way in WAYS {
        succeeds(&run(kubectl, way, &[root().join("crds")]));
    }
    let served = async || get(kubectl).status.success().then_some(());
    eventually("kinds that are served", served, async || text(&get(kubectl).stderr)).await;
}

fn valid_fixtures_are_accepted(kubectl: &dyn Fn() -> Command) {
    for way in WAYS {
        delete_all(kubectl);
        let output = run(kubectl, way, &files("tests/fixtures/valid", "yaml"));
        succeeds(&output);
        assert_eq!(text(&output.stderr), "", "a warning");
    }
}

fn a_new_object_is_not_taken_for_observed(kubectl: &dyn Fn() -> Command) {
    let list: serde_json::Value = serde_json::from_slice(&get(kubectl).stdout).unwrap();
    let items = list["items"].as_array().unwrap();
    assert!(!items.is_empty());
    for item in items {
        assert_eq!(item["status"], serde_json::json!({ "observedGeneration": -1 }), "{}", item["metadata"]["name"]);
    }
}

fn invalid_fixtures_are_refused_with_their_message(kubectl: &dyn Fn() -> Command) {
    delete_all(kubectl);
    let mut failures = Vec::new();
    for file in files("tests/fixtures/invalid", "yaml") {
        let fixture = std::fs::read_to_string(&file).unwrap();
        let expected = fixture.lines().next().and_then(|line| line.strip_prefix(REFUSED)).unwrap_or_default();
        assert!(!expected.is_empty(), "{} must begin with {REFUSED:?} and a part of the message", file.display());
        let output = run(kubectl, WAYS[0], std::slice::from_ref(&file));
        let (accepted, message) = (text(&output.stdout).lines().count(), text(&output.stderr));
        if output.status.success() || accepted != documents(&fixture) - 1 || !message.contains(expected) {
            failures.push(format!("{}: {accepted} accepted, expected {expected:?} in: {message}", file.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Server-side apply refuses some of them earlier and in other words (types, duplicates): that it refuses is what counts.
fn invalid_fixtures_are_refused_on_the_server_too(kubectl: &dyn Fn() -> Command) {
    delete_all(kubectl);
    let files = files("tests/fixtures/invalid", "yaml");
    let acceptable: usize = files.iter().map(|file| documents(&std::fs::read_to_string(file).unwrap()) - 1).sum();
    let output = run(kubectl, WAYS[1], &files);
    let accepted = text(&output.stdout);
    assert_eq!(accepted.lines().count(), acceptable, "accepted: {accepted}");
}

fn examples_are_accepted(kubectl: &dyn Fn() -> Command) {
    // These make the namespaces that the others are in.
    succeeds(&run(kubectl, WAYS[1], &["namespace.yaml", "second-team.yaml", "rbac.yaml"].map(|file| root().join("examples").join(file))));
    succeeds(&run(kubectl, &["apply", "--server-side", "--dry-run=server"], &files("examples", "yaml")));
}

fn delete_all(kubectl: &dyn Fn() -> Command) {
    for kind in ["upstreamparams", "clusterauth0tenants"] {
        succeeds(&kubectl().args(["delete", kind, "--all"]).output().unwrap());
    }
}

fn get(kubectl: &dyn Fn() -> Command) -> Output {
    kubectl().args(["get", "upstreamparams,clusterauth0tenants", "--output=json"]).output().unwrap()
}

fn run(kubectl: &dyn Fn() -> Command, way: &[&str], files: &[PathBuf]) -> Output {
    let mut command = kubectl();
    command.args(way);
    for file in files {
        command.arg("--filename").arg(file);
    }
    command.output().unwrap()
}

fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn documents(fixture: &str) -> usize {
    fixture.split("\n---\n").count()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
