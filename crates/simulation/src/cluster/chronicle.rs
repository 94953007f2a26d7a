//! Every version of every object, for the laws: what was there when, and what a process had been shown of it. No process sees it.

use std::collections::BTreeMap;
use std::sync::Arc;
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
    pub name: Arc<str>,
    /// The object; none: it was gone then.
    pub text: Option<Bytes>,
    /// Whether the process that was asked about has not been shown it.
    pub is_news: bool,
    /// Its resourceVersion. After the store was set back one may come twice.
    revision: u64,
    /// How often the store had been set back before.
    era: u32,
}

/// For how long it is kept what a process had been shown when.
const KEPT: Duration = Duration::from_mins(2);

/// How many versions a process had been shown of a kind, from this moment on.
type Shown = (Instant, usize);

/// What is known of a kind: how many versions a process had been shown, of how many. Where that is the same, the same is known. By
/// default none was shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    shown: usize,
    all: usize,
}

/// The versions of a kind.
#[derive(Debug, Default)]
struct Versions {
    all: Vec<Version>,
    /// The numbers of those of each object, by its name.
    by_name: BTreeMap<Arc<str>, Vec<usize>>,
}

#[derive(Debug, Default)]
pub(super) struct Chronicle {
    kinds: [Versions; 6],
    /// How often the store was set back.
    era: u32,
    /// In which era a process listed a kind last, or was shown an event of it.
    eras: BTreeMap<(ProcessId, Kind), u32>,
    /// In the order of time.
    shown: BTreeMap<(ProcessId, Kind), Vec<Shown>>,
    /// How many versions of each kind there were when a process began.
    begins: BTreeMap<ProcessId, [usize; 6]>,
}

impl Chronicle {
    /// Notes a version.
    pub(super) fn note(&mut self, kind: Kind, name: String, resource_version: u64, text: Option<Bytes>) {
        let Versions { all, by_name } = &mut self.kinds[kind.index()];
        let (name, number): (Arc<str>, usize) = (name.into(), all.len());
        by_name.entry(name.clone()).or_default().push(number);
        all.push(Version { number, name, text, is_news: false, revision: resource_version, era: self.era });
    }

    /// The store is set back: what comes from now on has versions that were there before.
    pub(super) fn set_back(&mut self) {
        self.era += 1;
    }

    /// Notes that a process lists a kind.
    pub(super) fn list(&mut self, process: ProcessId, kind: Kind) {
        self.eras.insert((process, kind), self.era);
    }

    /// Notes that a process is shown an event of a kind, and with it everything up to this resourceVersion.
    pub(super) fn show(&mut self, process: ProcessId, kind: Kind, resource_version: u64) {
        self.eras.insert((process, kind), self.era);
        self.go_on(process, kind, resource_version);
    }

    /// When any process was shown anything new last.
    pub(super) fn last_shown(&self) -> Option<Instant> {
        self.shown.values().filter_map(|shown| shown.last()).map(|(at, _)| *at).max()
    }

    /// Notes that a process goes on from this resourceVersion of a kind, which it had from a list or an event.
    pub(super) fn go_on(&mut self, process: ProcessId, kind: Kind, resource_version: u64) {
        let versions = &self.kinds[kind.index()].all;
        let era = self.eras.get(&(process, kind)).copied().unwrap_or_default();
        let has = |version: &Version| version.era <= era && version.revision <= resource_version;
        let count = versions.iter().rposition(has).map_or(0, |at| at + 1);
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
        self.begins.insert(process, std::array::from_fn(|kind| self.kinds[kind].all.len()));
    }

    /// How many versions of a kind there ever were.
    pub(super) fn count(&self, kind: Kind) -> usize {
        self.kinds[kind.index()].all.len()
    }

    /// The newest version of each object of a kind; of one that is gone that it is.
    pub(super) fn newest(&self, kind: Kind) -> Vec<Version> {
        let Versions { all, by_name } = &self.kinds[kind.index()];
        by_name.values().filter_map(|numbers| all.get(*numbers.last()?)).cloned().collect()
    }

    /// What a process knew of a kind so long before this moment. What is shown in a moment may be taken in later in it.
    pub(super) fn mark(&self, process: ProcessId, kind: Kind, before: Duration) -> Mark {
        let (now, all) = (Instant::now(), self.count(kind));
        let mut shown = self.shown.get(&(process, kind)).into_iter().flatten().rev();
        let shown = shown.find(|(at, _)| *at + before < now).map_or(0, |(_, count)| *count);
        let shown = shown.max(self.begins.get(&process).map_or(0, |counts| counts[kind.index()]));
        Mark { shown: shown.min(all), all }
    }

    /// Of each object of a kind the version that a process had been shown last, and all that came after.
    pub(super) fn known(&self, kind: Kind, Mark { shown, .. }: Mark) -> Vec<Version> {
        let Versions { all, by_name } = &self.kinds[kind.index()];
        let last = by_name.values().filter_map(|numbers| {
            let before = numbers.partition_point(|number| *number < shown);
            all.get(*numbers.get(before.checked_sub(1)?)?)
        });
        let news = all.iter().skip(shown).map(|version| Version { is_news: true, ..version.clone() });
        last.cloned().chain(news).collect()
    }
}
