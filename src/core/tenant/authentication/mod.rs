//! What Auth0 said of a tenant's credentials, and when they are tried again.
//!
//! Guarantees: as long as the API refuses the credentials, no token proves anything, but a call that succeeds does; what
//! is known of missing scopes outlasts a tenant that does not answer; each try that fails waits longer. Time and chance
//! are arguments.
//!
//! Assumes: told of every call, in order. New credentials begin with a new [`Authentication`].

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crate::core::obstacle::Obstacle;
use crate::core::schedule::{ConnectionKey, backoff};
use crate::core::tenant::CredentialsState;
use crate::core::tenant::evidence::{Blame, Doing, Evidence, READ_OPTIONS, Token};

/// How long a tenant may give no answer before that is said of it.
const SILENCE_GRACE: Duration = Duration::from_secs(10);

/// What Auth0 answered last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was not asked yet.
    Untried,
    /// It could not be asked, or gave no answer to go by.
    Unknown(Obstacle),
    /// It accepts them.
    Accepted {
        /// Why no new token can be had, while the one at hand still holds.
        renewal: Option<String>,
    },
    /// It gives no token; the text says why.
    Refused(String),
    /// It gives a token, which its API refuses.
    RefusedByApi(String),
}

/// Scopes that a read or a write showed to be missing: writes pause until a new token has them, or does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MissingScopes {
    /// Which.
    pub scopes: Vec<String>,
    /// What to do about it.
    pub message: String,
}

impl MissingScopes {
    /// Whether a token with these scopes still lacks them. One that does not say what it grants is worth a try.
    fn remain_with(&self, granted: Option<&[String]>) -> bool {
        granted.is_some_and(|granted| self.scopes.iter().any(|scope| !granted.contains(scope)))
    }
}

/// What an answer to a call about a connection changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing that is to be said.
    None,
    /// Something to be said of the tenant.
    OfTheTenant,
    /// The tenant can be used again.
    AcceptedAgain,
}

/// What is known of the credentials.
#[derive(Debug)]
pub(crate) struct Authentication {
    answer: Answer,
    missing: Option<MissingScopes>,
    /// What the calls showed of the tenant as a whole.
    evidence: Evidence,
    /// Whether a connection hid its options from the token, and nothing tells whether that is for want of a scope.
    unproved: bool,
    /// How often a new token was tried for that. Nothing ends it, as every new token is unproved at first: it is tried less and less often.
    trials: u32,
    /// When they are tried again.
    due: Option<Instant>,
    /// How many tries failed in a row.
    failures: u32,
}

impl Authentication {
    /// Of credentials that are to be tried at once.
    pub(crate) fn untried(now: Instant) -> Self {
        Self {
            answer: Answer::Untried,
            missing: None,
            evidence: Evidence::default(),
            unproved: false,
            trials: 0,
            due: Some(now),
            failures: 0,
        }
    }

    /// What Auth0 answered last.
    pub(crate) fn answer(&self) -> &Answer {
        &self.answer
    }

    /// The scopes that are missing.
    pub(crate) fn missing(&self) -> Option<&MissingScopes> {
        self.missing.as_ref()
    }

    /// Whether the next try has to be with a new token: scopes that were granted meanwhile are in new ones only.
    pub(crate) fn needs_new_token(&self) -> bool {
        self.missing.is_some() || self.unproved
    }

    /// When the credentials are tried again.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether they are about to be tried for the first time.
    pub(crate) fn is_untried(&self) -> bool {
        self.answer == Answer::Untried
    }

    /// Whether passes may run.
    pub(crate) fn is_accepted(&self) -> bool {
        matches!(self.answer, Answer::Accepted { .. })
    }

    /// Whether it is the API that refuses the credentials.
    pub(crate) fn is_refused_by_api(&self) -> bool {
        matches!(self.answer, Answer::RefusedByApi(_))
    }

