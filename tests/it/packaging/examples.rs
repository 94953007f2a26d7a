//! `examples/`: one story with the documentation. Each file works as it stands, and is told in one text.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Value, json};
use test_support::repository::{files, read, root};
use test_support::wait::eventually;
use test_support::{OPERATOR_NAMESPACE, SCOPES, World};

use super::documents::manifests;
use super::markdown::{anchors_of, links_of};
use crate::commands::Run;

/// The connections that the examples name, each of the type that it is for.
const CONNECTIONS: [(&str, &str); 8] = [
    ("wordpress", "wordpress"),
    ("twitter", "twitter"),
    ("google-oauth2", "google-oauth2"),
    ("contoso", "waad"),
    ("okta-workforce", "okta"),
    ("corporate-oidc", "oidc"),
    ("partner-auth0", "oidc"),
    ("legacy-saml", "samlp"),
];

/// The file that is meant to be refused.
const REFUSED: &str = "saml-refused.yaml";

fn folder() -> PathBuf {
    root().join("examples")
}

/// The files, in the order of the index.
fn listed() -> Vec<String> {
    let links = links_of(&read(&folder().join("README.md")));
    links.into_iter().filter(|link| link.strip_suffix(".yaml").is_some()).collect()
}

/// Kind, namespace and name.
type Key = [String; 3];

fn key(object: &Value) -> Key {
    ["/kind", "/metadata/namespace", "/metadata/name"].map(|at| object.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned())
}

/// The manifests of this project's own kinds in a text, with their own text, comments left out.
fn own(text: &str) -> Vec<(Value, String)> {
    let bare =
        |part: &str| part.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| [line, "\n"]).collect::<String>();
    let parts = text.split("\n---\n").map(bare).filter(|part| part.starts_with("apiVersion: upstreamparams.dev/"));
    parts.map(|part| (serde_saphyr::from_str(&part).unwrap(), part)).collect()
}

/// The manifests of all examples.
fn examples() -> BTreeMap<Key, (Value, String)> {
    let all = files("examples", "yaml").iter().flat_map(|file| own(&read(file))).collect::<Vec<_>>();
    let count = all.len();
    let by_key: BTreeMap<_, _> = all.into_iter().map(|(value, text)| (key(&value), (value, text))).collect();
    assert_eq!(by_key.len(), count, "an object has two variants");
    by_key
}

#[test]
fn the_index_lists_each_example_once() {
    let listed = listed();
    let there: BTreeSet<String> =
        files("examples", "yaml").iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), there);
    assert_eq!(listed.len(), there.len(), "{listed:?}");
}

#[test]
fn each_example_says_what_it_is_for_and_where_more_is_said() {
    for file in files("examples", "yaml") {
        let text = read(&file);
        let comment: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("# ").or_else(|| line.strip_prefix('#'))).collect();
        let more = comment.last().and_then(|line| line.strip_prefix("More: "));
        let (page, heading) = more.and_then(|more| more.split_once('#')).unwrap_or_else(|| panic!("{}: no # More:", file.display()));
        assert!(comment.len() >= 2, "{}", file.display());
        assert!(anchors_of(&read(&root().join(page))).contains(heading), "{}: {page}#{heading}", file.display());
    }
}

#[test]
fn what_documents_show_of_an_example_is_its_text() {
    let examples = examples();
    let mut shown = BTreeSet::new();
    for (place, text) in manifests() {
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        match examples.get(&key(&value)) {
            Some((_, example)) => assert_eq!(text.trim_end(), example.trim_end(), "{place}"),
            None => assert_ne!(place, "docs/recipes.md", "each recipe is a file in examples/: {text}"),
        }
        shown.insert((place, key(&value)));
    }
    let refused = own(&read(&folder().join(REFUSED))).remove(0).0;
    for key in examples.keys().filter(|key| key[0] == "UpstreamParams" && **key != self::key(&refused)) {
        assert!(shown.contains(&("docs/recipes.md".to_owned(), key.clone())), "docs/recipes.md does not show {key:?}");
    }
    assert!(shown.iter().any(|(place, _)| place == "README.md"));

    // What carries more metadata, as GitOps wants it, declares the same.
    let metadata: Value = serde_saphyr::from_str(&read(&root().join("charts/upstream-params-operator/Chart.yaml"))).unwrap();
    let of_chart: Vec<Value> = serde_saphyr::from_str(metadata["annotations"]["artifacthub.io/crdsExamples"].as_str().unwrap()).unwrap();
    let of_gitops = ["docs/argocd/objects.yaml", "docs/flux/object.yaml"].map(|file| own(&read(&root().join(file))));
    let others = of_gitops.into_iter().flatten().map(|(value, _)| value).chain(of_chart);
    let compared = others.inspect(|other| assert_eq!(examples[&key(other)].0["spec"], other["spec"], "{:?}", key(other))).count();
    assert_eq!(compared, 5);
}

