//! One tenant, as this process knows it: the only owner of its directory, budget, token, agenda and memory. No locks but
//! for the budget, which the observer of each call keeps.
//!
//! Decides whether the tenant can be used and says so in its status; brings each object to a conclusion at once or its
//! connections onto the agenda; writes what was concluded. What is due is run by [`crate::driver`], one at a time, with
//! [`crate::connection`].
//!
//! Guarantees: an object is concluded from the world as it is, never from a copy that was kept; what can't be written
//! now is tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::api::FINALIZER;
use crate::api::reason::{ConditionType, EventReason, Reason};
use crate::api::upstream_params::ManagementPolicy;
use crate::auth0::{AllowedDomains, Budget, Call, Client, Credentials, Failure, Granted, Rate, Retry, Route, SharedSecret, Transport};
use crate::cluster::report::{Report, WriteError};
use crate::core::claims;
use crate::core::conclude::{self, Context, Finalizer, Notice, Outcome, Trouble};
use crate::core::directory::Directory;
use crate::core::memory::Memory;
use crate::core::schedule::{self, Agenda, Next, Subject};
use crate::core::tenancy::{self, Access, Settings, Standing};
use crate::core::validate::Target;
use crate::core::world::{Declared, DeclaredTenant, Left, ObjectKey, Uid};
use crate::hub::Hub;
use crate::telemetry::Metrics;

/// The scope without which connections come without their options.
const READ_OPTIONS: &str = "read:connections_options";

/// How often the objects of a tenant that is not ready are concluded anew, at least.
const NOT_READY_PACE: Duration = Duration::from_mins(1);

/// What all drivers share.
#[derive(Clone)]
pub struct Shared {
    /// The world.
    pub hub: Arc<Hub>,
    /// Where Kubernetes is written to.
    pub report: Report,
    /// How tenants are reached.
    pub transport: Transport,
    /// Which hosts may be reached.
    pub allowed: AllowedDomains,
    /// The operator's own namespace, where the Secrets are.
    pub namespace: String,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// One lock for each Auth0 tenant, held during a pass.
    pub turns: Arc<Turns>,
    /// Ends when the process is asked to stop.
    pub stop: CancellationToken,
}

/// One lock for each identity of a tenant.
#[derive(Debug, Default)]
pub struct Turns(Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    pub(crate) fn of(&self, identity: &str) -> Arc<tokio::sync::Mutex<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(identity.to_owned()).or_default().clone()
    }
}

/// One tenant, as this process knows it.
pub struct Tenant {
    pub(crate) name: String,
    pub(crate) shared: Shared,
    standing: Option<Standing>,
    client: Option<Arc<Client>>,
    budget: Arc<Mutex<Budget>>,
    pub(crate) agenda: Agenda,
    pub(crate) directory: Directory,
    pub(crate) memory: Memory,
    pub(crate) access: Access,
    /// Scopes that a write or a read showed to be missing: writes pause until a new token has them, or does not say.
    pub(crate) lacking: Option<Lacking>,
}

/// Scopes that are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lacking {
    scopes: Vec<String>,
    /// What to do about it.
    pub(crate) message: String,
}

impl Lacking {
    /// Whether a token that grants this still lacks them. One that does not say what it grants is worth a try.
    fn remains(&self, granted: &Granted) -> bool {
        granted.scopes.as_ref().is_some_and(|granted| self.scopes.iter().any(|scope| !granted.contains(scope)))
    }
}

/// What is to be done about an object that changed.
enum Placement {
    Nothing,
    Conclude(Box<Outcome>),
    Look(Vec<Subject>),
}

impl Tenant {
    /// A tenant of which nothing is known yet.
    pub fn new(name: String, shared: Shared) -> Self {
        let rate = Rate::new(1, 1);
        Self {
            name,
            shared,
            standing: None,
            client: None,
            budget: Arc::new(Mutex::new(Budget::new(rate, rate, Instant::now()))),
            agenda: Agenda::default(),
            directory: Directory::default(),
            memory: Memory::default(),
            access: Access::Untried,
            lacking: None,
        }
    }

