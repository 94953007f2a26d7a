//! One pass over one connection: read, plan, claim, write, conclude.
//!
//! Guarantees: the document that a PATCH is built from was read for it, and asked for at most [`FRESH`] before the PATCH
//! starts; every object that is acted for stored its claim in between, with the version the plan was made from; what
//! could not be claimed in time is left to the next pass; whatever happens, every object of the connection is told, or
//! the connection is looked at again soon.
//!
//! Assumes: no other pass of this tenant runs at the same time ([`crate::reconcile::driver`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinError, JoinSet};

use crate::api::upstream_params::{ConnectionStatus, ManagementPolicy};
use crate::auth0::{About, Client, Failure, Limits, Retry, Route};
use crate::core::obstacle::{Obstacle, ObstacleReason};
use crate::core::pass::claims::{self, Place};
use crate::core::pass::correlation;
use crate::core::pass::plan::{self, Effect, Participant, Plan, Role, Site, Verdict};
use crate::core::schedule::{MAX_BACKOFF, Subject, backoff, jittered};
use crate::core::spec::{self, Spec, Target};
use crate::core::status::{self, Outcome, Planned, WriteOutcome};
use crate::core::tenant::Settings;
use crate::core::world::{Declared, DeclaredTenant};
use crate::kubernetes::report::{Report, WriteError};
use crate::model::document::{Document, DocumentError, Live};
use crate::model::identity::{ConnectionId, Fingerprint, ObjectKey, TenantIdentity, Uid};
use crate::reconcile::failure::obstacle_of;
use crate::reconcile::tenant::{Tenant, not_permitted, now_in_seconds};

/// How old a document may be when a PATCH built from it starts.
pub const FRESH: Duration = Duration::from_secs(2);

/// How old a document may be when a claim for the PATCH is stored: the PATCH has to start after it, and in time.
const CLAIMED: Duration = Duration::from_millis(1750);

/// How many claims are on their way at a time.
const CLAIMS_AT_ONCE: usize = 16;

/// After so many passes without a result in a row, it is told.
const TOLD: u32 = 3;

/// A connection that was read, and when.
struct Reading {
    document: Document,
    /// When it was asked for: what it shows may be as old as the request.
    at: Instant,
    /// The id under which the connection was known before, when that one is gone.
    gone: Option<ConnectionId>,
}

/// An object's part in the pass.
struct Part {
    object: Arc<Declared>,
    /// The object as it is stored now: claims move its version on.
    stored: Declared,
    /// The labels of its namespace, which decide what it is admitted to.
    labels: Option<BTreeMap<String, String>>,
    /// Whether the spec names this connection.
    placed: bool,
    /// Its role in the plan; none when it takes no part.
    role: Option<Role>,
    warnings: Vec<String>,
    /// How it ends, where that is settled before the plan.
    settled: Option<Outcome>,
}

/// Runs one pass.
pub async fn pass(tenant: &mut Tenant, client: &Client, settings: &Settings, subject: Subject) {
    let involved = involved(tenant, &subject);
    if involved.is_empty() {
        tenant.agenda.forget(&subject);
        return;
    }
    let read = read(tenant, client, &subject, &involved).await;
    if read.is_ok() {
        tenant.answered(client).await;
    }
    match read {
        Err(failure) => unread(tenant, &subject, &involved, failure).await,
        Ok(None) => not_found(tenant, settings, &subject, &involved).await,
        Ok(Some(reading)) => with_reading(tenant, client, settings, subject, reading).await,
    }
}

/// The objects that the connection concerns, as far as anything can be said of them: not before their namespace is known.
fn involved(tenant: &Tenant, subject: &Subject) -> Vec<Arc<Declared>> {
    let mut objects = tenant.concerned(subject);
    tenant.shared.hub.look(|world| objects.retain(|object| world.labels(&object.key.namespace).is_some()));
    objects
}

fn names(tenant: &Tenant, object: &Declared, subject: &Subject) -> bool {
    tenant.connection_of(subject).is_some_and(|connection| connection.is_named_by(object))
}

// ---- read ----

/// Reads the connection. A known id that is gone is looked up by its name once: it may have been made anew, or what
/// answered the first time did not know it yet.
async fn read(tenant: &Tenant, client: &Client, subject: &Subject, involved: &[Arc<Declared>]) -> Result<Option<Reading>, Failure> {
    let mut at = Instant::now();
    let fresh =
        |document: Option<Document>, at: Instant, gone: Option<ConnectionId>| document.map(|document| Reading { document, at, gone });
    match subject {
        Subject::Access => Ok(None),
        Subject::Name(name) => Ok(fresh(client.find(name).await?, at, None)),
        Subject::Id(id) => {
            if let Some(document) = client.read(id).await? {
                return Ok(fresh(Some(document), at, None));
            }
            at = Instant::now();
            let by_name = involved.iter().find_map(|object| match object.spec.as_ref().map(|spec| &spec.target) {
                Ok(Target::Name(name)) if tenant.directory.name_of(id) == Some(name) => Some(name),
                _ => None,
            });
            match by_name {
                Some(name) => {
                    let found = client.find(name).await?;
                    let gone = found.as_ref().is_none_or(|document| document.id != *id).then(|| id.clone());
                    Ok(fresh(found, at, gone))
                }
                None => Ok(None),
            }
        }
    }
}

