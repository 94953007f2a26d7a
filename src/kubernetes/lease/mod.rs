//! The Lease: of all operators in a cluster one leads, and only that one writes.
//!
//! There is one for all installations, in a namespace that always exists, whatever they are started with: what two would
//! fight over (statuses, tenant objects, objects without a tenant) is the cluster's. After client-go's own way: a `PUT` with the
//! version that was read, renewed by whoever leads, looked at by all others.
//!
//! Guarantees: a request about it ends within [`lease::REQUEST`], whatever the client does inside, and what follows from it
//! counts from before it was sent; the Lease is taken by who has listed everything, and so can serve, and by nobody else; it is
//! given back only while no write of ours can be under way.
//!
//! Assumes: the identity is this process's alone.

mod leadership;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use self::leadership::Seat;
use super::report::FIELD_MANAGER;
use crate::clock::{self, Stopwatch, WallClock};
use crate::core::lease::{self, Before, Candidate, Claim, Record, Standing};
use crate::core::world::{Kind, World};
use crate::kubernetes::hub::Hub;
pub(crate) use leadership::Leadership;

/// Its name.
pub(super) const NAME: &str = "upstream-params-operator";

/// Where it is: in every cluster, and so the same one for every installation.
pub(super) const NAMESPACE: &str = "default";

/// The pause before the Lease is looked at again where the API server refuses that.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// How much of an API server's message is said, in characters.
const LONGEST_MESSAGE: usize = 400;

/// How this process stands.
#[derive(Clone, Debug)]
pub(crate) enum Situation {
    /// Nothing is known of the Lease yet.
    Unknown,
    /// It can't take over: the text says why, and what to do.
    Refused(String),
    /// It can take over; the text says for whom it stands by.
    StandsBy(String),
    /// It leads.
    Leads(Leadership),
}

/// Wants the Lease, keeps it, and gives it back.
pub(crate) struct Elector {
    api: Api<DynamicObject>,
    candidate: Candidate,
    /// The operator's own namespace.
    namespace: String,
    hub: Arc<Hub>,
    seat: Arc<Seat>,
    wall: WallClock,
    /// How long a write at a tenant may be under way.
    write: Duration,
    situation: watch::Sender<Situation>,
    /// When it led last.
    led_until: Option<Instant>,
    /// From when a write of whoever led before must have ended, as of the last time that it asked for the Lease.
    settled: Option<Instant>,
    /// The date of the last renewal.
    renewed: Option<Timestamp>,
    /// What was said of who leads instead, and of what is refused.
    said: Option<String>,
    /// The version of the Lease that was seen last.
    version: AtomicU64,
}

/// The Lease as this process wrote it.
struct Owned {
    object: DynamicObject,
    record: Record,
}

/// Why a request about the Lease came to nothing.
#[derive(Debug)]
enum Trouble {
    /// Somebody wrote it meanwhile.
    Conflict,
    /// There is none.
    Absent,
    /// The API server does not permit it, or does not know it.
    Refused(String),
    /// There was no answer to go by: which is said elsewhere.
    NoAnswer,
}

impl Elector {
    /// One that has not asked for anything yet, and how this process stands. `write` is how long a write at a tenant may be
    /// under way.
    pub(crate) fn new(
        client: Client,
        (namespace, instance): (&str, Option<&str>),
        hub: Arc<Hub>,
        wall: WallClock,
        write: Duration,
    ) -> (Self, watch::Receiver<Situation>) {
        let (situation, receiver) = watch::channel(Situation::Unknown);
        let elector = Self {
            api: Api::namespaced_with(client, NAMESPACE, &ApiResource::erase::<Lease>(&())),
            candidate: Candidate::new(identity(namespace, instance, &wall)),
            namespace: namespace.to_owned(),
            hub,
            seat: Seat::new(wall.clone()),
            wall,
            write,
            situation,
            led_until: None,
            settled: None,
            renewed: None,
            said: None,
            version: AtomicU64::default(),
        };
        (elector, receiver)
    }

