//! A proxy before the real API server that makes single requests of the operator slow or fail: what a busy or broken
//! API server does, at the request that a test means.
//!
//! Rules name a method and a part of the path, which holds the namespace of the test's scope, so that tests can share one.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::support::Bench;

/// Larger than any request of the operator.
const MAX_BODY: usize = 1 << 20;

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// It is not passed on, and answered with this status.
    Refuse(u16),
    /// It is carried out, and answered with this status all the same.
    Belie(u16),
    /// It is passed on after this time.
    Delay(Duration),
}

/// Which requests, and what happens to them.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    method: &'static str,
    path: String,
    body: String,
    skip: usize,
    left: usize,
    act: Act,
}

impl Rule {
    /// Every request with this method (`*` stands for every write) and this part in its path.
    pub(crate) fn new(method: &'static str, path: impl Into<String>, act: Act) -> Self {
        Self { method, path: path.into(), body: String::new(), skip: 0, left: usize::MAX, act }
    }

    /// Not the first so many.
    pub(crate) fn after(mut self, skip: usize) -> Self {
        self.skip = skip;
        self
    }

    /// Only requests with this part in their body.
    pub(crate) fn body(mut self, part: impl Into<String>) -> Self {
        self.body = part.into();
        self
    }

    /// Only the first so many.
    pub(crate) fn times(mut self, times: usize) -> Self {
        self.left = times;
        self
    }

    fn means(&self, call: &Call) -> bool {
        (self.method == "*" || call.method == self.method) && call.path.contains(&self.path) && call.body.contains(&self.body)
    }

    /// Whether it meets this request. Counts.
    fn meets(&mut self, call: &Call) -> bool {
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
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: String,
    /// Whether a rule met it.
    pub(crate) met: bool,
}

#[derive(Debug, Default)]
struct Book {
    rules: Vec<Rule>,
    calls: Vec<Call>,
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
pub(crate) struct Front {
    book: Arc<Mutex<Book>>,
    held: watch::Sender<Option<String>>,
    pub(crate) kubeconfig: PathBuf,
}

/// The bench that tests with such a proxy share.
pub(crate) fn fronted() -> (&'static Bench, &'static Front) {
    static BENCH: OnceLock<(Bench, Front)> = OnceLock::new();
    let (bench, front) = BENCH.get_or_init(|| {
        // A runtime of its own: that of the first test ends with that test.
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async {
                let mut bench = Bench::without_operator().await;
                let front = Front::before(&bench);
                bench.operator_kubeconfig(front.kubeconfig.clone());
                bench.start_operator();
                bench.ready().await;
                (bench, front)
            })
        })
        .join()
        .unwrap()
    });
    (bench, front)
}

impl Front {
    /// Starts one before the API server of a bench. Whoever comes through it is the administrator.
    pub(crate) fn before(bench: &Bench) -> Self {
        upstream_params_operator::auth0::install_crypto_provider();
        let folder = bench.control_plane.folder().to_owned();
        let yaml = bench.control_plane.kubeconfig_yaml().to_owned();
        let book = Arc::<Mutex<Book>>::default();
        let (held, holding) = watch::channel(None);
        let serving = book.clone();
        let (tell, told) = std::sync::mpsc::channel();
        // A runtime of its own, which nothing that a test does holds up.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async {
                let config = kube::config::Kubeconfig::from_yaml(&yaml).unwrap();
                let mut config = kube::Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default()).await.unwrap();
                config.read_timeout = None;
                let client = Client::try_from(config).unwrap();
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let router = axum::Router::new().fallback(pass).with_state(Served { client, book: serving, held: holding });
                axum::serve(listener, router).await.unwrap();
            });
        });
        let address = told.recv().unwrap();
        let kubeconfig = folder.join("front.kubeconfig");
        let named = |kind: &str, content: Value| json!([{"name": "front", kind: content}]);
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "front",
            "clusters": named("cluster", json!({"server": format!("http://{address}")})),
            "users": named("user", json!({})),
            "contexts": named("context", json!({"cluster": "front", "user": "front"})),
        });
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        Self { book, held, kubeconfig }
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the watches with this part in their path say nothing, until [`Front::let_go`].
    pub(crate) fn hold(&self, path: &str) {
        self.held.send_replace(Some(path.to_owned()));
    }

    /// What the watches kept to themselves comes now.
    pub(crate) fn let_go(&self) {
        self.held.send_replace(None);
    }

    /// Adds a rule. The first that matches a request counts.
    pub(crate) fn rule(&self, rule: Rule) {
        self.book().rules.push(rule);
    }

    /// Takes away the rules whose path has this part.
    pub(crate) fn clear(&self, path: &str) {
        self.book().rules.retain(|rule| !rule.path.contains(path));
    }

    /// The requests with this method and this part in their path.
    pub(crate) fn calls(&self, method: &str, path: &str) -> Vec<Call> {
        let wanted = |call: &&Call| (method == "*" || call.method == method) && call.path.contains(path);
        self.book().calls.iter().filter(wanted).cloned().collect()
    }

    /// How many of them a rule met.
    pub(crate) fn met(&self, method: &str, path: &str) -> usize {
        self.calls(method, path).iter().filter(|call| call.met).count()
    }
}

async fn pass(State(Served { client, book, held }): State<Served>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let act = if parts.method == "GET" {
        None
    } else {
        let mut call = Call {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            body: String::from_utf8_lossy(&body).into_owned(),
            met: false,
        };
        let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
        let act = book.rules.iter_mut().find_map(|rule| rule.meets(&call).then_some(rule.act));
        call.met = act.is_some();
        book.calls.push(call);
        act
    };
    match act {
        Some(Act::Refuse(code)) => return refusal(code),
        Some(Act::Delay(time)) => tokio::time::sleep(time).await,
        Some(Act::Belie(_)) | None => {}
    }
    let path = parts.uri.path().to_owned();
    let watches = parts.uri.query().is_some_and(|query| query.contains("watch=true"));
    let mut onward = axum::http::Request::builder().method(parts.method).uri(parts.uri);
    for (name, value) in parts.headers.iter().filter(|(name, _)| *name != "host" && *name != "connection") {
        onward = onward.header(name, value);
    }
    let answer = client.send(onward.body(kube::client::Body::from(body.to_vec())).unwrap()).await;
    match (act, answer) {
        (Some(Act::Belie(code)), _) => refusal(code),
        (_, Ok(answer)) if watches => answer.map(|body| withheld(Body::new(body), path, held)),
        (_, Ok(answer)) => answer.map(Body::new),
        (_, Err(_)) => StatusCode::BAD_GATEWAY.into_response(),
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
