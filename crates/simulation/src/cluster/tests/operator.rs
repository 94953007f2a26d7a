//! The operator itself against the simulated API server, with a tenant that can't be reached.

use std::collections::BTreeSet;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use upstream_params_operator::api::upstream_params::UpstreamParamsStatus;
use upstream_params_operator::internals::{
    self, AllowedDomains, Executing, HttpClient, Lost, RequestTimes, Settings, Transport, TransportOptions, Unreached, WallClock,
};

use super::*;
use crate::cluster::{Break, Kind, Who};

struct Nobody;

impl HttpClient for Nobody {
    fn execute(&self, _: reqwest::Request, _: usize) -> Executing<'_> {
        Box::pin(async { Err(Lost::Unreached(Unreached::Connect)) })
    }
}

fn started(cluster: &Cluster, client: Client) -> (JoinHandle<Result<(), internals::Error>>, CancellationToken) {
    let wall = {
        let cluster = cluster.clone();
        WallClock::new(move || cluster.now())
    };
    let stop = CancellationToken::new();
    let settings = Settings {
        client,
        requests: RequestTimes::default(),
        namespace: "operator".to_owned(),
        watched: BTreeSet::new(),
        allowed: AllowedDomains::default(),
        transport: Transport::over(Arc::new(Nobody), &TransportOptions::default(), wall.clone()),
        instance: None,
        wall,
        http: None,
    };
    (tokio::spawn(internals::run(settings, stop.clone())), stop)
}

fn declared(cluster: &Cluster) {
    cluster.create_namespace("operator", &[]).unwrap();
    cluster.put_secret(&Key::secret("operator", "login"), &[("clientId", "abc"), ("clientSecret", "def")]).unwrap();
    let access = json!([{ "namespaceSelector": {}, "connections": ["*"] }]);
    let spec = json!({ "domain": "t.eu.auth0.com", "credentials": { "secretRef": { "name": "login" } }, "access": access });
    cluster.create(&Key::tenant("default"), json!({ "spec": spec })).unwrap();
}

/// What the conditions of an object say.
fn conditions(cluster: &Cluster, key: &Key) -> Vec<String> {
    let object: UpstreamParams = cluster.read_as(key).unwrap();
    let status: UpstreamParamsStatus = object.status.unwrap_or_default();
    status.conditions.iter().map(|one| format!("{}={} {}", one.type_, one.status, one.reason)).collect()
}

fn observed(cluster: &Cluster, key: &Key) -> i64 {
    cluster.read(key).unwrap()["status"]["observedGeneration"].as_i64().unwrap()
}

/// A life of the operator with all sorts of trouble. Yields everything that was asked.
async fn history() -> Vec<String> {
    fastrand::seed(7);
    let (cluster, client, network) = world();
    cluster.keep_journal(true);
    declared(&cluster);
    let (operator, stop) = started(&cluster, client);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(observed(&cluster, &blog()), 1);
    assert!(!conditions(&cluster, &blog()).is_empty());

    cluster.set_lag(ONE, Kind::Object, Duration::from_secs(3));
    network.fates.lock().extend([Ending::AnswerLost, Ending::Refused(500), Ending::Answered].map(ended));
    cluster.replace_spec(&blog(), spec("2")).unwrap();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(observed(&cluster, &blog()), 2);

    cluster.break_watches(ONE, Break::Gone);
    cluster.erase_status(&blog()).unwrap();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(observed(&cluster, &blog()), 2);

    cluster.break_watches(ONE, Break::Silence);
    cluster.replace_spec(&blog(), spec("3")).unwrap();
    tokio::time::sleep(Duration::from_mins(6)).await;
    assert_eq!(observed(&cluster, &blog()), 3);

    cluster.stop();
    cluster.replace_spec(&blog(), spec("4")).unwrap();
    tokio::time::sleep(Duration::from_mins(2)).await;
    cluster.start();
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(observed(&cluster, &blog()), 4);

    let snapshot = cluster.snapshot();
    cluster.replace_spec(&blog(), spec("5")).unwrap();
    tokio::time::sleep(Duration::from_mins(1)).await;
    cluster.stop();
    cluster.restore_etcd(&snapshot);
    tokio::time::sleep(Duration::from_mins(2)).await;
    cluster.start();
    cluster.replace_spec(&blog(), spec("6")).unwrap();
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!((observed(&cluster, &blog()), text(&cluster.read(&blog()).unwrap(), "/spec/params/blog/value")), (5, "6"));

    stop.cancel();
    operator.await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(cluster.watches(ONE), 0, "a process that ended has no watch left");
    let journal = cluster.take_journal();
    assert!(journal.iter().any(|entry| entry.who == Who::Process(ONE)));
    journal.iter().map(|entry| format!("{entry:?}")).collect()
}

#[test]
fn a_history_is_the_same_each_time() {
    let once = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(history())
    };
    let (first, second) = (once(), once());
    for (one, other) in first.iter().zip(&second) {
        assert_eq!(one, other);
    }
    assert_eq!(first.len(), second.len());
}
