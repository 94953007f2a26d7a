//! Whether a component is ready.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Error;
use super::error::tail;
use super::supervise::Supervised;

/// How long an answer of the API server may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Probes a component until that succeeds. A probe's error says what is wrong so far.
pub(super) async fn until_ready<P: Future<Output = Result<(), String>>>(
    name: &'static str,
    component: &Supervised,
    within: Duration,
    probe: impl Fn() -> P,
) -> Result<(), Error> {
    let start = Instant::now();
    loop {
        let Err(last) = probe().await else {
            return Ok(());
        };
        if !component.is_running() {
            return Err(Error::Ended { component: name, tail: tail(component.log()) });
        }
        if start.elapsed() > within {
            return Err(Error::NotReady { component: name, within, last, tail: tail(component.log()) });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(super) async fn listening(port: u16) -> Result<(), String> {
    let connected = TcpStream::connect(("127.0.0.1", port)).await;
    connected.map(drop).map_err(|error| error.to_string())
}

/// Asks etcd whether it serves: kube-apiserver gives up when it starts before that.
pub(super) async fn healthy(port: u16) -> Result<(), String> {
    let ask = async {
        let mut connection = TcpStream::connect(("127.0.0.1", port)).await?;
        connection.write_all(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").await?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(2), ask)
        .await
        .map_err(|_| "no answer in 2 s".to_owned())?
        .map_err(|error| error.to_string())?;
    if answer.starts_with(b"HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&answer).into_owned())
}

/// Asks the API server as somebody whom it knows by a token.
pub(super) struct ApiServer {
    port: u16,
    token: String,
    tls: TlsConnector,
}

impl ApiServer {
    /// The one on this port, whose certificate is this file's.
    pub(super) fn new(port: u16, certificate: &[u8], token: &str) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(certificate).filter_map(Result::ok));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|_| Error::Tls)?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Ok(Self { port, token: token.to_owned(), tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Asks for a path, and tells what is wrong when it does not answer with success.
    pub(super) async fn answers(&self, path: &str) -> Result<(), String> {
        let asked = tokio::time::timeout(ANSWER, self.first_line(path)).await;
        let line = asked.map_err(|_| format!("no answer in {} s", ANSWER.as_secs()))?.map_err(|error| error.to_string())?;
        if line.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(format!("{path}: {}", line.trim_end())) }
    }

    async fn first_line(&self, path: &str) -> std::io::Result<String> {
        let connection = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let name = ServerName::try_from("127.0.0.1").map_err(std::io::Error::other)?;
        let mut connection = self.tls.connect(name, connection).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n", self.token);
        connection.write_all(request.as_bytes()).await?;
        connection.flush().await?;
        let mut line = String::new();
        BufReader::new(connection).read_line(&mut line).await?;
        Ok(line)
    }
}
