//! Little may be asked, and there is always an edit to be looked at.

use std::time::Duration;

use fastrand::Rng;

use super::millis;
use crate::action::Action;
use crate::declare::{Declaration, ENTRIES, Named};

/// How many edits a hurry has: four for each look that the budget allows meanwhile.
const HURRY: usize = 160;

/// An edit every second or so of one of three objects on two connections; now and then somebody asks for a look, and one may wait who
/// is alone on his connection. Sometimes that is followed by a hurry: for as long as some forty looks take, one object is edited again
/// before each of them, so that whoever is alone on the other connection gets none but by right.
pub(super) fn steps(rng: &mut Rng, reads_per_minute: u32) -> Vec<(Duration, Action)> {
    let places = [[0, 1, 0], [0, 0, 1], [1, 0, 0]][rng.usize(..3)];
    let edits = |rng: &mut Rng, slot: usize| Declaration {
        params: vec![(slot, rng.usize(..ENTRIES.len()))],
        connection: Named::ByName(places[slot]),
        observe: false,
        overwrite: true,
        retain: false,
        broken: false,
        tenant: 0,
    };
    let mut steps: Vec<(Duration, Action)> = (0..3).map(|slot| (Duration::ZERO, Action::Declare(slot, edits(rng, slot)))).collect();
    steps.push((Duration::from_secs(4), Action::Annotate(0)));
    let most = [600, 1_500, 2_500][rng.usize(..3)];
    for _ in 0..rng.usize(30..90) {
        let slot = [0, 0, 0, 1, 1, 2][rng.usize(..6)];
        let action = match rng.u8(..12) {
            0 => Action::Ask(slot, Some(rng.u8(..4))),
            1 => Action::Delete(slot),
            _ => Action::Declare(slot, edits(rng, slot)),
        };
        steps.push((millis(rng, most), action));
    }
    if rng.u8(..6) == 0 {
        let between_reads = Duration::from_mins(1) / reads_per_minute;
        steps.extend((0..3).map(|slot| (Duration::ZERO, Action::Declare(slot, edits(rng, slot)))));
        steps.push((between_reads * 20, Action::Declare(0, edits(rng, 0))));
        let most = u64::try_from(between_reads.as_millis()).unwrap_or_default() / 2;
        steps.extend((0..HURRY).map(|_| (millis(rng, most), Action::Declare(0, edits(rng, 0)))));
    }
    steps
}
