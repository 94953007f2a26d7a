//! The files of the chart that are made from others, or have to agree with them. `UPDATE_EXPECT=1` writes what is made.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use expect_test::expect_file;
use serde_json::Value;
use test_support::repository::{read, root};
use upstream_params_operator::api::crd::{crds, crds_yaml};

use super::chart;
use crate::packaging::tidy::check_document;

const BEGIN: &str = "<!-- The table is made of values.yaml by `UPDATE_EXPECT=1 cargo test --test it helm::files`. -->\n";
const END: &str = "<!-- End of the table. -->\n";

#[test]
fn the_definitions_of_the_chart_are_those_of_the_types() {
    for document in crds_yaml().unwrap().split("---\n") {
        let (head, spec) = document.split_once("\nspec:\n").unwrap();
        let full_name = head.rsplit_once("name: ").unwrap().1;
        let plural = full_name.split_once('.').unwrap().0;
        assert!(!document.contains("{{"), "{plural}: Helm would take it for a template");
        let template = format!(
            "{{{{- /* Made from src/api by `UPDATE_EXPECT=1 cargo test --test it helm::files`. */ -}}}}
{{{{- if .Values.crds.enabled }}}}
{head}
  {{{{- include \"upo.crdMetadata\" . | nindent 2 }}}}
spec:
{spec}{{{{- end }}}}
"
        );
        expect_file![chart().join(format!("templates/crds/{plural}.yaml"))].assert_eq(&template);
    }
}

#[test]
fn the_versions_of_chart_and_operator_are_the_crates() {
    let metadata: Value = serde_saphyr::from_str(&read(&chart().join("Chart.yaml"))).unwrap();
    assert_eq!(metadata["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(metadata["appVersion"], env!("CARGO_PKG_VERSION"));
    // What users copy.
    for (document, before) in [
        ("README.md", "--tag upstream-params-operator:"),
        ("README.md", "docker-image upstream-params-operator:"),
        ("docs/install.md", "--tag upstream-params-operator:"),
        ("docs/install.md", "docker-image upstream-params-operator:"),
        ("docs/install.md", "image import upstream-params-operator:"),
        ("docs/install.md", "image load upstream-params-operator:"),
        ("docs/operations.md", "docker save upstream-params-operator:"),
        ("docs/argocd/application.yaml", "targetRevision: "),
        ("docs/argocd/operator.yaml", "targetRevision: "),
    ] {
        let text = read(&root().join(document));
        assert!(text.contains(&format!("{before}{}", env!("CARGO_PKG_VERSION"))), "{document}: another version after {before}");
    }
}

/// What Artifact Hub shows of the chart.
#[test]
fn the_metadata_of_the_chart_say_what_there_is() {
    let metadata: Value = serde_saphyr::from_str(&read(&chart().join("Chart.yaml"))).unwrap();
    let repository = env!("CARGO_PKG_REPOSITORY");
    assert_eq!((&metadata["home"], &metadata["sources"][0]), (&repository.into(), &repository.into()));
    assert_eq!(metadata["description"], env!("CARGO_PKG_DESCRIPTION"));
    let icon = metadata["icon"].as_str().unwrap().split_once("/main/").unwrap().1;
    assert!(root().join(icon).is_file(), "{icon}");
    let annotation = |name: &str| metadata["annotations"][format!("artifacthub.io/{name}")].as_str().unwrap().to_owned();
    assert_eq!(annotation("license"), env!("CARGO_PKG_LICENSE"));
    let listed: Vec<Value> = serde_saphyr::from_str(&annotation("crds")).unwrap();
    let there = crds().into_iter().map(|crd| (crd.metadata.name.unwrap(), crd.spec.names.kind, crd.spec.versions[0].name.clone()));
    let named = |one: &Value| ["name", "kind", "version"].map(|member| one[member].as_str().unwrap().to_owned()).into();
    assert_eq!(listed.iter().map(named).collect::<BTreeSet<_>>(), there.collect());
    let examples: Vec<Value> = serde_saphyr::from_str(&annotation("crdsExamples")).unwrap();
    assert_eq!(examples.len(), listed.len());
    for example in examples {
        check_document("Chart.yaml", &example.to_string());
    }
    let images: Vec<Value> = serde_saphyr::from_str(&annotation("images")).unwrap();
    assert!(images[0]["image"].as_str().unwrap().ends_with(concat!(":", env!("CARGO_PKG_VERSION"))), "{images:?}");
}

/// One documented value.
#[derive(Debug, PartialEq, Eq)]
struct Documented {
    path: String,
    text: String,
    default: String,
}

/// The values of a commented `values.yaml`: every key that has a comment right above it, with its whole default.
fn documented(yaml: &str) -> Vec<Documented> {
    let values: Value = serde_saphyr::from_str(yaml).unwrap();
    let (mut path, mut comment, mut found) = (Vec::<String>::new(), Vec::new(), Vec::<Documented>::new());
    for line in yaml.lines() {
        let content = line.trim_start();
        if let Some(text) = content.strip_prefix("# ") {
            comment.push(text);
            continue;
        }
        if let Some((key, _)) = content.split_once(':').filter(|_| !content.starts_with('-')) {
            path.truncate((line.len() - content.len()) / 2);
            path.push(key.to_owned());
            let parent_is_documented = found.iter().any(|one| path.len() > 1 && one.path == path[..path.len() - 1].join("."));
            if !comment.is_empty() {
                let default = values.pointer(&format!("/{}", path.join("/"))).unwrap();
                found.push(Documented { path: path.join("."), text: comment.join(" "), default: default.to_string() });
            } else if parent_is_documented {
                // The default of the parent shows it. It counts as documented for its own children.
                path.pop();
            }
        }
        comment.clear();
    }
    found
}

#[test]
fn comments_above_keys_are_documentation() {
    let yaml = "# A file.\n\na:\n  # One.\n  # Two.\n  b: 1\n# Three.\nc:\n  d: x\n";
    let one = |path: &str, text: &str, default: &str| Documented { path: path.into(), text: text.into(), default: default.into() };
    assert_eq!(documented(yaml), [one("a.b", "One. Two.", "1"), one("c", "Three.", r#"{"d":"x"}"#)]);
}

#[test]
fn the_readme_has_a_table_of_all_values() {
    let mut table = String::from("| value | default | meaning |\n|---|---|---|\n");
    for Documented { path, text, default } in documented(&read(&chart().join("values.yaml"))) {
        writeln!(table, "| `{path}` | `{default}` | {} |", text.replace('|', "\\|")).unwrap();
    }
    let path = chart().join("README.md");
    let readme = read(&path);
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    expect_file![path].assert_eq(&format!("{before}{BEGIN}\n{table}\n{END}{after}"));
}

/// The paths of all values: of a mapping that is empty or whose keys are the user's, only its own.
pub(super) fn paths(values: &Value, at: &str, documented: &BTreeSet<String>, found: &mut BTreeSet<String>) {
    match values.as_object().filter(|_| !documented.contains(at)) {
        Some(members) => {
            for (key, value) in members {
                paths(value, format!("{at}.{key}").trim_start_matches('.'), documented, found);
            }
        }
        None => drop(found.insert(at.to_owned())),
    }
}

/// The paths of all values of the chart.
pub(super) fn all_paths() -> BTreeSet<String> {
    let yaml = read(&chart().join("values.yaml"));
    let documented = documented(&yaml).into_iter().map(|one| one.path).collect();
    let mut found = BTreeSet::new();
    paths(&serde_saphyr::from_str(&yaml).unwrap(), "", &documented, &mut found);
    found
}

#[test]
fn every_value_has_a_comment() {
    let yaml = read(&chart().join("values.yaml"));
    let documented: BTreeSet<String> = documented(&yaml).into_iter().map(|one| one.path).collect();
    let bare: Vec<_> = all_paths().into_iter().filter(|path| !documented.contains(path)).collect();
    assert!(bare.is_empty(), "no comment right above {bare:?} in values.yaml");
}

/// Calls `look` with the path and the schema of everything the schema names.
fn walk<'a>(root: &'a Value, path: &str, schema: &'a Value, look: &mut impl FnMut(&str, &Value)) {
    let schema = schema["$ref"].as_str().map_or(schema, |at| root.pointer(at.trim_start_matches('#')).unwrap());
    look(path, schema);
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        walk(root, format!("{path}.{name}").trim_start_matches('.'), member, look);
    }
}

#[test]
fn the_schema_knows_exactly_the_values_and_lets_no_typo_pass() {
    let schema: Value = serde_json::from_str(&read(&chart().join("values.schema.json"))).unwrap();
    let values: Value = serde_saphyr::from_str(&read(&chart().join("values.yaml"))).unwrap();
    let mut known = BTreeSet::new();
    walk(&schema, "", &schema, &mut |path, schema| {
        known.insert(path.to_owned());
        if schema.get("properties").is_some() && path != "global" {
            assert_eq!(schema["additionalProperties"], false, "{path} would take a typo");
        }
        assert!(schema.get("type").is_some() || schema.get("enum").is_some() || schema.get("anyOf").is_some(), "{path} takes any type");
        // What Kubernetes defines may have more members than the default shows, and `enabled` is a parent chart's.
        let optional =
            ["resources.", "livenessProbe.", "readinessProbe.", "affinity.", "podSecurityContext.", "securityContext.", "enabled"];
        if !path.is_empty() && !optional.iter().any(|start| path.starts_with(start)) {
            assert!(values.pointer(&format!("/{}", path.replace('.', "/"))).is_some(), "{path} is not in values.yaml");
        }
    });
    let unknown: Vec<_> = all_paths().into_iter().filter(|path| !known.contains(path)).collect();
    assert!(unknown.is_empty(), "not in values.schema.json: {unknown:?}");
}
