//! The way to the simulated API server and back: a service for `kube::Client`.

use std::future::{pending, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{self, HeaderMap, StatusCode, header};
use futures::FutureExt;
use http_body::{Body, Frame};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tower::{BoxError, Service};

use super::handle::{Media, Reply, handle};
use super::refusal::Refusal;
use super::store::State;
use super::watch::WatchBody;
use crate::network::{Ending, Fate, Network, ProcessId, Request, Server};

/// The API server, as one process reaches it.
pub(super) struct ApiServer {
    pub(super) state: Arc<Mutex<State>>,
    pub(super) process: ProcessId,
    pub(super) network: Arc<dyn Network>,
}

type Answer = Result<http::Response<AnswerBody>, BoxError>;

impl Service<http::Request<kube::client::Body>> for ApiServer {
    type Response = http::Response<AnswerBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<kube::client::Body>) -> Self::Future {
        let (parts, body) = request.into_parts();
        // kube sends bodies that are there as a whole.
        let body = body.collect_bytes().now_or_never().and_then(Result::ok).map(Vec::from).unwrap_or_default();
        let mut request = Request {
            process: self.process,
            server: Server::Kubernetes,
            method: parts.method.as_str().to_owned(),
            path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            host: String::new(),
            body,
            number: 0,
        };
        let media = Media { accept: text(&parts.headers, &header::ACCEPT), content: text(&parts.headers, &header::CONTENT_TYPE) };
        let fate = self.network.fate(&mut request);
        let journey = Journey { state: self.state.clone(), network: self.network.clone(), request, media, fate };
        if fate == Fate::PROMPT && journey.request.number == 0 {
            // It is never on its way, and nothing can happen to it: it needs no task of its own.
            let answer = journey.arrive().map_or_else(Err, |(reply, _)| Ok(response(reply)));
            return Box::pin(ready(answer));
        }
        let (sender, receiver) = oneshot::channel();
        let asked = journey.request.is_write().then(|| (self.network.clone(), journey.request.clone()));
        tokio::spawn(async move {
            if let Some(answer) = journey.make().await {
                // Whoever asked may be gone.
                drop(sender.send(answer));
            }
        });
        Box::pin(async move {
            match receiver.await {
                Ok(answer) => {
                    if let (Ok(answer), Some((network, request))) = (&answer, asked)
                        && let AnswerBody::Whole(Some(text)) = answer.body()
                    {
                        network.is_answered(&request, answer.status().as_u16(), text);
                    }
                    answer
                }
                Err(_) => pending().await,
            }
        })
    }
}

fn text(headers: &HeaderMap, name: &header::HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// A request on its way.
struct Journey {
    state: Arc<Mutex<State>>,
    network: Arc<dyn Network>,
    request: Request,
    media: Media,
    fate: Fate,
}

impl Journey {
    /// Yields what arrives at the sender, or nothing where nothing ever does.
    async fn make(self) -> Option<Answer> {
        let Fate { out, ending, back } = self.fate;
        pause(out).await;
        match ending {
            Ending::Answered | Ending::AnswerLost | Ending::NeverAnswered => {}
            Ending::Dropped => return Some(Err(broken())),
            Ending::Swallowed => return None,
            Ending::Refused(code) => {
                pause(back).await;
                return Some(Ok(response(Reply::from(&Refusal::by_the_way(code)))));
            }
        }
        let (reply, stops) = match self.arrive() {
            Ok(arrived) => arrived,
            Err(nobody) => return Some(Err(nobody)),
        };
        match ending {
            Ending::AnswerLost => {
                drop(reply);
                pause(back).await;
                Some(Err(broken()))
            }
            Ending::Answered => {
                pause(back).await;
                if self.state.lock().stops == stops { Some(Ok(response(reply))) } else { Some(Err(broken())) }
            }
            Ending::NeverAnswered | Ending::Dropped | Ending::Swallowed | Ending::Refused(_) => None,
        }
    }

    /// It takes effect. Yields the reply, and how often the API server was stopped before.
    fn arrive(&self) -> Result<(Reply, u64), BoxError> {
        let stops = {
            let state = self.state.lock();
            if state.down {
                return Err(refused());
            }
            state.stops
        };
        self.network.arrives(&self.request);
        let reply = handle(&self.state, &self.request, &self.media);
        self.network.took_effect(&self.request, reply.code());
        Ok((reply, stops))
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// The connection ended.
pub(super) fn broken() -> BoxError {
    io::Error::new(io::ErrorKind::ConnectionReset, "the connection ended before the answer did").into()
}

/// There was no connection.
fn refused() -> BoxError {
    io::Error::new(io::ErrorKind::ConnectionRefused, "nobody answers at the API server's address").into()
}

fn response(reply: Reply) -> http::Response<AnswerBody> {
    let code = StatusCode::from_u16(reply.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = match reply {
        Reply::Whole(_, text) => AnswerBody::Whole(Some(text)),
        Reply::NoSuchPath => AnswerBody::Whole(Some("404 page not found\n".into())),
        Reply::Watch(watch) => AnswerBody::Watch(watch),
    };
    let mut response = http::Response::new(body);
    *response.status_mut() = code;
    response
}

/// The body of an answer.
pub(super) enum AnswerBody {
    Whole(Option<Bytes>),
    Watch(Box<WatchBody>),
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Whole(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Watch(watch) => Pin::new(watch.as_mut()).poll_frame(context),
        }
    }
}
