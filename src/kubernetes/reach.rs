//! Whether the API server can be reached, said once for each outage and sort of trouble, and not for each try.
//!
//! Guarantees: every request of the client is seen, whoever sends it; an error says the address and its innermost cause,
//! and nothing of credentials: what a program or a file that gives them has to say is not repeated.

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::{Method, Request, Response};
use parking_lot::Mutex;

use kube::client::{AuthError, ClientBuilder};
use kube::{Client, Config};
use tower::{BoxError, Layer, Service};

use crate::clock;

/// What is done at the API server, as its audit log calls it; a list is a `get`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Verb {
    Get,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    Other,
}

impl Verb {
    /// The label value.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }

    fn of(method: &Method, query: Option<&str>) -> Self {
        let watches = query.is_some_and(|query| query.split('&').any(|part| matches!(part, "watch=true" | "watch=1")));
        match *method {
            Method::GET if watches => Self::Watch,
            Method::GET => Self::Get,
            Method::POST => Self::Create,
            Method::PUT => Self::Update,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            _ => Self::Other,
        }
    }
}

/// One request to the API server, as an observer sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// What was asked for.
    pub verb: Verb,
    /// The HTTP status; none where there was no answer.
    pub status: Option<u16>,
    /// From the request to the head of the answer: a watch goes on for minutes after that.
    pub took: Duration,
}

/// Sees every request, in the task that made it: it must be quick, and must not panic.
pub(crate) type Observer = Arc<dyn Fn(&Seen) + Send + Sync>;

/// A client that says when the API server stops answering, and when it answers again, and tells the observer of each request.
pub(crate) fn client(config: Config, observer: Observer) -> kube::Result<Client> {
    let line = Arc::new(Line { address: config.cluster_url.to_string(), outage: Mutex::default() });
    let reach = Reach { line, observer };
    Ok(ClientBuilder::try_from(config)?.with_layer(&reach).build())
}

#[derive(Debug)]
struct Line {
    address: String,
    outage: Mutex<Option<Outage>>,
}

#[derive(Debug)]
struct Outage {
    since: Instant,
    said: BTreeSet<Kind>,
}

impl Line {
    fn answered(&self) {
        let over = self.outage.lock().take();
        if let Some(outage) = over {
            let seconds = clock::since(outage.since).as_secs();
            tracing::info!(address = self.address, "the API server answers again, after {seconds} s");
        }
    }

    fn lost(&self, error: &BoxError) {
        let (kind, cause) = cause(error.as_ref());
        let mut outage = self.outage.lock();
        let said = &mut outage.get_or_insert_with(|| Outage { since: clock::now(), said: BTreeSet::new() }).said;
        let news = said.insert(kind);
        drop(outage);
        if news {
            tracing::warn!(address = self.address, cause, "the API server can't be reached; it is tried again until it answers");
        }
    }
}

/// What sort of trouble it is: each calls for something else to be done, and is said once in an outage. A server that is
/// down refuses, resets and closes by turns, which is all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Name,
    Tls,
    Connection,
    SecretData,
    Other,
}

/// The innermost cause of a request that got no answer.
fn cause(error: &(dyn StdError + 'static)) -> (Kind, String) {
    let chain: Vec<&(dyn StdError + 'static)> = std::iter::successors(Some(error), |error| (*error).source()).collect();
    if chain.iter().any(|error| error.is::<AuthError>()) {
        return (Kind::SecretData, "the credentials for it could not be had; try the kubeconfig with kubectl".to_owned());
    }
    // Those of the connection, of TLS and of a proxy's tunnel; nothing else is known to be without secrets.
    if !chain.iter().any(|error| error.is::<hyper_util::client::legacy::Error>()) {
        return (Kind::Other, "the request could not be sent".to_owned());
    }
    let innermost = chain.last().map(ToString::to_string).unwrap_or_default();
    let kind = match () {
        () if chain.iter().any(|error| is_tls(*error)) => Kind::Tls,
        () if chain.iter().any(|error| error.to_string() == "dns error") => Kind::Name,
        () => Kind::Connection,
    };
    (kind, innermost)
}

/// An I/O error is silent about what it wraps unless it is asked, and may wrap another one.
fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>() || wrapped.is_some_and(|inner| is_tls(inner))
}

#[derive(Clone)]
struct Reach {
    line: Arc<Line>,
    observer: Observer,
}

impl<S> Layer<S> for Reach {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Watched { inner, reach: self.clone() }
    }
}

/// A service whose answers are seen.
struct Watched<S> {
    inner: S,
    reach: Reach,
}

impl<S, Question, Answer> Service<Request<Question>> for Watched<S>
where
    S: Service<Request<Question>, Response = Response<Answer>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Question>) -> Self::Future {
        let (verb, started) = (Verb::of(request.method(), request.uri().query()), clock::now());
        let (answer, Reach { line, observer }) = (self.inner.call(request), self.reach.clone());
        Box::pin(async move {
            let answer = answer.await.map_err(Into::into);
            match &answer {
                Ok(_) => line.answered(),
                Err(error) => line.lost(error),
            }
            let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
            observer(&Seen { verb, status, took: clock::since(started) });
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_told_from_a_list_by_its_query() {
        for (method, query, expected) in [
            (Method::GET, None, "get"),
            (Method::GET, Some("limit=500&resourceVersion=0"), "get"),
            (Method::GET, Some("labelSelector=watch%3Dtrue"), "get"),
            (Method::GET, Some("watch=true&timeoutSeconds=290"), "watch"),
            (Method::GET, Some("&watch=true"), "watch"),
            (Method::POST, Some("dryRun=All"), "create"),
            (Method::PUT, None, "update"),
            (Method::PATCH, Some("fieldManager=f"), "patch"),
            (Method::DELETE, None, "delete"),
            (Method::OPTIONS, None, "other"),
        ] {
            assert_eq!(Verb::of(&method, query).as_str(), expected, "{method} {query:?}");
        }
    }
}
