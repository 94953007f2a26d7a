//! Several operators in one cluster: of all of them one leads and writes, whatever they are started with.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use control_plane::supervise::Signal;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use test_support::journal::patches;
use test_support::manifest::{edit, on};
use test_support::repository::root;
use test_support::wait::{eventually, eventually_within, until};
use test_support::{ApiProxy, GIVEN_BACK, LEASE, Operator, Scope, World, get, on_a_runtime_of_its_own};
use tokio::sync::{Mutex, MutexGuard};

/// What a Lease that runs out and the wait after it take at most, on a busy machine.
const FAILOVER: Duration = Duration::from_mins(1);

/// A world without an operator, for one test at a time: of all operators in it one leads.
async fn world() -> MutexGuard<'static, World> {
    static WORLD: OnceLock<Mutex<World>> = OnceLock::new();
    let start = || on_a_runtime_of_its_own(async || Mutex::new(World::setup().without_operator().start().await));
    let world = WORLD.get_or_init(start).lock().await;
    // A test that failed may have left a Lease that nobody holds any more.
    let given_back: Value = serde_json::from_str(GIVEN_BACK).unwrap();
    drop(leases(&world).await.patch(LEASE, &PatchParams::default(), &Patch::Merge(given_back)).await);
    world
}

async fn leases(world: &World) -> Api<Lease> {
    Api::namespaced(world.client().await, "default")
}

/// Who holds the Lease.
async fn holder(leases: &Api<Lease>) -> String {
    let lease = leases.get_opt(LEASE).await.unwrap();
    lease.and_then(|lease| lease.spec?.holder_identity).unwrap_or_default()
}

/// An operator with a name, and what stands between it and the API server.
struct Replica {
    operator: Operator,
    proxy: ApiProxy,
}

impl Replica {
    /// Another pod of the same Deployment.
    async fn start(world: &World, name: &str) -> Self {
        let (mut launch, proxy) = world.another(name);
        launch.variables.push(("HOSTNAME".to_owned(), name.to_owned()));
        let operator = launch.start();
        operator.until_ready().await;
        Self { operator, proxy }
    }

    /// Waits until it leads.
    async fn leads(&self) {
        let leads = async || self.is_leader().await.then_some(());
        eventually_within(FAILOVER, "an operator that leads", leads, async || self.operator.log()).await;
    }

    async fn is_leader(&self) -> bool {
        self.operator.metric("upstream_params_leader").await.as_deref() == Some("1")
    }

    /// What it says of itself to whoever asks whether it is ready.
    async fn readiness(&self) -> (u16, String) {
        get(("127.0.0.1", self.operator.port), "/readyz").await.unwrap()
    }
}

/// A scope with an object that is in sync, and another one at rest beside it.
async fn scope<'w>(world: &'w World, name: &str) -> Scope<'w> {
    let scope = world.scope(name).await;
    for name in ["edited", "still"] {
        scope.connection(name, "oidc");
        scope.create(name, on(name).value(name, "one")).await;
    }
    scope
}

/// What must not change where nobody edits anything: the versions of the tenant and of an object.
async fn versions(scope: &Scope<'_>) -> (Option<String>, Vec<Option<String>>) {
    (scope.tenant().await.metadata.resource_version, scope.versions(&["still"]).await)
}

/// Edits an object and waits for the PATCH. Yields the seconds since then.
async fn seconds_to_a_write(scope: &Scope<'_>, value: &str, since: Instant) -> f64 {
    let before = patches(&scope.auth0);
    scope.edit("edited", edit().value("edited", value)).await;
    let written = |auth0: &auth0_emulator::TenantHandle| auth0.upstream_params("edited")["edited"]["value"] == value;
    scope.until_auth0_within(FAILOVER, value, written).await;
    let seconds = since.elapsed().as_secs_f64();
    scope.until_in_sync("edited").await;
    assert_eq!(patches(&scope.auth0), before + 1, "written once");
    seconds
}

/// Tells a figure.
fn note(text: &str) {
    use std::io::Write as _;
    drop(writeln!(std::io::stderr(), "{text}"));
}

