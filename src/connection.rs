//! One pass over one connection: read, plan, claim, write, conclude.
//!
//! Guarantees: the document that a PATCH is built from was read for it, at most [`FRESH`] before the PATCH starts;
//! every object that is acted for stored its claim in between, with the version the plan was made from; whatever
//! happens, every object of the connection is told, or the connection is looked at again soon.
//!
//! Assumes: no other pass of this tenant runs at the same time ([`crate::driver`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinError, JoinSet};

use crate::api::reason::Reason;
use crate::api::upstream_params::{ConnectionStatus, ManagementPolicy};
use crate::auth0::{Client, Failure, Retry, Route};
use crate::cluster::report::{Report, WriteError};
use crate::core::claims::{self, Place};
use crate::core::conclude::{self, Ending, Outcome, Planned, Trouble};
use crate::core::document::{Document, DocumentError, Live};
use crate::core::plan::{self, ParamPlan, Participant, Plan, Role, Site, Verdict};
use crate::core::schedule::{MAX_BACKOFF, Subject, backoff, jittered};
use crate::core::tenancy::Settings;
use crate::core::validate::{self, Spec, Target};
use crate::core::world::{Declared, Uid};
use crate::tenant::{Tenant, not_permitted, now_in_seconds, trouble};

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
    at: Instant,
    /// The id under which the connection was known before, when that one is gone.
    gone: Option<String>,
}

/// An object's part in the pass.
struct Part {
    object: Arc<Declared>,
    /// The object as it is stored now: claims move its version on.
    stored: Declared,
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
    match read(tenant, client, &subject, &involved).await {
        Err(failure) => unread(tenant, &subject, &involved, &failure).await,
        Ok(None) => not_found(tenant, settings, &subject, &involved).await,
        Ok(Some(reading)) => with_reading(tenant, client, settings, subject, reading).await,
    }
}

/// The objects that name the connection or hold a record on it.
fn involved(tenant: &Tenant, subject: &Subject) -> Vec<Arc<Declared>> {
    let known = |object: &Arc<Declared>| tenant.shared.hub.look(|world| world.labels(&object.key.namespace).is_some());
    let objects = tenant.shared.hub.look(|world| world.objects_of(&tenant.name));
    objects.into_iter().filter(|object| (names(tenant, object, subject) || records(object, subject)) && known(object)).collect()
}

fn names(tenant: &Tenant, object: &Declared, subject: &Subject) -> bool {
    object.spec.as_ref().is_ok_and(|spec| tenant.subject_of(&spec.target) == *subject)
}

fn records(object: &Declared, subject: &Subject) -> bool {
    claims::connections(&object.status).any(|id| matches!(subject, Subject::Id(known) if known == id))
}

// ---- read ----

/// Reads the connection. A known id that is gone is looked up by its name once: it may have been made anew, or what
/// answered the first time did not know it yet.
async fn read(tenant: &Tenant, client: &Client, subject: &Subject, involved: &[Arc<Declared>]) -> Result<Option<Reading>, Failure> {
    let fresh = |document: Option<Document>, gone: Option<String>| document.map(|document| Reading { document, at: Instant::now(), gone });
    match subject {
        Subject::Access => Ok(None),
        Subject::Name(name) => Ok(fresh(client.find(name).await?, None)),
        Subject::Id(id) => {
            if let Some(document) = client.read(id).await? {
                return Ok(fresh(Some(document), None));
            }
            let by_name = involved.iter().find_map(|object| match object.spec.as_ref().map(|spec| &spec.target) {
                Ok(Target::Name(name)) if tenant.directory.name_of(id) == Some(name) => Some(name),
                _ => None,
            });
            match by_name {
                Some(name) => {
                    let found = client.find(name).await?;
                    let gone = found.as_ref().is_none_or(|document| document.id != *id).then(|| id.clone());
                    Ok(fresh(found, gone))
                }
                None => Ok(None),
            }
        }
    }
}

