//! What has to hold for the repository as a whole: the core stays pure, files are in order, examples are valid.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;
use test_support::repository::{files, files_below, read, root};
use upstream_params_operator::api::reason::{ConditionType, EventReason, Reason};
use upstream_params_operator::api::tenant::{ClusterAuth0Tenant, ClusterAuth0TenantStatus};
use upstream_params_operator::api::upstream_params::UpstreamParams;
use upstream_params_operator::internals::{Budget, DeclaredTenant, Hub, Kind, Metrics, Rate, RequestTimes, parse_spec};

const BINARY: &str = env!("CARGO_BIN_EXE_upstream-params-operator");

// ---- metrics ----

fn hub_with_a_tenant() -> Hub {
    let tenant = DeclaredTenant {
        name: "t".into(),
        uid: "uid".into(),
        resource_version: "1".into(),
        generation: 1,
        created: 0,
        spec: None,
        reconcile_at: None,
        status: ClusterAuth0TenantStatus::default(),
    };
    let (hub, _wakes) = Hub::new();
    hub.fold(|world| world.apply_tenant(tenant));
    for kind in Kind::ALL {
        hub.listed(kind, 0);
    }
    hub
}

const SHORT: Duration = Duration::from_millis(100);

/// A scrape with every metric in it, also those that are left out until they are touched.
pub(crate) fn scrape_of_everything() -> String {
    let requests = RequestTimes::default();
    requests.observe("get", Some(200), SHORT);
    let metrics = Metrics::new(Arc::new(hub_with_a_tenant()), &requests);
    metrics.leads(|| Some(SHORT));
    metrics.pass("t", "Ready");
    metrics.pass_took("t", SHORT);
    metrics.call("t", "read", (Some(200), SHORT), true);
    let rate = Rate::new(1, 1);
    metrics.serves("t", &Arc::new(Mutex::new(Budget::new(rate, rate, Instant::now()))));
    metrics.schedules("t", &Arc::default());
    metrics.drift_seen("t", 1);
    metrics.drift_corrected("t", 1);
    metrics.foreign_difference("t");
    metrics.read_to_write("t", SHORT);
    metrics.authenticated("t", true);
    metrics.good_look("t");
    let text = metrics.text();
    // Families, and what a collector adds.
    let source: String = files_below(&root().join("src/telemetry/metrics"), "rs").iter().map(|file| read(file)).collect();
    let source: String = source.split_whitespace().collect();
    let calls =
        ["registry.register(", "registry.register_with_unit(", "count(encoder,", "gauge(encoder,(\"", "write(encoder,", "descriptor(\""];
    let registered: usize = calls.iter().map(|call| source.matches(call).count()).sum();
    assert_eq!(text.matches("# HELP ").count(), registered, "a metric is registered that this scrape does not hold: {text}");
    text
}

// ---- the code ----

#[test]
fn the_core_reads_no_clock_and_knows_no_client() {
    let tests = test_modules();
    for file in files("src", "rs").into_iter().filter(|file| file.starts_with(root().join("src/core")) && !tests.contains(file)) {
        let text = read(&file);
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        // Types and matching of labels are not a client.
        let code = code.join("\n").replace("kube::core::", "");
        for word in [
            "kube::",
            "reqwest",
            "tokio",
            "axum",
            "clock::",
            "fastrand",
            "async ",
            ".await",
            "std::env",
            "std::fs",
            "std::net",
            "std::thread",
        ] {
            assert!(!code.contains(word), "{} holds {word}: the core decides, it does not ask", file.display());
        }
    }
}

