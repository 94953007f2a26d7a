//! The access token of one tenant: fetched when needed, once for many, and ahead of its expiry.
//!
//! Guarantees: of all callers that need a token at one time one fetches it, and the others share its result, also
//! when it is a failure; a token that still holds is used on when a new one can't be had, for whatever reason: issued
//! tokens can't be revoked, and a secret that is rotated at Auth0 first must not turn anything red before it has to; a
//! token that was refused is forgotten once, however many calls it was refused to. A fetch that failed is not followed by
//! another before its pause is over, however many ask: the pauses grow, and last at least as long as the endpoint asks
//! for. A token that lacks a scope is replaced before its time, as scopes are granted to new tokens only; where the new one
//! lacks it as well, the next is not fetched for that before a pause that grows. No `Debug` shows a secret or a token.
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

use super::failure::{Failure, Retry};
use super::scopes::is_scope;
use crate::model::domain::Audience;

/// What a token without `expires_in` is believed to live for.
const UNKNOWN_LIFE: Duration = Duration::from_mins(5);
/// The longest life that is believed.
const LONGEST_LIFE: Duration = Duration::from_hours(24 * 30);
/// How long a token is used on at first after a new one couldn't be had; then for longer and longer.
const USED_ON: Duration = Duration::from_secs(30);
/// The first pause after a failed fetch when there is no token to use; then longer and longer.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two fetches that fail.
const LAST_PAUSE: Duration = Duration::from_mins(5);

/// What the operator proves its identity to a tenant with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub(crate) enum Credentials {
    /// `client_secret_post` (RFC 6749, section 2.3.1).
    Secret(SharedSecret),
}

/// An application's id and its secret.
#[derive(Clone)]
pub(crate) struct SharedSecret {
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

    /// What must not be repeated of a token request. The client id, the audience and the grant type may: they are no
    /// secrets and say what to put right.
    pub(super) fn secrets(&self) -> Vec<&str> {
        match self {
            Self::Secret(SharedSecret { client_id: _, client_secret }) => vec![client_secret.expose_secret()],
        }
    }
}

/// What a tenant grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    /// The scopes of the token; `None` when the answer doesn't name them.
    pub scopes: Option<Vec<String>>,
    /// Which token it is, of those that were fetched with these credentials.
    pub token: u64,
}

/// Why no new token could be had the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenTrouble {
    /// How the request ended.
    pub failure: Failure,
    /// No other is sent before this.
    pub until: std::time::Instant,
    /// Whether an older token still holds, so that nobody is harmed yet.
    pub held: bool,
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
            granted: Granted { scopes, token: 0 },
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
    failure: Option<Failed>,
    lacking: Option<Lacking>,
}

/// A fetch that failed, after others perhaps.
#[derive(Clone)]
struct Failed {
    failure: Failure,
    /// How many in a row.
    times: u32,
    /// No fetch before this.
    until: Instant,
    /// Until when the endpoint wants none.
    asked_until: Instant,
}

/// A token that lacked a scope although it was fetched for that, after others perhaps.
#[derive(Clone, Copy)]
struct Lacking {
    /// Which it was.
    serial: u64,
    /// How many in a row.
    times: u32,
    /// No token is fetched for a scope before this.
    until: Instant,
}

/// Holds the token of one tenant.
#[derive(Default)]
pub(super) struct TokenCache {
    state: Mutex<State>,
    /// How many fetches have ended.
    fetches: AtomicU64,
}

impl TokenCache {
    /// The token, fetched if there is none or its time is up, and if it may be asked for now.
    pub(super) async fn get<F>(&self, fetch: impl FnOnce() -> F) -> Result<Token, Failure>
    where
        F: Future<Output = Result<Token, Failure>>,
    {
        let mut state = self.state.lock().await;
        if let Some(known) = state.known(Instant::now()) {
            return known;
        }
        let fetched = fetch().await;
        let serial = self.fetches.fetch_add(1, Ordering::AcqRel) + 1;
        state.take_in(fetched, serial, Instant::now())
    }

    /// Has a new token fetched by the next caller. The old one is kept for the case that there is none to be had.
    pub(super) async fn renew(&self) {
        if let Some(token) = &mut self.state.lock().await.token {
            token.renew_at = Instant::now();
        }
    }

    /// Ends the pause after a fetch that failed, but for one that the endpoint asked for. The next pause is longer all the same.
    pub(super) async fn try_again(&self) {
        if let Some(failed) = &mut self.state.lock().await.failure {
            failed.until = failed.until.min(failed.asked_until);
        }
    }

    /// Forgets the token of this fetch; a newer one is kept.
    pub(super) async fn forget_refused(&self, serial: u64) {
        let mut state = self.state.lock().await;
        if state.token.as_ref().is_some_and(|token| token.serial == serial) {
            state.token = None;
        }
    }

