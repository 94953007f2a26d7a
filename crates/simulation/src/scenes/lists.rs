//! Watches begin anew, and what they list takes its time to arrive, while writes are stored that were under way.

use std::time::Duration;

use fastrand::Rng;

use super::{declaration, millis};
use crate::action::Action;
use crate::cluster::Kind;
use crate::noise::TenantAction;

/// Edits of three objects, of which each is carried out slowly. Before it is, all watches end; they list what is there before the last of
/// the writes, and that arrives after it.
pub(super) fn steps(rng: &mut Rng) -> Vec<(Duration, Action)> {
    let mut steps: Vec<(Duration, Action)> = (0..3).map(|slot| (Duration::ZERO, Action::Declare(slot, declaration(rng, slot)))).collect();
    steps.push((Duration::from_secs(4), slow_lists(rng)));
    steps.push((Duration::ZERO, slow_writes(rng)));
    steps.push((Duration::ZERO, lag(rng)));
    for _ in 0..rng.usize(4..10) {
        let most = [0, 300, 4_000, 20_000][rng.usize(..4)];
        let first = match rng.u8(..12) {
            0 => slow_lists(rng),
            1 => slow_writes(rng),
            2..4 => lag(rng),
            4 => Action::Auth0(0, TenantAction::TokensRevoked),
            _ => edit(rng),
        };
        steps.push((millis(rng, most), first));
        steps.push((millis(rng, 40), edit(rng)));
        steps.push((millis(rng, 1_500), Action::CutWatches(true)));
        // Long enough for the lists to arrive.
        steps.push((Duration::from_secs(3) + millis(rng, 3_000), edit(rng)));
    }
    steps
}

fn edit(rng: &mut Rng) -> Action {
    let slot = rng.usize(..3);
    if rng.u8(..5) == 0 { Action::Delete(slot) } else { Action::Declare(slot, declaration(rng, slot)) }
}

fn slow_lists(rng: &mut Rng) -> Action {
    Action::SlowLists(Duration::from_millis([400, 2_500, 2_500, 4_000][rng.usize(..4)]))
}

fn slow_writes(rng: &mut Rng) -> Action {
    Action::SlowWrites(Duration::from_millis([0, 900, 1_800, 2_500][rng.usize(..4)]))
}

fn lag(rng: &mut Rng) -> Action {
    let kind = [Kind::Object, Kind::Object, Kind::Tenant, Kind::Namespace][rng.usize(..4)];
    Action::Lag(kind, Duration::from_millis([0, 300, 4_000, 4_000][rng.usize(..4)]))
}
