//! A cluster that the chart is installed into. It has no nodes: the test is the kubelet of the pods that the chart
//! makes, and runs the operator with the arguments, the environment and the token that each pod says, nothing else but an
//! address of its own, which a pod has too.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use control_plane::binaries::Helm;
use control_plane::supervise::{Options as SuperviseOptions, Scratch, Supervised, supervise};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use super::{RELEASE, chart, environment, helm, kind, name, objects, run, succeeds};
use test_support::wait::eventually;
use test_support::{LEASE, OPERATOR_NAMESPACE, World, get_status, on_a_runtime_of_its_own, operator_binary};

/// Who the operator is to the API server.
pub(super) const OPERATOR_USER: &str = "system:serviceaccount:upstream-params-operator:upstream-params-operator";

/// What the API server writes down: every request of the operator.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: [\"system:serviceaccount:upstream-params-operator:upstream-params-operator\"]
- level: None
";

/// The label of a namespace that takes only pods that keep to the strictest of the Pod Security Standards.
pub(super) const RESTRICTED: &str = "pod-security.kubernetes.io/enforce=restricted";

pub(super) struct Cluster {
    pub(super) world: World,
    audit: PathBuf,
    running: Mutex<Vec<Running>>,
    /// How many pods there were.
    pods: AtomicU8,
    _scratch: Scratch,
}

/// A pod's process.
struct Running {
    pod: String,
    /// Where it is, as if that were the pod's own address.
    address: Ipv4Addr,
    process: Supervised,
    ready: bool,
}

/// The cluster, for one test at a time: they install the same release.
pub(super) async fn cluster() -> MutexGuard<'static, Cluster> {
    static CLUSTER: OnceLock<Mutex<Cluster>> = OnceLock::new();
    let start = || on_a_runtime_of_its_own(async || Mutex::new(Cluster::start().await));
    let cluster = CLUSTER.get_or_init(start).lock().await;
    cluster.clear().await;
    cluster
}

impl Cluster {
    async fn start() -> Self {
        let scratch = Scratch::new("chart-cluster").unwrap();
        let (policy, audit) = (scratch.path().join("policy.yaml"), scratch.path().join("audit.log"));
        std::fs::write(&policy, AUDIT_POLICY).unwrap();
        let arguments = vec![format!("--audit-policy-file={}", policy.display()), format!("--audit-log-path={}", audit.display())];
        let world = World::setup().without_definitions().without_operator().api_server_arguments(arguments).start().await;
        let restricted = ["label", "namespace", OPERATOR_NAMESPACE, RESTRICTED];
        world.control_plane.run(restricted).await.unwrap();
        Self { world, audit, running: Mutex::default(), pods: AtomicU8::new(0), _scratch: scratch }
    }

    /// Takes away what a failed test may have left.
    async fn clear(&self) {
        let arguments = ["uninstall", RELEASE, "--namespace", OPERATOR_NAMESPACE, "--ignore-not-found"];
        succeeds(&self.helm(Helm::V4, &arguments, &Value::Null).await);
        self.until_stopped().await;
        self.delete_lease();
        // Where an operator worked before, the next one would wait in case that it still writes. There may be no definition of these.
        drop(self.kubectl(&["delete", "clusterauth0tenants", "--all"], ""));
        // Whoever waits for the definitions to go would wait for finalizers that nobody removes.
        let left = self.kubectl(&["get", "upstreamparams", "--all-namespaces", "--output=json"], "");
        let left: Value = serde_json::from_slice(&left.stdout).unwrap_or_default();
        for object in left["items"].as_array().into_iter().flatten() {
            let namespace = object["metadata"]["namespace"].as_str().unwrap();
            let let_go = r#"--patch={"metadata":{"finalizers":null}}"#;
            succeeds(&self.kubectl(&["patch", "upstreamparams", name(object), "--namespace", namespace, "--type=merge", let_go], ""));
            succeeds(&self.kubectl(&["delete", "upstreamparams", name(object), "--namespace", namespace, "--ignore-not-found"], ""));
        }
    }

    /// The values that a test needs: where the emulated tenant is, and a port that is free.
    pub(super) fn values(&self) -> Value {
        json!({
            "http": {"address": "127.0.0.1", "port": self.world.port()},
            "extraArgs": [format!("--insecure-tenant-endpoint={}", self.world.emulator.url())],
        })
    }

    /// Installs a chart of the operator, and waits until it is ready.
    pub(super) async fn install(&self, version: Helm, chart: &Path, values: &Value) -> Output {
        self.act(version, "install", chart, values, &["--wait", "--timeout=60s"]).await
    }

    /// Upgrades to the chart, and waits until it is ready.
    pub(super) async fn upgrade(&self, version: Helm, values: &Value) {
        succeeds(&self.act(version, "upgrade", &chart(), values, &["--wait", "--timeout=60s"]).await);
    }

