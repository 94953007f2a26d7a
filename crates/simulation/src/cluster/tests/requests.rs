//! What is asked over HTTP.

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::PartialObjectMeta;

use super::*;
use crate::cluster::{Kind, Verb, Who, Writes};

async fn put_status(client: &Client, uid: &str, version: &str, status: Value) -> Result<DynamicObject, kube::Error> {
    let mut body = DynamicObject::new("blog", &ApiResource::erase::<UpstreamParams>(&())).within("team");
    body.metadata.uid = (!uid.is_empty()).then(|| uid.to_owned());
    body.metadata.resource_version = (!version.is_empty()).then(|| version.to_owned());
    body.data = json!({ "status": status, "spec": { "connection": { "name": "another" } } });
    objects(client).replace_status("blog", &PostParams::default(), &body).await
}

#[tokio::test(start_paused = true)]
async fn a_new_object_has_the_defaults_of_the_definition() {
    let (cluster, _, _) = world();
    let object = cluster.read(&blog()).unwrap();
    assert_eq!(
        object["spec"],
        json!({
            "adoptionPolicy": "IfEqual", "connection": { "name": "wordpress" }, "deletionPolicy": "Delete", "managementPolicy": "Enforce",
            "params": { "blog": { "value": "1" } }, "tenantRef": { "kind": "ClusterAuth0Tenant", "name": "default" },
        })
    );
    assert_eq!(object["status"], json!({ "observedGeneration": -1 }));
    assert_eq!(object["metadata"]["generation"], 1);
    assert_eq!(object["metadata"]["creationTimestamp"], "2026-01-01T00:00:00Z");
    let _: UpstreamParams = cluster.read_as(&blog()).unwrap();

    let content = json!({ "spec": { "domain": "t.eu.auth0.com", "rateLimit": { "burst": 7, "what": 1 }, "managementPolicy": null }, "status": { "a": 1 } });
    let tenant = cluster.create(&Key::tenant("default"), content).unwrap();
    assert_eq!(tenant["spec"]["rateLimit"], json!({ "burst": 7, "readsPerMinute": 30, "requestsPerMinute": 60 }));
    assert_eq!((text(&tenant, "/spec/managementPolicy"), &tenant["status"]), ("Enforce", &json!({ "observedGeneration": -1 })));
}

#[tokio::test(start_paused = true)]
async fn a_status_is_replaced_alone_and_only_from_the_current_version_of_the_same_object() {
    let (cluster, client, _) = world();
    let fresh = cluster.read(&blog()).unwrap();
    let uid = text(&fresh, "/metadata/uid").to_owned();
    let first = text(&fresh, "/metadata/resourceVersion").to_owned();

    // A new object has no status in the store, so that writing the default is a change, and writing it again is none.
    put_status(&client, &uid, &first, json!({ "observedGeneration": -1 })).await.unwrap();
    let second = version(&cluster, &blog());
    assert_ne!(first, second);
    put_status(&client, &uid, &second, json!({ "observedGeneration": -1 })).await.unwrap();
    assert_eq!(second, version(&cluster, &blog()));

    let written = put_status(&client, &uid, &second, json!({ "target": "a", "observedGeneration": 1 })).await.unwrap();
    let third = version(&cluster, &blog());
    assert_eq!(written.metadata.resource_version.as_deref(), Some(third.as_str()));
    let now = cluster.read(&blog()).unwrap();
    assert_eq!((&now["spec"], &now["metadata"]["generation"]), (&fresh["spec"], &json!(1)));
    assert_eq!(now["status"], json!({ "target": "a", "observedGeneration": 1 }));

    // Also where nothing would change.
    assert_eq!(code(put_status(&client, &uid, &second, now["status"].clone()).await), 409);
    assert_eq!(code(put_status(&client, "another", &third, now["status"].clone()).await), 409);
    assert_eq!(code(put_status(&client, &uid, "", now["status"].clone()).await), 422);
    assert_eq!(code(put_status(&client, &uid, "abc", now["status"].clone()).await), 500);
    assert_eq!(third, version(&cluster, &blog()));

    cluster.delete(&blog()).unwrap();
    assert_eq!(code(put_status(&client, &uid, &third, now["status"].clone()).await), 404, "also with a uid");
}

