//! `lint`, as who runs it sees it: how it ends, what it reads, where it prints.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use serde_json::Value;
use test_support::operator_binary;
use test_support::repository::root;

use super::Run;

const OBJECT: &str = "apiVersion: upstreamparams.dev/v1alpha1\nkind: UpstreamParams\nmetadata: {name: a}\nspec:\n  connection: {name: a}\n  params: {blog: {value: VALUE}}\n";

/// Runs lint on a text that comes by standard input.
async fn piped(words: &[&str], text: &str) -> (Option<i32>, String) {
    let mut command = Command::new(operator_binary());
    command.arg("lint").args(words).arg("-").env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
    let text = text.to_owned();
    let run = move || {
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn it_ends_as_scripts_want_it() {
    let (code, out) = piped(&[], &OBJECT.replace("VALUE", "x")).await;
    assert_eq!((code, out.as_str()), (Some(0), "nothing is wrong in 1 object of 1 file\n"));
    let (code, out) = piped(&[], &OBJECT.replace("VALUE", "5")).await;
    assert_eq!(code, Some(1));
    assert!(out.contains(" --> <stdin>:6:26\n") && out.ends_with("1 error in 1 object of 1 file\n"), "{out}");
    // No terminal, no colour.
    assert!(!out.contains('\u{1b}'), "{out}");

    let warned = OBJECT.replace("VALUE", "' x'");
    assert_eq!(piped(&[], &warned).await.0, Some(0));
    assert_eq!(piped(&["--strict"], &warned).await.0, Some(1));
    assert_eq!(Run::new(&["lint"]).end().await.code, Some(2));
    assert_eq!(Run::new(&["lint", "--output", "xml", "-"]).end().await.code, Some(2));
    assert_eq!(piped(&[], "").await, (Some(0), "nothing is wrong in no UpstreamParams and no ClusterAuth0Tenant of 1 file\n".to_owned()));

    let missing = Run::new(&["lint", "missing.yaml"]).end().await;
    assert_eq!(missing.code, Some(1));
    assert!(missing.out.starts_with("error[unreadable]: cannot be read: No such file or directory"), "{}", missing.out);
    let connections = Run::new(&["lint", "--connections", "missing.json", "-"]).end().await;
    assert!(connections.refused(1).contains("--connections: missing.json cannot be read"));
}

#[tokio::test]
async fn machines_get_what_people_get() {
    let folder = root().join("tests/fixtures/invalid");
    let of = async |format: &str| Run::new(&["lint", "--output", format, folder.to_str().unwrap()]).end().await;
    let json = of("json").await;
    assert_eq!(json.code, Some(1));
    let json: Value = serde_json::from_str(&json.out).unwrap();
    let findings = json["findings"].as_array().unwrap();
    let errors = findings.iter().filter(|finding| finding["severity"] == "error").count();
    assert!(errors > 100 && json["errors"] == errors, "{errors}");
    let yaml: Value = serde_saphyr::from_str(&of("yaml").await.out).unwrap();
    assert_eq!(yaml, json);
    let sarif: Value = serde_json::from_str(&of("sarif").await.out).unwrap();
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), findings.len());
    assert_eq!(of("github").await.out.lines().count(), findings.len());
    assert!(of("human").await.out.contains(&format!("{errors} errors")));
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_error() {
    let folder = root().join("tests/fixtures/invalid");
    let mut command = Command::new(operator_binary());
    command.arg("lint").arg(folder).env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = move || {
        let mut child = command.spawn().unwrap();
        let mut begin = [0; 16];
        child.stdout.take().unwrap().read_exact(&mut begin).unwrap();
        child.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(1), ""));
}

#[tokio::test]
async fn schemas_are_written_where_they_are_wanted() {
    let folder = std::env::temp_dir().join(format!("upo-schemas-{}", std::process::id()));
    let lines = Run::new(&["schemas", "--dir", folder.to_str().unwrap()]).end().await.well();
    assert_eq!(lines.lines().count(), 2);
    for line in lines.lines() {
        let path = line.strip_prefix("# yaml-language-server: $schema=").unwrap();
        let committed = root().join("schemas").join(std::path::Path::new(path).strip_prefix(&folder).unwrap());
        assert_eq!(std::fs::read_to_string(path).unwrap(), std::fs::read_to_string(committed).unwrap());
    }
    std::fs::remove_dir_all(folder).unwrap();
}