    /// A Helm command on the operator's release.
    pub(super) async fn act(&self, version: Helm, verb: &str, chart: &Path, values: &Value, more: &[&str]) -> Output {
        let mut arguments = vec![verb, RELEASE, chart.to_str().unwrap(), "--namespace", OPERATOR_NAMESPACE];
        arguments.extend(more);
        self.helm(version, &arguments, values).await
    }

    /// Runs Helm as the administrator, with these values if any, and the pods meanwhile.
    pub(super) async fn helm(&self, version: Helm, arguments: &[&str], values: &Value) -> Output {
        let mut command = helm(version);
        command.args(arguments).env("KUBECONFIG", self.world.control_plane.kubeconfig());
        let mut input = String::new();
        if !values.is_null() {
            command.args(["--values", "-"]);
            input = values.to_string();
        }
        self.meanwhile(command, input).await
    }

    /// Runs a command with an input, and the pods meanwhile.
    pub(super) async fn meanwhile(&self, command: Command, input: String) -> Output {
        let mut running = tokio::task::spawn_blocking(move || run(command, &input));
        loop {
            tokio::select! {
                output = &mut running => return output.unwrap(),
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
            self.sync().await;
        }
    }

    /// Deletes the definitions, as those of another test would hide what this one installs.
    pub(super) fn delete_definitions(&self) {
        succeeds(&self.kubectl(&["delete", "crd", "--all", "--timeout=60s"], ""));
    }

    /// Deletes the Lease. Who leads makes it anew.
    pub(super) fn delete_lease(&self) {
        succeeds(&self.kubectl(&["delete", "lease", LEASE, "--namespace", "default", "--ignore-not-found"], ""));
    }

    /// Runs kubectl as the administrator, with an input.
    pub(super) fn kubectl(&self, arguments: &[&str], input: &str) -> Output {
        let mut kubectl = self.world.control_plane.kubectl();
        kubectl.args(arguments);
        run(kubectl, input)
    }

    /// What a kubelet does: starts what is to run, ends what is not, and tells when it is ready.
    async fn sync(&self) {
        let pods: Api<Pod> = Api::namespaced(self.world.client().await, OPERATOR_NAMESPACE);
        let of_release = ListParams::default().labels(&format!("app.kubernetes.io/instance={RELEASE}"));
        let present: Vec<Value> =
            pods.list(&of_release).await.unwrap().items.iter().map(|pod| serde_json::to_value(pod).unwrap()).collect();
        let uid = |pod: &Value| pod["metadata"]["uid"].as_str().unwrap().to_owned();
        let wanted: Vec<&Value> = present.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).collect();

        let mut running = self.running.lock().await;
        let (stay, go) = std::mem::take(&mut *running).into_iter().partition(|one| wanted.iter().any(|pod| uid(pod) == one.pod));
        *running = stay;
        for one in go {
            let ended = one.process.terminate(Duration::from_mins(1)).await.unwrap();
            assert!(ended.success(), "the operator ended with {ended}\n{}", self.world.log_text());
        }
        for pod in wanted {
            let Some(one) = running.iter_mut().find(|one| one.pod == uid(pod)) else {
                running.push(self.start_pod(pod));
                continue;
            };
            assert!(one.process.is_running(), "the operator ended by itself\n{}", self.world.log_text());
            if !one.ready && self.is_ready(pod, one.address).await {
                let now = jiff::Timestamp::now().to_string();
                let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": now});
                let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(condition);
                let status = json!({"status": {"phase": "Running", "startTime": now, "conditions": conditions}});
                match pods.patch_status(name(pod), &PatchParams::default(), &Patch::Merge(status)).await {
                    Ok(_) => one.ready = true,
                    // It was deleted since it was listed, as a rolling update does: the next round ends its process.
                    Err(kube::Error::Api(status)) if status.code == 404 => {}
                    Err(error) => panic!("{}: {error}", name(pod)),
                }
            }
        }
    }

    /// Asks what the readiness probe asks.
    async fn is_ready(&self, pod: &Value, address: Ipv4Addr) -> bool {
        let probe = &pod["spec"]["containers"][0]["readinessProbe"]["httpGet"];
        let port = &pod["spec"]["containers"][0]["ports"][0];
        assert_eq!(probe["port"], port["name"]);
        assert_eq!(port["containerPort"], self.world.port());
        get_status((address, self.world.port()), probe["path"].as_str().unwrap()).await == Some(200)
    }