    /// What is to be done now, as far as the budget allows it.
    pub(crate) fn next(&mut self) -> Next {
        let now = Instant::now();
        let opens_at = self.budget.lock().unwrap_or_else(PoisonError::into_inner).opens_at(now);
        self.agenda.next(now, opens_at)
    }

    /// An object is gone: whoever waited for its parameters on these connections may have them now.
    pub(crate) fn vacated(&mut self, target: Option<&Target>, connections: Vec<String>) {
        let named = target.map(|target| self.subject_of(target));
        for subject in named.into_iter().chain(connections.into_iter().map(Subject::Id)) {
            self.agenda.edit(subject, Instant::now());
        }
    }

    /// An object is gone whose parameters should have been removed first.
    pub(crate) async fn went_without_cleaning(&self, left: &Left) {
        let note = format!("it was deleted after somebody had taken its finalizer {FINALIZER}; left {left}");
        self.tell_of_left(&left.object, &note).await;
    }

    /// Tells of parameters that an object left behind where the object itself can't be told about: in the log, and on
    /// the tenant.
    async fn tell_of_left(&self, object: &ObjectKey, note: &str) {
        tracing::warn!(tenant = %self.name, %object, note, "parameters were left at Auth0");
        if let Some(tenant) = self.declared_tenant() {
            let notice = Notice::new(true, EventReason::ParametersLeft.as_str(), format!("UpstreamParams {object}: {note}"));
            self.shared.report.tenant_notice(&tenant, &notice).await;
        }
    }

    /// The client, while the tenant serves.
    pub(crate) fn client(&self) -> Option<Arc<Client>> {
        self.client.clone()
    }

    // ---- the tenant itself ----

    /// Judges the tenant anew. When that changes anything, every object is looked at anew.
    pub(crate) async fn refresh(&mut self) {
        let shared = self.shared.clone();
        let standing = shared.hub.look(|world| tenancy::standing(world, &self.name, &shared.allowed, &shared.namespace));
        if standing == self.standing {
            return self.report_tenant().await;
        }
        self.take_on(standing);
        self.report_tenant().await;
        self.place_all().await;
    }

    /// Whether the tenant is to be judged anew before anything is planned.
    pub(crate) fn is_outdated(&self) -> bool {
        let shared = &self.shared;
        shared.hub.look(|world| tenancy::standing(world, &self.name, &shared.allowed, &shared.namespace)) != self.standing
    }

    fn take_on(&mut self, standing: Option<Standing>) {
        let now = Instant::now();
        let old = std::mem::replace(&mut self.standing, standing);
        let Some(Standing::Serving(settings)) = &self.standing else {
            self.client = None;
            self.access = Access::Untried;
            self.agenda.forget(&Subject::Access);
            return;
        };
        let same_access = matches!(&old, Some(Standing::Serving(old)) if old.same_access(settings));
        let same_rate = matches!(&old, Some(Standing::Serving(old)) if old.rate_limit == settings.rate_limit);
        if !same_rate {
            let per_minute = |count: i32| Rate::new(count.unsigned_abs().max(1), settings.rate_limit.burst.unsigned_abs().max(1));
            let (reads, requests) = (per_minute(settings.rate_limit.reads_per_minute), per_minute(settings.rate_limit.requests_per_minute));
            let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
            if matches!(&old, Some(Standing::Serving(_))) {
                // A changed limit gives nothing away: what is used up, or closed by a 429, stays so.
                budget.reads.set_rate(reads, now);
                budget.requests.set_rate(requests, now);
            } else {
                *budget = Budget::new(reads, requests, now);
            }
        }
        self.shared.metrics.serves(&self.name, &self.budget);
        if !same_access || self.client.is_none() {
            self.client = Some(Arc::new(self.new_client(settings)));
            self.access = Access::Untried;
            self.lacking = None;
            self.memory.succeeded(&Subject::Access);
            self.agenda.edit(Subject::Access, now);
        }
    }

