//! Watches, most of them as kube's own watcher has them.

use std::pin::Pin;

use futures::{FutureExt, Stream, StreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{WatchEvent, WatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{Config, Error, Event, watcher};

use super::*;
use crate::cluster::{Break, Kind};

type Events = Pin<Box<dyn Stream<Item = Result<Event<DynamicObject>, Error>> + Send>>;

fn watched(client: &Client) -> Events {
    watcher(objects(client), Config::default().page_size(2)).boxed()
}

/// What kube's watcher says, in short.
fn short(event: Result<Event<DynamicObject>, Error>) -> String {
    let name = |object: &DynamicObject| {
        let value = object.data.pointer("/spec/params/blog/value").and_then(Value::as_str).unwrap_or_default();
        format!("{} {value}", object.metadata.name.as_deref().unwrap_or_default())
    };
    match event {
        Ok(Event::Init) => "init".to_owned(),
        Ok(Event::InitApply(object)) => format!("listed {}", name(&object)),
        Ok(Event::InitDone) => "done".to_owned(),
        Ok(Event::Apply(object)) => format!("applied {}", name(&object)),
        Ok(Event::Delete(object)) => format!("deleted {}", name(&object)),
        Err(Error::WatchError(status)) => format!("error {}", status.code),
        Err(Error::WatchFailed(_)) => "failed".to_owned(),
        Err(Error::WatchStartFailed(_)) => "start failed".to_owned(),
        Err(Error::InitialListFailed(kube::Error::Api(status))) => format!("list failed {}", status.code),
        Err(other) => format!("{other:?}"),
    }
}

async fn next(events: &mut Events) -> String {
    short(tokio::time::timeout(Duration::from_mins(20), events.next()).await.expect("no event for long").unwrap())
}

/// What comes within that time.
async fn within(events: &mut Events, time: Duration) -> Vec<String> {
    let mut all = Vec::new();
    let end = tokio::time::Instant::now() + time;
    while let Ok(event) = tokio::time::timeout_at(end, events.next()).await {
        all.push(short(event.unwrap()));
        // The watcher alone tries again without a pause.
        assert!(all.len() < 1000, "{:?}", &all[990..]);
    }
    all
}

async fn listed(events: &mut Events) {
    while next(events).await != "done" {}
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_watcher_lists_in_pages_and_follows() {
    let (cluster, client, network) = world();
    for name in ["a", "c"] {
        cluster.create(&Key::object("team", name), json!({ "spec": spec("1") })).unwrap();
    }
    let mut events = watched(&client);
    assert_eq!(within(&mut events, SECOND).await, ["init", "listed a 1", "listed blog 1", "listed c 1", "done"]);
    cluster.replace_spec(&blog(), spec("2")).unwrap();
    cluster.create(&Key::object("team", "d"), json!({ "spec": spec("1") })).unwrap();
    cluster.create_namespace("other", &[]).unwrap();
    cluster.create(&Key::object("other", "e"), json!({ "spec": spec("1") })).unwrap();
    cluster.delete(&Key::object("team", "a")).unwrap();
    assert_eq!(within(&mut events, SECOND).await, ["applied blog 2", "applied d 1", "deleted a 1"]);
    let requests = network.seen.lock().iter().filter(|line| line.starts_with("GET")).count();
    assert_eq!(requests, 3, "two pages and a watch");
}

#[tokio::test(start_paused = true)]
async fn a_change_between_list_and_watch_is_not_missed() {
    let (cluster, client, _) = world();
    let mut events = watched(&client);
    listed(&mut events).await;
    // The watcher has not asked for its watch yet.
    assert_eq!(cluster.watches(ONE), 0);
    cluster.replace_spec(&blog(), spec("2")).unwrap();
    cluster.delete(&blog()).unwrap();
    assert_eq!(within(&mut events, SECOND).await, ["applied blog 2", "deleted blog 2"]);
}

#[tokio::test(start_paused = true)]
async fn a_lag_delays_a_kind_and_keeps_its_order() {
    let (cluster, client, _) = world();
    let mut events = watched(&client);
    listed(&mut events).await;
    assert!(within(&mut events, SECOND).await.is_empty());
    cluster.set_lag(ONE, Kind::Object, Duration::from_secs(10));
    cluster.replace_spec(&blog(), spec("2")).unwrap();
    assert!(within(&mut events, Duration::from_secs(9)).await.is_empty());
    cluster.replace_spec(&blog(), spec("3")).unwrap();
    let begin = tokio::time::Instant::now();
    assert_eq!(next(&mut events).await, "applied blog 2");
    assert_eq!(begin.elapsed(), SECOND);
    assert!(within(&mut events, Duration::from_secs(8)).await.is_empty());
    cluster.set_lag(ONE, Kind::Object, Duration::ZERO);
    assert_eq!(within(&mut events, Duration::from_millis(1)).await, ["applied blog 3"]);

    let other = cluster.client(ProcessId(2), Arc::new(Told::default()));
    let mut others = watched(&other);
    listed(&mut others).await;
    cluster.set_lag(ONE, Kind::Object, Duration::from_secs(10));
    cluster.replace_spec(&blog(), spec("4")).unwrap();
    assert_eq!(within(&mut others, SECOND).await, ["applied blog 4"], "another process is not late");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_goes_on_where_it_was() {
    let (cluster, client, _) = world();
    let mut events = watched(&client);
    listed(&mut events).await;
    within(&mut events, SECOND).await;
    for how in [Break::Eof, Break::Error] {
        cluster.break_watches(ONE, how);
        cluster.replace_spec(&blog(), spec(&format!("{how:?}"))).unwrap();
        let mut seen = within(&mut events, SECOND).await;
        if how == Break::Error {
            assert_eq!(seen.remove(0), "failed");
        }
        assert_eq!(seen, [format!("applied blog {how:?}")]);
        assert_eq!(cluster.watches(ONE), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_falls_silent_is_given_up_after_its_time() {
    let (cluster, client, _) = world();
    let mut events = watched(&client);
    listed(&mut events).await;
    within(&mut events, SECOND).await;
    cluster.break_watch(ONE, Kind::Secret, Break::Silence);
    cluster.break_watch(ONE, Kind::Object, Break::Silence);
    let begin = tokio::time::Instant::now();
    cluster.replace_spec(&blog(), spec("2")).unwrap();
    assert_eq!(next(&mut events).await, "applied blog 2");
    assert!((290..=300).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_told_gone_or_begins_too_early_lists_anew() {
    let (cluster, client, _) = world();
    let mut events = watched(&client);
    listed(&mut events).await;
    within(&mut events, SECOND).await;
    cluster.break_watches(ONE, Break::Gone);
    assert_eq!(within(&mut events, SECOND).await, ["error 410", "init", "listed blog 1", "done"]);

    // A running watch goes on although etcd was compacted; one that has to begin again can't.
    cluster.replace_spec(&blog(), spec("2")).unwrap();
    assert_eq!(within(&mut events, SECOND).await, ["applied blog 2"]);
    cluster.create_namespace("other", &[]).unwrap();
    cluster.compact();
    cluster.replace_spec(&blog(), spec("3")).unwrap();
    assert_eq!(within(&mut events, SECOND).await, ["applied blog 3"]);
    cluster.create_namespace("another", &[]).unwrap();
    cluster.compact();
    cluster.break_watches(ONE, Break::Eof);
    assert_eq!(within(&mut events, SECOND).await, ["error 410", "init", "listed blog 3", "done"]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_api_server_ends_watches_from_before_it() {
    let (cluster, client, _) = world();
    let mut events = watched(&client);
    listed(&mut events).await;
    within(&mut events, SECOND).await;
    cluster.stop();
    assert_eq!([next(&mut events).await, next(&mut events).await], ["failed", "start failed"]);
    cluster.create_namespace("other", &[]).unwrap();
    cluster.start();
    assert_eq!(within(&mut events, SECOND).await, ["error 410", "init", "listed blog 1", "done"]);
}

#[tokio::test(start_paused = true)]
async fn a_page_whose_moment_is_forgotten_begins_the_list_anew() {
    let (cluster, client, network) = world();
    for name in ["a", "c"] {
        cluster.create(&Key::object("team", name), json!({ "spec": spec("1") })).unwrap();
    }
    let mut events = watched(&client);
    assert_eq!([next(&mut events).await, next(&mut events).await], ["init", "listed a 1"]);
    cluster.replace_spec(&blog(), spec("2")).unwrap();
    cluster.compact();
    assert_eq!([next(&mut events).await, next(&mut events).await], ["listed blog 1", "list failed 410"]);
    assert_eq!(within(&mut events, SECOND).await, ["init", "listed a 1", "listed blog 2", "listed c 1", "done"]);
    assert!(network.seen.lock().iter().any(|line| line == "410"));
}

#[tokio::test(start_paused = true)]
async fn bookmarks_move_a_watch_on_that_has_nothing_to_say() {
    let (cluster, client, network) = world();
    let begin = cluster.resource_version();
    let mut stream = objects(&client).watch(&WatchParams::default().timeout(150), &begin.to_string()).await.unwrap().boxed();
    let started = tokio::time::Instant::now();
    let mut bookmarks = Vec::new();
    cluster.create_namespace("other", &[]).unwrap();
    while let Some(event) = stream.next().await {
        let WatchEvent::Bookmark(bookmark) = event.unwrap() else { panic!("nothing else happened") };
        bookmarks.push((started.elapsed().as_secs(), bookmark.metadata.resource_version, bookmark.types.kind));
    }
    let (now, kind) = (cluster.resource_version().to_string(), "UpstreamParams".to_owned());
    assert_eq!(bookmarks, [60, 120, 148].map(|at| (at, now.clone(), kind.clone())));
    assert_eq!(started.elapsed().as_secs(), 150, "it ends when its time is over");

    // So the watcher goes on from there, and not from its last event.
    let mut events = watched(&client);
    listed(&mut events).await;
    within(&mut events, SECOND).await;
    cluster.create_namespace("more", &[]).unwrap();
    within(&mut events, Duration::from_mins(2)).await;
    cluster.compact();
    cluster.break_watches(ONE, Break::Eof);
    assert!(within(&mut events, SECOND).await.is_empty());
    let watches = network.seen.lock().iter().rfind(|line| line.contains("watch=true")).cloned().unwrap();
    assert!(watches.ends_with(&format!("resourceVersion={}", cluster.resource_version())), "{watches}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_a_version_that_is_not_there_yet_is_silent_until_it_is() {
    let (cluster, client, _) = world();
    let snapshot = cluster.snapshot();
    cluster.replace_spec(&blog(), spec("2")).unwrap();
    cluster.replace_spec(&blog(), spec("3")).unwrap();
    let mut events = watched(&client);
    listed(&mut events).await;
    within(&mut events, SECOND).await;
    cluster.restore_etcd(&snapshot);
    cluster.replace_spec(&blog(), spec("missed")).unwrap();
    assert_eq!(within(&mut events, Duration::from_mins(4)).await, ["failed"]);
    cluster.replace_spec(&blog(), spec("missed too")).unwrap();
    cluster.replace_spec(&blog(), spec("seen")).unwrap();
    assert_eq!(within(&mut events, SECOND).await, ["applied blog seen"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_without_a_version_begins_with_what_is_there() {
    let (cluster, client, _) = world();
    let mut stream = objects(&client).watch(&WatchParams::default(), "0").await.unwrap().boxed();
    assert!(matches!(stream.next().await, Some(Ok(WatchEvent::Added(object))) if object.metadata.name.as_deref() == Some("blog")));
    cluster.delete(&blog()).unwrap();
    let deleted = stream.next().await;
    let Some(Ok(WatchEvent::Deleted(object))) = deleted else { panic!("{deleted:?}") };
    assert_eq!(object.metadata.resource_version, Some(cluster.resource_version().to_string()), "the version of the deletion");
    assert!(stream.next().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_deletion_shows_the_finalizer_that_was_the_last() {
    let (cluster, client, _) = world();
    cluster.add_finalizer(&blog(), "a.b/c").unwrap();
    let mut stream = objects(&client).watch(&WatchParams::default(), &cluster.resource_version().to_string()).await.unwrap().boxed();
    cluster.delete(&blog()).unwrap();
    cluster.remove_finalizer(&blog(), "a.b/c").unwrap();
    assert!(matches!(stream.next().await, Some(Ok(WatchEvent::Modified(_)))));
    let deleted = stream.next().await;
    let Some(Ok(WatchEvent::Deleted(object))) = deleted else { panic!("{deleted:?}") };
    assert_eq!(object.metadata.finalizers, Some(vec!["a.b/c".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn namespaces_are_watched_by_their_metadata() {
    let (cluster, client, network) = world();
    let api = Api::<PartialObjectMeta<Namespace>>::all(client);
    let mut events = watcher(api, Config::default().page_size(10)).boxed();
    let mut next = async || match events.next().await.unwrap().unwrap() {
        Event::InitApply(namespace) | Event::Apply(namespace) => {
            (namespace.metadata.name.unwrap(), namespace.metadata.labels.unwrap().len())
        }
        Event::Delete(namespace) => (namespace.metadata.name.unwrap(), 0),
        Event::Init | Event::InitDone => (String::new(), 0),
    };
    let first = [next().await, next().await, next().await, next().await].map(|(name, _)| name);
    assert_eq!(first, ["", "default", "team", ""]);
    cluster.label(&Key::namespace("team"), "a", Some("b")).unwrap();
    assert_eq!(next().await, ("team".to_owned(), 2));
    cluster.delete(&blog()).unwrap();
    cluster.delete(&Key::namespace("team")).unwrap();
    assert_eq!([next().await, next().await], [("team".to_owned(), 2), ("team".to_owned(), 0)]);
    drop(network);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_kind_keeps_its_last_events_and_a_busy_one_those_of_a_minute() {
    let (cluster, client, _) = world();
    let begin = cluster.resource_version().to_string();
    let answer = || async {
        let mut stream = objects(&client).watch(&WatchParams::default(), &begin).await.unwrap().boxed();
        match stream.next().await.unwrap().unwrap() {
            WatchEvent::Error(status) => status.code,
            WatchEvent::Added(_) | WatchEvent::Modified(_) | WatchEvent::Deleted(_) | WatchEvent::Bookmark(_) => 200,
        }
    };
    for n in 0..150 {
        cluster.replace_spec(&blog(), spec(&n.to_string())).unwrap();
    }
    assert_eq!(answer().await, 200, "so many in so short a time are kept");
    tokio::time::advance(Duration::from_secs(76)).await;
    cluster.replace_spec(&blog(), spec("last")).unwrap();
    assert_eq!(answer().await, 410);
}
