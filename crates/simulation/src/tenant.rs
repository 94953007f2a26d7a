//! The simulated Auth0: tenants by host, called in the same process, through what the operator calls in place of a network.
//!
//! Each request is a task of its own, so that one whose sender gave up, or died, still arrives and takes effect. What its sender sees is
//! what the operator's own transport would have seen: an answer, or which kind of loss. A write can be watched: the connection as it
//! was right before, and right after.
//!
//! Assumes a current-thread runtime whose time is paused, and `fastrand` seeded on its thread: then the same calls get the same
//! answers, byte by byte.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use auth0_emulator::{Answer, Ending as Reply, Settings, TenantHandle};
use axum::http;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;
use upstream_params_operator::internals::{Executing, HttpClient, Lost, Unreached};

use crate::network::{Ending, Fate, Network, ProcessId, Request, Server};

/// How much of an error's body the operator's transport reads.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// How long the operator's transport waits for an answer unless it is told otherwise.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A `PATCH` that reached a tenant: refused or not, and whether or not its answer arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Who sent it.
    pub process: ProcessId,
    /// When it took effect, since the tenants were made.
    pub at: Duration,
    /// The host that it was sent to.
    pub host: String,
    /// The id of the connection, as the path has it.
    pub connection: String,
    /// The whole text of the connection right before; nothing where there was none.
    pub before: Option<String>,
    /// The whole text right after.
    pub after: Option<String>,
    /// The status that the tenant answered.
    pub status: u16,
    /// What was sent.
    pub body: String,
}

type Observer = Arc<dyn Fn(Written) + Send + Sync>;

/// The tenants of one history, by host. Clones share them.
#[derive(Clone)]
pub struct Tenants {
    begin: Instant,
    start: Duration,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    by_host: BTreeMap<String, TenantHandle>,
    cut_off: BTreeMap<String, Lost>,
    observer: Option<Observer>,
}

impl fmt::Debug for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenants").field("hosts", &self.shared.lock().by_host.keys().collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

impl Tenants {
    /// No tenants yet. Now is `start` after the UNIX epoch by their clocks, which go on with the runtime's.
    pub fn new(start: Duration) -> Self {
        Self { begin: Instant::now(), start, shared: Arc::default() }
    }

    /// A new tenant under this host, in place of one that is there. Its journal is off.
    pub fn add(&self, host: &str, settings: Settings) -> TenantHandle {
        let tenant = TenantHandle::alone(host, settings);
        let (begin, start) = (self.begin, self.start);
        tenant.set_clock(move || start + begin.elapsed());
        tenant.keep_journal(false);
        self.serve(host, &tenant);
        tenant
    }

    /// Lets a tenant answer under another host too: a custom domain.
    pub fn serve(&self, host: &str, tenant: &TenantHandle) {
        self.shared.lock().by_host.insert(host.to_ascii_lowercase(), tenant.clone());
    }

    /// The tenant under this host.
    pub fn get(&self, host: &str) -> Option<TenantHandle> {
        self.shared.lock().by_host.get(&host.to_ascii_lowercase()).cloned()
    }

    /// All tenants, in the order of their hosts.
    pub fn all(&self) -> Vec<(String, TenantHandle)> {
        self.shared.lock().by_host.iter().map(|(host, tenant)| (host.clone(), tenant.clone())).collect()
    }

    /// Whatever is sent to this host from now on is lost like that before it is sent; `None` ends it.
    pub fn cut_off(&self, host: &str, how: Option<Lost>) {
        let host = host.to_ascii_lowercase();
        let mut shared = self.shared.lock();
        match how {
            Some(lost) => shared.cut_off.insert(host, lost),
            None => shared.cut_off.remove(&host),
        };
    }

    /// Calls this for each `PATCH` right after it took effect, before anything else happens. It may look at the tenants.
    pub fn observe(&self, observer: impl Fn(Written) + Send + Sync + 'static) {
        self.shared.lock().observer = Some(Arc::new(observer));
    }

    /// How one process reaches the tenants, and for how long it waits for an answer.
    pub fn client(&self, process: ProcessId, network: Arc<dyn Network>, request_timeout: Duration) -> Arc<dyn HttpClient> {
        Arc::new(TenantClient { tenants: self.clone(), process, network, request_timeout })
    }

