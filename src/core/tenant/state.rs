//! The state of one tenant: whether its object can be used, and while it serves, all that goes with that.
//!
//! Guarantees: what is known of credentials lives as long as they do, and no longer; a Secret that is away takes its
//! credentials along only after [`SECRET_GRACE`]. Time is an argument.

use std::time::{Duration, Instant};

use crate::core::obstacle::ObstacleReason;
use crate::core::status::Outcome;
use crate::core::tenant::authentication::{Answer, Authentication};
use crate::core::tenant::{RefusedReason, Resolution, TenantSettings, UNTRIED, UnresolvedReason};

/// How long a Secret may be away before that is said and its credentials are used no more: tools that sync Secrets delete them
/// and make them anew.
pub(crate) const SECRET_GRACE: Duration = Duration::from_secs(15);

/// The state of one tenant. `R`: what a tenant that serves is reached with.
#[derive(Debug)]
pub(crate) enum TenantState<R> {
    /// There is no such object.
    Unknown,
    /// Its content can't be used: see [`Resolution::Refused`].
    Refused(RefusedReason, String),
    /// Its Secret can't be used: see [`Resolution::Unresolved`].
    Unresolved(UnresolvedReason, String),
    /// It serves.
    Serving(Box<Serving<R>>),
}

/// A tenant that serves.
#[derive(Debug)]
pub(crate) struct Serving<R> {
    /// What its object says.
    pub settings: TenantSettings,
    /// What it is reached with.
    pub reach: R,
    /// What Auth0 said of its credentials.
    pub authentication: Authentication,
    /// Until when its credentials go on, while their Secret is away.
    grace_ends: Option<Instant>,
}

/// What a tenant object amounts to now.
#[derive(Debug, PartialEq)]
pub(crate) struct ResolvedTenant {
    /// That; `None` when there is no such object.
    pub resolution: Option<Resolution>,
    /// Until when that holds, where it rests on a Secret that is away.
    pub grace_ends: Option<Instant>,
}

impl<R> TenantState<R> {
    /// The tenant, if it serves.
    pub(crate) fn serving(&self) -> Option<&Serving<R>> {
        match self {
            Self::Serving(serving) => Some(serving),
            Self::Unknown | Self::Refused(..) | Self::Unresolved(..) => None,
        }
    }

    /// See [`TenantState::serving`].
    pub(crate) fn serving_mut(&mut self) -> Option<&mut Serving<R>> {
        match self {
            Self::Serving(serving) => Some(serving),
            Self::Unknown | Self::Refused(..) | Self::Unresolved(..) => None,
        }
    }

    /// Until when the credentials go on, while their Secret is away.
    pub(crate) fn grace_ends(&self) -> Option<Instant> {
        self.serving().and_then(|serving| serving.grace_ends)
    }

    /// Resolves the tenant object. `resolve` resolves it by itself, or with the credentials of these settings where its Secret is
    /// away.
    pub(crate) fn resolve(&self, now: Instant, resolve: impl Fn(Option<&TenantSettings>) -> Option<Resolution>) -> ResolvedTenant {
        let alone = resolve(None);
        let (Some(Resolution::Unresolved(..)), Self::Serving(serving)) = (&alone, self) else {
            return ResolvedTenant { resolution: alone, grace_ends: None };
        };
        let ends = serving.grace_ends.unwrap_or(now + SECRET_GRACE);
        if ends <= now {
            return ResolvedTenant { resolution: alone, grace_ends: None };
        }
        ResolvedTenant { resolution: resolve(Some(&serving.settings)), grace_ends: Some(ends) }
    }

    /// Whether the tenant object amounts to something else by now. The end of a grace period is no news: it comes by itself.
    pub(crate) fn is_outdated(&self, resolve: impl Fn(Option<&TenantSettings>) -> Option<Resolution>) -> bool {
        !self.is(resolve(self.serving().map(|serving| &serving.settings)).as_ref())
    }

    fn is(&self, resolution: Option<&Resolution>) -> bool {
        match (self, resolution) {
            (Self::Unknown, None) => true,
            (Self::Refused(reason, message), Some(Resolution::Refused(other, text))) => (reason, message) == (other, text),
            (Self::Unresolved(reason, message), Some(Resolution::Unresolved(other, text))) => (reason, message) == (other, text),
            (Self::Serving(serving), Some(Resolution::Serving(settings))) => serving.settings == **settings,
            (Self::Unknown | Self::Refused(..) | Self::Unresolved(..) | Self::Serving(_), _) => false,
        }
    }

