//! Which Kubernetes versions are supported: those of `tests/kubernetes/versions`, which `.ci/kubernetes` runs the core of the tests on.

use serde_json::Value;
use test_support::repository::{read, root};

fn text(path: &str) -> String {
    read(&root().join(path))
}

fn versions() -> Vec<String> {
    text("tests/kubernetes/versions").lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// The number of a minor version: 30 of 1.30.14.
fn minor(version: &str) -> u32 {
    let parts: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
    let [1, minor, _] = parts.as_slice() else { panic!("{version}") };
    *minor
}

#[test]
fn each_minor_version_between_the_oldest_and_the_newest_is_there_once() {
    let minors: Vec<u32> = versions().iter().map(|version| minor(version)).collect();
    let (Some(first), Some(last)) = (minors.first(), minors.last()) else { panic!("no version") };
    assert_eq!(minors, (*first..=*last).collect::<Vec<_>>());
    let pinned = control_plane::binaries::kubernetes_version().unwrap();
    assert!(versions().iter().any(|version| version == pinned), "the other tests run on {pinned}");
}

#[test]
fn the_chart_and_the_documents_name_the_oldest() {
    let oldest = format!("1.{}", minor(&versions()[0]));
    let chart: Value = serde_saphyr::from_str(&text("charts/upstream-params-operator/Chart.yaml")).unwrap();
    // The suffix admits versions such as 1.30.2-eks-1.
    assert_eq!(chart["kubeVersion"], format!(">={oldest}.0-0"));
    for document in ["docs/install.md", "README.md"] {
        assert!(text(document).contains(&format!("Kubernetes {oldest} or newer")), "{document} names another than {oldest}");
    }
}

#[test]
fn the_table_lists_them_all_and_says_when_each_ran() {
    let table: Vec<(String, String)> = text("docs/reference/kubernetes.md")
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix("| 1.")?.split('|').map(str::trim).collect();
            Some((format!("1.{}", cells[0]), cells[1].to_owned()))
        })
        .collect();
    assert_eq!(table.iter().map(|(version, _)| version.clone()).collect::<Vec<_>>(), versions());
    for (version, ran) in table {
        assert!(!ran.is_empty(), "{version}: when did the core of the tests run?");
    }
}

#[test]
fn the_workflow_runs_what_can_be_run_by_hand() {
    let workflow: Value = serde_saphyr::from_str(&text(".github/workflows/kubernetes.yaml")).unwrap();
    let jobs = &workflow["jobs"];
    let run = |job: &str| jobs[job]["steps"].as_array().unwrap().iter().filter_map(|step| step["run"].as_str()).collect::<String>();
    assert!(run("versions").contains(".ci/kubernetes --list"));
    assert_eq!(jobs["core"]["strategy"]["matrix"]["minor"], "${{ fromJSON(needs.versions.outputs.minors) }}");
    assert!(run("core").contains(".ci/kubernetes \"$MINOR\""));
}

#[test]
fn the_core_is_made_of_tests_that_exist() {
    let script = text(".ci/kubernetes");
    let core = script.split_once("core=(\n").unwrap().1.split_once("\n)").unwrap().0;
    let parts: Vec<&str> = core.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(parts.len() >= 5, "{parts:?}");
    for part in parts {
        let path = root().join("tests/it").join(part.replace("::", "/"));
        assert!(path.is_dir() || path.with_extension("rs").is_file(), "{part}");
    }
}
