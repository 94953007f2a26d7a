//! `controller`: the operator itself.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::{cluster, tenants};
use crate::auth0;
use crate::clock::WallClock;
use crate::run;
use crate::telemetry::{self, LogFormat, RequestTimes};

/// Where a pod finds the name of its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Flags of `controller`. Each may be given as an environment variable.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The operator's own namespace, which has the Secrets with credentials [default: that of the pod, else `default`].
    #[arg(long, env = "UPO_NAMESPACE")]
    namespace: Option<String>,

    /// The namespaces to serve, separated by commas [default: all]. The operator needs rights on objects only in these. One
    /// operator serves a cluster: a second one stands by, whatever namespaces it has here, until the first one ends.
    #[arg(long, env = "UPO_WATCH_NAMESPACES", value_delimiter = ',')]
    watch_namespaces: Vec<String>,

    /// The address of /healthz, /readyz and /metrics. `[::]` means IPv6 and IPv4, or IPv4 alone where there is no IPv6.
    #[arg(long, env = "UPO_HTTP_ADDRESS", default_value = "[::]:8080")]
    http_address: SocketAddr,

    /// The format of log lines.
    #[arg(long, env = "UPO_LOG_FORMAT", default_value = "human")]
    log_format: LogFormat,

    /// What to log, in the syntax of RUST_LOG, for example `debug`.
    #[arg(long, env = "UPO_LOG", default_value = "info", value_parser = telemetry::filter)]
    log: String,

    #[command(flatten)]
    reach: tenants::ReachArguments,
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
    let tenants::Reach { allowed, transport } = arguments.reach.reach()?;
    let requests = RequestTimes::default();
    Ok(run::Settings {
        client: cluster::client(None, requests.observer()).await?,
        requests,
        watched: arguments.watch_namespaces.into_iter().map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect(),
        namespace: arguments.namespace.or_else(pod_namespace).unwrap_or_else(|| "default".to_owned()),
        allowed,
        transport,
        wall: WallClock::system(),
        instance: std::env::var("HOSTNAME").ok(),
        http: Some(arguments.http_address),
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