async fn unread(tenant: &mut Tenant, subject: &Subject, involved: &[Arc<Declared>], failure: Failure) {
    tracing::warn!(tenant = %tenant.name, connection = tenant.called(subject), error = %failure, "the connection could not be read");
    let failure = tenant.learn(subject, failure).await;
    let outcome = Outcome::Unread(obstacle_of(&failure));
    for object in involved {
        let placed = names(tenant, object, subject);
        if placed || object.deleting {
            say_or_retry(tenant, object, object, &unseen(tenant, object, placed, &outcome), placed).await;
        }
    }
    try_again(tenant, subject, &failure);
}

/// What is said of an object where its connection was not seen: an object that is not admitted to what it names is told
/// that, and nothing of what was found or not.
fn unseen(tenant: &Tenant, object: &Declared, placed: bool, outcome: &Outcome) -> Outcome {
    let refusal = if placed && !object.deleting { tenant.name_not_admitted(object) } else { None };
    refusal.unwrap_or_else(|| outcome.clone())
}

/// When to look again after a failed call.
fn try_again(tenant: &mut Tenant, subject: &Subject, failure: &Failure) {
    let now = Instant::now();
    let at = match failure.retry() {
        // The budget waits as long by itself, but not for the token endpoint, whose limit is none of the two buckets.
        Retry::After(after) => now + after.min(MAX_BACKOFF),
        Retry::Backoff => now + tenant.pause(subject),
        Retry::ResyncPace | Retry::Never => next_look(tenant, now),
    };
    tenant.agenda.retry(subject.clone(), at);
}

fn next_look(tenant: &Tenant, now: Instant) -> Instant {
    let resync = tenant.serving().map_or(Duration::from_mins(10), |settings| settings.resync);
    now + jittered(resync, fastrand::f64())
}

/// The tenant has no such connection: who names it waits for it, who only holds a record on it has nothing there any more.
async fn not_found(tenant: &mut Tenant, settings: &Settings, subject: &Subject, involved: &[Arc<Declared>]) {
    let placed: Vec<bool> = involved.iter().map(|object| names(tenant, object, subject)).collect();
    let id = match subject {
        Subject::Id(id) => Some(id.clone()),
        Subject::Name(_) | Subject::Access => None,
    };
    if let Some(id) = &id {
        tenant.directory.forget(id);
    }
    tenant.memory.succeeded(subject);
    let outcome = Outcome::ConnectionNotFound { id };
    for (object, placed) in involved.iter().zip(placed) {
        let said = say_or_retry(tenant, object, object, &unseen(tenant, object, placed, &outcome), placed).await;
        let Ok(spec) = &object.spec else { continue };
        let there = tenant.subject_of(&spec.target);
        if !placed {
            // It has left here, so what it names can be concluded. Where that could not be stored, that is tried again first.
            if said {
                tenant.agenda.edit(there, Instant::now());
            }
        } else if !object.deleting {
            tenant.agenda.again(there, Instant::now() + jittered(settings.resync, fastrand::f64()));
        }
    }
}

// ---- plan ----

async fn with_reading(tenant: &mut Tenant, client: &Client, settings: &Settings, asked: Subject, reading: Reading) {
    let now = Instant::now();
    let document = &reading.document;
    let declared = tenant.shared.hub.look(|world| world.tenant(&tenant.name));
    let Some(declared) = declared.filter(|_| !tenant.is_outdated()) else {
        // What the tenant admits changed during the read: the news is taken in before the next pass.
        tenant.agenda.edit(asked, now);
        return;
    };
    let askers = involved(tenant, &asked).into_iter().map(|object| (names(tenant, &object, &asked), object)).collect();
    if tenant.directory.saw(document) {
        tenant.shared.metrics.foreign_difference(&tenant.name);
        tracing::warn!(tenant = %tenant.name, connection = %document.name, "options that are not ours differ from what our last write showed; an edit and the write may have crossed");
    }
    if let Some(gone) = &reading.gone {
        tenant.directory.forget(gone);
    }
    let subject = Subject::Id(document.id.clone());
    if asked != subject {
        tenant.agenda.forget(&subject);
        tenant.agenda.forget(&asked);
    }
    // The latest objects, not those from before the read.
    let mut parts = parts(tenant, settings, &reading);
    look_elsewhere(tenant, &asked, askers, &parts);
    let live = match document.live() {
        Ok(live) => live,
        Err(error) => return unusable(tenant, &subject, parts, error).await,
    };
    tenant.proved(client, Route::ReadConnection).await;
    tenant.shared.metrics.good_look(&tenant.name);
    for part in &parts {
        tenant.memory.saw(&part.object.uid, part.object.generation, now);
    }
    let disputes = tenant.memory.disputes(&document.id, now);
    let place = Place { tenant: settings.audience.identity(), connection: &document.id };
    let participants: Vec<Participant<'_>> =
        parts.iter().filter_map(|part| part.role.map(|role| Participant { object: &part.stored, role })).collect();
    let unsettled = tenant.unsettled_for(&document.id).is_some();
    let mut plan = plan::plan(Site { place, live: &live, disputes: &disputes, unsettled }, &participants, settings.observes);
    notice_drift(tenant, &document.id, &mut plan);
    if plan.changes.is_empty() {
        tenant.memory.is_settled(&document.id);
    } else if let Some(turn) = tenant.memory.turn(&document.id) {
        let actors = plan.actors();
        if let Some(actor) = actors.get(turn % actors.len().max(1)) {
            plan.retain_actor(actor);
        }
    }
    let pass = Pass { client, settings, declared, reading: &reading };
    let done = carry_out(tenant, &pass, &mut plan, &mut parts).await;
    finish(tenant, &subject, &reading, plan, parts, done).await;
}

