//! One tenant, as this process knows it: the only owner of its directory, budget, token, agenda and memory. No locks but
//! for the budget, which the observer of each call keeps.
//!
//! Decides whether the tenant can be used and says so in its status; brings each object to a conclusion at once or its
//! connections onto the agenda; writes what was concluded. What is due is run by [`crate::reconcile::driver`], one at a time, with
//! [`crate::reconcile::pass`].
//!
//! Guarantees: an object is concluded from the world as it is, never from a copy that was kept; what can't be written
//! now is tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::api::FINALIZER;
use crate::api::reason::{ConditionType, EventReason};
use crate::api::upstream_params::ManagementPolicy;
use crate::auth0::{Budget, Call, Client, Credentials, Failure, Granted, NEEDED_SCOPES, Rate, Route, SharedSecret, Silence, Transport};
use crate::core::obstacle::{Obstacle, ObstacleReason};
use crate::core::pass::claims;
use crate::core::pass::directory::Directory;
use crate::core::pass::memory::Memory;
use crate::core::schedule::{self, Agenda, Chore, Chores, Next, Subject};
use crate::core::spec::{Spec, Target};
use crate::core::status::{self, Context, Finalizer, Notice, Outcome};
use crate::core::tenant::evidence::{Evidence, READ_OPTIONS};
use crate::core::tenant::{self, Access, Settings, Standing};
use crate::core::world::{Connection, Declared, DeclaredTenant, Kind, Left, World};
use crate::kubernetes::hub::Hub;
use crate::kubernetes::report::{Report, WriteError};
use crate::model::document::DocumentError;
use crate::model::domain::AllowedDomains;
use crate::model::identity::{ConnectionId, ConnectionName, ObjectKey, TenantIdentity, Uid};
use crate::reconcile::failure::obstacle_of;
use crate::telemetry::Metrics;

/// How long a deletion waits for what is not known, such as its namespace: longer than a watch that failed takes to be
/// tried again.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often it is asked again whether it is known now, at most.
const UNKNOWN_PACE: Duration = Duration::from_secs(5);

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

#[cfg(test)]
impl Shared {
    /// What drivers share where the API server refuses every write, and no tenant can be reached.
    pub(crate) fn refused(hub: Arc<Hub>) -> Self {
        use crate::auth0::{TransportOptions, install_crypto_provider};

        install_crypto_provider();
        let refusing = axum::Router::new().fallback(|| async { axum::http::StatusCode::FORBIDDEN });
        let nowhere = TransportOptions { endpoint_override: Some("http://127.0.0.1:9".to_owned()), ..TransportOptions::default() };
        Self {
            report: Report::new(kube::Client::new(refusing, "default"), hub.clone()),
            metrics: Arc::new(Metrics::new(hub.clone())),
            hub,
            transport: Transport::new(&nowhere).unwrap(),
            allowed: AllowedDomains::default(),
            namespace: "default".to_owned(),
            turns: Arc::new(Turns::default()),
            stop: CancellationToken::new(),
        }
    }
}

/// How many budgets are kept before those of tenants that are gone are forgotten.
const MAX_BUDGETS: usize = 1000;

/// What belongs to an Auth0 tenant whichever object stands for it: the lock that is held during a pass, and the budget, which
/// must not be new because the object or its Secret is.
#[derive(Debug, Default)]
pub struct Turns {
    locks: Mutex<BTreeMap<TenantIdentity, Arc<tokio::sync::Mutex<()>>>>,
    budgets: Mutex<BTreeMap<TenantIdentity, Arc<Mutex<Budget>>>>,
}

impl Turns {
    pub(crate) fn of(&self, identity: &TenantIdentity) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        // Of tenants that are gone nobody holds one any more.
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry(identity.clone()).or_default().clone()
    }

    /// The budget of this tenant, at this rate. A changed rate gives nothing away: what is used up, or closed by a 429, stays so.
    fn budget(&self, identity: &TenantIdentity, reads: Rate, requests: Rate, now: Instant) -> Arc<Mutex<Budget>> {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        if budgets.len() > MAX_BUDGETS {
            budgets.retain(|_, budget| Arc::strong_count(budget) > 1);
        }
        let fresh = || Arc::new(Mutex::new(Budget::new(reads, requests, now)));
        let budget = budgets.entry(identity.clone()).or_insert_with(fresh).clone();
        let mut known = budget.lock().unwrap_or_else(PoisonError::into_inner);
        known.reads.set_rate(reads, now);
        known.requests.set_rate(requests, now);
        drop(known);
        budget
    }
}

