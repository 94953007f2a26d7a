//! Replicas sleep, as with their machine: between a read and a write, between two renewals of the Lease, while a write is on its way.

use std::time::Duration;

use fastrand::Rng;

use super::{REPLICAS, any_edit, edit, millis, slow, trouble};
use crate::action::Action;
use crate::history::AtCall;

/// Quiet until somebody leads, then an edit every few seconds, and somebody sleeps before it or after it.
pub(super) fn steps(rng: &mut Rng) -> Vec<(Duration, Action)> {
    let mut steps: Vec<(Duration, Action)> = (0..2).map(|slot| (Duration::ZERO, edit(rng, slot))).collect();
    steps.push((Duration::from_secs(4) + millis(rng, 6_000), any_edit(rng)));
    for _ in 0..rng.usize(6..16) {
        let most = [0, 20, 300, 6_000][rng.usize(..4)];
        let action = match rng.u8(..20) {
            0..8 => any_edit(rng),
            8..16 => sleeps(rng),
            16 => slow(rng),
            17 => trouble(rng),
            _ => Action::Start(rng.usize(..REPLICAS)),
        };
        steps.push((millis(rng, most), action));
    }
    steps
}

/// Somebody sleeps while a call is on its way.
pub(super) fn at_call(rng: &mut Rng) -> AtCall {
    let sleeps = sleeps(rng);
    if rng.bool() { AtCall::Before(sleeps) } else { AtCall::After(sleeps) }
}

/// For less than a document is fresh, for longer than that, than a leader goes on, than a Lease.
fn sleeps(rng: &mut Rng) -> Action {
    Action::Sleep(rng.usize(..REPLICAS), Duration::from_secs([1, 3, 8, 16, 21, 60, 3_600][rng.usize(..7)]))
}