/// Whoever was concerned by the connection as it was known and is not by the one that was read is looked at where he belongs:
/// who named it, under the name or id that he gives; who holds a record on it, under the id that is gone.
fn look_elsewhere(tenant: &mut Tenant, asked: &Subject, askers: Vec<(bool, Arc<Declared>)>, parts: &[Part]) {
    let now = Instant::now();
    for (named, object) in askers {
        let part = parts.iter().find(|part| part.object.uid == object.uid);
        match (named, part, &object.spec) {
            (true, Some(Part { placed: true, .. }), _) | (false, Some(_), _) => {}
            (true, _, Ok(spec)) => tenant.agenda.edit(tenant.subject_of(&spec.target), now),
            (true | false, _, _) => tenant.agenda.edit(asked.clone(), now),
        }
    }
}

/// Counts what somebody has changed, once; sets the date of a correction that waits; and ends a dispute that is over.
fn notice_drift(tenant: &mut Tenant, connection: &ConnectionId, plan: &mut Plan) {
    let now = (Instant::now(), now_in_seconds());
    let mut drifted = BTreeSet::new();
    for (name, param) in plan.objects.values_mut().flatten() {
        match param.verdict {
            Verdict::Write { drift: true, .. } | Verdict::Paced { .. } => drop(drifted.insert(name.clone())),
            Verdict::Contended => {
                drifted.insert(name.clone());
                let until = tenant.memory.contend(connection, name, now);
                if let (Some(dispute), Some((_, time))) = (&mut param.dispute, until) {
                    dispute.until = Some(time);
                }
            }
            Verdict::InSync => tenant.memory.calmed(connection, name),
            Verdict::Write { drift: false, .. }
            | Verdict::Remove
            | Verdict::Gone
            | Verdict::Handed
            | Verdict::Left
            | Verdict::ExistingValue
            | Verdict::Conflicted(_) => {}
        }
    }
    let news = tenant.memory.drifted(connection, drifted);
    tenant.shared.metrics.drift_seen(&tenant.name, u64::try_from(news).unwrap_or(u64::MAX));
}

/// The connection was read, but its options can't be used.
async fn unusable(tenant: &mut Tenant, subject: &Subject, parts: Vec<Part>, error: DocumentError) {
    let failure = tenant.learn(subject, Failure::BadDocument { route: Route::ReadConnection, error }).await;
    tracing::warn!(tenant = %tenant.name, connection = tenant.called(subject), error = %failure, "the connection can't be managed");
    let outcome = Outcome::Unread(obstacle_of(&failure));
    for part in parts {
        let own = part.settled.filter(|_| part.placed);
        if part.placed || part.object.deleting {
            say_or_retry(tenant, &part.object, &part.stored, own.as_ref().unwrap_or(&outcome), part.placed).await;
        }
    }
    let at = match error {
        // A scope that is granted meanwhile is found out about by the look at the tenant's access.
        DocumentError::OptionsHidden | DocumentError::OptionsUnusable => Instant::now() + tenant.pause(subject),
        DocumentError::NotAConnection(_) | DocumentError::NotAnId | DocumentError::ParamsNotAnObject => next_look(tenant, Instant::now()),
    };
    tenant.agenda.again(subject.clone(), at);
}

/// Who takes part, and how.
fn parts(tenant: &Tenant, settings: &Settings, reading: &Reading) -> Vec<Part> {
    let connection = tenant.connection(Some(&reading.document.id), Some(&reading.document.name));
    let concerned = tenant.shared.hub.look(|world| world.concerned(&connection));
    let part_of =
        |object: &Arc<Declared>| part(tenant, settings, reading, object, connection.is_named_by(object), connection.is_recorded_by(object));
    concerned.iter().map(part_of).collect()
}

