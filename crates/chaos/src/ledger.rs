//! What the calls to the tenants amount to: judged from the record of all of them, in the order in which they took effect.
//!
//! Guarantees: of every PATCH it is known which read it was built from, so that an edit of somebody else that it undid is either one
//! that came between the two, which nobody can see from outside, or a violation. Assumes: the record of a tenant is in the order of
//! effects, and holds every change there was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::document::{Document, Key, connections_in};

/// A process of the operator, by the number of its start.
pub(crate) type Process = usize;

/// How old a read may be when the write that is built from it arrives: the operator says two seconds. The rest is the way.
const FRESH: Duration = Duration::from_millis(2600);

/// How long a request of the operator to Auth0 takes at most.
pub(crate) const REQUEST: Duration = Duration::from_secs(10);

/// Something that took effect at a tenant, or that arrived as a PATCH.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// When it arrived, from the beginning.
    pub(crate) arrived: Duration,
    /// What it was.
    pub(crate) what: What,
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// A process was shown this.
    Read { process: Process, answer: String },
    /// A PATCH came. `after`: the connection then, where it took effect.
    Write { process: Process, id: String, body: String, before: Option<String>, after: Option<String> },
    /// Somebody else changed a connection, made one (nothing before) or deleted one (nothing after).
    Foreign { id: String, before: Option<String>, after: Option<String> },
}

/// The time that a PATCH was under way, as its process saw it.
#[derive(Clone, Debug)]
pub(crate) struct UnderWay {
    /// Whose.
    pub(crate) process: Process,
    /// Whose call it was: method, and path.
    pub(crate) what: String,
    /// From its arrival.
    pub(crate) arrived: Duration,
    /// To its answer, or to the end of the line.
    pub(crate) ended: Option<Duration>,
    /// When it took effect, if it did.
    pub(crate) took_effect: Option<Duration>,
}

/// When a process did not run, although it was there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asleep {
    /// Which.
    pub(crate) process: Process,
    /// From when.
    pub(crate) from: Duration,
    /// To when.
    pub(crate) to: Duration,
}

/// What it amounts to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// Calls that read.
    pub(crate) reads: usize,
    /// PATCHes that arrived.
    pub(crate) writes: usize,
    /// Those that took effect.
    pub(crate) effective: usize,
    /// Changes by somebody else.
    pub(crate) edits: usize,
    /// Of the members that somebody else set: how many a write undid that had been read before the edit.
    pub(crate) overwritten: usize,
    /// PATCHes that left so long after their read because their process slept in between.
    pub(crate) late_after_sleep: usize,
    /// The longest time from a read to its write.
    pub(crate) longest_window: Duration,
    /// What must not be.
    pub(crate) violations: Vec<String>,
    /// What each connection must still hold, by its id.
    pub(crate) expected: BTreeMap<String, BTreeMap<Key, String>>,
}

/// What a process last saw of a connection.
struct Seen {
    document: Document,
    arrived: Duration,
    /// The processes whose writes to it took effect since.
    others: BTreeSet<Process>,
}

/// Judges the record of one tenant.
pub(crate) fn judge(tenant: &str, records: &[Record], asleep: &[Asleep]) -> Findings {
    let mut findings = Findings::default();
    let mut seen: BTreeMap<(Process, String), Seen> = BTreeMap::new();
    for record in records {
        match &record.what {
            What::Read { process, answer } => {
                findings.reads += 1;
                for document in connections_in(answer) {
                    let Some(id) = document.id() else { continue };
                    seen.insert((*process, id), Seen { document, arrived: record.arrived, others: BTreeSet::new() });
                }
            }
            What::Foreign { id, before, after } => {
                findings.edits += 1;
                findings.take_in_edit(id, before.as_deref(), after.as_deref());
            }
            What::Write { process, id, body, before, after } => {
                findings.writes += 1;
                let place = format!("{tenant}, {id}, process {process}, {:.3} s", record.arrived.as_secs_f64());
                let Some(read) = seen.get(&(*process, id.clone())) else {
                    findings.violations.push(format!("{place}: a PATCH without a read before it"));
                    continue;
                };
                let Some(sent) = Document::parse(body) else {
                    findings.violations.push(format!("{place}: a PATCH that can't be read"));
                    continue;
                };
                findings.judge_age(&place, read.arrived, record.arrived, (*process, asleep));
                findings.judge_body(&place, &sent, &read.document);
                if let (Some(before), Some(after)) = (before, after) {
                    findings.effective += 1;
                    findings.judge_effect(&place, id, (before, after), read);
                    for (_, other) in seen.iter_mut().filter(|((reader, place), _)| reader != process && place == id) {
                        other.others.insert(*process);
                    }
                }
            }
        }
    }
    findings
}