    /// The tenant behind a host, or how a request to it is lost without being sent.
    fn reach(&self, host: &str) -> Result<TenantHandle, Lost> {
        let shared = self.shared.lock();
        match shared.cut_off.get(host) {
            Some(lost) => Err(*lost),
            None => shared.by_host.get(host).cloned().ok_or(Lost::Unreached(Unreached::Name)),
        }
    }

    fn observer(&self) -> Option<Observer> {
        self.shared.lock().observer.clone()
    }
}

struct TenantClient {
    tenants: Tenants,
    process: ProcessId,
    network: Arc<dyn Network>,
    request_timeout: Duration,
}

/// What comes back over the wire.
enum Back {
    /// The answer's status and headers, and so much of its body; whether that is all of it.
    Answer { answer: Answer, whole: bool },
    /// The connection ends.
    Cut,
    /// Nothing ever.
    Nothing,
}

impl HttpClient for TenantClient {
    fn execute(&self, request: reqwest::Request, max_body: usize) -> Executing<'_> {
        let tenant = self.tenants.reach(request.url().host_str().unwrap_or_default());
        let journey = tenant.map(|tenant| Journey {
            tenants: self.tenants.clone(),
            tenant,
            network: Arc::clone(&self.network),
            seen: seen(self.process, &request),
            call: call(&request),
        });
        let request_timeout = self.request_timeout;
        Box::pin(async move {
            let mut journey = journey?;
            let fate = self.network.fate(&mut journey.seen);
            let seen = journey.seen.clone();
            let (mut sender, receiver) = oneshot::channel();
            tokio::spawn(async move {
                let back = journey.travel(fate, &mut sender).await;
                // Whoever asked may have given up.
                let _ = sender.send(back);
            });
            let arrived = async {
                match receiver.await {
                    Ok(Back::Answer { answer, whole }) => read(answer, whole, max_body),
                    Ok(Back::Nothing) => std::future::pending().await,
                    Ok(Back::Cut) | Err(_) => Err(Lost::Interrupted),
                }
            };
            let answer = tokio::time::timeout(request_timeout, arrived).await.unwrap_or(Err(Lost::TimedOut));
            if let Ok(answer) = &answer {
                self.network.is_answered(&seen, answer.status().as_u16(), answer.body());
            }
            answer
        })
    }
}

/// One request on its way, with all it needs when its sender is gone.
struct Journey {
    tenants: Tenants,
    tenant: TenantHandle,
    network: Arc<dyn Network>,
    seen: Request,
    call: auth0_emulator::Request,
}

impl Journey {
    /// However long it is to take: when its sender has given up, because he waited for so long or because he ended, it arrives
    /// within one time-out, or never.
    async fn travel(self, fate: Fate, sender: &mut oneshot::Sender<Back>) -> Back {
        let (network, seen) = (self.network.clone(), self.seen.clone());
        let Fate { out, ending, back } = fate;
        if out > REQUEST_TIMEOUT {
            let given_up = async {
                sender.closed().await;
                pause(REQUEST_TIMEOUT).await;
            };
            tokio::select! {
                biased;
                () = pause(out) => {}
                () = given_up => {}
            }
        } else {
            pause(out).await;
        }
        let reply = self.reply(ending).await;
        let status = match (&reply, ending) {
            (Some(Reply::Answered(answer) | Reply::HalfAnswered(answer)), _) => Some(answer.status),
            (None, Ending::Refused(status)) => Some(status),
            (Some(Reply::Cut | Reply::Silent) | None, _) => None,
        };
        network.is_over(&seen, status);
        let Some(reply) = reply else {
            return match ending {
                Ending::Dropped => Back::Cut,
                Ending::Refused(status) => {
                    pause(back).await;
                    Back::Answer { answer: page(status), whole: true }
                }
                Ending::Swallowed | Ending::Answered | Ending::AnswerLost | Ending::NeverAnswered => Back::Nothing,
            };
        };
        if ending == Ending::NeverAnswered || reply == Reply::Silent {
            return Back::Nothing;
        }
        pause(back).await;
        match reply {
            _ if ending == Ending::AnswerLost => Back::Cut,
            Reply::Answered(answer) => Back::Answer { answer, whole: true },
            Reply::HalfAnswered(mut answer) => {
                let all = answer.body.len();
                answer.body.truncate(all / 2);
                // Half of nothing is all of it.
                Back::Answer { answer, whole: all == 0 }
            }
            Reply::Cut | Reply::Silent => Back::Cut,
        }
    }