    fn new_client(&self, settings: &Settings) -> Client {
        let (budget, metrics, tenant) = (self.budget.clone(), self.shared.metrics.clone(), self.name.clone());
        let observer = move |call: &Call| {
            let (now, epoch) = (Instant::now(), jiff::Timestamp::now().as_second().unsigned_abs());
            let mut budget = budget.lock().unwrap_or_else(PoisonError::into_inner);
            // A renewed token repeats a request; that the bucket is empty then is for the next pass to heed.
            let _ = budget.take(call.route, now);
            budget.observe(call, now, epoch);
            drop(budget);
            metrics.call(&tenant, call.route.as_str(), call.status, call.route == Route::Token && call.status == Some(200));
        };
        let secret = SharedSecret { client_id: settings.client_id.clone(), client_secret: settings.client_secret.clone() };
        Client::new(
            self.shared.transport.clone(),
            settings.domain.clone(),
            settings.audience.clone(),
            Credentials::Secret(secret),
            Arc::new(observer),
        )
    }

    fn declared_tenant(&self) -> Option<Arc<DeclaredTenant>> {
        self.shared.hub.look(|world| world.tenant(&self.name))
    }

    /// Writes the tenant's status, if it differs.
    pub(crate) async fn report_tenant(&mut self) {
        self.shared.metrics.authenticated(&self.name, self.access == Access::Granted && self.lacking.is_none());
        let (Some(tenant), Some(standing)) = (self.declared_tenant(), &self.standing) else {
            self.shared.metrics.forget(&self.name);
            return;
        };
        let access = match (&self.lacking, &self.access) {
            (Some(lacking), Access::Granted) => Access::Lacking(lacking.message.clone()),
            (_, access) => access.clone(),
        };
        let status = tenancy::conclude(&tenant, standing, &access, now_in_seconds());
        if status == tenant.status {
            return;
        }
        let ready = status.conditions.first().map(|ready| (ready.status.clone(), ready.reason.clone())).unwrap_or_default();
        tracing::info!(tenant = %self.name, ready = %ready.0, reason = %ready.1, "tenant");
        match self.shared.report.tenant_status(&tenant, &status).await {
            // A conflict means that a newer version is on its way to us, which refreshes.
            Ok(()) | Err(WriteError::Gone | WriteError::Conflict) => {}
            Err(error @ WriteError::Failed(_)) => {
                tracing::warn!(tenant = %self.name, %error, "the tenant's status could not be written");
                self.agenda.again(Subject::Access, Instant::now() + Duration::from_secs(5));
            }
        }
    }

    /// Tries the credentials.
    pub(crate) async fn look_at_access(&mut self) {
        let Some(client) = self.client.clone() else { return };
        if self.lacking.is_some() {
            // Scopes that were granted meanwhile are in new tokens only.
            client.renew().await;
        }
        let before = (self.access.clone(), self.lacking.clone());
        match client.authenticate().await {
            Ok(granted) => {
                self.access = Access::Granted;
                self.lacking = self.lacking.take().filter(|lacking| lacking.remains(&granted));
                if self.lacking.is_some() {
                    let pause = self.pause(&Subject::Access);
                    self.agenda.again(Subject::Access, Instant::now() + pause);
                } else {
                    self.memory.succeeded(&Subject::Access);
                }
            }
            Err(failure) => {
                tracing::warn!(tenant = %self.name, error = %failure, "the tenant gives no token");
                self.access = refused(&failure);
                let mut pause = self.pause(&Subject::Access);
                if let Retry::After(after) = failure.retry() {
                    pause = pause.max(after.min(schedule::MAX_BACKOFF));
                }
                self.agenda.again(Subject::Access, Instant::now() + pause);
            }
        }
        self.report_tenant().await;
        if before != (self.access.clone(), self.lacking.clone()) {
            self.place_all().await;
        }
    }

