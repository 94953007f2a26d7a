//! One run: the acts of a plan at their times, then rest, then the second look, then the judgement.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use test_support::LEASE;
use upstream_params_operator::api::tenant::ClusterAuth0Tenant;
use upstream_params_operator::api::upstream_params::UpstreamParams;

use crate::ledger::{Findings, REQUEST, judge, overlaps};
use crate::plan::{Act, Kind};
use crate::report::{Count, Report};
use crate::shape::{MARKER, RESYNC, SITES};
use crate::stage::{ApiServer, Done, Later, Stage, patiently};
use crate::{audit, rest};

/// The namespace of the lease that decides who writes.
const LEASE_NAMESPACE: &str = "default";

/// Between two looks at what is going on.
const TICK: Duration = Duration::from_millis(100);

/// After this time an act that could not be done is tried again, for so many times at most.
const AGAIN: (Duration, usize) = (Duration::from_millis(700), 40);

/// What all tokens of the emulated tenants begin with.
const TOKEN: &str = "eyJhbGciOi";

/// How long it may take until all is at rest. The operator's pauses after failures in a row grow to five minutes.
const REST: Duration = Duration::from_mins(8);

/// What a run is to be.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    /// What began it.
    pub(crate) seed: u64,
    /// How long things go wrong.
    pub(crate) length: Duration,
    /// How many replicas there are.
    pub(crate) replicas: usize,
}

/// Something with a date.
#[derive(Clone, Copy, Debug)]
enum Step {
    Act(Act, usize),
    Later(Later),
}

struct Run<'a> {
    stage: Stage,
    course: &'a Course,
    /// By date, then in the order in which they were put there.
    agenda: BTreeMap<(Duration, usize), Step>,
    steps: usize,
    begun: Duration,
    counts: BTreeMap<Kind, Count>,
    shown: BTreeSet<String>,
    say: &'a dyn Fn(&str),
}

/// Runs.
pub(crate) async fn run(course: &Course, plan: &[Act], binary: &Path, folder: &Path, say: &dyn Fn(&str)) -> anyhow::Result<Report> {
    say("starting the control plane, the emulated tenants and the operator");
    let stage = Stage::set_up(folder, binary, course.replicas).await?;
    let mut run = Run {
        stage,
        course,
        agenda: BTreeMap::new(),
        steps: 0,
        begun: Duration::ZERO,
        counts: BTreeMap::new(),
        shown: BTreeSet::new(),
        say,
    };
    run.whole(plan).await
}

