//! Histories that are about one thing, so that what is rare elsewhere meets in them: the Lease that changes hands while writes are on
//! their way, people who are quick, watches that lag, somebody who fights, and an API that refuses.

mod asleep;
mod lasting;
mod lists;
mod scarce;
mod unseen;
mod unusual;

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

use crate::action::{Action, Forgery, LeaseTrouble, WATCHED};
use crate::cluster::Kind;
use crate::declare::{AccessDeclaration, CONNECTIONS, Declaration, ENTRIES, NAMESPACES, Named, PARAMS, SLOTS, TenantDeclaration};
use crate::history::{AtCall, CALLS, fate};
use crate::network::Fate;
use crate::noise::{Complaint, Edit, MARKER, Meets, Misfortune, SCOPES, TenantAction, Trouble};

/// How many replicas there are where the Lease changes hands.
const REPLICAS: usize = 2;

/// What a history is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// The Lease passes from one to the other while writes are on their way: it can't be renewed, its holder is killed, cut off or asked
    /// to end, somebody deletes it, and all the time there is something to be written.
    Takeover,
    /// People change what a pass rests on, at its calls.
    Meddling,
    /// Who is admitted goes by labels that change; watches lag, break and begin anew; names are taken again at once.
    Watches,
    /// Another tool sets the same parameters again and again, and Auth0 refuses some writes.
    Dispute,
    /// Little may be asked, and there is always an edit to be looked at.
    Scarce,
    /// What answers in the place of Auth0 does not know what it speaks of, and tokens take their time.
    Answers,
    /// Namespaces are new, and what is in them is seen before they are; processes begin again and again.
    Newcomers,
    /// Trouble lasts, and is one connection's, one value's or one scope's; a tenant object is made anew while writes are on their way.
    Lasting,
    /// One replica has not seen a new namespace yet, and it leads, or comes to lead.
    Unseen,
    /// Watches begin anew, and what they list takes its time to arrive, while writes are stored that were under way.
    Lists,
    /// Replicas sleep, as with their machine, between a read and a write, and between two renewals of the Lease.
    Asleep,
    /// What is declared is worth a warning, and the domain of a tenant object may not be asked anything, or is none.
    Unusual,
}

/// What a scene makes of a history.
#[derive(Debug)]
pub struct Drawn {
    /// How many replicas run.
    pub replicas: usize,
    /// The tenant object that is there at the beginning.
    pub tenant: TenantDeclaration,
    /// What happens.
    pub steps: Vec<(Duration, Action)>,
    /// What happens to calls.
    pub calls: BTreeMap<u32, AtCall>,
}

impl Scene {
    /// What the history of a seed is about, if it is about one thing. What else is drawn from the seed does not depend on it.
    pub fn of(seed: u64) -> Option<Self> {
        let mut rng = Rng::with_seed(!seed);
        match rng.u8(..32) {
            0..4 => Some(Self::Takeover),
            4..8 => Some(Self::Meddling),
            8..11 => Some(Self::Watches),
            11..14 => Some(Self::Dispute),
            17 | 23 => Some(Self::Scarce),
            27 if rng.bool() => Some(Self::Lasting),
            27 => Some(Self::Answers),
            30 => Some(Self::Newcomers),
            // Every seed that had failed before there were these, and the first of all, tell what they told.
            _ => match rng.u8(..32) {
                0..3 => Some(Self::Unseen),
                18..20 | 29 => Some(Self::Lists),
                _ => match rng.u8(..64) {
                    9..12 | 51..54 => Some(Self::Unusual),
                    19 | 21 | 22 | 24 => Some(Self::Asleep),
                    _ => None,
                },
            },
        }
    }

