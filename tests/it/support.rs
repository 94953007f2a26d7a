//! What every test stands on: a real control plane, an emulated tenant, and the operator's own binary against both.
//!
//! One [`Bench`] is shared by all tests that leave the operator alone; each of them works in a [`Scope`]: a namespace,
//! a tenant object and a domain of its own. Tests that stop or restart the operator, or the API server, start a bench
//! of their own. Nothing is left running: everything is supervised through pipes that close with this process.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use auth0_emulator::{Emulator, TenantHandle};
use control_plane::supervise::{Options as SuperviseOptions, Supervised, supervise};
use control_plane::{ControlPlane, Options};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use upstream_params_operator::api::tenant::ClusterAuth0Tenant;
use upstream_params_operator::api::upstream_params::{ParamState, UpstreamParams};

use crate::facts::assert_complete;

/// The operator's own namespace on a bench.
pub(crate) const OPERATOR_NAMESPACE: &str = "upstream-params-operator";

/// How long anything may take that should happen at once. Generous, as a busy machine is no failure.
pub(crate) const SOON: Duration = Duration::from_mins(1);

/// The scopes that the operator's application needs.
pub(crate) const SCOPES: [&str; 4] = ["read:connections", "read:connections_options", "update:connections", "update:connections_options"];

/// A control plane, an emulator and the operator.
pub(crate) struct Bench {
    pub(crate) control_plane: ControlPlane,
    pub(crate) emulator: Emulator,
    operator: Option<Supervised>,
    port: u16,
    arguments: Vec<String>,
    /// A program, with arguments, that starts the operator in its own place, as one that sets limits does.
    pub(crate) runner: Vec<String>,
    kubeconfig: Option<PathBuf>,
    namespaces: AtomicUsize,
}