#[tokio::test]
async fn lint_finds_nothing_but_what_is_meant_to_be_refused() {
    let folder = folder();
    let folder = folder.to_str().unwrap();
    let found = Run::new(&["lint", "--strict", "--output", "json", folder]).end().await.json();
    assert_eq!(found["findings"], json!([]));

    let known = CONNECTIONS
        .iter()
        .enumerate()
        .map(|(nth, (name, strategy))| json!({"id": format!("con_{nth}"), "name": name, "strategy": strategy}));
    let connections = std::env::temp_dir().join(format!("upo-examples-{}.json", std::process::id()));
    std::fs::write(&connections, json!({"connections": known.collect::<Vec<_>>()}).to_string()).unwrap();
    let with = ["lint", "--connections", connections.to_str().unwrap(), "--output", "json", folder];
    let ended = Run::new(&with).end().await;
    std::fs::remove_file(connections).unwrap();
    let found: Value = serde_json::from_str(&ended.out).unwrap();
    let found = found["findings"].as_array().unwrap();
    assert_eq!((ended.code, found.len()), (Some(1), 1), "{found:#?}");
    assert_eq!(found[0]["rule"], "unsupported-connection");
    assert!(found[0]["file"].as_str().unwrap().ends_with(REFUSED), "{found:#?}");
}

/// In the order of the index, on a real API server and a tenant that has the connections.
#[tokio::test]
async fn each_example_works_as_it_stands() {
    let world = World::setup().start().await;
    let auth0 = world.emulator.tenant("example.eu.auth0.com");
    auth0.add_client("operator", "marker-client-secret-of-examples", SCOPES);
    for (name, strategy) in CONNECTIONS {
        let options = json!({"client_id": "idp", "client_secret": "marker-idp-secret", "protocol": "oauth2"});
        auth0.restore_connection(&json!({"name": name, "strategy": strategy, "options": options}).to_string()).unwrap();
    }
    let kubectl = &world.control_plane;
    let literals = ["--from-literal=clientId=operator", "--from-literal=clientSecret=marker-client-secret-of-examples"];
    let secret = ["create", "secret", "generic", "auth0-credentials", "--namespace", OPERATOR_NAMESPACE];
    kubectl.run([&secret[..], &literals].concat()).await.unwrap();
    let listed = listed();
    for name in listed.iter().filter(|name| *name != "rbac.yaml") {
        let path = folder().join(name);
        let path = path.to_str().unwrap();
        kubectl.run(["apply", "--filename", path]).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        for (object, _) in own(&read(&folder().join(name))).into_iter().filter(|(object, _)| object["kind"] == "UpstreamParams") {
            let [_, namespace, object_name] = key(&object);
            let ready = |condition: &Value| condition["type"] == "Ready" && condition["reason"] != "Pending";
            let ask = async || {
                let text = kubectl.run(["get", "upstreamparams", &object_name, "--namespace", &namespace, "--output=json"]).await.unwrap();
                serde_json::from_str::<Value>(&text).unwrap()["status"].take()
            };
            let told = async || ask().await["conditions"].as_array().into_iter().flatten().find(|one| ready(one)).cloned();
            let told = eventually(&format!("what is said of {name}"), told, async || ask().await.to_string()).await;
            let expected = if name == REFUSED { json!("UnsupportedStrategy") } else { json!("Ready") };
            assert_eq!(told["reason"], expected, "{name}: {told:#}");
            let connection = object["spec"]["connection"]["name"].as_str().unwrap();
            let live = auth0.connection(connection)["options"]["upstream_params"].clone();
            let declared = object["spec"]["params"].as_object().unwrap();
            let is_there = declared.iter().all(|(param, entry)| live[param] == *entry);
            assert_eq!(is_there, name != REFUSED, "{name}: {live}");
        }
    }
}
