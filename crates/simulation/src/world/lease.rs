//! Who leads, as the API server knows it, and what the law of one writer says of it.
//!
//! A process holds the Lease from when the API server stored its own last write of it, for the length of a Lease. That is later than
//! when it sent that write, so whoever goes by that is within it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::World;
use crate::cluster::{Key, Kind};
use crate::laws::Law;
use crate::network::{Fate, ProcessId, Request, Server};
use crate::tenant::REQUEST_TIMEOUT;

/// How long a Lease lasts that nobody renews.
pub(super) const LEASE: Duration = Duration::from_secs(20);

/// For how long a request may be on its way at most after it was sent.
pub(super) const LANDS_WITHIN: Duration = REQUEST_TIMEOUT.saturating_mul(2);

/// What is known of the Lease.
#[derive(Debug, Default)]
pub(super) struct Leases {
    /// Who wrote it last as its own, and when that was stored; nobody where it was given back.
    held: Option<(ProcessId, Instant)>,
    /// When its holder was asleep since, and for how long each time.
    slept: Vec<(Instant, Duration)>,
    /// Who saw that somebody else held it, and when he saw that last.
    saw: BTreeMap<ProcessId, Instant>,
    /// The uids of what was the work of an operator when a process began: it lists them before it takes the Lease.
    work: BTreeMap<ProcessId, BTreeSet<String>>,
    /// When a process looked first, since it held the Lease last, and nobody held it.
    looked: BTreeMap<ProcessId, Instant>,
    /// When somebody set it back.
    set_back: Option<Instant>,
    /// When somebody deleted it.
    deleted: Option<Instant>,
    /// When somebody took one that was deleted, as he could not know that its holder might still write.
    unknowing: Option<Instant>,
    /// What becomes of a process's requests about it, and until when.
    fates: Vec<(ProcessId, Instant, Fate)>,
}

impl Leases {
    /// A process was asleep for so long.
    pub(super) fn was_asleep(&mut self, process: ProcessId, span: Duration) {
        if self.held.is_some_and(|(holder, _)| holder == process) {
            self.slept.push((Instant::now(), span));
        }
    }

    /// For how long its holder was asleep before this moment. What is sent to the API server in the moment in which it wakes had been
    /// handed over to its client before.
    fn slept_before(&self, now: Instant) -> Duration {
        self.slept.iter().filter(|(at, _)| *at < now).map(|(_, span)| *span).sum()
    }
}

/// Whether a request is about the Lease.
pub(super) fn is_lease(request: &Request) -> bool {
    request.path.starts_with("/apis/coordination.k8s.io/")
}

/// The part of a Lease that says who holds it.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Lease {
    spec: Spec,
}

#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    holder_identity: Option<String>,
}

impl Lease {
    fn is_held(&self) -> bool {
        self.spec.holder_identity.as_deref().is_some_and(|holder| !holder.is_empty())
    }
}

/// Whether what began by this may still go on.
fn is_recent(at: Option<Instant>, now: Instant) -> bool {
    at.is_some_and(|at| now.duration_since(at) < LEASE + LANDS_WITHIN)
}

impl World {
    /// Somebody set the Lease back: for a while two processes may hold it, each with a right to.
    pub(super) fn lease_is_set_back(&self) {
        self.state.lock().leases.set_back = Some(Instant::now());
    }

    /// Somebody deleted the Lease: for a while two processes may hold it, if the other one can't know that there was a first.
    pub(super) fn lease_is_deleted(&self) {
        self.state.lock().leases.deleted = Some(Instant::now());
    }

    /// A process begins: what is there it knows when it takes the Lease, unless that is gone by then.
    pub(crate) fn note_work(&self, process: ProcessId) {
        let work = self.work();
        self.state.lock().leases.work.insert(process, work);
    }

    /// The uids of what has the status of an operator.
    fn work(&self) -> BTreeSet<String> {
        let texts = [Kind::Object, Kind::Tenant].into_iter().flat_map(|kind| self.cluster.texts(kind));
        let objects = texts.filter_map(|(_, text)| serde_json::from_slice::<Value>(&text).ok());
        let seen = objects.filter(|object| object["status"]["observedGeneration"].as_i64().is_some_and(|generation| generation >= 0));
        seen.filter_map(|object| object["metadata"]["uid"].as_str().map(str::to_owned)).collect()
    }

    /// From now on this becomes of the requests of a replica about the Lease.
    pub(super) fn trouble_the_lease(&self, replica: usize, fate: Fate, span: Duration) {
        let mut state = self.state.lock();
        if let Some(process) = state.running.get(replica).copied().flatten() {
            state.leases.fates.push((process, Instant::now() + span, fate));
        }
    }

    /// What becomes of a request about the Lease, if anything does.
    pub(super) fn fate_at_lease(&self, request: &Request) -> Option<Fate> {
        let (now, state) = (Instant::now(), self.state.lock());
        let mut mine = state.leases.fates.iter().rev().filter(|(process, until, _)| *process == request.process && now < *until);
        mine.next().filter(|_| !state.calm).map(|(_, _, fate)| *fate)
    }