async fn unread(tenant: &mut Tenant, subject: &Subject, involved: &[Arc<Declared>], failure: &Failure) {
    tracing::warn!(tenant = %tenant.name, connection = ?subject, error = %failure, "the connection could not be read");
    tenant.learn(failure).await;
    let outcome = Outcome::Unread(trouble(failure));
    for object in involved {
        let placed = names(tenant, object, subject);
        if placed || object.deleting {
            say_or_retry(tenant, object, object, &unseen(tenant, object, placed, &outcome), placed).await;
        }
    }
    try_again(tenant, subject, failure);
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
    tenant.agenda.again(subject.clone(), at);
}

fn next_look(tenant: &Tenant, now: Instant) -> Instant {
    let resync = tenant.settings().map_or(Duration::from_mins(10), |settings| settings.resync);
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
        say_or_retry(tenant, object, object, &unseen(tenant, object, placed, &outcome), placed).await;
        let Ok(spec) = &object.spec else { continue };
        let there = tenant.subject_of(&spec.target);
        if !placed {
            // It has left here, so what it names can be concluded.
            tenant.agenda.edit(there, Instant::now());
        } else if !object.deleting {
            tenant.agenda.again(there, Instant::now() + jittered(settings.resync, fastrand::f64()));
        }
    }
}

// ---- plan ----

async fn with_reading(tenant: &mut Tenant, client: &Client, settings: &Settings, asked: Subject, reading: Reading) {
    let now = Instant::now();
    let document = &reading.document;
    if tenant.is_outdated() {
        // What the tenant admits changed during the read: the news is taken in before the next pass.
        tenant.agenda.edit(asked, now);
        return;
    }
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
    if reading.gone.is_some() && involved(tenant, &asked).iter().any(|object| parts.iter().all(|part| part.object.uid != object.uid)) {
        // Who holds a record on the connection that is gone and names another one is no part of this pass.
        tenant.agenda.edit(asked.clone(), now);
    }
    let live = match document.live() {
        Ok(live) => live,
        Err(error) => return unusable(tenant, &subject, parts, error).await,
    };
    tenant.shared.metrics.good_look(&tenant.name);
    for part in &parts {
        tenant.memory.saw(&part.object.uid, part.object.generation, now);
    }
    let contended = tenant.memory.contended(&document.id, now);
    let place = Place { tenant: settings.audience.identity(), connection: &document.id };
    let participants: Vec<Participant<'_>> =
        parts.iter().filter_map(|part| part.role.map(|role| Participant { object: &part.stored, role })).collect();
    let mut plan = plan::plan(Site { place, live: &live, contended: &contended }, &participants, settings.observes);
    notice_drift(tenant, &plan);
    if plan.changes.is_empty() {
        tenant.memory.is_settled(&document.id);
    } else if tenant.memory.goes_singly(&document.id)
        && let Some(actor) = plan.actors().first()
    {
        plan.retain_actor(actor);
    }
    let done = carry_out(tenant, client, settings, &reading, &mut plan, &mut parts).await;
    finish(tenant, &subject, &reading, plan, parts, done).await;
}

fn notice_drift(tenant: &Tenant, plan: &Plan) {
    let drifted = |param: &&ParamPlan| matches!(param.verdict, Verdict::Write { drift: true, .. } | Verdict::Contended);
    let count = plan.objects.values().flat_map(BTreeMap::values).filter(drifted).count();
    tenant.shared.metrics.drift_seen(&tenant.name, u64::try_from(count).unwrap_or(u64::MAX));
}

/// The connection was read, but its options can't be used.
async fn unusable(tenant: &mut Tenant, subject: &Subject, parts: Vec<Part>, error: DocumentError) {
    let failure = Failure::BadDocument { route: Route::ReadConnection, error };
    tracing::warn!(tenant = %tenant.name, connection = ?subject, error = %failure, "the connection can't be managed");
    tenant.learn(&failure).await;
    let outcome = Outcome::Unread(trouble(&failure));
    for part in parts {
        let own = part.settled.filter(|_| part.placed);
        if part.placed || part.object.deleting {
            say_or_retry(tenant, &part.object, &part.stored, own.as_ref().unwrap_or(&outcome), part.placed).await;
        }
    }
    let at = match error {
        // A scope that is granted meanwhile is found out about by the look at the tenant's access.
        DocumentError::OptionsHidden => Instant::now() + tenant.pause(subject),
        DocumentError::NotAConnection(_) | DocumentError::ParamsNotAnObject => next_look(tenant, Instant::now()),
    };
    tenant.agenda.again(subject.clone(), at);
}

