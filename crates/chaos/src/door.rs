//! The way to the tenants: a door for each process of the operator, so that it is known who called, and the record of what took effect.
//!
//! Guarantees: what takes effect at a tenant does so one after the other, changes by somebody else included, and is recorded in that
//! order. A call that has come in is carried out to its end whether or not its caller still waits, as a server far away does. What
//! networks do (a line that is cut, an answer that never comes, or late) happens here; what a tenant does (refusals, limits, tokens) is
//! the emulator's, which is asked over HTTP.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use auth0_emulator::{Fault, TenantHandle};
use axum::body::{Body, Bytes};
use axum::http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::ledger::{Asleep, Process, Record, UnderWay, What};
use crate::loops::Loops;
use crate::plan::Kind;

/// Larger than any request of the operator.
const MAX_BODY: usize = 1 << 20;

/// What a network does to a call.
#[derive(Clone, Debug)]
pub(crate) enum Harm {
    /// The line is closed, and nothing happened.
    Drop,
    /// Nothing happens, and no answer comes.
    Hang,
    /// It takes effect, and the line is closed.
    LoseAnswer,
    /// It takes effect, and no answer comes.
    HangAfter,
    /// It takes effect, and half of the answer comes.
    CutAnswer,
    /// It takes effect at once and is answered after this time.
    SlowAnswer(Duration),
    /// It takes effect after this time.
    LateEffect(Duration),
    /// The tenant itself does something else.
    Fault(Fault),
    /// Somebody else changes the connection right after it, or right before it where it is a write.
    Edit(Edit),
}

/// Which calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Calls {
    /// Any.
    Any,
    /// Those that read connections.
    Reads,
    /// Those that read one connection by its id.
    ReadsById,
    /// Those that read the connection of this name, by it or by its id.
    ReadsOf(String),
    /// Writes.
    Writes,
    /// Writes to the connection of this name.
    WritesTo(String),
    /// Requests for tokens.
    Tokens,
}

impl Calls {
    fn mean(&self, call: &Call, connection: Option<&str>) -> bool {
        let reads = call.method == "GET";
        match self {
            Self::Any => true,
            Self::Reads => reads,
            Self::ReadsById => reads && call.path != LIST,
            Self::ReadsOf(name) => reads && connection == Some(name),
            Self::Writes => call.is_write(),
            Self::WritesTo(name) => call.is_write() && connection == Some(name),
            Self::Tokens => call.method == "POST",
        }
    }
}

/// What is to happen to a call.
#[derive(Clone, Debug)]
struct Pending {
    kind: Kind,
    harm: Harm,
    calls: Calls,
    until: Duration,
}

/// After this time a harm that met no call is over: they must not pile up while nobody calls.
const OVER: Duration = Duration::from_secs(6);

/// Where connections are listed.
const LIST: &str = "/api/v2/connections";

/// A change that somebody else makes to a connection.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    /// Sets an option.
    Option(String, String),
    /// Sets a parameter to a value.
    Param(String, String),
    /// Removes a parameter.
    WithoutParam(String),
}

impl Edit {
    fn apply(self, options: &mut Map<String, Value>) {
        let (name, entry) = match self {
            Self::Option(name, value) => {
                options.insert(name, json!({"set": value, "by": "somebody else"}));
                return;
            }
            Self::Param(name, value) => (name, Some(json!({"value": value}))),
            Self::WithoutParam(name) => (name, None),
        };
        let mut params = options.get("upstream_params").and_then(Value::as_object).cloned().unwrap_or_default();
        match entry {
            Some(entry) => drop(params.insert(name, entry)),
            None => drop(params.remove(&name)),
        }
        options.insert("upstream_params".to_owned(), Value::Object(params));
    }
}

/// A tenant behind the doors.
#[derive(Debug)]
pub(crate) struct Site {
    /// Its domain.
    pub(crate) domain: String,
    /// The emulated tenant.
    pub(crate) auth0: TenantHandle,
    /// What takes effect does so one after the other.
    turn: tokio::sync::Mutex<()>,
    pending: Mutex<Vec<Pending>>,
    records: Mutex<Vec<Record>>,
}

