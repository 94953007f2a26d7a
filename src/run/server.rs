//! The server of `/healthz`, `/readyz` and `/metrics`.
//!
//! Guarantees: one request for each connection, whose header has [`HEADER_TIME`] to arrive and which is over after
//! [`CONNECTION_TIME`]; no more than [`CONNECTIONS`] are open, and where one more comes the oldest goes: somebody who
//! opens many and says nothing keeps no probe out; asked to stop, it ends within [`LAST_ANSWERS`].

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::kubernetes::hub::Hub;
use crate::kubernetes::lease::Situation;
use crate::telemetry::{self, Metrics};

/// How long the header of a request may take.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// How long a connection may take in all.
const CONNECTION_TIME: Duration = Duration::from_secs(15);
/// How many connections may be open.
const CONNECTIONS: usize = 64;
/// How long answers may take that are on their way when the process ends.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// How large the header of a request may be, in bytes.
const HEADER_SIZE: usize = 16 * 1024;
/// How many connections the kernel holds that are not accepted yet.
const BACKLOG: i32 = 128;

#[derive(Clone)]
struct Served {
    hub: Arc<Hub>,
    metrics: Arc<Metrics>,
    situation: watch::Receiver<Situation>,
}

/// What is served.
pub(super) fn routes(hub: Arc<Hub>, metrics: Arc<Metrics>, situation: watch::Receiver<Situation>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route(
            "/metrics",
            get(|State(served): State<Served>| async move { ([(header::CONTENT_TYPE, telemetry::CONTENT_TYPE)], served.metrics.text()) }),
        )
        .with_state(Served { hub, metrics, situation })
}

/// Ready is who leads, and who can take over at once.
async fn ready(State(served): State<Served>) -> impl IntoResponse {
    let not_yet = |text: String| (StatusCode::SERVICE_UNAVAILABLE, text);
    if !served.hub.is_complete() {
        return not_yet("waiting for the watches to sync; if it lasts, see the log".to_owned());
    }
    match &*served.situation.borrow() {
        Situation::Unknown => not_yet("waiting for the Lease; if it lasts, see the log".to_owned()),
        Situation::Refused(why) => not_yet(why.clone()),
        Situation::StandsBy(text) => (StatusCode::OK, format!("ok: stands by and writes nothing: {text}")),
        Situation::Leads(_) => (StatusCode::OK, "ok".to_owned()),
    }
}

/// Listens. `[::]` takes IPv4 as well; where the machine has no IPv6, IPv4 alone.
pub(super) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = bound(address).or_else(|error| {
        let taken = matches!(error.kind(), std::io::ErrorKind::AddrInUse | std::io::ErrorKind::PermissionDenied);
        if address.is_ipv6() && address.ip().is_unspecified() && !taken {
            tracing::info!(%error, "no IPv6 here; health and metrics are served on IPv4 only");
            bound(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        } else {
            Err(error)
        }
    })?;
    let listener = TcpListener::from_std(listener)?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "health and metrics");
    }
    Ok(listener)
}

fn bound(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        // Said, as a machine may have it the other way.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Serves until the token is cancelled.
pub(super) async fn serve(listener: TcpListener, routes: Router, stop: CancellationToken) {
    let (mut connections, mut open) = (JoinSet::new(), VecDeque::<AbortHandle>::new());
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => open.retain(|connection| !connection.is_finished()),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    while open.len() >= CONNECTIONS {
                        open.pop_front().inspect(AbortHandle::abort);
                    }
                    open.push_back(connections.spawn(connection(stream, routes.clone())));
                }
                // Such as too many open files: trying on at once would not help.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
        }
    }
    drop(listener);
    let answered = async { while connections.join_next().await.is_some() {} };
    // Whatever is left is closed with the set.
    drop(tokio::time::timeout(LAST_ANSWERS, answered).await);
}

async fn connection(stream: TcpStream, routes: Router) {
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIME).max_buf_size(HEADER_SIZE).keep_alive(false);
    let served = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    // Who went away, or was too slow, is told nothing.
    drop(tokio::time::timeout(CONNECTION_TIME, served).await);
}
