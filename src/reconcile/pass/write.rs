//! The fourth step: one PATCH with everything that is claimed.
//!
//! Guarantees: it starts only while the document is fresh, all that it rests on is declared as it was and the Lease lasts until
//! it must have ended, also after a token was renewed for it; it counts as written only when the answer shows what was sent;
//! what Auth0 refused is not sent again before something changes.

use std::collections::BTreeSet;

use super::claim::{Claimed, until_stored};
use super::log::Line;
use super::plan::Planned;
use super::written::{Ended, Written};
use super::{FRESH, Pass};
use crate::auth0::{About, Failure, Route, Silence};
use crate::clock;
use crate::core::pass::correlation;
use crate::core::pass::memory::disputes::{Moment, Parameter};
use crate::core::pass::plan::{Plan, Verdict};
use crate::core::schedule::pace::Pace;
use crate::core::status::WriteOutcome;
use crate::core::world::{Connection, Declared, Ground, World};
use crate::model::document::{Document, Live};
use crate::model::identity::{ObjectKey, Uid};
use crate::reconcile::failure::{Phase, obstacle_of};

/// After so many writes in a row that Auth0 gave no answer to, though it showed the connection, changes do not go together.
const SILENT: u32 = 3;

impl<'t> Pass<'t, Claimed> {
    /// Writes what is claimed.
    pub(super) async fn write(mut self) -> Pass<'t, Written> {
        let known = self.known_refusal();
        let answer = if known.is_none() { self.patch().await } else { None };
        until_stored(std::mem::take(&mut self.at.late), &mut self.at.planned.members).await;
        let ended = match (known, answer) {
            (Some(message), _) => self.split_or_rejected(message),
            (None, None | Some(Err(Failure::OutOfTime | Failure::Gone))) => Ended::NoResult,
            (None, Some(Ok(answer))) => {
                self.remember_written(&answer);
                // Those are next, at once: to tell them so would take as long as to write them.
                let Claimed { planned, unclaimed, .. } = &mut self.at;
                planned.members.retain(|member| !unclaimed.contains(&member.stored.uid));
                Ended::With(WriteOutcome::Written, Pace::Routine)
            }
            (None, Some(Err(Failure::Rejected { message, about }))) => self.refused(message, about).await,
            (None, Some(Err(failure))) => self.failed(failure).await,
        };
        self.then(|Claimed { planned, late: _, unclaimed: _ }| {
            let Planned { declared: _, reading, members, plan } = planned;
            Written { reading, members, plan, ended }
        })
    }

    /// Sends the PATCH. Yields the answer, if it shows what was sent; none where it was not to be sent any more.
    async fn patch(&mut self) -> Option<Result<Document, Failure>> {
        let Planned { reading, plan, .. } = &self.at.planned;
        let age = clock::since(reading.asked.started());
        let body = reading.document.patch_body(&plan.entries()).ok()?;
        if plan.changes.is_empty() || age > FRESH {
            return None;
        }
        self.tenant.shared.metrics.read_to_write(&self.tenant.name, age);
        let objects = self.actors();
        let (correlation, started) = (correlation::id(&objects.iter().collect::<Vec<_>>()), clock::now());
        let may_start = self.fence();
        let answer = self.client.write(&reading.document.id, &body, &correlation, &may_start).await;
        if answer.is_ok() {
            self.tenant.proved(&self.connection, &self.client, Route::WriteConnection).await;
        }
        let answer = answer.and_then(|answer| shows(plan, answer));
        let (tenant, connection, took) = (&self.tenant.name, &reading.document, clock::since(started));
        Line { tenant, connection, plan, objects: &objects, correlation: &correlation, took }.log(answer.as_ref().err());
        Some(answer)
    }

    /// The objects whose changes are written.
    fn actors(&self) -> Vec<ObjectKey> {
        let Planned { members, plan, .. } = &self.at.planned;
        let actors = plan.actors();
        members.iter().filter(|member| actors.contains(&member.stored.uid)).map(|member| member.stored.key.clone()).collect()
    }

    /// Whether this process still leads, for as long as the write may last, the document is fresh, and all that the write rests on is
    /// as it was when it was planned: the tenant, what it admits, every object that is acted for with its claim, and everybody else
    /// who has a say about what is written. It is asked right before each PATCH: after a token was fetched, which takes time too, and
    /// before the second after a refused token.
    fn fence(&self) -> impl Fn() -> bool + Send + Sync + use<> {
        let Planned { declared, members, plan, .. } = &self.at.planned;
        let (hub, declared, acted_for) = (self.tenant.shared.hub.clone(), declared.clone(), plan.acted_for());
        let (leadership, lasts) = (self.tenant.shared.leadership.clone(), self.tenant.shared.transport.request_timeout());
        let (id, name) = (self.at.planned.reading.document.id.clone(), self.at.planned.reading.document.name.clone());
        let names: BTreeSet<String> = plan.changes.keys().cloned().collect();
        let grounds = |of: &dyn Fn(&Declared) -> bool| -> Vec<Ground> {
            let chosen = members.iter().filter(|member| of(&member.stored));
            chosen.map(|member| (member.stored.clone(), member.labels.clone())).collect()
        };
        let connection = Connection { tenant: &declared.name, identity: None, id: Some(&id), name: Some(&name) };
        let acting = grounds(&|object| acted_for.contains(&object.uid));
        let planned = grounds(&|object| connection.hears(object, &names));
        let still = move |world: &World| {
            let connection = Connection { tenant: &declared.name, identity: None, id: Some(&id), name: Some(&name) };
            world.still_declares(&declared, &acting) && world.nobody_else_has_a_say(&connection, &names, &planned)
        };
        // A process that was asleep since knows that by its wall clock at most.
        let (asked, wall) = (self.at.planned.reading.asked, self.tenant.shared.wall.clone());
        let is_fresh = move || wall.passed(&mut { asked }) <= FRESH;
        // The Lease last, as the other may wait for a lock.
        move || hub.read(&still) && is_fresh() && leadership.left() >= lasts
    }

    /// Notes what was written, and counts what was set back.
    fn remember_written(&mut self, answer: &Document) {
        self.tenant.known_connections.wrote(answer);
        self.tenant.memory.refusals.saw(answer);
        let Planned { members, plan, .. } = &self.at.planned;
        let now = Moment { at: clock::now(), time: self.tenant.shared.wall.now_in_seconds() };
        let corrected: Vec<(&String, &Uid)> =
            plan.changes.iter().filter(|(_, change)| change.drift).map(|(name, change)| (name, &change.actor)).collect();
        for (name, actor) in &corrected {
            let generation = members.iter().find(|member| member.stored.uid == **actor).map_or(0, |member| member.stored.generation);
            let param = plan.objects.get(*actor).and_then(|params| params.get(*name));
            let removed = param.is_some_and(|param| matches!(param.verdict, Verdict::Write { absent: true, .. }));
            let parameter = Parameter { connection: &answer.id, name };
            self.tenant.memory.disputes.note_correction(parameter, (actor, generation), removed, now);
        }
        self.tenant.shared.metrics.drift_corrected(&self.tenant.name, u64::try_from(corrected.len()).unwrap_or(u64::MAX));
    }

    /// What follows from a 400: only what this PATCH changes can be the objects' own fault.
    async fn refused(&mut self, message: String, about: About) -> Ended {
        let Planned { reading, members, plan, .. } = &self.at.planned;
        let about = match about {
            About::Entry(path) => foreign_entry(&reading.document, plan, &path).map_or(About::Entry(path), About::Foreign),
            about @ (About::Options | About::Params | About::Foreign(_)) => about,
        };
        let ours = matches!(about, About::Params | About::Entry(_));
        let failure = Failure::Rejected { message, about };
        if !ours {
            return self.failed(failure).await;
        }
        let (objects, message) = (members.iter().map(|member| &*member.stored), failure.message());
        self.tenant.memory.refusals.note_write(&reading.document, objects, plan.entries(), message.clone());
        self.split_or_rejected(message)
    }

    /// What Auth0 said when it refused this very write before, which may have been another's then, or that of several.
    fn known_refusal(&self) -> Option<String> {
        let Planned { reading, members, plan, .. } = &self.at.planned;
        let objects = members.iter().map(|member| &*member.stored);
        self.tenant.memory.refusals.of_write(&reading.document, objects, &plan.entries()).map(str::to_owned)
    }

    /// What was refused is told to the one whose it is; where it is that of several, each one's is tried alone.
    fn split_or_rejected(&self, message: String) -> Ended {
        let several = self.at.planned.plan.actors().len() > 1;
        if several { Ended::Split } else { Ended::With(WriteOutcome::Rejected(message), Pace::Routine) }
    }

    async fn failed(&mut self, failure: Failure) -> Ended {
        if failure.may_still_land() {
            self.tenant.may_still_land(&self.at.planned.reading.document.id);
        }
        let failure = self.tenant.learn_from_failure(&self.connection, Phase::Write, failure).await;
        let obstacle = obstacle_of(&failure);
        let pace = self.pace(&failure, Phase::Write);
        if !failure.tenant_wide() {
            let had_begun = self.tenant.memory.turns.have_begun(&self.at.planned.reading.document.id);
            self.begin_turns();
            if self.somebody_waits(had_begun) {
                // He had no part in that.
                return Ended::With(WriteOutcome::Failed(obstacle), Pace::AtOnce);
            }
        }
        if failure.silence() == Silence::Here && self.tenant.memory.failures.in_a_row(&self.connection) >= SILENT {
            // Auth0 shows the connection each time, so what it gives no answer to may be what one of them wants.
            self.begin_turns();
        }
        Ended::With(WriteOutcome::Failed(obstacle), pace)
    }

    /// It may be what one of them wants, also where the failure does not say so; and whoever comes later has no part in it.
    fn begin_turns(&mut self) {
        let Planned { reading, plan, .. } = &self.at.planned;
        self.tenant.memory.turns.begin(&reading.document.id, &plan.actors());
    }

    /// Whether somebody has changes who had no part in what failed: one of those who were left out, and where turns `had_begun` each of
    /// those who failed together. Those who fail together first wait as if it was one.
    fn somebody_waits(&self, had_begun: bool) -> bool {
        let Planned { reading, plan, .. } = &self.at.planned;
        let together = plan.changes.values().filter(|_| had_begun);
        // Who adopts what is there as it is has nothing to write, and so no turn.
        let written = together.chain(plan.deferred.values()).filter(|change| change.from.is_some() || change.entry.is_some());
        self.tenant.memory.turns.waits(&reading.document.id, written.map(|change| &change.actor))
    }
}