fn part(tenant: &Tenant, settings: &Settings, reading: &Reading, object: &Arc<Declared>, placed: bool, recorded: bool) -> Part {
    let document = &reading.document;
    let labels = tenant.shared.hub.look(|world| world.labels(&object.key.namespace).cloned());
    let admission = labels.as_ref().and_then(|labels| settings.admission(labels, &document.name));
    let observes = settings.observes || object.policies.management == ManagementPolicy::Observe;
    let mut stored = Declared::clone(object);
    if let Some(gone) = &reading.gone {
        stored.status.connections.retain(|entry| *gone != *entry.id);
    }
    let none = Part { stored, labels, placed, role: None, warnings: Vec::new(), settled: None, object: object.clone() };
    let role = |role: Role| Part { role: Some(role), ..none_like(&none) };
    let settled = |outcome: Outcome| Part { settled: Some(outcome), ..none_like(&none) };
    // Only an object that may write holds anything; what others have a record of is theirs until somebody takes it over.
    let bystander = recorded.then_some(Role::Bystander);
    let holder = if observes { bystander } else { recorded.then_some(Role::Holder) };
    // What was refused once is not tried again before something changes; until then it gives way to others only.
    let leaver = || match tenant.memory.rejection(&object.uid, object.generation, &document.id, document.options_hash()) {
        Some(message) if recorded => {
            let settled = Some(Outcome::StillRejected { message: message.to_owned(), warnings: Vec::new() });
            Part { role: Some(Role::Mover), settled, ..none_like(&none) }
        }
        Some(_) | None => role(Role::Leaver),
    };
    let standing_by = |outcome: Outcome| Part { role: bystander, settled: Some(outcome), ..none_like(&none) };
    let holding = |outcome: Outcome| Part { role: holder, settled: Some(outcome), ..none_like(&none) };
    if none.labels.is_none() {
        // A namespace that is not known yet says nothing for the object, and nothing against it.
        return Part { role: holder, placed: false, ..none };
    }
    let Some(reserved) = admission else {
        let left = |spec: &Spec| !placed && !observes && accepted_elsewhere(tenant, object, &spec.target);
        return match (object.deleting, placed) {
            (true, _) if !object.finalizer => none,
            // What it holds elsewhere may be permitted: that record has to outlive this one.
            (true, _) if claims::connections(&object.status).any(|id| id != document.id) => {
                settled(Outcome::Planned(Planned::left(object, &document.id, described(Some(settings.audience.identity()), document))))
            }
            (true, _) => settled(Outcome::Released("the tenant does not admit it any more".to_owned())),
            (false, true) => standing_by(not_permitted(&tenant.name, object, Some(&document.name))),
            (false, false) if object.spec.as_ref().is_ok_and(left) => {
                settled(Outcome::Planned(Planned::left(object, &document.id, described(Some(settings.audience.identity()), document))))
            }
            // It may be admitted again: until it is known to have left, its record stays.
            (false, false) => Part { role: bystander, ..none },
        };
    };
    if object.deleting {
        return match (object.finalizer, object.cleans_up() && !settings.observes) {
            (false, _) => none,
            (true, false) => settled(Outcome::Released(object.why_it_leaves().to_owned())),
            // What it owned went with the connection it was on; on the one of the same name nothing ever was its own.
            (true, true) => match reading.gone.as_ref().filter(|gone| claims::connections(&object.status).any(|id| id == **gone)) {
                Some(gone) => settled(Outcome::ConnectionNotFound { id: Some(gone.clone()) }),
                // Without a record only what it might have set can have been its own.
                None if !claims::any(&object.status) && !could_set(object, document, &reserved) => {
                    settled(Outcome::Released("nothing is recorded as its own".to_owned()))
                }
                None => leaver(),
            },
        };
    }
    let Ok(spec) = &object.spec else { return Part { role: holder, ..none } };
    if !placed {
        return match (observes, accepted_elsewhere(tenant, object, &spec.target)) {
            (true, _) => Part { role: bystander, ..none },
            (false, true) => leaver(),
            (false, false) => role(Role::Mover),
        };
    }
    match spec::against_connection(spec, document, &reserved) {
        Err((reason, message)) => holding(Outcome::Refused { reason, message }),
        Ok(warnings) if observes => Part { warnings, ..role(Role::Observer) },
        Ok(warnings) => match tenant.memory.rejection(&object.uid, object.generation, &document.id, document.options_hash()) {
            Some(message) => holding(Outcome::StillRejected { message: message.to_owned(), warnings }),
            None => Part { warnings, ..role(Role::Owner) },
        },
    }
}

fn could_set(object: &Declared, document: &Document, reserved: &BTreeSet<String>) -> bool {
    object.spec.as_ref().is_ok_and(|spec| spec::against_connection(spec, document, reserved).is_ok())
}

fn none_like(part: &Part) -> Part {
    let (object, stored, labels) = (part.object.clone(), part.stored.clone(), part.labels.clone());
    Part { object, stored, labels, placed: part.placed, role: None, warnings: Vec::new(), settled: None }
}

/// Whether the object was accepted where it is now: only then it leaves where it was.
fn accepted_elsewhere(tenant: &Tenant, object: &Declared, target: &Target) -> bool {
    tenant.directory.id_of(target).is_some_and(|id| status::is_accepted_on(object, id))
}

fn described(tenant: Option<&TenantIdentity>, document: &Document) -> ConnectionStatus {
    ConnectionStatus {
        id: document.id.to_string(),
        tenant: tenant.map(ToString::to_string),
        name: Some(document.name.to_string()),
        strategy: Some(document.strategy.clone()),
        params: Vec::new(),
    }
}

// ---- claim and write ----

/// What became of a plan.
enum Done {
    /// There was nothing to write.
    Nothing,
    /// Written; the answer shows it.
    Written,
    /// Claimed, and the write failed.
    Failed(Failure),
    /// Claimed, and refused.
    Rejected(String),
    /// Several objects' changes were refused together: they go one by one.
    Split,
    /// Nothing was claimed; it is worth another try after this time, if that is known.
    Postponed(Obstacle, Option<Duration>),
    /// The claims could not all be stored, or took too long: read and plan again.
    Superseded,
}

/// What a plan was made from, and with.
struct Pass<'a> {
    client: &'a Client,
    settings: &'a Settings,
    /// The tenant as it was declared.
    declared: Arc<DeclaredTenant>,
    reading: &'a Reading,
}

