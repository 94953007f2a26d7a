//! A control plane, an emulated tenant, and the operator between them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use auth0_emulator::Emulator;
use control_plane::ControlPlane;
use kube::Client;

use crate::manifest::{TenantSpec, tenant};
use crate::operator::{Launch, Operator, get};
use crate::repository::root;
use crate::wait::{SOON, eventually, eventually_within};
use crate::{ApiProxy, Scope, on_a_runtime_of_its_own};

/// The operator's own namespace.
pub const OPERATOR_NAMESPACE: &str = "upstream-params-operator";

/// The name of the Lease of whoever leads, which is in the namespace `default`.
pub const LEASE: &str = "upstream-params-operator";
/// The patch of a Lease that gives it back, as the documentation says it.
pub const GIVEN_BACK: &str = r#"{"spec":{"holderIdentity":"","leaseDurationSeconds":1}}"#;

/// The scopes that the operator's application needs.
pub const SCOPES: [&str; 4] = ["read:connections", "read:connections_options", "update:connections", "update:connections_options"];

/// How a world is set up. What is not said is as an ordinary installation has it.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Setup {
    definitions: bool,
    operator: bool,
    proxy: bool,
    arguments: Vec<String>,
    runner: Vec<String>,
    api_server_arguments: Vec<String>,
}

impl Setup {
    /// The operator is started by the test.
    pub fn without_operator(mut self) -> Self {
        self.operator = false;
        self
    }

    /// The API server does not know our kinds yet. An operator that is started is not waited for.
    pub fn without_definitions(mut self) -> Self {
        self.definitions = false;
        self
    }

    /// An [`ApiProxy`] stands between the operator and the API server.
    pub fn behind_a_proxy(mut self) -> Self {
        self.proxy = true;
        self
    }

    /// More arguments for the operator.
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        self
    }

    /// A program, with arguments, that starts the operator in its own place, as one that sets limits does.
    pub fn runner<S: Into<String>>(mut self, runner: impl IntoIterator<Item = S>) -> Self {
        self.runner = runner.into_iter().map(Into::into).collect();
        self
    }

    /// More arguments for kube-apiserver.
    pub fn api_server_arguments(mut self, arguments: Vec<String>) -> Self {
        self.api_server_arguments = arguments;
        self
    }

    /// Starts it: the operator is ready, if there is one that can be.
    pub async fn start(self) -> World {
        let options = control_plane::Options {
            controllers: true,
            api_server_arguments: self.api_server_arguments,
            ..control_plane::Options::default()
        };
        let control_plane = ControlPlane::start(options).await.unwrap();
        control_plane.run(["create", "namespace", OPERATOR_NAMESPACE]).await.unwrap();
        let emulator = Emulator::start(auth0_emulator::Options::default()).unwrap();
        let proxy = self.proxy.then(|| ApiProxy::before(&control_plane));
        let kubeconfig = proxy.as_ref().map_or(control_plane.kubeconfig(), |proxy| &proxy.kubeconfig).to_owned();
        let mut launch = Launch::new(kubeconfig, control_plane.folder().join("operator.log"));
        launch.runner = self.runner;
        launch.variables = vec![("UPO_LOG".to_owned(), "info".to_owned())];
        launch.arguments = vec!["--insecure-tenant-endpoint".to_owned(), emulator.url()];
        launch.arguments.extend(self.arguments);
        let world = World { control_plane, emulator, proxy, launch, operator: Mutex::default(), namespaces: AtomicUsize::new(0) };
        if self.definitions {
            world.install_definitions().await;
        }
        if self.operator {
            world.start_operator();
            if self.definitions {
                world.ready().await;
            }
        }
        world
    }
}

/// A control plane, an emulated tenant and the operator.
pub struct World {
    /// The API server, and kubectl.
    pub control_plane: ControlPlane,
    /// The tenants.
    pub emulator: Emulator,
    proxy: Option<ApiProxy>,
    launch: Launch,
    operator: Mutex<Option<Operator>>,
    namespaces: AtomicUsize,
}

impl World {
    /// A world that is set up in another way than the shared one, or that will be changed.
    pub fn setup() -> Setup {
        Setup {
            definitions: true,
            operator: true,
            proxy: false,
            arguments: Vec::new(),
            runner: Vec::new(),
            api_server_arguments: Vec::new(),
        }
    }

