//! `controller`: the operator itself.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use tokio_util::sync::CancellationToken;

use crate::auth0::{self, Transport, TransportOptions};
use crate::clock::WallClock;
use crate::kubernetes::reach;
use crate::model::domain::AllowedDomains;
use crate::run;
use crate::telemetry::{self, LogFormat};

/// Where a pod finds the name of its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Flags of `controller`. Each may be given as an environment variable.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The operator's own namespace, where the Secrets of tenants are [default: that of the pod, else `default`].
    #[arg(long, env = "UPO_NAMESPACE")]
    namespace: Option<String>,

    /// The namespaces whose objects are served, separated by commas [default: all]. Rights on objects are needed only in these.
    /// One operator serves a cluster: another one stands by, also with other namespaces here, and takes over when that one ends.
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

    /// The HTTP proxy to reach tenants through, such as `http://proxy.example.com:3128`; also read from `https_proxy`. Never
    /// used for the API server, whose proxy is `proxy-url` of the kubeconfig's cluster.
    #[arg(long, env = "HTTPS_PROXY", hide_env_values = true)]
    proxy: Option<String>,

    /// Tenants to reach without the proxy, separated by commas; also read from `no_proxy`.
    #[arg(long, env = "NO_PROXY")]
    no_proxy: Option<String>,

    /// Where /healthz, /readyz and /metrics are served. `[::]` takes IPv4 as well, and IPv4 alone where there is no IPv6.
    #[arg(long, env = "UPO_HTTP_ADDRESS", default_value = "[::]:8080")]
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

/// Runs the operator until SIGTERM or Ctrl-C. An error is a line of the log, in its format, unless that shows none.
pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    telemetry::init(arguments.log_format, &arguments.log);
    telemetry::log_panics();
    auth0::install_crypto_provider();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("can't start the async runtime")?;
    let result = runtime.block_on(async {
        let stop = CancellationToken::new();
        stop_on_signal(stop.clone())?;
        let settings = settings(arguments).await?;
        run::run(settings, stop).await.map_err(anyhow::Error::from)
    });
    // A name that is looked up, which nothing can end, must not hold the process.
    runtime.shutdown_background();
    match result {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if tracing::enabled!(tracing::Level::ERROR) => {
            tracing::error!("{}", super::whole(&error));
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error),
    }
}

async fn settings(arguments: Arguments) -> anyhow::Result<run::Settings> {
    let allowed = AllowedDomains::parse(arguments.allowed_domains.iter().filter(|one| !one.is_empty())).context("--allowed-domains")?;
    if let Some(endpoint) = &arguments.insecure_tenant_endpoint {
        tracing::warn!(%endpoint, "every tenant is replaced by this plain http address: for tests only");
    }
    let transport = Transport::new(&TransportOptions {
        allowed_domains: allowed.clone(),
        extra_ca: arguments.extra_ca,
        permit_private_addresses: arguments.permit_private_addresses,
        proxy: proxy(arguments.proxy)?,
        no_proxy: given(arguments.no_proxy, "no_proxy"),
        endpoint_override: arguments.insecure_tenant_endpoint,
        ..TransportOptions::default()
    })?;
    Ok(run::Settings {
        client: kubernetes().await?,
        watched: arguments.watch_namespaces.into_iter().map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect(),
        namespace: arguments.namespace.or_else(pod_namespace).unwrap_or_else(|| "default".to_owned()),
        allowed,
        transport,
        wall: WallClock::system(),
        instance: std::env::var("HOSTNAME").ok(),
        http: Some(arguments.http_address),
    })
}

/// What was given, by flag or in upper case, or else stands in the variable of this name; an empty text says nothing.
fn given(text: Option<String>, variable: &str) -> Option<String> {
    let said = |text: &String| !text.trim().is_empty();
    text.filter(said).or_else(|| std::env::var(variable).ok().filter(said)).map(|text| text.trim().to_owned())
}

/// The proxy for tenants. Without a scheme it is one that is spoken to in plain HTTP, as other programs take it.
fn proxy(text: Option<String>) -> anyhow::Result<Option<String>> {
    let Some(text) = given(text, "https_proxy") else { return Ok(None) };
    let url = if text.contains("://") { text } else { format!("http://{text}") };
    if !url.starts_with("http://") && !url.starts_with("https://") {
        anyhow::bail!("--proxy (or HTTPS_PROXY): only HTTP proxies can be used; write http://host:port");
    }
    Ok(Some(url))
}

async fn kubernetes() -> anyhow::Result<kube::Client> {
    let mut config = match Kubeconfig::read() {
        Ok(kubeconfig) => from_kubeconfig(kubeconfig).await?,
        Err(error) => kube::Config::incluster()
            .map_err(|_| error)
            .context("no cluster: set KUBECONFIG, or run inside a cluster with a service account")?,
    };
    // Watches have an idle time-out of their own; everything else ends within the report's.
    config.connect_timeout = Some(Duration::from_secs(10));
    reach::client(config).context("the kubeconfig can't be used")
}

/// The cluster of the current context, through the proxy that the kubeconfig names for it, if any. A proxy in the
/// environment is for tenants; the library would take it for the API server too, and fail on one that it can't use, so it is
/// given another, which is taken out again.
async fn from_kubeconfig(mut kubeconfig: Kubeconfig) -> anyhow::Result<kube::Config> {
    let current = kubeconfig.current_context.as_ref();
    let context = kubeconfig.contexts.iter().find(|one| Some(&one.name) == current).and_then(|one| one.context.as_ref());
    let name = context.map(|context| context.cluster.clone()).unwrap_or_default();
    let proxy = match kubeconfig.clusters.iter_mut().find(|one| one.name == name).and_then(|one| one.cluster.as_mut()) {
        Some(cluster) => {
            let environment = given(None, "HTTPS_PROXY").or_else(|| given(None, "https_proxy"));
            let unused = environment.map(|_| "http://unused.invalid".to_owned());
            std::mem::replace(&mut cluster.proxy_url, unused).filter(|url| !url.is_empty())
        }
        None => None,
    };
    let loaded = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = loaded.map_err(|error| {
        let why = if matches!(error, KubeconfigError::ParseNoProxy(_)) {
            "NO_PROXY: write hosts, addresses and networks, separated by single commas"
        } else {
            "the kubeconfig can't be used"
        };
        anyhow::Error::from(error).context(why)
    })?;
    config.proxy_url = proxy.map(|url| cluster_proxy(&url, &name)).transpose()?;
    Ok(config)
}

/// A proxy as `proxy-url` names it. It may hold a password, so it is not repeated.
fn cluster_proxy(url: &str, cluster: &str) -> anyhow::Result<axum::http::Uri> {
    let usable = |uri: &axum::http::Uri| matches!(uri.scheme_str(), Some("http" | "https" | "socks5")) && uri.host().is_some();
    url.parse().ok().filter(usable).with_context(|| {
        format!("proxy-url of the cluster {cluster} in the kubeconfig is no proxy's address; write http://host:port, https://host:port or socks5://host:port")
    })
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
