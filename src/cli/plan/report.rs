//! A plan as it is printed, whatever the format: the shape of `-o json` and `-o yaml`.
//!
//! Guarantees: the same plan gives the same report; of a connection's options there is nothing in it but upstream parameters.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::declare::Given;
use crate::api::reason::{ConditionStatus, ConditionType, Reason};
use crate::core::dry_run::{Action, ConnectionRun, DryRun, Step};
use crate::core::status::condition;
use crate::core::tenant::TenantSettings;
use crate::core::world::Declared;
use crate::model::document::{Entry, Live};
use crate::model::identity::ObjectKey;

/// The whole plan.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// By name.
    pub(super) tenants: Vec<TenantPlan>,
    /// What is not known, or was left out.
    pub(super) notes: Vec<String>,
    pub(super) summary: Summary,
}

/// The plan of one tenant.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TenantPlan {
    /// The name of the ClusterAuth0Tenant.
    pub(super) name: String,
    /// Its host; null where it was not planned.
    pub(super) domain: Option<String>,
    /// Why it was not planned; null where it was.
    pub(super) problem: Option<String>,
    /// The connections that something would be done to, by name.
    pub(super) connections: Vec<ConnectionPlan>,
    /// The objects that were planned, as they would be: with files, those of the files.
    pub(super) objects: Vec<ObjectPlan>,
    /// Other objects that would be worse off than they are.
    pub(super) affected: Vec<ObjectPlan>,
    /// How many connections have changes to come that these files are not about.
    pub(super) other_connections: usize,
}

/// What would be done to one connection.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConnectionPlan {
    pub(super) name: String,
    pub(super) id: String,
    /// Its type.
    pub(super) strategy: String,
    /// In the order in which it would be done.
    pub(super) steps: Vec<StepPlan>,
}

/// What would be done to one parameter.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StepPlan {
    pub(super) parameter: String,
    /// `add`, `change`, `remove`, `adopt` (it stays as it is and becomes the object's) or `leave` (it stays as it is and is
    /// nobody's any more).
    pub(super) action: &'static str,
    /// `{"value": ...}` or `{"alias": ...}`; null where there is none; the text `foreign` for what is neither.
    pub(super) from: Option<Value>,
    /// As `from`.
    pub(super) to: Option<Value>,
    /// The object for which it is done: namespace/name.
    pub(super) object: Option<String>,
    /// The objects that lose it by that.
    pub(super) others: Vec<String>,
    /// Whether it replaces a value that somebody else had set first.
    pub(super) overwrites: bool,
    /// Whether it sets back what somebody else changed.
    pub(super) corrects: bool,
    /// Whether nothing is written, as the object or its tenant only observes.
    pub(super) observed: bool,
}

/// An object as it would be.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectPlan {
    pub(super) namespace: String,
    pub(super) name: String,
    /// Where it stands in the files: file:line:column.
    pub(super) place: Option<String>,
    /// The connection that it names, by name or id.
    pub(super) connection: Option<String>,
    /// The status of its condition Ready: True, False or Unknown.
    pub(super) ready: String,
    pub(super) reason: String,
    pub(super) message: String,
    /// What to do; null where it is ready.
    pub(super) remedy: Option<&'static str>,
}

/// Numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    pub(super) add: usize,
    pub(super) change: usize,
    pub(super) remove: usize,
    pub(super) adopt: usize,
    pub(super) leave: usize,
    /// Steps that are not taken, as the object or its tenant only observes.
    pub(super) observed: usize,
    pub(super) ready: usize,
    pub(super) not_ready: usize,
}

impl Report {
    pub(super) fn new(tenants: Vec<TenantPlan>, notes: Vec<String>) -> Self {
        let mut summary = Summary::default();
        for tenant in &tenants {
            for step in tenant.connections.iter().flat_map(|connection| &connection.steps) {
                *match (step.observed, step.action) {
                    (true, _) => &mut summary.observed,
                    (false, "add") => &mut summary.add,
                    (false, "change") => &mut summary.change,
                    (false, "remove") => &mut summary.remove,
                    (false, "adopt") => &mut summary.adopt,
                    (false, _) => &mut summary.leave,
                } += 1;
            }
            let ready = tenant.objects.iter().filter(|object| object.is_ready()).count();
            summary.ready += ready;
            summary.not_ready += tenant.objects.len() - ready;
        }
        Self { tenants, notes, summary }
    }

    /// Whether anything would be written at a tenant.
    pub(super) fn differs(&self) -> bool {
        let Summary { add, change, remove, .. } = self.summary;
        add + change + remove > 0
    }

    /// Whether every tenant could be planned, every object would be ready, and none would be worse off.
    pub(super) fn is_fine(&self) -> bool {
        self.summary.not_ready == 0 && self.tenants.iter().all(|tenant| tenant.problem.is_none() && tenant.affected.is_empty())
    }
}