    /// Has a new token fetched by the next caller in place of that of this fetch, which lacks a scope. Yields whether there may be a
    /// better one: another token is there already, or the last one that was fetched for a scope had it, or its pause is over.
    pub(super) async fn replace_lacking(&self, serial: u64) -> bool {
        let (mut state, now) = (self.state.lock().await, Instant::now());
        let may_be_better = state.lacking.is_none_or(|lacking| lacking.until <= now);
        match &mut state.token {
            Some(token) if token.serial == serial => {
                if may_be_better {
                    token.renew_at = now;
                }
                may_be_better
            }
            Some(_) | None => true,
        }
    }

    /// Notes whether the token of this fetch, which is there in place of one that lacked a scope, lacks it as well, as far as anybody
    /// knows.
    pub(super) async fn note_replacement(&self, serial: u64, lacks: bool) {
        let (mut state, now) = (self.state.lock().await, Instant::now());
        let before = state.lacking.filter(|lacking| now < lacking.until + LAST_PAUSE);
        if before.is_some_and(|before| serial <= before.serial) {
            return;
        }
        let times = before.map_or(0, |before| before.times);
        let pause = doubled(FIRST_PAUSE, times).min(LAST_PAUSE);
        state.lacking = lacks.then(|| Lacking { serial, times: times.saturating_add(1), until: now + pause });
    }

    /// What became of the last fetch, if it failed.
    pub(super) async fn trouble(&self) -> Option<TokenTrouble> {
        let state = self.state.lock().await;
        let failed = state.failure.as_ref()?;
        let held = state.token.as_ref().is_some_and(|token| Instant::now() < token.expires_at);
        Some(TokenTrouble { failure: failed.failure.clone(), until: failed.until.into(), held })
    }
}

impl State {
    /// What there is without asking; `None` when it is time to ask.
    fn known(&self, now: Instant) -> Option<Result<Token, Failure>> {
        if let Some(token) = self.token.as_ref().filter(|token| now < token.renew_at) {
            return Some(Ok(token.clone()));
        }
        let failed = self.failure.as_ref().filter(|failed| now < failed.until)?;
        // It holds, so the trouble with the token endpoint is nobody's yet.
        let held = self.token.as_ref().filter(|token| now < token.expires_at);
        Some(held.cloned().ok_or_else(|| failed.failure.clone()))
    }

    fn take_in(&mut self, fetched: Result<Token, Failure>, serial: u64, now: Instant) -> Result<Token, Failure> {
        match fetched {
            Ok(token) => {
                let token = Token { serial, granted: Granted { token: serial, ..token.granted }, ..token };
                *self = Self { token: Some(token.clone()), failure: None, lacking: self.lacking };
                Ok(token)
            }
            Err(failure) => {
                self.token = self.token.take().filter(|token| now < token.expires_at);
                let times = self.failure.as_ref().map_or(0, |failed| failed.times).saturating_add(1);
                let first = if self.token.is_some() { USED_ON } else { FIRST_PAUSE };
                let pause = doubled(first, times - 1).max(asked_for(&failure)).min(LAST_PAUSE);
                let expires_at = self.token.as_ref().map(|token| token.expires_at);
                let until = expires_at.map_or(now + pause, |expires_at| expires_at.max(now + asked_for(&failure)).min(now + pause));
                let asked_until = now + asked_for(&failure).min(LAST_PAUSE);
                self.failure = Some(Failed { failure: failure.clone(), times, until, asked_until });
                self.token.clone().ok_or(failure)
            }
        }
    }
}

/// A pause that is twice as long each time.
fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times))
}