impl Findings {
    fn take_in_edit(&mut self, id: &str, before: Option<&str>, after: Option<&str>) {
        let Some(after) = after.and_then(Document::parse) else {
            self.expected.remove(id);
            return;
        };
        let before = before.and_then(Document::parse).unwrap_or_default();
        let expected = self.expected.entry(id.to_owned()).or_default();
        for (key, value) in &after.foreign {
            if before.foreign.get(key) != Some(value) {
                expected.insert(key.clone(), value.clone());
            }
        }
        for key in before.foreign.keys().filter(|key| !after.foreign.contains_key(*key)) {
            expected.remove(key);
        }
    }

    fn judge_age(&mut self, place: &str, read: Duration, written: Duration, (process, asleep): (Process, &[Asleep])) {
        let age = written.saturating_sub(read);
        if age <= FRESH {
            self.longest_window = self.longest_window.max(age);
        } else if asleep.iter().any(|sleep| sleep.process == process && sleep.from <= written && sleep.to >= read) {
            self.late_after_sleep += 1;
        } else {
            self.violations.push(format!("{place}: a PATCH that arrived {:.3} s after the read it is built from", age.as_secs_f64()));
        }
    }

    /// A PATCH sends back what was read, byte by byte, and something that differs.
    fn judge_body(&mut self, place: &str, sent: &Document, read: &Document) {
        if !sent.has_options {
            self.violations.push(format!("{place}: a PATCH without options"));
        }
        if !read.has_options {
            self.violations.push(format!("{place}: a PATCH although the read showed no options"));
        }
        for (key, value) in &read.foreign {
            match sent.foreign.get(key) {
                None => self.violations.push(format!("{place}: a PATCH without {key}, which was there when it was read")),
                Some(other) if other != value => self.violations.push(format!("{place}: a PATCH that changes {key}")),
                Some(_) => {}
            }
        }
        for key in sent.foreign.keys().filter(|key| !read.foreign.contains_key(*key)) {
            self.violations.push(format!("{place}: a PATCH with {key}, which was not there when it was read"));
        }
        for (name, value) in &sent.fields {
            if name != "display_name" || read.fields.get(name) != Some(value) {
                self.violations.push(format!("{place}: a PATCH with the member {name}, or with another one than was read"));
            }
        }
        if !sent.fields.contains_key("display_name") && read.fields.contains_key("display_name") {
            self.violations.push(format!("{place}: a PATCH without the display_name that was read, which resets it"));
        }
        if sent.own == read.own {
            self.violations.push(format!("{place}: a PATCH that changes nothing of what was read"));
        }
    }

    /// What a write undid is what came between its read and itself.
    fn judge_effect(&mut self, place: &str, id: &str, (before, after): (&str, &str), read: &Seen) {
        for other in &read.others {
            self.violations.push(format!("{place}: a PATCH between whose read and itself the process {other} wrote"));
        }
        let (Some(before), Some(after)) = (Document::parse(before), Document::parse(after)) else { return };
        let expected = self.expected.entry(id.to_owned()).or_default();
        let keys: BTreeSet<&Key> = before.foreign.keys().chain(after.foreign.keys()).collect();
        for key in keys {
            let (was, is, was_read) = (before.foreign.get(key), after.foreign.get(key), read.document.foreign.get(key));
            if was == is {
                continue;
            }
            if was == was_read {
                self.violations
                    .push(format!("{place}: a PATCH after which {key} was another than before, although nobody else changed it"));
            } else {
                self.overwritten += 1;
            }
            match is {
                Some(value) => drop(expected.insert(key.clone(), value.clone())),
                None => drop(expected.remove(key)),
            }
        }
    }

