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

use crate::api::reason::{ConditionType, Reason};
use crate::api::upstream_params::ManagementPolicy;
use crate::auth0::{
    AllowedDomains, Budget, Call, Client, Credentials, Failure, Granted, NEEDED_SCOPES, Rate, Route, SharedSecret, Silence, Transport,
};
use crate::cluster::report::{Report, WriteError};
use crate::core::claims;
use crate::core::conclude::{self, Context, Finalizer, Outcome, Trouble};
use crate::core::directory::Directory;
use crate::core::document::DocumentError;
use crate::core::evidence::{Evidence, READ_OPTIONS};
use crate::core::memory::Memory;
use crate::core::schedule::{self, Agenda, Next, Subject};
use crate::core::tenancy::{self, Access, Settings, Standing};
use crate::core::validate::Target;
use crate::core::world::{Declared, DeclaredTenant, ObjectKey, Uid};
use crate::hub::Hub;
use crate::telemetry::Metrics;

/// How often the objects of a tenant that is not ready are concluded anew, at least.
const NOT_READY_PACE: Duration = Duration::from_mins(1);

/// How long a tenant may give no answer before that is said of it.
const SILENCE_GRACE: Duration = Duration::from_secs(10);

/// How long a Secret may be away before that is said and its credentials are used no more: tools that sync Secrets delete them and
/// make them anew.
const SECRET_GRACE: Duration = Duration::from_secs(15);

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
    /// Whether it is the API that refuses the credentials: then no token proves anything, but a call that succeeds does.
    refused_by_api: bool,
    /// What the calls showed of the tenant as a whole.
    evidence: Evidence,
    /// Why no new token can be had, while the one at hand still holds.
    renewal: Option<String>,
    /// The settings that were served with last, for when their Secret is away for a moment.
    kept: Option<Kept>,
    /// The connections to which a write may still be under way, and until when.
    unsettled: BTreeMap<String, Instant>,
}

/// Settings whose Secret may be away.
struct Kept {
    settings: Box<Settings>,
    /// Since it is: until when they serve.
    until: Option<Instant>,
}

/// Scopes that are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lacking {
    scopes: Vec<String>,
    /// What to do about it.
    pub(crate) message: String,
}