/// The pause that the endpoint asks for.
fn asked_for(failure: &Failure) -> Duration {
    match failure.retry() {
        Retry::After(pause) => pause,
        Retry::Backoff | Retry::ResyncPace | Retry::Never => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn token(life: Duration) -> Token {
        let now = Instant::now();
        let text = Arc::new(SecretString::from("t0k3n"));
        Token { text, granted: Granted { scopes: None, token: 0 }, serial: 0, renew_at: now + used_for(life), expires_at: now + life }
    }

    fn down() -> Failure {
        Failure::ServerError { route: super::super::Route::Token, status: 503 }
    }

    #[test]
    fn a_token_is_renewed_ahead_of_its_expiry_and_a_short_one_is_still_used() {
        let used = |seconds| used_for(Duration::from_secs(seconds)).as_secs();
        assert_eq!([86_400, 600, 300, 200, 100, 60, 10, 0].map(used), [69_120, 480, 240, 140, 50, 30, 5, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_tries_again_at_once_unless_the_endpoint_wants_a_pause() {
        let limited = |seconds| Failure::RateLimited { retry_after: Some(Duration::from_secs(seconds)), global: false };
        for (failure, tried) in [(down(), true), (limited(30), false)] {
            let tokens = TokenCache::default();
            let fetches = AtomicUsize::new(0);
            let get = || {
                tokens.get(|| {
                    fetches.fetch_add(1, Ordering::Relaxed);
                    std::future::ready(Err(failure.clone()))
                })
            };
            for again in [false, false, true, false] {
                if again {
                    tokens.try_again().await;
                }
                assert!(get().await.is_err());
            }
            assert_eq!(fetches.load(Ordering::Relaxed), if tried { 2 } else { 1 });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_new_tokens_lack_a_scope_too_they_are_fetched_less_and_less_often_and_at_once_after_one_that_has_it() {
        let tokens = TokenCache::default();
        let get = || async { tokens.get(|| std::future::ready(Ok(token(Duration::from_hours(24))))).await.expect("token").serial() };
        let mut serial = get().await;
        let mut pauses = Vec::new();
        for _ in 0..12 {
            let started = Instant::now();
            while !tokens.replace_lacking(serial).await {
                assert_eq!(get().await, serial, "it is used on");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            pauses.push(started.elapsed().as_secs());
            assert!(tokens.replace_lacking(serial - 1).await, "there is a newer one");
            serial = get().await;
            // Whoever asked at the same time says the same of the same token.
            tokens.note_replacement(serial, true).await;
            tokens.note_replacement(serial, true).await;
        }
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        tokio::time::sleep(LAST_PAUSE).await;
        assert!(tokens.replace_lacking(serial).await);
        serial = get().await;
        tokens.note_replacement(serial, false).await;
        assert!(tokens.replace_lacking(serial).await, "the last one was good");
        serial = get().await;
        tokens.note_replacement(serial, true).await;
        assert!(!tokens.replace_lacking(serial).await);
        tokio::time::sleep(FIRST_PAUSE).await;
        assert!(tokens.replace_lacking(serial).await);
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
            assert_eq!(get().await.is_err(), fails);
            assert_eq!(fetches.load(Ordering::Relaxed), 1, "a later caller asks when the pause is over");
        }
    }

    #[test]
    fn fetches_that_fail_follow_each_other_more_and_more_slowly_and_as_the_endpoint_asks() {
        let limited = |seconds| Failure::RateLimited { global: false, retry_after: Some(Duration::from_secs(seconds)) };
        for (failure, pauses) in
            [(down(), [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]), (limited(20), [20, 20, 20, 20, 20, 32, 64, 128, 256, 300, 300])]
        {
            let (mut state, mut now) = (State::default(), Instant::now());
            for pause in pauses.map(Duration::from_secs) {
                assert!(state.known(now).is_none(), "it is time to ask");
                assert!(state.take_in(Err(failure.clone()), 1, now).is_err());
                now += pause;
                let before = now - Duration::from_millis(1);
                assert_eq!(state.known(before).map(|known| known.map(|token| token.serial)), Some(Err(failure.clone())), "{pause:?}");
            }
            assert!(state.take_in(Ok(token(Duration::from_mins(10))), 2, now).is_ok() && state.failure.is_none());
        }
    }

    #[test]
    fn a_secret_that_was_rotated_elsewhere_ends_nothing_before_the_token_does() {
        let refused = Failure::CredentialsRejected { error: String::new(), description: String::new() };
        let (mut state, start, life) = (State::default(), Instant::now(), Duration::from_mins(10));
        assert!(state.take_in(Ok(token(life)), 1, start).is_ok());
        let expires_at = state.token.as_ref().expect("a token").expires_at;
        let (mut now, mut asked) = (start, 0);
        while now < expires_at {
            let got = state.known(now).unwrap_or_else(|| {
                asked += 1;
                state.take_in(Err(refused.clone()), 2, now)
            });
            assert_eq!(got.map(|token| token.serial), Ok(1), "after {:?}", now - start);
            now += Duration::from_secs(1);
        }
        assert!((2..=4).contains(&asked), "{asked}");
        assert!(state.known(expires_at).is_none(), "who has nothing left asks at once");
        assert!(state.take_in(Err(refused), 3, expires_at).is_err());
    }

    #[tokio::test]
    async fn a_token_that_holds_is_used_on_while_a_new_one_cannot_be_had() {
        let cache = TokenCache::default();
        let short = Token { renew_at: Instant::now(), ..token(Duration::from_mins(1)) };
        let first = cache.get(|| async { Ok(short) }).await.expect("token");
        let again = cache.get(|| async { Err(down()) }).await.expect("the old token");
        assert_eq!(again.serial, first.serial);
        cache.renew().await;
        assert!(cache.get(|| async { Err(down()) }).await.is_ok(), "a renewal that fails costs nothing");
        cache.forget_refused(first.serial).await;
        assert!(cache.get(|| async { Ok(token(Duration::from_mins(1))) }).await.is_err(), "the endpoint is not asked before its time");
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