impl TenantPlan {
    /// One that could not be planned.
    pub(super) fn unplanned(name: &str, problem: String) -> Self {
        Self {
            name: name.to_owned(),
            domain: None,
            problem: Some(problem),
            connections: Vec::new(),
            objects: Vec::new(),
            affected: Vec::new(),
            other_connections: 0,
        }
    }

    /// What a dry run came to. `before`: the objects as they are. `given`: what the files declare, where there are any.
    pub(super) fn new((name, settings): (&str, &TenantSettings), run: &DryRun, before: &[Arc<Declared>], given: Option<&Given>) -> Self {
        let is_given = |key: &ObjectKey| given.is_none_or(|given| given.objects.contains_key(key));
        let whole = given.is_none_or(|given| given.tenants.contains(name));
        let is_about = |run: &&ConnectionRun| whole || run.steps.iter().any(|step| step.by.iter().chain(&step.others).any(is_given));
        let (about, others): (Vec<&ConnectionRun>, Vec<&ConnectionRun>) = run.connections.iter().partition(is_about);
        let writes =
            |run: &&ConnectionRun| run.steps.iter().any(|step| !step.observed && !matches!(step.action, Action::Adopt | Action::Leave));
        let was: BTreeMap<&ObjectKey, ObjectPlan> =
            before.iter().map(|object| (&object.key, ObjectPlan::of(object, None, false))).collect();
        let mut plan = Self {
            domain: Some(settings.domain.as_str().to_owned()),
            problem: (!run.at_rest).then(|| "the operator would never be done, because objects work against each other".to_owned()),
            connections: about.into_iter().map(ConnectionPlan::of).collect(),
            other_connections: others.into_iter().filter(writes).count(),
            ..Self::unplanned(name, String::new())
        };
        for object in &run.objects {
            let place = given.and_then(|given| given.objects.get(&object.key));
            let planned = ObjectPlan::of(object, place, run.waiting.contains(&object.key));
            if is_given(&object.key) {
                plan.objects.push(planned);
            } else if was.get(&object.key).is_some_and(|was| planned.is_worse_than(was)) {
                plan.affected.push(planned);
            }
        }
        plan
    }
}

impl ConnectionPlan {
    fn of(run: &ConnectionRun) -> Self {
        let ConnectionRun { id, name, strategy, steps } = run;
        let steps = steps.iter().map(StepPlan::of).collect();
        Self { name: name.to_string(), id: id.to_string(), strategy: strategy.clone(), steps }
    }
}

impl StepPlan {
    fn of(step: &Step) -> Self {
        Self {
            parameter: step.name.clone(),
            action: match step.action {
                Action::Add => "add",
                Action::Change => "change",
                Action::Remove => "remove",
                Action::Adopt => "adopt",
                Action::Leave => "leave",
            },
            from: step.from.as_ref().map(live),
            to: step.to.as_ref().map(entry),
            object: step.by.as_ref().map(ToString::to_string),
            others: step.others.iter().map(ToString::to_string).collect(),
            overwrites: step.overwrites,
            corrects: step.drift,
            observed: step.observed,
        }
    }
}

fn live(live: &Live) -> Value {
    match live {
        Live::Entry(known) => entry(known),
        Live::Foreign => json!("foreign"),
    }
}

fn entry(entry: &Entry) -> Value {
    match entry {
        Entry::Value(text) => json!({ "value": text }),
        Entry::Alias(alias) => json!({ "alias": alias.as_str() }),
    }
}

impl ObjectPlan {
    fn of(object: &Declared, place: Option<&String>, waits: bool) -> Self {
        let ready = condition(&object.status.conditions, ConditionType::Ready).filter(|_| !waits);
        let (status, reason, message) = ready.map_or_else(
            || {
                let why =
                    if waits { "the labels of its namespace are not known, so access was not checked" } else { "nothing is known of it" };
                (ConditionStatus::Unknown.as_str().to_owned(), Reason::Pending.as_str().to_owned(), why.to_owned())
            },
            |ready| (ready.status.clone(), ready.reason.clone(), ready.message.clone()),
        );
        let remedy = reason.parse::<Reason>().ok().and_then(Reason::to_do).filter(|_| status != ConditionStatus::True.as_str());
        Self {
            namespace: object.key.namespace.clone(),
            name: object.key.name.clone(),
            place: place.cloned(),
            connection: object.spec.as_ref().ok().map(|spec| spec.target.to_string()),
            ready: status,
            reason,
            message,
            remedy,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready == ConditionStatus::True.as_str()
    }

    fn is_worse_than(&self, was: &Self) -> bool {
        !self.is_ready() && was.is_ready()
    }
}