    /// Takes on what the tenant object amounts to. Yields whether that is something else than before. `reach` makes what the
    /// tenant is reached with, from its new settings and from what it was before, if it served.
    pub(crate) fn take_on(
        &mut self,
        resolved: ResolvedTenant,
        now: Instant,
        reach: impl FnOnce(&TenantSettings, Option<&Serving<R>>) -> R,
    ) -> bool {
        let ResolvedTenant { resolution, grace_ends } = resolved;
        if self.is(resolution.as_ref()) {
            if let (Self::Serving(serving), Some(Resolution::Serving(settings))) = (self, resolution) {
                // The same to everybody, but perhaps from another Secret: that is the one that may be away.
                serving.settings = *settings;
                serving.grace_ends = grace_ends;
            }
            return false;
        }
        let old = match std::mem::replace(self, Self::Unknown) {
            Self::Serving(old) => Some(old),
            Self::Unknown | Self::Refused(..) | Self::Unresolved(..) => None,
        };
        *self = match resolution {
            None => Self::Unknown,
            Some(Resolution::Refused(reason, message)) => Self::Refused(reason, message),
            Some(Resolution::Unresolved(reason, message)) => Self::Unresolved(reason, message),
            Some(Resolution::Serving(settings)) => {
                let reach = reach(&settings, old.as_deref());
                let same = old.filter(|old| old.settings.same_access(&settings)).map(|old| old.authentication);
                let authentication = same.unwrap_or_else(|| Authentication::untried(now));
                Self::Serving(Box::new(Serving { settings: *settings, reach, authentication, grace_ends }))
            }
        };
        true
    }

    /// What is said of the tenant's objects while no pass can run; nothing when one can. `name` is that of the tenant object, and
    /// `meant` what was probably meant where there is none.
    pub(crate) fn not_ready(&self, name: &str, meant: impl FnOnce() -> Option<String>) -> Option<Outcome> {
        let named = |message: &str| Some(Outcome::TenantNotReady(format!("the ClusterAuth0Tenant {name} is not ready: {message}")));
        match self {
            Self::Unknown => Some(Outcome::TenantNotFound { meant: meant() }),
            Self::Refused(_, message) | Self::Unresolved(_, message) => named(message),
            Self::Serving(serving) => match serving.authentication.answer() {
                Answer::Accepted { .. } => None,
                Answer::Untried => named(UNTRIED),
                Answer::Refused(message) | Answer::RefusedByApi(message) => named(message),
                Answer::Unknown(obstacle) if obstacle.reason == ObstacleReason::TenantNotReady => named(&obstacle.message),
                Answer::Unknown(obstacle) => Some(Outcome::Unread(obstacle.clone())),
            },
        }
    }