    /// The world that tests share who leave the operator alone. Started by whichever comes first.
    pub fn shared() -> &'static Self {
        static WORLD: OnceLock<World> = OnceLock::new();
        WORLD.get_or_init(|| on_a_runtime_of_its_own(|| Self::setup().start()))
    }

    /// The world that tests share who make single requests of the operator to the API server slow or fail.
    pub fn shared_behind_a_proxy() -> &'static Self {
        static WORLD: OnceLock<World> = OnceLock::new();
        WORLD.get_or_init(|| on_a_runtime_of_its_own(|| Self::setup().behind_a_proxy().start()))
    }

    /// What stands before the API server.
    pub fn proxy(&self) -> &ApiProxy {
        self.proxy.as_ref().expect("the setup asks for one")
    }

    /// Another kubeconfig for the operator than the administrator's, from its next start.
    pub fn operator_kubeconfig(&mut self, kubeconfig: PathBuf) {
        self.launch.kubeconfig = kubeconfig;
    }

    /// How to start another operator beside the world's own, with a log and a port of its own, through a proxy of its own.
    pub fn another(&self, name: &str) -> (Launch, ApiProxy) {
        let proxy = ApiProxy::before(&self.control_plane);
        let own = Launch::new(proxy.kubeconfig.clone(), self.control_plane.folder().join(format!("{name}.log")));
        (Launch { arguments: self.launch.arguments.clone(), variables: self.launch.variables.clone(), ..own }, proxy)
    }

    /// Installs the CRDs.
    pub async fn install_definitions(&self) {
        self.control_plane.apply(&root().join("crds")).await.unwrap();
        self.control_plane.run(["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await.unwrap();
    }

    /// Starts the operator.
    pub fn start_operator(&self) {
        *self.operator() = Some(self.launch.start());
    }

    /// Starts the operator, and waits until it is ready.
    pub async fn start_operator_until_ready(&self) {
        self.start_operator();
        self.ready().await;
    }

    fn operator(&self) -> std::sync::MutexGuard<'_, Option<Operator>> {
        self.operator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the operator as a pod is stopped: SIGTERM, and it ends well.
    pub async fn stop_operator(&self) {
        let operator = self.operator().take().unwrap();
        operator.stop().await;
    }

    /// Kills the operator as a machine that dies. Its Lease is given back for it, as whoever knows that it is dead may do: the next
    /// one would wait until it has run out, which has tests of its own.
    pub async fn kill_operator(&self) {
        let operator = self.operator().take().unwrap();
        operator.process.kill().await.unwrap();
        self.control_plane.run(["patch", "lease", LEASE, "--namespace", "default", "--type=merge", "--patch", GIVEN_BACK]).await.unwrap();
    }

    /// The id of the operator's process, which runs.
    pub fn operator_pid(&self) -> u32 {
        let operator = self.operator();
        let process = &operator.as_ref().unwrap().process;
        assert!(process.is_running(), "the operator ended\n{}", self.log_text());
        process.pid()
    }

    /// What the kernel says of the operator's process under this name, such as `VmRSS`.
    pub fn operator_memory(&self, name: &str) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.operator_pid())).unwrap();
        let mut found = status.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found.next().unwrap().trim().to_owned()
    }

    /// The port of the operator's own server.
    pub fn port(&self) -> u16 {
        self.launch.port
    }

    /// Where the operator logs to.
    pub fn log(&self) -> PathBuf {
        self.launch.log.clone()
    }

    /// The operator's log so far.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.launch.log).unwrap_or_default()
    }

    /// Waits until the text is in the operator's log.
    pub async fn until_logged(&self, text: &str) {
        let logged = async || self.log_text().contains(text).then_some(());
        eventually(&format!("{text:?} in the log"), logged, async || self.log_text()).await;
    }

    /// Waits until the operator says that it is ready.
    pub async fn ready(&self) {
        let ready = async || matches!(self.http("/readyz").await, Ok((200, _))).then_some(());
        eventually("an operator that is ready", ready, async || self.log_text()).await;
    }

    /// Asks the operator's own server.
    pub async fn http(&self, path: &str) -> std::io::Result<(u16, String)> {
        get(("127.0.0.1", self.port()), path).await
    }

    /// The sum of a metric over all of its series with these labels; zero when there is none.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let (_, text) = self.http("/metrics").await.unwrap();
        let wanted = |line: &&str| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|(key, value)| line.contains(&format!("{key}=\"{value}\"")))
        };
        text.lines().filter(wanted).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).fold(0.0, |sum, value| sum + value)
    }

    /// Waits until the sum of a metric over all of its series with these labels is `value`.
    pub async fn until_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.until_metric_within(SOON, name, labels, value).await;
    }

    /// As [`World::until_metric`], for so long at most.
    pub async fn until_metric_within(&self, within: Duration, name: &str, labels: &[(&str, &str)], value: f64) {
        let reached = async || ((self.metric(name, labels).await - value).abs() < f64::EPSILON).then_some(());
        let instead = async || format!("it is {}", self.metric(name, labels).await);
        eventually_within(within, &format!("{name} {labels:?} of {value}"), reached, instead).await;
    }

    /// A client of the API server, as its administrator.
    pub async fn client(&self) -> Client {
        client(self.control_plane.kubeconfig_yaml(), |_| {}).await
    }

    /// A namespace, a Secret, a tenant object and an emulated tenant, all of their own.
    pub async fn scope(&self, name: &str) -> Scope<'_> {
        self.scope_with(name, tenant()).await
    }

    /// As [`World::scope`], with changes to the tenant object.
    pub async fn scope_with(&self, name: &str, changes: TenantSpec) -> Scope<'_> {
        let scope = self.bare_scope(name).await;
        scope.create_secret().await;
        scope.create_tenant(changes).await;
        scope
    }

    /// As [`World::scope`]; nothing is looked at but what somebody changes or prods.
    pub async fn quiet_scope(&self, name: &str) -> Scope<'_> {
        self.scope_with(name, tenant().resync(3600)).await
    }

    /// As [`World::scope`], without the Secret and the tenant object.
    pub async fn bare_scope(&self, name: &str) -> Scope<'_> {
        let name = format!("{name}-{}", self.namespaces.fetch_add(1, Ordering::Relaxed));
        Scope::begin(self, name).await
    }
}

/// A client for this kubeconfig.
pub async fn client(kubeconfig: &str, adapt: impl FnOnce(&mut kube::Config)) -> Client {
    upstream_params_operator::internals::install_crypto_provider();
    let config = kube::config::Kubeconfig::from_yaml(kubeconfig).unwrap();
    let mut config = kube::Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default()).await.unwrap();
    adapt(&mut config);
    Client::try_from(config).unwrap()
}