#[tokio::test]
async fn of_two_replicas_one_writes_and_the_other_takes_over_whether_it_ends_or_dies() {
    // Its own, as most of it is waiting.
    let world = World::setup().without_operator().start().await;
    let one = Replica::start(&world, "one").await;
    one.leads().await;
    let scope = scope(&world, "takes-over").await;
    scope.until_all_in_sync(&["edited", "still"]).await;
    let two = Replica::start(&world, "two").await;
    let (status, text) = two.readiness().await;
    assert!(status == 200 && text.contains("stands by") && text.contains("/one_"), "{status} {text}");
    assert_eq!(two.operator.metric("upstream_params_leader").await.as_deref(), Some("0"));
    assert_eq!(two.operator.lines("stands by and writes nothing").len(), 1, "{}", two.operator.log());
    let before = versions(&scope).await;

    // Asked to end.
    let since = Instant::now();
    one.operator.process.signal(Signal::Terminate);
    one.operator.until_logged(&["stopping"]).await;
    let seconds = seconds_to_a_write(&scope, "after-sigterm", since).await;
    note(&format!("seconds from SIGTERM of the leader to the next PATCH: {seconds:.2}"));
    assert!(seconds < 10.0, "{seconds}");
    assert!(one.operator.process.wait().await.unwrap().success());
    assert!(two.is_leader().await);
    assert_eq!(one.operator.lines("the Lease is given back").len(), 1, "{}", one.operator.log());

    // Dead.
    let three = Replica::start(&world, "three").await;
    let since = Instant::now();
    two.operator.process.kill().await.unwrap();
    let seconds = seconds_to_a_write(&scope, "after-sigkill", since).await;
    note(&format!("seconds from SIGKILL of the leader to the next PATCH: {seconds:.2}"));
    assert!(seconds > 20.0, "the Lease of one that died is waited for, and its writes: {seconds}");
    assert!(three.is_leader().await);

    assert_eq!(versions(&scope).await, before, "nobody edited these, and no status of theirs moved");
    three.operator.stop().await;
}

#[tokio::test]
async fn a_leader_that_was_asleep_for_longer_than_its_lease_writes_nothing_when_it_wakes() {
    // Its own, as most of it is waiting.
    let world = World::setup().without_operator().start().await;
    let one = Replica::start(&world, "asleep").await;
    one.leads().await;
    let scope = scope(&world, "asleep").await;
    scope.until_all_in_sync(&["edited", "still"]).await;
    let two = Replica::start(&world, "awake").await;

    one.operator.process.signal(Signal::Stop);
    // What it would write as soon as it wakes, if it still thought that it leads.
    seconds_to_a_write(&scope, "while-asleep", Instant::now()).await;
    assert!(two.is_leader().await);
    scope.edit("edited", edit().value("edited", "before-it-wakes")).await;
    scope.until_in_sync("edited").await;
    let (mark, written) = (one.proxy.mark(), patches(&scope.auth0));
    one.operator.process.signal(Signal::Continue);
    one.operator.until_logged(&["leads no more"]).await;
    one.operator.until_logged(&["stands by and writes nothing", "awake_"]).await;
    scope.edit("edited", edit().value("edited", "after-it-woke")).await;
    scope.until_in_sync("edited").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(one.proxy.writes_since(mark).len(), 0, "{:#?}", one.proxy.writes_since(mark));
    assert_eq!(patches(&scope.auth0), written + 1, "the edit, by who leads");
    assert_eq!(one.operator.metric("upstream_params_leader").await.as_deref(), Some("0"));

    // And it can take over again.
    two.operator.stop().await;
    seconds_to_a_write(&scope, "again", Instant::now()).await;
    one.operator.stop().await;
}

#[tokio::test]
async fn a_second_operator_with_other_flags_writes_nothing_and_says_so() {
    let world = world().await;
    let first = Replica::start(&world, "first").await;
    first.leads().await;
    let scope = scope(&world, "fights").await;
    scope.until_all_in_sync(&["edited", "still"]).await;
    let message = scope.until_tenant_says("ResolvedRefs", &["upstream-params-operator"]).await;
    let leases = leases(&world).await;
    let before = versions(&scope).await;

    let flags: [(&str, &str, &[&str]); 3] = [
        ("laptop", "laptop", &[]),
        ("other-scope", test_support::OPERATOR_NAMESPACE, &["--watch-namespaces"]),
        ("both", "elsewhere", &["--watch-namespaces"]),
    ];
    for (name, namespace, arguments) in flags {
        let (mut launch, proxy) = world.another(name);
        namespace.clone_into(&mut launch.namespace);
        launch.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        if !arguments.is_empty() {
            launch.arguments.push(scope.namespace.clone());
        }
        if namespace != test_support::OPERATOR_NAMESPACE {
            // Where its Secrets would be, with one of the right name.
            scope.create_namespace(namespace).await;
        }
        let second = Replica { operator: launch.start(), proxy };
        second.operator.until_ready().await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        note(&format!("writes to the API server by a second operator ({name}) in ten seconds: {}", second.proxy.mark()));
        assert_eq!(second.proxy.mark(), 0, "not even to the Lease");
        let (status, text) = second.readiness().await;
        let (whose, says) = if namespace == test_support::OPERATOR_NAMESPACE {
            ("/first_", "leads; this one takes over when it stops")
        } else {
            ("in the namespace upstream-params-operator", "leads, and only one operator leads in a cluster")
        };
        assert!(status == 200 && text.contains(whose) && text.contains(says), "{status} {text}");
        assert_eq!(second.operator.lines("stands by and writes nothing").len(), 1, "{}", second.operator.log());
        assert!(second.operator.lines("checks begin").is_empty());
        second.operator.stop().await;
    }
    assert!(holder(&leases).await.starts_with("upstream-params-operator/first_"));
    assert_eq!(versions(&scope).await, before);
    assert!(message.contains("the namespace of the leading operator"), "{message}");
    first.operator.stop().await;
    assert_eq!(holder(&leases).await, "", "given back");
}

