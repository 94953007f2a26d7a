//! What the demo plays on: a control plane, an emulated tenant, the operator, the examples.
//!
//! Guarantees: everything listens on this machine alone, on ports that were free, and ends with this process; a proxy that the
//! environment names is asked for nothing.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use auth0_emulator::{Emulator, TenantHandle, seed};
use control_plane::{ControlPlane, Listener, Options, Progress};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::config::Kubeconfig;
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::examples::{DOMAIN, EXAMPLES, Expected, NAMESPACE, expected};
use super::story::condition;
use crate::api::crd;
use crate::api::reason::EventReason;
use crate::api::tenant::ClusterAuth0Tenant;
use crate::api::upstream_params::UpstreamParams;
use crate::auth0::{Transport, TransportOptions};
use crate::cli::cluster;
use crate::clock::{self, WallClock};
use crate::model::domain::AllowedDomains;
use crate::run;
use crate::telemetry::RequestTimes;

/// The operator's namespace, where the Secret of the examples is.
const OPERATOR_NAMESPACE: &str = "upstream-params-operator";

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often it is asked whether something came about.
const AGAIN: Duration = Duration::from_millis(100);

/// How often a port may be taken by somebody else between our look and its use.
const TRIES: usize = 5;

/// The client of the operator's application, and the scopes it has: these and no more.
const CLIENT: (&str, &str) = ("demo-operator", "demo-secret");
const SCOPES: [&str; 4] = ["read:connections", "read:connections_options", "update:connections", "update:connections_options"];

/// Everything that runs.
pub(super) struct Stage {
    pub(super) emulator: Emulator,
    pub(super) tenant: TenantHandle,
    /// Where the operator serves its health and its metrics.
    pub(super) http: SocketAddr,
    client: Client,
    stop: CancellationToken,
    operator: JoinHandle<Result<(), run::Error>>,
    control_plane: ControlPlane,
}

impl Stage {
    /// Starts everything, and waits until the operator is ready.
    pub(super) async fn set(progress: Arc<Listener>) -> anyhow::Result<Self> {
        // No controllers: nothing here owns anything, and no namespace goes. No kubectl: what is shown is read by this program.
        progress(&Progress::Step("starting etcd, kube-apiserver, an emulated Auth0 tenant and the operator".to_owned()));
        let control_plane = ControlPlane::start(Options { kubectl: false, progress, ..Options::default() }).await?;
        let emulator = Emulator::start(auth0_emulator::Options::default())?;
        let tenant = seeded(&emulator)?;
        let kubeconfig = Kubeconfig::from_yaml(control_plane.kubeconfig_yaml())?;
        let client = cluster::client_of(kubeconfig.clone(), Arc::new(|_| {})).await?;
        // The operator's metrics are about its own requests.
        let requests = RequestTimes::default();
        let as_operator = (cluster::client_of(kubeconfig, requests.observer()).await?, requests);
        install(&client).await?;
        let stop = CancellationToken::new();
        let (operator, http) = start(&as_operator, &emulator, &stop).await?;
        Ok(Self { emulator, tenant, http, client, stop, operator, control_plane })
    }

    /// Applies the examples. Yields the kind of each and what there is to say of it, as the API server has it.
    pub(super) async fn apply_examples(&self) -> anyhow::Result<Vec<(String, String)>> {
        let mut applied = Vec::new();
        for text in EXAMPLES {
            let mut object: DynamicObject = serde_saphyr::from_str(text).context("an example is no object")?;
            let kind = object.types.as_ref().map(|types| types.kind.clone()).unwrap_or_default();
            let api: Api<DynamicObject> = match kind.as_str() {
                "Namespace" => Api::all_with(self.client.clone(), &ApiResource::erase::<Namespace>(&())),
                "ClusterAuth0Tenant" => {
                    hurry(&mut object);
                    Api::all_with(self.client.clone(), &ApiResource::erase::<ClusterAuth0Tenant>(&()))
                }
                "UpstreamParams" => Api::namespaced_with(self.client.clone(), NAMESPACE, &ApiResource::erase::<UpstreamParams>(&())),
                other => bail!("an example is of the kind {other}, which the demo does not know"),
            };
            let name = object.name_any();
            let there = api.patch(&name, &PatchParams::apply("demo"), &Patch::Apply(&object)).await;
            applied.push((kind, said(&there.with_context(|| format!("{name} can't be applied"))?)));
        }
        Ok(applied)
    }