async fn carry_out(tenant: &mut Tenant, pass: &Pass<'_>, plan: &mut Plan, parts: &mut Vec<Part>) -> Done {
    let Pass { client, settings, declared, reading } = pass;
    if plan.is_empty() || settings.observes {
        return Done::Nothing;
    }
    let obstacle = if plan.changes.is_empty() { Some(Done::Nothing) } else { obstacle(tenant, reading) };
    // What only changes hands is claimed also where nothing can be written.
    let mut left = if obstacle.is_none() { plan.acted_for_in_order() } else { plan.adopted.values().cloned().collect() };
    let (claimed, late) = claim(tenant, reading, plan, parts, left.clone()).await;
    left.retain(|uid| !claimed.contains(uid));
    plan.retain_adopted(&claimed);
    if let Some(done) = obstacle {
        until_stored(late, parts).await;
        return if matches!(done, Done::Nothing) && plan.adopted.is_empty() { Done::Superseded } else { done };
    }
    plan.retain_claimed(&claimed);
    let age = reading.at.elapsed();
    let body = reading.document.patch_body(&plan.entries());
    let (Ok(body), false) = (body, plan.changes.is_empty() || age > FRESH) else {
        until_stored(late, parts).await;
        return Done::Superseded;
    };
    tenant.shared.metrics.read_to_write(&tenant.name, age.as_secs_f64());
    // Fetching a new token takes time too: the PATCH itself must start while the document is fresh.
    let finish_by = reading.at + FRESH + tenant.shared.transport.request_timeout();
    let actors = plan.actors();
    let keys: Vec<ObjectKey> = parts.iter().filter(|part| actors.contains(&part.object.uid)).map(|part| part.object.key.clone()).collect();
    let (correlation, started) = (correlation::id(&keys.iter().collect::<Vec<_>>()), Instant::now());
    let still_so = fence(tenant, declared, plan, parts);
    let limits = Limits { finish_by: Some(finish_by.into()), may_start: Some(&still_so) };
    let answer = client.write(&reading.document.id, &body, &correlation, limits).await;
    if answer.is_ok() {
        tenant.proved(client, Route::WriteConnection).await;
    }
    let answer = answer.and_then(|answer| shows(plan, answer));
    log_write(tenant, reading, plan, &keys, &correlation, started.elapsed(), answer.as_ref().err());
    until_stored(late, parts).await;
    match answer {
        Err(Failure::OutOfTime | Failure::Gone) => Done::Superseded,
        Ok(answer) => {
            note_written(tenant, plan, parts, &answer);
            // Those are next, at once: to tell them so would take as long as to write them.
            parts.retain(|part| !left.contains(&part.object.uid));
            Done::Written
        }
        Err(Failure::Rejected { message, about }) => refused(reading, plan, message, about),
        Err(failure) => Done::Failed(failure),
    }
}

/// Whether all that the write rests on is declared as it was when it was planned: the tenant, what it admits, and every object
/// that is acted for. It is asked right before each PATCH, the second after a refused token included.
fn fence(tenant: &Tenant, declared: &Arc<DeclaredTenant>, plan: &Plan, parts: &[Part]) -> impl Fn() -> bool + Send + Sync + use<> {
    let (hub, declared, acted_for) = (tenant.shared.hub.clone(), declared.clone(), plan.acted_for());
    let acting = parts.iter().filter(|part| acted_for.contains(&part.object.uid));
    let objects: Vec<_> = acting.map(|part| (part.object.clone(), part.labels.clone())).collect();
    move || hub.look(|world| world.still_declares(&declared, &objects))
}

/// The one line of a write: what was changed of a login, for whom, and what the tenant's log calls it. Never a value.
fn log_write(
    tenant: &Tenant,
    reading: &Reading,
    plan: &Plan,
    objects: &[ObjectKey],
    correlation: &str,
    took: Duration,
    failure: Option<&Failure>,
) {
    if matches!(failure, Some(Failure::OutOfTime)) {
        // It was not sent.
        return;
    }
    let listed = |texts: Vec<String>| Some(texts.join(", ")).filter(|text| !text.is_empty());
    let names = |effect: Effect| listed(plan.changes.keys().filter(|name| plan.effect(name) == Some(effect)).cloned().collect());
    let objects = listed(objects.iter().map(ToString::to_string).collect());
    let (added, changed, removed) = (names(Effect::Adds), names(Effect::Changes), names(Effect::Removes));
    let drift = listed(plan.changes.iter().filter(|(_, change)| change.drift).map(|(name, _)| name.clone()).collect());
    let overwritten = listed(plan.overwritten.iter().filter(|name| plan.changes.contains_key(*name)).cloned().collect());
    let cause = match plan.changes.values().filter(|change| change.drift).count() {
        0 => "edit",
        all if all == plan.changes.len() => "drift",
        _ => "edit and drift",
    };
    let connection = &reading.document;
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match failure {
        None => tracing::info!(
            tenant = %tenant.name, connection = connection.name.as_str(), id = connection.id.as_str(), objects, cause,
            added, changed, removed, drift, overwritten, correlation, milliseconds, "wrote"
        ),
        Some(error) => tracing::warn!(
            tenant = %tenant.name, connection = connection.name.as_str(), id = connection.id.as_str(), objects, cause,
            added, changed, removed, drift, overwritten, correlation, milliseconds, %error, "a write failed"
        ),
    }
}

