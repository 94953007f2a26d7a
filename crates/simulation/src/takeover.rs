//! Histories of two replicas, in which the Lease passes from one to the other while writes are on their way: it can't be renewed, its
//! holder is killed, cut off or asked to end, somebody deletes it, and all the time there is something to be written.

use std::time::Duration;

use fastrand::Rng;

use crate::action::{Action, LeaseTrouble};
use crate::declare::{Declaration, ENTRIES, Named};

/// One history in so many is one of these.
const ONE_IN: u8 = 8;

/// How many replicas there are.
pub const REPLICAS: usize = 2;

/// How many objects there are.
pub const SLOTS: usize = 2;

/// What else is drawn from a seed does not depend on whether its history is one of these.
pub fn is_one(seed: u64) -> bool {
    Rng::with_seed(!seed).u8(..ONE_IN) == 0
}

/// What happens in it: quiet until somebody leads, then trouble with the Lease, and for longer than a take-over takes an edit every
/// few seconds.
pub fn draw(rng: &mut Rng) -> Vec<(Duration, Action)> {
    let millis = |rng: &mut Rng, most: u64| Duration::from_millis(rng.u64(..=most));
    let mut steps: Vec<(Duration, Action)> = (0..SLOTS).map(|slot| (Duration::ZERO, edit(rng, slot))).collect();
    steps.push((Duration::from_secs(4) + millis(rng, 6_000), slow(rng)));
    for _ in 0..rng.usize(..3) {
        steps.push((millis(rng, 3_000), any_edit(rng)));
    }
    steps.push((millis(rng, 4_000), trouble(rng)));
    for _ in 0..rng.usize(8..22) {
        let action = match rng.u8(..20) {
            0..14 => any_edit(rng),
            14..16 => slow(rng),
            16 => trouble(rng),
            17 => Action::JumpClock(rng.usize(..REPLICAS), [-30, 5, 12, 30][rng.usize(..4)]),
            _ => Action::Start(rng.usize(..REPLICAS)),
        };
        steps.push((millis(rng, 5_000), action));
    }
    steps
}

fn slow(rng: &mut Rng) -> Action {
    Action::SlowWrites(Duration::from_millis([0, 50, 4_000, 9_000, 14_000, 19_000][rng.usize(..6)]))
}

fn trouble(rng: &mut Rng) -> Action {
    let replica = rng.usize(..REPLICAS);
    let span = Duration::from_secs([6, 12, 18, 25, 60][rng.usize(..5)]);
    match rng.u8(..12) {
        0..5 => {
            let late = Duration::from_millis([500, 2_500, 4_000, 9_000][rng.usize(..4)]);
            let how = [LeaseTrouble::Lost, LeaseTrouble::Unanswered, LeaseTrouble::Late(late), LeaseTrouble::Refused];
            Action::TroubleLease(replica, how[rng.usize(..4)], span)
        }
        5..7 => Action::Kill(replica),
        7..9 => Action::Stop(replica),
        9 => Action::CutOff(replica, span),
        10 => Action::DeleteLease,
        _ => Action::Outage(Duration::from_secs([1, 12, 40][rng.usize(..3)])),
    }
}

fn any_edit(rng: &mut Rng) -> Action {
    let slot = rng.usize(..SLOTS);
    edit(rng, slot)
}

/// Each has a parameter of its own, on one of two connections.
fn edit(rng: &mut Rng, slot: usize) -> Action {
    Action::Declare(
        slot,
        Declaration {
            tenant: 0,
            connection: Named::ByName(if rng.u8(..4) == 0 { 1 - slot } else { slot }),
            params: vec![(slot, rng.usize(..ENTRIES.len()))],
            observe: false,
            overwrite: true,
            retain: false,
            broken: false,
        },
    )
}
