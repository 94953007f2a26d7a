//! Every state that the operator writes, as whole objects: each write of a pass, over each state that was there before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use test_support::from;
use upstream_params_operator::api::reason::Reason;
use upstream_params_operator::api::upstream_params::{ConnectionStatus, UpstreamParamsStatus};
use upstream_params_operator::internals::{
    AllowedDomains, Context, CredentialsState, Declared, DeclaredTenant, Fingerprint, ObjectKey, Obstacle, ObstacleReason, Outcome,
    ParamPlan, Planned, Refusal, Resolution, SecretData, UnfitReason, Verdict, World, WriteOutcome, claimed, conclude, conclude_tenant,
    parse_spec, policies, resolve,
};

/// The generation that a state is about.
const GENERATION: i64 = 2;

/// One state.
pub(super) struct State {
    /// What has happened.
    pub(super) name: String,
    /// The object, as the API server returns it.
    pub(super) object: Value,
}

/// What a pass found.
pub(super) struct Pass {
    pub(super) name: &'static str,
    outcome: Outcome,
}

fn now() -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_700_000_000).unwrap()
}

pub(super) fn context() -> Context {
    Context {
        now: now(),
        observing: false,
        names_it: true,
        since_good_look: Duration::ZERO,
        stale_after: Duration::from_mins(30),
        unready_for: Duration::ZERO,
    }
}

fn spec() -> Value {
    json!({"connection": {"name": "wordpress"}, "params": {"blog": {"value": "x"}, "lang": {"value": "y"}}})
}

fn declared(generation: i64, status: UpstreamParamsStatus) -> Declared {
    Declared {
        key: ObjectKey { namespace: "identity".to_owned(), name: "blog".to_owned() },
        uid: "uid".into(),
        resource_version: "1".to_owned(),
        generation,
        created: 0,
        deleting: false,
        finalizer: false,
        other_finalizers: Vec::new(),
        policies: policies(&spec()),
        spec: parse_spec(&spec()),
        reconcile_at: None,
        status,
    }
}

/// What a brand-new object has, by the default of its CRD.
fn fresh() -> UpstreamParamsStatus {
    from(json!({"observedGeneration": -1}))
}

fn connection() -> ConnectionStatus {
    from(json!({"id": "con_1", "name": "wordpress", "strategy": "wordpress"}))
}

fn planned(verdict: Verdict, write: WriteOutcome) -> Outcome {
    planned_with(verdict, write, Vec::new())
}

fn planned_with(verdict: Verdict, write: WriteOutcome, warnings: Vec<String>) -> Outcome {
    let mark = vec![Fingerprint::from_status("9f2c41d07be5a310")];
    let plan = |verdict| ParamPlan { verdict, before: Vec::new(), claim: mark.clone(), after: mark.clone(), applied: false, dispute: None };
    let writes = matches!(verdict, Verdict::Write { .. } | Verdict::Remove);
    let touched = if writes { BTreeSet::from(["blog".to_owned()]) } else { BTreeSet::new() };
    let params = BTreeMap::from([("blog".to_owned(), plan(verdict)), ("lang".to_owned(), plan(Verdict::InSync))]);
    Outcome::Planned(Planned {
        connection: connection(),
        params,
        touched,
        deferred: BTreeSet::new(),
        overwritten: BTreeSet::new(),
        warnings,
        write,
    })
}

fn obstacle(reason: ObstacleReason, tenant_wide: bool) -> Obstacle {
    Obstacle { reason, message: format!("what happened ({})", Reason::from(reason)), tenant_wide }
}

const WRITE: Verdict = Verdict::Write { drift: false, absent: true };

