//! A proxy before the real API server that makes single requests of the operator slow or fail: what a busy or broken
//! API server does, at the request that a test means.
//!
//! Rules name a method and a part of the path, which holds the namespace of the test's scope, so that tests can share one.
//! What no rule meets is passed on as it is. The administrator's rights are lent to whoever comes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use control_plane::ControlPlane;
use futures::StreamExt;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::world::client;

/// Larger than any request of the operator.
const MAX_BODY: usize = 1 << 20;

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// It is not passed on, and answered with this status.
    Refuse(u16),
    /// It is carried out, and answered with this status all the same.
    Belie(u16),
    /// It is passed on after this time.
    Delay(Duration),
}

/// Which requests, and what happens to them.
#[derive(Clone, Debug)]
pub struct Rule {
    method: &'static str,
    path: String,
    body: String,
    skip: usize,
    left: usize,
    act: Act,
}

impl Rule {
    /// Every request with this method (`*` stands for every write) and this part in its path.
    pub fn new(method: &'static str, path: impl Into<String>, act: Act) -> Self {
        Self { method, path: path.into(), body: String::new(), skip: 0, left: usize::MAX, act }
    }

    /// Not the first so many.
    pub fn after(mut self, skip: usize) -> Self {
        self.skip = skip;
        self
    }

    /// Only requests with this part in their body.
    pub fn body(mut self, part: impl Into<String>) -> Self {
        self.body = part.into();
        self
    }

    /// Only the first so many.
    pub fn times(mut self, times: usize) -> Self {
        self.left = times;
        self
    }

    fn means(&self, call: &Request) -> bool {
        (self.method == "*" || call.method == self.method) && call.path.contains(&self.path) && call.body.contains(&self.body)
    }

    /// Whether it meets this request. Counts.
    fn meets(&mut self, call: &Request) -> bool {
        if !self.means(call) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        let meets = self.left > 0;
        self.left = self.left.saturating_sub(1);
        meets
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// Its body.
    pub body: String,
    /// Whether a rule met it.
    pub met: bool,
}

#[derive(Debug, Default)]
struct Book {
    rules: Vec<Rule>,
    calls: Vec<Request>,
}

/// What the requests of a proxy share.
#[derive(Clone)]
struct Served {
    client: Client,
    book: Arc<Mutex<Book>>,
    held: watch::Receiver<Option<String>>,
}

/// The proxy. It runs as long as the process.
#[derive(Clone, Debug)]
pub struct ApiProxy {
    book: Arc<Mutex<Book>>,
    held: watch::Sender<Option<String>>,
    /// For whoever is to come through it.
    pub kubeconfig: PathBuf,
}

impl ApiProxy {
    /// Starts one before an API server.
    pub fn before(control_plane: &ControlPlane) -> Self {
        let book = Arc::<Mutex<Book>>::default();
        let (held, holding) = watch::channel(None);
        let address = serve(control_plane.kubeconfig_yaml().to_owned(), book.clone(), holding);
        let kubeconfig = control_plane.folder().join(format!("proxy-{}.kubeconfig", address.port()));
        std::fs::write(&kubeconfig, kubeconfig_of(&format!("http://{address}"))).unwrap();
        Self { book, held, kubeconfig }
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the watches with this part in their path say nothing, until [`ApiProxy::let_go`].
    pub fn hold(&self, path: &str) {
        self.held.send_replace(Some(path.to_owned()));
    }

    /// What the watches kept to themselves comes now.
    pub fn let_go(&self) {
        self.held.send_replace(None);
    }

    /// Adds a rule. The first that matches a request counts.
    pub fn rule(&self, rule: Rule) {
        self.book().rules.push(rule);
    }

    /// Takes away the rules whose path has this part.
    pub fn clear(&self, path: &str) {
        self.book().rules.retain(|rule| !rule.path.contains(path));
    }

    /// The requests with this method and this part in their path.
    pub fn calls(&self, method: &str, path: &str) -> Vec<Request> {
        let wanted = |call: &&Request| (method == "*" || call.method == method) && call.path.contains(path);
        self.book().calls.iter().filter(wanted).cloned().collect()
    }

    /// The writes since this many of all, but for those of the Lease.
    pub fn writes_since(&self, mark: usize) -> Vec<Request> {
        self.book().calls.iter().skip(mark).filter(|call| !call.path.contains("/leases")).cloned().collect()
    }

    /// How many writes there were.
    pub fn mark(&self) -> usize {
        self.book().calls.len()
    }

    /// How many of them a rule met.
    pub fn met(&self, method: &str, path: &str) -> usize {
        self.calls(method, path).iter().filter(|call| call.met).count()
    }
}

/// Serves on a port, on a runtime of its own, which nothing that a test does holds up.
fn serve(kubeconfig: String, book: Arc<Mutex<Book>>, held: watch::Receiver<Option<String>>) -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let client = client(&kubeconfig, |config| config.read_timeout = None).await;
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            let router = axum::Router::new().fallback(pass).with_state(Served { client, book, held });
            axum::serve(listener, router).await.unwrap();
        });
    });
    told.recv().unwrap()
}

