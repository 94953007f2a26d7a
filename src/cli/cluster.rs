//! The cluster that a command talks to.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use super::tenants::given;
use crate::kubernetes::reach::{self, Observer};

/// Which cluster, as kubectl has it.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct ClusterArguments {
    /// The context of the kubeconfig [default: the current one]. The kubeconfig is that of KUBECONFIG, or ~/.kube/config.
    #[arg(long)]
    pub(super) context: Option<String>,
}

impl ClusterArguments {
    /// A client of this cluster.
    pub(super) async fn client(&self) -> anyhow::Result<kube::Client> {
        client(self.context.as_deref(), Arc::new(|_| {})).await
    }
}

/// A client of the cluster of this context, or of the current one; without a kubeconfig, of the one that this runs in. The
/// observer sees each request.
pub(super) async fn client(context: Option<&str>, observer: Observer) -> anyhow::Result<kube::Client> {
    let mut config = match Kubeconfig::read() {
        Ok(kubeconfig) => from_kubeconfig(kubeconfig, context).await?,
        Err(error) => kube::Config::incluster()
            .map_err(|_| error)
            .context("no cluster: set KUBECONFIG, or run inside a cluster with a service account")?,
    };
    // Watches have an idle time-out of their own; everything else ends within the report's.
    config.connect_timeout = Some(Duration::from_secs(10));
    reach::client(config, observer).context("the kubeconfig can't be used")
}

/// A client of the cluster that this kubeconfig names. The observer sees each request.
#[cfg(feature = "testbed")]
pub(super) async fn client_of(kubeconfig: Kubeconfig, observer: Observer) -> anyhow::Result<kube::Client> {
    reach::client(from_kubeconfig(kubeconfig, None).await?, observer).context("the kubeconfig can't be used")
}

/// The cluster of this context, or of the current one, through the proxy that the kubeconfig names for it, if any. A proxy
/// in the environment is for tenants; the library would take it for the API server too, and fail on one that it can't use, so
/// it is given another, which is taken out again.
async fn from_kubeconfig(mut kubeconfig: Kubeconfig, context: Option<&str>) -> anyhow::Result<kube::Config> {
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let meant = context.or(kubeconfig.current_context.as_deref());
    let meant = kubeconfig.contexts.iter().find(|one| Some(one.name.as_str()) == meant).and_then(|one| one.context.as_ref());
    let name = meant.map(|context| context.cluster.clone()).unwrap_or_default();
    let proxy = match kubeconfig.clusters.iter_mut().find(|one| one.name == name).and_then(|one| one.cluster.as_mut()) {
        Some(cluster) => {
            let environment = given(None, "HTTPS_PROXY").or_else(|| given(None, "https_proxy"));
            let unused = environment.map(|_| "http://unused.invalid".to_owned());
            std::mem::replace(&mut cluster.proxy_url, unused).filter(|url| !url.is_empty())
        }
        None => None,
    };
    let loaded = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
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