/// What a clock says is asked for in one place, so that whoever runs the operator says which clocks there are.
#[test]
fn clocks_are_read_in_one_place() {
    let tests = test_modules();
    let apart = [root().join("src/clock.rs")];
    for file in files("src", "rs").into_iter().filter(|file| !tests.contains(file) && !apart.contains(file)) {
        let text = read(&file);
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let std_instant = !code.contains("use tokio::time::Instant");
        for (word, forbidden) in [
            ("Instant::now", std_instant),
            (".elapsed()", std_instant),
            ("Timestamp::now", true),
            ("Zoned::now", true),
            ("SystemTime", true),
        ] {
            assert!(!forbidden || !code.contains(word), "{} holds {word}: ask src/clock.rs", file.display());
        }
    }
}

/// The rooms of the library from the outside to the middle. Each imports only from those after it; the two edges not from
/// each other.
const ROOMS: [&str; 10] = ["cli", "run", "reconcile", "telemetry", "kubernetes", "auth0", "core", "model", "clock", "api"];

#[test]
fn no_room_imports_from_one_before_it() {
    let tests = test_modules();
    for (nth, room) in ROOMS.iter().enumerate() {
        let files = files_below(&root().join("src").join(room), "rs");
        for file in files.into_iter().filter(|file| !tests.contains(file)) {
            let text = read(&file);
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let mut outer: Vec<&str> = ROOMS[..nth].to_vec();
            if *room == "kubernetes" {
                outer.push("auth0");
            }
            for other in outer {
                assert!(!holds_word(code, &format!("crate::{other}")), "{} imports from {other}", file.display());
            }
        }
    }
}

/// The files of modules that are compiled for tests only.
fn test_modules() -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for file in files("src", "rs") {
        let text = read(&file);
        let folder = if file.ends_with("mod.rs") { file.parent().unwrap().to_path_buf() } else { file.with_extension("") };
        let mut after_cfg = false;
        for line in text.lines() {
            if let (true, Some(module)) = (after_cfg, line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'))) {
                found.insert(folder.join(format!("{module}.rs")));
                found.extend(files_below(&folder.join(module), "rs"));
            }
            after_cfg = line == "#[cfg(test)]" || (after_cfg && line.starts_with("#["));
        }
    }
    found
}

#[test]
fn the_architecture_names_every_room_and_every_crate() {
    let document = read(&root().join("docs/architecture.md"));
    let rows: BTreeSet<&str> =
        document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |").map(|(name, _)| name)).collect();
    let crates: Vec<String> = std::fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert!(crates.len() >= 3, "{crates:?}");
    for name in crates.iter().map(String::as_str).chain(ROOMS) {
        assert!(rows.contains(name), "docs/architecture.md has no row for {name}");
    }
}

#[test]
fn every_file_begins_with_what_it_is_about() {
    for folder in ["src", "crates", "tests", "benches"] {
        for file in files(folder, "rs") {
            assert!(read(&file).starts_with("//! "), "{} has no module documentation", file.display());
        }
    }
}

#[test]
fn every_file_of_tests_is_compiled() {
    let tests = root().join("tests/it");
    for file in files("tests/it", "rs").into_iter().filter(|file| *file != tests.join("main.rs")) {
        // A folder is the module that its mod.rs holds, and is named where the folder is.
        let module = if file.ends_with("mod.rs") { file.parent().unwrap().to_owned() } else { file.with_extension("") };
        let folder = module.parent().unwrap();
        let parent = folder.join(if folder == tests { "main.rs" } else { "mod.rs" });
        let line = format!("mod {};", module.file_name().unwrap().display());
        assert!(
            read(&parent).lines().any(|found| found == line || found.ends_with(&format!(" {line}"))),
            "{} lacks {line}",
            parent.display()
        );
    }
}

#[test]
fn every_public_name_is_said_somewhere() {
    let sources: Vec<String> =
        files("src", "rs").into_iter().filter(|file| !file.ends_with("api/reason.rs")).map(|file| read(&file)).collect();
    let reasons = Reason::ALL.iter().map(|name| format!("Reason::{name}"));
    let events = EventReason::ALL.iter().map(|name| format!("EventReason::{name}"));
    let types = ConditionType::ALL.iter().map(|name| format!("ConditionType::{name}"));
    for name in reasons.chain(events).chain(types) {
        assert!(sources.iter().any(|text| holds_word(text, &name)), "{name} is documented and never said");
    }
}