/// One tenant, as this process knows it.
pub struct Tenant {
    pub(crate) name: String,
    /// Whether this stands for no tenant, but for all objects whose tenant does not exist. Its name is empty.
    strays: bool,
    pub(crate) shared: Shared,
    standing: Option<Standing>,
    client: Option<Arc<Client>>,
    budget: Arc<Mutex<Budget>>,
    pub(crate) agenda: Agenda,
    pub(crate) chores: Chores,
    /// Whether it was a chore that was done last: then a look that is due comes first, as chores may last and come again.
    did_chore: bool,
    /// Since when a deletion waits for what is not known yet.
    waits: BTreeMap<Uid, Instant>,
    /// What was told of a deletion that is not through yet.
    told: BTreeSet<(Uid, String)>,
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
    unsettled: BTreeMap<ConnectionId, Instant>,
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

/// What is to be done about an object that changed: what to say of it at once, and where to look.
#[derive(Default)]
struct Placement {
    outcome: Option<Outcome>,
    look: Vec<Subject>,
}

impl Placement {
    fn conclude(outcome: Outcome) -> Self {
        Self { outcome: Some(outcome), look: Vec::new() }
    }

    fn look(look: Vec<Subject>) -> Self {
        Self { outcome: None, look }
    }
}

impl Tenant {
    /// A tenant of which nothing is known yet.
    pub fn new(name: String, shared: Shared) -> Self {
        let rate = Rate::new(1, 1);
        Self {
            name,
            strays: false,
            shared,
            standing: None,
            client: None,
            budget: Arc::new(Mutex::new(Budget::new(rate, rate, Instant::now()))),
            agenda: Agenda::default(),
            chores: Chores::default(),
            did_chore: false,
            waits: BTreeMap::new(),
            told: BTreeSet::new(),
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

    /// What stands for the tenants that do not exist.
    pub fn of_strays(shared: Shared) -> Self {
        Self { strays: true, ..Self::new(String::new(), shared) }
    }

    /// Whether an object is to be concluded here.
    fn serves(&self, world: &World, object: &Declared) -> bool {
        let tenant = &object.policies.tenant;
        if self.strays { world.tenant(tenant).is_none() } else { *tenant == self.name }
    }

    /// The objects that are to be concluded here.
    fn objects(&self) -> Vec<Arc<Declared>> {
        self.shared.hub.look(|world| if self.strays { world.strays() } else { world.objects_of(&self.name).cloned().collect() })
    }

    /// A connection of this tenant, by as much as is known of it.
    pub(crate) fn connection<'a>(&'a self, id: Option<&'a ConnectionId>, name: Option<&'a ConnectionName>) -> Connection<'a> {
        Connection { tenant: &self.name, identity: self.identity(), id, name }
    }

    /// The connection that stands behind a subject, as far as it is known; none behind a name whose id is known, as that
    /// is looked at by its id.
    pub(crate) fn connection_of<'a>(&'a self, subject: &'a Subject) -> Option<Connection<'a>> {
        match subject {
            Subject::Access => None,
            Subject::Id(id) => Some(self.connection(Some(id), self.directory.name_of(id))),
            Subject::Name(name) => {
                let unseen = self.directory.id_of(&Target::Name(name.clone())).is_none();
                unseen.then(|| self.connection(None, Some(name)))
            }
        }
    }

    /// The objects that the connection behind a subject concerns.
    pub(crate) fn concerned(&self, subject: &Subject) -> Vec<Arc<Declared>> {
        let concerned = |connection| self.shared.hub.look(|world| world.concerned(&connection));
        self.connection_of(subject).map(concerned).unwrap_or_default()
    }

    /// Forgets what was noted of objects that are gone. Yields how many are there.
    pub(crate) fn forget_gone(&mut self) -> usize {
        let objects = self.objects();
        let uids: BTreeSet<Uid> = objects.iter().map(|object| object.uid.clone()).collect();
        let places: BTreeSet<Subject> = objects.iter().flat_map(|object| self.subjects(object)).collect();
        let keys: BTreeSet<&ObjectKey> = objects.iter().map(|object| &object.key).collect();
        self.memory.retain(&uids, &places);
        self.directory.retain(|id| places.contains(&Subject::Id(id.clone())));
        self.waits.retain(|uid, _| uids.contains(uid));
        self.told.retain(|(uid, _)| uids.contains(uid));
        self.chores.retain(|key| keys.contains(key));
        objects.len()
    }