/// Every write of a pass.
pub(super) fn passes() -> Vec<Pass> {
    let refused = |reason| Outcome::Refused { reason, message: "what is wrong and what to do".to_owned() };
    let text = || "what is wrong and what to do".to_owned();
    let other = ObjectKey { namespace: "identity".to_owned(), name: "older".to_owned() };
    let all = [
        ("the spec breaks a rule", Outcome::Invalid(Refusal { field: "spec".to_owned(), problem: "must be an object".to_owned() })),
        ("there is no such tenant object", Outcome::TenantNotFound { meant: None }),
        ("the tenant cannot be used", Outcome::TenantNotReady(text())),
        ("the tenant does not admit the namespace", Outcome::NotPermitted(text())),
        ("there is no such connection", Outcome::ConnectionNotFound { id: None, meant: None }),
        ("the connection has a type without such parameters", refused(UnfitReason::UnsupportedStrategy)),
        ("a reserved parameter is named", refused(UnfitReason::ReservedParam)),
        ("the connection's type allows fewer parameters", refused(UnfitReason::InvalidSpec)),
        ("the options are hidden from the operator", Outcome::Unread(obstacle(ObstacleReason::OptionsHidden, true))),
        ("reading is over the rate limit", Outcome::Unread(obstacle(ObstacleReason::RateLimited, true))),
        ("Auth0 does not answer the read", Outcome::Unread(obstacle(ObstacleReason::RemoteUnavailable, true))),
        ("the answer cannot be understood", Outcome::Unread(obstacle(ObstacleReason::ApplyFailed, false))),
        ("everything is as declared", planned(Verdict::InSync, WriteOutcome::Nothing)),
        ("as declared, with a warning", planned_with(Verdict::InSync, WriteOutcome::Nothing, vec![text()])),
        ("written", planned(WRITE, WriteOutcome::Written)),
        ("removed what is no longer declared", planned(Verdict::Remove, WriteOutcome::Written)),
        ("to be written, not yet", planned(WRITE, WriteOutcome::Nothing)),
        ("a write failed", planned(WRITE, WriteOutcome::Failed(obstacle(ObstacleReason::ApplyFailed, false)))),
        (
            "the tenant refused a write for a missing scope",
            planned(WRITE, WriteOutcome::Failed(obstacle(ObstacleReason::TenantNotReady, true))),
        ),
        ("the answer to a write was lost", planned(WRITE, WriteOutcome::Failed(obstacle(ObstacleReason::RemoteUnavailable, true)))),
        ("writing is over the rate limit", planned(WRITE, WriteOutcome::Postponed(obstacle(ObstacleReason::RateLimited, true)))),
        ("it is another object's turn", planned(WRITE, WriteOutcome::Postponed(obstacle(ObstacleReason::Pending, false)))),
        ("Auth0 refused the parameters", planned(WRITE, WriteOutcome::Rejected(text()))),
        ("another value is there", planned(Verdict::ExistingValue, WriteOutcome::Nothing)),
        ("another object has a parameter", planned(Verdict::Conflicted(other), WriteOutcome::Nothing)),
        ("somebody keeps changing a parameter", planned(Verdict::Contended, WriteOutcome::Nothing)),
        ("nothing has changed since Auth0 refused", Outcome::StillRejected { message: text(), warnings: Vec::new() }),
        ("it lets go of everything", Outcome::Released(text())),
    ];
    all.map(|(name, outcome)| Pass { name, outcome }).into_iter().collect()
}

/// The pass of this name.
pub(super) fn pass(name: &str) -> Pass {
    passes().into_iter().find(|pass| pass.name == name).unwrap()
}

/// What may have been there before a pass.
fn before() -> Vec<(&'static str, UpstreamParamsStatus)> {
    let after = |name: &str, context: Context, generation, old: UpstreamParamsStatus| {
        conclude(&declared(generation, old), &pass(name).outcome, &context).status
    };
    let in_sync = after("everything is as declared", context(), GENERATION, fresh());
    let stale = Context { since_good_look: Duration::from_hours(2), ..context() };
    let claim = claimed(&declared(GENERATION, fresh()), &connection(), &BTreeMap::new(), &BTreeSet::new(), now());
    vec![
        ("never seen", fresh()),
        ("claimed", claim),
        ("written", after("written", context(), GENERATION, fresh())),
        ("in sync", in_sync.clone()),
        ("in sync, then edited", after("everything is as declared", context(), GENERATION - 1, fresh())),
        ("stale", after("Auth0 does not answer the read", stale, GENERATION, in_sync)),
        ("refused", after("Auth0 refused the parameters", context(), GENERATION, fresh())),
        ("observed", after("everything is as declared", Context { observing: true, ..context() }, GENERATION, fresh())),
    ]
}

/// The status that a pass leaves, on an object that was never seen.
pub(super) fn after(pass: &Pass, context: &Context, deleting: bool) -> Value {
    let object = Declared { deleting, finalizer: deleting, ..declared(GENERATION, fresh()) };
    whole(GENERATION, deleting, &conclude(&object, &pass.outcome, context).status)
}

/// The status that a pass leaves on an object that was in sync.
pub(super) fn after_sync(pass: &Pass, context: &Context) -> Value {
    let old = before().into_iter().find(|(name, _)| *name == "in sync").unwrap().1;
    whole(GENERATION, false, &conclude(&declared(GENERATION, old), &pass.outcome, context).status)
}

/// An object that nothing has looked at in its latest generation.
pub(super) fn unseen(name: &str) -> Value {
    let status = before().into_iter().find(|(known, _)| *known == name).unwrap().1;
    whole(GENERATION, false, &status)
}

/// Every state: each write over each earlier state, observing or not, in time or not, deleting or not; and each
/// earlier state by itself.
pub(super) fn all() -> Vec<State> {
    let mut all: Vec<State> = before()
        .iter()
        .map(|(name, status)| State { name: format!("{name}, and nothing since"), object: whole(GENERATION, false, status) })
        .collect();
    for (was, old) in before() {
        for pass in passes() {
            for bits in 0..32_u8 {
                let bit = |place: u8| bits & (1 << place) != 0;
                let (observing, stale, long, deleting, elsewhere) = (bit(0), bit(1), bit(2), bit(3), bit(4));
                let context = Context {
                    observing,
                    names_it: !elsewhere,
                    since_good_look: if stale { Duration::from_hours(2) } else { Duration::ZERO },
                    unready_for: if long { Duration::from_mins(11) } else { Duration::ZERO },
                    ..context()
                };
                let object = Declared { deleting, finalizer: deleting, ..declared(GENERATION, old.clone()) };
                let status = conclude(&object, &pass.outcome, &context).status;
                let name = format!(
                    "{was}; {}; observing: {observing}, stale: {stale}, long: {long}, deleting: {deleting}, elsewhere: {elsewhere}",
                    pass.name
                );
                all.push(State { name, object: whole(GENERATION, deleting, &status) });
            }
        }
    }
    all
}