/// The bench that tests share. Started by whichever test comes first.
pub(crate) fn shared() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(|| {
        // A runtime of its own: that of the first test ends with that test.
        std::thread::spawn(|| {
            runtime().block_on(async {
                let mut bench = Bench::without_operator().await;
                bench.start_operator();
                bench.ready().await;
                bench
            })
        })
        .join()
        .unwrap()
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

impl Bench {
    /// A control plane with the CRDs and an emulator. The operator is started by the caller.
    pub(crate) async fn without_operator() -> Self {
        let bench = Self::without_definitions().await;
        bench.install_definitions().await;
        bench
    }

    /// A control plane that does not know our kinds yet, and an emulator.
    pub(crate) async fn without_definitions() -> Self {
        Self::with(Options::default()).await
    }

    /// As [`Bench::without_definitions`], with options for the control plane.
    pub(crate) async fn with(options: Options) -> Self {
        let control_plane = ControlPlane::start(Options { controllers: true, ..options }).await.unwrap();
        control_plane.run(["create", "namespace", OPERATOR_NAMESPACE]).await.unwrap();
        let emulator = Emulator::start(auth0_emulator::Options::default()).unwrap();
        Self {
            control_plane,
            emulator,
            operator: None,
            port: free_port(),
            arguments: Vec::new(),
            runner: Vec::new(),
            kubeconfig: None,
            namespaces: AtomicUsize::new(0),
        }
    }

    /// Another kubeconfig for the operator than the administrator's, from its next start.
    pub(crate) fn operator_kubeconfig(&mut self, kubeconfig: PathBuf) {
        self.kubeconfig = Some(kubeconfig);
    }

    /// Installs the CRDs.
    pub(crate) async fn install_definitions(&self) {
        self.control_plane.apply(&root().join("crds")).await.unwrap();
        self.control_plane.run(["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await.unwrap();
    }

    /// More arguments for the operator, from its next start.
    pub(crate) fn operator_arguments(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    }

    /// Starts the operator's binary.
    pub(crate) fn start_operator(&mut self) {
        let mut words = self.runner.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_upstream-params-operator"), "controller"]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .args(["--namespace", OPERATOR_NAMESPACE])
            .args(["--http-address", &format!("127.0.0.1:{}", self.port)])
            .args(["--insecure-tenant-endpoint", &self.emulator.url()])
            .args(&self.arguments)
            .env("UPO_LOG", "info")
            .env("KUBECONFIG", self.kubeconfig.as_deref().unwrap_or(self.control_plane.kubeconfig()));
        self.operator = Some(supervise(&command, &SuperviseOptions::new(self.log())).unwrap());
    }

    /// The port of the operator's own server.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where the operator logs to.
    pub(crate) fn log(&self) -> PathBuf {
        self.control_plane.folder().join("operator.log")
    }

    /// The operator's log so far.
    pub(crate) fn log_text(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// The operator's process.
    pub(crate) fn operator(&self) -> &Supervised {
        self.operator.as_ref().unwrap()
    }

    /// Stops the operator as a pod is stopped: SIGTERM, and it ends well.
    pub(crate) async fn stop_operator(&mut self) {
        let status = self.operator.take().unwrap().terminate(Duration::from_secs(30)).await.unwrap();
        assert!(status.success(), "the operator ended with {status}\n{}", self.log_text());
    }

    /// Kills the operator as a machine that dies.
    pub(crate) async fn kill_operator(&mut self) {
        self.operator.take().unwrap().kill().await.unwrap();
    }

    /// Waits until the operator says that it is ready.
    pub(crate) async fn ready(&self) {
        let give_up = Instant::now() + SOON;
        while !matches!(self.http("/readyz").await, Ok((200, _))) {
            assert!(Instant::now() < give_up, "the operator is not ready\n{}", self.log_text());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Asks the operator's own server.
    pub(crate) async fn http(&self, path: &str) -> std::io::Result<(u16, String)> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Ok((status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()))
    }

    /// The value of a metric with all of these labels; zero when it is not there.
    pub(crate) async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let (_, text) = self.http("/metrics").await.unwrap();
        let wanted = |line: &&str| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|(key, value)| line.contains(&format!("{key}=\"{value}\"")))
        };
        text.lines().filter(wanted).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).fold(0.0, |sum, value| sum + value)
    }

    /// Waits until the sum of a metric over all of its series with these labels is `value`.
    pub(crate) async fn until_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let give_up = Instant::now() + SOON;
        loop {
            let found = self.metric(name, labels).await;
            if (found - value).abs() < f64::EPSILON {
                return;
            }
            assert!(Instant::now() < give_up, "{name} {labels:?} is {found}, not {value}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// A client of the API server, as its administrator.
    pub(crate) async fn client(&self) -> Client {
        upstream_params_operator::auth0::install_crypto_provider();
        let config = kube::config::Kubeconfig::from_yaml(self.control_plane.kubeconfig_yaml()).unwrap();
        let config = kube::Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default()).await.unwrap();
        Client::try_from(config).unwrap()
    }

    /// A namespace, a Secret, a tenant object and an emulated tenant, all of their own.
    pub(crate) async fn scope(&self, name: &str) -> Scope<'_> {
        let scope = self.bare_scope(name).await;
        scope.create_secret().await;
        scope.create_tenant(json!({})).await;
        scope
    }

    /// As [`Bench::scope`], without the Secret and the tenant object.
    pub(crate) async fn bare_scope(&self, name: &str) -> Scope<'_> {
        let name = format!("{name}-{}", self.namespaces.fetch_add(1, Ordering::Relaxed));
        let client = self.client().await;
        let domain = format!("{name}.eu.auth0.com");
        let auth0 = self.emulator.tenant(&domain);
        auth0.add_client("operator", &secret_of(&name), SCOPES);
        let scope = Scope { bench: self, name: name.clone(), domain, client, auth0 };
        scope.create_namespace(&name).await;
        scope
    }
}

/// The client secret of the operator's application in a scope: a marker that must appear nowhere.
fn secret_of(name: &str) -> String {
    format!("marker-client-secret-of-{name}")
}

/// One test's own part of a bench.
pub(crate) struct Scope<'a> {
    pub(crate) bench: &'a Bench,
    /// The name of the namespace, of the tenant object and of the Secret.
    pub(crate) name: String,
    /// The tenant's domain.
    pub(crate) domain: String,
    pub(crate) client: Client,
    /// The emulated tenant.
    pub(crate) auth0: TenantHandle,
}