    /// Draws it.
    pub fn draw(self, rng: &mut Rng) -> Drawn {
        let (tenant, steps) = match self {
            Self::Takeover => (TenantDeclaration::open(0), takeover(rng)),
            Self::Meddling => (tenant(rng), several(rng, 2, declaration, |rng| vec![meddles(rng)])),
            Self::Watches => (tenant(rng), several(rng, 3, declaration, watches)),
            Self::Dispute => (TenantDeclaration { resync: 15, ..TenantDeclaration::open(0) }, dispute(rng)),
            Self::Scarce => {
                let rate = [(30, 60, 3), (60, 60, 2), (20, 20, 5)][rng.usize(..3)];
                (TenantDeclaration { rate, resync: [5, 15][rng.usize(..2)], ..TenantDeclaration::open(0) }, scarce::steps(rng, rate.0))
            }
            Self::Answers => (TenantDeclaration { resync: 15, ..TenantDeclaration::open(0) }, several(rng, 3, by_any_name, answers)),
            Self::Newcomers => (tenant(rng), several(rng, 2, declaration, newcomers)),
            Self::Lasting => {
                (TenantDeclaration { resync: 15, ..TenantDeclaration::open(0) }, several(rng, 3, by_any_name, lasting::happens))
            }
            Self::Unseen => (tenant(rng), unseen::steps(rng)),
            Self::Lists => (TenantDeclaration { resync: 15, ..TenantDeclaration::open(0) }, lists::steps(rng)),
            Self::Asleep => (TenantDeclaration { resync: 15, ..TenantDeclaration::open(0) }, asleep::steps(rng)),
            Self::Unusual => {
                (TenantDeclaration { resync: 15, ..TenantDeclaration::open(0) }, several(rng, 3, by_any_name, unusual::happens))
            }
        };
        let per_mille = match self {
            Self::Meddling => [60, 150, 300][rng.usize(..3)],
            Self::Newcomers => [0, 0, 60][rng.usize(..3)],
            Self::Asleep => [40, 120][rng.usize(..2)],
            Self::Takeover
            | Self::Watches
            | Self::Dispute
            | Self::Scarce
            | Self::Answers
            | Self::Lasting
            | Self::Unseen
            | Self::Lists
            | Self::Unusual => 0,
        };
        let at = |rng: &mut Rng| match rng.u8(..10) {
            _ if self == Self::Asleep => asleep::at_call(rng),
            0 => AtCall::Fate(fate(rng)),
            1..4 => AtCall::Before(meddles(rng)),
            _ => AtCall::After(meddles(rng)),
        };
        let mut calls = BTreeMap::new();
        for number in 1..=CALLS {
            if rng.u32(..1000) < per_mille {
                calls.insert(number, at(rng));
            }
        }
        if self == Self::Meddling && rng.bool() {
            // A write is refused for its token, and a new one takes its time.
            let (number, out) = (rng.u32(8..60), Duration::from_millis([900, 2_500, 9_000][rng.usize(..3)]));
            calls.insert(number, AtCall::Before(Action::Auth0(0, TenantAction::TokensRevoked)));
            calls.insert(number + 1, AtCall::Fate(Fate { out, ..Fate::PROMPT }));
        }
        let replicas = if matches!(self, Self::Takeover | Self::Unseen | Self::Asleep) { REPLICAS } else { 1 };
        Drawn { replicas, tenant, steps, calls }
    }
}

fn millis(rng: &mut Rng, most: u64) -> Duration {
    Duration::from_millis(rng.u64(..=most))
}

/// One that admits both teams by their labels, or one of them, to everything.
fn tenant(rng: &mut Rng) -> TenantDeclaration {
    let admits = |team| AccessDeclaration { team: Some(team), connections: &["*"], reserved: false };
    let access = match rng.u8(..6) {
        0 => vec![admits("a")],
        1 => vec![admits("b")],
        _ => vec![admits("a"), admits("b")],
    };
    TenantDeclaration { access, observe: rng.u8(..12) == 0, ..TenantDeclaration::open(usize::from(rng.u8(..12) == 0)) }
}

/// One of few, so that they meet: of two parameters of one connection.
fn declaration(rng: &mut Rng, _: usize) -> Declaration {
    let names: [&[usize]; 3] = [&[0], &[1], &[0, 1]];
    let names = names[rng.usize(..3)];
    Declaration {
        tenant: 0,
        connection: Named::ByName(usize::from(rng.u8(..8) == 0)),
        params: names.iter().map(|name| (*name, rng.usize(1..3))).collect(),
        observe: rng.u8(..5) == 0,
        overwrite: rng.u8(..3) == 0,
        retain: rng.u8(..10) == 0,
        broken: rng.u8(..16) == 0,
    }
}

