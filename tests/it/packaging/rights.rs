//! The rights in `examples/rbac.yaml` are those that the operator needs, no fewer and no more.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};
use test_support::manifest::{edit, on};
use test_support::repository::root;
use test_support::status::has_finalizer;
use test_support::{OPERATOR_NAMESPACE, World};
use upstream_params_operator::api::upstream_params::ParamState;

const NAME: &str = "upstream-params-operator";

/// API group, resource and verb.
type Right = (String, String, String);

#[tokio::test]
async fn the_operator_does_its_work_with_the_rights_of_the_example_and_uses_each_of_them() {
    let audit = Audit::new();
    let setup = World::setup().without_operator().api_server_arguments(audit.arguments());
    let mut world = setup.start().await;
    world.control_plane.apply(&root().join("examples/rbac.yaml")).await.unwrap();
    let token = world.control_plane.run(["create", "token", NAME, "--namespace", OPERATOR_NAMESPACE]).await.unwrap();
    let kubeconfig = world.control_plane.folder().join("operator.kubeconfig");
    std::fs::write(&kubeconfig, world.control_plane.kubeconfig_with_token(token.trim())).unwrap();
    world.operator_kubeconfig(kubeconfig);
    world.start_operator_until_ready().await;

    let scope = world.scope("rights").await;
    scope.connection("wordpress", "wordpress");
    scope.create("blog", on("wordpress").value("blog", "ours")).await;
    assert!(has_finalizer(&scope.until_ready("blog").await));
    scope.until_tenant("Ready", "True", "Ready").await;
    scope.until_state("blog", "blog", ParamState::InSync).await;
    // An event that comes again is counted, which is a right of its own.
    scope.edit("blog", edit().value("blog", "other")).await;
    scope.until_ready("blog").await;
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    world.stop_operator().await;

    let used = audit.used();
    let granted = granted();
    assert_eq!(used.difference(&granted).collect::<Vec<_>>(), Vec::<&Right>::new(), "used and not granted\n{}", world.log_text());
    assert_eq!(granted.difference(&used).collect::<Vec<_>>(), Vec::<&Right>::new(), "granted and not used");
}

/// The rights of the example.
fn granted() -> BTreeSet<Right> {
    let text = std::fs::read_to_string(root().join("examples/rbac.yaml")).unwrap();
    let documents = text.split("\n---\n").map(|document| serde_saphyr::from_str::<Value>(document).unwrap());
    let texts = |value: &Value| value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let mut rights = BTreeSet::new();
    for rule in documents.filter_map(|document| document["rules"].as_array().cloned()).flatten() {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                rights.extend(texts(&rule["verbs"]).into_iter().map(|verb| (group.clone(), resource.clone(), verb)));
            }
        }
    }
    assert!(!rights.is_empty());
    rights
}

/// What the API server writes down of the operator's requests.
struct Audit {
    policy: PathBuf,
    log: PathBuf,
}

impl Audit {
    fn new() -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let audit = Self { policy: folder.join("rights-policy.yaml"), log: folder.join("rights-audit.log") };
        drop(std::fs::remove_file(&audit.log));
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata", "users": [format!("system:serviceaccount:{OPERATOR_NAMESPACE}:{NAME}")]}, {"level": "None"}],
        });
        std::fs::write(&audit.policy, policy.to_string()).unwrap();
        audit
    }

    fn arguments(&self) -> Vec<String> {
        vec![format!("--audit-policy-file={}", self.policy.display()), format!("--audit-log-path={}", self.log.display())]
    }

    /// What the operator used. Nothing was denied.
    fn used(&self) -> BTreeSet<Right> {
        let text = std::fs::read_to_string(&self.log).unwrap();
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events
            .map(|event| {
                assert_ne!(event["responseStatus"]["code"], 403, "{event}");
                let part = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
                let resource = match part("/objectRef/subresource") {
                    none if none.is_empty() => part("/objectRef/resource"),
                    subresource => format!("{}/{subresource}", part("/objectRef/resource")),
                };
                (part("/objectRef/apiGroup"), resource, part("/verb"))
            })
            .collect()
    }
}