    /// What is to be done now, as far as the budget allows it: chores and looks by turns.
    pub(crate) fn next(&mut self) -> Next {
        let now = Instant::now();
        if !std::mem::take(&mut self.did_chore)
            && let Some(chore) = self.chores.take(now)
        {
            self.did_chore = true;
            return Next::Chore(chore);
        }
        let opens_at = self.budget.lock().unwrap_or_else(PoisonError::into_inner).opens_at(now);
        let next = self.agenda.next(now, opens_at);
        let grace_ends = self.kept.as_ref().and_then(|kept| kept.until);
        if grace_ends.is_some_and(|end| end <= now) && !matches!(next, Next::Look(_)) {
            return Next::Look(Subject::Access);
        }
        match (next, self.chores.first().into_iter().chain(grace_ends).min()) {
            (Next::Wait(until), Some(other)) => Next::Wait(until.min(other)),
            (Next::Idle, Some(other)) => Next::Wait(other),
            (next, _) => next,
        }
    }

    /// Does what needs no call to Auth0.
    pub(crate) async fn do_chore(&mut self, chore: Chore) {
        match chore {
            Chore::Tenant => self.report_tenant().await,
            Chore::Object(key) => self.place_by_key(&key, true).await,
        }
    }

    /// An object is gone: whoever waited for its parameters on these connections may have them now.
    pub(crate) fn vacated(&mut self, target: Option<&Target>, connections: Vec<ConnectionId>) {
        let named = target.map(|target| self.subject_of(target));
        for subject in named.into_iter().chain(connections.into_iter().map(Subject::Id)) {
            self.agenda.edit(subject, Instant::now());
        }
    }