    /// What the tenant has to say, where it arrives there.
    async fn reply(self, ending: Ending) -> Option<Reply> {
        match ending {
            Ending::Dropped | Ending::Swallowed | Ending::Refused(_) => None,
            Ending::Answered | Ending::AnswerLost | Ending::NeverAnswered => Some(self.arrive().await),
        }
    }

    /// It arrives at the tenant and takes effect there.
    async fn arrive(self) -> Reply {
        let Self { tenants, tenant, network, seen, call } = self;
        let arrival = tenant.arrive(call);
        pause(arrival.delay()).await;
        if !arrival.is_carried_out() {
            return arrival.take_effect().ending;
        }
        let watched = tenants.observer().and_then(|observer| {
            let id = seen.path.strip_prefix("/api/v2/connections/").filter(|_| seen.method == "PATCH")?.to_owned();
            Some((observer, tenant.connection_text(&id), id))
        });
        network.arrives(&seen);
        let outcome = arrival.take_effect();
        let status = outcome.carried_out.unwrap_or_default();
        network.took_effect(&seen, status);
        if let Some((observer, before, connection)) = watched {
            observer(Written {
                process: seen.process,
                at: tenants.begin.elapsed(),
                after: tenant.connection_text(&connection),
                host: seen.host,
                connection,
                before,
                status,
                body: String::from_utf8_lossy(&seen.body).into_owned(),
            });
        }
        outcome.ending
    }
}

async fn pause(span: Duration) {
    if !span.is_zero() {
        tokio::time::sleep(span).await;
    }
}

/// The request, as the network sees it.
fn seen(process: ProcessId, request: &reqwest::Request) -> Request {
    let url = request.url();
    Request {
        process,
        server: Server::Auth0,
        method: request.method().as_str().to_owned(),
        path: url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path())),
        host: url.host_str().unwrap_or_default().to_owned(),
        body: body(request),
        number: 0,
    }
}

/// The request, as the tenant sees it.
fn call(request: &reqwest::Request) -> auth0_emulator::Request {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    auth0_emulator::Request {
        method: request.method().as_str().to_owned(),
        path: request.url().path().to_owned(),
        query: request.url().query().unwrap_or_default().to_owned(),
        authorization: header("authorization"),
        content_type: header("content-type"),
        correlation_id: header("x-correlation-id"),
        user_agent: header("user-agent"),
        body: Some(body(request)),
    }
}

fn body(request: &reqwest::Request) -> Vec<u8> {
    request.body().and_then(reqwest::Body::as_bytes).map(<[u8]>::to_vec).unwrap_or_default()
}

/// What something in front of the tenant answers.
fn page(status: u16) -> Answer {
    let body =
        format!("<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n<center><h1>{status}</h1></center>\r\n</body>\r\n</html>\r\n");
    Answer { status, headers: vec![("content-type", "text/html".to_owned())], body: body.into_bytes() }
}

/// Reads an answer as the operator's transport does: of an error as much as there is, as its status says enough.
fn read(answer: Answer, whole: bool, max_body: usize) -> Result<http::Response<Vec<u8>>, Lost> {
    let Answer { status, headers, body } = answer;
    let mut response = http::Response::new(Vec::new());
    *response.status_mut() = http::StatusCode::from_u16(status).map_err(|_| Lost::Interrupted)?;
    let limit = if response.status().is_success() { max_body } else { MAX_ERROR_BODY.min(max_body) };
    let body = match body {
        large if large.len() > limit => Err(Lost::TooLarge),
        _ if !whole => Err(Lost::Interrupted),
        body => Ok(body),
    };
    *response.body_mut() = if response.status().is_success() { body? } else { body.unwrap_or_default() };
    for (name, value) in headers {
        if let Ok(value) = http::HeaderValue::from_str(&value) {
            response.headers_mut().append(http::HeaderName::from_static(name), value);
        }
    }
    Ok(response)
}

#[cfg(test)]
mod tests;
