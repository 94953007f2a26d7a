//! What is asked in vain: reads of what is at rest beyond what the tenant object asks for, and writes that rest on a version of which
//! their process knows that it is gone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::World;
use crate::declare::TENANTS;
use crate::laws::Law;
use crate::laws::seen;
use crate::network::{ProcessId, Request};

/// How many reads of a connection more than the interval asks for are nothing to speak of: the first come whenever they do.
const SPARE: f64 = 3.0;

/// By how much a look may come earlier than the interval says.
const EARLY: f64 = 0.8;

/// So many reads of one thing by one process within this time are a loop: people and other tools do not change things that often.
const LOOP: (usize, Duration) = (40, Duration::from_secs(10));

/// What was asked, and answered.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The reads since all is calm, and since a process listed last: when, and of what.
    reads: Vec<(Instant, String)>,
    /// The last reads of each thing by each process.
    last: BTreeMap<(ProcessId, String), VecDeque<Instant>>,
    /// The versions of objects that processes made, as they were answered.
    versions: BTreeMap<(ProcessId, String), u64>,
    /// What was refused for the token when a process read it last: it is asked for again at once.
    refused: BTreeSet<(ProcessId, String)>,
}

/// What a request to Auth0 is for.
fn asked_for(request: &Request) -> String {
    format!("{}{}", request.host, request.path)
}

impl Asked {
    /// A read was refused for its token.
    pub(super) fn note_refused(&mut self, request: &Request) {
        self.refused.insert((request.process, asked_for(request)));
    }
}

/// The version in the metadata of a body that is written or answered. It is the first member of this name, and a string can't hold one, as
/// its quotes are escaped: so nothing else has to be read.
fn version_in(body: &[u8]) -> Option<u64> {
    let (_, rest) = std::str::from_utf8(body).ok()?.split_once(r#""resourceVersion":""#)?;
    rest.split('"').next()?.parse().ok()
}

/// The path of an object, without what of it is written.
fn object_of(request: &Request) -> Option<String> {
    let path = request.path.split('?').next()?;
    let is_ours = path.contains("/upstreamparams/") || path.contains("/clusterauth0tenants/");
    is_ours.then(|| path.trim_end_matches("/status").to_owned())
}

impl World {
    /// The store was set back: versions may come again.
    pub(super) fn versions_go_back(&self) {
        self.state.lock().asked.versions.clear();
    }

    /// A write to an object is sent: not one that rests on an older version than its process made itself.
    pub(super) fn look_at_version(&self, request: &Request) {
        let Some(object) = object_of(request) else { return };
        let Some(version) = version_in(&request.body) else { return };
        let made = self.state.lock().asked.versions.get(&(request.process, object)).copied();
        if let Some(made) = made.filter(|made| version < *made) {
            let text = format!(
                "process {} sends {} {} for version {version}, and made version {made} of it itself",
                request.process.0, request.method, request.path
            );
            self.break_law(Law::Frugal, text);
        }
    }

    /// A write to an object was answered.
    pub(super) fn hears_version(&self, request: &Request, status: u16, body: &[u8]) {
        let Some(object) = object_of(request).filter(|_| status == 200) else { return };
        let Some(version) = version_in(body) else { return };
        let mut state = self.state.lock();
        let made = state.asked.versions.entry((request.process, object)).or_default();
        *made = version.max(*made);
    }

    /// A connection is read.
    pub(super) fn note_read(&self, request: &Request) {
        let (now, what) = (Instant::now(), asked_for(request));
        let mut state = self.state.lock();
        let last = state.asked.last.entry((request.process, what.clone())).or_default();
        last.push_back(now);
        if last.len() > LOOP.0
            && let Some(first) = last.pop_front()
            && now.duration_since(first) < LOOP.1
        {
            drop(state);
            let text = format!("process {} reads {what} more than {} times in {:?}", request.process.0, LOOP.0, LOOP.1);
            return self.break_law(Law::Frugal, text);
        }
        if !state.asked.refused.remove(&(request.process, what.clone())) && state.calm {
            state.asked.reads.push((now, what));
        }
    }

    /// A process lists what there is: before that it may not have known of what it would have come to rest with.
    pub(super) fn note_list(&self) {
        self.state.lock().asked.reads.clear();
    }

    /// Everything was at rest for so long: connections were read as often as that needs.
    pub(crate) fn look_at_reads(&self, stretch: Duration) {
        let specs: Vec<seen::Tenant> = TENANTS.iter().filter_map(|name| self.cluster.read_as(&crate::cluster::Key::tenant(name))).collect();
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        let stretch = self.cluster.last_shown().map_or(stretch, |last| stretch.min(last.elapsed()));
        for (at, what) in &self.state.lock().asked.reads {
            if at.elapsed() < stretch {
                *counts.entry(what.clone()).or_default() += 1;
            }
        }
        for (what, count) in counts {
            let intervals = specs.iter().filter(|tenant| what.starts_with(&tenant.spec.domain));
            let Some(interval) = intervals.map(|tenant| tenant.spec.resync_interval_seconds).min() else { continue };
            #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^52")]
            let most = stretch.as_secs_f64() / (interval as f64 * EARLY) + SPARE;
            if f64::from(count) > most {
                let text = format!("{what} is read {count} times in {stretch:?} of rest, where a look every {interval} s is asked for");
                self.break_law(Law::Frugal, text);
            }
        }
    }
}
