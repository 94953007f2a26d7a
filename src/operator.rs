//! The operator as a whole: watches, drivers, health.
//!
//! Guarantees: one driver for each tenant name that exists or is referred to; asked to stop, every driver finishes the
//! pass it is in, which ends within its own time-outs, and then this returns.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use kube::Client;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::auth0::{AllowedDomains, Transport};
use crate::cluster::report::Report;
use crate::cluster::watch;
use crate::core::world::{ObjectKey, Wake};
use crate::driver::{Driver, Note};
use crate::hub::Hub;
use crate::telemetry::{self, Metrics};
use crate::tenant::{Shared, Turns};

/// How long drivers get to finish what they are in: a pass is at most two reads, a few status writes and one PATCH.
const GRACE: Duration = Duration::from_secs(45);

/// What the operator runs with.
pub struct Settings {
    /// The API server.
    pub client: Client,
    /// The operator's own namespace, where the Secrets of tenants are.
    pub namespace: String,
    /// The namespaces whose objects are served; empty: all.
    pub watched: BTreeSet<String>,
    /// Which hosts tenants may have.
    pub allowed: AllowedDomains,
    /// How tenants are reached.
    pub transport: Transport,
    /// Where `/healthz`, `/readyz` and `/metrics` are served; port 0 takes any. None: nowhere.
    pub http: Option<SocketAddr>,
}

/// Why the operator can't run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address for health and metrics can't be listened on.
    #[error("can't listen on {address} for health and metrics: {source}; choose another --http-address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The operating system's error.
        source: std::io::Error,
    },
}

/// Runs until the token is cancelled.
pub async fn run(settings: Settings, stop: CancellationToken) -> Result<(), Error> {
    let (hub, wakes) = Hub::new();
    let hub = Arc::new(hub);
    let metrics = Arc::new(Metrics::new(hub.clone()));
    let serving = match settings.http {
        Some(address) => Some(serve(address, hub.clone(), metrics.clone(), stop.clone()).await?),
        None => None,
    };
    let shared = Shared {
        report: Report::new(settings.client.clone(), hub.clone()),
        hub: hub.clone(),
        transport: settings.transport,
        allowed: settings.allowed,
        namespace: settings.namespace.clone(),
        metrics,
        turns: Arc::new(Turns::default()),
        stop: stop.clone(),
    };
    let watches = tokio::spawn(watch::run(settings.client, settings.namespace, settings.watched, hub.clone(), stop.clone()));
    let complete = tokio::select! {
        () = stop.cancelled() => false,
        () = hub.completed() => true,
    };
    if complete {
        tracing::info!("all watches have listed; passes begin");
        Dispatcher::new(shared).run(wakes, &stop).await;
    }
    drop(watches.await);
    if let Some(serving) = serving {
        drop(serving.await);
    }
    tracing::info!("stopped");
    Ok(())
}

/// Brings wakes to the drivers they concern, and starts drivers.
struct Dispatcher {
    shared: Shared,
    boxes: BTreeMap<String, mpsc::UnboundedSender<Note>>,
    drivers: JoinSet<()>,
}

impl Dispatcher {
    fn new(shared: Shared) -> Self {
        Self { shared, boxes: BTreeMap::new(), drivers: JoinSet::new() }
    }

    async fn run(mut self, mut wakes: mpsc::UnboundedReceiver<Wake>, stop: &CancellationToken) {
        self.tell_all();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                ended = self.drivers.join_next(), if !self.drivers.is_empty() => {
                    if let Some(Err(error)) = ended && error.is_panic() {
                        // A driver that panicked has lost its memory, not its place: the process starts anew with all of it.
                        tracing::error!("a tenant's driver ended unexpectedly; the operator stops so that it is started anew");
                        stop.cancel();
                    }
                }
                wake = wakes.recv() => match wake {
                    Some(wake) => self.deliver(wake),
                    None => break,
                },
            }
        }
        self.boxes.clear();
        let finished = async { while self.drivers.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, finished).await.is_err() {
            tracing::warn!("a pass did not end in time and is cut short; the next start finishes it");
        }
    }

    fn deliver(&mut self, wake: Wake) {
        match wake {
            Wake::Object(key) => self.tell_of(key, Note::Object),
            Wake::Finalizer(key) => self.tell_of(key, Note::Finalizer),
            Wake::Gone { tenant, target, connections, left } => self.tell(&tenant, Note::Gone { target, connections, left }),
            Wake::Tenant(name) => self.tell(&name, Note::Tenant),
            Wake::Tenants => self.tell_all(),
        }
    }

    fn tell_of(&mut self, key: ObjectKey, note: impl FnOnce(ObjectKey) -> Note) {
        let tenant = self.shared.hub.look(|world| world.object(&key).map(|object| object.policies.tenant.clone()));
        if let Some(tenant) = tenant {
            self.tell(&tenant, note(key));
        }
    }

    /// Every tenant that exists or is referred to judges itself anew.
    fn tell_all(&mut self) {
        let mut names: BTreeSet<String> = self.shared.hub.look(|world| {
            let declared = world.tenants().map(|tenant| tenant.name.clone());
            declared.chain(world.objects().map(|object| object.policies.tenant.clone())).collect()
        });
        names.extend(self.boxes.keys().cloned());
        for name in names {
            self.tell(&name, Note::Tenant);
        }
    }

    fn tell(&mut self, tenant: &str, note: Note) {
        let mailbox = self.boxes.entry(tenant.to_owned()).or_insert_with(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            self.drivers.spawn(Driver::new(tenant.to_owned(), self.shared.clone(), receiver).run());
            sender
        });
        // A driver ends only with the process.
        drop(mailbox.send(note));
    }
}

#[derive(Clone)]
struct Served {
    hub: Arc<Hub>,
    metrics: Arc<Metrics>,
}

async fn serve(
    address: SocketAddr,
    hub: Arc<Hub>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> Result<tokio::task::JoinHandle<()>, Error> {
    let listener = tokio::net::TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "health and metrics");
    }
    let router = axum::Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route(
            "/metrics",
            get(|State(served): State<Served>| async move { ([(header::CONTENT_TYPE, telemetry::CONTENT_TYPE)], served.metrics.text()) }),
        )
        .with_state(Served { hub, metrics });
    let stopped = async move { stop.cancelled().await };
    Ok(tokio::spawn(async move {
        drop(axum::serve(listener, router).with_graceful_shutdown(stopped).await);
    }))
}

async fn ready(State(served): State<Served>) -> impl IntoResponse {
    if served.hub.is_complete() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "waiting for the first list of every watch; if it lasts, see the log for what is missing")
    }
}
