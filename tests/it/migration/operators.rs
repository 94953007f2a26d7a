//! From other operators: `docs/migrate/other-operators.md`, with their manifests, and with what their sources make of them.

use auth0_emulator::{Ending, Request};
use serde_json::{Value, json};
use test_support::World;

use super::{Journey, NAMESPACE, TOOL, sent_params};

/// What the API server has to know to take their manifests. Only what they are called is theirs.
fn definition(kind: &str, plural: &str) -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.kubernetes.auth0.com")},
        "spec": {
            "group": "kubernetes.auth0.com", "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}],
        },
    })
}

/// What their update sends for an object, as their sources have it (`Update` and `ApplyConfToRequest` of their
/// `V1ConnectionController`), but for `enabled_clients`, which Auth0 takes no more; nothing where they may not update.
fn update(object: &Value) -> Option<Value> {
    let (spec, conf) = (&object["spec"], &object["spec"]["conf"]);
    spec["policy"].as_array().unwrap().iter().find(|policy| *policy == "Update")?;
    let mut body = json!({"is_domain_connection": false, "realms": conf.get("realms").unwrap_or(&json!([]))});
    for key in ["display_name", "show_as_button", "metadata", "options"] {
        if let Some(value) = conf.get(key) {
            body[key] = value.clone();
        }
    }
    Some(body)
}

impl Journey<'_> {
    /// A call of the tool's own client, in this process.
    fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let audience = self.scope.auth0.audience();
        let credentials = json!({
            "grant_type": "client_credentials", "client_id": TOOL, "client_secret": "marker-client-secret-of-the-tool", "audience": audience,
        });
        let (_, token) = self.send(Request { method: "POST".to_owned(), path: "/oauth/token".to_owned(), ..json_body(&credentials) });
        let authorization = Some(format!("Bearer {}", token["access_token"].as_str().unwrap()));
        self.send(Request { method: method.to_owned(), path: path.to_owned(), authorization, ..json_body(body) })
    }

    fn send(&self, request: Request) -> (u16, Value) {
        let Ending::Answered(answer) = self.scope.auth0.arrive(request).take_effect().ending else { panic!("no answer") };
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }

    /// A PATCH of a connection by the tool's own client.
    pub(super) fn patch(&self, connection: &str, body: &Value) {
        let id = self.scope.auth0.connection(connection)["id"].as_str().unwrap().to_owned();
        let (status, answer) = self.call("PATCH", &format!("/api/v2/connections/{id}"), body);
        assert_eq!(status, 200, "{body}: {answer}");
    }
}

fn json_body(body: &Value) -> Request {
    Request { content_type: Some("application/json".to_owned()), body: Some(body.to_string().into_bytes()), ..Request::default() }
}

#[tokio::test]
async fn the_guide_from_other_operators_as_it_stands() {
    let world = World::setup().start().await;
    let journey = Journey::begin(&world, "docs/migrate/other-operators.md").await;
    let definitions = [definition("Connection", "connections"), definition("A0Connection", "a0connections")];
    let definitions = definitions.map(|one| one.to_string()).join("\n---\n");
    std::fs::write(journey.path("definitions.json"), definitions).unwrap();
    journey.run("kubectl apply -f definitions.json && kubectl wait --for=condition=Established crd --all --timeout=60s").await;
    journey.seed();
    let (before, theirs) = (journey.connections(), journey.scope.auth0.upstream_params("wordpress"));

    journey.follow("1. Write down what is there").await;
    journey.follow("2. Take the field out of the other operator").await;
    journey.follow("3. Hand over").await;
    let managed = ["wordpress", "corporate-oidc"];
    assert_eq!(journey.writes_of_the_operator_after_another_look(&managed).await, 0, "adoption writes nothing");
    assert_eq!(journey.connections(), before);
    assert_eq!(journey.guide.steps().len(), 3, "every section with commands was followed");

    // The next update of each, from the object as the API server has it.
    for (resource, name, writes) in
        [("connections", "wordpress", true), ("a0connections", "wordpress", true), ("a0connections", "corporate-oidc", false)]
    {
        let object =
            journey.run(&format!("kubectl get {resource}.kubernetes.auth0.com {name} --namespace {NAMESPACE} --output json")).await;
        let body = update(&serde_json::from_str(&object).unwrap());
        assert_eq!(body.is_some(), writes, "{resource} {name}");
        if let Some(body) = body {
            journey.patch(name, &body);
        }
        assert_eq!(journey.scope.auth0.upstream_params("wordpress"), theirs, "{resource} {name}");
    }
    let sent: Vec<Option<Value>> = journey.writes_of(TOOL).iter().map(sent_params).collect();
    assert_eq!(sent, [None, Some(theirs.clone())], "one sends no options, the other the same values");
    assert_eq!(journey.writes_of_the_operator_after_another_look(&managed).await, 0, "so that there is nothing to set right");

    // What step 2 is for.
    let object = journey.object_of("wordpress").await;
    journey.patch("wordpress", &json!({"display_name": "WordPress", "options": {"client_id": "78641"}}));
    journey.scope.until_auth0("what was removed, again", |auth0| auth0.upstream_params("wordpress") == theirs).await;
    assert_eq!(journey.writes_of("operator").len(), 1);
    journey
        .scope
        .eventually("an event that says so", async || {
            journey.scope.events(&object).await.iter().any(|event| event.starts_with("DriftCorrected")).then_some(())
        })
        .await;
}