    /// The example objects as they are now, in the order of what is expected of them.
    pub(super) async fn objects(&self) -> anyhow::Result<Vec<UpstreamParams>> {
        let all = Api::<UpstreamParams>::namespaced(self.client.clone(), NAMESPACE).list(&ListParams::default()).await?.items;
        let of = |expected: &Expected| all.iter().find(|object| object.name_any() == expected.object).cloned();
        Ok(expected().iter().filter_map(of).collect())
    }

    /// Waits until every example came to what is expected of it. Yields what did not.
    pub(super) async fn settle(&self) -> anyhow::Result<Vec<String>> {
        let start = clock::now();
        loop {
            let objects = self.objects().await?;
            let open = |expected: &Expected| {
                let came_to = |object: &UpstreamParams| object.name_any() == expected.object && is_as_expected(object, expected);
                let (kind, status, reason) = expected.condition;
                let missing = || format!("{} has no {kind}={status} with reason {reason}", expected.object, status = status.as_str());
                (!objects.iter().any(came_to)).then(missing)
            };
            let open: Vec<String> = expected().iter().filter_map(open).collect();
            if open.is_empty() || clock::since(start) > PATIENCE {
                return Ok(open);
            }
            self.pause().await?;
        }
    }

    /// Waits a moment, unless the operator has ended.
    async fn pause(&self) -> anyhow::Result<()> {
        if self.operator.is_finished() {
            bail!("the operator ended; --log info shows what it did");
        }
        tokio::time::sleep(AGAIN).await;
        Ok(())
    }

    /// Sets a parameter as somebody in the Auth0 Dashboard does.
    pub(super) fn set_by_hand(&self, connection: &str, param: &str, value: &str) -> anyhow::Result<()> {
        let there = self.tenant.edit(connection, |options| {
            let params = options.entry("upstream_params").or_insert_with(|| json!({}));
            if let Some(params) = params.as_object_mut() {
                params.insert(param.to_owned(), json!({"value": value}));
            }
        });
        if there { Ok(()) } else { bail!("the tenant has no connection {connection}") }
    }

    /// Waits until a connection has these parameters again. Yields whether it does.
    pub(super) async fn undone(&self, connection: &str, params: &Map<String, Value>) -> bool {
        self.tenant.wait_for(|tenant| tenant.upstream_params(connection).as_object() == Some(params), PATIENCE).await
    }

    /// The events of corrections that there are.
    pub(super) async fn corrections(&self) -> anyhow::Result<Vec<Event>> {
        let mut events = Api::<Event>::namespaced(self.client.clone(), NAMESPACE).list(&ListParams::default()).await?.items;
        events.retain(|event| event.reason.as_deref() == Some(EventReason::DriftCorrected.as_str()));
        Ok(events)
    }

    /// What the operator tells of a correction beyond these events: it does so after it wrote, and counts one that it told before.
    pub(super) async fn correction_beyond(&self, known: &[Event]) -> anyhow::Result<Option<String>> {
        let start = clock::now();
        loop {
            let news = self.corrections().await?.into_iter().find(|event| !known.contains(event));
            if news.is_some() || clock::since(start) > PATIENCE {
                return Ok(news.and_then(|event| event.note));
            }
            self.pause().await?;
        }
    }

    /// Ends everything, the operator first.
    pub(super) async fn strike(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.operator.await.context("the operator ended unexpectedly")??;
        self.control_plane.stop().await?;
        self.emulator.stop();
        Ok(())
    }

    /// A kubeconfig for another terminal.
    pub(super) fn kubeconfig(&self) -> &Path {
        self.control_plane.kubeconfig()
    }

    /// A kubectl for whoever has none, if there is one beside the API server.
    pub(super) fn kubectl(&self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let has_one = std::env::split_paths(&path).any(|folder| folder.join("kubectl").is_file());
        self.control_plane.binaries().kubectl.clone().filter(|_| !has_one)
    }
}

/// Its name, and of a tenant what is different here.
fn said(object: &DynamicObject) -> String {
    let (name, spec) = (object.name_any(), &object.data["spec"]);
    match (spec["domain"].as_str(), spec["resyncIntervalSeconds"].as_i64()) {
        (Some(domain), Some(seconds)) => format!("{name}: {domain}, checked every {seconds} s, so that nobody has to wait"),
        _ => name,
    }
}

