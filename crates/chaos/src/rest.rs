//! Whether everything is at rest: each object as it declares, each status true of the tenant, nothing left that nobody owns.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use test_support::status::{is, says};
use upstream_params_operator::api::tenant::ClusterAuth0Tenant;
use upstream_params_operator::api::upstream_params::{ParamState, UpstreamParams};

use crate::book::Book;
use crate::document::Document;
use crate::shape::{self, CONNECTIONS, FOREIGN, OBJECTS, SITES};
use crate::stage::{Stage, patiently};

/// How an object is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum How {
    /// As declared, and its status says so.
    Well,
    /// Not as declared, as its status truly says, and for a reason that the run made; what somebody would do about it.
    Caused { why: String, remedy: Value },
    /// Anything else.
    NotYet(String),
}

/// The connections of a tenant by id.
pub(crate) type Connections = BTreeMap<String, Document>;

/// The connections of each tenant.
pub(crate) fn connections(stage: &Stage) -> Vec<Connections> {
    let parsed = |texts: &Vec<String>| {
        let documents = texts.iter().filter_map(|text| Document::parse(text));
        documents.filter_map(|document| Some((document.id()?, document))).collect()
    };
    stage.connections().values().map(parsed).collect()
}

/// How the object is, with these connections in its tenant.
pub(crate) fn how(object: &UpstreamParams, connections: &Connections, excuse: Option<&str>) -> How {
    let not_yet = |what: String| How::NotYet(what);
    if object.metadata.deletion_timestamp.is_some() {
        return not_yet("it is being deleted".to_owned());
    }
    let Some(status) = &object.status else { return not_yet("it has no status".to_owned()) };
    if status.observed_generation != object.metadata.generation {
        return not_yet("its status is of an older generation".to_owned());
    }
    let wanted = &object.spec.connection;
    let named = |document: &Document| wanted.name.is_some() && document.name() == wanted.name;
    let found = connections.iter().find(|(id, document)| wanted.id.as_deref() == Some(id) || named(document));
    let Some((id, live)) = found else {
        let told = says(object, "ResolvedRefs", "False", "ConnectionNotFound");
        let why = "it names the id of a connection that was deleted".to_owned();
        let remedy = json!({"spec": {"connection": {"id": null, "name": CONNECTIONS[0].0}}});
        return if told && wanted.id.is_some() { How::Caused { why, remedy } } else { not_yet(ready(object)) };
    };
    let here: BTreeMap<&str, ParamState> = status
        .connections
        .iter()
        .filter(|entry| entry.id == *id)
        .flat_map(|entry| &entry.params)
        .map(|param| (param.name.as_str(), param.state))
        .collect();
    let mut caused = BTreeSet::new();
    for (name, param) in &object.spec.params {
        let is_live = live.own.get(name).and_then(|text| serde_json::from_str::<Value>(text).ok());
        let is_as_declared = is_live == serde_json::to_value(param).ok();
        let theirs = live.own_value(name).is_some_and(|value| value.starts_with(FOREIGN));
        match here.get(name.as_str()) {
            Some(ParamState::InSync) if is_as_declared => {}
            Some(state @ (ParamState::ExistingValue | ParamState::Contended)) if !is_as_declared && (theirs || excuse.is_some()) => {
                caused.insert(format!("{name} is {state:?}"));
            }
            state => {
                let live = if is_as_declared { "as declared" } else { "not as declared" };
                return not_yet(format!("its status says of {name}: {state:?}; at Auth0 it is {live}; {}", ready(object)));
            }
        }
    }
    if !caused.is_empty() {
        // Another generation ends a dispute.
        let again = |name: &String| (name.clone(), json!({"alias": null, "value": format!("{}again", shape::MARKER)}));
        let params: serde_json::Map<String, Value> = object.spec.params.keys().map(again).collect();
        let remedy = json!({"spec": {"adoptionPolicy": "Overwrite", "params": params}});
        return How::Caused { why: caused.into_iter().collect::<Vec<_>>().join(", "), remedy };
    }
    if let Some(name) = here.keys().find(|name| !object.spec.params.contains_key(**name)) {
        return not_yet(format!("its status still has {name}, which it does not declare"));
    }
    if let Some(other) = status.connections.iter().find(|entry| entry.id != *id) {
        return not_yet(format!("its status still has the connection {}", other.id));
    }
    if is(object, "Ready", "True", "Ready") { How::Well } else { not_yet(ready(object)) }
}

/// What an object says of itself.
fn ready(object: &UpstreamParams) -> String {
    let (status, reason) = test_support::status::condition(object, "Ready");
    format!("Ready={status}/{reason}: {}", test_support::status::message(object, "Ready"))
}

/// Parameters on connections that no object declares there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Left {
    /// Because the run took what proves whose they are, or set them itself.
    pub(crate) excused: usize,
    /// For no reason.
    pub(crate) violations: Vec<String>,
}