/// Who takes part, and how.
fn parts(tenant: &Tenant, settings: &Settings, reading: &Reading) -> Vec<Part> {
    let document = &reading.document;
    let objects = tenant.shared.hub.look(|world| world.objects_of(&tenant.name));
    let concerned = objects.into_iter().filter_map(|object| {
        let placed = object.spec.as_ref().is_ok_and(|spec| match &spec.target {
            Target::Name(name) => *name == document.name,
            Target::Id(id) => *id == document.id,
        });
        let recorded = claims::connections(&object.status).any(|id| id == document.id);
        (placed || recorded).then_some((object, placed, recorded))
    });
    concerned.map(|(object, placed, recorded)| part(tenant, settings, reading, &object, placed, recorded)).collect()
}

fn part(tenant: &Tenant, settings: &Settings, reading: &Reading, object: &Arc<Declared>, placed: bool, recorded: bool) -> Part {
    let document = &reading.document;
    let labels = tenant.shared.hub.look(|world| world.labels(&object.key.namespace).cloned());
    let admission = labels.as_ref().and_then(|labels| settings.admission(labels, &document.name));
    let observes = settings.observes || object.policies.management == ManagementPolicy::Observe;
    let mut stored = Declared::clone(object);
    if let Some(gone) = &reading.gone {
        stored.status.connections.retain(|entry| &entry.id != gone);
    }
    let none = Part { stored, placed, role: None, warnings: Vec::new(), settled: None, object: object.clone() };
    let role = |role: Role| Part { role: Some(role), ..none_like(&none) };
    let settled = |outcome: Outcome| Part { settled: Some(outcome), ..none_like(&none) };
    // Only an object that may write holds anything.
    let holder = (recorded && !observes).then_some(Role::Holder);
    let holding = |outcome: Outcome| Part { role: holder, settled: Some(outcome), ..none_like(&none) };
    if labels.is_none() {
        // A namespace that is not known yet says nothing for the object, and nothing against it.
        return Part { role: holder, placed: false, ..none };
    }
    let Some(reserved) = admission else {
        let left = |spec: &Spec| !placed && !observes && accepted_elsewhere(tenant, object, &spec.target);
        return match (object.deleting, placed) {
            (true, _) if !object.finalizer => none,
            // What it holds elsewhere may be permitted: that record has to outlive this one.
            (true, _) if claims::connections(&object.status).any(|id| id != document.id) => {
                settled(Outcome::Planned(Planned::left(object, described(document))))
            }
            (true, _) => settled(Outcome::Released("the tenant does not admit it any more".to_owned())),
            (false, true) => settled(not_permitted(&tenant.name, object, Some(&document.name))),
            (false, false) if object.spec.as_ref().is_ok_and(left) => settled(Outcome::Planned(Planned::left(object, described(document)))),
            // It may be admitted again: until it is known to have left, its record stays.
            (false, false) => none,
        };
    };
    if object.deleting {
        return match (object.finalizer, object.cleans_up() && !settings.observes) {
            (false, _) => none,
            (true, false) => settled(Outcome::Released("it only observes, or its deletionPolicy is Retain".to_owned())),
            // What it owned went with the connection it was on; on the one of the same name nothing ever was its own.
            (true, true) => match reading.gone.as_ref().filter(|gone| claims::connections(&object.status).any(|id| id == gone.as_str())) {
                Some(gone) => settled(Outcome::ConnectionNotFound { id: Some(gone.clone()) }),
                None => role(Role::Leaver),
            },
        };
    }
    let Ok(spec) = &object.spec else { return Part { role: holder, ..none } };
    if !placed {
        return match (observes, accepted_elsewhere(tenant, object, &spec.target)) {
            (true, _) => none,
            (false, true) => role(Role::Leaver),
            (false, false) => role(Role::Holder),
        };
    }
    match validate::against_connection(spec, document, &reserved) {
        Err((reason, message)) => holding(Outcome::Refused { reason, message }),
        Ok(warnings) if observes => Part { warnings, ..role(Role::Observer) },
        Ok(_) if tenant.memory.is_rejected(&object.uid, object.generation, &document.id, document.options_hash()) => {
            holding(Outcome::StillRejected)
        }
        Ok(warnings) => Part { warnings, ..role(Role::Owner) },
    }
}