#[tokio::test]
async fn a_lease_that_somebody_deletes_or_fills_with_anything_stays_with_who_leads() {
    let world = world().await;
    let first = Replica::start(&world, "keeps").await;
    first.leads().await;
    let second = Replica::start(&world, "waits").await;
    let leases = leases(&world).await;
    let its_own = async || holder(&leases).await.contains("/keeps_").then_some(());
    let written_anew = async || eventually("the leader's Lease", its_own, async || holder(&leases).await).await;
    let spec = |spec: Value| Patch::Merge(json!({ "spec": spec }));
    for garbage in [
        json!({"holderIdentity": ""}),
        json!({"holderIdentity": null}),
        json!({"acquireTime": null, "renewTime": null}),
        json!({"leaseDurationSeconds": 2_147_483_647, "holderIdentity": null}),
        json!({"leaseDurationSeconds": null, "holderIdentity": null, "renewTime": "1970-01-01T00:00:00.000000Z"}),
        json!(null),
    ] {
        leases.patch(LEASE, &PatchParams::default(), &spec(garbage)).await.unwrap();
        written_anew().await;
    }
    leases.delete(LEASE, &DeleteParams::default()).await.unwrap();
    written_anew().await;
    // What the API server does not take can't be there.
    for refused in [json!({"leaseDurationSeconds": 0}), json!({"leaseDurationSeconds": -1}), json!({"leaseTransitions": -1})] {
        assert!(leases.patch(LEASE, &PatchParams::default(), &spec(refused)).await.is_err());
    }
    assert!(first.is_leader().await && !second.is_leader().await);
    assert!(first.operator.lines("leads no more").is_empty(), "{}", first.operator.log());
    assert!(second.operator.lines("checks begin").is_empty(), "{}", second.operator.log());
    first.operator.stop().await;
    second.leads().await;
    second.operator.stop().await;
}

#[tokio::test]
async fn without_rights_on_the_lease_it_says_which_and_writes_nothing_until_it_has_them() {
    let world = world().await;
    let rights = root().join("examples/rbac.yaml");
    world.control_plane.apply(&rights).await.unwrap();
    let role = ["role/upstream-params-operator-lease", "rolebinding/upstream-params-operator-lease"];
    world.control_plane.run(["delete", role[0], role[1], "--namespace", "default"]).await.unwrap();
    let token = ["create", "token", "upstream-params-operator", "--namespace", test_support::OPERATOR_NAMESPACE];
    let token = world.control_plane.run(token).await.unwrap();
    let (mut launch, _) = world.another("without-rights");
    launch.kubeconfig = world.control_plane.folder().join("without-rights.kubeconfig");
    std::fs::write(&launch.kubeconfig, world.control_plane.kubeconfig_with_token(token.trim())).unwrap();
    let scope = scope(&world, "without-rights").await;
    let operator = launch.start();
    operator.until_logged(&["the operator needs get, create and update on leases of coordination.k8s.io", "Forbidden"]).await;
    until("not ready, with the reason", async || {
        matches!(get(("127.0.0.1", operator.port), "/readyz").await, Ok((503, text)) if text.contains("get, create and update on leases"))
    })
    .await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let status = scope.get("still").await.status.unwrap();
    assert_eq!((status.observed_generation, status.conditions.len()), (Some(-1), 0), "nothing is written");
    assert_eq!(operator.lines("the operator needs get, create and update on leases").len(), 1, "said once");

    world.control_plane.apply(&rights).await.unwrap();
    scope.until_all_in_sync(&["edited", "still"]).await;
    operator.stop().await;
}
