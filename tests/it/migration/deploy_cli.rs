//! From auth0-deploy-cli: `docs/migrate/auth0-deploy-cli.md`, with the tool itself.

use std::path::PathBuf;
use std::sync::OnceLock;

use control_plane::npm::Package;
use serde_json::{Value, json};
use test_support::manifest::edit;
use test_support::repository::root;
use test_support::{World, on_a_runtime_of_its_own};

use super::{Journey, TOOL, sent_params};

const GUIDE: &str = "docs/migrate/auth0-deploy-cli.md";

/// The tool, installed once.
fn deploy_cli() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let find = || {
        on_a_runtime_of_its_own(async || {
            let folder = root().join("tests/migration/auth0-deploy-cli");
            let package = Package { what: "auth0-deploy-cli", folder: &folder, program: "a0deploy", node: "20.19 or newer" };
            package.find_or_install(&control_plane::on_standard_error()).await.unwrap()
        })
    };
    PROGRAM.get_or_init(find).clone()
}

#[tokio::test]
async fn the_guide_from_auth0_deploy_cli_as_it_stands() {
    let world = World::setup().start().await;
    let journey = Journey::begin(&world, GUIDE).await;
    journey.program("a0deploy", &deploy_cli());
    journey.seed();
    // What the team has: everything in the files of the tool, the field included.
    journey.follow("Before").await;
    let files = std::fs::read_to_string(journey.path("tenant/tenant.yaml")).unwrap();
    assert_eq!(files.matches("upstream_params").count(), 2, "{files}");
    std::fs::copy(journey.path("tenant/tenant.yaml"), journey.path("old.yaml")).unwrap();
    let before = journey.connections();

    journey.follow("1. Write down what is there").await;
    assert_eq!(journey.scope.auth0.writes().len(), 0, "nobody wrote anything");

    journey.follow("2. Take the field out of auth0-deploy-cli").await;
    let files = std::fs::read_to_string(journey.path("tenant/tenant.yaml")).unwrap();
    assert!(!files.contains("upstream_params"), "{files}");

    journey.follow("3. Hand over").await;
    let managed = ["wordpress", "corporate-oidc"];
    assert_eq!(journey.writes_of_the_operator_after_another_look(&managed).await, 0, "adoption writes nothing");
    assert_eq!(journey.connections(), before, "everything is as it was");
    assert_eq!(journey.scope.auth0.writes().len(), 0);

    // The tool's next run writes every connection, and changes nothing.
    journey.follow("4. Go on as before").await;
    let patches = journey.writes_of(TOOL);
    assert!(patches.len() >= 3, "it wrote the connections that it has: {patches:?}");
    for call in &patches {
        let id = call.path.rsplit('/').next().unwrap();
        let stored = before.iter().find(|connection| connection["id"] == id).unwrap();
        assert_eq!(sent_params(call).unwrap(), stored["options"]["upstream_params"], "it sends what it found there");
    }
    assert_eq!(without_rounding(journey.connections()), without_rounding(before), "and changes nothing");
    assert_eq!(journey.writes_of_the_operator_after_another_look(&managed).await, 0, "so that there is nothing to set right");

    // From now on it is changed in one place, and the tool leaves that alone.
    let name = journey.object_of("wordpress").await;
    journey.scope.edit(&name, edit().value("blog", "another.wordpress.com")).await;
    let changed = json!({"blog": {"value": "another.wordpress.com"}});
    journey.scope.until_auth0("the change of the object", |auth0| auth0.upstream_params("wordpress") == changed).await;
    // With the line of step 2 it does so even with the old files, in which the field still has its old value.
    journey.scope.auth0.clear_journal();
    journey.run("a0deploy import --config_file config.json --env --input_file old.yaml").await;
    assert_eq!(journey.writes_of(TOOL).len(), patches.len(), "it wrote as much as before");
    assert_eq!(journey.scope.auth0.upstream_params("wordpress"), changed);
    assert_eq!(journey.writes_of_the_operator_after_another_look(&managed).await, 0, "there is nothing to set right");

    // What the line is for: without it the tool takes the change back.
    journey.scope.auth0.clear_journal();
    journey.run("a0deploy import --config_file before.json --env --input_file old.yaml").await;
    let taken_back = |call: &auth0_emulator::Call| sent_params(call) == Some(json!({"blog": {"value": "myblog.wordpress.com"}}));
    assert!(journey.writes_of(TOOL).iter().any(taken_back), "{:?}", journey.writes_of(TOOL));
    journey.scope.until_auth0("the operator's own value again", |auth0| auth0.upstream_params("wordpress") == changed).await;
    assert_eq!(journey.guide.steps().len(), 5, "every section with commands was followed");
}

/// The tool reads JSON as JavaScript does, in which a number has 53 bits; the values of numbers are not compared.
fn without_rounding(mut connections: Vec<Value>) -> Vec<Value> {
    for connection in &mut connections {
        if let Some(nested) = connection["options"].get_mut("nested") {
            nested["a"] = Value::Null;
        }
    }
    connections
}