    /// What all of this is to the tenant's status.
    pub(crate) fn credentials_state(&self) -> CredentialsState {
        match (&self.answer, &self.missing) {
            (Answer::Untried, _) => CredentialsState::Untried,
            (Answer::Unknown(obstacle), _) => CredentialsState::Unknown(obstacle.clone()),
            (Answer::Refused(message) | Answer::RefusedByApi(message), _) => CredentialsState::Refused(message.clone()),
            (Answer::Accepted { .. }, Some(missing)) => CredentialsState::Lacking(missing.message.clone()),
            (Answer::Accepted { renewal }, None) => {
                let trouble = self.evidence.silence().or(renewal.as_deref());
                trouble.map_or(CredentialsState::Granted, |trouble| CredentialsState::Troubled(trouble.to_owned()))
            }
        }
    }

    /// The try begins: it has no date any more.
    pub(crate) fn begin(&mut self) {
        self.due = None;
    }

    /// Somebody asks whether the credentials are accepted now. Yields whether that is worth a try: where they are, and nothing is
    /// missing, the looks show it.
    pub(crate) fn asked_for(&mut self, now: Instant) -> bool {
        let is_worth_it = !self.is_accepted() || self.needs_new_token() || self.renewal().is_some() || self.evidence.silence().is_some();
        if is_worth_it {
            self.try_by(now);
        }
        is_worth_it
    }

    /// A token was had. `known`: how many connections the tenant's objects name.
    pub(crate) fn token_granted(&mut self, scopes: Option<&[String]>, known: usize, (now, chance): (Instant, f64)) {
        let renewal = self.renewal().map(str::to_owned);
        self.answer = Answer::Accepted { renewal };
        if known == 0 {
            // There is nobody left for whom it could be asked again: what was silent is nobody's trouble any more.
            self.evidence.answered();
        }
        let was_missing = self.missing.is_some();
        self.unproved = false;
        self.missing = self.missing.take().filter(|missing| missing.remain_with(scopes));
        if self.missing.is_some() || self.evidence.silence().is_some() {
            let pause = self.next_pause(chance);
            self.try_by(now + pause);
        } else if scopes.is_some() || !was_missing {
            // A token that does not say is only worth a try, which may fail as the last one did.
            self.failures = 0;
        }
    }

    /// No token can be had, because Auth0 refuses it (`Err` says why) or for another reason. Nobody asks for one before `until`,
    /// where the token endpoint has a pause.
    pub(crate) fn token_denied(&mut self, why: Result<Obstacle, String>, until: Option<Instant>, (now, chance): (Instant, f64)) {
        self.answer = why.map_or_else(Answer::Refused, Answer::Unknown);
        let pause = self.next_pause(chance);
        self.try_by(until.unwrap_or(now + pause));
    }

    /// The API refused a token that Auth0 gave, for this call. Yields whether that is the tenant's trouble as a whole, and not that of
    /// this connection.
    pub(crate) fn refused_by_api(&mut self, doing: Doing, message: String, when: (Instant, f64)) -> bool {
        let is_tenants = self.evidence.refused(doing);
        if is_tenants {
            self.answer = Answer::RefusedByApi(message);
            self.try_unless_due(when);
        }
        is_tenants
    }

    /// There is nothing that the API could be asked about, so the token has to do.
    pub(crate) fn nothing_to_ask_about(&mut self, when: (Instant, f64)) {
        self.answer = Answer::Accepted { renewal: None };
        self.evidence.answered();
        self.failures = 0;
        self.call_was_tried(when);
    }

    /// After a call that should show whether the API still refuses the credentials: if it didn't, there is another try; so there is
    /// where it did and scopes were missing before, as only a token tells of those.
    pub(crate) fn call_was_tried(&mut self, when: (Instant, f64)) {
        if self.is_refused_by_api() || self.needs_new_token() {
            self.try_unless_due(when);
        }
    }