/// Why nothing can be written to the connection now.
fn obstacle(tenant: &mut Tenant, reading: &Reading) -> Option<Done> {
    if let Some(lacking) = &tenant.lacking {
        return Some(Done::Postponed(
            Obstacle { reason: ObstacleReason::TenantNotReady, message: lacking.message.clone(), tenant_wide: true },
            None,
        ));
    }
    let unavailable = |message: String| Obstacle { reason: ObstacleReason::RemoteUnavailable, message, tenant_wide: true };
    if let Some(left) = tenant.unsettled_for(&reading.document.id) {
        let message = "a write to the connection got no answer and may still take effect; the next one waits until it must have ended";
        return Some(Done::Postponed(unavailable(message.to_owned()), Some(left)));
    }
    if reading.at.elapsed() > FRESH {
        let message =
            format!("Auth0 took longer than {} s to show the connection, too long to write from; it is tried again", FRESH.as_secs());
        tracing::info!(tenant = %tenant.name, connection = %reading.document.name, "a pass came to no result, as the read took too long");
        let pause = tenant.pause(&Subject::Id(reading.document.id.clone()));
        return Some(Done::Postponed(unavailable(message), Some(pause)));
    }
    None
}

/// What follows from a 400: only what this PATCH changes can be the objects' own fault.
fn refused(reading: &Reading, plan: &Plan, message: String, about: About) -> Done {
    let about = match about {
        About::Entry(path) => foreign_entry(reading, plan, &path).map_or(About::Entry(path), About::Foreign),
        about @ (About::Options | About::Params | About::Foreign(_)) => about,
    };
    let ours = matches!(about, About::Params | About::Entry(_));
    let failure = Failure::Rejected { message, about };
    match (ours, plan.actors().len()) {
        (true, 2..) => Done::Split,
        (true, _) => Done::Rejected(failure.message()),
        (false, _) => Done::Failed(failure),
    }
}