    /// Compares a connection at the end with what it must hold. Yields how many members are lost.
    pub(crate) fn judge_end(&mut self, tenant: &str, id: &str, document: &Document) -> usize {
        let mut lost = 0;
        for (key, value) in self.expected.get(id).into_iter().flatten() {
            if document.foreign.get(key) != Some(value) {
                lost += 1;
                self.violations.push(format!("{tenant}, {id}: {key} of somebody else is lost"));
            }
        }
        lost
    }
}

/// Writes of different processes that were under way at the same time, and those that took effect while another process wrote.
pub(crate) fn overlaps(under_way: &[UnderWay]) -> Vec<String> {
    let mut found = Vec::new();
    let mut sorted: Vec<&UnderWay> = under_way.iter().collect();
    sorted.sort_by_key(|one| one.arrived);
    // As long as its process waited, or until it took effect, whichever was later. One that sleeps does not wait.
    let waited = |one: &UnderWay| one.ended.unwrap_or(Duration::MAX).min(one.arrived + REQUEST);
    let end = |one: &UnderWay| waited(one).max(one.took_effect.unwrap_or_default());
    for (nth, later) in sorted.iter().enumerate() {
        for earlier in &sorted[..nth] {
            if earlier.process != later.process && later.arrived < end(earlier) {
                let (at, until) = (later.arrived.as_secs_f64(), end(earlier).as_secs_f64());
                found.push(format!(
                    "{} of process {} at {at:.3} s, while {} of process {}, begun at {:.3} s, was under way until {until:.3} s",
                    later.what,
                    later.process,
                    earlier.what,
                    earlier.process,
                    earlier.arrived.as_secs_f64()
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = r#"{"id":"con_1","options":{"a":1}}"#;

    fn at(ms: u64, what: What) -> Record {
        Record { arrived: Duration::from_millis(ms), what }
    }

    fn doc(options: &str) -> String {
        format!(r#"{{"id":"con_1","options":{options}}}"#)
    }

    fn made() -> Record {
        at(0, What::Foreign { id: "con_1".to_owned(), before: None, after: Some(EMPTY.to_owned()) })
    }

    fn read(process: Process, ms: u64, options: &str) -> Record {
        at(ms, What::Read { process, answer: doc(options) })
    }

    fn edit(ms: u64, before: &str, after: &str) -> Record {
        at(ms, What::Foreign { id: "con_1".to_owned(), before: Some(doc(before)), after: Some(doc(after)) })
    }

    fn write(process: Process, ms: u64, before: &str, after: &str) -> Record {
        let body = format!(r#"{{"options":{after}}}"#);
        at(ms, What::Write { process, id: "con_1".to_owned(), body, before: Some(doc(before)), after: Some(doc(after)) })
    }

    const OURS: &str = r#"{"a":1,"upstream_params":{"own-1":{"value":"x"}}}"#;
    const THEIRS: &str = r#"{"a":2}"#;
    const BOTH: &str = r#"{"a":2,"upstream_params":{"own-1":{"value":"x"}}}"#;
    const PLAIN: &str = r#"{"a":1}"#;

    fn judged(records: &[Record]) -> Findings {
        judge("t", records, &[])
    }

    #[test]
    fn a_write_of_what_was_read_is_well_and_keeps_what_others_set() {
        let mut findings = judged(&[made(), read(1, 10, PLAIN), write(1, 20, PLAIN, OURS), edit(30, OURS, BOTH)]);
        assert_eq!(findings.violations, [""; 0]);
        assert_eq!((findings.effective, findings.edits, findings.overwritten), (1, 2, 0));
        assert_eq!(findings.judge_end("t", "con_1", &Document::parse(&doc(BOTH)).unwrap()), 0);
        assert_eq!(findings.judge_end("t", "con_1", &Document::parse(&doc(OURS)).unwrap()), 1, "what is gone at the end is lost");
        assert!(findings.violations[0].contains("the option a of somebody else is lost"), "{:?}", findings.violations);
    }

    #[test]
    fn an_edit_between_read_and_write_is_counted_and_expected_no_more() {
        let mut findings = judged(&[made(), read(1, 10, PLAIN), edit(15, PLAIN, THEIRS), write(1, 20, THEIRS, OURS)]);
        assert_eq!((findings.violations.len(), findings.overwritten), (0, 1), "{:?}", findings.violations);
        assert_eq!(findings.judge_end("t", "con_1", &Document::parse(&doc(OURS)).unwrap()), 0);
    }

    #[test]
    fn a_write_from_an_older_read_is_a_violation() {
        let findings = judged(&[made(), read(1, 10, PLAIN), edit(15, PLAIN, THEIRS), read(1, 17, THEIRS), write(1, 20, THEIRS, OURS)]);
        assert!(findings.violations.iter().any(|one| one.contains("changes the option a")), "{:?}", findings.violations);
    }

    #[test]
    fn what_a_write_lacks_adds_or_repeats_is_a_violation() {
        for (sent, says) in [
            (r#"{"upstream_params":{"own-1":{"value":"x"}}}"#, "without the option a"),
            (r#"{"a":1,"b":1,"upstream_params":{"own-1":{"value":"x"}}}"#, "with the option b"),
            (PLAIN, "changes nothing"),
        ] {
            let findings = judged(&[made(), read(1, 10, PLAIN), write(1, 20, PLAIN, sent)]);
            assert!(findings.violations.iter().any(|one| one.contains(says)), "{says}: {:?}", findings.violations);
        }
        let unread = judged(&[made(), read(2, 10, PLAIN), write(1, 20, PLAIN, OURS)]);
        assert!(unread.violations[0].contains("without a read"));
    }

    #[test]
    fn a_write_long_after_its_read_is_a_violation_unless_its_process_slept() {
        let records = [made(), read(1, 10, PLAIN), write(1, 4000, PLAIN, OURS)];
        assert!(judged(&records).violations[0].contains("3.990 s after the read"));
        let ms = Duration::from_millis;
        let findings = judge("t", &records, &[Asleep { process: 1, from: ms(500), to: ms(3500) }]);
        assert_eq!((findings.violations.len(), findings.late_after_sleep), (0, 1));
        let another = judge("t", &records, &[Asleep { process: 2, from: ms(500), to: ms(3500) }]);
        assert_eq!(another.violations.len(), 1);
    }

    #[test]
    fn two_processes_in_one_window_are_a_violation() {
        let other = r#"{"a":1,"upstream_params":{"own-2":{"value":"y"}}}"#;
        let records = [made(), read(1, 10, PLAIN), read(2, 11, PLAIN), write(2, 12, PLAIN, other), write(1, 20, other, OURS)];
        assert!(judged(&records).violations.iter().any(|one| one.contains("the process 2 wrote")));
    }

    #[test]
    fn writes_of_two_processes_overlap_until_the_first_has_ended_and_taken_effect() {
        let ms = Duration::from_millis;
        let one = |process, arrived, ended, took_effect: Option<u64>| UnderWay {
            process,
            what: "a PATCH".to_owned(),
            arrived: ms(arrived),
            ended: Some(ms(ended)),
            took_effect: took_effect.map(ms),
        };
        assert_eq!(overlaps(&[one(1, 0, 10, Some(5)), one(2, 10, 20, Some(15))]), [""; 0]);
        assert_eq!(overlaps(&[one(1, 0, 10, Some(5)), one(1, 5, 20, Some(15))]), [""; 0], "one process");
        assert_eq!(overlaps(&[one(1, 0, 10, Some(5)), one(2, 9, 20, None)]).len(), 1);
        assert_eq!(overlaps(&[one(1, 0, 26_000, None), one(2, 10_000, 10_010, None)]), [""; 0], "nobody waits longer");
        assert_eq!(overlaps(&[one(1, 0, 10, Some(30)), one(2, 20, 25, Some(22))]).len(), 1, "the first took effect after its end");
    }
}