    /// Auth0 answered a read of a connection: whatever was held against the tenant as a whole is over. `renewal`: why no new
    /// token can be had, while the one at hand still holds.
    pub(crate) fn answered(&mut self, connection: &ConnectionKey, renewal: Option<String>) -> News {
        self.evidence.took(&(connection.clone(), false));
        let was_silent = self.evidence.answered();
        let was_refused = self.is_refused_by_api();
        let changed = renewal.as_deref() != self.renewal();
        match self.answer {
            Answer::Accepted { .. } | Answer::RefusedByApi(_) => self.answer = Answer::Accepted { renewal },
            Answer::Untried | Answer::Unknown(_) | Answer::Refused(_) => {}
        }
        if was_refused {
            self.failures = 0;
            return News::AcceptedAgain;
        }
        if !was_silent && !changed {
            return News::None;
        }
        if !self.needs_new_token() {
            self.failures = 0;
            self.due = None;
        }
        News::OfTheTenant
    }

    /// A write to this connection went through with this token.
    pub(crate) fn wrote(&mut self, connection: &ConnectionKey, token: Token<'_>) {
        self.evidence.took(&(connection.clone(), true));
        self.evidence.wrote(token.serial);
    }

    /// A connection showed its options. Yields whether that ended a lack of scopes.
    pub(crate) fn showed_options(&mut self, token: Token<'_>) -> bool {
        self.evidence.showed_options(token.serial);
        self.unproved = false;
        // A token that names its scopes has said whether it lacks this one.
        let ends = token.scopes.is_none() && self.missing.as_ref().is_some_and(|missing| missing.scopes == [READ_OPTIONS]);
        if ends {
            self.missing = None;
            self.failures = 0;
        }
        ends
    }

    /// A call was refused for `asked` scopes. Yields those that the tenant as a whole lacks; none when it is about this
    /// connection only.
    pub(crate) fn lacks(&mut self, connection: &ConnectionKey, asked: &[String], token: Token<'_>, known: usize) -> Option<Vec<String>> {
        self.evidence.lacks(connection, asked, token, known)
    }

    /// A connection came without options. Yields whether the tenant as a whole lacks the scope for them. Where nothing tells, it
    /// is the connection's trouble, and a new token is tried.
    pub(crate) fn hid_options(&mut self, connection: &ConnectionKey, token: Token<'_>, known: usize, when: (Instant, f64)) -> bool {
        let blame = self.evidence.hid_options(connection, token, known);
        if blame == Blame::Either && self.due.is_none() {
            let (now, chance) = when;
            self.unproved = true;
            self.trials = self.trials.saturating_add(1);
            self.due = Some(now + backoff(self.trials, chance));
        }
        blame == Blame::Token
    }

    /// Scopes are missing from now on.
    pub(crate) fn scopes_are_missing(&mut self, missing: MissingScopes, when: (Instant, f64)) {
        self.missing = Some(missing);
        self.try_unless_due(when);
    }

    /// A call got no answer. When that lasts, the try that is planned here says so.
    pub(crate) fn unanswered(&mut self, connection: &ConnectionKey, message: &str, of_the_host: bool, known: usize, now: Instant) {
        if self.evidence.unanswered(connection, message, of_the_host, known) && self.due.is_none() {
            self.due = Some(now + SILENCE_GRACE);
        }
    }

    fn renewal(&self) -> Option<&str> {
        match &self.answer {
            Answer::Accepted { renewal } => renewal.as_deref(),
            Answer::Untried | Answer::Unknown(_) | Answer::Refused(_) | Answer::RefusedByApi(_) => None,
        }
    }

    /// A try that is planned already is not put off by every connection that shows the same trouble again.
    fn try_unless_due(&mut self, (now, chance): (Instant, f64)) {
        if self.due.is_none() {
            let pause = self.next_pause(chance);
            self.try_by(now + pause);
        }
    }

    fn try_by(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |known| known.min(at)));
    }

    fn next_pause(&mut self, chance: f64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        backoff(self.failures, chance)
    }
}
