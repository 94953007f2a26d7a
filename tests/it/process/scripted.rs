//! What the operator talks to in tests of the process itself: an API server that says what a test wants, and a proxy.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use control_plane::supervise::{Options, Scratch, Supervised, supervise};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::SOON;

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

/// The operator's binary, with arguments and variables of a test alone.
pub(super) struct Operator {
    pub(super) process: Supervised,
    pub(super) port: u16,
    folder: Scratch,
}

impl Operator {
    pub(super) fn start(kubeconfig: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::start_at(port, kubeconfig, arguments, variables)
    }

    pub(super) fn start_at(port: u16, kubeconfig: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = Scratch::new("process").unwrap();
        let file = folder.path().join("kubeconfig");
        std::fs::write(&file, kubeconfig).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_upstream-params-operator"));
        for variable in ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "UPO_LOG"] {
            command.env_remove(variable);
        }
        command
            .args(["controller", "--namespace", "upstream-params-operator", "--http-address", &format!("127.0.0.1:{port}")])
            .args(arguments)
            .env("KUBECONFIG", &file)
            .envs(variables.iter().copied());
        let process = supervise(&command, &Options::new(folder.path().join("log"))).unwrap();
        Self { process, port, folder }
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// The lines of the log with this text.
    pub(super) fn lines(&self, text: &str) -> Vec<String> {
        self.log().lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }

    pub(super) async fn until_logged(&self, text: &str) {
        until_or(&format!("{text} in the log"), async || !self.lines(text).is_empty(), || self.log()).await;
    }

    /// Waits for a line with both texts.
    pub(super) async fn until_logged_of(&self, subject: &str, text: &str) {
        let logged = async || self.lines(text).iter().any(|line| line.contains(subject));
        until_or(&format!("{subject}: {text}"), logged, || self.log()).await;
    }

    pub(super) async fn until_ready(&self) {
        until_or("ready", async || get(self.port, "/readyz").await == Some(200), || self.log()).await;
    }
}

/// The status of the answer of an operator's own server on this port; none when there is no answer.
pub(super) async fn get(port: u16, path: &str) -> Option<u16> {
    get_at(&format!("127.0.0.1:{port}"), path).await
}

pub(super) async fn get_at(address: &str, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

pub(super) async fn until(what: &str, test: impl AsyncFnMut() -> bool) {
    until_or(what, test, String::new).await;
}

async fn until_or(what: &str, mut test: impl AsyncFnMut() -> bool, describe: impl Fn() -> String) {
    let give_up = Instant::now() + SOON;
    while !test().await {
        assert!(Instant::now() < give_up, "it did not come to: {what}\n{}", describe());
        tokio::time::sleep(Duration::from_millis(50)).await;
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
