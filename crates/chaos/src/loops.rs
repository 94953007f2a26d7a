//! Reads that come again and again: a process that never waits asks for the same thing without end, and uses up everybody's requests.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::ledger::Process;

/// How often a process may read the same thing within a second: more is a loop.
const READS_A_SECOND: usize = 25;

/// The reads of the last second, and the loops that were found.
#[derive(Debug, Default)]
pub(crate) struct Loops {
    busy: BTreeMap<(Process, String), Busy>,
    found: Vec<String>,
}

/// The reads of one thing by a process within the last second.
#[derive(Debug, Default)]
struct Busy {
    reads: VecDeque<Duration>,
    told: bool,
}

impl Loops {
    /// Takes in a read of this, whatever its answer was: also what is not there can be asked for without end.
    pub(crate) fn take_in(&mut self, process: Process, what: String, now: Duration) {
        let at = now.as_secs_f64();
        let text = format!("process {process}, {at:.3} s: {what} is read more than {READS_A_SECOND} times within a second");
        let busy = self.busy.entry((process, what)).or_default();
        busy.reads.push_back(now);
        while busy.reads.front().is_some_and(|first| *first + Duration::from_secs(1) < now) {
            busy.reads.pop_front();
        }
        if busy.reads.len() > READS_A_SECOND && !busy.told {
            busy.told = true;
            self.found.push(text);
        }
    }

    /// The loops that were found since this was asked last, each once.
    pub(crate) fn take_found(&mut self) -> Vec<String> {
        std::mem::take(&mut self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_again_and_again_is_told_once_and_what_is_read_at_a_pace_is_not() {
        let mut loops = Loops::default();
        for nth in 0..100 {
            let read = |loops: &mut Loops, process: Process, pause: u64| {
                loops.take_in(process, "one.auth0.com /api/v2/connections?name=x".to_owned(), Duration::from_millis(nth * pause));
            };
            read(&mut loops, 1, 50);
            read(&mut loops, 2, 10);
        }
        let found = loops.take_found();
        assert!(matches!(&*found, [one] if one.starts_with("process 2, ") && one.contains("name=x")), "{found:?}");
        assert_eq!(loops.take_found(), [""; 0]);
    }
}
