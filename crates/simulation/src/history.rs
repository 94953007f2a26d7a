//! One history, as data: everything that happens beside what the operator does, drawn from a seed before anything runs. So it
//! can be cut down to the part that matters, and told.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

use crate::action::{Action, Mood};
use crate::declare::{Declaration, TenantDeclaration, options};
use crate::network::{Ending, Fate};
use crate::scenes::{Drawn, Scene};

/// How many calls of a history may have something happen to them.
pub(crate) const CALLS: u32 = 160;

/// In which histories somebody asks for looks, unless in all: those of these seeds, by what is left of a division. All others tell
/// what they told before anybody could ask, among them every seed that had ever failed then.
const ASKING: (u64, u64) = (6, 5);

/// Which history a seed stands for: by itself, or the one in which somebody asks for looks, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seed {
    /// The number.
    pub number: u64,
    /// Whether somebody asks for looks, whatever the number says of it.
    pub asks: bool,
}

/// One history.
#[derive(Clone, Debug)]
pub struct History {
    /// What the operator's own chance begins at.
    pub seed: u64,
    /// How many replicas run at the beginning.
    pub replicas: usize,
    /// The options of the connections, for each tenant.
    pub options: Vec<Vec<String>>,
    /// The tenant object that is there at the beginning.
    pub tenant: TenantDeclaration,
    /// What happens, in order, each so long after the one before.
    pub steps: Vec<(Duration, Action)>,
    /// What happens to a call, by its number.
    pub calls: BTreeMap<u32, AtCall>,
}

/// What happens to one call.
#[derive(Clone, Debug)]
pub enum AtCall {
    /// This becomes of it.
    Fate(Fate),
    /// This happens right before it takes effect.
    Before(Action),
    /// This happens right after it took effect, before its answer arrives.
    After(Action),
    /// The process that made it is killed right before it takes effect.
    KilledBefore,
    /// The process that made it is killed right after it took effect.
    KilledAfter,
}

impl History {
    /// The history of a seed.
    pub fn draw(seed: u64) -> Self {
        Self::of(Seed { number: seed, asks: false })
    }

    /// The history of a seed. Where somebody asks for looks, all else happens as it would without.
    pub fn of(Seed { number: seed, asks }: Seed) -> Self {
        let mut rng = Rng::with_seed(seed);
        let rng = &mut rng;
        let mood = Mood::draw(rng);
        if let Some(scene) = Scene::of(seed) {
            let options = (0..2).map(|_| (0..3).map(|_| options(rng)).collect()).collect();
            let Drawn { replicas, tenant, mut steps, mut calls } = scene.draw(rng);
            if asks {
                ask(rng, &mood, &mut steps);
                ask_at_calls(rng, &mood, &mut calls);
            }
            return Self { seed, replicas, options, tenant, steps, calls };
        }
        let options = (0..2).map(|_| (0..3).map(|_| options(rng)).collect()).collect();
        let tenant = if rng.u8(..3) == 0 { TenantDeclaration::draw(rng, 0) } else { TenantDeclaration::open(0) };
        let mut steps: Vec<(Duration, Action)> =
            (0..mood.slots).map(|slot| (Duration::ZERO, Action::Declare(slot, Declaration::draw(rng)))).collect();
        steps.extend((0..rng.usize(6..16)).map(|_| (pause(rng), Action::draw(rng, &mood))));
        let mut calls = calls(rng, &mood);
        if asks || seed % ASKING.0 == ASKING.1 {
            ask(rng, &mood, &mut steps);
            ask_at_calls(rng, &mood, &mut calls);
        }
        Self { seed, replicas: mood.replicas, options, tenant, steps, calls }
    }

    /// How many things happen in it.
    pub fn len(&self) -> usize {
        self.steps.len() + self.calls.len()
    }

    /// Whether nothing happens in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All actions in it, also those at calls.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        let at_calls = self.calls.values().filter_map(|at| match at {
            AtCall::Before(action) | AtCall::After(action) => Some(action),
            AtCall::Fate(_) | AtCall::KilledBefore | AtCall::KilledAfter => None,
        });
        self.steps.iter().map(|(_, action)| action).chain(at_calls)
    }
}

/// How long until the next thing happens: often at once, sometimes minutes.
fn pause(rng: &mut Rng) -> Duration {
    let most = [0, 30, 300, 2_000, 2_000, 10_000, 70_000][rng.usize(..7)];
    Duration::from_millis(rng.u64(..=most))
}

/// Somebody asks for looks between the other steps, each of which still happens when it would.
fn ask(rng: &mut Rng, mood: &Mood, steps: &mut Vec<(Duration, Action)>) {
    for _ in 0..rng.usize(1..6) {
        let place = rng.usize(..steps.len());
        let pause = steps[place].0;
        let before =
            if rng.bool() { Duration::ZERO } else { Duration::from_millis(rng.u64(..=u64::try_from(pause.as_millis()).unwrap_or(0))) };
        steps[place].0 = pause.saturating_sub(before);
        steps.insert(place, (before, Action::asking(rng, mood)));
    }
    // Now and then nothing happens afterwards that has anything looked at.
    if rng.bool() {
        steps.push((pause(rng), Action::asking(rng, mood)));
    }
}

/// Somebody asks for looks while calls are under way to which nothing else happens.
fn ask_at_calls(rng: &mut Rng, mood: &Mood, calls: &mut BTreeMap<u32, AtCall>) {
    for _ in 0..rng.usize(..4) {
        let asking = Action::asking(rng, mood);
        let at = if rng.bool() { AtCall::Before(asking) } else { AtCall::After(asking) };
        calls.entry(rng.u32(1..=CALLS / 4)).or_insert(at);
    }
}

/// What happens to calls: in some histories to none, in some to many.
fn calls(rng: &mut Rng, mood: &Mood) -> BTreeMap<u32, AtCall> {
    let per_mille = [0, 10, 40, 120][rng.usize(..4)];
    let mut calls = BTreeMap::new();
    for number in 1..=CALLS {
        if rng.u32(..1000) >= per_mille {
            continue;
        }
        let at = match rng.u8(..10) {
            0..5 => Some(AtCall::Fate(fate(rng))),
            5..7 => Some(AtCall::Before(Action::draw(rng, mood))),
            7..9 => Some(AtCall::After(Action::draw(rng, mood))),
            _ => mood.processes.then(|| if rng.bool() { AtCall::KilledBefore } else { AtCall::KilledAfter }),
        };
        calls.extend(at.map(|at| (number, at)));
    }
    calls
}

pub(crate) fn fate(rng: &mut Rng) -> Fate {
    let ending = match rng.u8(..10) {
        0..3 => Ending::AnswerLost,
        3 => Ending::NeverAnswered,
        4..6 => Ending::Dropped,
        6 => Ending::Swallowed,
        7 => Ending::Refused([500, 502, 503, 429][rng.usize(..4)]),
        _ => Ending::Answered,
    };
    // A request may land after its sender gave up, but not later than as long again.
    let late = |rng: &mut Rng| Duration::from_millis([0, 5, 900, 2_500, 9_000][rng.usize(..5)]);
    Fate { out: late(rng), ending, back: late(rng) }
}