    /// Learns from a failed call what it says about the tenant as a whole.
    pub(crate) async fn learn(&mut self, failure: &Failure) {
        if let Failure::MissingScope { scopes } = failure {
            self.lacking = Some(Lacking { scopes: scopes.clone(), message: failure.message() });
        } else if failure.reason() == Reason::OptionsHidden {
            self.lacking = Some(Lacking { scopes: vec![READ_OPTIONS.to_owned()], message: failure.message() });
        } else if refuses_credentials(failure) {
            self.access = refused(failure);
        } else {
            return;
        }
        // A try that is planned already is not put off by every connection that shows the same trouble again.
        if !self.agenda.has(&Subject::Access) {
            let pause = self.pause(&Subject::Access);
            self.agenda.again(Subject::Access, Instant::now() + pause);
        }
        self.report_tenant().await;
    }

    /// The settings, when the tenant serves.
    pub(crate) fn settings(&self) -> Option<Settings> {
        match &self.standing {
            Some(Standing::Serving(settings)) => Some(Settings::clone(settings)),
            Some(Standing::Refused(..) | Standing::Unresolved(..)) | None => None,
        }
    }

    /// Why no pass can run at present.
    fn not_ready(&self) -> Option<Outcome> {
        let named = |message: &str| Some(Outcome::TenantNotReady(format!("the ClusterAuth0Tenant {} is not ready: {message}", self.name)));
        match &self.standing {
            None => Some(Outcome::TenantNotFound),
            Some(Standing::Refused(_, message) | Standing::Unresolved(_, message)) => named(message),
            Some(Standing::Serving(_)) => match &self.access {
                Access::Granted => None,
                Access::Untried => named(tenancy::UNTRIED),
                Access::Unknown(message) | Access::Refused(message) | Access::Lacking(message) => named(message),
            },
        }
    }

    /// Whether the credentials are about to be tried: every object is placed again after that, and what is said of them
    /// meanwhile would be news of nothing, once for each object and each start.
    fn is_untried(&self) -> bool {
        matches!((&self.standing, &self.access), (Some(Standing::Serving(_)), Access::Untried))
    }

    // ---- the objects ----

    async fn place_all(&mut self) {
        let objects = self.shared.hub.look(|world| world.objects_of(&self.name));
        let uids: BTreeSet<Uid> = objects.iter().map(|object| object.uid.clone()).collect();
        self.memory.retain(&uids);
        for object in objects {
            self.place(&object).await;
        }
    }

    pub(crate) async fn place_by_key(&mut self, key: &ObjectKey) {
        let object = self.shared.hub.look(|world| world.object(key)).filter(|object| object.policies.tenant == self.name);
        if let Some(object) = object {
            self.place(&object).await;
        }
    }

    /// Concludes an object at once, or puts its connections on the agenda.
    async fn place(&mut self, object: &Declared) {
        match self.placement(object) {
            Placement::Nothing => {}
            Placement::Conclude(outcome) => {
                if self.say(object, object, &outcome, true).await.is_err() {
                    self.retry_object(object);
                } else if matches!(*outcome, Outcome::TenantNotReady(_)) {
                    // Nothing wakes an object when its last look becomes too old to count.
                    for subject in self.subjects(object) {
                        self.agenda.again(subject, Instant::now() + NOT_READY_PACE.min(self.stale_after()));
                    }
                }
            }
            Placement::Look(subjects) => {
                for subject in subjects {
                    self.agenda.edit(subject, Instant::now());
                }
            }
        }
    }

    fn placement(&self, object: &Declared) -> Placement {
        if object.deleting {
            return self.placement_of_deleted(object);
        }
        if let Err(refusal) = &object.spec {
            return Placement::Conclude(Box::new(Outcome::Invalid(refusal.clone())));
        }
        if let Some(outcome) = self.not_ready() {
            return if self.is_untried() { Placement::Nothing } else { Placement::Conclude(Box::new(outcome)) };
        }
        if let Some(outcome) = self.not_admitted(object) {
            return Placement::Conclude(Box::new(outcome));
        }
        Placement::Look(self.subjects(object))
    }

