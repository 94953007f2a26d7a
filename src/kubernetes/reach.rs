//! Whether the API server can be reached, said once for each outage and sort of trouble, and not for each try.
//!
//! Guarantees: every request of the client is seen, whoever sends it; an error says the address and its innermost cause,
//! and nothing of credentials: what a program or a file that gives them has to say is not repeated.

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use parking_lot::Mutex;

use kube::client::{AuthError, ClientBuilder};
use kube::{Client, Config};
use tower::{BoxError, Layer, Service};

use crate::clock;

/// A client that says when the API server stops answering, and when it answers again.
pub(crate) fn client(config: Config) -> kube::Result<Client> {
    let reach = Reach(Arc::new(Seen { address: config.cluster_url.to_string(), outage: Mutex::default() }));
    Ok(ClientBuilder::try_from(config)?.with_layer(&reach).build())
}

#[derive(Debug)]
struct Seen {
    address: String,
    outage: Mutex<Option<Outage>>,
}

#[derive(Debug)]
struct Outage {
    since: Instant,
    said: BTreeSet<Kind>,
}

impl Seen {
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
struct Reach(Arc<Seen>);

impl<S> Layer<S> for Reach {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Watched { inner, seen: self.0.clone() }
    }
}

/// A service whose answers are seen.
struct Watched<S> {
    inner: S,
    seen: Arc<Seen>,
}

impl<S, Request> Service<Request> for Watched<S>
where
    S: Service<Request>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (answer, seen) = (self.inner.call(request), self.seen.clone());
        Box::pin(async move {
            let answer = answer.await.map_err(Into::into);
            match &answer {
                Ok(_) => seen.answered(),
                Err(error) => seen.lost(error),
            }
            answer
        })
    }
}
