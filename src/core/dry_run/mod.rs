//! What the operator would do at one tenant, without doing it: its passes over a copy of the world, until all is at rest.
//!
//! Guarantees: what is decided is decided by the functions that the operator decides with, in their order: triage, the members
//! of a connection, the plan, the conclusion of each. Nothing is written anywhere. The same world and connections give the
//! same result. Connections come by their names, objects by namespace and name.
//!
//! Assumes: the tenant serves, and its credentials are accepted; every write is accepted, and nobody else writes meanwhile; the
//! connections are all that the objects name or have a record of, or what is not among them does not exist.
//!
//! An object that moves from one connection to another, or a name that one object leaves to another, takes the operator several
//! passes. So it does here: each round is one pass over every connection, and the rounds end when one changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::api::upstream_params::ManagementPolicy;
use crate::core::obstacle::{Obstacle, ObstacleReason};
use crate::core::pass::claims;
use crate::core::pass::known_connections::KnownConnections;
use crate::core::pass::member::{Gathering, Member, participants};
use crate::core::pass::memory::refusals::Refusals;
use crate::core::pass::plan::{self, Effect, Line, Plan, Verdict, When};
use crate::core::pass::role::Life;
use crate::core::spec::Target;
use crate::core::status::{self, Context, Finalizer, Outcome, WriteOutcome};
use crate::core::tenant::TenantSettings;
use crate::core::tenant::triage::{self, Asking, Availability, Facts, Look};
use crate::core::world::{Connection, Declared, World};
use crate::model::document::{Document, Entry, Live};
use crate::model::identity::{ConnectionId, ConnectionName, ObjectKey};

/// More rounds than any history of moves and hand-overs takes.
const MOST_ROUNDS: usize = 20;

/// What would be done at one tenant.
#[derive(Debug)]
pub(crate) struct DryRun {
    /// Each connection that concerns somebody and that something would be done to, by name.
    pub connections: Vec<ConnectionRun>,
    /// Each object of the tenant, as it would be at rest.
    pub objects: Vec<Arc<Declared>>,
    /// The objects whose namespace is not known: the operator would wait for it.
    pub waiting: BTreeSet<ObjectKey>,
    /// Whether it came to rest.
    pub at_rest: bool,
}

/// What would be done to one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionRun {
    /// Its id.
    pub id: ConnectionId,
    /// Its name.
    pub name: ConnectionName,
    /// Its type.
    pub strategy: String,
    /// What would be done, in the order in which it would be.
    pub steps: Vec<Step>,
}

/// What would be done to one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The name.
    pub name: String,
    /// What.
    pub action: Action,
    /// What is live; none where the name is not there.
    pub from: Option<Live>,
    /// What is live then; none where the name goes.
    pub to: Option<Entry>,
    /// The object for which it is done.
    pub by: Option<ObjectKey>,
    /// The other objects whose record it touches.
    pub others: Vec<ObjectKey>,
    /// Whether it replaces a value that somebody else had set first.
    pub overwrites: bool,
    /// Whether it sets back what somebody else changed.
    pub drift: bool,
    /// Whether it would only be done if the object, or its tenant, did not observe.
    pub observed: bool,
}

/// What would be done to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// It is added.
    Add,
    /// Its value is changed.
    Change,
    /// It is removed.
    Remove,
    /// It stays as it is, and becomes an object's own.
    Adopt,
    /// It stays as it is, and is nobody's own any more.
    Leave,
}

/// What a dry run goes through.
struct Passes<'a> {
    world: &'a mut World,
    tenant: &'a str,
    settings: &'a TenantSettings,
    documents: BTreeMap<ConnectionId, Document>,
    known: KnownConnections,
    runs: BTreeMap<ConnectionName, ConnectionRun>,
    now: jiff::Timestamp,
}

/// Goes through all passes of a tenant. What they would change is changed in the world that is handed in.
pub(crate) fn dry_run(
    world: &mut World,
    (tenant, settings): (&str, &TenantSettings),
    connections: Vec<Document>,
    now: jiff::Timestamp,
) -> DryRun {
    let mut known = KnownConnections::default();
    for document in &connections {
        known.saw(document);
    }
    let documents = connections.into_iter().map(|document| (document.id.clone(), document)).collect();
    let mut passes = Passes { world, tenant, settings, documents, known, runs: BTreeMap::new(), now };
    let mut rounds = 0;
    while rounds < MOST_ROUNDS && passes.round(rounds == 0) {
        rounds += 1;
    }
    let Passes { world, runs, .. } = passes;
    let objects: Vec<Arc<Declared>> = world.objects_of(tenant).cloned().collect();
    let waiting = objects.iter().filter(|object| world.labels(&object.key.namespace).is_none()).map(|object| object.key.clone());
    DryRun { connections: runs.into_values().collect(), waiting: waiting.collect(), objects, at_rest: rounds < MOST_ROUNDS }
}

