//! The access token of one tenant: fetched when needed, once for many, and ahead of its expiry.
//!
//! Guarantees: of all callers that need a token at one time one fetches it, and the others share its result, also
//! when it is a failure; a token that still holds is used on when a new one can't be had; a token that was refused is
//! forgotten once, however many calls it was refused to. No `Debug` shows a secret or a token.
//!
//! Assumes: the fetch is cancelled only together with its caller; the next caller then fetches. Fails: with the
//! [`Failure`] of the fetch.
//!
//! Source: "Auth0 Authentication API, POST /oauth/token" (client credentials).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::domain::Audience;
use super::failure::Failure;
use super::message::is_scope;

/// What a token without `expires_in` is believed to live for.
const UNKNOWN_LIFE: Duration = Duration::from_mins(5);
/// The longest life that is believed.
const LONGEST_LIFE: Duration = Duration::from_hours(24 * 30);
/// How long a token is used on after a new one couldn't be had.
const USED_ON: Duration = Duration::from_secs(30);

/// What the operator proves its identity to a tenant with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credentials {
    /// `client_secret_post` (RFC 6749, section 2.3.1).
    Secret(SharedSecret),
}

/// An application's id and its secret.
#[derive(Clone)]
pub struct SharedSecret {
    /// The application's client id.
    pub client_id: String,
    /// The application's client secret.
    pub client_secret: SecretString,
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret")
    }
}

impl Credentials {
    /// The JSON body of a token request.
    pub(super) fn token_request(&self, audience: &Audience) -> SecretString {
        match self {
            Self::Secret(SharedSecret { client_id, client_secret }) => serde_json::json!({
                "grant_type": "client_credentials",
                "client_id": client_id,
                "client_secret": client_secret.expose_secret(),
                "audience": audience.as_str(),
            })
            .to_string()
            .into(),
        }
    }

    /// What must not be repeated of a token request. The audience and the grant type may: they say what to put right.
    pub(super) fn secrets(&self) -> Vec<&str> {
        match self {
            Self::Secret(SharedSecret { client_id, client_secret }) => vec![client_id, client_secret.expose_secret()],
        }
    }
}

/// What a tenant grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The scopes of the token; `None` when the answer doesn't name them.
    pub scopes: Option<Vec<String>>,
}

/// The answer to a token request (RFC 6749, section 5.1).
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    expires_in: Option<u64>,
    scope: Option<String>,
}

/// A token, and until when it is used.
#[derive(Clone)]
pub(super) struct Token {
    text: Arc<SecretString>,
    granted: Granted,
    /// Which fetch it came from.
    serial: u64,
    renew_at: Instant,
    expires_at: Instant,
}

impl Token {
    /// Reads an answer; `asked_at` is before the request, so that the life is not overestimated.
    pub(super) fn parse(body: &[u8], asked_at: Instant) -> Result<Self, &'static str> {
        let answer: TokenAnswer = serde_json::from_slice(body).map_err(|_| "not an access token")?;
        if answer.access_token.is_empty() || !answer.access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("an access token that can't be sent");
        }
        let life = answer.expires_in.map_or(UNKNOWN_LIFE, Duration::from_secs).min(LONGEST_LIFE);
        let scopes = answer.scope.map(|text| text.split(' ').filter(|word| is_scope(word)).map(str::to_owned).collect());
        Ok(Self {
            text: Arc::new(answer.access_token.into()),
            granted: Granted { scopes },
            serial: 0,
            renew_at: asked_at + used_for(life),
            expires_at: asked_at + life,
        })
    }

    pub(super) fn text(&self) -> &str {
        self.text.expose_secret()
    }

    pub(super) fn granted(&self) -> &Granted {
        &self.granted
    }

    /// Which fetch it came from.
    pub(super) fn serial(&self) -> u64 {
        self.serial
    }
}

/// How long a token is used: 80 % of its life or all but a minute, whichever is shorter, and no less than half.
fn used_for(life: Duration) -> Duration {
    (life * 4 / 5).min(life.saturating_sub(Duration::from_mins(1)).max(life / 2))
}

/// What the last fetch left behind.
#[derive(Default)]
struct State {
    token: Option<Token>,
    failure: Option<Failure>,
}

/// Holds the token of one tenant.
#[derive(Default)]
pub(super) struct TokenCache {
    state: Mutex<State>,
    /// How many fetches have ended. Who waited while it grew takes what was found.
    fetches: AtomicU64,
}

impl TokenCache {
    /// The token, fetched if there is none or its time is up.
    pub(super) async fn get<F>(&self, fetch: impl FnOnce() -> F) -> Result<Token, Failure>
    where
        F: Future<Output = Result<Token, Failure>>,
    {
        let seen = self.fetches.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        if let Some(token) = state.token.as_ref().filter(|token| Instant::now() < token.renew_at) {
            return Ok(token.clone());
        }
        let waited = self.fetches.load(Ordering::Acquire) != seen;
        if let Some(failure) = state.failure.as_ref().filter(|_| waited) {
            return Err(failure.clone());
        }
        let fetched = fetch().await;
        let serial = self.fetches.fetch_add(1, Ordering::AcqRel) + 1;
        state.conclude(fetched, serial)
    }

    /// Forgets the token, whichever it is.
    pub(super) async fn forget(&self) {
        self.state.lock().await.token = None;
    }