/// The answer to a write, if it shows what was sent.
fn shows(plan: &Plan, answer: Document) -> Result<Document, Failure> {
    let malformed = |what| Err(Failure::Malformed { route: Route::WriteConnection, what });
    // The read before it showed the options, so an answer without them says nothing of the token; the next read shows what
    // came of the write.
    let Ok(live) = answer.live() else { return malformed("a connection without its options") };
    let shown = plan.changes.iter().all(|(name, change)| live.get(name) == change.entry.clone().map(Live::Entry).as_ref());
    if shown { Ok(answer) } else { malformed("a connection without what was written") }
}

/// The name of the entry that a path is of, when the PATCH left it as it was. Names may hold dots, so the longest fits.
fn foreign_entry(document: &Document, plan: &Plan, path: &str) -> Option<String> {
    let sent = plan.changes.iter().filter(|(_, change)| change.entry.is_some()).map(|(name, _)| name.as_str());
    let live = document.live().unwrap_or_default();
    let is_of = |name: &&str| path.strip_prefix(*name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    let named = |names: &mut dyn Iterator<Item = &str>| names.filter(is_of).max_by_key(|name| name.len()).map(str::to_owned);
    match (named(&mut sent.into_iter()), named(&mut live.keys().map(String::as_str))) {
        (Some(ours), Some(other)) if other.len() > ours.len() => Some(other),
        (Some(_), _) => None,
        // A name that is on neither side is not ours either; what the server calls it is in its message.
        (None, other) => Some(other.unwrap_or_default()),
    }
}