/// So many objects, and after they were looked at some more of what happens here.
fn several(
    rng: &mut Rng,
    slots: usize,
    declares: impl Fn(&mut Rng, usize) -> Declaration,
    happens: impl Fn(&mut Rng) -> Vec<Action>,
) -> Vec<(Duration, Action)> {
    let mut steps: Vec<(Duration, Action)> = (0..slots).map(|slot| (Duration::ZERO, Action::Declare(slot, declares(rng, slot)))).collect();
    steps.push((Duration::from_secs(3), Action::Annotate(0)));
    for _ in 0..rng.usize(6..20) {
        let pause = [0, 0, 20, 300, 4_000, 20_000][rng.usize(..6)];
        for (nth, action) in happens(rng).into_iter().enumerate() {
            let most = if nth == 0 { pause } else { [0, 0, 10][rng.usize(..3)] };
            let pause = millis(rng, most);
            steps.push((pause, action));
        }
    }
    steps
}

/// What people do who are quick.
fn meddles(rng: &mut Rng) -> Action {
    let slot = rng.usize(..3);
    match rng.u8(..24) {
        0..9 => Action::Declare(slot, declaration(rng, slot)),
        9..11 => Action::Delete(slot),
        11..13 => Action::Forge(slot, Forgery::Erased),
        13 => Action::TakeFinalizer(slot),
        14..18 => Action::Label(rng.usize(..NAMESPACES.len()), [None, Some("a"), Some("b")][rng.usize(..3)]),
        18 => Action::Forge(slot, Forgery::Copied(rng.usize(..3))),
        19..22 => Action::Tenant(0, tenant(rng)),
        _ => Action::Auth0(0, TenantAction::TokensRevoked),
    }
}

/// What watches show late, or not at all: one thing, or several at once.
fn watches(rng: &mut Rng) -> Vec<Action> {
    let slot = rng.usize(..3);
    let other = (slot + 1) % 3;
    let namespace = usize::from(SLOTS[slot].0 == NAMESPACES[1]);
    let label = |rng: &mut Rng| Action::Label(namespace, [None, Some("a"), Some("b")][rng.usize(..3)]);
    let lag = |rng: &mut Rng, kind| Action::Lag(kind, Duration::from_millis([0, 20, 300, 4_000][rng.usize(..4)]));
    let declare = |rng: &mut Rng, slot| Action::Declare(slot, declaration(rng, slot));
    match rng.u8(..32) {
        0..5 => vec![declare(rng, slot)],
        5..8 => vec![Action::Delete(slot)],
        8..12 => vec![label(rng)],
        12..16 => {
            let kind = WATCHED[rng.usize(..4)];
            vec![lag(rng, kind)]
        }
        16..18 => vec![Action::CutWatches(rng.bool())],
        18 => vec![Action::Backup],
        19 => vec![Action::RestoreStore],
        20 => vec![Action::Kill(0)],
        21..23 => vec![Action::Start(0)],
        // A name is taken again at once.
        23..25 => vec![lag(rng, Kind::Object), Action::Delete(slot), declare(rng, slot)],
        25..29 => {
            let late = lag(rng, Kind::Namespace);
            let anew = [Action::DeleteNamespace(namespace), Action::CreateNamespace(namespace), label(rng)];
            [late].into_iter().chain(anew).chain([declare(rng, slot), declare(rng, other)]).collect()
        }
        29 => vec![Action::CutWatches(true), Action::Delete(slot), label(rng)],
        _ => vec![lag(rng, Kind::Tenant), Action::DeleteTenant(0), Action::Tenant(0, tenant(rng)), declare(rng, slot)],
    }
}