fn kubeconfig_of(server: &str) -> String {
    let named = |kind: &str, content: Value| json!([{"name": "proxy", kind: content}]);
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "proxy",
        "clusters": named("cluster", json!({"server": server})),
        "users": named("user", json!({})),
        "contexts": named("context", json!({"cluster": "proxy", "user": "proxy"})),
    })
    .to_string()
}

async fn pass(State(served): State<Served>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let act = if parts.method == "GET" { None } else { served.note(&parts, &body) };
    match act {
        Some(Act::Refuse(code)) => refusal(code),
        Some(Act::Belie(code)) => {
            served.pass_on(parts, body).await;
            refusal(code)
        }
        Some(Act::Delay(time)) => {
            tokio::time::sleep(time).await;
            served.pass_on(parts, body).await
        }
        None => served.pass_on(parts, body).await,
    }
}

impl Served {
    /// Notes a write, and what is to happen to it.
    fn note(&self, parts: &Parts, body: &[u8]) -> Option<Act> {
        let mut call = Request {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            body: String::from_utf8_lossy(body).into_owned(),
            met: false,
        };
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let act = book.rules.iter_mut().find_map(|rule| rule.meets(&call).then_some(rule.act));
        call.met = act.is_some();
        book.calls.push(call);
        act
    }

    /// The API server's answer.
    async fn pass_on(self, parts: Parts, body: Bytes) -> Response {
        let path = parts.uri.path().to_owned();
        let watches = parts.uri.query().is_some_and(|query| query.contains("watch=true"));
        let mut onward = axum::http::Request::builder().method(parts.method).uri(parts.uri);
        for (name, value) in parts.headers.iter().filter(|(name, _)| *name != "host" && *name != "connection") {
            onward = onward.header(name, value);
        }
        match self.client.send(onward.body(kube::client::Body::from(body.to_vec())).unwrap()).await {
            Ok(answer) if watches => answer.map(|body| withheld(Body::new(body), path, self.held)),
            Ok(answer) => answer.map(Body::new),
            Err(_) => StatusCode::BAD_GATEWAY.into_response(),
        }
    }
}

/// The stream of a watch, which says nothing while it is held.
fn withheld(body: Body, path: String, held: watch::Receiver<Option<String>>) -> Body {
    Body::from_stream(body.into_data_stream().then(move |chunk| {
        let (path, mut held) = (path.clone(), held.clone());
        async move {
            drop(held.wait_for(|held| held.as_ref().is_none_or(|part| !path.contains(part))).await);
            chunk
        }
    }))
}

/// An answer as the API server gives it.
fn refusal(code: u16) -> Response {
    let reason = match code {
        409 => "Conflict",
        403 => "Forbidden",
        404 => "NotFound",
        _ => "InternalError",
    };
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "as the test wants it", "reason": reason, "code": code});
    (StatusCode::from_u16(code).unwrap(), [("content-type", "application/json")], status.to_string()).into_response()
}