    /// An object is gone that left what it owned.
    pub(crate) async fn left(&self, left: &Left, uid: &Uid, why: &str) {
        let notice = status::left_behind(&left.records, why);
        tracing::info!(tenant = %self.name, object = %left.object, note = notice.note, "an object is gone, and left its parameters");
        self.shared.report.notice_of(&left.object, uid, &notice).await;
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
            self.report_tenant().await;
            if !self.waits.is_empty() {
                self.place_all().await;
            }
            return;
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
        shared.hub.look(|world| tenant::standing_with(world, &self.name, &shared.allowed, &shared.namespace, kept))
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
        let same_tenant = matches!(&old, Some(Standing::Serving(old)) if old.audience.identity() == settings.audience.identity());
        let same_rate = same_tenant && matches!(&old, Some(Standing::Serving(old)) if old.rate_limit == settings.rate_limit);
        if !same_rate {
            let per_minute = |count: i32| Rate::new(count.unsigned_abs().max(1), settings.rate_limit.burst.unsigned_abs().max(1));
            let (reads, requests) = (per_minute(settings.rate_limit.reads_per_minute), per_minute(settings.rate_limit.requests_per_minute));
            self.budget = self.shared.turns.budget(settings.audience.identity(), reads, requests, now);
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
            return self.chores.done(&Chore::Tenant);
        };
        let access = match (&self.access, &self.lacking, self.evidence.silence().or(self.renewal.as_deref())) {
            (Access::Granted, Some(lacking), _) => Access::Lacking(lacking.message.clone()),
            (Access::Granted, None, Some(trouble)) => Access::Troubled(trouble.to_owned()),
            (access, _, _) => access.clone(),
        };
        let status = status::tenant::conclude(&tenant, standing, &access, now_in_seconds());
        if status == tenant.status {
            return self.chores.done(&Chore::Tenant);
        }
        let ready = status.conditions.first().map(|ready| (ready.status.clone(), ready.reason.clone())).unwrap_or_default();
        tracing::info!(tenant = %self.name, ready = %ready.0, reason = %ready.1, "tenant");
        match self.shared.report.tenant_status(&tenant, &status).await {
            Ok(()) => {
                self.chores.done(&Chore::Tenant);
                for notice in status::transitions(&tenant.status.conditions, &status.conditions) {
                    self.shared.report.tenant_notice(&tenant, &notice).await;
                }
            }
            Err(error) => {
                tracing::warn!(tenant = %self.name, %error, "the tenant's status could not be written and is tried again");
                self.chores.failed(Chore::Tenant, Instant::now(), fastrand::f64());
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
                if self.known() == 0 {
                    // There is nobody left for whom it could be asked again: what was silent is nobody's trouble any more.
                    self.evidence.answered();
                }
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
        let objects = self.objects();
        let looked_at = objects.iter().filter(|object| self.admitted_placement(object).outcome.is_none());
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
        let (known, scopes) = (self.known(), granted.scopes.as_deref());
        if let Failure::MissingScope { scopes: named } = failure {
            let asked = if named.is_empty() { NEEDED_SCOPES.map(str::to_owned).to_vec() } else { named.clone() };
            let Some(missing) = self.evidence.lacks(subject, &asked, scopes, granted.token, known) else {
                return Some(Failure::Forbidden {
                    message: format!("it asks for {}, which the operator's application has", asked.join(", ")),
                });
            };
            self.lacking = Some(Lacking::new(missing));
        } else if self.evidence.hid_options(subject, scopes, granted.token, known) {
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

    /// How many places the tenant's objects name: none, one, or two where there are more, as nothing depends on how many.
    fn known(&self) -> usize {
        let two = |world: &World| {
            let mut places = world.objects_of(&self.name).flat_map(|object| self.subjects(object));
            let Some(first) = places.next() else { return 0 };
            if places.any(|other| other != first) { 2 } else { 1 }
        };
        self.shared.hub.look(two)
    }

    fn refused(&self, failure: &Failure) -> Access {
        if refuses_credentials(failure) {
            return Access::Refused(self.said_of(failure));
        }
        Access::Unknown(Obstacle { tenant_wide: true, ..obstacle_of(failure) })
    }

    /// What is said of a failure, with what looks wrong about the credentials where it is about them.
    fn said_of(&self, failure: &Failure) -> String {
        let oddity =
            self.serving().and_then(|settings| settings.oddity.clone()).filter(|_| matches!(failure, Failure::CredentialsRejected { .. }));
        oddity.map_or_else(|| failure.message(), |oddity| format!("{}; {oddity}", failure.message()))
    }

    /// A write to this connection had no answer: it may arrive yet, for as long as any call may take.
    pub(crate) fn may_still_land(&mut self, connection: &ConnectionId) {
        let now = Instant::now();
        self.unsettled.retain(|_, until| now < *until);
        self.unsettled.insert(connection.clone(), now + self.shared.transport.request_timeout());
    }

    /// How long a write to this connection may still be under way.
    pub(crate) fn unsettled_for(&self, connection: &ConnectionId) -> Option<Duration> {
        self.unsettled.get(connection).map(|until| until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// The settings, when the tenant serves.
    pub(crate) fn settings(&self) -> Option<Settings> {
        self.serving().cloned()
    }

    /// See [`Tenant::settings`]; for a look at them only.
    pub(crate) fn serving(&self) -> Option<&Settings> {
        match &self.standing {
            Some(Standing::Serving(settings)) => Some(settings),
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
                Access::Untried => named(tenant::UNTRIED),
                Access::Refused(message) | Access::Lacking(message) => named(message),
                Access::Unknown(obstacle) if obstacle.reason == ObstacleReason::TenantNotReady => named(&obstacle.message),
                Access::Unknown(obstacle) => Some(Outcome::Unread(obstacle.clone())),
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
        self.forget_gone();
        for object in self.objects() {
            if self.shared.stop.is_cancelled() {
                return;
            }
            self.place(&object, false).await;
        }
    }

    /// Somebody wrote an object's status: it is placed anew at once, and later each time when that goes on, as each time may
    /// cost a look at its connection.
    pub(crate) fn restore_status(&mut self, key: &ObjectKey) {
        let object = self.shared.hub.look(|world| world.object(key).filter(|object| self.serves(world, object)));
        let Some(object) = object else { return };
        let now = Instant::now();
        let pause = match self.memory.status_taken(&object.uid, now) {
            0 => Duration::ZERO,
            before => schedule::backoff(before, fastrand::f64()),
        };
        self.chores.at(Chore::Object(key.clone()), now + pause);
    }

    pub(crate) async fn place_by_key(&mut self, key: &ObjectKey, edited: bool) {
        let object = self.shared.hub.look(|world| world.object(key).filter(|object| self.serves(world, object)));
        match object {
            Some(object) => self.place(&object, edited).await,
            None => self.chores.done(&Chore::Object(key.clone())),
        }
    }

    /// Concludes an object at once, or puts its connections on the agenda: before what is only due, where somebody `edited` it.
    async fn place(&mut self, object: &Declared, edited: bool) {
        if !self.leave_elsewhere(object).await {
            return;
        }
        let current = self.shared.hub.look(|world| world.object(&object.key)).filter(|current| current.uid == object.uid);
        let Some(object) = current.as_deref() else { return };
        let kept = self.with_finalizer(object).await;
        let object = kept.as_ref().unwrap_or(object);
        if let Some(unknown) = self.unknown(object) {
            return self.wait_to_know(object, unknown).await;
        }
        self.waits.remove(&object.uid);
        let Placement { outcome, look } = self.placement(object);
        for subject in look {
            if edited {
                self.agenda.edit(subject, Instant::now());
            } else {
                self.agenda.again(subject, Instant::now());
            }
        }
        let Some(outcome) = outcome else { return };
        if let Err(error) = self.say(object, object, &outcome, true).await {
            self.unsaid(object, &error);
        } else if outcome.next() == status::Next::WatchesTheAge {
            // Nothing wakes an object when its last look becomes too old to count.
            for subject in self.subjects(object) {
                self.agenda.again(subject, Instant::now() + NOT_READY_PACE.min(self.stale_after()));
            }
        }
    }

    /// Puts our finalizer back where somebody took it from an object that has something to clean up.
    pub(crate) async fn keep(&mut self, key: &ObjectKey) {
        let object = self.shared.hub.look(|world| world.object(key).filter(|object| self.serves(world, object)));
        if let Some(object) = object {
            self.with_finalizer(&object).await;
        }
    }

    /// Sees to it that an object with a record has our finalizer. Yields the object as it is then, if it had not.
    async fn with_finalizer(&mut self, object: &Declared) -> Option<Declared> {
        if object.finalizer || object.deleting || !object.cleans_up() || !claims::any(&object.status) {
            return None;
        }
        match self.shared.report.finalizer(object, true).await {
            Ok(kept) => {
                tracing::warn!(tenant = %self.name, object = %object.key, "somebody took the finalizer from an object that has parameters to remove; it is put back");
                Some(kept)
            }
            Err(error) => {
                self.unsaid(object, &error);
                None
            }
        }
    }

    /// What has to be known before anything can be said of an object, and is not.
    fn unknown(&self, object: &Declared) -> Option<&'static str> {
        let (namespace, tenants) =
            self.shared.hub.look(|world| (world.labels(&object.key.namespace).is_some(), world.is_served(Kind::Tenant)));
        if !namespace {
            return Some("its namespace is not known");
        }
        // A tenant that is not there may be one that can't be seen, or one that is about to be made anew with its kind: that
        // matters where the object would be let go for good.
        let unsure = !tenants || self.waits.contains_key(&object.uid);
        (self.standing.is_none() && object.deleting && object.finalizer && unsure)
            .then_some("its ClusterAuth0Tenant does not exist, nor did its kind for a while")
    }

    /// Waits, with a date; what is being deleted not for ever.
    async fn wait_to_know(&mut self, object: &Declared, unknown: &str) {
        let now = Instant::now();
        let waited = now.duration_since(*self.waits.entry(object.uid.clone()).or_insert(now));
        if object.deleting && object.finalizer && waited >= PATIENCE {
            let outcome = Outcome::Released(unknown.to_owned());
            if let Err(error) = self.say(object, object, &outcome, true).await {
                self.unsaid(object, &error);
            }
            return;
        }
        tracing::debug!(tenant = %self.name, object = %object.key, unknown, "an object waits");
        self.chores.at(Chore::Object(object.key.clone()), now + PATIENCE.saturating_sub(waited).max(UNKNOWN_PACE));
    }

    /// What was to be written to an object was not: a date is set to try again.
    pub(crate) fn unsaid(&mut self, object: &Declared, error: &WriteError) {
        match error {
            WriteError::Gone => tracing::debug!(tenant = %self.name, object = %object.key, "an object is gone"),
            WriteError::Conflict | WriteError::Failed(_) => {
                tracing::info!(tenant = %self.name, object = %object.key, %error, "an object could not be written to; it is planned again");
            }
        }
        self.chores.failed(Chore::Object(object.key.clone()), Instant::now(), fastrand::f64());
    }

    fn placement(&self, object: &Declared) -> Placement {
        if object.deleting {
            return self.placement_of_deleted(object);
        }
        if let Err(refusal) = &object.spec {
            return Placement::conclude(Outcome::Invalid(refusal.clone()));
        }
        if let Some(outcome) = self.not_ready() {
            return if self.is_untried() { Placement::default() } else { Placement::conclude(outcome) };
        }
        self.admitted_placement(object)
    }

    /// Where an object belongs while the tenant can be used.
    fn admitted_placement(&self, object: &Declared) -> Placement {
        if let Some(outcome) = self.namespace_not_admitted(object) {
            return Placement::conclude(outcome);
        }
        if let Some(outcome) = self.name_not_admitted(object) {
            // Where it holds a record it still has to be looked at.
            return Placement { outcome: Some(outcome), look: self.recorded_subjects(object) };
        }
        Placement::look(self.subjects(object))
    }

    fn placement_of_deleted(&self, object: &Declared) -> Placement {
        let released = |why: &str| Placement::conclude(Outcome::Released(why.to_owned()));
        if !object.finalizer {
            return Placement::default();
        }
        if self.standing.is_none() {
            return released("its ClusterAuth0Tenant does not exist");
        }
        if !object.cleans_up() {
            return released(object.why_it_leaves());
        }
        if self.serving().is_some_and(|settings| settings.observes) {
            return released("its ClusterAuth0Tenant only observes");
        }
        if let Some(outcome) = self.not_ready() {
            return if self.is_untried() { Placement::default() } else { Placement::conclude(outcome) };
        }
        // What it holds elsewhere may be permitted where what it names is not.
        let name = || if claims::any(&object.status) { None } else { self.name_not_admitted(object) };
        if self.namespace_not_admitted(object).or_else(name).is_some() {
            return released("the tenant does not admit it any more");
        }
        match self.subjects(object) {
            subjects if subjects.is_empty() => released("nothing is recorded as its own"),
            subjects => Placement::look(subjects),
        }
    }

    /// Why an object may do nothing at this tenant, whatever it names.
    fn namespace_not_admitted(&self, object: &Declared) -> Option<Outcome> {
        let settings = self.serving()?;
        let admitted = self.shared.hub.look(|world| world.labels(&object.key.namespace).map(|labels| settings.admits_namespace(labels)))?;
        (!admitted).then(|| not_permitted(&self.name, object, None))
    }

    /// Why an object may do nothing on the connection that it names: told before anything is read, as whether there is
    /// such a connection is not everybody's business. What an id stands for is known only by a look.
    pub(crate) fn name_not_admitted(&self, object: &Declared) -> Option<Outcome> {
        let settings = self.serving()?;
        let Ok(Spec { target: Target::Name(name), .. }) = &object.spec else { return None };
        let admission = |labels: &BTreeMap<String, String>| settings.admission(labels, name).is_some();
        let admitted = self.shared.hub.look(|world| world.labels(&object.key.namespace).map(admission))?;
        (!admitted).then(|| not_permitted(&self.name, object, Some(name)))
    }

    /// The identity of the Auth0 tenant, while the tenant serves.
    pub(crate) fn identity(&self) -> Option<&TenantIdentity> {
        self.serving().map(|settings| settings.audience.identity())
    }

    /// The connections of this tenant that an object holds a record on.
    pub(crate) fn recorded<'a>(&'a self, object: &'a Declared) -> impl Iterator<Item = ConnectionId> + use<'a> {
        claims::connections_at(&object.status, self.identity())
    }

    fn recorded_subjects(&self, object: &Declared) -> Vec<Subject> {
        self.recorded(object).map(Subject::Id).collect()
    }

    /// Lets go of what an object has at another Auth0 tenant, which its tenant object stood for before. Yields whether that is done.
    async fn leave_elsewhere(&mut self, object: &Declared) -> bool {
        let Some(left) = self.identity().and_then(|identity| status::left_elsewhere(object, identity)) else { return true };
        let report = self.shared.report.clone();
        let written = async {
            // In this order: without a record, a finalizer would say that what equals the spec at this tenant was once ours.
            let stored = if left.finalizer == Finalizer::Remove { report.finalizer(object, false).await? } else { object.clone() };
            match report.status(&stored, &left.status).await {
                // Deleted meanwhile: what it left is told all the same.
                Err(WriteError::Gone) => Ok(()),
                written => written.map(drop),
            }
        };
        if let Err(error) = written.await {
            self.unsaid(object, &error);
            return false;
        }
        for notice in &left.notices {
            tracing::warn!(tenant = %self.name, object = %object.key, "{}", notice.note);
            self.shared.report.notice(object, notice).await;
        }
        true
    }

    /// Where an object has to be looked at: the connection it names, and those it holds a record on.
    fn subjects(&self, object: &Declared) -> Vec<Subject> {
        let mut subjects: BTreeSet<Subject> = self.recorded_subjects(object).into_iter().collect();
        if let (Ok(spec), true) = (&object.spec, !object.deleting || subjects.is_empty()) {
            subjects.insert(self.subject_of(&spec.target));
        }
        subjects.into_iter().collect()
    }

    /// By id where it is known: reading by id needs no filter.
    pub(crate) fn subject_of(&self, target: &Target) -> Subject {
        match (self.directory.id_of(target), target) {
            (Some(id), _) | (None, Target::Id(id)) => Subject::Id(id.clone()),
            (None, Target::Name(name)) => Subject::Name(name.clone()),
        }
    }

    /// A subject as people call it: a connection by its name, where that is known.
    pub(crate) fn called<'a>(&'a self, subject: &'a Subject) -> &'a str {
        match subject {
            Subject::Access => "",
            Subject::Id(id) => self.directory.name_of(id).map_or(id.as_str(), ConnectionName::as_str),
            Subject::Name(name) => name,
        }
    }

    /// Says of the objects at a place that the tenant is not ready.
    pub(crate) async fn place_subject(&mut self, subject: &Subject) {
        for object in self.concerned(subject) {
            if self.subjects(&object).contains(subject) {
                self.place(&object, false).await;
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
            as_planned.policies.management == ManagementPolicy::Observe || self.serving().is_some_and(|settings| settings.observes);
        let (since_good_look, unready_for) = self.memory.ages(&as_planned.uid, as_planned.generation, now);
        let context = Context { now: now_in_seconds(), observing, placed, since_good_look, stale_after: self.stale_after(), unready_for };
        let conclusion = status::conclude(as_planned, outcome, &context);
        let mut stored = current.clone();
        if conclusion.finalizer == Finalizer::Add {
            stored = self.shared.report.finalizer(&stored, true).await?;
        }
        // What goes with the finalizer takes its status along: two writes could be cut short in between.
        let goes = as_planned.deleting && conclusion.finalizer == Finalizer::Remove;
        if conclusion.status != stored.status && !goes {
            stored = self.shared.report.status(&stored, &conclusion.status).await?;
        }
        // Told before the object can go: after that there may be nothing to tell it about.
        for notice in &conclusion.notices {
            if goes && !self.told.insert((as_planned.uid.clone(), notice.note.clone())) {
                continue;
            }
            if !self.shared.report.notice(as_planned, notice).await && notice.reason == EventReason::ParametersLeft.as_str() {
                self.tell_of_left(&as_planned.key, &format!("its namespace takes no events any more; {}", notice.note)).await;
            }
        }
        if conclusion.finalizer == Finalizer::Remove {
            stored = self.shared.report.finalizer(&stored, false).await?;
        }
        if goes && !stored.other_finalizers.is_empty() && conclusion.status != stored.status {
            self.shared.report.status(&stored, &conclusion.status).await?;
        }
        self.chores.done(&Chore::Object(as_planned.key.clone()));
        if placed {
            let ready = status::condition(&conclusion.status.conditions, ConditionType::Ready);
            let (is_ready, reason) = ready.map(|ready| (ready.status == "True", ready.reason.clone())).unwrap_or_default();
            self.memory.ended(&as_planned.uid, as_planned.generation, is_ready, now);
            // Anybody may name a tenant that does not exist, and so many labels are not wanted.
            self.shared.metrics.pass(if self.standing.is_some() { &self.name } else { "" }, &reason);
            let connection = conclusion.status.target.as_deref().unwrap_or_default();
            let tenant = &as_planned.policies.tenant;
            let was = status::condition(&as_planned.status.conditions, ConditionType::Ready).map(|was| (was.status == "True", &was.reason));
            if was != Some((is_ready, &reason)) {
                tracing::info!(%tenant, object = %as_planned.key, connection, ready = is_ready, reason, "object");
            }
            tracing::debug!(%tenant, object = %as_planned.key, connection, ready = is_ready, reason, "pass");
        }
        Ok(())
    }

    /// How long a look stays good: three times the longer of the resync interval and one full look at the allowed rate.
    fn stale_after(&self) -> Duration {
        // From what is declared, which is there also while the Secret is not.
        let declared = self.declared_tenant();
        let Some(spec) = declared.as_ref().and_then(|tenant| tenant.spec.as_ref()) else { return Duration::from_mins(30) };
        let reads = u32::try_from(spec.rate_limit.reads_per_minute).unwrap_or(1).max(1);
        let connections = u32::try_from(self.directory.len()).unwrap_or(u32::MAX);
        let full_look = Duration::from_mins(1).saturating_mul(connections) / reads;
        tenant::resync_interval(&spec).max(full_look) * 3
    }

    /// The pause before the next try at something that failed.
    pub(crate) fn pause(&mut self, subject: &Subject) -> Duration {
        schedule::backoff(self.memory.failed(subject), fastrand::f64())
    }
}

fn refuses_credentials(failure: &Failure) -> bool {
    matches!(failure, Failure::CredentialsRejected { .. } | Failure::Unauthorized { .. })
}

/// What the status says where access does not admit an object. Of a connection that is named by its id it says the same
/// as where there is none: what it is called, and whether it exists, is not everybody's business.
pub(crate) fn not_permitted(tenant: &str, object: &Declared, connection: Option<&str>) -> Outcome {
    if connection.is_some() && object.spec.as_ref().is_ok_and(|spec| matches!(spec.target, Target::Id(_))) {
        return Outcome::ConnectionNotFound { id: None };
    }
    let (what, needed) = connection.map_or_else(
        || (String::new(), "that matches its labels"),
        |name| (format!(" to the connection {name}"), "that matches its labels and the connection"),
    );
    Outcome::NotPermitted(format!(
        "the ClusterAuth0Tenant {tenant} does not admit the namespace {}{what}; ask its owner for an access entry {needed}",
        object.key.namespace
    ))
}

/// The time as Kubernetes writes it: whole seconds.
pub(crate) fn now_in_seconds() -> jiff::Timestamp {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::tenant::ClusterAuth0TenantStatus;
    use crate::core::world::Credentials as Held;
    use crate::testing::builders;

    /// The one tenant object of the world, which stands for this domain.
    fn declare(hub: &Hub, uid: &str, domain: &str) {
        let spec = json!({
            "domain": domain,
            "credentials": {"secretRef": {"name": "secret"}},
            "access": [{"namespaceSelector": {}, "connections": ["*"]}],
        });
        let (uid, resource_version) = (uid.into(), uid.to_owned());
        let (spec, status) = (Some(serde_json::from_value(spec).unwrap()), ClusterAuth0TenantStatus::default());
        let tenant = DeclaredTenant { name: "default".to_owned(), uid, resource_version, generation: 1, created: 0, spec, status };
        hub.fold(|world| world.apply_tenant(tenant));
    }

    /// A tenant that serves.
    async fn serving() -> Tenant {
        let hub = Arc::new(Hub::new().0);
        let held = Held { client_id: Some("id".to_owned()), client_secret: Some("secret".to_owned().into()), ..Held::default() };
        hub.fold(|world| world.apply_secret("secret".to_owned(), held));
        declare(&hub, "1", "one.eu.auth0.com");
        let mut tenant = Tenant::new("default".to_owned(), Shared::refused(hub));
        tenant.refresh().await;
        assert!(tenant.settings().is_some(), "{:?}", tenant.standing);
        tenant.chores = Chores::default();
        tenant
    }

    #[tokio::test]
    async fn chores_that_come_again_and_again_do_not_keep_looks_from_being_had() {
        let mut tenant = serving().await;
        let looks = (0..10).filter(|_| {
            // As where an API server takes longer to refuse a status than the pauses between the tries.
            for name in ["one", "two"] {
                tenant.chores.at(Chore::Object(builders::object(name).key), Instant::now());
            }
            tenant.agenda.edit(Subject::Id("con_1".into()), Instant::now());
            matches!(tenant.next(), Next::Look(_))
        });
        assert_eq!(looks.count(), 5);
    }

    #[tokio::test]
    async fn a_tenant_object_made_anew_for_another_domain_does_not_live_on_the_budget_of_the_old_one() {
        let mut tenant = serving().await;
        let old = tenant.budget.clone();
        declare(&tenant.shared.hub, "2", "two.eu.auth0.com");
        tenant.refresh().await;
        assert_eq!(tenant.identity(), Some(&"two.eu.auth0.com".into()));
        assert!(!Arc::ptr_eq(&old, &tenant.budget));
        declare(&tenant.shared.hub, "3", "one.eu.auth0.com");
        tenant.refresh().await;
        assert!(Arc::ptr_eq(&old, &tenant.budget), "the one of a tenant outlasts its object");
    }
}
