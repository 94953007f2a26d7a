//! Every version of every object, for the laws: what was there when, and what a process had been shown of it. No process sees it.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use tokio::time::Instant;

use super::kind::Kind;
use crate::network::ProcessId;

/// One version of an object.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its number, of all versions of the kind that there ever were.
    pub number: usize,
    /// The namespace and the name, or the name.
    pub name: String,
    /// The object; none: it was gone then.
    pub text: Option<Bytes>,
    /// Whether the process that was asked about has not been shown it.
    pub is_news: bool,
    /// Its resourceVersion. After the store was set back one may come twice.
    revision: u64,
}

/// For how long it is kept what a process had been shown when.
const KEPT: Duration = Duration::from_mins(2);

/// How many versions a process had been shown of a kind, from this moment on.
type Shown = (Instant, usize);

#[derive(Debug, Default)]
pub(super) struct Chronicle {
    versions: [Vec<Version>; 6],
    /// In the order of time.
    shown: BTreeMap<(ProcessId, Kind), Vec<Shown>>,
    /// How many versions of each kind there were when a process began.
    begins: BTreeMap<ProcessId, [usize; 6]>,
}

impl Chronicle {
    /// Notes a version.
    pub(super) fn note(&mut self, kind: Kind, name: String, resource_version: u64, text: Option<Bytes>) {
        let versions = &mut self.versions[kind.index()];
        versions.push(Version { number: versions.len(), name, text, is_news: false, revision: resource_version });
    }

    /// Notes that a process has everything of a kind up to this resourceVersion.
    pub(super) fn show(&mut self, process: ProcessId, kind: Kind, resource_version: u64) {
        let versions = &self.versions[kind.index()];
        let count = versions.iter().rposition(|version| version.revision <= resource_version).map_or(0, |at| at + 1);
        let now = Instant::now();
        let shown = self.shown.entry((process, kind)).or_default();
        match shown.last_mut() {
            Some((at, last)) if *at == now => *last = count,
            Some((_, last)) if *last == count => {}
            _ => shown.push((now, count)),
        }
        // The last of those that are old says what was known since.
        let old = shown.partition_point(|(at, _)| now.duration_since(*at) > KEPT);
        drop(shown.drain(..old.saturating_sub(1)));
    }

    /// A process begins. Nothing that is there now can be news to it: it lists everything before it acts.
    pub(super) fn begins(&mut self, process: ProcessId) {
        self.begins.insert(process, std::array::from_fn(|kind| self.versions[kind].len()));
    }

    /// Of each object of a kind the version that a process had been shown last, so long before this moment, and all that came after.
    /// What is shown in a moment may be taken in later in it.
    pub(super) fn known(&self, process: ProcessId, kind: Kind, before: Duration) -> Vec<Version> {
        let now = Instant::now();
        let mut shown = self.shown.get(&(process, kind)).into_iter().flatten().rev();
        let shown = shown.find(|(at, _)| *at + before < now).map_or(0, |(_, count)| *count);
        let shown = shown.max(self.begins.get(&process).map_or(0, |counts| counts[kind.index()]));
        let (before, after) = self.versions[kind.index()].split_at(shown.min(self.versions[kind.index()].len()));
        let last: BTreeMap<&str, &Version> = before.iter().map(|version| (version.name.as_str(), version)).collect();
        let news = after.iter().map(|version| Version { is_news: true, ..version.clone() });
        last.into_values().cloned().chain(news).collect()
    }
}
