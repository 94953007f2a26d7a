//! What a run amounts to: on the terminal, and as the generated part of the documentation.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::plan::Kind;

/// How often something was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Done.
    pub(crate) done: usize,
    /// There was nothing to do it to, or it could not be done.
    pub(crate) not_done: usize,
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// What began it.
    pub(crate) seed: u64,
    /// How many replicas there were.
    pub(crate) replicas: usize,
    /// The day on which it ended.
    pub(crate) date: String,
    /// How long things went wrong.
    pub(crate) seconds: u64,
    /// How often each kind of act was done.
    pub(crate) counts: BTreeMap<Kind, Count>,
    /// Processes that were started.
    pub(crate) processes: usize,
    /// Calls to Auth0, refused ones included.
    pub(crate) calls: usize,
    /// PATCHes that arrived, and those that took effect.
    pub(crate) writes: (usize, usize),
    /// Writes to the API server.
    pub(crate) api_writes: usize,
    /// Changes by somebody else.
    pub(crate) edits: usize,
    /// Of those, undone by a write that had been read before them.
    pub(crate) overwritten: usize,
    /// Of those, lost in any other way.
    pub(crate) lost: usize,
    /// The longest time from a read to its write.
    pub(crate) longest_window: Duration,
    /// Writes that left later than that, as their process slept in between.
    pub(crate) late_after_sleep: usize,
    /// How long it took until all was at rest.
    pub(crate) rest: Duration,
    /// Objects that somebody had to see to.
    pub(crate) seen_to: Vec<String>,
    /// Parameters that were left because the run took what proves whose they are.
    pub(crate) left: usize,
    /// How long the longest end took that was asked for.
    pub(crate) longest_end: Duration,
    /// Whether a lease decided who writes.
    pub(crate) leased: bool,
    /// What must not be.
    pub(crate) violations: Vec<String>,
}

impl Report {
    /// The table of what was done, and that of what was found, as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        let replicas = if self.replicas == 1 { "1 replica".to_owned() } else { format!("{} replicas", self.replicas) };
        let _ = writeln!(text, "The run of {}: seed {}, {} s, {replicas}.\n", self.date, self.seed, self.seconds);
        text.push_str("| to | what was done | times |\n|---|---|---:|\n");
        for row in Kind::ALL {
            let count = self.counts.get(&row.kind).copied().unwrap_or_default();
            let _ = writeln!(text, "| {} | {} | {} |", row.group, row.says, count.done);
        }
        text.push_str("\n| what was found | |\n|---|---:|\n");
        for (what, found) in self.findings() {
            let _ = writeln!(text, "| {what} | {found} |");
        }
        text
    }

    fn findings(&self) -> Vec<(&'static str, String)> {
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        let lease = if self.leased { "yes" } else { "no" };
        vec![
            ("processes of the operator", self.processes.to_string()),
            ("a lease decided who writes", lease.to_owned()),
            ("calls to Auth0", self.calls.to_string()),
            ("PATCHes that arrived; that took effect", format!("{}; {}", self.writes.0, self.writes.1)),
            ("writes to the API server, but for the lease", self.api_writes.to_string()),
            ("changes of connections by somebody else", self.edits.to_string()),
            (
                "of those, made between a read and the PATCH built from it, and undone by that: nobody can see these",
                self.overwritten.to_string(),
            ),
            ("of those, lost in any other way", self.lost.to_string()),
            ("longest time from a read to its PATCH", seconds(self.longest_window)),
            (
                "PATCHes that left later, as their process was frozen between its last check and the network",
                self.late_after_sleep.to_string(),
            ),
            ("parameters left because the run had taken what proves whose they are", self.left.to_string()),
            ("objects that somebody had to see to, as another value of somebody else stood there", self.seen_to.len().to_string()),
            ("longest end after SIGTERM", seconds(self.longest_end)),
            ("from the last fault until all was at rest", seconds(self.rest)),
            ("**violations**", format!("**{}**", self.violations.len())),
        ]
    }

    /// The same for a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from("\nwhat was done                                                                  done  not done\n");
        let mut group = "";
        for row in Kind::ALL {
            if row.group != group {
                group = row.group;
                let _ = writeln!(text, "{group}");
            }
            let count = self.counts.get(&row.kind).copied().unwrap_or_default();
            let _ = writeln!(text, "  {:<76} {:>5} {:>9}", row.says, count.done, count.not_done);
        }
        text.push_str("\nwhat was found\n");
        for (what, found) in self.findings() {
            let _ = writeln!(text, "  {:<110} {found}", what.trim_matches('*'));
        }
        if !self.seen_to.is_empty() {
            let _ = writeln!(text, "\nsomebody had to see to\n  {}", self.seen_to.join("\n  "));
        }
        if !self.violations.is_empty() {
            let _ = writeln!(text, "\nVIOLATIONS\n  {}", self.violations.join("\n  "));
        }
        text
    }
}

/// What begins and ends the generated part of the page.
const MARKS: [&str; 2] = ["<!-- begin: chaos -->\n", "<!-- end: chaos -->"];

/// Puts the tables of the report in the place of those in the page.
pub(crate) fn rewrite(page: &Path, report: &Report) -> anyhow::Result<()> {
    let old = std::fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let new = replaced(&old, &report.markdown()).with_context(|| format!("{} has no {:?} and {:?}", page.display(), MARKS[0], MARKS[1]))?;
    std::fs::write(page, new).with_context(|| page.display().to_string())
}

fn replaced(page: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(MARKS[0])?;
    let (_, after) = rest.split_once(MARKS[1])?;
    Some(format!("{before}{}{text}{}{after}", MARKS[0], MARKS[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let page = "a\n<!-- begin: chaos -->\nold\n<!-- end: chaos -->\nb\n";
        assert_eq!(replaced(page, "new\n").unwrap(), "a\n<!-- begin: chaos -->\nnew\n<!-- end: chaos -->\nb\n");
        assert_eq!(replaced("a", "new"), None);
    }

    #[test]
    fn the_page_shows_a_run_of_everything_that_this_command_does_and_no_violation() {
        let page = test_support::repository::read(&test_support::repository::root().join("docs/reliability.md"));
        let (_, rest) = page.split_once(MARKS[0]).unwrap();
        let (table, _) = rest.split_once(MARKS[1]).unwrap();
        for row in Kind::ALL {
            let found = table.lines().find_map(|line| line.strip_prefix(&format!("| {} | {} | ", row.group, row.says)));
            let times: usize = found.and_then(|rest| rest.trim_end_matches(" |").parse().ok()).unwrap_or_default();
            assert!(
                times > 0,
                "docs/reliability.md does not show that this was done: {} ({}); run the command with --table",
                row.says,
                row.group
            );
        }
        for (what, _) in Report::default().findings() {
            assert!(table.contains(what), "docs/reliability.md lacks {what}; run the command with --table");
        }
        assert!(table.contains("| **violations** | **0** |"), "{table}");
    }
}
