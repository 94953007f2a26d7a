//! The operator's own binary, as a process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use control_plane::supervise::{Options, Supervised, supervise};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::OPERATOR_NAMESPACE;
use crate::wait::eventually;

/// The operator's binary, which cargo builds for integration tests and benchmarks and puts beside the folder of those.
pub fn operator_binary() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let binary = this.parent().and_then(Path::parent).unwrap().join("upstream-params-operator");
    assert!(binary.is_file(), "there is no {}: only cargo's integration tests and benchmarks can start the operator", binary.display());
    binary
}

/// How to start the operator. The environment of this process says nothing to it.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The operator's binary; without it [`operator_binary`] says where it is.
    pub binary: Option<PathBuf>,
    /// A program, with arguments, that starts the operator in its own place, as one that sets limits does.
    pub runner: Vec<String>,
    /// Whom it is to the API server, and where that is.
    pub kubeconfig: PathBuf,
    /// Its own namespace.
    pub namespace: String,
    /// The port of its own server.
    pub port: u16,
    /// More arguments.
    pub arguments: Vec<String>,
    /// Variables of its environment.
    pub variables: Vec<(String, String)>,
    /// The file that it logs to.
    pub log: PathBuf,
}

impl Launch {
    /// With this kubeconfig and this log, on a port that is free.
    pub fn new(kubeconfig: PathBuf, log: PathBuf) -> Self {
        Self {
            binary: None,
            runner: Vec::new(),
            kubeconfig,
            namespace: OPERATOR_NAMESPACE.to_owned(),
            port: free_port(),
            arguments: Vec::new(),
            variables: Vec::new(),
            log,
        }
    }

    /// Starts it.
    pub fn start(&self) -> Operator {
        let binary = self.binary.clone().unwrap_or_else(operator_binary);
        let mut words = self.runner.iter().map(String::as_str).chain([binary.to_str().unwrap(), "controller"]);
        let mut command = Command::new(words.next().unwrap());
        for variable in ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "UPO_LOG"] {
            command.env_remove(variable);
        }
        command
            .args(words)
            .args(["--namespace", &self.namespace, "--http-address", &format!("127.0.0.1:{}", self.port)])
            .args(&self.arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .envs(self.variables.iter().cloned());
        let process = supervise(&command, &Options::new(&self.log)).unwrap();
        Operator { process, port: self.port, log: self.log.clone() }
    }
}

/// A running operator. It ends with this value.
#[derive(Debug)]
pub struct Operator {
    /// Its process.
    pub process: Supervised,
    /// The port of its own server.
    pub port: u16,
    log: PathBuf,
}

impl Operator {
    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The lines of the log with this text.
    pub fn lines(&self, text: &str) -> Vec<String> {
        self.log().lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }

    /// Waits for a line of the log with all of these texts.
    pub async fn until_logged(&self, texts: &[&str]) {
        let logged = async || self.log().lines().any(|line| texts.iter().all(|text| line.contains(text))).then_some(());
        eventually(&format!("{texts:?} in one line of the log"), logged, async || self.log()).await;
    }

    /// Waits until it says that it is ready.
    pub async fn until_ready(&self) {
        let ready = async || (get_status(("127.0.0.1", self.port), "/readyz").await == Some(200)).then_some(());
        eventually("an operator that is ready", ready, async || self.log()).await;
    }

    /// Asks its own server for its metrics. Yields the value of one without labels.
    pub async fn metric(&self, name: &str) -> Option<String> {
        let (_, text) = get(("127.0.0.1", self.port), "/metrics").await.unwrap();
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(str::to_owned)
    }

    /// Ends it as a pod is ended: SIGTERM, and it ends well.
    pub async fn stop(self) {
        let status = self.process.terminate(Duration::from_secs(30)).await.unwrap();
        assert!(status.success(), "the operator ended with {status}\n{}", self.log());
    }
}

/// The status and the body of an answer to a GET.
pub async fn get(address: impl tokio::net::ToSocketAddrs, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    Ok((status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()))
}

/// The status of an answer to a GET; none when there is no answer.
pub async fn get_status(address: impl tokio::net::ToSocketAddrs, path: &str) -> Option<u16> {
    get(address, path).await.ok().map(|(status, _)| status)
}

/// A port that nobody has.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