    fn start_pod(&self, pod: &Value) -> Running {
        let container = &pod["spec"]["containers"][0];
        let mut command = Command::new(operator_binary());
        command.args(container["args"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()));
        for (inherited, _) in std::env::vars_os().filter(|(name, _)| name != "PATH") {
            command.env_remove(inherited);
        }
        command.envs(environment(pod));
        let address = Ipv4Addr::new(127, 0, 1, 1 + self.pods.fetch_add(1, Ordering::Relaxed) % 250);
        command.env("UPO_HTTP_ADDRESS", format!("{address}:{}", self.world.port()));
        // The files of the mounted token, in the form that works without a mount.
        let kubeconfig = self.world.control_plane.folder().join(format!("{}-kubeconfig", name(pod)));
        std::fs::write(&kubeconfig, self.world.control_plane.kubeconfig_with_token(&self.token(pod))).unwrap();
        command.env("KUBECONFIG", kubeconfig);
        let process = supervise(&command, &SuperviseOptions::new(self.world.log())).unwrap();
        Running { pod: pod["metadata"]["uid"].as_str().unwrap().to_owned(), address, process, ready: false }
    }

    /// The token of the projected volume: of the pod's service account, bound to the pod. It has no other.
    fn token(&self, pod: &Value) -> String {
        let volumes = pod["spec"]["volumes"].as_array().unwrap();
        let sources = volumes.iter().flat_map(|volume| volume["projected"]["sources"].as_array().into_iter().flatten());
        let tokens: Vec<&Value> = sources.filter_map(|source| source.get("serviceAccountToken")).collect();
        assert_eq!(tokens.len(), 1, "{volumes:#?}");
        let seconds = format!("--duration={}s", tokens[0]["expirationSeconds"]);
        let account = pod["spec"]["serviceAccountName"].as_str().unwrap();
        let uid = format!("--bound-object-uid={}", pod["metadata"]["uid"].as_str().unwrap());
        let bound = ["--bound-object-kind=Pod", "--bound-object-name", name(pod), &uid];
        let arguments = [&["create", "token", account, "--namespace", OPERATOR_NAMESPACE, &seconds][..], &bound].concat();
        succeeds(&self.kubectl(&arguments, "")).trim().to_owned()
    }

    /// Waits until nothing runs any more.
    pub(super) async fn until_stopped(&self) {
        let stopped = async || {
            self.sync().await;
            let pods = self.kubectl(&["get", "pods", "--namespace", OPERATOR_NAMESPACE, "--output=name"], "");
            (self.running.lock().await.is_empty() && succeeds(&pods).is_empty()).then_some(())
        };
        eventually("nothing that runs", stopped, async || self.world.log_text()).await;
    }

    /// The environment of the running pod.
    pub(super) fn pod_environment(&self, variable: &str) -> Value {
        let selector = format!("--selector=app.kubernetes.io/instance={RELEASE}");
        let pods = self.kubectl(&["get", "pods", "--namespace", OPERATOR_NAMESPACE, &selector, "--output=json"], "");
        let pods: Value = serde_json::from_str(&succeeds(&pods)).unwrap();
        let environment = pods["items"][0]["spec"]["containers"][0]["env"].as_array().cloned().unwrap_or_default();
        environment.into_iter().find(|one| one["name"] == variable).map(|one| one["value"].clone()).unwrap_or_default()
    }

    /// How much of the audit log there is, to read on from later.
    pub(super) fn audit_mark(&self) -> usize {
        std::fs::read_to_string(&self.audit).unwrap_or_default().lines().count()
    }

    /// What the operator asked of the API server since then.
    pub(super) fn audit_since(&self, mark: usize) -> Vec<Value> {
        let log = std::fs::read_to_string(&self.audit).unwrap();
        let events = log.lines().skip(mark).map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.inspect(|event| assert_eq!(event["user"]["username"], OPERATOR_USER)).collect()
    }

    /// What the release holds, as Helm keeps it.
    pub(super) async fn manifest(&self, version: Helm) -> String {
        succeeds(&self.helm(version, &["get", "manifest", RELEASE, "--namespace", OPERATOR_NAMESPACE], &Value::Null).await)
    }

    /// Whether the definition of `UpstreamParams` knows a field of spec.
    pub(super) fn definition_has(&self, field: &str) -> bool {
        let path = format!("--output=jsonpath={{.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.{field}.type}}");
        !succeeds(&self.kubectl(&["get", "crd", "upstreamparams.upstreamparams.dev", &path], "")).is_empty()
    }

    /// The generations of what is installed: they move with every change that is more than status or metadata.
    pub(super) fn generations(&self, manifest: &str) -> Vec<(String, Value)> {
        let live = succeeds(&self.kubectl(&["get", "--filename=-", "--output=json"], manifest));
        let live: Value = serde_json::from_str(&live).unwrap();
        let items = live["items"].as_array().unwrap();
        assert_eq!(items.len(), objects(manifest).len());
        items.iter().map(|item| (format!("{} {}", kind(item), name(item)), item["metadata"]["generation"].clone())).collect()
    }
}