    /// Forgets the token of this fetch; a newer one is kept.
    pub(super) async fn forget_refused(&self, serial: u64) {
        let mut state = self.state.lock().await;
        if state.token.as_ref().is_some_and(|token| token.serial == serial) {
            state.token = None;
        }
    }
}

impl State {
    fn conclude(&mut self, fetched: Result<Token, Failure>, serial: u64) -> Result<Token, Failure> {
        let now = Instant::now();
        match fetched {
            Ok(token) => {
                let token = Token { serial, ..token };
                *self = Self { token: Some(token.clone()), failure: None };
                Ok(token)
            }
            Err(failure) => {
                let refused = matches!(failure, Failure::CredentialsRejected { .. });
                self.token = self.token.take().filter(|token| !refused && now < token.expires_at);
                if let Some(token) = &mut self.token {
                    // It holds, so the trouble with the token endpoint is nobody's yet.
                    token.renew_at = (now + USED_ON).min(token.expires_at);
                    return Ok(token.clone());
                }
                self.failure = Some(failure.clone());
                Err(failure)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn token(life: Duration) -> Token {
        let now = Instant::now();
        let text = Arc::new(SecretString::from("t0k3n"));
        Token { text, granted: Granted { scopes: None }, serial: 0, renew_at: now + used_for(life), expires_at: now + life }
    }

    fn down() -> Failure {
        Failure::ServerError { route: super::super::Route::Token, status: 503 }
    }

    #[test]
    fn a_token_is_renewed_ahead_of_its_expiry_and_a_short_one_is_still_used() {
        let used = |seconds| used_for(Duration::from_secs(seconds)).as_secs();
        assert_eq!([86_400, 600, 300, 200, 100, 60, 10, 0].map(used), [69_120, 480, 240, 140, 50, 30, 5, 0]);
    }

    #[test]
    fn an_answer_that_is_no_token_is_refused_and_odd_ones_are_read() {
        let now = Instant::now();
        for body in [
            "",
            "{}",
            "[]",
            r#"{"access_token":1}"#,
            r#"{"access_token":""}"#,
            r#"{"access_token":"a\nb"}"#,
            r#"{"access_token":"a","expires_in":-1}"#,
        ] {
            assert!(Token::parse(body.as_bytes(), now).is_err(), "{body}");
        }
        let token = Token::parse(br#"{"access_token":"a","expires_in":18446744073709551615,"scope":"read:connections <b> openid"}"#, now)
            .expect("token");
        assert_eq!(token.expires_at, now + LONGEST_LIFE);
        assert_eq!(token.granted.scopes.as_deref(), Some(&["read:connections".to_owned()][..]));
        let bare = Token::parse(br#"{"access_token":"a"}"#, now).expect("token");
        assert_eq!((bare.expires_at, bare.granted.scopes), (now + UNKNOWN_LIFE, None));
    }

    #[test]
    fn no_secret_is_shown() {
        let credentials = Credentials::Secret(SharedSecret { client_id: "1d".to_owned(), client_secret: "s3cr3t".to_owned().into() });
        assert_eq!(format!("{credentials:?}"), "Secret(SharedSecret)");
    }

    #[tokio::test]
    async fn many_waiters_share_one_fetch_and_its_failure() {
        for fails in [false, true] {
            let (cache, fetches) = (TokenCache::default(), AtomicUsize::new(0));
            let get = || {
                cache.get(|| async {
                    fetches.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    if fails { Err(down()) } else { Ok(token(Duration::from_mins(10))) }
                })
            };
            let got = futures::future::join_all((0..20).map(|_| get())).await;
            assert_eq!(fetches.load(Ordering::Relaxed), 1);
            assert!(got.iter().all(|result| result.is_err() == fails));
            // A later caller is not served an old failure.
            assert_eq!(get().await.is_err(), fails);
            assert_eq!(fetches.load(Ordering::Relaxed), if fails { 2 } else { 1 });
        }
    }

    #[tokio::test]
    async fn a_token_that_holds_is_used_on_while_a_new_one_cannot_be_had() {
        let cache = TokenCache::default();
        let short = Token { renew_at: Instant::now(), ..token(Duration::from_mins(1)) };
        let first = cache.get(|| async { Ok(short) }).await.expect("token");
        let again = cache.get(|| async { Err(down()) }).await.expect("the old token");
        assert_eq!(again.serial, first.serial);
        cache.forget().await;
        assert!(cache.get(|| async { Err(down()) }).await.is_err());
    }

    #[tokio::test]
    async fn refused_credentials_end_the_use_of_the_old_token() {
        let cache = TokenCache::default();
        let short = Token { renew_at: Instant::now(), ..token(Duration::from_mins(1)) };
        cache.get(|| async { Ok(short) }).await.expect("token");
        let refused = Failure::CredentialsRejected { error: String::new(), description: String::new() };
        assert_eq!(cache.get(|| async { Err(refused.clone()) }).await.map(|token| token.serial), Err(refused.clone()));
    }

    #[tokio::test]
    async fn a_refused_token_is_forgotten_once() {
        let cache = TokenCache::default();
        let fresh = || async { Ok(token(Duration::from_mins(10))) };
        let first = cache.get(fresh).await.expect("token");
        cache.forget_refused(first.serial).await;
        let second = cache.get(fresh).await.expect("token");
        cache.forget_refused(first.serial).await;
        assert_eq!(cache.get(fresh).await.expect("token").serial, second.serial);
    }
}