impl Site {
    /// Nothing more happens to calls.
    pub(crate) fn clear(&self) {
        self.pending.lock().clear();
        self.auth0.clear_faults();
    }

    /// What took effect so far.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.records.lock().clone()
    }

    /// The name of the connection that a call is about, where it is about one.
    fn connection_of(&self, call: &Call) -> Option<String> {
        if let Some(id) = call.path.strip_prefix("/api/v2/connections/") {
            return self.auth0.connection(id).get("name")?.as_str().map(str::to_owned);
        }
        call.target.split(['?', '&']).find_map(|part| part.strip_prefix("name=")).map(str::to_owned)
    }
}

/// From when, and to when, if it has ended.
type Nap = (Duration, Option<Duration>);

/// All tenants, and what is known of the calls to them.
#[derive(Debug)]
pub(crate) struct Street {
    /// The tenants.
    pub(crate) sites: Vec<Site>,
    begun: Instant,
    emulator: String,
    client: reqwest::Client,
    under_way: Mutex<Vec<UnderWay>>,
    asleep: Mutex<BTreeMap<Process, Vec<Nap>>>,
    calls: Mutex<usize>,
    met: Mutex<BTreeMap<Kind, usize>>,
    loops: Mutex<Loops>,
    log: Mutex<std::fs::File>,
}

impl Street {
    /// The tenants of these domains. Each call is a line of the log.
    pub(crate) fn new(emulator: String, sites: Vec<(String, TenantHandle)>, log: &Path) -> anyhow::Result<Arc<Self>> {
        let log = std::fs::File::create(log).with_context(|| log.display().to_string())?;
        let site = |(domain, auth0)| Site {
            domain,
            auth0,
            turn: tokio::sync::Mutex::default(),
            pending: Mutex::default(),
            records: Mutex::default(),
        };
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .tls_certs_only([])
            .build()
            .context("no HTTP client can be built")?;
        Ok(Arc::new(Self {
            sites: sites.into_iter().map(site).collect(),
            begun: Instant::now(),
            emulator,
            client,
            under_way: Mutex::default(),
            asleep: Mutex::default(),
            calls: Mutex::default(),
            met: Mutex::default(),
            loops: Mutex::default(),
            log: Mutex::new(log),
        }))
    }

    /// The time from the beginning.
    pub(crate) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Lets this happen to the next of these calls. It is counted when it does.
    pub(crate) fn harm(&self, site: &Site, kind: Kind, harm: Harm, calls: Calls) {
        site.pending.lock().push(Pending { kind, harm, calls, until: self.now() + OVER });
    }

    /// How often what was to happen to calls did.
    pub(crate) fn met(&self) -> BTreeMap<Kind, usize> {
        self.met.lock().clone()
    }

    fn next_harm(&self, site: &Site, call: &Call) -> Option<Harm> {
        let connection = site.connection_of(call);
        let mut pending = site.pending.lock();
        pending.retain(|one| one.until >= call.arrived);
        let nth = pending.iter().position(|one| one.calls.mean(call, connection.as_deref()))?;
        let Pending { kind, harm, .. } = pending.remove(nth);
        *self.met.lock().entry(kind).or_default() += 1;
        Some(harm)
    }

    /// How many calls came.
    pub(crate) fn calls(&self) -> usize {
        *self.calls.lock()
    }

    /// The writes that came so far.
    pub(crate) fn writes(&self) -> Vec<UnderWay> {
        self.under_way.lock().clone()
    }

    /// Notes that a process is put to sleep, or wakes.
    pub(crate) fn sleeps(&self, process: Process, sleeps: bool) {
        let now = self.now();
        let mut asleep = self.asleep.lock();
        let times = asleep.entry(process).or_default();
        if sleeps {
            times.push((now, None));
        } else if let Some(last) = times.last_mut() {
            last.1.get_or_insert(now);
        }
    }

    /// The loops of reads that were found since this was asked last.
    pub(crate) fn loops(&self) -> Vec<String> {
        self.loops.lock().take_found()
    }

