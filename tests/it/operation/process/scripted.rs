//! What the operator talks to in tests of the process itself: an API server that says what a test wants, and a proxy.

use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use control_plane::supervise::Scratch;
use serde_json::{Value, json};
use test_support::wait::until;
use test_support::{Launch, Operator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An answer of status 200.
pub(super) fn ok(body: impl Into<Body>) -> Response {
    Response::new(body.into())
}

/// A list without anything in it.
pub(super) fn empty_list() -> Response {
    ok(json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}).to_string())
}

/// Whether a request is for a watch.
pub(super) fn is_watch(request: &Request) -> bool {
    request.uri().query().is_some_and(|query| query.contains("watch=true"))
}

/// A watch that never says anything.
pub(super) fn silence() -> Response {
    ok(Body::from_stream(futures::stream::pending::<Result<String, std::io::Error>>()))
}

/// An API server that knows nothing of anything.
pub(super) fn nothing(request: &Request) -> Response {
    if is_watch(request) { silence() } else { empty_list() }
}

/// An API server that answers what the function says.
pub(super) fn api(answer: impl Fn(&Request) -> Response + Clone + Send + Sync + 'static) -> Router {
    Router::new().fallback(move |request: Request| {
        let answer = answer.clone();
        async move { answer(&request) }
    })
}

/// An API server on a port, which hangs up on everybody until it is opened.
pub(super) struct Server {
    pub(super) address: String,
    open: Arc<AtomicBool>,
    callers: Arc<AtomicUsize>,
}

impl Server {
    pub(super) async fn start(routes: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            open: Arc::new(AtomicBool::new(false)),
            callers: Arc::new(AtomicUsize::new(0)),
        };
        let (open, callers) = (server.open.clone(), server.callers.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                callers.fetch_add(1, Ordering::SeqCst);
                if open.load(Ordering::SeqCst) {
                    let service = hyper_util::service::TowerToHyperService::new(routes.clone());
                    let connection =
                        hyper::server::conn::http1::Builder::new().serve_connection(hyper_util::rt::TokioIo::new(stream), service);
                    tokio::spawn(async move { drop(connection.await) });
                }
            }
        });
        server
    }

    /// Answers from now on.
    pub(super) fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }

    /// Waits until so many more have called.
    pub(super) async fn callers(&self, count: usize) {
        let before = self.callers.load(Ordering::SeqCst);
        until("callers", async || self.callers.load(Ordering::SeqCst) >= before + count).await;
    }
}

/// A kubeconfig of two clusters, of which `current` is the current one.
pub(super) fn kubeconfig(server: &str, proxy: Option<&str>, others_proxy: Option<&str>) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [
            {"name": "here", "context": {"cluster": "current", "user": "nobody"}},
            {"name": "there", "context": {"cluster": "other", "user": "nobody"}},
        ],
        "clusters": [
            {"name": "other", "cluster": {"server": "https://other.example", "proxy-url": others_proxy}},
            {"name": "current", "cluster": {"server": server, "proxy-url": proxy}},
        ],
        "users": [{"name": "nobody", "user": {}}],
    })
    .to_string()
}

/// The operator, with a kubeconfig, arguments and variables of a test alone.
pub(super) struct Alone {
    operator: Operator,
    _folder: Scratch,
}

impl Deref for Alone {
    type Target = Operator;

    fn deref(&self) -> &Operator {
        &self.operator
    }
}

impl Alone {
    pub(super) fn start(kubeconfig: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::start_at(None, kubeconfig, arguments, variables)
    }

    /// At this port, whoever has it.
    pub(super) fn start_at(port: Option<u16>, kubeconfig: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = Scratch::new("process").unwrap();
        let file = folder.path().join("kubeconfig");
        std::fs::write(&file, kubeconfig).unwrap();
        let mut launch = Launch::new(file, folder.path().join("log"));
        launch.port = port.unwrap_or(launch.port);
        launch.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        launch.variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { operator: launch.start(), _folder: folder }
    }
}

/// An HTTP proxy that tunnels to one address, and notes what it was asked for.
pub(super) struct Proxy {
    /// Host and port.
    pub(super) address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Tunnels to what ends with `permitted`, and refuses the rest.
    pub(super) async fn start(permitted: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self { address: listener.local_addr().unwrap().to_string(), asked: Arc::default() };
        let (asked, permitted) = (proxy.asked.clone(), permitted.to_owned());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(tunnel(stream, asked.clone(), permitted.clone()));
            }
        });
        proxy
    }

    /// What it was asked for.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn tunnel(mut stream: TcpStream, asked: Arc<Mutex<Vec<String>>>, permitted: String) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned();
    asked.lock().unwrap().push(target.clone());
    if target != permitted {
        return stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
    }
    let mut server = TcpStream::connect(&target).await?;
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    tokio::io::copy_bidirectional(&mut stream, &mut server).await.map(|_| ())
}

/// A kubeconfig with these members in its one cluster.
pub(super) fn with_cluster(kubeconfig: &Path, members: &Value) -> String {
    let mut config: Value = serde_saphyr::from_str(&std::fs::read_to_string(kubeconfig).unwrap()).unwrap();
    let cluster = config["clusters"][0]["cluster"].as_object_mut().unwrap();
    cluster.extend(members.as_object().unwrap().clone());
    config.to_string()
}
