//! From Terraform: `docs/migrate/terraform.md`. What the provider sends is sent here in its place: see [`Update`].

use serde_json::{Value, json};
use test_support::World;
use test_support::manifest::edit;

use super::{Journey, TOOL, sent_params};

/// What an update of an `auth0_connection` sends, as the provider's sources (`expandConnection`) and the recordings of its own
/// tests have it: from the raw configuration, whatever `ignore_changes` says. The provider itself can't be run by a test that has
/// only packages to build from.
struct Update<'a> {
    /// Another change of the resource, which makes it update at all.
    display_name: &'a str,
    /// The block `options` of the configuration, if it has one. Of that, all is sent, and nothing else.
    options: Option<Value>,
}

impl Update<'_> {
    fn body(&self) -> Value {
        let mut body = json!({"display_name": self.display_name, "is_domain_connection": false});
        if let Some(options) = &self.options {
            body["options"] = options.clone();
        }
        body
    }
}

#[tokio::test]
async fn the_guide_from_terraform_as_it_stands() {
    let world = World::setup().start().await;
    let journey = Journey::begin(&world, "docs/migrate/terraform.md").await;
    journey.seed();
    let (before, theirs) = (journey.connections(), journey.scope.auth0.upstream_params("wordpress"));
    let configured = |params: &Value| json!({"client_id": "idp-wordpress", "client_secret": "a-secret", "upstream_params": params});
    let update = |display_name, options| journey.patch("wordpress", &Update { display_name, options }.body());

    journey.follow("1. Write down what is there").await;
    journey.follow("3. Hand over").await;
    let managed = ["wordpress", "corporate-oidc"];
    assert_eq!(journey.writes_of_the_operator_after_another_look(&managed).await, 0, "adoption writes nothing");
    assert_eq!(journey.connections(), before);
    assert_eq!(journey.guide.steps().len(), 2, "every section with commands was followed");

    // The two ways that the guide names: no block at all, and the same values.
    update("One", None);
    update("Two", Some(configured(&theirs)));
    let sent: Vec<Option<Value>> = journey.writes_of(TOOL).iter().map(sent_params).collect();
    assert_eq!(sent, [None, Some(theirs.clone())]);
    assert_eq!(journey.scope.auth0.upstream_params("wordpress"), theirs);
    assert_eq!(journey.writes_of_the_operator_after_another_look(&managed).await, 0, "so that there is nothing to set right");

    // Without the block, a change of ours stays; the block of before would take it back.
    let object = journey.object_of("wordpress").await;
    journey.scope.edit(&object, edit().value("blog", "another.wordpress.com")).await;
    let changed = json!({"blog": {"value": "another.wordpress.com"}});
    journey.scope.until_auth0("the change of the object", |auth0| auth0.upstream_params("wordpress") == changed).await;
    update("Three", None);
    assert_eq!(journey.scope.auth0.upstream_params("wordpress"), changed);

    // What `ignore_changes` leaves: options without ours, which the operator has to set right.
    journey.scope.auth0.clear_journal();
    update("Four", Some(json!({"client_id": "idp-wordpress", "client_secret": "a-secret"})));
    journey.scope.until_auth0("what was removed, again", |auth0| auth0.upstream_params("wordpress") == changed).await;
    assert_eq!(journey.writes_of("operator").len(), 1, "{:?}", journey.scope.auth0.writes());
}