    /// What the tenant object amounts to, as its status is concluded from it.
    pub(crate) fn resolution(&self) -> Option<Resolution> {
        match self {
            Self::Unknown => None,
            Self::Refused(reason, message) => Some(Resolution::Refused(*reason, message.clone())),
            Self::Unresolved(reason, message) => Some(Resolution::Unresolved(*reason, message.clone())),
            Self::Serving(serving) => Some(Resolution::Serving(Box::new(serving.settings.clone()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::tenant::ClusterAuth0TenantStatus;
    use crate::core::tenant::{CredentialsState, resolve_with};
    use crate::core::world::{DeclaredTenant, SecretData, World};
    use crate::model::domain::AllowedDomains;

    type State = TenantState<&'static str>;

    /// What makes a tenant object amount to something.
    #[derive(Clone, Copy)]
    struct Object {
        domain: &'static str,
        /// The name of the Secret.
        secret_ref: &'static str,
        secret: Option<&'static str>,
        interval: i32,
    }

    const GOOD: Object = Object { domain: "one.eu.auth0.com", secret_ref: "credentials", secret: Some("secret"), interval: 600 };
    const AWAY: Object = Object { secret: None, ..GOOD };
    const BAD: Object = Object { domain: "example.org", ..GOOD };

    fn resolve(object: Option<Object>, kept: Option<&TenantSettings>) -> Option<Resolution> {
        let mut world = World::default();
        let Object { domain, secret_ref, secret, interval } = object?;
        let spec = json!({
            "domain": domain,
            "credentials": {"secretRef": {"name": secret_ref}},
            "access": [{"namespaceSelector": {}, "connections": ["*"]}],
            "resyncIntervalSeconds": interval,
        });
        let name = || "t".to_owned();
        let (spec, status) = (Some(serde_json::from_value(spec).unwrap()), ClusterAuth0TenantStatus::default());
        world.apply_tenant(DeclaredTenant {
            name: name(),
            uid: name().into(),
            resource_version: name(),
            generation: 1,
            created: 0,
            spec,
            reconcile_at: None,
            status,
        });
        if let Some(secret) = secret {
            let held =
                SecretData { client_id: Some("id".to_owned()), client_secret: Some(secret.to_owned().into()), ..SecretData::default() };
            world.apply_secret(secret_ref.to_owned(), held);
        }
        resolve_with(&world, "t", &AllowedDomains::default(), "operator", kept)
    }

    /// Takes on what this object amounts to; yields whether that is something else.
    fn take_on(state: &mut State, object: Option<Object>, now: Instant) -> bool {
        let resolved = state.resolve(now, |kept| resolve(object, kept));
        state.take_on(resolved, now, |_, old| if old.is_some() { "kept" } else { "made" })
    }

    fn kind(state: &State) -> &'static str {
        match state {
            State::Unknown => "unknown",
            State::Refused(..) => "refused",
            State::Unresolved(..) => "unresolved",
            State::Serving(_) => "serving",
        }
    }

    /// A state that was reached from nothing by this object, whose credentials were accepted.
    fn of(object: Option<Object>, now: Instant) -> State {
        let mut state = State::Unknown;
        take_on(&mut state, object, now);
        if let Some(serving) = state.serving_mut() {
            serving.authentication.begin();
            serving.authentication.token_granted(None, 1, (now, 1.0));
        }
        state
    }

    #[test]
    fn what_a_judged_object_makes_of_each_state() {
        let now = Instant::now();
        let (rotated, slower) = (Object { secret: Some("rotated"), ..GOOD }, Object { interval: 900, ..GOOD });
        // The object before and after; the state, whether it is another one, and whether the credentials are still accepted.
        for (before, after, expected) in [
            (None, None, ("unknown", false, None)),
            (None, Some(BAD), ("refused", true, None)),
            (None, Some(AWAY), ("unresolved", true, None)),
            (None, Some(GOOD), ("serving", true, Some(false))),
            (Some(BAD), Some(BAD), ("refused", false, None)),
            (Some(BAD), None, ("unknown", true, None)),
            (Some(BAD), Some(GOOD), ("serving", true, Some(false))),
            (Some(AWAY), Some(AWAY), ("unresolved", false, None)),
            (Some(AWAY), Some(BAD), ("refused", true, None)),
            (Some(AWAY), Some(GOOD), ("serving", true, Some(false))),
            (Some(GOOD), Some(GOOD), ("serving", false, Some(true))),
            (Some(GOOD), Some(slower), ("serving", true, Some(true))),
            (Some(GOOD), Some(rotated), ("serving", true, Some(false))),
            (Some(GOOD), Some(Object { domain: "two.eu.auth0.com", ..GOOD }), ("serving", true, Some(false))),
            // The Secret is away for a moment: its credentials go on, also where something else changes.
            (Some(GOOD), Some(AWAY), ("serving", false, Some(true))),
            (Some(GOOD), Some(Object { secret: None, ..slower }), ("serving", true, Some(true))),
            (Some(GOOD), Some(Object { domain: "two.eu.auth0.com", ..AWAY }), ("unresolved", true, None)),
            (Some(GOOD), Some(BAD), ("refused", true, None)),
            (Some(GOOD), None, ("unknown", true, None)),
        ] {
            let mut state = of(before, now);
            let outdated = state.is_outdated(|kept| resolve(after, kept));
            let changed = take_on(&mut state, after, now);
            let accepted = state.serving().map(|serving| serving.authentication.is_accepted());
            assert_eq!((kind(&state), changed, accepted), expected);
            assert_eq!(outdated, changed, "what would be taken on is what makes the state an old one");
            assert_eq!(state.resolution(), resolve(after, state.serving().map(|serving| &serving.settings)));
        }
    }

    #[test]
    fn credentials_outlast_a_secret_that_is_away_by_the_grace_and_no_longer() {
        let now = Instant::now();
        let mut state = of(Some(GOOD), now);
        take_on(&mut state, Some(AWAY), now);
        assert_eq!(state.grace_ends(), Some(now + SECRET_GRACE));
        take_on(&mut state, Some(AWAY), now + SECRET_GRACE / 2);
        assert_eq!(state.grace_ends(), Some(now + SECRET_GRACE), "the first look counts");
        take_on(&mut state, Some(GOOD), now + SECRET_GRACE / 2);
        assert_eq!((kind(&state), state.grace_ends()), ("serving", None));
        take_on(&mut state, Some(AWAY), now);
        assert!(take_on(&mut state, Some(AWAY), now + SECRET_GRACE));
        assert_eq!((kind(&state), state.grace_ends()), ("unresolved", None));
    }

    #[test]
    fn credentials_that_are_read_from_another_secret_outlast_that_one() {
        let now = Instant::now();
        let (mut state, renamed) = (of(Some(GOOD), now), Object { secret_ref: "renamed", ..GOOD });
        assert!(!take_on(&mut state, Some(renamed), now), "they are the same");
        assert!(!take_on(&mut state, Some(Object { secret: None, ..renamed }), now));
        assert_eq!((kind(&state), state.grace_ends()), ("serving", Some(now + SECRET_GRACE)));
    }

    #[test]
    fn objects_are_told_why_no_pass_can_run() {
        let now = Instant::now();
        let told = |state: &State| state.not_ready("t", || None);
        let named = |outcome: Option<Outcome>| matches!(outcome, Some(Outcome::TenantNotReady(text)) if text.contains("t is not ready"));
        assert!(matches!(told(&State::Unknown), Some(Outcome::TenantNotFound { meant: None })));
        assert!(named(told(&of(Some(BAD), now))) && named(told(&of(Some(AWAY), now))));
        let mut state = of(Some(GOOD), now);
        assert!(told(&state).is_none());
        let serving = state.serving_mut().unwrap();
        serving.authentication.refused_by_api(
            (crate::core::schedule::ConnectionKey::Name("shop".into()), false),
            "m".to_owned(),
            (now, 1.0),
        );
        assert_eq!(serving.authentication.credentials_state(), CredentialsState::Refused("m".to_owned()));
        assert!(named(told(&state)));
    }
}
