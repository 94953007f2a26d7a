//! Every version of every object, for the laws: what was there when, and what a process had been shown of it. No process sees it.

use std::collections::BTreeMap;

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

/// What a process has been shown of a kind: how many versions.
#[derive(Clone, Copy, Debug)]
struct Shown {
    /// When that changed last.
    at: Instant,
    /// Before that moment. What is shown in a moment may be taken in later in it.
    before: usize,
    now: usize,
}

#[derive(Debug, Default)]
pub(super) struct Chronicle {
    versions: [Vec<Version>; 6],
    shown: BTreeMap<(ProcessId, Kind), Shown>,
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
        let at = Instant::now();
        let shown = self.shown.entry((process, kind)).or_insert(Shown { at, before: 0, now: 0 });
        if shown.at != at {
            (shown.at, shown.before) = (at, shown.now);
        }
        shown.now = count;
    }

    /// Of each object of a kind the version that a process had been shown last, before this moment, and all that came after.
    pub(super) fn known(&self, process: ProcessId, kind: Kind) -> Vec<Version> {
        let now = Instant::now();
        let shown = self.shown.get(&(process, kind)).map_or(0, |shown| if shown.at == now { shown.before } else { shown.now });
        let (before, after) = self.versions[kind.index()].split_at(shown.min(self.versions[kind.index()].len()));
        let last: BTreeMap<&str, &Version> = before.iter().map(|version| (version.name.as_str(), version)).collect();
        let news = after.iter().map(|version| Version { is_news: true, ..version.clone() });
        last.into_values().cloned().chain(news).collect()
    }
}