    pub(super) fn is_excused(&self, now: Instant) -> bool {
        let state = self.state.lock();
        is_recent(state.leases.set_back, now) || is_recent(state.leases.unknowing, now)
    }

    /// Whether a process may take the Lease of another that has not run out, as it can't know of the other: nothing was there of
    /// an operator's work when it began, or it has waited for as long as a Lease lasts since it looked first, and what came and
    /// went between two of its looks it did not see.
    fn is_unknowing(&self, process: ProcessId, now: Instant) -> bool {
        let work = self.work();
        let state = self.state.lock();
        let leases = &state.leases;
        let saw = leases.saw.get(&process).is_some_and(|at| now.duration_since(*at) < LEASE);
        let waited = leases.looked.get(&process).is_some_and(|at| now.duration_since(*at) >= LEASE);
        let knows = leases.work.get(&process).is_some_and(|known| !known.is_disjoint(&work));
        is_recent(leases.deleted, now) && !saw && (waited || !knows)
    }

    /// A request about the Lease took effect.
    pub(super) fn look_at_lease(&self, request: &Request) {
        let now = Instant::now();
        if request.method == "GET" {
            let lease: Lease = self.cluster.read_as(&Key::lease("default", "upstream-params-operator")).unwrap_or_default();
            // Who leads only writes it: whoever looks may not lead any more.
            self.may_forget(Some(request.process));
            let mut state = self.state.lock();
            let is_anothers = state.leases.held.is_some_and(|(holder, _)| holder != request.process);
            if lease.is_held() && is_anothers {
                state.leases.saw.insert(request.process, now);
            } else if !lease.is_held() {
                state.leases.looked.entry(request.process).or_insert(now);
            }
            return;
        }
        let takes = serde_json::from_slice::<Lease>(&request.body).unwrap_or_default().is_held();
        let mut state = self.state.lock();
        let before = std::mem::replace(&mut state.leases.held, takes.then_some((request.process, now)));
        state.leases.slept.clear();
        let under_way = state.in_flight.iter().any(|write| write.process == request.process && write.since.elapsed() < LANDS_WITHIN);
        drop(state);
        let number = request.process.0;
        match before {
            Some((holder, _)) if !takes && holder == request.process && under_way => {
                let text = format!("process {number} gives the Lease back while a write of its own may still be on its way");
                self.break_law(Law::Alone, text);
            }
            Some((holder, stored)) if takes && holder != request.process && now.duration_since(stored) < LEASE => {
                let age = now.duration_since(stored);
                if self.is_unknowing(request.process, now) {
                    self.state.lock().leases.unknowing = Some(now);
                } else if !self.is_excused(now) {
                    let text = format!("process {number} takes the Lease, which process {} wrote {age:?} ago", holder.0);
                    self.break_law(Law::Alone, text);
                }
            }
            _ => {}
        }
        if takes {
            self.state.lock().leases.looked.remove(&request.process);
        }
    }

    /// Whoever writes holds the Lease: for as long as a write to a connection may last, and at the API server at that moment.
    pub(super) fn look_at_leader(&self, request: &Request, lasts: Duration) {
        let now = Instant::now();
        let (held, slept) = {
            let state = self.state.lock();
            let until = if request.server == Server::Auth0 { now + Duration::from_nanos(1) } else { now };
            (state.leases.held.filter(|(holder, _)| *holder == request.process), state.leases.slept_before(until))
        };
        let left = held.map(|(_, stored)| LEASE.saturating_sub(now.duration_since(stored) + slept));
        if left.is_none_or(|left| left < lasts.max(Duration::from_millis(1))) && !self.is_excused(now) {
            let text = format!("process {} sends {} {} and holds the Lease for {left:?}", request.process.0, request.method, request.path);
            self.break_law(Law::Alone, text);
        }
    }

    /// One process writes at a time, and to a connection only one write is on its way.
    pub(super) fn look_at_others(&self, request: &Request, now: Instant) {
        let state = self.state.lock();
        // One that takes longer than any write may is nobody's fault.
        let under_way = || state.in_flight.iter().filter(|write| write.since.elapsed() < LANDS_WITHIN);
        let place = (request.host.clone(), request.path.clone());
        let own = under_way().any(|write| write.process == request.process && write.place == place);
        let other = under_way().find(|write| write.process != request.process).map(|write| write.process);
        drop(state);
        if own {
            let text = format!("process {} writes to {} while a write of its own may still be on its way", request.process.0, request.path);
            self.break_law(Law::Alone, text);
        }
        if let Some(other) = other.filter(|_| !self.is_excused(now)) {
            let text = format!("process {} writes while a write of process {} may still be on its way", request.process.0, other.0);
            self.break_law(Law::Alone, text);
        }
    }
}
