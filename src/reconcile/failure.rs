//! What a failed call to a tenant is to the objects it was made for: the one translation from the words of the tenant edge to those
//! of the status.
//!
//! Guarantees: complete; each way to fail has one reason, whoever made the call, and one pace for each step that can fail.

use crate::auth0::{About, Failure, Retry, Route};
use crate::core::obstacle::{Obstacle, ObstacleReason};
use crate::core::schedule::pace::Pace;

/// The part of a pass that a failed call belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The connection could not be read.
    Read,
    /// It was read, and could not be written.
    Write,
}

/// How soon a pass is tried again that failed like this. `count` counts the failure, and yields how many there are in a row: only
/// what backs off is counted.
pub(crate) fn pace_of(failure: &Failure, phase: Phase, count: impl FnOnce() -> u32) -> Pace {
    match (failure.retry(), phase) {
        // The budget waits as long by itself, but not for the token endpoint, whose limit is none of the two buckets.
        (Retry::After(after), Phase::Read) => Pace::After(after),
        // A limit that admits one request then admits the read of the next pass and refuses its write: so each time it
        // gets twice as long to let through both.
        (Retry::After(after), Phase::Write) => Pace::After(after.saturating_mul(2_u32.saturating_pow(count().saturating_sub(1)))),
        // The tenant showed the connection a moment ago, so what kept it from taking a write may be away as soon, also where a
        // read waits for somebody to put it right.
        (Retry::Backoff, Phase::Read) | (Retry::Backoff | Retry::ResyncPace | Retry::Never, Phase::Write) => Pace::Backoff(count()),
        (Retry::ResyncPace | Retry::Never, Phase::Read) => Pace::Routine,
    }
}

/// The obstacle that a failed call is.
pub(crate) fn obstacle_of(failure: &Failure) -> Obstacle {
    Obstacle { reason: reason(failure), message: failure.message(), tenant_wide: failure.tenant_wide() }
}

/// Its reason. Without a token, which is of the tenant as a whole, nothing is said of a connection.
const fn reason(failure: &Failure) -> ObstacleReason {
    match failure {
        Failure::RateLimited { .. } => ObstacleReason::RateLimited,
        Failure::DomainNotAllowed { .. }
        | Failure::AddressNotAllowed { .. }
        | Failure::CredentialsRejected { .. }
        | Failure::Unauthorized { .. }
        | Failure::MissingScope { .. }
        | Failure::TimedOut { route: Route::Token }
        | Failure::Interrupted { route: Route::Token }
        | Failure::ClientError { route: Route::Token, .. }
        | Failure::ServerError { route: Route::Token, .. }
        | Failure::TooLarge { route: Route::Token }
        | Failure::Malformed { route: Route::Token, .. } => ObstacleReason::TenantNotReady,
        Failure::OutOfTime
        | Failure::Unreachable { .. }
        | Failure::TimedOut { .. }
        | Failure::Interrupted { .. }
        | Failure::ServerError { .. }
        | Failure::Redirected { .. }
        | Failure::TooLarge { .. }
        | Failure::Malformed { .. } => ObstacleReason::RemoteUnavailable,
        Failure::BadDocument { error, .. } => ObstacleReason::of_document(*error),
        Failure::Rejected { about: About::Params | About::Entry(_), .. } => ObstacleReason::Rejected,
        Failure::Gone => ObstacleReason::ConnectionNotFound,
        Failure::Forbidden { .. } | Failure::Rejected { about: About::Options | About::Foreign(_), .. } | Failure::ClientError { .. } => {
            ObstacleReason::ApplyFailed
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::document::DocumentError;
    use crate::model::domain::Domain;

    #[test]
    fn a_write_is_tried_again_soon_whatever_kept_it_away_and_a_read_waits_for_whoever_has_to_act() {
        let seconds = Duration::from_secs(7);
        let limited = Failure::RateLimited { global: true, retry_after: Some(seconds) };
        let passing = Failure::ServerError { route: Route::ReadConnection, status: 502 };
        for (failure, read, write) in [
            (&limited, Pace::After(seconds), Pace::After(seconds * 4)),
            (&passing, Pace::Backoff(3), Pace::Backoff(3)),
            (&Failure::Gone, Pace::Routine, Pace::Backoff(3)),
            (&Failure::Rejected { message: String::new(), about: About::Params }, Pace::Routine, Pace::Backoff(3)),
        ] {
            let paces = [Phase::Read, Phase::Write].map(|phase| pace_of(failure, phase, || 3));
            assert_eq!(paces, [read, write], "{failure:?}");
        }
    }

    #[test]
    fn each_failure_has_its_reason_and_its_consequences() {
        let hidden = Failure::BadDocument { route: Route::ReadConnection, error: DocumentError::OptionsHidden };
        let no_params = Failure::BadDocument { route: Route::ReadConnection, error: DocumentError::ParamsNotAnObject };
        let rejected = |about| Failure::Rejected { message: "m".to_owned(), about };
        let domain = Domain::parse("example.auth0.com").expect("domain");
        for (failure, reason, retry, tenant_wide) in [
            (rejected(About::Params), ObstacleReason::Rejected, Retry::Never, false),
            (rejected(About::Entry("blog".to_owned())), ObstacleReason::Rejected, Retry::Never, false),
            (rejected(About::Foreign("blog".to_owned())), ObstacleReason::ApplyFailed, Retry::Backoff, false),
            (rejected(About::Options), ObstacleReason::ApplyFailed, Retry::Backoff, false),
            (hidden, ObstacleReason::OptionsHidden, Retry::Backoff, true),
            (no_params, ObstacleReason::ApplyFailed, Retry::ResyncPace, false),
            (Failure::MissingScope { scopes: vec![] }, ObstacleReason::TenantNotReady, Retry::ResyncPace, true),
            (Failure::Forbidden { message: String::new() }, ObstacleReason::ApplyFailed, Retry::Backoff, false),
            (Failure::ServerError { route: Route::WriteConnection, status: 502 }, ObstacleReason::RemoteUnavailable, Retry::Backoff, true),
            (
                Failure::RateLimited { global: true, retry_after: None },
                ObstacleReason::RateLimited,
                Retry::After(Duration::from_secs(1)),
                true,
            ),
            (Failure::Gone, ObstacleReason::ConnectionNotFound, Retry::ResyncPace, false),
            (Failure::DomainNotAllowed { domain: domain.clone() }, ObstacleReason::TenantNotReady, Retry::Never, true),
            (Failure::AddressNotAllowed { domain }, ObstacleReason::TenantNotReady, Retry::ResyncPace, true),
        ] {
            let obstacle = obstacle_of(&failure);
            assert_eq!((obstacle.reason, failure.retry(), obstacle.tenant_wide), (reason, retry, tenant_wide), "{failure:?}");
        }
    }
}