    /// When processes slept.
    pub(crate) fn asleep(&self) -> Vec<Asleep> {
        let asleep = self.asleep.lock();
        let of = |(process, times): (&Process, &Vec<Nap>)| {
            let process = *process;
            times.iter().map(move |(from, to)| Asleep { process, from: *from, to: to.unwrap_or(Duration::MAX) }).collect::<Vec<_>>()
        };
        asleep.iter().flat_map(of).collect()
    }

    /// Somebody else changes a connection. Yields whether it is there.
    pub(crate) async fn edit(&self, site: &Site, connection: &str, edit: Edit) -> bool {
        let _turn = site.turn.lock().await;
        self.edit_in_turn(site, connection, edit)
    }

    fn edit_in_turn(&self, site: &Site, connection: &str, edit: Edit) -> bool {
        let Some(id) = id_of(site, connection) else { return false };
        let before = site.auth0.connection_text(&id);
        site.auth0.edit(&id, |options| edit.apply(options));
        site.auth0.clear_journal();
        self.record_foreign(site, id, before);
        true
    }

    fn record_foreign(&self, site: &Site, id: String, before: Option<String>) {
        let after = site.auth0.connection_text(&id);
        site.records.lock().push(Record { arrived: self.now(), what: What::Foreign { id, before, after } });
    }

    /// Somebody else makes a connection.
    pub(crate) async fn make(&self, site: &Site, document: &Value) -> anyhow::Result<()> {
        let _turn = site.turn.lock().await;
        let id = site.auth0.create_connection(document)?;
        site.auth0.clear_journal();
        self.record_foreign(site, id, None);
        Ok(())
    }

    /// Somebody else deletes a connection. Yields whether it was there.
    pub(crate) async fn delete(&self, site: &Site, connection: &str) -> bool {
        let _turn = site.turn.lock().await;
        let Some(id) = id_of(site, connection) else { return false };
        let before = site.auth0.connection_text(&id);
        site.auth0.delete_connection(&id);
        site.auth0.clear_journal();
        self.record_foreign(site, id, before);
        true
    }

    /// Opens a door for a process. It is open as long as the value lives.
    pub(crate) async fn open(self: &Arc<Self>, process: Process) -> anyhow::Result<Door> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port for a way to the emulator")?;
        let url = format!("http://{}", listener.local_addr()?);
        let street = self.clone();
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                tokio::spawn(serve(stream, street.clone(), process));
            }
        });
        Ok(Door { url, task })
    }

    /// Carries a call out, in its turn. Yields the answer.
    async fn carry_out(&self, nth: usize, process: Process, call: Call, harm: Option<Harm>, under_way: Option<usize>) -> Answer {
        let Some(site) = self.sites.get(nth) else { return Answer::gone() };
        let _turn = site.turn.lock().await;
        let id = call.path.strip_prefix("/api/v2/connections/").map(str::to_owned);
        let connection = site.connection_of(&call);
        let mut edit = None;
        match (harm, &connection) {
            (Some(Harm::Fault(fault)), _) => site.auth0.inject(fault.times(1)),
            (Some(Harm::Edit(edit)), Some(name)) if call.is_write() => drop(self.edit_in_turn(site, name, edit)),
            (Some(Harm::Edit(later)), Some(_)) => edit = Some(later),
            _ => {}
        }
        let before = id.as_deref().and_then(|id| site.auth0.connection_text(id));
        site.auth0.clear_journal();
        let answer = self.forward(&call).await;
        // A fault of the emulator leaves the tenant as it was, whatever its answer says.
        let faulty = site.auth0.journal().pop().is_none_or(|call| call.fault.is_some());
        let effective = !faulty && (200..300).contains(&answer.status);
        let now = self.now();
        site.auth0.clear_faults();
        let (arrived, domain) = (call.arrived.as_secs_f64(), &site.domain);
        // For whoever wants to know what happened: nothing rests on it.
        let line = format!("{arrived:.3} process {process} {domain} {} {}: {}", call.method, call.target, answer.status);
        let _ = writeln!(self.log.lock(), "{line}{}", if faulty { " by a fault" } else { "" });
        if call.method == "GET" {
            self.loops.lock().take_in(process, format!("{domain}{}", call.target), call.arrived);
        }
        if call.is_write()
            && let Some(id) = id
        {
            let after = if effective { site.auth0.connection_text(&id) } else { None };
            if let (true, Some(number)) = (effective, under_way)
                && let Some(one) = self.under_way.lock().get_mut(number)
            {
                one.took_effect = Some(now);
            }
            let body = String::from_utf8_lossy(&call.body).into_owned();
            let what = What::Write { process, id, body, before, after };
            site.records.lock().push(Record { arrived: call.arrived, what });
        } else if call.path.starts_with("/api/v2/connections") && effective {
            let answer = String::from_utf8_lossy(&answer.body).into_owned();
            site.records.lock().push(Record { arrived: call.arrived, what: What::Read { process, answer } });
        }
        if let (Some(edit), Some(name)) = (edit, connection) {
            self.edit_in_turn(site, &name, edit);
        }
        answer
    }

    async fn forward(&self, call: &Call) -> Answer {
        let Ok(method) = reqwest::Method::from_bytes(call.method.as_bytes()) else { return Answer::gone() };
        let mut request = self.client.request(method, format!("{}{}", self.emulator, call.target));
        for (name, value) in &call.headers {
            request = request.header(name, value.as_slice());
        }
        let Ok(response) = request.body(call.body.clone()).send().await else { return Answer::gone() };
        let status = response.status().as_u16();
        let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
        let Ok(body) = response.bytes().await else { return Answer::gone() };
        Answer { status, headers, body }
    }
}

