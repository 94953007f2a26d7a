//! Electors, and an API server that keeps one Lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::core::world::Kind;
use crate::tests::builders;

/// How long a write at a tenant may be under way.
const WRITE: Duration = Duration::from_secs(10);

/// An API server that keeps one Lease, of which each write has a number.
#[derive(Clone, Default)]
struct Server {
    lease: Arc<Mutex<Option<Value>>>,
    writes: Arc<Mutex<u64>>,
    /// What it answers instead, if not nought; above a thousand: never.
    trouble: Arc<AtomicU16>,
    /// Of how many writes the answer is lost.
    lost: Arc<AtomicU16>,
}

impl Server {
    fn client(&self) -> Client {
        let server = self.clone();
        let routes = axum::Router::new().fallback(move |request: Request| {
            let server = server.clone();
            async move { server.answer(request).await }
        });
        Client::new(routes, "default")
    }

    async fn answer(&self, request: Request) -> Response {
        let method = request.method().clone();
        let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
        match self.trouble.load(Ordering::Relaxed) {
            0 => {}
            1001.. => return std::future::pending().await,
            code => return status(code),
        }
        if method == Method::GET {
            return self.lease.lock().as_ref().map_or_else(|| status(404), said);
        }
        let body: Value = serde_json::from_slice(&body).unwrap();
        let mut lease = self.lease.lock();
        let version = |lease: &Value| lease["metadata"]["resourceVersion"].clone();
        match (&*lease, method == Method::POST) {
            (Some(_), true) => status(409),
            (None, false) => status(404),
            (Some(stored), false) if version(stored) != version(&body) => status(409),
            (Some(_), false) | (None, true) => {
                let stored = self.store(&mut lease, body);
                let lost = self.lost.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
                if lost { status(500) } else { said(&stored) }
            }
        }
    }

    fn store(&self, lease: &mut Option<Value>, mut body: Value) -> Value {
        let mut writes = self.writes.lock();
        *writes += 1;
        body["metadata"]["resourceVersion"] = writes.to_string().into();
        *lease = Some(body.clone());
        body
    }

    /// Somebody edits the Lease.
    fn edit(&self, edit: impl FnOnce(&mut Value)) {
        let mut lease = self.lease.lock();
        let mut body = lease.clone().unwrap();
        edit(&mut body);
        self.store(&mut lease, body);
    }

    fn spec(&self) -> Value {
        self.lease.lock().as_ref().unwrap()["spec"].clone()
    }

    fn holder(&self) -> String {
        self.spec()["holderIdentity"].as_str().unwrap_or_default().to_owned()
    }

    fn writes(&self) -> u64 {
        *self.writes.lock()
    }

    fn is_in_trouble(&self, trouble: u16) {
        self.trouble.store(trouble, Ordering::Relaxed);
    }
}

fn said(body: &Value) -> Response {
    Response::new(Body::from(body.to_string()))
}

fn status(code: u16) -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "a test's", "message": "a test"});
    let mut answer = said(&body);
    *answer.status_mut() = StatusCode::from_u16(code).unwrap();
    answer
}

/// A process that wants the Lease.
struct Process {
    situation: watch::Receiver<Situation>,
    end: oneshot::Sender<bool>,
    hub: Arc<Hub>,
    task: JoinHandle<()>,
}

impl Process {
    /// One that has listed nothing yet.
    fn start(server: &Server, instance: &str) -> Self {
        let hub = Arc::new(Hub::new().0);
        let start = clock::now();
        let wall = WallClock::new(move || {
            let passed = i64::try_from(clock::since(start).as_micros()).unwrap();
            Timestamp::from_microsecond(1_800_000_000_000_000 + passed).unwrap()
        });
        let (elector, situation) = Elector::new(server.client(), ("ns", Some(instance)), hub.clone(), wall, WRITE);
        let (end, told) = oneshot::channel();
        Self { situation, end, hub, task: tokio::spawn(elector.run(told)) }
    }

    /// One that could serve.
    fn ready(server: &Server, instance: &str) -> Self {
        let process = Self::start(server, instance);
        process.listed();
        process
    }

    fn listed(&self) {
        for kind in Kind::ALL {
            self.hub.listed(kind, *self.hub.doubts(kind).borrow());
        }
    }

    fn leads(&self) -> bool {
        matches!(&*self.situation.borrow(), Situation::Leads(_))
    }

    /// Waits until it leads. Yields after how many seconds, and how long it is to wait before its first write.
    async fn until_leads(&mut self) -> (u64, u64) {
        let since = clock::now();
        let leadership = loop {
            if let Situation::Leads(leadership) = &*self.situation.borrow_and_update() {
                break leadership.clone();
            }
            tokio::time::timeout(Duration::from_mins(5), self.situation.changed()).await.expect("it leads").unwrap();
        };
        (clock::since(since).as_secs(), leadership.settles_in().map_or(0, |left| (left + Duration::from_millis(500)).as_secs()))
    }

