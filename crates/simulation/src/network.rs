//! What may happen to a request on its way. The history decides; the two simulated servers carry it out.
//!
//! A request that was sent is on its way by itself: that its sender gave up, or died, does not call it back. So a server runs
//! each one as a task of its own.

use std::time::Duration;

/// One process of the operator: each start is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProcessId(pub u32);

/// Whom a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server {
    /// The Kubernetes API server.
    Kubernetes,
    /// An Auth0 tenant.
    Auth0,
}

/// A request, as the network sees it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who sent it.
    pub process: ProcessId,
    /// Whom it is for.
    pub server: Server,
    /// The HTTP method.
    pub method: String,
    /// The path, and the query where there is one.
    pub path: String,
    /// The host: that of an Auth0 tenant.
    pub host: String,
    /// The body.
    pub body: Vec<u8>,
    /// The number that the network gives it when it is sent; zero before.
    pub number: u32,
}

impl Request {
    /// Whether it may change something there: everything but `GET`, and but the request for a token.
    pub fn is_write(&self) -> bool {
        self.method != "GET" && self.path != "/oauth/token"
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// How long it takes to arrive.
    pub out: Duration,
    /// What happens then.
    pub ending: Ending,
    /// How long the answer takes.
    pub back: Duration,
}

impl Fate {
    /// It arrives at once and is answered at once.
    pub const PROMPT: Self = Self { out: Duration::ZERO, ending: Ending::Answered, back: Duration::ZERO };
}

/// What happens to a request that is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It arrives, and so does the answer.
    Answered,
    /// It takes effect; then the connection ends, without an answer.
    AnswerLost,
    /// It takes effect, and no answer ever comes.
    NeverAnswered,
    /// The connection ends before it arrives.
    Dropped,
    /// It never arrives, and no answer ever comes.
    Swallowed,
    /// Something in front of the server answers with this status; it takes no effect.
    Refused(u16),
}

/// The network between processes and servers.
pub trait Network: Send + Sync {
    /// What is to become of this request, asked when it is sent. The network may number it.
    fn fate(&self, request: &mut Request) -> Fate;
    /// It takes effect now: called right before, when the world is as the server will find it.
    fn arrives(&self, request: &Request);
    /// It takes no effect any more, whatever became of it; with the status of the answer, where there is one.
    fn is_over(&self, _: &Request, _: Option<u16>) {}
    /// Its sender, who still waited for it, has an answer with this status and this body.
    fn is_answered(&self, _: &Request, _: u16, _: &[u8]) {}
    /// It took effect and was answered with this status, whether or not the answer arrives.
    fn took_effect(&self, request: &Request, status: u16);
}
