//! What is declared is unusual: connections with something that is worth a warning, and tenant objects whose domain may not be asked
//! anything, or is none.

use fastrand::Rng;

use super::by_any_name;
use crate::action::Action;
use crate::declare::{CONNECTIONS, DOMAINS, PARAMS, TenantDeclaration, UNUSABLE};
use crate::noise::{Edit, MARKER, TenantAction};

/// What a tenant object looks at its connections every so many seconds.
const RESYNC: u32 = 15;

/// One of these, or an edit.
pub(super) fn happens(rng: &mut Rng) -> Vec<Action> {
    let (slot, connection) = (rng.usize(..3), CONNECTIONS[rng.usize(..2)].0.to_owned());
    let edited = |edit| vec![Action::Auth0(0, TenantAction::Edited(connection.clone(), edit))];
    let auth_params = || "authParams".to_owned();
    match rng.u8(..20) {
        0..3 => vec![tenant(0, DOMAINS.len() + rng.usize(..UNUSABLE.len()))],
        3..6 => vec![tenant(0, 0)],
        // A second one beside it, mostly of the same Auth0 tenant.
        6 => vec![tenant(1, [0, 0, DOMAINS.len()][rng.usize(..3)])],
        7 => vec![Action::DeleteTenant(rng.usize(..2))],
        8..10 => edited(Edit::Option(auth_params(), format!(r#"{{"{}":"{MARKER}"}}"#, PARAMS[rng.usize(..2)]))),
        10 => edited(Edit::OptionRemoved(auth_params())),
        11 => {
            let strategy = ["evernote", "bitbucket", "wordpress"][rng.usize(..3)].to_owned();
            vec![Action::Auth0(0, TenantAction::Remade { name: connection, strategy, number: rng.u32(..9) })]
        }
        12..14 => vec![Action::Delete(slot)],
        14 => vec![Action::Kill(0), Action::Start(0)],
        _ => vec![Action::Declare(slot, by_any_name(rng, slot))],
    }
}

fn tenant(number: usize, domain: usize) -> Action {
    Action::Tenant(number, TenantDeclaration { resync: RESYNC, ..TenantDeclaration::open(domain) })
}
