//! Where what is released comes from: workflows, the image's base, what may be built in.

use std::path::PathBuf;

use serde_json::Value;
use test_support::repository::{files, read, root};

fn workflows() -> Vec<(PathBuf, Value)> {
    files(".github/workflows", "yaml").into_iter().map(|file| (file.clone(), serde_saphyr::from_str(&read(&file)).unwrap())).collect()
}

/// Every job of every workflow, by the name of both.
fn jobs() -> Vec<(String, Value)> {
    let jobs = workflows().into_iter().flat_map(|(file, workflow)| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let jobs = workflow["jobs"].as_object().unwrap().clone();
        jobs.into_iter().map(move |(job, content)| (format!("{name}: {job}"), content))
    });
    jobs.collect()
}

fn steps(job: &Value) -> Vec<Value> {
    job["steps"].as_array().cloned().unwrap_or_default()
}

#[test]
fn every_action_is_named_by_its_hash() {
    for (name, job) in jobs() {
        for step in steps(&job) {
            let Some(action) = step["uses"].as_str() else { continue };
            let hash = action.rsplit_once('@').map(|(_, hash)| hash).unwrap_or_default();
            assert!(hash.len() == 40 && hash.chars().all(|c| c.is_ascii_hexdigit()), "{name}: {action}");
        }
    }
}

#[test]
fn a_job_has_no_right_that_it_does_not_name() {
    for (file, workflow) in workflows() {
        assert_eq!(workflow["permissions"], serde_json::json!({}), "{}", file.display());
    }
    for (name, job) in jobs() {
        assert!(job["permissions"].is_object(), "{name}");
    }
}

#[test]
fn the_job_that_may_sign_installs_nothing() {
    let signing: Vec<(String, Value)> = jobs().into_iter().filter(|(_, job)| job["permissions"]["id-token"] == "write").collect();
    assert_eq!(signing.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["pages.yaml: publish", "release.yaml: publish"]);
    for step in signing.iter().flat_map(|(_, job)| steps(job)) {
        let action = step["uses"].as_str().unwrap_or_default();
        assert!(!action.contains("setup") && !action.contains("install"), "{action}");
        let script = step["run"].as_str().unwrap_or_default();
        for word in [
            "install",
            "rustup",
            "cargo",
            "curl",
            "wget",
            "apt",
            "pip",
            "npm",
            "npx",
            "go get",
            "go run",
            "go build",
            "docker run",
            "docker build",
        ] {
            let holds = script
                .split(|c: char| !c.is_ascii_alphanumeric() && c != ' ')
                .any(|part| format!(" {part} ").contains(&format!(" {word} ")));
            assert!(!holds, "{word} in: {script}");
        }
    }
}

#[test]
fn the_image_has_one_base_which_a_release_wants_by_its_digest() {
    let dockerfile = std::fs::read_to_string(root().join("Dockerfile")).unwrap();
    let from: Vec<&str> = dockerfile.lines().filter(|line| line.starts_with("FROM ")).collect();
    let [base, last] = from.as_slice() else { panic!("{from:?}") };
    assert!(base.starts_with("FROM rust:") && base.ends_with(" AS build"), "{base}");
    assert_eq!(*last, "FROM scratch");
    let release = std::fs::read_to_string(root().join(".github/workflows/release.yaml")).unwrap();
    assert!(release.contains("grep -qE '^FROM [^ @]+@sha256:[0-9a-f]{64} AS build$' Dockerfile"));
}

#[test]
fn workflows_are_checked_with_every_change() {
    let script = std::fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(script.lines().any(|line| line == "run .ci/workflows"));
}

#[test]
fn what_may_be_built_in_is_judged_with_every_change_and_every_week() {
    let script = std::fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(script.lines().any(|line| line.starts_with(".ci/deny ${GITHUB_ACTIONS:+--strict}")));
    let (_, weekly) = workflows().into_iter().find(|(file, _)| file.ends_with("dependencies.yaml")).unwrap();
    assert!(weekly["on"]["schedule"][0]["cron"].is_string());
    assert!(steps(&weekly["jobs"]["deny"]).iter().any(|step| step["run"] == ".ci/deny --strict"));
}