impl Passes<'_> {
    /// One pass over everything. Yields whether anything changed.
    fn round(&mut self, first: bool) -> bool {
        let mut changed = false;
        let mut looks = BTreeSet::new();
        for object in self.objects() {
            let (outcome, connections) = self.triage(&object);
            looks.extend(connections);
            if let Some(outcome) = outcome {
                changed |= self.conclude(&object, &object, &outcome, true);
            }
        }
        for key in looks {
            changed |= match key {
                Ok(id) => self.pass(&id, first),
                Err(target) => self.not_found(&target),
            };
        }
        changed
    }

    fn objects(&self) -> Vec<Arc<Declared>> {
        let known = |object: &&Arc<Declared>| self.world.labels(&object.key.namespace).is_some();
        self.world.objects_of(self.tenant).filter(known).cloned().collect()
    }

    /// What is said of an object before a look, and where it is looked at: connections by their ids, and what does not exist.
    fn triage(&self, object: &Declared) -> (Option<Outcome>, Vec<Result<ConnectionId, Target>>) {
        let recorded: Vec<ConnectionId> = claims::connections_at(&object.status, Some(self.settings.audience.identity())).collect();
        let mut connections: Vec<Result<ConnectionId, Target>> = recorded.into_iter().map(|id| self.find(Target::Id(id))).collect();
        let recorded = connections.clone();
        if let (Ok(spec), true) = (&object.spec, !object.deleting || connections.is_empty()) {
            connections.push(self.find(spec.target.clone()));
        }
        let facts = Facts {
            tenant: Availability::Ready,
            tenant_observes: self.settings.observes,
            admission: triage::admission(self.settings, self.world.labels(&object.key.namespace), object),
            life: Life::of(object),
            valid: object.spec.is_ok(),
            retains: !object.cleans_up(),
            recorded: claims::any(&object.status),
            has_connections: !connections.is_empty(),
        };
        let (outcome, look) = triage::triage(facts).told(self.asking(object), || None);
        let connections = match look {
            Look::Nowhere => Vec::new(),
            Look::WhereRecorded => recorded,
            Look::Everywhere => connections,
        };
        (outcome, connections)
    }

    fn asking<'a>(&'a self, object: &'a Declared) -> Asking<'a> {
        Asking { tenant: self.tenant, settings: Some(self.settings), labels: self.world.labels(&object.key.namespace), object }
    }

    /// The connection that a target means; itself where there is none.
    fn find(&self, target: Target) -> Result<ConnectionId, Target> {
        let id = self.known.id_of(&target).filter(|id| self.documents.contains_key(*id)).cloned();
        id.ok_or(target)
    }

    /// One pass over one connection.
    fn pass(&mut self, id: &ConnectionId, first: bool) -> bool {
        let Some(document) = self.documents.get(id).cloned() else { return false };
        let members = self.members(&document);
        let live = match document.live() {
            Ok(live) => live,
            Err(error) => {
                let reason = ObstacleReason::of_document(error);
                let unread = Outcome::Unread(Obstacle { reason, message: error.to_string(), tenant_wide: false });
                return self.tell_unusable(&document, &members, &unread);
            }
        };
        let mut plan = self.plan(&document, &live, &members);
        self.note(&document, &live, &plan, first);
        let written = document.with(&plan.entries());
        let mut changed = !plan.changes.is_empty();
        plan.written = true;
        let write = if changed { WriteOutcome::Written } else { WriteOutcome::Nothing };
        for member in &members {
            let mut planned = member.planned(None);
            planned.status = claims::without(planned.status, id, &plan.losses(&planned.uid));
            if let Some(outcome) = member.outcome(&plan, &planned, (&document, self.settings.audience.identity()), &write) {
                changed |= self.conclude(&planned, &member.stored, &outcome, member.named);
            }
        }
        if let Ok(written) = written {
            self.documents.insert(id.clone(), written);
        }
        changed
    }

    fn members(&self, document: &Document) -> Vec<Member> {
        let (identity, refusals) = (Some(self.settings.audience.identity()), Refusals::default());
        let connection = Connection { tenant: self.tenant, identity, id: Some(&document.id), name: Some(&document.name) };
        let (world, settings, known_connections) = (&*self.world, self.settings, &self.known);
        Gathering { world, settings, connection, document, gone: None, known_connections, refusals: &refusals }.members()
    }

    fn plan(&self, document: &Document, live: &BTreeMap<String, Live>, members: &[Member]) -> Plan {
        let connection_ref = claims::ConnectionRef { tenant: self.settings.audience.identity(), connection: &document.id };
        let state = plan::ConnectionState { connection_ref, live, disputes: &BTreeMap::new(), unsettled: false };
        let mut plan = plan::plan(state, &participants(members), self.settings.observes);
        if self.settings.observes {
            // Where all observe, nothing is written, and what would be is among what observers would do.
            plan.changes.clear();
            plan.adopted.clear();
        }
        plan
    }

    /// Notes what a plan does.
    fn note(&mut self, document: &Document, live: &BTreeMap<String, Live>, plan: &Plan, first: bool) {
        let mut steps: Vec<Step> = plan.lines().iter().filter(|line| first || line.when != When::Never).map(Step::of_line).collect();
        let is_told =
            |steps: &[Step], name: &str, by: &ObjectKey| steps.iter().any(|step| step.name == name && step.by.as_ref() == Some(by));
        for (uid, params) in &plan.objects {
            let Some(key) = plan.key_of(uid) else { continue };
            for (name, param) in params {
                let action = match param.verdict {
                    Verdict::InSync if param.before.is_empty() && !param.after.is_empty() => Action::Adopt,
                    Verdict::Left => Action::Leave,
                    Verdict::InSync
                    | Verdict::Write { .. }
                    | Verdict::Remove
                    | Verdict::Gone
                    | Verdict::Handed
                    | Verdict::ExistingValue
                    | Verdict::Conflicted(_)
                    | Verdict::Contended
                    | Verdict::Paced { .. } => continue,
                };
                if !is_told(&steps, name, key) {
                    steps.push(Step::without_write(name, action, live.get(name).cloned(), key));
                }
            }
        }
        steps.sort_by(|one, other| (&one.name, &one.by).cmp(&(&other.name, &other.by)));
        if steps.is_empty() {
            return;
        }
        let (id, name, strategy) = (document.id.clone(), document.name.clone(), document.strategy.clone());
        let run = self.runs.entry(name.clone()).or_insert(ConnectionRun { id, name, strategy, steps: Vec::new() });
        for step in steps {
            if !run.steps.contains(&step) {
                run.steps.push(step);
            }
        }
    }

    fn tell_unusable(&mut self, document: &Document, members: &[Member], unread: &Outcome) -> bool {
        let described = status::described(document, self.settings.audience.identity());
        let mut changed = false;
        for member in members.iter().filter(|member| member.named || member.stored.deleting) {
            let own = member.outcome_of_its_own(&member.stored, &document.id, &described).filter(|_| member.named);
            changed |= self.conclude(&member.stored, &member.stored, own.as_ref().unwrap_or(unread), member.named);
        }
        changed
    }

    /// There is no such connection: who names it waits for it, and who has a record of it has nothing there any more.
    fn not_found(&mut self, target: &Target) -> bool {
        let (id, name) = match target {
            Target::Id(id) => (Some(id), None),
            Target::Name(name) => (None, Some(name)),
        };
        let connection = Connection { tenant: self.tenant, identity: Some(self.settings.audience.identity()), id, name };
        let known = |object: &Arc<Declared>| self.world.labels(&object.key.namespace).is_some();
        let concerned: Vec<Arc<Declared>> = self.world.concerned(&connection).into_iter().filter(known).collect();
        let mut told = Vec::new();
        for object in concerned {
            let named = connection.is_named_by(&object);
            let outcome = self.asking(&object).not_found(self.world, id, named);
            told.push((object, outcome, named));
        }
        told.into_iter().fold(false, |changed, (object, outcome, named)| self.conclude(&object, &object, &outcome, named) || changed)
    }

    /// Takes what is concluded of an object into the world. Yields whether that changes anything.
    fn conclude(&mut self, planned: &Declared, stored: &Declared, outcome: &Outcome, names_it: bool) -> bool {
        let context = Context {
            now: self.now,
            observing: planned.policies.management == ManagementPolicy::Observe || self.settings.observes,
            names_it,
            since_good_look: Duration::ZERO,
            stale_after: Duration::MAX,
            unready_for: Duration::ZERO,
        };
        let conclusion = status::conclude(planned, outcome, &context);
        let finalizer = match conclusion.finalizer {
            Finalizer::Add => true,
            Finalizer::Remove => false,
            Finalizer::Keep => stored.finalizer,
        };
        if (finalizer, &conclusion.status) == (stored.finalizer, &stored.status) {
            return false;
        }
        if stored.deleting && !finalizer {
            self.world.delete_object(&stored.key, &stored.uid);
            return true;
        }
        let (key, version) = (stored.key.clone(), stored.resource_version.clone());
        self.world.wrote(&key, &stored.uid, &version, |object| {
            object.status = conclusion.status;
            object.finalizer = finalizer;
        });
        true
    }
}

impl Step {
    fn of_line(line: &Line<'_>) -> Self {
        let action = match line.effect {
            Effect::Adds => Action::Add,
            Effect::Changes => Action::Change,
            Effect::Removes => Action::Remove,
            Effect::Adopts => Action::Adopt,
        };
        Self {
            name: line.name.to_owned(),
            action,
            from: line.from.cloned(),
            to: line.to.cloned(),
            by: line.by.cloned(),
            others: line.others.iter().map(|key| (*key).clone()).collect(),
            overwrites: line.overwrites,
            drift: line.drift,
            observed: line.when == When::Never,
        }
    }

    fn without_write(name: &str, action: Action, live: Option<Live>, by: &ObjectKey) -> Self {
        let to = live.as_ref().and_then(|live| match live {
            Live::Entry(entry) => Some(entry.clone()),
            Live::Foreign => None,
        });
        let (name, by) = (name.to_owned(), Some(by.clone()));
        Self { name, action, from: live, to, by, others: Vec::new(), overwrites: false, drift: false, observed: false }
    }
}

#[cfg(test)]
mod tests;