    /// Runs until it is told to end, and whether the Lease may be given back then.
    pub(crate) async fn run(mut self, mut end: oneshot::Receiver<bool>) {
        while let Some(mut owned) = self.stand_by(&mut end).await {
            match self.lead(&mut owned, &mut end).await {
                Left::Lost(why) => self.step_down(&why),
                Left::Asked(may_give_back) => return self.leave(owned, may_give_back).await,
            }
        }
    }

    // ---- standing by ----

    /// Looks at the Lease until it is taken; nothing where it is told to end before.
    async fn stand_by(&mut self, end: &mut oneshot::Receiver<bool>) -> Option<Owned> {
        loop {
            let could_serve = self.hub.is_complete();
            let pause = match self.look(could_serve).await {
                Ok(Some(owned)) => return Some(owned),
                Ok(None) | Err(Trouble::Conflict | Trouble::Absent | Trouble::NoAnswer) => lease::LOOK,
                Err(Trouble::Refused(why)) => {
                    self.is_refused(&why);
                    REFUSED_PAUSE
                }
            };
            let hub = self.hub.clone();
            tokio::select! {
                biased;
                _ = &mut *end => return None,
                () = hub.completed(), if !could_serve => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Reads the Lease, and takes it if that is to be.
    async fn look(&mut self, could_serve: bool) -> Result<Option<Owned>, Trouble> {
        let found = self.find(lease::REQUEST).await?;
        let record = found.as_ref().map(record);
        let worked = self.hub.read(World::shows_work);
        match self.candidate.sees(record.as_ref(), worked, clock::now()) {
            Standing::Held(left) => {
                self.stands_by(record.as_ref(), left);
                Ok(None)
            }
            Standing::Free { .. } if !could_serve => Ok(None),
            Standing::Free { transitions, before } => {
                let (since_renewal, now) = (self.seat.stopwatch(), self.date());
                let acquired = match (&record, before) {
                    (Some(Record { acquired: Some(acquired), .. }), Before::Ourselves) => acquired.clone(),
                    _ => now.clone(),
                };
                let record = Record::held(self.candidate.identity(), acquired, now, transitions);
                let settled = self.settled(before, clock::now());
                self.settled = Some(settled);
                let object = self.put(found, &record, lease::REQUEST).await?;
                if before == Before::RanOut {
                    // Nobody renewed it for a while, so nobody would have seen its versions go back.
                    for kind in Kind::ALL {
                        self.hub.doubt(kind);
                    }
                }
                self.take(since_renewal, settled);
                Ok(Some(Owned { object, record }))
            }
        }
    }

    /// From when a write of whoever led before must have ended, where the Lease is taken now.
    fn settled(&self, before: Before, now: Instant) -> Instant {
        // What it was at itself was ended with its leadership, also where somebody deleted the Lease since, so that nobody had it.
        let ours = self.led_until.map_or(now, |then| now.max(then + self.write));
        match before {
            Before::Settled => ours,
            Before::RanOut => now + self.write,
            // If the answer that it leads was lost, what it took over from counts.
            Before::Ourselves => self.settled.map_or(ours, |settled| ours.max(settled)),
        }
    }

    fn take(&mut self, since_renewal: Stopwatch, settled: Instant) {
        self.candidate.holds_it();
        self.said = None;
        let (identity, wait) = (self.candidate.identity(), settled.saturating_duration_since(clock::now()).as_secs());
        if wait == 0 {
            tracing::info!(lease = NAME, identity, "leads");
        } else {
            tracing::info!(
                lease = NAME,
                identity,
                "leads; writes nothing to Auth0 for {wait} s, because a write of the last leader may still be under way"
            );
        }
        let leadership = self.seat.take(since_renewal, settled);
        self.situation.send_replace(Situation::Leads(leadership));
    }

    /// Says who leads instead, once.
    fn stands_by(&mut self, record: Option<&Record>, left: Duration) {
        let holder = record.and_then(|record| record.holder.clone()).filter(|holder| !holder.is_empty());
        let since = record.and_then(|record| record.acquired.clone()).unwrap_or_default();
        let Some(holder) = holder else {
            let text = if record.is_some() {
                format!(
                    "the Lease {NAME} in the namespace {NAMESPACE} has no holder, but its last holder may still write; waiting until it \
                     expires"
                )
            } else {
                format!(
                    "there is no Lease {NAME} in the namespace {NAMESPACE}, but an operator worked here before, and may still write; \
                     waiting as long as for a Lease that expires"
                )
            };
            if self.says(&text) {
                tracing::info!(seconds = left.as_secs(), "stands by and writes nothing: {text}");
            }
            self.situation.send_replace(Situation::StandsBy(text));
            return;
        };
        let elsewhere = holder.split_once('/').map(|(namespace, _)| namespace).filter(|namespace| *namespace != self.namespace);
        let text = match elsewhere {
            Some(namespace) => format!(
                "the operator {holder} in the namespace {namespace} leads, and only one operator leads in a cluster; stop one of \
                 the two, unless this one is a standby"
            ),
            None => format!("{holder} leads; this one takes over when it stops"),
        };
        if self.says(&format!("{holder} {since}")) {
            if elsewhere.is_some() {
                tracing::warn!(holder, since, "stands by and writes nothing: {text}");
            } else {
                tracing::info!(holder, since, "stands by and writes nothing: {text}");
            }
        }
        self.situation.send_replace(Situation::StandsBy(text));
    }

    /// Says why it can't take over, once.
    fn is_refused(&mut self, why: &str) {
        let text = format!(
            "the Lease {NAME} in the namespace {NAMESPACE} can't be used: {why}; the operator needs get, create and update on \
             leases of coordination.k8s.io there, and writes nothing without them"
        );
        if self.says(&text) {
            tracing::warn!("{text}");
        }
        self.situation.send_replace(Situation::Refused(text));
    }

    /// Whether this is news.
    fn says(&mut self, text: &str) -> bool {
        let news = self.said.as_deref() != Some(text);
        self.said = Some(text.to_owned());
        news
    }

    // ---- leading ----

    /// Renews the Lease until that can't be done any more, or until it is told to end.
    async fn lead(&mut self, owned: &mut Owned, end: &mut oneshot::Receiver<bool>) -> Left {
        let mut pause = lease::RENEWAL;
        loop {
            tokio::select! {
                biased;
                told = &mut *end => return Left::Asked(told.unwrap_or_default()),
                () = tokio::time::sleep(pause) => {}
            }
            let left = lease::GIVE_UP.saturating_sub(self.seat.since_renewal().unwrap_or(lease::GIVE_UP));
            if left.is_zero() {
                return Left::Lost("it could not be renewed in time, or the process was asleep".to_owned());
            }
            let renewed = self.renew(owned, left.min(lease::REQUEST)).await;
            if !self.hub.is_complete() {
                return Left::Lost("the store of the cluster was set back, and all objects have to be listed anew first".to_owned());
            }
            pause = match renewed {
                Ok(asked) => lease::RENEWAL.saturating_sub(clock::since(asked)),
                Err(Renewal::Lost(why)) => return Left::Lost(why),
                // No later than it has to give up.
                Err(Renewal::Failed) => lease::LOOK.min(left),
            };
        }
    }

    /// Renews the Lease. Yields when that was asked for.
    async fn renew(&mut self, owned: &mut Owned, within: Duration) -> Result<Instant, Renewal> {
        let (asked_at, since_renewal) = (clock::now(), self.seat.stopwatch());
        let record = Record { renewed: Some(self.date()), ..owned.record.clone() };
        let trouble = match self.put(Some(owned.object.clone()), &record, within).await {
            Ok(object) => {
                *owned = Owned { object, record };
                self.seat.renewed(since_renewal);
                self.said = None;
                return Ok(asked_at);
            }
            Err(trouble) => trouble,
        };
        match trouble {
            // It is written anew, at once: nobody may think that it is free.
            Trouble::Conflict | Trouble::Absent => self.win_back(owned, within).await.map(|()| asked_at),
            Trouble::Refused(why) => {
                if self.says(&why) {
                    tracing::warn!("the Lease {NAME} in the namespace {NAMESPACE} can't be renewed: {why}");
                }
                Err(Renewal::Failed)
            }
            Trouble::NoAnswer => Err(Renewal::Failed),
        }
    }

    /// Somebody edited or deleted the Lease: unless it is theirs now, it is written anew.
    async fn win_back(&mut self, owned: &mut Owned, within: Duration) -> Result<(), Renewal> {
        let found = self.find(within).await.map_err(|_| Renewal::Failed)?;
        let transitions = owned.record.transitions.unwrap_or_default();
        let says = found.as_ref().map(record);
        if lease::claim(self.candidate.identity(), transitions, says.as_ref()) == Claim::Lost {
            let holder = says.and_then(|record| record.holder).unwrap_or_default();
            return Err(Renewal::Lost(format!("{holder:?} has it now")));
        }
        let since_renewal = self.seat.stopwatch();
        let record = Record { renewed: Some(self.date()), ..owned.record.clone() };
        let object = self.put(found, &record, within).await.map_err(|_| Renewal::Failed)?;
        // Not where it was a renewal of ours whose answer was lost.
        if says.is_none_or(|says| Record { renewed: None, ..says } != Record { renewed: None, ..record.clone() }) {
            tracing::info!("somebody edited or deleted the Lease {NAME} in the namespace {NAMESPACE}; it was written again");
        }
        *owned = Owned { object, record };
        self.seat.renewed(since_renewal);
        Ok(())
    }

    fn step_down(&mut self, why: &str) {
        self.seat.leave();
        self.led_until = Some(clock::now());
        tracing::warn!(lease = NAME, why, "leads no more: its work is stopped, and it stands by and writes nothing");
        self.situation.send_replace(Situation::StandsBy(format!("this operator led, and lost the Lease: {why}")));
    }

    /// Gives the Lease back, so that the next one need not wait until it has run out.
    async fn leave(self, owned: Owned, may_give_back: bool) {
        // Also what whoever led before had under way, itself in an earlier term included.
        let settled = self.seat.is_settled() && self.settled.is_none_or(|settled| settled <= clock::now());
        let holds = self.seat.since_renewal().is_some_and(|since| since < lease::GIVE_UP);
        self.seat.leave();
        if !may_give_back || !settled || !holds {
            tracing::info!(
                "the Lease {NAME} in the namespace {NAMESPACE} is not given back, because a write may still be under way; it expires \
                 in {} s",
                lease::LENGTH.as_secs()
            );
            return;
        }
        let mut elector = self;
        let record = owned.record.given_back(elector.date());
        match elector.put(Some(owned.object), &record, lease::REQUEST).await {
            Ok(_) => tracing::info!(lease = NAME, "the Lease is given back"),
            Err(trouble) => tracing::info!(?trouble, "the Lease {NAME} could not be given back; it expires by itself"),
        }
    }

    // ---- requests ----

    async fn find(&self, within: Duration) -> Result<Option<DynamicObject>, Trouble> {
        match asked(within, self.api.get(NAME)).await {
            Err(Trouble::Absent) => Ok(None),
            found => found.inspect(|lease| self.note_version(lease)).map(Some),
        }
    }

    /// Notes the version of the Lease. An older one than before means that the store of the cluster was set back: a watch that
    /// goes on from where it was shows nothing before its version comes again, and other objects than before may have the versions that
    /// are known. So nothing counts before all is listed anew.
    fn note_version(&self, lease: &DynamicObject) {
        let Some(version) = lease.metadata.resource_version.as_ref().and_then(|version| version.parse().ok()) else { return };
        if version < self.version.swap(version, Ordering::Relaxed) {
            tracing::warn!(lease = NAME, "resource versions of the cluster went back, as after a restore of etcd");
            self.hub.doubt_everything();
        }
    }

    /// Writes the Lease, in place of what was found.
    async fn put(&self, found: Option<DynamicObject>, record: &Record, within: Duration) -> Result<DynamicObject, Trouble> {
        let as_us = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let exists = found.is_some();
        let mut object = found.unwrap_or_else(|| DynamicObject::new(NAME, &ApiResource::erase::<Lease>(&())));
        // Of somebody else's spec nothing stays.
        object.data = json!({ "spec": {
            "holderIdentity": record.holder,
            "leaseDurationSeconds": record.seconds,
            "acquireTime": record.acquired,
            "renewTime": record.renewed,
            "leaseTransitions": record.transitions,
        }});
        object.metadata.managed_fields = None;
        let written = if exists {
            asked(within, self.api.replace(NAME, &as_us, &object)).await
        } else {
            match asked(within, self.api.create(&as_us, &object)).await {
                Err(Trouble::Absent) => {
                    Err(Trouble::Refused(format!("the API server says that the namespace {NAMESPACE}, or the kind, does not exist")))
                }
                made => made,
            }
        };
        written.inspect(|lease| self.note_version(lease))
    }

    /// The time now, as a Lease has it. No two are the same, as a Lease that does not change counts as not renewed.
    fn date(&mut self) -> String {
        let now = Timestamp::from_microsecond(self.wall.now().as_microsecond()).unwrap_or_default();
        let next = self.renewed.and_then(|last| last.checked_add(jiff::SignedDuration::from_micros(1)).ok());
        let date = next.map_or(now, |next| next.max(now));
        self.renewed = Some(date);
        format!("{date:.6}")
    }
}

/// How it came that this process leads no more.
enum Left {
    /// The Lease is lost; the text says how.
    Lost(String),
    /// It was told to end, and whether the Lease may be given back.
    Asked(bool),
}

/// How a renewal came to nothing.
enum Renewal {
    /// It may succeed yet.
    Failed,
    /// Somebody else has it.
    Lost(String),
}

/// As what this process holds the Lease: where it runs, for whoever reads it, and what makes it its own.
fn identity(namespace: &str, instance: Option<&str>, wall: &WallClock) -> String {
    let instance = instance.filter(|name| !name.is_empty()).unwrap_or(NAME);
    // Started at the same moment on two machines of the same name, two would still differ.
    let moment = wall.now().as_nanosecond().unsigned_abs();
    format!("{namespace}/{instance}_{:016x}", fastrand::u64(..) ^ u64::try_from(moment & u128::from(u64::MAX)).unwrap_or_default())
}

fn record(object: &DynamicObject) -> Record {
    let spec = object.data.get("spec");
    let text = |name| spec.and_then(|spec| spec.get(name)).and_then(Value::as_str).map(str::to_owned);
    let number = |name| spec.and_then(|spec| spec.get(name)).and_then(Value::as_i64);
    Record {
        holder: text("holderIdentity"),
        seconds: number("leaseDurationSeconds"),
        acquired: text("acquireTime"),
        renewed: text("renewTime"),
        transitions: number("leaseTransitions"),
    }
}

async fn asked<T>(within: Duration, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Trouble> {
    match tokio::time::timeout(within, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(match status.code {
            409 => Trouble::Conflict,
            404 => Trouble::Absent,
            429 | 500.. => Trouble::NoAnswer,
            code => {
                let message: String = status.message.chars().take(LONGEST_MESSAGE).collect();
                Trouble::Refused(format!("the API server answered {code} ({}): {message}", status.reason))
            }
        }),
        Ok(Err(_)) | Err(_) => Err(Trouble::NoAnswer),
    }
}

#[cfg(test)]
mod tests;