impl Scope<'_> {
    /// The namespace's objects.
    pub(crate) fn api(&self) -> Api<UpstreamParams> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Creates a namespace that the tenant admits (see [`Scope::create_tenant`]).
    pub(crate) async fn create_namespace(&self, name: &str) {
        let namespace: Namespace = from(json!({"metadata": {"name": name, "labels": {"scope": self.name}}}));
        Api::<Namespace>::all(self.client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    }

    /// Creates the Secret with the right credentials.
    pub(crate) async fn create_secret(&self) {
        self.put_secret(json!({"clientId": "operator", "clientSecret": secret_of(&self.name)})).await;
    }

    /// Creates or replaces the Secret.
    pub(crate) async fn put_secret(&self, data: Value) {
        let secret: Secret = from(json!({"metadata": {"name": self.name}, "stringData": data}));
        let api = Api::<Secret>::namespaced(self.client.clone(), OPERATOR_NAMESPACE);
        drop(api.delete(&self.name, &DeleteParams::default()).await);
        api.create(&PostParams::default(), &secret).await.unwrap();
    }

    /// Deletes the Secret.
    pub(crate) async fn delete_secret(&self) {
        let api = Api::<Secret>::namespaced(self.client.clone(), OPERATOR_NAMESPACE);
        api.delete(&self.name, &DeleteParams::default()).await.unwrap();
    }

    /// Creates the tenant object: every namespace of the scope may manage every connection, looked at every five
    /// seconds, without a limit worth the name. `changes` are merged into its spec.
    pub(crate) async fn create_tenant(&self, changes: Value) {
        let mut spec = json!({
            "domain": self.domain,
            "credentials": {"secretRef": {"name": self.name}},
            "access": [{"namespaceSelector": {"matchLabels": {"scope": self.name}}, "connections": ["*"]}],
            "rateLimit": {"readsPerMinute": 60000, "requestsPerMinute": 60000, "burst": 1000},
            "resyncIntervalSeconds": 5,
        });
        merge(&mut spec, changes);
        let tenant: ClusterAuth0Tenant = from(json!({"metadata": {"name": self.name}, "spec": spec}));
        self.tenants().create(&PostParams::default(), &tenant).await.unwrap();
    }

    /// The tenant objects.
    pub(crate) fn tenants(&self) -> Api<ClusterAuth0Tenant> {
        Api::all(self.client.clone())
    }

    /// Merges into the spec of the tenant object.
    pub(crate) async fn patch_tenant(&self, spec: Value) {
        self.tenants().patch(&self.name, &PatchParams::default(), &Patch::Merge(json!({"spec": spec}))).await.unwrap();
    }

    /// Creates a connection at the emulated tenant, with `options` that are realistic and hold a marker. Yields its id.
    pub(crate) fn connection(&self, name: &str, strategy: &str, options: Value) -> String {
        let mut all = json!({
            "client_id": format!("idp-{name}"),
            "client_secret": format!("marker-idp-secret-of-{name}"),
            "scope": ["openid", "profile"],
            "nested": {"z": null, "a": [1, 2.50, 12_345_678_901_234_567_890_u64], "text": "marker-nested-\u{e9}"},
        });
        merge(&mut all, options);
        self.auth0
            .create_connection(&json!({"name": name, "strategy": strategy, "display_name": format!("The {name}"), "options": all}))
            .unwrap()
    }

    /// Creates an object with this spec; the tenant is filled in.
    pub(crate) async fn create(&self, name: &str, spec: Value) -> UpstreamParams {
        self.create_in(&self.name.clone(), name, spec).await
    }

    /// Creates an object in another namespace of the scope.
    pub(crate) async fn create_in(&self, namespace: &str, name: &str, spec: Value) -> UpstreamParams {
        let mut all = json!({"tenantRef": {"name": self.name}});
        merge(&mut all, spec);
        let object: UpstreamParams = from(json!({"metadata": {"name": name, "namespace": namespace}, "spec": all}));
        Api::namespaced(self.client.clone(), namespace).create(&PostParams::default(), &object).await.unwrap()
    }

    /// Merges into the spec of an object; `null` removes.
    pub(crate) async fn edit(&self, name: &str, spec: Value) -> UpstreamParams {
        self.api().patch(name, &PatchParams::default(), &Patch::Merge(json!({"spec": spec}))).await.unwrap()
    }

    /// Deletes an object, without waiting for it.
    pub(crate) async fn delete(&self, name: &str) {
        self.api().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// The object as it is.
    pub(crate) async fn get(&self, name: &str) -> UpstreamParams {
        self.api().get(name).await.unwrap()
    }

    /// Waits until the object passes the test; else fails with the object, its events, the tenant's journal and the log.
    pub(crate) async fn until(&self, name: &str, what: &str, test: impl Fn(&UpstreamParams) -> bool) -> UpstreamParams {
        let give_up = Instant::now() + SOON;
        loop {
            if let Some(object) = self.api().get_opt(name).await.unwrap() {
                assert_complete(&object);
                if test(&object) {
                    return object;
                }
            }
            assert!(Instant::now() < give_up, "{name} did not come to: {what}\n{}", self.describe(name).await);
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Waits for `Ready=True` of the object's latest generation.
    pub(crate) async fn until_ready(&self, name: &str) -> UpstreamParams {
        self.until(name, "Ready=True", |object| is(object, "Ready", "True", "Ready")).await
    }

    /// Waits for a condition of the object's latest generation.
    pub(crate) async fn until_condition(&self, name: &str, kind: &str, status: &str, reason: &str) -> UpstreamParams {
        self.until(name, &format!("{kind}={status}/{reason}"), |object| is(object, kind, status, reason)).await
    }

    /// Waits for the state of one parameter.
    pub(crate) async fn until_state(&self, name: &str, param: &str, state: ParamState) -> UpstreamParams {
        self.until(name, &format!("{param} is {state:?}"), |object| states(object).get(param) == Some(&state)).await
    }

    /// Waits until the object is gone.
    pub(crate) async fn until_gone(&self, name: &str) {
        let give_up = Instant::now() + SOON;
        while self.api().get_opt(name).await.unwrap().is_some() {
            assert!(Instant::now() < give_up, "{name} is not gone\n{}", self.describe(name).await);
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Waits until the emulated tenant passes the test.
    pub(crate) async fn until_auth0(&self, what: &str, test: impl Fn(&TenantHandle) -> bool) {
        let give_up = Instant::now() + SOON;
        while !test(&self.auth0) {
            assert!(Instant::now() < give_up, "the tenant did not come to: {what}\n{}", self.describe("").await);
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Waits for a condition of the tenant object's latest generation.
    pub(crate) async fn until_tenant(&self, kind: &str, status: &str, reason: &str) -> ClusterAuth0Tenant {
        let give_up = Instant::now() + SOON;
        loop {
            let tenant = self.tenants().get(&self.name).await.unwrap();
            let conditions = tenant.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
            if holds(conditions, tenant.metadata.generation, kind, status, reason) {
                return tenant;
            }
            assert!(
                Instant::now() < give_up,
                "the tenant did not come to {kind}={status}/{reason}: {conditions:#?}\n{}",
                self.describe("").await
            );
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Lets so many ordinary looks at a connection pass, as counted by the tenant's journal.
    pub(crate) async fn looks(&self, connection_id: &str, count: usize) {
        let path = format!("/api/v2/connections/{connection_id}");
        let seen = |auth0: &TenantHandle| auth0.journal().iter().filter(|call| call.method == "GET" && call.path == path).count();
        let before = seen(&self.auth0);
        self.until_auth0(&format!("{count} more looks at {connection_id}"), |auth0| seen(auth0) >= before + count).await;
        // The look itself is in the journal before its pass has ended.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }

    /// The events of the namespace, as `reason: note`, about objects of this name.
    pub(crate) async fn events(&self, name: &str) -> Vec<String> {
        let events = Api::<Event>::namespaced(self.client.clone(), &self.name).list(&ListParams::default()).await.unwrap();
        let about = events
            .items
            .into_iter()
            .filter(|event| event.regarding.as_ref().is_some_and(|regarding| regarding.name.as_deref() == Some(name)));
        about.map(|event| format!("{}: {}", event.reason.unwrap_or_default(), event.note.unwrap_or_default())).collect()
    }

    /// Waits for an event of this reason.
    pub(crate) async fn until_event(&self, name: &str, reason: &str) -> String {
        let give_up = Instant::now() + SOON;
        loop {
            let events = self.events(name).await;
            if let Some(event) = events.iter().find(|event| event.starts_with(&format!("{reason}: "))) {
                return event.clone();
            }
            assert!(Instant::now() < give_up, "no event {reason} of {name}: {events:#?}\n{}", self.describe(name).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Everything that helps to see why a wait failed.
    pub(crate) async fn describe(&self, name: &str) -> String {
        let mut text = String::new();
        for mut object in self.api().list(&ListParams::default()).await.unwrap().items {
            object.metadata.managed_fields = None;
            if name.is_empty() || object.name_any() == name {
                writeln!(text, "--- {}\n{}", object.name_any(), serde_json::to_string_pretty(&object).unwrap()).unwrap();
                writeln!(text, "--- events\n{}", self.events(&object.name_any()).await.join("\n")).unwrap();
            }
        }
        if let Ok(Some(tenant)) = self.tenants().get_opt(&self.name).await {
            writeln!(text, "--- tenant\n{}", serde_json::to_string_pretty(&tenant.status).unwrap()).unwrap();
        }
        let journal = self.auth0.journal();
        writeln!(text, "--- journal ({} calls)", journal.len()).unwrap();
        for call in journal.iter().rev().take(30).rev() {
            writeln!(text, "{call:?}").unwrap();
        }
        let log = self.bench.log_text();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(&self.name)).collect();
        let tail = lines.iter().rev().take(40).rev().copied().collect::<Vec<_>>().join("\n");
        writeln!(text, "--- the operator's log, lines about {}\n{tail}", self.name).unwrap();
        text
    }

    /// Asserts that everything but the named upstream parameters of a connection is as it was before, and that these
    /// are exactly the expected ones.
    pub(crate) fn assert_connection(&self, before: &Value, name: &str, expected: &Value) {
        let mut after = self.auth0.connection(name);
        let mut before = before.clone();
        let params = after["options"].as_object_mut().unwrap().remove("upstream_params").unwrap_or(json!({}));
        before["options"].as_object_mut().unwrap().remove("upstream_params");
        assert_eq!(&params, expected, "the upstream parameters of {name}");
        assert_eq!(after, before, "everything else of {name}");
    }
}

/// Whether a condition of the object's latest generation is as said.
pub(crate) fn is(object: &UpstreamParams, kind: &str, status: &str, reason: &str) -> bool {
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    holds(conditions, object.metadata.generation, kind, status, reason)
}

fn holds(conditions: &[Condition], generation: Option<i64>, kind: &str, status: &str, reason: &str) -> bool {
    conditions.iter().any(|condition| {
        condition.type_ == kind && condition.status == status && condition.reason == reason && condition.observed_generation == generation
    })
}

/// The message of a condition.
pub(crate) fn message(object: &UpstreamParams, kind: &str) -> String {
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().find(|condition| condition.type_ == kind).map(|condition| condition.message.clone()).unwrap_or_default()
}

/// The states of an object's parameters, over all connections.
pub(crate) fn states(object: &UpstreamParams) -> BTreeMap<String, ParamState> {
    let connections = object.status.iter().flat_map(|status| &status.connections);
    connections.flat_map(|connection| &connection.params).map(|param| (param.name.clone(), param.state)).collect()
}

/// Whether the object has the operator's finalizer.
pub(crate) fn has_finalizer(object: &UpstreamParams) -> bool {
    object.finalizers().iter().any(|one| one == upstream_params_operator::api::FINALIZER)
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

pub(crate) fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, value) in changes {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, changes) => *into = changes,
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