/// What is left, where these objects are.
pub(crate) fn left(objects: &[UpstreamParams], all: &[Connections], book: &Book) -> Left {
    let mut left = Left::default();
    for (site, connections) in all.iter().enumerate() {
        for (id, document) in connections {
            let called = document.name();
            for name in document.own.keys() {
                let declares = |object: &&UpstreamParams| {
                    let connection = &object.spec.connection;
                    let here = connection.id.as_deref() == Some(id) || (connection.name.is_some() && connection.name == called);
                    object.spec.tenant_ref.name == SITES[site] && here && object.spec.params.contains_key(name)
                };
                if objects.iter().any(|object| declares(&object)) {
                    continue;
                }
                let theirs = document.own_value(name).is_some_and(|value| value.starts_with(FOREIGN));
                let excuse = shape::declarer(name).and_then(|number| book.excuse(number));
                if theirs || excuse.is_some() {
                    left.excused += 1;
                } else {
                    left.violations.push(format!(
                        "{}, connection {} ({id}): {name} is left, and nobody owns it",
                        SITES[site],
                        called.clone().unwrap_or_default()
                    ));
                }
            }
        }
    }
    left
}

/// All objects.
pub(crate) async fn objects(stage: &Stage) -> anyhow::Result<Vec<UpstreamParams>> {
    Ok(patiently(Api::<UpstreamParams>::all(stage.client.clone()).list(&ListParams::default())).await?.items)
}

async fn tenants(stage: &Stage) -> anyhow::Result<Vec<ClusterAuth0Tenant>> {
    Ok(patiently(Api::<ClusterAuth0Tenant>::all(stage.client.clone()).list(&ListParams::default())).await?.items)
}

fn number_of(object: &UpstreamParams) -> Option<usize> {
    object.name_any().strip_prefix("object-")?.parse().ok().filter(|number| *number < OBJECTS)
}

/// What stands in the way of rest, and what the run itself caused, by object.
async fn look(stage: &Stage) -> anyhow::Result<(Vec<String>, Vec<(usize, String, Value)>)> {
    let (objects, tenants, connections) = (objects(stage).await?, tenants(stage).await?, connections(stage));
    let (mut not_yet, mut caused) = (Vec::new(), Vec::new());
    for site in SITES {
        let ready = |tenant: &&ClusterAuth0Tenant| {
            let conditions = tenant.status.iter().flat_map(|status| &status.conditions);
            conditions
                .filter(|one| one.type_ == "Ready")
                .any(|one| one.status == "True" && one.observed_generation == tenant.metadata.generation)
        };
        if !tenants.iter().filter(|tenant| tenant.name_any() == site).any(|tenant| ready(&tenant)) {
            not_yet.push(format!("the ClusterAuth0Tenant {site} is not Ready"));
        }
    }
    for number in 0..OBJECTS {
        let shape = shape::object(number);
        let place = format!("{}/{}", shape.namespace, shape.name);
        let Some(object) = objects.iter().find(|object| number_of(object) == Some(number)) else {
            not_yet.push(format!("{place} is not there"));
            continue;
        };
        match how(object, &connections[shape.site], stage.book.excuse(number)) {
            How::Well => {}
            How::Caused { why, remedy } => caused.push((number, why, remedy)),
            How::NotYet(what) => not_yet.push(format!("{place}: {what}")),
        }
    }
    Ok((not_yet, caused))
}

/// What came of waiting for rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rest {
    /// How long it took.
    pub(crate) took: Duration,
    /// What was not at rest at the end.
    pub(crate) not_yet: Vec<String>,
    /// Objects that somebody had to see to, as the run had made it so.
    pub(crate) seen_to: Vec<String>,
}