fn id_of(site: &Site, connection: &str) -> Option<String> {
    site.auth0.connection(connection).get("id")?.as_str().map(str::to_owned)
}

/// A way in for one process.
#[derive(Debug)]
pub(crate) struct Door {
    /// Its address, as an operator takes it.
    pub(crate) url: String,
    task: JoinHandle<()>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Call {
    arrived: Duration,
    method: String,
    path: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Bytes,
}

impl Call {
    fn is_write(&self) -> bool {
        self.method == "PATCH"
    }
}

struct Answer {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Bytes,
}

impl Answer {
    fn gone() -> Self {
        Self { status: 502, headers: Vec::new(), body: Bytes::new() }
    }

    /// As it goes out: whole, or half.
    fn response(self, cut: bool) -> Response<Body> {
        let whole = self.body.len();
        let body = if cut {
            let half: Result<Bytes, std::io::Error> = Ok(self.body.slice(..whole / 2));
            let end = Err(std::io::Error::new(std::io::ErrorKind::BrokenPipe, "cut on purpose"));
            Body::from_stream(futures::stream::iter([half, end]))
        } else {
            Body::from(self.body)
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let is_of_the_line = |name: &str| matches!(name, "connection" | "transfer-encoding" | "content-length");
        for (name, value) in self.headers.iter().filter(|(name, _)| !is_of_the_line(name)) {
            if let (Ok(name), Ok(value)) = (name.parse::<axum::http::HeaderName>(), axum::http::HeaderValue::from_bytes(value)) {
                response.headers_mut().append(name, value);
            }
        }
        if cut {
            response.headers_mut().insert(axum::http::header::CONTENT_LENGTH, whole.into());
        }
        response
    }
}

/// That the line is to be closed instead of an answer.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed on purpose")
    }
}

impl std::error::Error for Closed {}