#[tokio::test(start_paused = true)]
async fn a_status_that_the_definition_does_not_permit_is_refused() {
    let (cluster, client, _) = world();
    let condition = |of_type: &str, message: String| json!({ "type": of_type, "status": "True", "reason": "R", "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z" });
    let long = "x".repeat(32_769);
    for (status, expected) in [
        (json!({ "conditions": [condition("Ready", String::new())] }), 200),
        (json!({ "conditions": [condition("Ready", long)] }), 422),
        (json!({ "conditions": [condition("Ready", String::new()), condition("Ready", String::new())] }), 422),
        (json!({ "conditions": [{ "type": "Ready" }] }), 422),
        (json!({ "conditions": {} }), 422),
        (json!({ "observedGeneration": "1" }), 422),
        (json!({ "observedGeneration": -2 }), 422),
        (json!({ "connections": [{ "id": "con_1", "params": [{ "name": "p", "state": "Unheard" }] }] }), 422),
        (json!({ "connections": [{ "id": "con_1", "params": [{ "name": "p", "state": "InSync" }] }] }), 200),
    ] {
        let answer = put_status(&client, "", &version(&cluster, &blog()), status.clone()).await;
        assert_eq!(answer.map_or_else(|error| code::<()>(Err(error)), |_| 200), expected, "{status}");
    }
    // What the definition does not know is dropped.
    put_status(&client, "", &version(&cluster, &blog()), json!({ "observedGeneration": 1, "what": 1, "target": null })).await.unwrap();
    assert_eq!(cluster.read(&blog()).unwrap()["status"], json!({ "observedGeneration": 1 }));
}

#[tokio::test(start_paused = true)]
async fn the_status_of_a_tenant_is_replaced_like_that_of_an_object() {
    let (cluster, client, _) = world();
    let key = Key::tenant("default");
    let made = cluster.create(&key, json!({ "spec": { "domain": "t.eu.auth0.com" } })).unwrap();
    let mut body = DynamicObject::new("default", &ApiResource::erase::<ClusterAuth0Tenant>(&()));
    body.metadata.resource_version = Some(text(&made, "/metadata/resourceVersion").to_owned());
    body.data = json!({ "status": { "observedGeneration": 1 } });
    tenants(&client).replace_status("default", &PostParams::default(), &body).await.unwrap();
    assert_eq!(cluster.read(&key).unwrap()["status"], json!({ "observedGeneration": 1 }));
    assert_eq!(code(tenants(&client).replace_status("default", &PostParams::default(), &body).await), 409);
}

async fn finalizers(client: &Client, uid: &str, version: &str, finalizers: &[&str]) -> Result<ObjectMeta, kube::Error> {
    let patch = json!({ "metadata": { "uid": uid, "resourceVersion": version, "finalizers": finalizers } });
    let answer = objects(client).patch_metadata("blog", &PatchParams::default(), &Patch::Merge(patch)).await?;
    assert_eq!(answer.types.unwrap().kind, "PartialObjectMetadata");
    Ok(answer.metadata)
}

#[tokio::test(start_paused = true)]
async fn an_object_waits_for_its_finalizers_and_goes_with_the_last() {
    let (cluster, client, _) = world();
    let (uid, old) = (text(&cluster.read(&blog()).unwrap(), "/metadata/uid").to_owned(), version(&cluster, &blog()));
    let added = finalizers(&client, &uid, &old, &["a.b/c"]).await.unwrap();
    let current = added.resource_version.unwrap();
    assert_eq!(finalizers(&client, &uid, &current, &["a.b/c"]).await.unwrap().resource_version.unwrap(), current, "the same is no change");
    assert_eq!(code(finalizers(&client, &uid, &old, &["a.b/c"]).await), 409);
    assert_eq!(code(finalizers(&client, "another", &old, &[]).await), 409);
    assert_eq!(code(finalizers(&client, "another", &current, &[]).await), 422);

    tokio::time::advance(Duration::from_millis(2500)).await;
    cluster.delete(&blog()).unwrap();
    let marked = cluster.read(&blog()).unwrap();
    assert_eq!((text(&marked, "/metadata/deletionTimestamp"), &marked["metadata"]["generation"]), ("2026-01-01T00:00:02Z", &json!(2)));
    cluster.delete(&blog()).unwrap();
    assert_eq!(marked, cluster.read(&blog()).unwrap(), "deleted twice is deleted");

    let current = version(&cluster, &blog());
    assert_eq!(code(finalizers(&client, &uid, &current, &["a.b/c", "d.e/f"]).await), 422, "none is added any more");
    put_status(&client, &uid, &current, json!({ "observedGeneration": 2 })).await.unwrap();
    let current = version(&cluster, &blog());
    let answer = finalizers(&client, &uid, &current, &[]).await.unwrap();
    assert_eq!((answer.resource_version.unwrap(), answer.finalizers), (current, None), "answered as it was sent");
    assert!(!cluster.exists(&blog()));
    assert_eq!(code(finalizers(&client, &uid, "1", &[]).await), 404);
}