/// The examples are for production: there, ten minutes between two looks are right. Nobody watches a demo so long.
fn hurry(tenant: &mut DynamicObject) {
    tenant.data["spec"]["resyncIntervalSeconds"] = json!(5);
    tenant.data["spec"]["rateLimit"] = json!({"readsPerMinute": 600, "requestsPerMinute": 600});
}

fn is_as_expected(object: &UpstreamParams, expected: &Expected) -> bool {
    let (kind, status, reason) = expected.condition;
    let generation = object.meta().generation;
    condition(object, kind).is_some_and(|condition| {
        condition.status == status.as_str() && condition.reason == reason.as_str() && condition.observed_generation == generation
    })
}

fn seeded(emulator: &Emulator) -> anyhow::Result<TenantHandle> {
    let tenant = emulator.tenant(DOMAIN);
    tenant.add_client(CLIENT.0, CLIENT.1, SCOPES);
    seed::demo(&tenant)?;
    tenant.edit("twitter", |options| {
        options.remove("upstream_params");
    });
    tenant.edit("wordpress", |options| {
        options.insert("upstream_params".to_owned(), json!({"theme": {"value": "set-by-somebody-else"}}));
    });
    tenant.clear_journal();
    Ok(tenant)
}

/// The definitions, and the Secret of the operator.
async fn install(client: &Client) -> anyhow::Result<()> {
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    for definition in crd::crds() {
        let name = definition.name_any();
        definitions.create(&PostParams::default(), &definition).await.with_context(|| format!("{name} can't be installed"))?;
        let established = await_condition(definitions.clone(), &name, is_crd_established());
        tokio::time::timeout(PATIENCE, established).await.with_context(|| format!("{name} is not served"))??;
    }
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": OPERATOR_NAMESPACE}}))?;
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    let secret = json!({"metadata": {"name": "auth0-credentials"}, "stringData": {"clientId": CLIENT.0, "clientSecret": CLIENT.1}});
    let secret: Secret = serde_json::from_value(secret)?;
    Api::namespaced(client.clone(), OPERATOR_NAMESPACE).create(&PostParams::default(), &secret).await?;
    Ok(())
}

/// Starts the operator on a free port, and waits until it is ready.
async fn start(
    as_operator: &(Client, RequestTimes),
    emulator: &Emulator,
    stop: &CancellationToken,
) -> anyhow::Result<(JoinHandle<Result<(), run::Error>>, SocketAddr)> {
    for _ in 0..TRIES {
        let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr()).context("no port is free")?;
        let operator = tokio::spawn(run::run(settings(as_operator, emulator, http)?, stop.clone()));
        match until_ready(operator, http).await? {
            Ok(operator) => return Ok((operator, http)),
            // Somebody else was quicker.
            Err(run::Error::Listen { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("each port that was free is taken by now; start the demo again")
}

type Running = JoinHandle<Result<(), run::Error>>;

async fn until_ready(operator: Running, http: SocketAddr) -> anyhow::Result<Result<Running, run::Error>> {
    let probe = reqwest::Client::builder().no_proxy().build()?;
    let start = clock::now();
    loop {
        if operator.is_finished() {
            return match operator.await? {
                Ok(()) => bail!("the operator ended before it was ready"),
                Err(error) => Ok(Err(error)),
            };
        }
        let answer = probe.get(format!("http://{http}/readyz")).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(Ok(operator));
        }
        if clock::since(start) > PATIENCE {
            bail!("the operator is not ready after {} s; --log info shows why", PATIENCE.as_secs());
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn settings((client, requests): &(Client, RequestTimes), emulator: &Emulator, http: SocketAddr) -> anyhow::Result<run::Settings> {
    let allowed = AllowedDomains::default();
    let transport = Transport::new(&TransportOptions {
        allowed_domains: allowed.clone(),
        endpoint_override: Some(emulator.url()),
        ..TransportOptions::default()
    })?;
    Ok(run::Settings {
        wall: WallClock::system(),
        instance: None,
        client: client.clone(),
        requests: requests.clone(),
        namespace: OPERATOR_NAMESPACE.to_owned(),
        watched: BTreeSet::new(),
        allowed,
        transport,
        http: Some(http),
    })
}
