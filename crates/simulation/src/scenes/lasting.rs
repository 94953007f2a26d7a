//! Trouble that lasts, and that is one connection's, one value's or one scope's; and what else is rare: a connection that changes at
//! each read, a tenant object that is made anew while a write is on its way, an object that goes by force while watches lag.

use std::time::Duration;

use fastrand::Rng;

use super::by_any_name;
use crate::action::Action;
use crate::cluster::Kind;
use crate::declare::{CONNECTIONS, TenantDeclaration};
use crate::noise::{Complaint, Edit, Meets, Misfortune, SCOPES, TenantAction, Trouble};

/// How many reads in a row find that the connection has changed.
const CHANGES: usize = 60;

/// One of these, or an edit.
pub(super) fn happens(rng: &mut Rng) -> Vec<Action> {
    let (slot, connection) = (rng.usize(..3), CONNECTIONS[rng.usize(..2)].0.to_owned());
    let always = |meets, what| auth0(trouble(meets, 0, None, what));
    match rng.u8(..20) {
        0..2 => {
            let meets = if rng.bool() { Meets::Connection(connection) } else { Meets::WritesTo(connection) };
            let scope = SCOPES[rng.usize(..SCOPES.len())].to_owned();
            let what = [(401, Complaint::InvalidToken), (403, Complaint::MissingScope(scope)), (403, Complaint::Feature)];
            let (status, complaint) = what[rng.usize(..3)].clone();
            vec![always(meets, Misfortune::Status(status, complaint))]
        }
        2..4 => {
            let value = ["v1", "v2"][rng.usize(..2)].to_owned();
            vec![always(Meets::Writes, Misfortune::Status(400, Complaint::Quoting(value)))]
        }
        4 => {
            let changes = (0..CHANGES).map(|nth| {
                let edit = Edit::Option("seen".to_owned(), nth.to_string());
                auth0(trouble(Meets::Reads, nth, Some(1), Misfortune::EditBetween(edit)))
            });
            std::iter::once(always(Meets::Writes, Misfortune::Status(400, Complaint::Params))).chain(changes).collect()
        }
        5 => {
            let lost = rng.usize(..SCOPES.len());
            let scopes = SCOPES.iter().enumerate().filter(|(nth, _)| *nth != lost).map(|(_, scope)| (*scope).to_owned()).collect();
            vec![auth0(TenantAction::WithTokensRevoked(Box::new(TenantAction::Scopes(scopes))))]
        }
        6..8 => vec![Action::SlowWrites(Duration::from_secs([0, 14][rng.usize(..2)]))],
        8 => vec![Action::DeleteTenant(0)],
        9..11 => vec![Action::Tenant(0, TenantDeclaration { resync: 15, ..TenantDeclaration::open(0) })],
        11 => vec![Action::Lag(Kind::Object, Duration::from_secs([0, 30, 120][rng.usize(..3)]))],
        12 => vec![Action::TakeFinalizer(slot), Action::Delete(slot)],
        13 => vec![auth0(TenantAction::Deleted(connection))],
        14 => vec![auth0(TenantAction::Created { name: connection, strategy: "oidc".to_owned(), number: rng.u32(..9) })],
        _ => vec![Action::Declare(slot, by_any_name(rng, slot))],
    }
}

fn auth0(action: TenantAction) -> Action {
    Action::Auth0(0, action)
}

fn trouble(meets: Meets, after: usize, times: Option<usize>, what: Misfortune) -> TenantAction {
    TenantAction::Trouble(Trouble { meets, after, times, what })
}