    fn placement_of_deleted(&self, object: &Declared) -> Placement {
        let released = |why: &str| Placement::Conclude(Box::new(Outcome::Released(why.to_owned())));
        if !object.finalizer {
            return Placement::Nothing;
        }
        if self.standing.is_none() {
            return released("its ClusterAuth0Tenant does not exist");
        }
        if !object.cleans_up() {
            return released("its deletionPolicy is Retain, or it only observes");
        }
        if self.settings().is_some_and(|settings| settings.observes) {
            return released("its ClusterAuth0Tenant only observes");
        }
        if let Some(outcome) = self.not_ready() {
            return if self.is_untried() { Placement::Nothing } else { Placement::Conclude(Box::new(outcome)) };
        }
        if self.not_admitted(object).is_some() {
            return released("the tenant does not admit it any more");
        }
        match self.subjects(object) {
            subjects if subjects.is_empty() => released("nothing is recorded as its own"),
            subjects => Placement::Look(subjects),
        }
    }

    /// Why an object may do nothing here, as far as that can be told without looking at the connection.
    fn not_admitted(&self, object: &Declared) -> Option<Outcome> {
        let settings = self.settings()?;
        let labels = self.shared.hub.look(|world| world.labels(&object.key.namespace));
        if !settings.admits_namespace(&labels) {
            return Some(not_permitted(&self.name, object, None));
        }
        match &object.spec {
            // An object with a record elsewhere still has to leave it.
            Ok(spec) if !claims::any(&object.status) => match &spec.target {
                Target::Name(name) if settings.admission(&labels, name).is_none() => Some(not_permitted(&self.name, object, Some(name))),
                Target::Name(_) | Target::Id(_) => None,
            },
            Ok(_) | Err(_) => None,
        }
    }

    /// Where an object has to be looked at: the connection it names, and those it holds a record on.
    fn subjects(&self, object: &Declared) -> Vec<Subject> {
        let mut subjects: BTreeSet<Subject> = claims::connections(&object.status).map(|id| Subject::Id(id.to_owned())).collect();
        if let (Ok(spec), true) = (&object.spec, !object.deleting || subjects.is_empty()) {
            subjects.insert(self.subject_of(&spec.target));
        }
        subjects.into_iter().collect()
    }

    /// By id where it is known: reading by id needs no filter.
    pub(crate) fn subject_of(&self, target: &Target) -> Subject {
        match (self.directory.id_of(target), target) {
            (Some(id), _) => Subject::Id(id.to_owned()),
            (None, Target::Name(name) | Target::Id(name)) => Subject::Name(name.clone()),
        }
    }

    pub(crate) fn retry_object(&mut self, object: &Declared) {
        for subject in self.subjects(object) {
            let pause = self.pause(&subject);
            self.agenda.again(subject, Instant::now() + pause);
        }
    }

    /// Says of the objects at a place that the tenant is not ready.
    pub(crate) async fn place_subject(&mut self, subject: &Subject) {
        for object in self.shared.hub.look(|world| world.objects_of(&self.name)) {
            if self.subjects(&object).contains(subject) {
                self.place(&object).await;
            }
        }
    }

