//! What a failed call to a tenant is to the objects it was made for: the one translation from the words of the tenant edge to those
//! of the status.
//!
//! Guarantees: complete; each way to fail has one reason, whoever made the call.

use crate::auth0::{About, Failure, Route};
use crate::core::obstacle::{Obstacle, ObstacleReason};
use crate::model::document::DocumentError;

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
        Failure::BadDocument { error: DocumentError::OptionsHidden | DocumentError::OptionsUnusable, .. } => ObstacleReason::OptionsHidden,
        Failure::Rejected { about: About::Params | About::Entry(_), .. } => ObstacleReason::Rejected,
        Failure::Gone => ObstacleReason::ConnectionNotFound,
        Failure::Forbidden { .. }
        | Failure::Rejected { about: About::Options | About::Foreign(_), .. }
        | Failure::ClientError { .. }
        | Failure::BadDocument { .. } => ObstacleReason::ApplyFailed,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::auth0::Retry;
    use crate::model::domain::Domain;

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
