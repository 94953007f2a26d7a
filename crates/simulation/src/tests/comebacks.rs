//! Histories in which something comes back, or goes, right before it matters: at each call of what was begun without it.
//!
//! A PATCH asks for that right before it is sent. So does a status or a finalizer with which a record goes.

use std::time::Duration;

use super::scripts::{BLOG, Beat, HERE, HINT, LANG, anything, at_every_call, declares, live, object, observes, of, param, writes};
use crate::action::{Action, Forgery};
use crate::declare::{AccessDeclaration, CONNECTIONS, Declaration, ENTRIES, PARAMS, TenantDeclaration};
use crate::history::AtCall;
use crate::noise::{Edit, Meets, Misfortune, TenantAction, Trouble};

/// What may happen around each call: this, right before it or right after it took effect.
fn around(action: &Action) -> impl Fn(&str) -> Vec<AtCall> {
    let both = vec![AtCall::Before(action.clone()), AtCall::After(action.clone())];
    move |call| if call.contains("/events") { Vec::new() } else { both.clone() }
}

fn tenant(declaration: TenantDeclaration) -> Action {
    Action::Tenant(0, declaration)
}

fn admitting(team: &'static str, connections: &'static [&'static str]) -> TenantDeclaration {
    TenantDeclaration { access: vec![AccessDeclaration { team: Some(team), connections, reserved: false }], ..TenantDeclaration::open(0) }
}

/// An object is let go because it is not admitted any more, or because its tenant object stands for another tenant. It is admitted
/// again, and that is known, before its record or its finalizer goes.
#[test]
fn a_record_goes_only_while_it_still_may() {
    let owned = [declares(0, HERE, BLOG, 1), Beat::Pass];
    let open = tenant(TenantDeclaration::open(0));
    let elsewhere = tenant(TenantDeclaration::open(1));
    let labelled = |team| Action::Label(0, team);
    let delete = Action::Delete(0);
    for (what, first, then, back) in [
        ("access is taken", tenant(admitting("b", &["*"])), Some(delete.clone()), open.clone()),
        ("access is taken to one", tenant(admitting("a", &["corporate"])), Some(delete.clone()), open.clone()),
        ("the tenant moves", elsewhere.clone(), None, open.clone()),
        ("the tenant moves, and it is deleted", elsewhere, Some(delete.clone()), open.clone()),
        ("the tenant only observes", tenant(TenantDeclaration { observe: true, ..TenantDeclaration::open(0) }), Some(delete.clone()), open),
        ("the label goes", labelled(None), Some(delete), labelled(Some("a"))),
    ] {
        let (first, then) = (Beat::Do(first), then.map(Beat::Do));
        let gated = [Beat::Do(tenant(admitting("a", &["*"]))), Beat::Pass];
        let gate = if what == "the label goes" { &gated[..] } else { &[] };
        let script: Vec<Beat> = owned.iter().chain(gate).cloned().chain([first]).chain(then).chain([Beat::Pass]).collect();
        at_every_call(what, &script, around(&back), anything);
    }
}

/// The record of a name goes because another object took the name over as it is; that one's status is erased meanwhile.
#[test]
fn a_record_that_passes_to_another_goes_only_while_that_one_has_it() {
    let script = [declares(0, HERE, BLOG, 1), Beat::Pass, declares(1, HERE, BLOG, 1), Beat::Pass];
    for (what, gives) in
        [("deleted", Beat::Do(Action::Delete(0))), ("dropped", declares(0, HERE, LANG, 1)), ("observes", observes(0, HERE, BLOG, 1))]
    {
        let script = [&script[..], &[gives, Beat::Pass]].concat();
        at_every_call(what, &script, around(&Action::Forge(1, Forgery::Erased)), |scene, what| {
            assert_eq!(live(scene, HERE, BLOG), Some(ENTRIES[1]), "{what}");
        });
    }
}

/// An observer loses the name that another took over as it is, and keeps the record of one that would pass to that one as well.
#[test]
fn an_observer_that_loses_one_name_keeps_the_record_of_another() {
    let both = |slot, observe, params: &[(usize, usize)]| Beat::Do(Action::Declare(slot, Declaration { observe, ..of(HERE, params) }));
    let script = [
        both(0, false, &[(BLOG, 1), (LANG, 1)]),
        Beat::Pass,
        both(1, false, &[(BLOG, 2), (LANG, 1)]),
        Beat::Pass,
        both(0, true, &[(LANG, 1)]),
        Beat::Pass,
    ];
    at_every_call(
        "one of two",
        &script,
        |_| vec![AtCall::KilledAfter],
        |scene, what| {
            assert_eq!(param(scene, 1, LANG).state, "InSync", "{what}");
        },
    );
}

/// Whoever owns a value and only observes is passed over. He enforces again before the write of another, which is not sent then.
#[test]
fn an_owner_that_enforces_again_before_the_write_of_another_keeps_what_it_has() {
    let overwrites = |slot, name, entry| Beat::Do(Action::Declare(slot, Declaration { overwrite: true, ..of(HERE, &[(name, entry)]) }));
    let script = [declares(0, HERE, BLOG, 1), Beat::Pass, overwrites(1, BLOG, 2), Beat::Pass, observes(0, HERE, BLOG, 1), Beat::Pass];
    let back = |entry| Action::Declare(0, of(HERE, &[(BLOG, entry)]));
    for entry in [1, 3] {
        at_every_call("enforces again", &script, around(&back(entry)), anything);
    }
    // And one that was not there: of two that declare a name the older one has it.
    let script = [declares(0, HERE, HINT, 1), declares(1, HERE, LANG, 1), Beat::Pass, declares(1, HERE, BLOG, 2), Beat::Pass];
    at_every_call("comes first", &script, around(&Action::Declare(0, of(HERE, &[(HINT, 1), (BLOG, 1)]))), anything);
}

/// The only connection of a tenant comes without its options, as the new token lacks a scope, which it does not say; the one before
/// had it. The scope comes back.
#[test]
fn the_only_connection_is_managed_again_when_the_token_has_its_scope_back() {
    let auth0 = |action| Beat::Do(Action::Auth0(0, action));
    let others = ["read:connections", "update:connections", "update:connections_options"].map(str::to_owned).to_vec();
    let script = [
        auth0(TenantAction::TokensNameScopes(false)),
        declares(0, HERE, BLOG, 1),
        Beat::Pass,
        auth0(TenantAction::WithTokensRevoked(Box::new(TenantAction::Scopes(others)))),
        declares(0, HERE, BLOG, 2),
        Beat::Pass,
    ];
    at_every_call(
        "the scope comes back",
        &script,
        |_| vec![AtCall::KilledAfter],
        |scene, what| {
            assert_eq!(live(scene, HERE, BLOG), Some(ENTRIES[2]), "{what}");
            assert_eq!(param(scene, 0, BLOG).state, "InSync", "{what}");
        },
    );
}

/// One claims a name and dies before its write; it becomes one that can't act. Somebody else who declares the name gets it, unless
/// the write was sent.
#[test]
fn what_was_only_claimed_is_anybodys_when_whoever_claimed_it_cannot_act() {
    let broken = Beat::Do(Action::Declare(0, Declaration { broken: true, ..of(HERE, &[(BLOG, 1)]) }));
    let script = [declares(0, HERE, BLOG, 1), Beat::Pass, broken, declares(1, HERE, BLOG, 2), Beat::Whole];
    let kills = |_: &str| vec![AtCall::KilledBefore, AtCall::KilledAfter];
    at_every_call("only claimed", &script, kills, |scene, what| {
        let expected = match live(scene, HERE, BLOG) {
            Some(entry) if entry == ENTRIES[1] => "Conflicted",
            Some(entry) if entry == ENTRIES[2] => "InSync",
            other => panic!("{what}: {other:?}"),
        };
        assert_eq!(param(scene, 1, BLOG).state, expected, "{what}");
    });
}

/// A tenant object stands for another Auth0 tenant by now, and the API server refuses writes. The next look at the connection comes
/// before the next try to let go of what the object had at the first tenant, which is let go of all the same.
#[test]
fn what_an_object_has_at_another_tenant_is_let_go_of_also_after_a_look_at_this_one() {
    let stands_for = |domain| Beat::Do(tenant(TenantDeclaration { resync: 15, ..TenantDeclaration::open(domain) }));
    let refused = Beat::Do(Action::RefuseWrites(Duration::from_secs(40)));
    let script = [stands_for(0), declares(0, HERE, BLOG, 1), Beat::Pass, refused, stands_for(1)];
    let script: Vec<Beat> = script.into_iter().chain(std::iter::repeat_n(Beat::Pass, 9)).collect();
    let kills = |call: &str| if writes(call) { vec![AtCall::KilledAfter] } else { Vec::new() };
    at_every_call("the tenant moves", &script, kills, |scene, what| {
        let object = object(scene, 0).unwrap();
        assert_eq!(object.condition("Ready").unwrap().status, "True", "{what}");
        assert_eq!(object.status.connections.len(), 1, "{what}: {:?}", object.status);
    });
}

/// One claims a name to set it to another value, and dies before its write. Somebody else who declares what is there has it, unless
/// the write was sent: the login does not change without need.
#[test]
fn what_was_only_claimed_does_not_beat_whoever_declares_what_is_there() {
    let there = TenantAction::Edited(CONNECTIONS[HERE].0.to_owned(), Edit::Param(PARAMS[BLOG].to_owned(), ENTRIES[2].to_owned()));
    let overwrites = Beat::Do(Action::Declare(0, Declaration { overwrite: true, ..of(HERE, &[(BLOG, 1)]) }));
    let script = [Beat::Do(Action::Auth0(0, there)), overwrites, Beat::Pass, declares(1, HERE, BLOG, 2), Beat::Whole];
    let kills = |_: &str| vec![AtCall::KilledBefore, AtCall::KilledAfter];
    at_every_call("only claimed, to overwrite", &script, kills, |scene, what| {
        let expected = if live(scene, HERE, BLOG) == Some(ENTRIES[2]) { ["Conflicted", "InSync"] } else { ["InSync", "Conflicted"] };
        assert_eq!([param(scene, 0, BLOG).state, param(scene, 1, BLOG).state], expected, "{what}");
    });
}

/// Who gave up waiting does not know that the answer, when it came, was a 429.
#[test]
fn a_429_that_arrives_too_late_is_nothing_to_heed() {
    let trouble = |what| Beat::Do(Action::Auth0(0, TenantAction::Trouble(Trouble { meets: Meets::Reads, after: 0, times: Some(1), what })));
    let late = Duration::from_millis(10_050);
    let script = [
        trouble(Misfortune::Delay(u64::try_from(late.as_millis()).unwrap())),
        trouble(Misfortune::RateLimited { global: false, reset: None, retry_after: None }),
        declares(0, HERE, BLOG, 1),
        Beat::Pass,
        Beat::Pass,
    ];
    at_every_call("a late 429", &script, around(&Action::Annotate(0)), anything);
}
