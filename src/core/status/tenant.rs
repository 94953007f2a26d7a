//! What is said of a `ClusterAuth0Tenant`: from what it resolves to and what Auth0 said of its credentials to
//! conditions.
//!
//! Guarantees: as for objects; a tenant that does not answer for a moment has not refused anything.

use super::conditions::{Before, Finding};
use crate::api::reason::{ConditionStatus, ConditionType, Reason};
use crate::api::tenant::ClusterAuth0TenantStatus;
use crate::core::tenant::{CredentialsState, Resolution, UNTRIED};
use crate::core::world::DeclaredTenant;

/// What is said of a tenant that gave a token.
const ACCEPTED: &str = "Auth0 accepted the credentials";

/// The status of a tenant. What was asked for and carried out before stays recorded.
pub fn conclude(
    tenant: &DeclaredTenant,
    resolution: &Resolution,
    credentials: &CredentialsState,
    now: jiff::Timestamp,
) -> ClusterAuth0TenantStatus {
    let before = Before { conditions: &tenant.status.conditions, generation: tenant.generation, now };
    let [accepted, resolved, authenticated] = findings(before, resolution, credentials);
    let ready = ready([&accepted, &resolved, &authenticated]);
    let progress = progress(&ready);
    let always = [
        (ConditionType::Ready, ready),
        (ConditionType::Accepted, accepted),
        (ConditionType::ResolvedRefs, resolved),
        (ConditionType::Authenticated, authenticated),
    ];
    ClusterAuth0TenantStatus {
        observed_generation: Some(tenant.generation),
        conditions: before.all_dated(always.into_iter().chain(progress)),
        last_handled_reconcile_at: tenant.status.last_handled_reconcile_at.clone(),
    }
}

/// `Accepted`, `ResolvedRefs` and `Authenticated`.
fn findings(before: Before<'_>, resolution: &Resolution, credentials: &CredentialsState) -> [Finding; 3] {
    let accepted =
        || Finding::holds(Reason::Accepted, "the domain is allowed, and no older ClusterAuth0Tenant is for the same Auth0 tenant");
    match resolution {
        Resolution::Refused(reason, message) => [
            Finding::fails((*reason).into(), message),
            Finding::pending("the operator reads the Secret when Accepted is True"),
            Finding::pending("the operator tries the credentials when Accepted is True"),
        ],
        Resolution::Unresolved(reason, message) => [
            accepted(),
            Finding::fails((*reason).into(), message),
            Finding::pending("the operator tries the credentials when ResolvedRefs is True"),
        ],
        Resolution::Serving(settings) => {
            // Whoever wonders why another operator does nothing sees here which one serves. Its namespace, not its pod: a
            // new version of the operator changes no status.
            let message = format!("the Secret in {}, the namespace of the leading operator, has the credentials", settings.namespace);
            [accepted(), Finding::holds(Reason::ResolvedRefs, message), authenticated(before, credentials)]
        }
    }
}

fn authenticated(before: Before<'_>, credentials: &CredentialsState) -> Finding {
    let kept = before.of_this_generation(ConditionType::Authenticated);
    let kept = kept.filter(|old| old.status == ConditionStatus::True.as_str()).map(|old| &old.message);
    let accepted = |message: String| Finding::holds(Reason::Authenticated, message);
    let still = |trouble: &str| accepted(format!("Auth0 accepted the credentials before; now: {trouble}"));
    match (credentials, kept) {
        (CredentialsState::Granted, _) => accepted(ACCEPTED.to_owned()),
        (CredentialsState::Refused(message), _) => Finding::fails(Reason::AuthenticationFailed, message),
        (CredentialsState::Lacking(message), _) => Finding::fails(Reason::MissingScope, message),
        (CredentialsState::Untried, Some(message)) => accepted(message.clone()),
        (CredentialsState::Untried, None) => Finding::pending(UNTRIED),
        (CredentialsState::Troubled(message), _) => still(message),
        (CredentialsState::Unknown(obstacle), Some(_)) => still(&obstacle.message),
        (CredentialsState::Unknown(obstacle), None) => Finding::pending(&obstacle.message),
    }
}

fn ready(parts: [&Finding; 3]) -> Finding {
    let [_, _, authenticated] = parts;
    match parts.into_iter().find(|finding| !finding.is_true()) {
        None if authenticated.message == ACCEPTED => Finding::holds(Reason::Ready, "the operator can use the tenant"),
        // Whoever asks why nothing happens looks here first.
        None => Finding::holds(Reason::Ready, &authenticated.message),
        Some(finding) => finding.clone(),
    }
}

/// `Reconciling` or `Stalled`, or neither.
fn progress(ready: &Finding) -> Option<(ConditionType, Finding)> {
    if [Reason::InvalidDomain, Reason::InvalidSpec].contains(&ready.reason) {
        // Only a change of this object, or of a domain another object, helps.
        return Some((ConditionType::Stalled, Finding::holds(ready.reason, &ready.message)));
    }
    let reason = match ready.status {
        ConditionStatus::True => return None,
        ConditionStatus::Unknown => Reason::Progressing,
        ConditionStatus::False => Reason::ProgressingWithRetry,
    };
    Some((ConditionType::Reconciling, Finding::holds(reason, &ready.message)))
}