/// Waits until all is at rest, for so long at most; sees to what the run itself caused.
pub(crate) async fn until_at_rest(stage: &mut Stage, within: Duration, mut say: impl FnMut(&str)) -> anyhow::Result<Rest> {
    let begun = Instant::now();
    let mut rest = Rest::default();
    let mut said = Instant::now();
    loop {
        let later = stage.watch_replicas().await;
        for (_, later) in later {
            stage.later(later).await?;
        }
        let (not_yet, caused) = look(stage).await?;
        if not_yet.is_empty() && caused.is_empty() {
            rest.took = begun.elapsed();
            return Ok(rest);
        }
        if not_yet.is_empty() {
            for (number, why, remedy) in caused {
                let object = shape::object(number);
                rest.seen_to.push(format!("{}/{}: {why}", object.namespace, object.name));
                stage.patch_object(&object, remedy).await?;
            }
        }
        if begun.elapsed() > within {
            rest.took = begun.elapsed();
            rest.not_yet = not_yet;
            return Ok(rest);
        }
        if let Some(first) = not_yet.first().filter(|_| said.elapsed() > Duration::from_secs(5)) {
            said = Instant::now();
            say(&format!("waiting for rest: {} to go, such as {first}", not_yet.len()));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Deletes all objects, and waits until they are gone. Yields which are not.
pub(crate) async fn clear_up(stage: &mut Stage, within: Duration) -> anyhow::Result<Vec<String>> {
    for number in 0..OBJECTS {
        stage.delete_object(&shape::object(number)).await?;
    }
    let begun = Instant::now();
    loop {
        let there = objects(stage).await?;
        if there.is_empty() || begun.elapsed() > within {
            return Ok(there
                .iter()
                .map(|object| format!("{} was deleted and is not gone: {}", object.name_any(), ready(object)))
                .collect());
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[cfg(test)]
mod tests {
    use test_support::from;

    use super::*;

    fn live(params: &Value) -> Connections {
        let text = json!({"id": "con_1", "name": "shop", "options": {"upstream_params": params}}).to_string();
        [("con_1".to_owned(), Document::parse(&text).unwrap())].into()
    }

    fn object(state: &str, ready: (&str, &str)) -> UpstreamParams {
        let condition = json!({
            "type": "Ready", "status": ready.0, "reason": ready.1, "message": "", "observedGeneration": 2,
            "lastTransitionTime": "2030-01-01T00:00:00Z",
        });
        from(json!({
            "apiVersion": "upstreamparams.dev/v1alpha1", "kind": "UpstreamParams",
            "metadata": {"name": "object-0", "namespace": "alpha-a", "generation": 2},
            "spec": {"tenantRef": {"name": "alpha"}, "connection": {"name": "shop"}, "params": {"own-0-a": {"value": "x"}}},
            "status": {
                "observedGeneration": 2,
                "conditions": [condition],
                "connections": [{"id": "con_1", "params": [{"name": "own-0-a", "state": state, "owned": ["f"]}]}],
            },
        }))
    }

    #[test]
    fn an_object_is_well_only_where_its_status_is_true_of_the_tenant() {
        let declared = live(&json!({"own-0-a": {"value": "x"}}));
        let well = object("InSync", ("True", "Ready"));
        assert_eq!(how(&well, &declared, None), How::Well);
        for other in [json!({}), json!({"own-0-a": {"value": "y"}}), json!({"own-0-a": {"alias": "login_hint"}})] {
            assert!(matches!(how(&well, &live(&other), Some("excuse")), How::NotYet(_)), "{other}");
        }
        for (state, ready) in [("Applied", ("True", "Ready")), ("InSync", ("False", "Deleting")), ("Pending", ("True", "Ready"))] {
            assert!(matches!(how(&object(state, ready), &declared, None), How::NotYet(_)), "{state} {ready:?}");
        }
        let mut old = well.clone();
        old.metadata.generation = Some(3);
        assert!(matches!(how(&old, &declared, None), How::NotYet(_)));
        let mut gone = well;
        gone.spec.connection.name = Some("other".to_owned());
        assert!(matches!(how(&gone, &declared, None), How::NotYet(_)));
    }

    #[test]
    fn a_value_that_is_not_ours_is_caused_only_where_the_run_caused_it() {
        let existing = object("ExistingValue", ("False", "ExistingValue"));
        let theirs = live(&json!({"own-0-a": {"value": "marker-foreign-7"}}));
        let ours = live(&json!({"own-0-a": {"value": "marker-own-7"}}));
        assert!(matches!(how(&existing, &theirs, None), How::Caused { .. }));
        assert!(matches!(how(&existing, &ours, None), How::NotYet(_)));
        assert!(matches!(how(&existing, &ours, Some("robbed")), How::Caused { .. }));
        assert!(matches!(how(&existing, &live(&json!({"own-0-a": {"value": "x"}})), Some("robbed")), How::NotYet(_)), "it is not true");
    }

    #[test]
    fn what_is_left_is_a_violation_unless_the_run_caused_it() {
        let connections = |params: Value| vec![live(&params), Connections::new()];
        let objects = [object("InSync", ("True", "Ready"))];
        let mut book = Book::default();
        let declared = left(&objects, &connections(json!({"own-0-a": {"value": "x"}})), &book);
        assert_eq!((declared.excused, declared.violations.len()), (0, 0));
        let orphan = || connections(json!({"own-0-b": {"value": "marker-own-1"}, "their-1": {"value": "x"}}));
        assert_eq!(left(&objects, &orphan(), &book).violations.len(), 1);
        assert_eq!(left(&[], &connections(json!({"own-0-a": {"value": "marker-foreign-1"}})), &book).excused, 1);
        book.robbed(0, "its status was erased");
        assert_eq!(left(&objects, &orphan(), &book).excused, 1);
    }
}