impl Run<'_> {
    async fn whole(&mut self, plan: &[Act]) -> anyhow::Result<Report> {
        let wall = (self.stage.street.now(), Timestamp::now());
        for nth in 0..self.stage.replicas.len() {
            self.stage.start(nth).await?;
        }
        self.until_first_rest().await?;
        let leased = self.has_lease().await?;
        (self.say)(&format!(
            "everything is as declared; {}; it begins",
            if leased { "a lease decides who writes" } else { "there is no lease" }
        ));
        self.begun = self.stage.street.now();
        for act in plan {
            self.put(act.at, Step::Act(*act, 0));
        }
        self.trouble().await?;
        self.put_right().await?;
        (self.say)("no more faults; everybody is up");
        let rest = rest::until_at_rest(&mut self.stage, REST, self.say).await?;
        let mut report = Report { rest: rest.took, seen_to: rest.seen_to, leased, ..Report::default() };
        report.violations.extend(rest.not_yet.iter().map(|what| format!("not at rest after {} s: {what}", rest.took.as_secs())));
        self.judge_left(&mut report, "at rest").await?;
        if rest.not_yet.is_empty() {
            self.second_look(&mut report).await?;
        }
        self.sample().await;
        (self.say)("deleting all objects");
        report.violations.extend(rest::clear_up(&mut self.stage, Duration::from_mins(3)).await?);
        self.judge_left(&mut report, "after everything was deleted").await?;
        self.sample().await;
        self.judge_calls(&mut report, wall);
        self.judge_texts(&mut report).await?;
        self.complete(&mut report);
        Ok(report)
    }

    fn now(&self) -> Duration {
        self.stage.street.now().saturating_sub(self.begun)
    }

    fn put(&mut self, at: Duration, step: Step) {
        self.steps += 1;
        self.agenda.insert((at, self.steps), step);
    }

    async fn until_first_rest(&mut self) -> anyhow::Result<()> {
        let rest = rest::until_at_rest(&mut self.stage, Duration::from_mins(2), self.say).await?;
        if let Some(first) = rest.not_yet.first() {
            anyhow::bail!("the operator does not come to rest although nothing went wrong yet: {first}");
        }
        Ok(())
    }

    async fn has_lease(&self) -> anyhow::Result<bool> {
        let leases: Api<Lease> = Api::namespaced(self.stage.client.clone(), LEASE_NAMESPACE);
        Ok(patiently(leases.get_opt(LEASE)).await?.is_some())
    }

    /// The acts at their times.
    async fn trouble(&mut self) -> anyhow::Result<()> {
        let (mut said, mut sampled) = (Duration::ZERO, Duration::ZERO);
        while self.now() < self.course.length {
            self.due(false).await?;
            self.watch().await;
            let now = self.now();
            if now > said + Duration::from_secs(5) {
                said = now;
                self.progress();
            }
            if now > sampled + Duration::from_secs(7) {
                sampled = now;
                self.sample().await;
            }
            tokio::time::sleep(TICK).await;
        }
        Ok(())
    }

    /// Looks after the replicas, and at what they ask for. What must not be is said at once: a run that can't go on has no report.
    async fn watch(&mut self) {
        let (now, told) = (self.now(), self.stage.violations.len());
        for (after, later) in self.stage.watch_replicas().await {
            self.put(now + after, Step::Later(later));
        }
        let loops = self.stage.street.loops();
        self.stage.violations.extend(loops);
        for what in &self.stage.violations[told..] {
            (self.say)(&format!("{:>5} s  VIOLATION: {what}", now.as_secs()));
        }
    }

    /// Does what is due; `all`: what is to be put right now, whenever it was due, and nothing else.
    async fn due(&mut self, all: bool) -> anyhow::Result<()> {
        let now = self.now();
        let due: Vec<(Duration, usize)> = self.agenda.keys().take_while(|(at, _)| all || *at <= now).copied().collect();
        for key in due {
            let Some(step) = self.agenda.remove(&key) else { continue };
            match step {
                Step::Act(act, _) if all => self.count(act.kind, false),
                Step::Act(act, tries) => match self.stage.act(&act).await {
                    Done::Yes(later) => {
                        self.count(act.kind, true);
                        for (after, later) in later {
                            self.put(self.now() + after, Step::Later(later));
                        }
                    }
                    Done::Again if tries < AGAIN.1 => self.put(self.now() + AGAIN.0, Step::Act(act, tries + 1)),
                    Done::Nothing | Done::Waits | Done::Again => self.count(act.kind, false),
                },
                Step::Later(later) => {
                    if !self.stage.later(later).await? {
                        self.put(self.now() + AGAIN.0, Step::Later(later));
                    }
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, kind: Kind, done: bool) {
        let count = self.counts.entry(kind).or_default();
        if done {
            count.done += 1;
        } else {
            count.not_done += 1;
        }
    }

    /// Faults end, and what was taken is put back.
    async fn put_right(&mut self) -> anyhow::Result<()> {
        let give_up = self.now() + Duration::from_mins(3);
        for site in &self.stage.street.sites {
            site.clear();
        }
        while !self.agenda.is_empty() {
            self.due(true).await?;
            self.watch().await;
            if self.now() > give_up {
                anyhow::bail!("what was taken can't be put back: {:?}", self.agenda.values().collect::<Vec<_>>());
            }
            tokio::time::sleep(TICK).await;
        }
        for nth in 0..self.stage.replicas.len() {
            self.stage.start(nth).await?;
        }
        Ok(())
    }

    fn progress(&self) {
        let met: usize = self.stage.street.met().values().sum();
        let done: usize = self.counts.values().map(|count| count.done).sum::<usize>() + met;
        let states: Vec<&str> = self.stage.replicas.iter().map(crate::replica::Replica::state).collect();
        let server = match *self.stage.api_server.lock() {
            ApiServer::Up => "up",
            ApiServer::Frozen => "frozen",
            ApiServer::Down => "down",
            ApiServer::Coming => "coming",
            ApiServer::Lost(_) => "lost",
        };
        let street = &self.stage.street;
        (self.say)(&format!(
            "{:>5} s  acts {done:<5} operator {:<14} API server {server:<7} calls to Auth0 {:<6} PATCHes {:<5} violations {}",
            self.now().as_secs(),
            states.join(", "),
            street.calls(),
            street.writes().len(),
            self.stage.violations.len(),
        ));
    }

    /// Looks for secrets and values in what is shown now.
    async fn sample(&mut self) {
        for replica in &self.stage.replicas {
            if replica.is_up()
                && let Some(text) = replica.metrics().await
            {
                self.shown.extend(leaks(&format!("/metrics of {}", replica.name), &text));
            }
        }
        if *self.stage.api_server.lock() != ApiServer::Up {
            return;
        }
        let (client, all) = (self.stage.client.clone(), ListParams::default());
        if let Ok(events) = patiently(Api::<Event>::all(client.clone()).list(&all)).await {
            for event in events {
                self.shown.extend(leaks("an event", &format!("{:?} {:?}", event.reason, event.note)));
            }
        }
        if let Ok(objects) = patiently(Api::<UpstreamParams>::all(client.clone()).list(&all)).await {
            for object in objects {
                let text = serde_json::to_string(&object.status).unwrap_or_default();
                self.shown.extend(leaks(&format!("the status of {}", object.name_any()), &text));
            }
        }
        if let Ok(tenants) = patiently(Api::<ClusterAuth0Tenant>::all(client).list(&all)).await {
            for tenant in tenants {
                let text = serde_json::to_string(&tenant.status).unwrap_or_default();
                self.shown.extend(leaks(&format!("the status of the tenant {}", tenant.name_any()), &text));
            }
        }
    }

    async fn judge_left(&mut self, report: &mut Report, when: &str) -> anyhow::Result<()> {
        let left = rest::left(&rest::objects(&self.stage).await?, &rest::connections(&self.stage), &self.stage.book);
        report.left = left.excused;
        report.violations.extend(left.violations.into_iter().map(|what| format!("{when}: {what}")));
        Ok(())
    }

    /// At rest nothing is written anywhere, although everything is looked at.
    async fn second_look(&mut self, report: &mut Report) -> anyhow::Result<()> {
        (self.say)("at rest; two intervals of looking, in which nothing may be written");
        // What ends a look may still be on its way.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = (self.stage.street.writes().len(), audit::read(&self.audit_text()?), self.reads());
        tokio::time::sleep(Duration::from_secs(2 * RESYNC + 1)).await;
        let after = (self.stage.street.writes().len(), audit::read(&self.audit_text()?), self.reads());
        if after.0 > before.0 {
            report.violations.push(format!("at rest, {} PATCHes were sent", after.0 - before.0));
        }
        let others = |writes: &[audit::Write]| {
            writes.iter().filter(|write| write.lease.is_none()).map(|write| write.what.clone()).collect::<Vec<_>>()
        };
        let (was, is) = (others(&before.1), others(&after.1));
        report.violations.extend(is.iter().skip(was.len()).map(|what| format!("at rest, something was written to the API server: {what}")));
        // Each tenant has four connections with objects, and each is looked at in each interval.
        for (site, (before, after)) in SITES.iter().zip(before.2.iter().zip(&after.2)) {
            if after - before < 4 {
                report.violations.push(format!("at rest, {site} was asked {} times only: nobody looks", after - before));
            }
        }
        Ok(())
    }

    fn reads(&self) -> Vec<usize> {
        let reads = |record: &&crate::ledger::Record| matches!(record.what, crate::ledger::What::Read { .. });
        self.stage.street.sites.iter().map(|site| site.records().iter().filter(reads).count()).collect()
    }

    fn audit_text(&self) -> anyhow::Result<String> {
        let path = &self.stage.audit;
        std::fs::read_to_string(path).with_context(|| path.display().to_string())
    }

    /// Judges what was sent to the tenants, and who sent it.
    fn judge_calls(&self, report: &mut Report, wall: (Duration, Timestamp)) {
        let street = &self.stage.street;
        let (asleep, connections) = (street.asleep(), rest::connections(&self.stage));
        report.violations.extend(street.loops());
        for (nth, site) in street.sites.iter().enumerate() {
            let mut findings: Findings = judge(SITES[nth], &site.records(), &asleep);
            for (id, document) in &connections[nth] {
                report.lost += findings.judge_end(SITES[nth], id, document);
            }
            report.writes.0 += findings.writes;
            report.writes.1 += findings.effective;
            report.edits += findings.edits;
            report.overwritten += findings.overwritten;
            report.late_after_sleep += findings.late_after_sleep;
            report.longest_window = report.longest_window.max(findings.longest_window);
            report.violations.extend(findings.violations);
        }
        let under_way = street.writes();
        report.violations.extend(overlaps(&under_way).into_iter().map(|what| format!("two processes wrote at a time: {what}")));
        let audited = match self.audit_text() {
            Ok(text) => audit::read(&text),
            Err(error) => return report.violations.push(format!("the record of the API server can't be read: {error}")),
        };
        report.api_writes = audit::count(&audited);
        if !report.leased {
            return;
        }
        report.violations.extend(audit::without_lease(&audited));
        for write in under_way {
            let at = wall.1.saturating_add(write.arrived.saturating_sub(wall.0)).unwrap_or(wall.1);
            let name = self.stage.replica_of(write.process);
            if !audit::is_fenced(&audited, &name, at, REQUEST) {
                let what = format!("{} of process {} ({name}) at {:.3} s", write.what, write.process, write.arrived.as_secs_f64());
                report.violations.push(format!("{what} was sent without the lease, or too late to end within it"));
            }
        }
    }

    /// Judges what the operator said.
    async fn judge_texts(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let mut shown = std::mem::take(&mut self.shown);
        for replica in &self.stage.replicas {
            let text = std::fs::read_to_string(&replica.log).with_context(|| replica.log.display().to_string())?;
            shown.extend(leaks(&format!("the log of {}", replica.name), &text));
            let bad = |line: &&str| line.contains("panicked") || line.contains("a bug in the operator");
            report.violations.extend(text.lines().filter(bad).map(|line| format!("the log of {}: {line}", replica.name)));
            if !replica.is_ready().await {
                report.violations.push(format!("{} is not ready at the end", replica.name));
            }
        }
        report.violations.extend(shown.into_iter().map(|what| format!("a secret or a value is shown: {what}")));
        Ok(())
    }

    fn complete(&mut self, report: &mut Report) {
        report.seed = self.course.seed;
        report.replicas = self.course.replicas;
        report.seconds = self.course.length.as_secs();
        report.date = Timestamp::now().strftime("%Y-%m-%d").to_string();
        report.counts = self.counts.clone();
        for (kind, met) in self.stage.street.met() {
            let count = report.counts.entry(kind).or_default();
            *count = Count { done: met, not_done: count.not_done.saturating_sub(met) };
        }
        report.processes = self.stage.processes();
        report.calls = self.stage.street.calls();
        report.longest_end = self.stage.ends.iter().max().copied().unwrap_or_default();
        report.violations.extend(std::mem::take(&mut self.stage.violations));
    }
}

/// Where a text shows a secret, or a value of anybody.
fn leaks(place: &str, text: &str) -> Vec<String> {
    let shows = |line: &&str| line.contains(MARKER) || line.contains(TOKEN);
    text.lines().filter(shows).map(|line| format!("{place}: {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_secret_or_a_value_is_found() {
        let text = "all is well\nthe value marker-own-7\nBearer eyJhbGciOiJSUzI1NiJ9.x\n";
        assert_eq!(leaks("log", text).len(), 2);
    }
}