    /// Concludes a pass for one object: finalizer, status, events, clocks. `as_planned` is the object as the pass saw
    /// it, `current` as it is stored now.
    pub(crate) async fn say(
        &mut self,
        as_planned: &Declared,
        current: &Declared,
        outcome: &Outcome,
        placed: bool,
    ) -> Result<(), WriteError> {
        let now = Instant::now();
        let observing =
            as_planned.policies.management == ManagementPolicy::Observe || self.settings().is_some_and(|settings| settings.observes);
        let (since_good_look, unready_for) = self.memory.ages(&as_planned.uid, as_planned.generation, now);
        let context = Context { now: now_in_seconds(), observing, placed, since_good_look, stale_after: self.stale_after(), unready_for };
        let conclusion = conclude::conclude(as_planned, outcome, &context);
        let mut stored = current.clone();
        if conclusion.finalizer == Finalizer::Add {
            stored = self.shared.report.finalizer(&stored, true).await?;
        }
        if conclusion.status != stored.status {
            stored = self.shared.report.status(&stored, &conclusion.status).await?;
        }
        // Told before the object can go: what is left to do when this fails is only to let it go.
        for notice in &conclusion.notices {
            if !self.shared.report.notice(as_planned, notice).await && notice.reason == EventReason::ParametersLeft.as_str() {
                self.tell_of_left(&as_planned.key, &format!("its namespace takes no events any more; {}", notice.note)).await;
            }
        }
        if conclusion.finalizer == Finalizer::Remove {
            self.shared.report.finalizer(&stored, false).await?;
        }
        if placed {
            let ready = conclude::condition(&conclusion.status, ConditionType::Ready);
            let (is_ready, reason) = ready.map(|ready| (ready.status == "True", ready.reason.clone())).unwrap_or_default();
            self.memory.ended(&as_planned.uid, as_planned.generation, is_ready, now);
            // Anybody may name a tenant that does not exist, and so many labels are not wanted.
            self.shared.metrics.pass(if self.standing.is_some() { &self.name } else { "" }, &reason);
            let connection = conclusion.status.target.as_deref().unwrap_or_default();
            tracing::info!(tenant = %self.name, object = %as_planned.key, connection, ready = is_ready, reason, "pass");
        }
        Ok(())
    }

    /// How long a look stays good: three times the longer of the resync interval and one full look at the allowed rate.
    fn stale_after(&self) -> Duration {
        // From what is declared, which is there also while the Secret is not.
        let Some(spec) = self.declared_tenant().and_then(|tenant| tenant.spec.clone()) else { return Duration::from_mins(30) };
        let reads = u32::try_from(spec.rate_limit.reads_per_minute).unwrap_or(1).max(1);
        let connections = u32::try_from(self.directory.len()).unwrap_or(u32::MAX);
        let full_look = Duration::from_mins(1).saturating_mul(connections) / reads;
        let resync = Duration::from_secs(u64::try_from(spec.resync_interval_seconds).unwrap_or(600).max(5));
        resync.max(full_look) * 3
    }

    /// The pause before the next try at something that failed.
    pub(crate) fn pause(&mut self, subject: &Subject) -> Duration {
        schedule::backoff(self.memory.failed(subject), fastrand::f64())
    }
}

fn refuses_credentials(failure: &Failure) -> bool {
    matches!(failure, Failure::CredentialsRejected { .. } | Failure::Unauthorized { .. })
}

fn refused(failure: &Failure) -> Access {
    if refuses_credentials(failure) { Access::Refused(failure.message()) } else { Access::Unknown(failure.message()) }
}

/// What the status says where access does not admit an object.
pub(crate) fn not_permitted(tenant: &str, object: &Declared, connection: Option<&str>) -> Outcome {
    let (what, needed) = connection.map_or_else(
        || (String::new(), "that matches its labels"),
        |name| (format!(" to the connection {name}"), "that matches its labels and the connection"),
    );
    Outcome::NotPermitted(format!(
        "the ClusterAuth0Tenant {tenant} does not admit the namespace {}{what}; ask its owner for an access entry {needed}",
        object.key.namespace
    ))
}

/// A trouble as a failed call is one.
pub(crate) fn trouble(failure: &Failure) -> Trouble {
    let reason = failure.reason();
    let tenant = failure.tenant_trouble() || matches!(reason, Reason::RemoteUnavailable | Reason::RateLimited);
    Trouble { reason, message: failure.message(), tenant }
}

/// The time as Kubernetes writes it: whole seconds.
pub(crate) fn now_in_seconds() -> jiff::Timestamp {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now)
}