/// Two objects on one connection, and somebody else who sets what they declare.
fn dispute(rng: &mut Rng) -> Vec<(Duration, Action)> {
    let declares = |rng: &mut Rng, slot: usize| Declaration {
        observe: false,
        overwrite: true,
        broken: false,
        params: vec![(slot, rng.usize(1..3))],
        connection: Named::ByName(0),
        ..declaration(rng, slot)
    };
    let connection = || CONNECTIONS[0].0.to_owned();
    let happens = |rng: &mut Rng| {
        let (slot, number) = (rng.usize(..2), rng.u32(1..1000));
        let name = PARAMS[slot].to_owned();
        let refuses = |says, times| {
            let trouble = Trouble { meets: Meets::WritesTo(connection()), after: 0, times, what: Misfortune::Status(400, says) };
            Action::Auth0(0, TenantAction::Trouble(trouble))
        };
        match rng.u8(..30) {
            0..11 => {
                let another = format!(r#"{{"value":"{MARKER}-value-{}"}}"#, number % 3);
                Action::Auth0(0, TenantAction::Edited(connection(), Edit::Param(name, another)))
            }
            11..14 => Action::Auth0(0, TenantAction::Edited(connection(), Edit::ParamRemoved(name))),
            14..17 => refuses(Complaint::Params, Some(rng.usize(1..4))),
            17 => refuses(Complaint::Entry(name), Some(rng.usize(1..3))),
            18 => {
                let value = format!("https://idp.example.com/{MARKER}-{number}");
                Action::Auth0(0, TenantAction::Quoted { connection: connection(), value, times: rng.usize(1..4) })
            }
            19 => Action::Delete(slot),
            20 => Action::RefuseWrites(Duration::from_secs([4, 12, 40][rng.usize(..3)])),
            21 => {
                let odd = ["[]", "null", r#""m4rk3r-text""#, r#"{"theirs":{"value":"m4rk3r-all"}}"#][rng.usize(..4)];
                Action::Auth0(0, TenantAction::Edited(connection(), Edit::Params(odd.to_owned())))
            }
            22 => {
                let what = Misfortune::Status(404, Complaint::Plain);
                let trouble = Trouble { meets: Meets::Connection(connection()), after: 0, times: Some(rng.usize(1..6)), what };
                Action::Auth0(0, TenantAction::Trouble(trouble))
            }
            23 => Action::Auth0(0, TenantAction::TokensNameScopes(rng.u8(..3) == 0)),
            24 => {
                let but_options = [SCOPES[0], SCOPES[2], SCOPES[3]];
                let held = [&SCOPES[..1], &SCOPES[..2], &but_options[..]][rng.usize(..3)];
                let scopes = held.iter().map(|scope| (*scope).to_owned()).collect();
                Action::Auth0(0, TenantAction::WithTokensRevoked(Box::new(TenantAction::Scopes(scopes))))
            }
            _ => Action::Declare(slot, declares(rng, slot)),
        }
    };
    let mut steps = several(rng, 2, declares, |rng| vec![happens(rng)]);
    // Long enough apart to be seen each time.
    for (pause, _) in steps.iter_mut().skip(3) {
        *pause = [Duration::ZERO, Duration::from_secs(16), Duration::from_secs(17), Duration::from_secs(40)][rng.usize(..4)];
    }
    steps
}

/// One that names its connection by its id as often as by its name.
fn by_any_name(rng: &mut Rng, slot: usize) -> Declaration {
    let connection = [Named::ByName(0), Named::ById(0), Named::ById(1), Named::ByName(1)][rng.usize(..4)];
    Declaration { connection, broken: false, ..declaration(rng, slot) }
}

/// Whatever stands before Auth0 says that there is nothing, tokens are refused when something is to be written, and new ones are slow.
fn answers(rng: &mut Rng) -> Vec<Action> {
    let trouble = |meets, what, times| Action::Auth0(0, TenantAction::Trouble(Trouble { meets, after: 0, times: Some(times), what }));
    let connection = CONNECTIONS[rng.usize(..2)].0.to_owned();
    let slot = rng.usize(..3);
    let edit = Action::Declare(slot, by_any_name(rng, slot));
    match rng.u8(..12) {
        0..4 => {
            let says = [Complaint::Plain, Complaint::Page, Complaint::Empty, Complaint::NoConnection][rng.usize(..4)].clone();
            let meets = if rng.bool() { Meets::Connection(connection) } else { Meets::Reads };
            vec![trouble(meets, Misfortune::Status(404, says), rng.usize(1..6)), edit]
        }
        4..8 => {
            let late = [100, 1_500, 2_500, 6_000][rng.usize(..4)];
            let tokens = trouble(Meets::Tokens, Misfortune::Delay(late), 1);
            vec![tokens, trouble(Meets::Writes, Misfortune::Status(401, Complaint::InvalidToken), 1), edit]
        }
        8 => vec![Action::Kill(0), Action::Start(0)],
        9 => vec![Action::Delete(slot)],
        10 => vec![trouble(Meets::Writes, Misfortune::LoseAnswer, 1), edit],
        _ => vec![edit],
    }
}

/// Somebody makes a namespace and what is in it, and is quick; a process begins in the middle of it.
fn newcomers(rng: &mut Rng) -> Vec<Action> {
    let slot = rng.usize(..3);
    let namespace = usize::from(SLOTS[slot].0 == NAMESPACES[1]);
    let team = [None, Some("a"), Some("b")][rng.usize(..3)];
    let declare = Action::Declare(slot, declaration(rng, slot));
    match rng.u8(..12) {
        0..5 => {
            let late = Action::Lag(Kind::Namespace, Duration::from_millis([20, 300, 4_000][rng.usize(..3)]));
            vec![late, Action::DeleteNamespace(namespace), Action::CreateNamespaceWith(namespace, team), declare]
        }
        5..7 => vec![Action::Kill(0), Action::Start(0), declare],
        7 => vec![Action::Delete(slot), Action::Kill(0), Action::Start(0)],
        8 => vec![Action::Label(namespace, team)],
        9 => vec![Action::Delete(slot), declare],
        _ => vec![declare],
    }
}

/// Quiet until somebody leads, then trouble with the Lease, and for longer than a take-over takes an edit every
/// few seconds.
fn takeover(rng: &mut Rng) -> Vec<(Duration, Action)> {
    let mut steps: Vec<(Duration, Action)> = (0..2).map(|slot| (Duration::ZERO, edit(rng, slot))).collect();
    steps.push((Duration::from_secs(4) + millis(rng, 6_000), slow(rng)));
    for _ in 0..rng.usize(..3) {
        steps.push((millis(rng, 3_000), any_edit(rng)));
    }
    steps.push((millis(rng, 4_000), trouble(rng)));
    for _ in 0..rng.usize(8..22) {
        let action = match rng.u8(..20) {
            0..14 => any_edit(rng),
            14..16 => slow(rng),
            16 => trouble(rng),
            17 => Action::JumpClock(rng.usize(..REPLICAS), [-30, 5, 12, 30][rng.usize(..4)]),
            _ => Action::Start(rng.usize(..REPLICAS)),
        };
        steps.push((millis(rng, 5_000), action));
    }
    steps
}

fn slow(rng: &mut Rng) -> Action {
    Action::SlowWrites(Duration::from_millis([0, 50, 9_000, 14_000, 14_000, 19_000][rng.usize(..6)]))
}

fn trouble(rng: &mut Rng) -> Action {
    let replica = rng.usize(..REPLICAS);
    let span = Duration::from_secs([6, 12, 18, 25, 60][rng.usize(..5)]);
    match rng.u8(..12) {
        0..5 => {
            let late = Duration::from_millis([500, 2_500, 4_000, 9_000][rng.usize(..4)]);
            let how = [LeaseTrouble::Lost, LeaseTrouble::Unanswered, LeaseTrouble::Late(late), LeaseTrouble::Refused];
            Action::TroubleLease(replica, how[rng.usize(..4)], span)
        }
        5..7 => Action::Kill(replica),
        7..9 => Action::Stop(replica),
        9 => Action::CutOff(replica, span),
        10 => Action::DeleteLease,
        _ => Action::Outage(Duration::from_secs([1, 12, 40][rng.usize(..3)])),
    }
}

fn any_edit(rng: &mut Rng) -> Action {
    let slot = rng.usize(..2);
    edit(rng, slot)
}

/// Each has a parameter of its own, on one of two connections.
fn edit(rng: &mut Rng, slot: usize) -> Action {
    Action::Declare(
        slot,
        Declaration {
            tenant: 0,
            connection: Named::ByName(if rng.u8(..4) == 0 { 1 - slot } else { slot }),
            params: vec![(slot, rng.usize(..ENTRIES.len()))],
            observe: false,
            overwrite: true,
            retain: false,
            broken: false,
        },
    )
}