fn holds_word(text: &str, word: &str) -> bool {
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| !inside(text[at + word.len()..].chars().next()) && !inside(text[..at].chars().next_back()))
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let folders = ["/home/", "/root/", "/Users/", "/tmp/", "/var/folders/"];
    let this = root().join(file!());
    for file in files_below(&root(), "").into_iter().filter(|file| *file != this) {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        for folder in folders {
            assert!(!text.contains(folder), "{} names a folder of some machine: {folder}", file.display());
        }
    }
}

#[test]
fn the_lock_file_belongs_to_the_repository() {
    assert!(root().join("Cargo.lock").is_file());
    assert!(!read(&root().join(".gitignore")).contains("Cargo.lock"));
    if root().join(".git").exists() {
        // Where git is missing there is nothing to ask.
        if let Ok(output) = Command::new("git").current_dir(root()).args(["ls-files", "Cargo.lock"]).output() {
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "Cargo.lock", "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

// ---- examples and definitions ----

#[test]
fn examples_read_into_the_types_and_pass_the_operators_own_validation() {
    for file in files("examples", "yaml") {
        for document in read(&file).split("\n---\n") {
            check_document(&file.display().to_string(), document);
        }
    }
}

pub(super) fn check_document(place: &str, text: &str) {
    let value: Value = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{place}: {error}"));
    assert!(value["metadata"]["name"].is_string(), "{place}");
    match (value["apiVersion"].as_str(), value["kind"].as_str()) {
        (Some("upstreamparams.dev/v1alpha1"), Some("UpstreamParams")) => {
            parse_spec(&value["spec"]).unwrap_or_else(|refusal| panic!("{place}: {refusal}"));
            let object: UpstreamParams = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{place}: {error}"));
            assert_same(place, &value, &serde_json::to_value(object).unwrap());
        }
        (Some("upstreamparams.dev/v1alpha1"), Some("ClusterAuth0Tenant")) => {
            let object: ClusterAuth0Tenant = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{place}: {error}"));
            assert_same(place, &value, &serde_json::to_value(object).unwrap());
        }
        (Some("v1" | "rbac.authorization.k8s.io/v1"), Some(_)) => {}
        other => panic!("{place}: {other:?}"),
    }
}

/// Whether everything that is written arrived in the type: a misspelt field would be dropped.
fn assert_same(place: &str, written: &Value, read: &Value) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            for (name, value) in written {
                assert_same(&format!("{place}.{name}"), value, read.get(name).unwrap_or(&Value::Null));
            }
        }
        (Value::Array(written), Value::Array(read)) => {
            assert_eq!(written.len(), read.len(), "{place}");
            written.iter().zip(read).for_each(|(written, read)| assert_same(place, written, read));
        }
        _ => assert_eq!(written, read, "{place}"),
    }
}

#[test]
fn the_printed_definitions_are_the_committed_ones() {
    let printed = run(&["crds"]);
    let mut printed: Vec<&str> = printed.split("---\n").collect();
    let committed: Vec<String> = files("crds", "yaml").iter().map(|file| read(file)).collect();
    // Each begins with a comment that says where it comes from.
    let mut committed: Vec<&str> = committed.iter().map(|text| text.split_once('\n').unwrap().1).collect();
    printed.sort_unstable();
    committed.sort_unstable();
    assert!(printed == committed, "crds/ is not what the command crds prints; see the tests of api::crd");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(BINARY).arg("crds").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(line, "apiVersion: apiextensions.k8s.io/v1\n");
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

// ---- helpers ----

/// What the binary prints, without what the environment of this process would add to it.
pub(super) fn run(arguments: &[&str]) -> String {
    let output = Command::new(BINARY).args(arguments).env_clear().output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