    /// Waits until it leads no more. Yields after how many seconds.
    async fn until_lost(&mut self) -> u64 {
        let since = clock::now();
        while self.leads() {
            tokio::time::timeout(Duration::from_mins(5), self.situation.changed()).await.expect("it leads no more").unwrap();
        }
        clock::since(since).as_secs()
    }
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_free_lease_is_taken_at_once_and_kept_and_handed_over_within_a_second() {
    let server = Server::default();
    let mut first = Process::ready(&server, "first");
    assert_eq!(first.until_leads().await, (0, 0), "nobody ever held it");
    let mut second = Process::ready(&server, "second");
    seconds(61).await;
    assert!(first.leads() && !second.leads());
    assert!(server.holder().starts_with("ns/first_"), "{}", server.holder());
    assert_eq!(server.writes(), 21, "one to take it, and one in three seconds");
    assert!(matches!(&*second.situation.borrow(), Situation::StandsBy(text) if text.contains("ns/first_")));

    first.end.send(true).unwrap();
    assert_eq!(second.until_leads().await, (1, 0), "given back");
    first.task.await.unwrap();
    assert_eq!(server.spec()["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn who_has_not_listed_everything_does_not_take_it_and_does_when_it_has() {
    let server = Server::default();
    let mut process = Process::start(&server, "first");
    seconds(30).await;
    assert_eq!(server.writes(), 0);
    process.listed();
    assert_eq!(process.until_leads().await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn after_a_leader_that_was_killed_the_next_waits_for_the_end_of_the_lease_and_then_for_that_of_its_writes() {
    let server = Server::default();
    let mut first = Process::ready(&server, "first");
    first.until_leads().await;
    let mut second = Process::ready(&server, "second");
    seconds(10).await;
    first.task.abort();
    let (waited, settles) = second.until_leads().await;
    assert!((17..=21).contains(&waited), "{waited}");
    assert_eq!(settles, WRITE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn who_took_over_without_hearing_of_it_waits_as_long_for_the_writes_of_the_one_before() {
    let server = Server::default();
    let mut first = Process::ready(&server, "first");
    first.until_leads().await;
    let mut second = Process::ready(&server, "second");
    seconds(10).await;
    first.task.abort();
    server.lost.store(1, Ordering::Relaxed);
    let (waited, settles) = second.until_leads().await;
    assert!((18..=22).contains(&waited) && settles == WRITE.as_secs() - 1, "{waited}, {settles}");
    // Nor does a renewal matter whose answer was lost.
    server.lost.store(1, Ordering::Relaxed);
    seconds(60).await;
    assert!(second.leads());
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_stops_before_another_begins_and_begins_again_when_it_can() {
    for trouble in [500, 403, 1001] {
        let server = Server::default();
        let mut first = Process::ready(&server, "first");
        first.until_leads().await;
        seconds(1).await;
        server.is_in_trouble(trouble);
        let lost = first.until_lost().await;
        assert!((13..=15).contains(&lost), "{trouble}: {lost}");
        let second = Process::ready(&server, "second");
        seconds(2).await;
        assert!(!second.leads(), "{trouble}");
        server.is_in_trouble(0);
        // It is still its own, and what it had under way when it stopped has to end.
        let (waited, settles) = first.until_leads().await;
        assert!(waited <= REFUSED_PAUSE.as_secs() && waited + settles <= WRITE.as_secs(), "{trouble}: {waited}, {settles}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_lost_a_lease_that_somebody_deleted_since_waits_for_the_end_of_its_own_writes() {
    let server = Server::default();
    let mut process = Process::ready(&server, "alone");
    process.until_leads().await;
    server.is_in_trouble(500);
    process.until_lost().await;
    *server.lease.lock() = None;
    server.is_in_trouble(0);
    let (waited, settles) = process.until_leads().await;
    assert!(waited <= 2 && waited + settles >= WRITE.as_secs() - 1, "{waited}, {settles}");
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_lease_where_an_operator_worked_waits_as_after_one_that_was_killed() {
    for (written, waits, settles) in [(false, 0, 0), (true, 20, WRITE.as_secs())] {
        let server = Server::default();
        let mut process = Process::start(&server, "new");
        let mut object = builders::object("object");
        object.status.observed_generation = Some(if written { 1 } else { -1 });
        process.hub.fold(|world| world.apply_object(object));
        process.listed();
        assert_eq!(process.until_leads().await, (waits, settles), "{written}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_lease_was_deleted_writes_it_again_before_a_new_process_takes_it() {
    let server = Server::default();
    let mut first = Process::ready(&server, "first");
    first.until_leads().await;
    seconds(1).await;
    server.is_in_trouble(500);
    seconds(5).await;
    *server.lease.lock() = None;
    server.is_in_trouble(0);
    let second = Process::start(&server, "second");
    let mut tenant = builders::tenant("default");
    tenant.status.observed_generation = Some(1);
    second.hub.fold(|world| world.apply_tenant(tenant));
    second.listed();
    seconds(60).await;
    assert!(first.leads() && !second.leads());
}

/// What somebody does to the Lease.
type Edit = fn(&mut Value);

#[tokio::test(start_paused = true)]
async fn an_edited_or_deleted_lease_is_written_anew_and_no_other_takes_it() {
    let edits: [(&str, Edit); 7] = [
        ("a label", |lease| lease["metadata"]["labels"] = json!({"a": "b"})),
        ("no holder", |lease| lease["spec"]["holderIdentity"] = "".into()),
        ("no dates", |lease| (lease["spec"]["renewTime"], lease["spec"]["acquireTime"]) = (Value::Null, Value::Null)),
        ("a length of nought", |lease| lease["spec"]["leaseDurationSeconds"] = 0.into()),
        ("a negative length", |lease| lease["spec"]["leaseDurationSeconds"] = (-7).into()),
        ("a length of years", |lease| lease["spec"]["leaseDurationSeconds"] = i64::MAX.into()),
        ("nothing", |lease| lease["spec"] = json!({})),
    ];
    let server = Server::default();
    let mut first = Process::ready(&server, "first");
    first.until_leads().await;
    let mut second = Process::ready(&server, "second");
    seconds(5).await;
    for (what, edit) in edits {
        server.edit(edit);
        seconds(30).await;
        assert!(first.leads() && !second.leads(), "{what}");
        assert!(server.holder().starts_with("ns/first_"), "{what}: {}", server.holder());
        assert_eq!(server.spec()["leaseDurationSeconds"], 20, "{what}");
    }
    assert_eq!(server.lease.lock().as_ref().unwrap()["metadata"]["labels"], json!({"a": "b"}), "what is not ours stays");
    *server.lease.lock() = None;
    seconds(30).await;
    assert!(first.leads() && !second.leads(), "deleted");
    assert!(server.holder().starts_with("ns/first_"));

    // Whoever is named in it has it: the leader sees it at its next renewal, and nobody else is asked.
    server.edit(|lease| lease["spec"]["holderIdentity"] = "ns/somebody".into());
    assert!(first.until_lost().await <= 3);
    assert!(second.until_leads().await.0 >= 17);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_may_not_be_used_is_said_and_nobody_leads() {
    let server = Server::default();
    server.is_in_trouble(403);
    let process = Process::ready(&server, "first");
    seconds(10).await;
    let text = format!("{:?}", *process.situation.borrow());
    assert!(text.starts_with("Refused"), "{text}");
    assert!(text.contains("a test") && text.contains("get, create and update on leases of coordination.k8s.io"), "{text}");
    server.is_in_trouble(0);
    seconds(6).await;
    assert!(process.leads(), "and it goes on when it may");
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_left_to_run_out_where_something_may_be_under_way() {
    for (may_give_back, under_way, given_back) in [(true, false, true), (false, false, false), (true, true, false)] {
        let server = Server::default();
        let mut process = Process::ready(&server, "first");
        process.until_leads().await;
        if let (true, Situation::Leads(leadership)) = (under_way, &*process.situation.borrow()) {
            leadership.may_still_land(clock::now() + WRITE);
        }
        process.end.send(may_give_back).unwrap();
        process.task.await.unwrap();
        assert_eq!(server.holder().is_empty(), given_back, "{may_give_back}, {under_way}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_not_given_back_before_what_was_under_way_when_it_was_taken_over_has_ended() {
    for (waits, given_back) in [(1, false), (WRITE.as_secs() - 1, false), (WRITE.as_secs() + 1, true)] {
        // From another that was killed, and from itself, which could not renew it for a while.
        let server = Server::default();
        let mut first = Process::ready(&server, "first");
        first.until_leads().await;
        first.task.abort();
        let mut second = Process::ready(&server, "second");
        second.until_leads().await;
        seconds(waits).await;
        second.end.send(true).unwrap();
        second.task.await.unwrap();
        assert_eq!(server.holder().is_empty(), given_back, "another, {waits}");

        let server = Server::default();
        let mut alone = Process::ready(&server, "alone");
        alone.until_leads().await;
        server.is_in_trouble(500);
        alone.until_lost().await;
        server.is_in_trouble(0);
        let (waited, _) = alone.until_leads().await;
        seconds(waits.saturating_sub(waited)).await;
        alone.end.send(true).unwrap();
        alone.task.await.unwrap();
        assert_eq!(server.holder().is_empty(), given_back, "itself, {waits}");
    }
}

#[test]
fn two_dates_are_never_the_same_and_are_written_as_a_lease_has_them() {
    let hub = Arc::new(Hub::new().0);
    let wall = WallClock::new(|| Timestamp::from_second(1_800_000_000).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    let (mut elector, _) = Elector::new(Server::default().client(), ("ns", None), hub, wall, WRITE);
    assert_eq!([elector.date(), elector.date()], ["2027-01-15T08:00:00.000000Z", "2027-01-15T08:00:00.000001Z"]);
}
