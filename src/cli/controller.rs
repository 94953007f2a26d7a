//! `controller`: the operator itself.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use kube::config::Kubeconfig;
use tokio_util::sync::CancellationToken;

use crate::auth0::{self, AllowedDomains, Transport, TransportOptions};
use crate::operator;
use crate::telemetry::{self, LogFormat};

/// Where a pod finds the name of its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Flags of `controller`. Each may be given as an environment variable.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The operator's own namespace, where the Secrets of tenants are [default: that of the pod, else `default`].
    #[arg(long, env = "UPO_NAMESPACE")]
    namespace: Option<String>,

    /// The namespaces whose objects are served, separated by commas [default: all]. Only in these are rights needed; what other
    /// namespaces declare is not seen, so two operators must not share a connection.
    #[arg(long, env = "UPO_WATCH_NAMESPACES", value_delimiter = ',')]
    watch_namespaces: Vec<String>,

    /// Hosts that tenants may have, separated by commas; `*.` stands for one or more labels.
    #[arg(long, env = "UPO_ALLOWED_DOMAINS", default_value = "*.auth0.com", value_delimiter = ',')]
    allowed_domains: Vec<String>,

    /// A file of PEM certificates to trust beside the system's, for a proxy that opens TLS.
    #[arg(long, env = "UPO_EXTRA_CA")]
    extra_ca: Option<PathBuf>,

    /// Permit tenants whose addresses lie inside a private network, as with a private link to Auth0.
    #[arg(long, env = "UPO_PERMIT_PRIVATE_ADDRESSES")]
    permit_private_addresses: bool,

    /// The HTTP proxy to reach tenants through, such as `http://proxy.example.com:3128`.
    #[arg(long, env = "HTTPS_PROXY", hide_env_values = true)]
    proxy: Option<String>,

    /// Hosts to reach without the proxy, separated by commas.
    #[arg(long, env = "NO_PROXY")]
    no_proxy: Option<String>,

    /// Where /healthz, /readyz and /metrics are served.
    #[arg(long, env = "UPO_HTTP_ADDRESS", default_value = "0.0.0.0:8080")]
    http_address: SocketAddr,

    /// How log lines look.
    #[arg(long, env = "UPO_LOG_FORMAT", default_value = "human")]
    log_format: LogFormat,

    /// What is logged, in the syntax of RUST_LOG.
    #[arg(long, env = "UPO_LOG", default_value = "info", value_parser = telemetry::filter)]
    log: String,

    /// For tests only: send the requests for every tenant to this plain http address, with the tenant's domain as Host.
    #[arg(long, env = "UPO_INSECURE_TENANT_ENDPOINT", hide = true)]
    insecure_tenant_endpoint: Option<String>,
}

/// Runs the operator until SIGTERM or Ctrl-C.
pub(super) fn run(arguments: Arguments) -> anyhow::Result<()> {
    telemetry::init(arguments.log_format, &arguments.log);
    auth0::install_crypto_provider();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("can't start the async runtime")?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        stop_on_signal(stop.clone())?;
        let settings = settings(arguments).await?;
        operator::run(settings, stop).await.map_err(anyhow::Error::from)
    })
}

async fn settings(arguments: Arguments) -> anyhow::Result<operator::Settings> {
    let allowed = AllowedDomains::parse(arguments.allowed_domains.iter().filter(|one| !one.is_empty())).context("--allowed-domains")?;
    if let Some(endpoint) = &arguments.insecure_tenant_endpoint {
        tracing::warn!(%endpoint, "every tenant is replaced by this plain http address: for tests only");
    }
    let transport = Transport::new(&TransportOptions {
        allowed_domains: allowed.clone(),
        extra_ca: arguments.extra_ca,
        permit_private_addresses: arguments.permit_private_addresses,
        proxy: arguments.proxy.filter(|proxy| !proxy.is_empty()),
        no_proxy: arguments.no_proxy,
        endpoint_override: arguments.insecure_tenant_endpoint,
        ..TransportOptions::default()
    })?;
    Ok(operator::Settings {
        client: kubernetes().await?,
        watched: arguments.watch_namespaces.into_iter().map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect(),
        namespace: arguments.namespace.or_else(pod_namespace).unwrap_or_else(|| "default".to_owned()),
        allowed,
        transport,
        http: Some(arguments.http_address),
    })
}

async fn kubernetes() -> anyhow::Result<kube::Client> {
    let mut config = kube::Config::infer().await.context("no cluster: set KUBECONFIG, or run inside a cluster with a service account")?;
    if !kubeconfig_names_a_proxy() {
        // From HTTPS_PROXY of the shell, which is for tenants; a pod reaches its API server directly as well.
        config.proxy_url = None;
    }
    // Watches have an idle time-out of their own; everything else ends within the report's.
    config.connect_timeout = Some(Duration::from_secs(10));
    kube::Client::try_from(config).context("the kubeconfig can't be used")
}

fn kubeconfig_names_a_proxy() -> bool {
    Kubeconfig::read()
        .is_ok_and(|config| config.clusters.iter().any(|one| one.cluster.as_ref().is_some_and(|cluster| cluster.proxy_url.is_some())))
}

fn pod_namespace() -> Option<String> {
    let text = std::fs::read_to_string(NAMESPACE_FILE).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Cancels the token at the first SIGTERM or Ctrl-C.
fn stop_on_signal(stop: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).context("can't listen for SIGTERM")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        stop.cancel();
        tracing::info!("stopping: the write in flight is finished first");
    });
    Ok(())
}