/// The name of the entry that a path is of, when the PATCH left it as it was. Names may hold dots, so the longest fits.
fn foreign_entry(reading: &Reading, plan: &Plan, path: &str) -> Option<String> {
    let sent = plan.changes.iter().filter(|(_, change)| change.entry.is_some()).map(|(name, _)| name.as_str());
    let live = reading.document.live().unwrap_or_default();
    let is_of = |name: &&str| path.strip_prefix(*name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    let named = |names: &mut dyn Iterator<Item = &str>| names.filter(is_of).max_by_key(|name| name.len()).map(str::to_owned);
    match (named(&mut sent.into_iter()), named(&mut live.keys().map(String::as_str))) {
        (Some(ours), Some(other)) if other.len() > ours.len() => Some(other),
        (Some(_), _) => None,
        // A name that is on neither side is not ours either; what the server calls it is in its message.
        (None, other) => Some(other.unwrap_or_default()),
    }
}

/// Stores the claims of these objects, also where they do not change: the write is the fence. In this order, many at a
/// time. Yields whose are stored in time, and the writes that are still on their way.
async fn claim(tenant: &mut Tenant, reading: &Reading, plan: &Plan, parts: &mut [Part], claimants: Vec<Uid>) -> (BTreeSet<Uid>, Late) {
    let by = reading.at + CLAIMED;
    let connection = described(tenant.identity(), &reading.document);
    let (mut claimed, mut refused) = (BTreeSet::new(), Vec::new());
    let number = |uid: Uid| parts.iter().position(|part| part.object.uid == uid);
    let mut waiting = claimants.into_iter().filter_map(number).collect::<Vec<usize>>().into_iter();
    let mut running = Late::new();
    loop {
        while running.len() < CLAIMS_AT_ONCE
            && Instant::now() < by
            && let Some(part) = waiting.next()
        {
            let object = parts.get(part).map(|part| part.stored.clone());
            let Some(object) = object else { continue };
            let (records, removed) = (plan.claims_of(&object.uid), plan.removed_for(&object.uid));
            let (report, connection) = (tenant.shared.report.clone(), connection.clone());
            running.spawn(async move { (part, store_claim(&report, object, &connection, &records, &removed).await) });
        }
        let Ok(Some(ended)) = tokio::time::timeout_at(by.into(), running.join_next()).await else { break };
        if let Some((object, error)) = take_in(ended, parts, &mut claimed) {
            refused.push((object, error));
        }
    }
    for (object, error) in refused {
        tenant.unsaid(&object, &error);
    }
    (claimed, running)
}

/// Claims that are on their way to the API server, each with the number of its part.
type Late = JoinSet<(usize, Result<Declared, WriteError>)>;

async fn store_claim(
    report: &Report,
    object: Declared,
    connection: &ConnectionStatus,
    records: &BTreeMap<String, Vec<Fingerprint>>,
    removed: &BTreeSet<String>,
) -> Result<Declared, WriteError> {
    let mut stored = object;
    if !stored.finalizer && stored.cleans_up() && !stored.deleting {
        stored = keeping_status(report.finalizer(&stored, true).await?, &stored);
    }
    let status = status::claimed(&stored, connection, records, removed, now_in_seconds());
    report.status(&stored, &status).await
}

/// Notes a claim that is stored; yields the object and the error of one that is not.
fn take_in(
    ended: Result<(usize, Result<Declared, WriteError>), JoinError>,
    parts: &mut [Part],
    claimed: &mut BTreeSet<Uid>,
) -> Option<(Arc<Declared>, WriteError)> {
    let (part, stored) = ended.ok()?;
    let part = parts.get_mut(part)?;
    match stored {
        Ok(stored) => {
            claimed.insert(stored.uid.clone());
            part.stored = stored;
            None
        }
        Err(error) => Some((part.object.clone(), error)),
    }
}

/// Waits for the claims that came too late for the write: what is concluded is written to the version that they made.
async fn until_stored(mut late: Late, parts: &mut [Part]) {
    while let Some(ended) = late.join_next().await {
        take_in(ended, parts, &mut BTreeSet::new());
    }
}

fn keeping_status(new: Declared, old: &Declared) -> Declared {
    Declared { status: old.status.clone(), ..new }
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

/// Notes what was written, and counts what was set back.
fn note_written(tenant: &mut Tenant, plan: &Plan, parts: &[Part], answer: &Document) {
    tenant.directory.wrote(answer);
    let now = (Instant::now(), now_in_seconds());
    let corrected: Vec<(&String, &Uid)> =
        plan.changes.iter().filter(|(_, change)| change.drift).map(|(name, change)| (name, &change.actor)).collect();
    for (name, actor) in &corrected {
        let generation = parts.iter().find(|part| part.object.uid == **actor).map_or(0, |part| part.object.generation);
        let param = plan.objects.get(*actor).and_then(|params| params.get(*name));
        let removed = param.is_some_and(|param| matches!(param.verdict, Verdict::Write { absent: true, .. }));
        tenant.memory.corrected(&answer.id, name, (*actor, generation), removed, now);
    }
    tenant.shared.metrics.drift_corrected(&tenant.name, u64::try_from(corrected.len()).unwrap_or(u64::MAX));
}

// ---- conclude ----

async fn finish(tenant: &mut Tenant, subject: &Subject, reading: &Reading, mut plan: Plan, parts: Vec<Part>, done: Done) {
    plan.written = matches!(done, Done::Written);
    let done = match done {
        Done::Failed(failure) => {
            if failure.may_still_land() {
                tenant.may_still_land(&reading.document.id);
            }
            Done::Failed(tenant.learn(subject, failure).await)
        }
        other @ (Done::Nothing | Done::Written | Done::Rejected(_) | Done::Split | Done::Postponed(..) | Done::Superseded) => other,
    };
    match &done {
        Done::Superseded => return superseded(tenant, subject, reading, plan, parts).await,
        Done::Split => {
            tenant.memory.go_singly(&reading.document.id);
            tenant.agenda.edit(subject.clone(), Instant::now());
            return;
        }
        Done::Rejected(message) => reject(tenant, reading, &plan, &parts, message),
        Done::Nothing | Done::Written => tenant.memory.succeeded(subject),
        Done::Failed(_) | Done::Postponed(..) => {}
    }
    let at = next_date(tenant, subject, reading, &plan, &done);
    if matches!(done, Done::Failed(_) | Done::Postponed(..)) || !plan.deferred.is_empty() {
        tenant.agenda.retry(subject.clone(), at);
    } else {
        tenant.agenda.again(subject.clone(), at);
    }
    conclude_all(tenant, subject, reading, &plan, parts, &done).await;
}

/// A pass that came to no result is run again soon. One is nothing to tell of: somebody edited an object meanwhile. Where
/// it goes on, everybody who waits is told.
async fn superseded(tenant: &mut Tenant, subject: &Subject, reading: &Reading, plan: Plan, parts: Vec<Part>) {
    let passes = tenant.memory.failed(subject);
    let pause = backoff(passes, fastrand::f64()).mul_f64(0.1);
    tenant.agenda.retry(subject.clone(), Instant::now() + pause);
    if passes < TOLD {
        tracing::info!(tenant = %tenant.name, connection = %reading.document.name, "a pass came to no result and is run again");
        return;
    }
    tracing::warn!(
        tenant = %tenant.name, connection = %reading.document.name, passes,
        "passes come to no result, as no record of what is to be written can be stored in time"
    );
    let message = "nothing is written, as the record of what is to be written could not be stored in time, again and again: \
                   the Kubernetes API server is slow or refuses it, or the objects change all the time; it is tried again";
    let done = Done::Postponed(Obstacle { reason: ObstacleReason::Pending, message: message.to_owned(), tenant_wide: false }, None);
    conclude_all(tenant, subject, reading, &plan, parts, &done).await;
}

/// Concludes every object. Who adopts a name as it is has stored its claim, and is told last: when nobody else has a record
/// of the name any more. Until then the name is still the other's, who may come back.
async fn conclude_all(tenant: &mut Tenant, subject: &Subject, reading: &Reading, plan: &Plan, mut parts: Vec<Part>, done: &Done) {
    parts.sort_by_key(|part| plan.adopts(&part.object.uid));
    // Nothing is concluded of who was not claimed in time, so that its records stay.
    let silent = |uid: Uid| plan.unadopted.contains(&uid) || parts.iter().all(|part| part.object.uid != uid);
    let mut given_up = !plan.losers().into_iter().any(silent);
    for mut part in parts {
        let uid = &part.object.uid;
        if !given_up && plan.adopts(uid) {
            continue;
        }
        if plan.unadopted.contains(uid) {
            // Its claim was not stored: it comes with the next pass.
            continue;
        }
        let losses = plan.losses(uid);
        let outcome = match (&part.settled, part.role) {
            (Some(outcome), _) => outcome.clone(),
            (None, None | Some(Role::Holder | Role::Mover | Role::Bystander)) if losses.is_empty() => continue,
            (None, None | Some(Role::Holder | Role::Mover | Role::Bystander)) => Outcome::Displaced,
            (None, Some(Role::Owner | Role::Observer | Role::Leaver)) => {
                let ending = ending(plan, uid, done);
                Outcome::Planned(Planned::part(
                    plan,
                    &part.object,
                    described(tenant.identity(), &reading.document),
                    part.warnings.clone(),
                    ending,
                ))
            }
        };
        let stored = stored_version(&part);
        part.stored.status = claims::without(part.stored.status, &reading.document.id, &losses);
        if say_or_retry(tenant, &part.stored, &stored, &outcome, part.placed).await {
            follow_up(tenant, subject, &part, &reading.document.id);
        } else {
            given_up &= plan.adopts(&part.object.uid);
        }
    }
}

/// The object to compare the new status with: as it is stored, old entries of a connection that is gone included.
fn stored_version(part: &Part) -> Declared {
    if part.stored.resource_version == part.object.resource_version {
        Declared { status: part.object.status.clone(), ..part.stored.clone() }
    } else {
        part.stored.clone()
    }
}

/// After an object was concluded here, the other connections it belongs to are due, where that is news to them. Else each
/// has its own date, which may be the end of a pause: two that called for each other would never pause.
fn follow_up(tenant: &mut Tenant, subject: &Subject, part: &Part, connection: &ConnectionId) {
    let now = Instant::now();
    let others: Vec<Subject> = match (&part.object.spec, part.placed) {
        // Accepted here, so it may leave where it was.
        (Ok(_), true) => {
            let news = !status::is_accepted_on(&part.object, connection);
            let others = claims::connections(&part.object.status).map(Subject::Id);
            others.filter(|other| other != subject && (news || !tenant.agenda.has(other))).collect()
        }
        // It has left here, so what it names can be concluded.
        (Ok(spec), false) if !part.object.deleting && part.role == Some(Role::Leaver) && has_left(tenant, &part.object, connection) => {
            vec![tenant.subject_of(&spec.target)]
        }
        _ => Vec::new(),
    };
    for other in others {
        tenant.agenda.edit(other, now);
    }
}

/// Whether an object has no record on a connection any more.
fn has_left(tenant: &Tenant, object: &Declared, connection: &ConnectionId) -> bool {
    let now = tenant.shared.hub.look(|world| world.object(&object.key));
    now.is_none_or(|now| claims::connections(&now.status).all(|id| id != *connection))
}

fn reject(tenant: &mut Tenant, reading: &Reading, plan: &Plan, parts: &[Part], message: &str) {
    let actors = plan.actors();
    for part in parts.iter().filter(|part| actors.contains(&part.object.uid)) {
        tenant.memory.reject(
            &part.object.uid,
            part.object.generation,
            &reading.document.id,
            reading.document.options_hash(),
            message.to_owned(),
        );
    }
}

fn ending(plan: &Plan, object: &Uid, done: &Done) -> WriteOutcome {
    let acted_for = plan.acted_for().contains(object);
    let deferred = plan.deferred.keys().any(|name| plan.defers(name, object));
    match done {
        Done::Postponed(trouble, _) if acted_for || deferred => WriteOutcome::Postponed(trouble.clone()),
        _ if !acted_for && deferred => WriteOutcome::Postponed(Obstacle {
            reason: ObstacleReason::Pending,
            message: "the changes of this connection are written one after the other; these are among the next".to_owned(),
            tenant_wide: false,
        }),
        _ if !acted_for => WriteOutcome::Nothing,
        Done::Nothing | Done::Split | Done::Superseded | Done::Postponed(..) => WriteOutcome::Nothing,
        Done::Written => WriteOutcome::Written,
        Done::Failed(failure) => WriteOutcome::Failed(obstacle_of(failure)),
        Done::Rejected(message) => WriteOutcome::Rejected(message.clone()),
    }
}

/// When to look at the connection again.
fn next_date(tenant: &mut Tenant, subject: &Subject, reading: &Reading, plan: &Plan, done: &Done) -> Instant {
    let now = Instant::now();
    let mut at = next_look(tenant, now);
    if !plan.deferred.is_empty() && !matches!(done, Done::Postponed(..)) {
        at = now;
    }
    if let Done::Failed(failure) = done {
        at = match failure.retry() {
            Retry::After(after) => now + after.min(MAX_BACKOFF),
            Retry::Backoff | Retry::ResyncPace | Retry::Never => now + tenant.pause(subject),
        };
        at = at.max(now + tenant.unsettled_for(&reading.document.id).unwrap_or_default());
    }
    if let Done::Postponed(_, Some(after)) = done {
        at = now + *after;
    }
    if let (Done::Nothing, Some(left)) = (done, tenant.unsettled_for(&reading.document.id)) {
        // What a write without an answer may still set is recorded until then.
        at = at.min(now + left);
    }
    for (name, param) in plan.objects.values().flatten() {
        let until = match param.verdict {
            Verdict::Contended => tenant.memory.contend(&reading.document.id, name, (now, now_in_seconds())).map(|(until, _)| until),
            Verdict::Paced { .. } => tenant.memory.paced_until(&reading.document.id, name),
            Verdict::InSync
            | Verdict::Write { .. }
            | Verdict::Remove
            | Verdict::Gone
            | Verdict::Handed
            | Verdict::Left
            | Verdict::ExistingValue
            | Verdict::Conflicted(_) => None,
        };
        at = until.map_or(at, |until| at.min(until));
    }
    at
}

/// Concludes; on a conflict or a failure the object is planned again, later each time. Yields whether it was said.
async fn say_or_retry(tenant: &mut Tenant, as_planned: &Declared, current: &Declared, outcome: &Outcome, placed: bool) -> bool {
    match tenant.say(as_planned, current, outcome, placed).await {
        Ok(()) => true,
        Err(error) => {
            tenant.unsaid(as_planned, &error);
            error == WriteError::Gone
        }
    }
}