async fn serve(stream: TcpStream, street: Arc<Street>, process: Process) {
    drop(stream.set_nodelay(true));
    let service = hyper::service::service_fn(move |request| answer(street.clone(), process, request));
    // A line that is closed on purpose ends with an error.
    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

/// Notes the end of a write as its process sees it, also where that is the end of the line.
struct Ends {
    street: Arc<Street>,
    number: usize,
}

impl Drop for Ends {
    fn drop(&mut self) {
        let now = self.street.now();
        if let Some(one) = self.street.under_way.lock().get_mut(self.number) {
            one.ended = Some(now);
        }
    }
}

async fn answer(street: Arc<Street>, process: Process, request: Request<Incoming>) -> Result<Response<Body>, Closed> {
    let arrived = street.now();
    *street.calls.lock() += 1;
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(Body::new(body), MAX_BODY).await else { return Err(Closed) };
    let host = parts.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    let Some(nth) = street.sites.iter().position(|site| site.domain == host) else {
        return Ok(Answer { status: 404, headers: Vec::new(), body: Bytes::new() }.response(false));
    };
    let site = &street.sites[nth];
    let call = Call {
        arrived,
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        target: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect(),
        body,
    };
    let harm = street.next_harm(site, &call);
    let (mut ends, mut number) = (None, None);
    if call.is_write() {
        let mut under_way = street.under_way.lock();
        let what = format!("{} {} {}", site.domain, call.method, call.path);
        under_way.push(UnderWay { process, what, arrived, ended: None, took_effect: None });
        number = Some(under_way.len() - 1);
        ends = number.map(|number| Ends { street: street.clone(), number });
    }
    match harm {
        Some(Harm::Drop) => return Err(Closed),
        Some(Harm::Hang) => return std::future::pending().await,
        Some(
            Harm::LoseAnswer
            | Harm::HangAfter
            | Harm::CutAnswer
            | Harm::SlowAnswer(_)
            | Harm::LateEffect(_)
            | Harm::Fault(_)
            | Harm::Edit(_),
        )
        | None => {}
    }
    let carrying = {
        let (street, harm) = (street.clone(), harm.clone());
        tokio::spawn(async move {
            if let Some(Harm::LateEffect(after)) = harm {
                tokio::time::sleep(after).await;
            }
            street.carry_out(nth, process, call, harm, number).await
        })
    };
    let Ok(answer) = carrying.await else { return Err(Closed) };
    let response = match harm {
        Some(Harm::LoseAnswer) => Err(Closed),
        Some(Harm::HangAfter) => std::future::pending().await,
        Some(Harm::CutAnswer) => Ok(answer.response(true)),
        Some(Harm::SlowAnswer(after)) => {
            tokio::time::sleep(after).await;
            Ok(answer.response(false))
        }
        Some(Harm::Drop | Harm::Hang | Harm::LateEffect(_) | Harm::Fault(_) | Harm::Edit(_)) | None => Ok(answer.response(false)),
    };
    drop(ends);
    response
}

#[cfg(test)]
mod tests {
    use auth0_emulator::{ALL_SCOPES, Emulator};

    use super::*;
    use crate::document::Document;
    use crate::ledger::judge;

    const DOMAIN: &str = "a.eu.auth0.com";

    /// A street with one connection, a door, and somebody who calls as an operator does.
    async fn called() -> (Emulator, Arc<Street>, Door, Caller) {
        let emulator = Emulator::start(auth0_emulator::Options::default()).unwrap();
        let auth0 = emulator.tenant(DOMAIN);
        auth0.add_client("id", "secret", ALL_SCOPES);
        upstream_params_operator::internals::install_crypto_provider();
        let street = Street::new(emulator.url(), vec![(DOMAIN.to_owned(), auth0)], Path::new("/dev/null")).unwrap();
        let document = json!({"name": "shop", "strategy": "oidc", "options": {"client_id": "x"}});
        street.make(&street.sites[0], &document).await.unwrap();
        let id = id_of(&street.sites[0], "shop").unwrap();
        let door = street.open(1).await.unwrap();
        let mut caller = Caller { client: street.client.clone(), url: door.url.clone(), id, token: String::new() };
        let body = json!({"grant_type": "client_credentials", "client_id": "id", "client_secret": "secret", "audience": format!("https://{DOMAIN}/api/v2/")});
        let granted = caller.call("POST", "/oauth/token", &body.to_string()).await.unwrap();
        caller.token = serde_json::from_str::<Value>(&granted).unwrap()["access_token"].as_str().unwrap().to_owned();
        (emulator, street, door, caller)
    }

    struct Caller {
        client: reqwest::Client,
        url: String,
        id: String,
        token: String,
    }

    impl Caller {
        async fn call(&self, method: &str, path: &str, body: &str) -> Option<String> {
            let request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.url)).header("host", DOMAIN);
            let request = request.header("content-type", "application/json").bearer_auth(&self.token).body(body.to_owned());
            let answered = tokio::time::timeout(Duration::from_secs(5), async { request.send().await?.text().await });
            answered.await.ok()?.ok()
        }

        async fn read(&self) -> Option<String> {
            self.call("GET", "/api/v2/connections?name=shop&take=1", "").await
        }

        async fn write(&self, value: &str) -> Option<String> {
            let path = format!("/api/v2/connections/{}", self.id);
            let read = Document::parse(&self.call("GET", &path, "").await?)?;
            let mut options: Map<String, Value> = Map::new();
            for (key, text) in &read.foreign {
                if let crate::document::Key::Option(name) = key {
                    options.insert(name.clone(), serde_json::from_str(text).unwrap());
                }
            }
            options.insert("upstream_params".to_owned(), json!({"own-0-a": {"value": value}}));
            self.call("PATCH", &path, &json!({"options": options, "display_name": "shop"}).to_string()).await
        }
    }

    #[tokio::test]
    async fn what_is_read_and_written_is_recorded_with_what_it_rests_on() {
        let (_emulator, street, _door, caller) = called().await;
        assert!(caller.read().await.unwrap().contains("\"shop\""));
        caller.write("marker-own-1").await.unwrap();
        let site = &street.sites[0];
        street.harm(
            site,
            Kind::ForeignBefore,
            Harm::Edit(Edit::Option("other".to_owned(), "x".to_owned())),
            Calls::WritesTo("shop".to_owned()),
        );
        caller.write("marker-own-2").await.unwrap();
        let findings = judge("a", &site.records(), &[]);
        assert_eq!((findings.reads, findings.effective, findings.edits, findings.overwritten), (3, 2, 2, 1), "{findings:?}");
        assert!(findings.violations.iter().all(|one| one.contains("display_name")), "{findings:?}");
        assert_eq!(street.met(), BTreeMap::from([(Kind::ForeignBefore, 1)]));
    }

    #[tokio::test]
    async fn each_harm_does_what_it_says() {
        let (_emulator, street, _door, caller) = called().await;
        let site = &street.sites[0];
        let value = || site.auth0.upstream_params("shop")["own-0-a"]["value"].clone();
        for (harm, answers, takes_effect) in [
            (Harm::Drop, false, false),
            (Harm::LoseAnswer, false, true),
            (Harm::CutAnswer, false, true),
            (Harm::SlowAnswer(Duration::from_millis(50)), true, true),
            (Harm::LateEffect(Duration::from_millis(50)), true, true),
            (Harm::Fault(Fault::status(503)), true, false),
            (Harm::Fault(Fault::error_body_with_200()), true, false),
        ] {
            let next = format!("marker-{harm:?}");
            street.harm(site, Kind::Dropped, harm, Calls::Writes);
            assert_eq!(caller.write(&next).await.is_some(), answers, "{next}");
            assert_eq!(value() == json!(next), takes_effect, "{next}");
            let Some(What::Write { after, .. }) = site.records().into_iter().map(|record| record.what).next_back() else { continue };
            assert!(next.contains("Drop") || after.is_some() == takes_effect, "{next}");
        }
        assert!(street.writes().iter().all(|write| write.ended.is_some()));
    }

    #[tokio::test]
    async fn a_write_is_carried_out_although_its_sender_is_gone() {
        let (_emulator, street, _door, caller) = called().await;
        let site = &street.sites[0];
        street.harm(site, Kind::LateEffect, Harm::LateEffect(Duration::from_millis(400)), Calls::Writes);
        let gone = tokio::time::timeout(Duration::from_millis(200), caller.write("marker-late")).await;
        assert!(gone.is_err() && site.auth0.upstream_params("shop").is_null());
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(site.auth0.upstream_params("shop")["own-0-a"]["value"], "marker-late");
        let write = street.writes().pop().unwrap();
        assert!(write.took_effect.unwrap() > write.ended.unwrap(), "{write:?}");
    }
}
