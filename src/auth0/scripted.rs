//! A server for tests that answers as it is told, also against the rules of HTTP.

use std::sync::Arc;

use parking_lot::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request that came in.
#[derive(Clone, Debug)]
pub(super) struct Received {
    /// Such as `GET /api/v2/connections?take=1`.
    pub(super) line: String,
    /// The other lines of the head.
    pub(super) head: String,
    pub(super) body: String,
}

impl Received {
    pub(super) fn is_token_request(&self) -> bool {
        self.line == "POST /oauth/token"
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// What is answered. The connection is closed afterwards.
pub(super) enum Reply {
    /// A whole answer: status, further header lines (each ends in `\r\n`), body.
    Whole(u16, String, String),
    /// These bytes.
    Raw(String),
    /// Nothing, for a long time.
    Silence,
    /// A successful answer that never ends.
    Endless,
}

impl Reply {
    #[expect(clippy::needless_pass_by_value, reason = "a script builds its bodies where it answers")]
    pub(super) fn json(status: u16, body: impl ToString) -> Self {
        Self::Whole(status, String::new(), body.to_string())
    }
}

type Script = dyn Fn(&Received) -> Reply + Send + Sync;

/// Runs until it is dropped.
pub(super) struct Server {
    pub(super) url: String,
    received: Arc<Mutex<Vec<Received>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) async fn start(script: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (received, script): (Arc<Mutex<Vec<Received>>>, Arc<Script>) = (Arc::default(), Arc::new(script));
        let log = received.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, script) = (log.clone(), script.clone());
                tokio::spawn(async move { serve(stream, &log, &*script).await });
            }
        });
        Self { url, received, task }
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.received.lock().clone()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.received().into_iter().map(|request| request.line).collect()
    }
}

async fn serve(mut stream: TcpStream, log: &Mutex<Vec<Received>>, script: &Script) -> Option<()> {
    let request = read(&mut stream).await?;
    let reply = script(&request);
    log.lock().push(request);
    match reply {
        Reply::Whole(status, headers, body) => {
            let length = body.len();
            let text = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}");
            stream.write_all(text.as_bytes()).await.ok()?;
        }
        Reply::Raw(text) => stream.write_all(text.as_bytes()).await.ok()?,
        Reply::Silence => tokio::time::sleep(std::time::Duration::from_mins(1)).await,
        Reply::Endless => {
            stream.write_all(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n").await.ok()?;
            let chunk = format!("400\r\n{}\r\n", " ".repeat(1024));
            while stream.write_all(chunk.as_bytes()).await.is_ok() {}
        }
    }
    stream.shutdown().await.ok()
}

async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let (line, head) = head.split_once("\r\n").unwrap_or((head, ""));
            let line = line.trim_end_matches(" HTTP/1.1").to_owned();
            let request = Received { line, head: head.to_owned(), body: body.to_owned() };
            if request.header("content-length").is_none_or(|length| length.parse() == Ok(body.len())) {
                return Some(request);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
