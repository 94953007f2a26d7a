//! A rolling update, and edits meanwhile.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::{Duration, Instant};

use control_plane::binaries::Helm;
use futures::TryStreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{WatchEvent, WatchParams};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::cluster::{Cluster, cluster};
use super::{chart, succeeds};
use test_support::journal::id_of;
use test_support::manifest::{edit, on};
use test_support::{LEASE, Scope};

/// Who held the Lease, one after the other, and for how long nobody did between them.
#[derive(Default)]
struct Reigns {
    holders: Vec<String>,
    gaps: Vec<Duration>,
}

/// Watches the Lease until it is told to stop: a holder that is there for a moment only is seen as well.
async fn watch_the_lease(leases: Api<Lease>, mut stop: oneshot::Receiver<()>) -> Reigns {
    let (mut reigns, mut free) = (Reigns::default(), None::<Instant>);
    let only = WatchParams::default().fields(&format!("metadata.name={LEASE}")).timeout(290);
    // From "0" on, what is there comes first.
    let mut events = pin!(leases.watch(&only, "0").await.unwrap());
    loop {
        let event = tokio::select! {
            event = events.try_next() => event.unwrap().expect("the watch of the Lease lasts as long as the test"),
            _ = &mut stop => return reigns,
        };
        let (WatchEvent::Added(lease) | WatchEvent::Modified(lease)) = event else { continue };
        let holder = lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
        if holder.is_empty() {
            free.get_or_insert_with(Instant::now);
        } else if reigns.holders.last() != Some(&holder) {
            reigns.gaps.extend(free.take().map(|since| since.elapsed()));
            reigns.holders.push(holder);
        }
    }
}

/// Edits an object once a second. Yields the values.
async fn edits(scope: &Scope<'_>) -> Vec<String> {
    let mut values = Vec::new();
    for n in 0..8 {
        let value = format!("value-{n}");
        scope.edit("edited", edit().value("edited", &value)).await;
        values.push(value);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    values
}

/// The versions of everything that nobody edits.
async fn versions(scope: &Scope<'_>) -> (Option<String>, Vec<Option<String>>) {
    (scope.tenant().await.metadata.resource_version, scope.versions(&["still-1", "still-2", "still-3"]).await)
}

async fn roll_over(cluster: &Cluster, values: &mut Value) {
    values["podAnnotations"] = json!({"rolled": "over"});
    cluster.upgrade(Helm::V4, values).await;
}

#[tokio::test]
async fn a_rolling_update_moves_no_status_writes_nothing_twice_and_is_led_all_but_a_moment() {
    let cluster = cluster().await;
    let mut values = cluster.values();
    succeeds(&cluster.install(Helm::V4, &chart(), &values).await);
    let scope = cluster.world.scope("rolling").await;
    for name in ["edited", "still-1", "still-2", "still-3"] {
        scope.connection(name, "oidc");
        scope.create(name, on(name).value(name, "one")).await;
    }
    scope.until_all_in_sync(&["edited", "still-1", "still-2", "still-3"]).await;
    scope.until_tenant("Ready", "True", "Ready").await;
    let before = versions(&scope).await;
    let id = id_of(&scope.auth0, "edited");
    let (stop, stopped) = oneshot::channel();
    let reigns = tokio::spawn(watch_the_lease(Api::namespaced(scope.client.clone(), "default"), stopped));

    let ((), edited) = tokio::join!(roll_over(&cluster, &mut values), edits(&scope));
    scope.until_in_sync("edited").await;
    // Whatever the new leader does at its start.
    tokio::time::sleep(Duration::from_secs(3)).await;
    stop.send(()).unwrap();
    let reigns = reigns.await.unwrap();

    assert_eq!(versions(&scope).await, before, "the status of something moved that nobody edited");
    let written: Vec<String> = scope.patches(&id).iter().map(|params| params["edited"]["value"].as_str().unwrap().to_owned()).collect();
    assert_eq!(written.iter().collect::<BTreeSet<_>>().len(), written.len(), "something was written twice: {written:?}");
    assert!(written.last() == edited.last(), "{written:?} {edited:?}");
    assert!(reigns.holders.len() >= 2, "{:?}", reigns.holders);
    assert_eq!(reigns.gaps.len(), reigns.holders.len() - 1, "each one gave it back: {:?}", reigns.holders);
    let gaps: Vec<f64> = reigns.gaps.iter().map(Duration::as_secs_f64).collect();
    super::rights::note(&format!("a rolling update: {} leaders; seconds without one: {gaps:.2?}", reigns.holders.len()));
    assert!(gaps.iter().sum::<f64>() < 10.0, "{gaps:?}");
}