#[tokio::test(start_paused = true)]
async fn a_patch_of_the_whole_leaves_the_status_and_counts_a_new_spec() {
    let (cluster, client, _) = world();
    let patch = Patch::Merge(json!({ "status": { "observedGeneration": 9 } }));
    let before = version(&cluster, &blog());
    objects(&client).patch("blog", &PatchParams::default(), &patch).await.unwrap();
    assert_ne!(before, version(&cluster, &blog()), "the default status is stored with the first write, whatever it writes");
    let before = version(&cluster, &blog());
    let object = objects(&client).patch("blog", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!((object.data["status"].clone(), version(&cluster, &blog())), (json!({ "observedGeneration": -1 }), before));
    let patch = Patch::Merge(json!({ "spec": { "params": { "blog": null, "other": { "value": "2" } } } }));
    let object = objects(&client).patch("blog", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(object.metadata.generation, Some(2));
    assert_eq!(object.data["spec"]["params"], json!({ "other": { "value": "2" } }));
    let apply = Patch::Apply(json!({ "apiVersion": "upstreamparams.dev/v1alpha1", "kind": "UpstreamParams" }));
    assert_eq!(code(objects(&client).patch("blog", &PatchParams::apply("x"), &apply).await), 415);
}

fn lease(name: &str, version: Option<String>, holder: &str) -> Lease {
    let metadata = ObjectMeta { name: Some(name.to_owned()), resource_version: version, ..ObjectMeta::default() };
    Lease { metadata, spec: Some(LeaseSpec { holder_identity: Some(holder.to_owned()), ..LeaseSpec::default() }) }
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_taken_once_and_renewed_from_its_current_version() {
    let (cluster, client, _) = world();
    let api = Api::<Lease>::namespaced(client.clone(), "team");
    let post = PostParams::default();
    assert_eq!(code(api.get("l").await), 404);
    let made = api.create(&post, &lease("l", None, "a")).await.unwrap();
    assert_eq!(code(api.create(&post, &lease("l", None, "b")).await), 409);
    let renewed = api.replace("l", &post, &lease("l", made.metadata.resource_version.clone(), "b")).await.unwrap();
    assert_ne!(made.metadata.resource_version, renewed.metadata.resource_version);
    let same = api.replace("l", &post, &lease("l", renewed.metadata.resource_version.clone(), "b")).await.unwrap();
    assert_eq!(same.metadata.resource_version, renewed.metadata.resource_version);
    assert_eq!(code(api.replace("l", &post, &lease("l", made.metadata.resource_version.clone(), "c")).await), 409);
    assert_eq!(code(api.replace("l", &post, &lease("l", None, "c")).await), 422);
    let mut another = lease("l", renewed.metadata.resource_version.clone(), "c");
    another.metadata.uid = Some("another".to_owned());
    assert_eq!(code(api.replace("l", &post, &another).await), 409);
    // As the real one: a PUT creates a Lease that is not there, but for one that is of another uid.
    api.replace("m", &post, &lease("m", Some("3".to_owned()), "a")).await.unwrap();
    another.metadata.name = Some("n".to_owned());
    assert_eq!(code(api.replace("n", &post, &another).await), 409);
    let released = Patch::Merge(json!({ "spec": { "holderIdentity": null } }));
    assert_eq!(api.patch("l", &PatchParams::default(), &released).await.unwrap().spec.unwrap().holder_identity, None);
    let stale = DeleteParams {
        preconditions: Some(Preconditions { uid: None, resource_version: Some("1".to_owned()) }),
        ..DeleteParams::default()
    };
    assert_eq!(code(api.delete("l", &stale).await), 409);
    cluster.delete(&Key::lease("team", "l")).unwrap();
    assert_eq!(code(api.delete("l", &DeleteParams::default()).await), 404);
}

fn event(name: &str, namespace: &str) -> Event {
    serde_json::from_value(json!({
        "metadata": { "name": name, "namespace": namespace }, "action": "Reconcile", "eventTime": "2026-01-01T00:00:00.000000Z", "note": "n",
        "reason": "R", "regarding": { "kind": "UpstreamParams", "namespace": namespace, "name": "blog" }, "reportingController": "c",
        "reportingInstance": "i", "type": "Normal",
    }))
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn events_are_stored_counted_refused_and_forgotten() {
    let (cluster, client, _) = world();
    let api = |namespace: &str| Api::<Event>::namespaced(client.clone(), namespace);
    let post = PostParams::default();
    api("team").create(&post, &event("e", "team")).await.unwrap();
    assert_eq!(code(api("team").create(&post, &event("e", "team")).await), 409);
    assert_eq!(code(api("gone").create(&post, &event("e", "gone")).await), 404);
    let long = Event { note: Some("x".repeat(1025)), ..event("long", "team") };
    assert_eq!(code(api("team").create(&post, &long).await), 422);
    let unplaced =
        |namespace: &str| Event { regarding: Some(k8s_openapi::api::core::v1::ObjectReference::default()), ..event("u", namespace) };
    assert_eq!(code(api("team").create(&post, &unplaced("team")).await), 422, "what has no namespace is told of in default");
    api("default").create(&post, &unplaced("default")).await.unwrap();

    let series = |count: i32| Patch::Merge(json!({ "series": { "count": count, "lastObservedTime": "2026-01-01T00:00:01.000000Z" } }));
    assert_eq!(code(api("team").patch("unknown", &PatchParams::default(), &series(2)).await), 404);
    assert_eq!(code(api("team").patch("e", &PatchParams::default(), &series(1)).await), 422);
    tokio::time::advance(Duration::from_mins(50)).await;
    api("team").patch("e", &PatchParams::default(), &series(2)).await.unwrap();
    tokio::time::advance(Duration::from_mins(50)).await;
    assert_eq!(cluster.keys(Kind::Event), [Key::event("team", "e")], "the hour begins anew with each count");
    tokio::time::advance(Duration::from_mins(11)).await;
    assert_eq!(code(api("team").patch("e", &PatchParams::default(), &series(3)).await), 404);

    api("team").create(&post, &event("e", "team")).await.unwrap();
    cluster.terminate_namespace("team").unwrap();
    assert_eq!(code(api("team").create(&post, &event("f", "team")).await), 403);
    api("team").patch("e", &PatchParams::default(), &series(2)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_list_comes_in_pages_of_one_moment() {
    let (cluster, client, _) = world();
    for name in ["a", "b", "c"] {
        cluster.create(&Key::object("team", name), json!({ "spec": spec("1") })).unwrap();
    }
    cluster.create_namespace("team-b", &[]).unwrap();
    cluster.create(&Key::object("team-b", "z"), json!({ "spec": spec("1") })).unwrap();
    let all: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::erase::<UpstreamParams>(&()));
    let names = |page: &kube::core::ObjectList<DynamicObject>| -> Vec<String> {
        page.items.iter().map(|object| object.metadata.name.clone().unwrap()).collect()
    };
    let first = all.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!((names(&first), first.metadata.remaining_item_count), (vec!["z".to_owned(), "a".to_owned()], Some(3)), "in etcd's order");
    let now = cluster.resource_version().to_string();
    assert_eq!(first.metadata.resource_version.as_deref(), Some(now.as_str()));

    // What happens between two pages is in neither.
    cluster.delete(&Key::object("team", "b")).unwrap();
    cluster.create(&Key::object("team", "bb"), json!({ "spec": spec("1") })).unwrap();
    cluster.replace_spec(&Key::object("team", "c"), spec("2")).unwrap();
    let token = first.metadata.continue_.unwrap();
    let second = all.list(&ListParams::default().limit(2).continue_token(&token)).await.unwrap();
    assert_eq!(
        (names(&second), second.metadata.resource_version.as_deref()),
        (vec!["b".to_owned(), "blog".to_owned()], Some(now.as_str()))
    );
    let token = second.metadata.continue_.unwrap();
    let third = all.list(&ListParams::default().limit(2).continue_token(&token)).await.unwrap();
    assert_eq!((names(&third), third.metadata.continue_), (vec!["c".to_owned()], None));
    assert_eq!(third.items[0].data["spec"]["params"]["blog"]["value"], "1");

    // Etcd is compacted, by somebody or after five to ten minutes of changes.
    cluster.compact();
    assert_eq!(code(all.list(&ListParams::default().limit(2).continue_token(&token)).await), 410);
    let token = all.list(&ListParams::default().limit(2)).await.unwrap().metadata.continue_.unwrap();
    for minute in 1..=11 {
        tokio::time::advance(Duration::from_mins(1)).await;
        cluster.annotate(&blog(), "minute", Some(&minute.to_string())).unwrap();
        let answer = all.list(&ListParams::default().limit(2).continue_token(&token)).await;
        if minute <= 5 {
            answer.unwrap();
        } else if minute >= 10 {
            assert_eq!(code(answer), 410);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_from_the_cache_is_as_late_as_the_process_and_no_older_than_asked() {
    let (cluster, client, _) = world();
    tokio::time::advance(Duration::from_secs(10)).await;
    cluster.set_lag(ONE, Kind::Object, Duration::from_secs(5));
    let early = cluster.resource_version().to_string();
    cluster.replace_spec(&blog(), spec("2")).unwrap();
    let value = |parameters: ListParams| {
        let api = objects(&client);
        async move { api.list(&parameters).await.unwrap().items[0].data["spec"]["params"]["blog"]["value"].clone() }
    };
    assert_eq!(value(ListParams::default()).await, "2");
    assert_eq!(value(ListParams::default().match_any()).await, "1");
    assert_eq!(value(ListParams::default().at(&early)).await, "1");
    assert_eq!(value(ListParams::default().at(&cluster.resource_version().to_string())).await, "2");
    assert_eq!(code(objects(&client).list(&ListParams::default().at("999")).await), 504);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(value(ListParams::default().match_any()).await, "2");
}

#[tokio::test(start_paused = true)]
async fn a_selector_leaves_out_secrets_of_a_type_and_metadata_comes_alone() {
    let (cluster, client, _) = world();
    cluster.put_secret(&Key::secret("team", "login"), &[("client_id", "abc")]).unwrap();
    cluster.create(&Key::secret("team", "helm"), json!({ "type": "helm.sh/release.v1" })).unwrap();
    let api = Api::<Secret>::namespaced(client.clone(), "team");
    let found = api.list(&ListParams::default().fields("type!=helm.sh/release.v1").limit(4)).await.unwrap().items;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].data.as_ref().unwrap()["client_id"].0, b"abc");
    assert_eq!(code(api.list(&ListParams::default().fields("data=1")).await), 400);
    cluster.put_secret(&Key::secret("team", "login"), &[("client_secret", "x")]).unwrap();
    assert_eq!(api.get("login").await.unwrap().data.unwrap().keys().collect::<Vec<_>>(), ["client_secret"]);

    let api = Api::<PartialObjectMeta<Namespace>>::all(client);
    let found = api.list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(found.types.kind, "PartialObjectMetadataList");
    assert_eq!(found.items[1].metadata.labels.as_ref().unwrap()["kubernetes.io/metadata.name"], "team");
}

#[tokio::test(start_paused = true)]
async fn a_request_takes_the_way_that_the_network_says() {
    let (cluster, client, network) = world();
    let annotate = |value: &str| {
        let (api, patch) = (objects(&client), Patch::Merge(json!({ "metadata": { "annotations": { "a": value } } })));
        async move { api.patch("blog", &PatchParams::default(), &patch).await }
    };
    let is = |value: &str| text(&cluster.read(&blog()).unwrap(), "/metadata/annotations/a") == value;
    let tell = |ending| network.fates.lock().push_back(ended(ending));
    let limit = Duration::from_secs(1);

    tell(Ending::Answered);
    let begin = tokio::time::Instant::now();
    annotate("1").await.unwrap();
    assert!(is("1") && begin.elapsed() == Duration::from_millis(30));
    assert_eq!(network.seen.lock().drain(..).collect::<Vec<_>>().len(), 2);

    for (ending, took_effect) in [(Ending::AnswerLost, true), (Ending::Dropped, false)] {
        tell(ending);
        assert!(matches!(annotate(&format!("{ending:?}")).await, Err(kube::Error::Service(_))));
        assert_eq!(is(&format!("{ending:?}")), took_effect);
        assert_eq!(network.seen.lock().drain(..).count(), if took_effect { 2 } else { 0 });
    }
    for (ending, took_effect) in [(Ending::NeverAnswered, true), (Ending::Swallowed, false)] {
        tell(ending);
        assert!(tokio::time::timeout(limit, annotate(&format!("{ending:?}"))).await.is_err());
        assert_eq!(is(&format!("{ending:?}")), took_effect);
        network.seen.lock().clear();
    }
    tell(Ending::Refused(429));
    assert_eq!(code(annotate("x").await), 429);
    assert!(!is("x") && network.seen.lock().is_empty());

    // Who gives up calls nothing back.
    tell(Ending::Answered);
    assert!(tokio::time::timeout(Duration::from_millis(5), annotate("late")).await.is_err());
    assert!(!is("late"));
    tokio::time::sleep(Duration::from_millis(6)).await;
    assert!(is("late"));

    tell(Ending::Answered);
    let asked = tokio::spawn(annotate("answer lost by a stop"));
    tokio::time::sleep(Duration::from_millis(15)).await;
    cluster.stop();
    assert!(matches!(asked.await.unwrap(), Err(kube::Error::Service(_))));
    assert!(is("answer lost by a stop"));
    assert!(matches!(annotate("down").await, Err(kube::Error::Service(_))));
    cluster.start();
    annotate("up").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_no_api_is_not_found() {
    let (cluster, client, _) = world();
    let unknown = ApiResource { plural: "foos".to_owned(), ..ApiResource::erase::<UpstreamParams>(&()) };
    assert_eq!(code(Api::<DynamicObject>::all_with(client.clone(), &unknown).list(&ListParams::default()).await), 404);

    cluster.serve(Kind::Object, false);
    assert_eq!(code(objects(&client).list(&ListParams::default()).await), 404);
    cluster.serve(Kind::Object, true);
    assert!(objects(&client).list(&ListParams::default()).await.unwrap().items.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_journal_says_who_wrote_what() {
    let (cluster, client, _) = world();
    cluster.keep_journal(true);
    let uid = text(&cluster.read(&blog()).unwrap(), "/metadata/uid").to_owned();
    let old = version(&cluster, &blog());
    put_status(&client, &uid, &old, json!({ "observedGeneration": 1 })).await.unwrap();
    assert_eq!(code(put_status(&client, &uid, &old, json!({ "observedGeneration": 1 })).await), 409);
    cluster.erase_status(&blog()).unwrap();
    let journal = cluster.take_journal();
    let lines: Vec<_> = journal.iter().map(|entry| (entry.who, entry.verb, entry.code, entry.changed, entry.status::<Value>())).collect();
    let (us, verb) = (Who::Process(ONE), Verb::UpdateStatus);
    assert_eq!(
        lines,
        [
            (us, verb, 200, true, Some(json!({ "observedGeneration": 1 }))),
            (us, verb, 409, false, None),
            (Who::People, verb, 200, true, Some(json!({ "observedGeneration": -1 }))),
        ]
    );
    assert_eq!(cluster.writes(ONE, Kind::Object), Writes { sent: 2, refused: 1, changed: 1 });
    assert_eq!(cluster.writes(ONE, Kind::Lease), Writes::default());
}
