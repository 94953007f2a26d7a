//! What people do.

use super::*;
use crate::cluster::{Kind, Refusal};

fn refused<T: std::fmt::Debug>(answer: Result<T, Refusal>) -> u16 {
    answer.unwrap_err().code
}

#[tokio::test(start_paused = true)]
async fn a_generation_counts_specs_only() {
    let (cluster, _, _) = world();
    let generation = || cluster.read(&blog()).unwrap()["metadata"]["generation"].as_i64().unwrap();
    cluster.label(&blog(), "a", Some("b")).unwrap();
    cluster.write_status(&blog(), &json!({ "observedGeneration": 1 })).unwrap();
    assert_eq!(generation(), 1);
    let before = version(&cluster, &blog());
    cluster.apply(&blog(), spec("1")).unwrap();
    assert_eq!((generation(), version(&cluster, &blog())), (1, before), "the same spec, defaults left out, is no change");
    cluster.apply(&blog(), spec("2")).unwrap();
    assert_eq!(generation(), 2);
    assert_eq!(cluster.read(&blog()).unwrap()["status"], json!({ "observedGeneration": 1 }));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_can_not_be_changed_and_what_is_there_not_be_made() {
    let (cluster, _, _) = world();
    let none = Key::object("team", "none");
    assert_eq!(refused(cluster.delete(&none)), 404);
    assert_eq!(refused(cluster.replace_spec(&none, spec("1"))), 404);
    assert_eq!(refused(cluster.label(&none, "a", None)), 404);
    assert_eq!(refused(cluster.erase_status(&none)), 404);
    assert_eq!(refused(cluster.add_finalizer(&none, "a.b/c")), 404);
    assert_eq!(refused(cluster.create(&blog(), json!({ "spec": spec("1") }))), 409);
    assert_eq!(refused(cluster.create(&Key::object("nowhere", "blog"), json!({}))), 404);
    assert_eq!(refused(cluster.delete(&Key::namespace("default"))), 403);
}

#[tokio::test(start_paused = true)]
async fn a_name_made_anew_is_another_object() {
    let (cluster, _, _) = world();
    let old = cluster.read(&blog()).unwrap();
    cluster.delete(&blog()).unwrap();
    let new = cluster.create(&blog(), json!({ "spec": spec("1") })).unwrap();
    assert_ne!(text(&old, "/metadata/uid"), text(&new, "/metadata/uid"));
}

#[tokio::test(start_paused = true)]
async fn a_namespace_goes_when_nothing_is_left_in_it() {
    let (cluster, _, _) = world();
    let team = Key::namespace("team");
    cluster.put_secret(&Key::secret("team", "s"), &[]).unwrap();
    cluster.add_finalizer(&blog(), "a.b/c").unwrap();
    cluster.create(&Key::object("team", "other"), json!({ "spec": spec("1") })).unwrap();
    cluster.terminate_namespace("team").unwrap();
    assert_eq!(text(&cluster.read(&team).unwrap(), "/status/phase"), "Terminating");
    assert_eq!(cluster.keys(Kind::Object).len(), 2);
    assert_eq!(refused(cluster.create(&Key::object("team", "new"), json!({}))), 403);
    cluster.write_status(&blog(), &json!({ "observedGeneration": 5 })).unwrap();

    cluster.purge_namespace("team").unwrap();
    assert_eq!((cluster.keys(Kind::Object), cluster.keys(Kind::Secret)), (vec![blog()], Vec::new()));
    assert!(cluster.exists(&team));
    cluster.remove_finalizer(&blog(), "a.b/c").unwrap();
    assert!(!cluster.exists(&blog()) && !cluster.exists(&team));
    // The same name may come again.
    cluster.create_namespace("team", &[("a", "b")]).unwrap();
    cluster.delete(&team).unwrap();
    assert!(!cluster.exists(&team));
}

#[tokio::test(start_paused = true)]
async fn a_backup_makes_anew_what_is_gone() {
    let (cluster, _, _) = world();
    cluster.add_finalizer(&blog(), "a.b/c").unwrap();
    cluster.label(&blog(), "a", Some("b")).unwrap();
    cluster.write_status(&blog(), &json!({ "observedGeneration": 1 })).unwrap();
    let there = Key::object("team", "there");
    cluster.create(&there, json!({ "spec": spec("1") })).unwrap();
    let (backup, before) = (cluster.snapshot(), cluster.read(&blog()).unwrap());
    cluster.replace_spec(&there, spec("2")).unwrap();
    cluster.remove_finalizer(&blog(), "a.b/c").unwrap();
    cluster.delete(&blog()).unwrap();
    tokio::time::advance(Duration::from_mins(1)).await;

    cluster.restore_backup(&backup);
    let after = cluster.read(&blog()).unwrap();
    assert_eq!(after["spec"], before["spec"]);
    assert_eq!(after["status"], json!({ "observedGeneration": -1 }));
    assert_eq!((text(&after, "/metadata/labels/a"), &after["metadata"]["finalizers"]), ("b", &Value::Null));
    assert_eq!(text(&after, "/metadata/creationTimestamp"), "2026-01-01T00:01:00Z");
    assert_ne!(text(&after, "/metadata/uid"), text(&before, "/metadata/uid"));
    assert_eq!(text(&cluster.read(&there).unwrap(), "/spec/params/blog/value"), "2", "what is there is left alone");
}

#[tokio::test(start_paused = true)]
async fn etcd_is_put_back_with_its_versions() {
    let (cluster, _, _) = world();
    let (snapshot, before) = (cluster.snapshot(), cluster.read(&blog()).unwrap());
    let at = cluster.resource_version();
    cluster.replace_spec(&blog(), spec("2")).unwrap();
    let uid = text(&cluster.create(&Key::object("team", "new"), json!({})).unwrap(), "/metadata/uid").to_owned();
    cluster.restore_etcd(&snapshot);
    assert_eq!((cluster.read(&blog()), cluster.resource_version()), (Some(before), at));
    let made = cluster.create(&Key::object("team", "new"), json!({})).unwrap();
    assert_ne!(text(&made, "/metadata/uid"), uid, "a uid never comes again");
}