fn none_like(part: &Part) -> Part {
    Part { object: part.object.clone(), stored: part.stored.clone(), placed: part.placed, role: None, warnings: Vec::new(), settled: None }
}

/// Whether the object was accepted where it is now: only then it leaves where it was.
fn accepted_elsewhere(tenant: &Tenant, object: &Declared, target: &Target) -> bool {
    tenant.directory.id_of(target).is_some_and(|id| conclude::is_accepted_on(object, id))
}

fn described(document: &Document) -> ConnectionStatus {
    ConnectionStatus {
        id: document.id.clone(),
        name: Some(document.name.clone()),
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
    /// Nothing was claimed.
    Postponed(Trouble),
    /// The claims could not all be stored, or took too long: read and plan again.
    Superseded,
}

async fn carry_out(
    tenant: &mut Tenant,
    client: &Client,
    settings: &Settings,
    reading: &Reading,
    plan: &mut Plan,
    parts: &mut Vec<Part>,
) -> Done {
    if plan.changes.is_empty() {
        return Done::Nothing;
    }
    if settings.observes {
        return Done::Nothing;
    }
    if let Some(lacking) = &tenant.lacking {
        return Done::Postponed(Trouble { reason: Reason::TenantNotReady, message: lacking.message.clone(), tenant: true });
    }
    let mut left = plan.acted_for();
    let late = claim(tenant, reading, plan, parts).await;
    left.retain(|uid| !plan.acted_for().contains(uid));
    let age = reading.at.elapsed();
    let body = reading.document.patch_body(&plan.entries());
    let (Ok(body), false) = (body, plan.changes.is_empty() || age > FRESH) else {
        until_stored(late, parts).await;
        return Done::Superseded;
    };
    tenant.shared.metrics.read_to_write(&tenant.name, age.as_secs_f64());
    // Fetching a new token takes time too: the PATCH itself must start while the document is fresh.
    let finish_by = reading.at + FRESH + tenant.shared.transport.request_timeout();
    let answer = client.write(&reading.document.id, &body, &correlation(plan, parts), Some(finish_by.into())).await;
    until_stored(late, parts).await;
    match answer {
        Err(Failure::OutOfTime | Failure::Gone) => Done::Superseded,
        Ok(answer) => {
            let done = written(tenant, plan, &answer);
            if matches!(done, Done::Written) {
                // Those are next, at once: to tell them so would take as long as to write them.
                parts.retain(|part| !left.contains(&part.object.uid));
            }
            done
        }
        Err(Failure::Rejected { names_upstream_params: true, .. }) if plan.actors().len() > 1 => Done::Split,
        Err(failure @ Failure::Rejected { names_upstream_params: true, .. }) => Done::Rejected(failure.message()),
        Err(failure) => Done::Failed(failure),
    }
}

/// Names the first object acted for in the tenant's log.
fn correlation(plan: &Plan, parts: &[Part]) -> String {
    let actors = plan.actors();
    let first = parts.iter().find(|part| actors.first() == Some(&part.object.uid));
    first.map_or_else(String::new, |part| format!("uparams-{}-{}", part.object.key.namespace, part.object.key.name))
}

/// Stores the claim of every object that is acted for, also where it does not change: the write is the fence. Those of
/// one change after the other, many at a time. A change whose claims are not all stored in time, or can't be, is left
/// to the next pass. Yields the writes that are still on their way.
async fn claim(tenant: &mut Tenant, reading: &Reading, plan: &mut Plan, parts: &mut [Part]) -> Late {
    let by = reading.at + CLAIMED;
    let connection = described(&reading.document);
    let (mut claimed, mut refused) = (BTreeSet::new(), Vec::new());
    let number = |uid: Uid| parts.iter().position(|part| part.object.uid == uid);
    let mut waiting = plan.acted_for_in_order().into_iter().filter_map(number).collect::<Vec<usize>>().into_iter();
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
    plan.retain_claimed(&claimed);
    running
}

/// Claims that are on their way to the API server, each with the number of its part.
type Late = JoinSet<(usize, Result<Declared, WriteError>)>;

async fn store_claim(
    report: &Report,
    object: Declared,
    connection: &ConnectionStatus,
    records: &BTreeMap<String, Vec<String>>,
    removed: &BTreeSet<String>,
) -> Result<Declared, WriteError> {
    let mut stored = object;
    if !stored.finalizer && stored.cleans_up() && !stored.deleting {
        stored = keeping_status(report.finalizer(&stored, true).await?, &stored);
    }
    let status = conclude::claimed(&stored, connection, records, removed, now_in_seconds());
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

/// Checks that the answer shows what was sent.
fn written(tenant: &mut Tenant, plan: &Plan, answer: &Document) -> Done {
    let Ok(live) = answer.live() else {
        return Done::Failed(Failure::BadDocument { route: Route::WriteConnection, error: DocumentError::OptionsHidden });
    };
    let shown = plan.changes.iter().all(|(name, change)| live.get(name) == change.entry.clone().map(Live::Entry).as_ref());
    if !shown {
        return Done::Failed(Failure::Malformed { route: Route::WriteConnection, what: "a connection without what was written" });
    }
    tenant.directory.wrote(answer);
    let now = Instant::now();
    let corrected: Vec<&String> = plan.changes.iter().filter(|(_, change)| change.drift).map(|(name, _)| name).collect();
    for name in &corrected {
        tenant.memory.corrected(&answer.id, name, now);
    }
    tenant.shared.metrics.drift_corrected(&tenant.name, u64::try_from(corrected.len()).unwrap_or(u64::MAX));
    Done::Written
}

// ---- conclude ----

async fn finish(tenant: &mut Tenant, subject: &Subject, reading: &Reading, plan: Plan, parts: Vec<Part>, done: Done) {
    match &done {
        Done::Superseded => return superseded(tenant, subject, reading, plan, parts).await,
        Done::Split => {
            tenant.memory.go_singly(&reading.document.id);
            tenant.agenda.edit(subject.clone(), Instant::now());
            return;
        }
        Done::Failed(failure) => tenant.learn(failure).await,
        Done::Rejected(_) => reject(tenant, reading, &plan, &parts),
        Done::Nothing | Done::Written => tenant.memory.succeeded(subject),
        Done::Postponed(_) => {}
    }
    let at = next_date(tenant, subject, reading, &plan, &done);
    tenant.agenda.again(subject.clone(), at);
    conclude_all(tenant, subject, reading, &plan, parts, &done).await;
}

/// A pass that came to no result is run again soon. One is nothing to tell of: somebody edited an object meanwhile. Where
/// it goes on, everybody who waits is told.
async fn superseded(tenant: &mut Tenant, subject: &Subject, reading: &Reading, plan: Plan, parts: Vec<Part>) {
    let passes = tenant.memory.failed(subject);
    let pause = backoff(passes, fastrand::f64()).mul_f64(0.1);
    tenant.agenda.again(subject.clone(), Instant::now() + pause);
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
    let done = Done::Postponed(Trouble { reason: Reason::Pending, message: message.to_owned(), tenant: false });
    conclude_all(tenant, subject, reading, &plan, parts, &done).await;
}

/// Concludes every object. Who gains a record is told before who gives one up: where equal values change hands there is
/// no write and so no fence between the two, and a value that is in no record could never be removed again.
async fn conclude_all(tenant: &mut Tenant, subject: &Subject, reading: &Reading, plan: &Plan, mut parts: Vec<Part>, done: &Done) {
    let gives = |part: &Part| {
        let params = plan.objects.get(&part.object.uid);
        params.is_some_and(|params| params.values().any(|param| param.verdict == Verdict::Handed))
    };
    parts.sort_by_key(gives);
    let mut gained = true;
    for part in parts {
        let outcome = match &part.settled {
            Some(outcome) => outcome.clone(),
            None if matches!(part.role, None | Some(Role::Holder)) => continue,
            None if !gained && gives(&part) => continue,
            None => {
                let ending = ending(plan, &part.object.uid, done);
                Outcome::Planned(Planned::part(plan, &part.object, described(&reading.document), part.warnings.clone(), ending))
            }
        };
        if say_or_retry(tenant, &part.stored, &stored_version(&part), &outcome, part.placed).await {
            follow_up(tenant, subject, &part);
        } else {
            gained = false;
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

/// After an object was concluded here, the other connections it belongs to are due.
fn follow_up(tenant: &mut Tenant, subject: &Subject, part: &Part) {
    let now = Instant::now();
    let others: Vec<Subject> = match (&part.object.spec, part.placed) {
        // Accepted here, so it may leave where it was.
        (Ok(_), true) => {
            claims::connections(&part.object.status).map(|id| Subject::Id(id.to_owned())).filter(|other| other != subject).collect()
        }
        // It has left here, so what it names can be concluded.
        (Ok(spec), false) if !part.object.deleting && part.role == Some(Role::Leaver) => vec![tenant.subject_of(&spec.target)],
        _ => Vec::new(),
    };
    for other in others {
        tenant.agenda.edit(other, now);
    }
}

fn reject(tenant: &mut Tenant, reading: &Reading, plan: &Plan, parts: &[Part]) {
    let actors = plan.actors();
    for part in parts.iter().filter(|part| actors.contains(&part.object.uid)) {
        tenant.memory.reject(&part.object.uid, part.object.generation, &reading.document.id, reading.document.options_hash());
    }
}

fn ending(plan: &Plan, object: &Uid, done: &Done) -> Ending {
    let acted_for = plan.acted_for().contains(object);
    let deferred = plan.deferred.keys().any(|name| plan.defers(name, object));
    match done {
        Done::Postponed(trouble) if acted_for || deferred => Ending::Postponed(trouble.clone()),
        _ if !acted_for && deferred => Ending::Postponed(Trouble {
            reason: Reason::Pending,
            message: "the changes of this connection are written one after the other; these are among the next".to_owned(),
            tenant: false,
        }),
        _ if !acted_for => Ending::Nothing,
        Done::Nothing | Done::Split | Done::Superseded | Done::Postponed(_) => Ending::Nothing,
        Done::Written => Ending::Written,
        Done::Failed(failure) => Ending::Failed(trouble(failure)),
        Done::Rejected(message) => Ending::Rejected(message.clone()),
    }
}

/// When to look at the connection again.
fn next_date(tenant: &mut Tenant, subject: &Subject, reading: &Reading, plan: &Plan, done: &Done) -> Instant {
    let now = Instant::now();
    let mut at = next_look(tenant, now);
    if !plan.deferred.is_empty() {
        at = now;
    }
    if let Done::Failed(failure) = done {
        at = match failure.retry() {
            Retry::After(after) => now + after.min(MAX_BACKOFF),
            Retry::Backoff | Retry::ResyncPace | Retry::Never => now + tenant.pause(subject),
        };
    }
    let contended = plan.objects.values().flatten().filter(|(_, param)| param.verdict == Verdict::Contended).map(|(name, _)| name.clone());
    for name in contended.collect::<BTreeSet<_>>() {
        if let Some(until) = tenant.memory.contend(&reading.document.id, &name, now) {
            at = at.min(until);
        }
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