/// Every state of both kinds.
pub(super) fn of_both() -> Vec<State> {
    all().into_iter().chain(of_tenants()).collect()
}

fn whole(generation: i64, deleting: bool, status: &UpstreamParamsStatus) -> Value {
    let mut metadata = json!({"name": "blog", "namespace": "identity", "generation": generation});
    if deleting {
        metadata["deletionTimestamp"] = json!("2024-01-01T00:00:00Z");
    }
    json!({"apiVersion": "upstreamparams.dev/v1alpha1", "kind": "UpstreamParams", "metadata": metadata, "spec": spec(), "status": status})
}

// ---- tenants ----

fn tenant(name: &str, domain: &str, created: i64) -> DeclaredTenant {
    let spec = json!({
        "domain": domain,
        "credentials": {"secretRef": {"name": "auth0-credentials"}},
        "access": [{"namespaceSelector": {}, "connections": ["*"]}],
    });
    DeclaredTenant {
        name: name.to_owned(),
        uid: name.into(),
        resource_version: "1".to_owned(),
        generation: GENERATION,
        created,
        spec: from(spec),
        reconcile_at: None,
        status: from(json!({"observedGeneration": -1})),
    }
}

/// Every state of a tenant object.
pub(super) fn of_tenants() -> Vec<State> {
    let accesses = [
        ("not tried", CredentialsState::Untried),
        ("not reached", CredentialsState::Unknown(obstacle(ObstacleReason::TenantNotReady, true))),
        ("accepted", CredentialsState::Granted),
        ("troubled", CredentialsState::Troubled("what is in the way".to_owned())),
        ("refused", CredentialsState::Refused("what the tenant says".to_owned())),
        ("without scopes", CredentialsState::Lacking("which scopes".to_owned())),
    ];
    let mut all = Vec::new();
    for (name, tenant, resolution) in resolutions() {
        for (credentials, access) in &accesses {
            let status = conclude_tenant(&tenant, &resolution, access, now());
            all.push(tenant_state(format!("{name}; credentials {credentials}"), &tenant, &json!(status)));
            let known = DeclaredTenant { status, ..tenant.clone() };
            for (later, access) in &accesses {
                let status = conclude_tenant(&known, &resolution, access, now());
                all.push(tenant_state(format!("{name}; credentials {credentials}, then {later}"), &known, &json!(status)));
            }
            let edited = DeclaredTenant { generation: GENERATION + 1, ..known };
            all.push(tenant_state(format!("{name}; credentials {credentials}, then edited"), &edited, &json!(edited.status)));
        }
        all.push(tenant_state(format!("{name}, never seen"), &tenant, &json!({"observedGeneration": -1})));
    }
    all
}

fn resolutions() -> Vec<(&'static str, DeclaredTenant, Resolution)> {
    let secret = |id: Option<&str>, secret: Option<&str>| SecretData {
        client_id: id.map(str::to_owned),
        client_secret: secret.map(|text| SecretString::from(text.to_owned())),
        ..SecretData::default()
    };
    let full = || Some(secret(Some("id"), Some("secret")));
    let good = || tenant("default", "example.eu.auth0.com", 1);
    let cases = [
        ("serving", good(), full()),
        ("no Secret", good(), None),
        ("a Secret without clientSecret", good(), Some(secret(Some("id"), None))),
        ("a Secret without clientId", good(), Some(secret(None, Some("secret")))),
        ("a domain that is not allowed", tenant("default", "login.example.com", 1), full()),
        ("a domain that is none", tenant("default", "https://example", 1), full()),
        ("a younger twin", tenant("twin", "example.eu.auth0.com", 2), full()),
    ];
    let allowed = AllowedDomains::parse(["*.auth0.com"]).unwrap();
    let resolve = |(name, tenant, credentials): (&'static str, DeclaredTenant, Option<SecretData>)| {
        let mut world = World::default();
        world.apply_tenant(good());
        world.apply_tenant(tenant.clone());
        if let Some(credentials) = credentials {
            world.apply_secret("auth0-credentials".to_owned(), credentials);
        }
        let resolution = resolve(&world, &tenant.name, &allowed, "operator").unwrap();
        (name, tenant, resolution)
    };
    cases.map(resolve).into_iter().collect()
}

fn tenant_state(name: String, tenant: &DeclaredTenant, status: &Value) -> State {
    let object = json!({
        "apiVersion": "upstreamparams.dev/v1alpha1",
        "kind": "ClusterAuth0Tenant",
        "metadata": {"name": tenant.name, "generation": tenant.generation},
        "spec": tenant.spec,
        "status": status,
    });
    State { name, object }
}
