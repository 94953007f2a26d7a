//! Waits until the operator has said how objects stand.
//!
//! Guarantees: ends with any answer, and not only with a good one, as soon as it is there.

use std::time::Duration;

use kube::Client;

use super::gather::{Scope, objects};
use crate::clock;
use crate::core::status::standing;

/// The pauses between two looks whether it is done: the first, and the longest.
pub(in crate::cli) const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// How long events may take that are told after a status.
pub(in crate::cli) const EVENTS_AFTER: Duration = Duration::from_millis(400);

/// Waits for so long at most. Yields whether the operator has said of all of them how they stand.
pub(super) async fn until_told(client: &Client, scope: &Scope, within: Duration) -> anyhow::Result<bool> {
    let begin = clock::now();
    let mut pause = PAUSES[0];
    let mut waited = false;
    loop {
        if objects(client, scope).await?.iter().all(standing::is_told) {
            if waited {
                tokio::time::sleep(EVENTS_AFTER).await;
            }
            return Ok(true);
        }
        if clock::since(begin) >= within {
            return Ok(false);
        }
        waited = true;
        tokio::time::sleep(pause.min(within)).await;
        pause = (pause * 3 / 2).min(PAUSES[1]);
    }
}