impl Lacking {
    fn new(scopes: Vec<String>) -> Self {
        Self { message: Failure::MissingScope { scopes: scopes.clone() }.message(), scopes }
    }

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
            refused_by_api: false,
            evidence: Evidence::default(),
            renewal: None,
            kept: None,
            unsettled: BTreeMap::new(),
        }
    }

    /// What is to be done now, as far as the budget allows it.
    pub(crate) fn next(&mut self) -> Next {
        let now = Instant::now();
        let opens_at = self.budget.lock().unwrap_or_else(PoisonError::into_inner).opens_at(now);
        let grace_ends = self.kept.as_ref().and_then(|kept| kept.until);
        match grace_ends {
            None => self.agenda.next(now, opens_at),
            Some(end) if end <= now => Next::Look(Subject::Access),
            Some(end) => match self.agenda.next(now, opens_at) {
                Next::Wait(until) => Next::Wait(until.min(end)),
                Next::Idle => Next::Wait(end),
                look @ Next::Look(_) => look,
            },
        }
    }

    /// An object is gone: whoever waited for its parameters on these connections may have them now.
    pub(crate) fn vacated(&mut self, target: Option<&Target>, connections: Vec<String>) {
        let named = target.map(|target| self.subject_of(target));
        for subject in named.into_iter().chain(connections.into_iter().map(Subject::Id)) {
            self.agenda.edit(subject, Instant::now());
        }
    }

    /// The client, while the tenant serves.
    pub(crate) fn client(&self) -> Option<Arc<Client>> {
        self.client.clone()
    }

    // ---- the tenant itself ----

    /// Judges the tenant anew. When that changes anything, every object is looked at anew.
    pub(crate) async fn refresh(&mut self) {
        let now = Instant::now();
        match (self.judge_with(None), &mut self.kept) {
            (Some(Standing::Serving(settings)), _) => self.kept = Some(Kept { settings, until: None }),
            (Some(Standing::Unresolved(..)), Some(kept)) if kept.until.is_none_or(|until| now < until) => {
                kept.until.get_or_insert(now + SECRET_GRACE);
            }
            (Some(Standing::Unresolved(..) | Standing::Refused(..)) | None, _) => self.kept = None,
        }
        let standing = self.judge();
        if standing == self.standing {
            return self.report_tenant().await;
        }
        self.take_on(standing);
        self.report_tenant().await;
        self.place_all().await;
    }

    /// Whether the tenant is to be judged anew before anything is planned.
    pub(crate) fn is_outdated(&self) -> bool {
        self.judge() != self.standing
    }

    /// What the tenant object amounts to, with the credentials that are kept while their Secret is away.
    fn judge(&self) -> Option<Standing> {
        self.judge_with(self.kept.as_ref().map(|kept| &*kept.settings))
    }

    fn judge_with(&self, kept: Option<&Settings>) -> Option<Standing> {
        let shared = &self.shared;
        shared.hub.look(|world| tenancy::standing_with(world, &self.name, &shared.allowed, &shared.namespace, kept))
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
            self.refused_by_api = false;
            self.evidence = Evidence::default();
            self.renewal = None;
            self.memory.succeeded(&Subject::Access);
            self.agenda.edit(Subject::Access, now);
        }
    }

    fn new_client(&self, settings: &Settings) -> Client {
        let (budget, metrics, tenant) = (self.budget.clone(), self.shared.metrics.clone(), self.name.clone());
        let observer = move |call: &Call| {
            let now = Instant::now();
            let mut budget = budget.lock().unwrap_or_else(PoisonError::into_inner);
            // A renewed token repeats a request; that the bucket is empty then is for the next pass to heed.
            let _ = budget.take(call.route, now);
            budget.observe(call, now);
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
        let access = match (&self.access, &self.lacking, self.evidence.silence().or(self.renewal.as_deref())) {
            (Access::Granted, Some(lacking), _) => Access::Lacking(lacking.message.clone()),
            (Access::Granted, None, Some(trouble)) => Access::Troubled(trouble.to_owned()),
            (access, _, _) => access.clone(),
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

    /// Tries the credentials. Yields what to look at for it where only a call of the API can tell.
    pub(crate) async fn look_at_access(&mut self) -> Option<Subject> {
        let client = self.client.clone()?;
        if self.lacking.is_some() {
            // Scopes that were granted meanwhile are in new tokens only.
            client.renew().await;
        }
        let before = (self.access.clone(), self.lacking.clone());
        match client.authenticate().await {
            Ok(_) if self.refused_by_api => {
                if let Some(subject) = self.any_subject() {
                    return Some(subject);
                }
                self.accepted();
            }
            Ok(granted) => {
                self.access = Access::Granted;
                let was_lacking = self.lacking.is_some();
                self.lacking = self.lacking.take().filter(|lacking| lacking.remains(&granted));
                if self.lacking.is_some() || self.evidence.silence().is_some() {
                    let pause = self.pause(&Subject::Access);
                    self.agenda.again(Subject::Access, Instant::now() + pause);
                } else if granted.scopes.is_some() || !was_lacking {
                    // A token that does not say is only worth a try, which may fail as the last one did.
                    self.memory.succeeded(&Subject::Access);
                }
            }
            Err(failure) => {
                tracing::warn!(tenant = %self.name, error = %failure, "the tenant gives no token");
                self.no_token(&client, &failure).await;
            }
        }
        self.report_tenant().await;
        if before != (self.access.clone(), self.lacking.clone()) {
            self.place_all().await;
        }
        None
    }

    /// After a look that should show whether the API still refuses the credentials: if it didn't, there is another.
    pub(crate) fn after_trial(&mut self) {
        if self.refused_by_api && !self.agenda.has(&Subject::Access) {
            let pause = self.pause(&Subject::Access);
            self.agenda.again(Subject::Access, Instant::now() + pause);
        }
    }

    /// Some place where one of the tenant's objects is to be looked at: not always the same one, which may have a trouble of
    /// its own.
    fn any_subject(&self) -> Option<Subject> {
        let objects = self.shared.hub.look(|world| world.objects_of(&self.name));
        let looked_at = objects.iter().filter(|object| matches!(self.admitted_placement(object), Placement::Look(_)));
        let mut subjects: Vec<Subject> = looked_at.flat_map(|object| self.subjects(object)).collect();
        (!subjects.is_empty()).then(|| subjects.swap_remove(fastrand::usize(..subjects.len())))
    }

    /// There is no token to work with: nobody asks for one before the pause is over that the token endpoint is due.
    async fn no_token(&mut self, client: &Client, failure: &Failure) {
        self.access = self.refused(failure);
        self.refused_by_api = false;
        let pause = self.pause(&Subject::Access);
        let due = client.token_trouble().await.map_or_else(|| Instant::now() + pause, |trouble| trouble.until);
        self.agenda.again(Subject::Access, due);
    }

    fn accepted(&mut self) {
        self.access = Access::Granted;
        self.refused_by_api = false;
        self.memory.succeeded(&Subject::Access);
    }

    /// Auth0 answered a call about a connection: whatever was held against the tenant as a whole is over.
    pub(crate) async fn answered(&mut self, client: &Client) {
        let renewal = client.token_trouble().await.map(|trouble| self.said_of(&trouble.failure));
        let news = self.evidence.answered() || self.refused_by_api || renewal != self.renewal;
        self.renewal = renewal;
        if !news {
            return;
        }
        let was_refused = self.refused_by_api;
        if was_refused {
            self.accepted();
        }
        if self.lacking.is_none() && self.evidence.silence().is_none() && !was_refused {
            self.memory.succeeded(&Subject::Access);
            self.agenda.forget(&Subject::Access);
        }
        self.report_tenant().await;
        if was_refused {
            self.place_all().await;
        }
    }

    /// A connection showed its options, or a write went through: the token has the scope for it.
    pub(crate) async fn proved(&mut self, client: &Client, route: Route) {
        let Ok(granted) = client.authenticate().await else { return };
        if route.is_write() {
            self.evidence.wrote(granted.token);
            return;
        }
        self.evidence.showed_options(granted.token);
        // A token that names its scopes has said whether it lacks this one.
        if granted.scopes.is_none() && self.lacking.as_ref().is_some_and(|lacking| lacking.scopes == [READ_OPTIONS]) {
            self.lacking = None;
            self.memory.succeeded(&Subject::Access);
            self.report_tenant().await;
            self.place_all().await;
        }
    }

    /// Learns from a failed call what it says about the tenant as a whole. Yields the failure as it is to be told: what is the
    /// trouble of one connection is not held against the tenant.
    pub(crate) async fn learn(&mut self, subject: &Subject, failure: Failure) -> Failure {
        let Some(client) = self.client.clone() else { return failure };
        if client.token_trouble().await.is_some_and(|trouble| !trouble.held && trouble.failure == failure) {
            self.no_token(&client, &failure).await;
            self.report_tenant().await;
            return failure;
        }
        let asks_for_scopes =
            matches!(failure, Failure::MissingScope { .. } | Failure::BadDocument { error: DocumentError::OptionsHidden, .. });
        if let Failure::Unauthorized { .. } = failure {
            self.access = self.refused(&failure);
            self.refused_by_api = true;
        } else if asks_for_scopes && let Ok(granted) = client.authenticate().await {
            if let Some(own) = self.trouble_of_its_own(subject, &failure, &granted) {
                return own;
            }
        } else {
            self.heard_nothing(subject, &failure);
            return failure;
        }
        self.plan_access();
        self.report_tenant().await;
        failure
    }

    /// A connection lets something be done only with a scope. Yields the failure as it is to be told when the token has that
    /// scope; else the tenant as a whole lacks it from now on.
    fn trouble_of_its_own(&mut self, subject: &Subject, failure: &Failure, granted: &Granted) -> Option<Failure> {
        let (place, known, scopes) = (subject.to_string(), self.known(), granted.scopes.as_deref());
        if let Failure::MissingScope { scopes: named } = failure {
            let asked = if named.is_empty() { NEEDED_SCOPES.map(str::to_owned).to_vec() } else { named.clone() };
            let Some(missing) = self.evidence.lacks(&place, &asked, scopes, granted.token, known) else {
                return Some(Failure::Forbidden {
                    message: format!("it asks for {}, which the operator's application has", asked.join(", ")),
                });
            };
            self.lacking = Some(Lacking::new(missing));
        } else if self.evidence.hid_options(&place, scopes, granted.token, known) {
            self.lacking = Some(Lacking { scopes: vec![READ_OPTIONS.to_owned()], message: failure.message() });
        } else {
            return Some(Failure::BadDocument { route: Route::ReadConnection, error: DocumentError::OptionsUnusable });
        }
        None
    }

    /// Notes a call that got no answer. When it lasts, the look at the tenant's access that is planned here says so.
    fn heard_nothing(&mut self, subject: &Subject, failure: &Failure) {
        let of_the_host = match failure.silence() {
            Silence::None => return,
            Silence::Here => false,
            Silence::OfTheHost => true,
        };
        let known = self.known();
        if self.evidence.unanswered(subject, &failure.message(), of_the_host, known) && !self.agenda.has(&Subject::Access) {
            self.agenda.again(Subject::Access, Instant::now() + SILENCE_GRACE);
        }
    }

    /// A try that is planned already is not put off by every connection that shows the same trouble again.
    fn plan_access(&mut self) {
        if !self.agenda.has(&Subject::Access) {
            let pause = self.pause(&Subject::Access);
            self.agenda.again(Subject::Access, Instant::now() + pause);
        }
    }

    /// How many places the tenant's objects name.
    fn known(&self) -> usize {
        let objects = self.shared.hub.look(|world| world.objects_of(&self.name));
        objects.iter().flat_map(|object| self.subjects(object)).collect::<BTreeSet<_>>().len()
    }

    fn refused(&self, failure: &Failure) -> Access {
        if refuses_credentials(failure) {
            return Access::Refused(self.said_of(failure));
        }
        Access::Unknown(failure.reason(), failure.message())
    }

    /// What is said of a failure, with what looks wrong about the credentials where it is about them.
    fn said_of(&self, failure: &Failure) -> String {
        let oddity =
            self.settings().and_then(|settings| settings.oddity).filter(|_| matches!(failure, Failure::CredentialsRejected { .. }));
        oddity.map_or_else(|| failure.message(), |oddity| format!("{}; {oddity}", failure.message()))
    }

    /// A write to this connection had no answer: it may arrive yet, for as long as any call may take.
    pub(crate) fn may_still_land(&mut self, connection: &str) {
        let now = Instant::now();
        self.unsettled.retain(|_, until| now < *until);
        self.unsettled.insert(connection.to_owned(), now + self.shared.transport.request_timeout());
    }

    /// How long a write to this connection may still be under way.
    pub(crate) fn unsettled_for(&self, connection: &str) -> Option<Duration> {
        self.unsettled.get(connection).map(|until| until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
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
                Access::Granted | Access::Troubled(_) => None,
                Access::Untried => named(tenancy::UNTRIED),
                Access::Unknown(Reason::TenantNotReady, message) | Access::Refused(message) | Access::Lacking(message) => named(message),
                Access::Unknown(reason, message) => {
                    Some(Outcome::Unread(Trouble { reason: *reason, message: message.clone(), tenant: true }))
                }
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
                } else if matches!(*outcome, Outcome::TenantNotReady(_) | Outcome::Unread(_)) {
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
        self.admitted_placement(object)
    }

    /// Where an object belongs while the tenant can be used.
    fn admitted_placement(&self, object: &Declared) -> Placement {
        match self.not_admitted(object) {
            Some(outcome) => Placement::Conclude(Box::new(outcome)),
            None => Placement::Look(self.subjects(object)),
        }
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
        if conclusion.finalizer == Finalizer::Remove {
            self.shared.report.finalizer(&stored, false).await?;
        }
        for notice in &conclusion.notices {
            self.shared.report.notice(as_planned, notice).await;
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
