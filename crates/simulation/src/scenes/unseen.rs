//! A namespace is made anew with what is in it, and one replica has not seen the namespace yet. It leads, or comes to lead.

use std::time::Duration;

use fastrand::Rng;

use super::{REPLICAS, millis};
use crate::action::Action;
use crate::cluster::Kind;
use crate::declare::{Declaration, Named};

/// The namespace that is made anew.
const NEW: usize = 1;

/// The objects in it.
const INSIDE: [usize; 2] = [2, 3];

/// The objects beside it.
const BESIDE: usize = 2;

/// Two objects beside it on one connection, one or two in it, and edits of all of them, so that the connection is looked at while nobody
/// knows whether the tenant admits who is in it.
pub(super) fn steps(rng: &mut Rng) -> Vec<(Duration, Action)> {
    let blind = rng.usize(..REPLICAS);
    let sees = (blind + 1) % REPLICAS;
    let mut steps = vec![(Duration::ZERO, Action::DeleteNamespace(NEW))];
    steps.extend((0..BESIDE).map(|slot| (Duration::ZERO, declares(rng, slot))));
    // By then all is in sync, and everybody knows that there is no such namespace.
    let late = Duration::from_secs([4, 20, 40][rng.usize(..3)]);
    steps.push((Duration::from_secs(6) + millis(rng, 4_000), Action::LagOf(blind, Kind::Namespace, late)));
    steps.push((millis(rng, 300), Action::CreateNamespaceWith(NEW, team(rng))));
    let count = rng.usize(1..=INSIDE.len());
    steps.extend(INSIDE.iter().take(count).map(|slot| (millis(rng, 300), declares(rng, *slot))));
    if rng.bool() {
        steps.push((millis(rng, 1_000), happens(rng)));
    }
    // Who sees it has worked on what is in it, and leaves the rest to the other.
    match rng.u8(..6) {
        0 => {}
        1 => steps.push((millis(rng, 1_000), Action::Kill(sees))),
        _ => steps.push((millis(rng, 1_000), Action::Stop(sees))),
    }
    for _ in 0..rng.usize(3..8) {
        let most = [0, 300, 2_000, 6_000][rng.usize(..4)];
        steps.push((millis(rng, most), happens(rng)));
        // So that the connection is looked at, whatever is known of the namespace.
        let slot = rng.usize(..BESIDE);
        steps.push((millis(rng, 200), declares(rng, slot)));
    }
    steps
}

fn happens(rng: &mut Rng) -> Action {
    match rng.u8(..16) {
        0..6 => {
            let slot = INSIDE[rng.usize(..INSIDE.len())];
            declares(rng, slot)
        }
        6..12 => Action::Delete(INSIDE[rng.usize(..INSIDE.len())]),
        12 => Action::Delete(rng.usize(..BESIDE)),
        13 => Action::Label(NEW, team(rng)),
        14 => Action::Annotate(INSIDE[rng.usize(..INSIDE.len())]),
        _ => Action::Start(rng.usize(..REPLICAS)),
    }
}

/// One that declares one or two of three names, mostly on the one connection.
fn declares(rng: &mut Rng, slot: usize) -> Action {
    let names: [&[usize]; 5] = [&[0], &[1], &[2], &[0, 1], &[1, 2]];
    let names = names[rng.usize(..5)];
    let declaration = Declaration {
        tenant: 0,
        connection: Named::ByName(usize::from(rng.u8(..12) == 0)),
        params: names.iter().map(|name| (*name, rng.usize(1..3))).collect(),
        observe: rng.u8(..16) == 0,
        overwrite: rng.bool(),
        retain: rng.u8(..12) == 0,
        broken: false,
    };
    Action::Declare(slot, declaration)
}

fn team(rng: &mut Rng) -> Option<&'static str> {
    [None, Some("a"), Some("b"), Some("b")][rng.usize(..4)]
}
