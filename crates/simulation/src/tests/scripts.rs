//! Histories that were written by hand, each with the process killed before and after every single call.
//!
//! They are what once went wrong, or might: hand-overs, moves, restores and late writes, cut anywhere. All laws are checked in
//! each; a test says beside that what has to be there in the end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{assert_holds, lines, run, story};
use crate::action::Action;
use crate::declare::{AccessDeclaration, DOMAINS, Declaration, ENTRIES, Named, SLOTS, TenantDeclaration};
use crate::history::{AtCall, History};
use crate::laws::rest::Scene;
use crate::laws::seen::{Object, Param};
use crate::network::{Ending, Fate};
use crate::noise::{Complaint, Meets, Misfortune, TenantAction, Trouble};
use crate::story::Who;

/// The connections: `wordpress` and `corporate`.
pub(super) const HERE: usize = 0;
pub(super) const ELSEWHERE: usize = 1;
/// The parameters. The last is reserved: who declares it is not accepted.
pub(super) const BLOG: usize = 0;
pub(super) const LANG: usize = 1;
pub(super) const HINT: usize = 2;
pub(super) const RESERVED: usize = 3;

/// How long a pass may take.
const PASS: Duration = Duration::from_secs(5);
/// How long a new process waits for the Lease of one that was killed, and then for its last request; and for a pass.
const TAKEOVER: Duration = Duration::from_secs(40);

/// What a script says, one thing after the other.
#[derive(Clone, Debug)]
pub(super) enum Beat {
    /// At once.
    Do(Action),
    /// The operator has time to act, if it runs.
    Pass,
    /// A process is there, and has time to act.
    Whole,
}

/// An object that declares these parameters, names and entries by number.
pub(super) fn of(connection: usize, params: &[(usize, usize)]) -> Declaration {
    Declaration {
        tenant: 0,
        connection: Named::ByName(connection),
        params: params.to_vec(),
        observe: false,
        overwrite: false,
        retain: false,
        broken: false,
    }
}

pub(super) fn declares(slot: usize, connection: usize, name: usize, entry: usize) -> Beat {
    Beat::Do(Action::Declare(slot, of(connection, &[(name, entry)])))
}

pub(super) fn observes(slot: usize, connection: usize, name: usize, entry: usize) -> Beat {
    Beat::Do(Action::Declare(slot, Declaration { observe: true, ..of(connection, &[(name, entry)]) }))
}

/// The namespace with this label may use nothing but what is elsewhere from now on.
pub(super) fn denied_here(team: &'static str) -> Beat {
    let other = if team == "a" { "b" } else { "a" };
    let entry = |team, connections| AccessDeclaration { team: Some(team), connections, reserved: false };
    let access = vec![entry(other, &["*"]), entry(team, &["corporate"])];
    Beat::Do(Action::Tenant(0, TenantDeclaration { access, ..TenantDeclaration::open(0) }))
}

pub(super) fn history(beats: &[Beat], calls: BTreeMap<u32, AtCall>) -> History {
    let mut steps = Vec::new();
    let mut pause = Duration::ZERO;
    for beat in beats {
        match beat {
            Beat::Do(action) => steps.push((std::mem::take(&mut pause), action.clone())),
            Beat::Pass => pause += PASS,
            Beat::Whole => {
                steps.push((pause, Action::Start(0)));
                pause = TAKEOVER;
            }
        }
    }
    steps.push((pause, Action::Start(0)));
    let options = vec![vec!["{}".to_owned(); 3]; 2];
    History { seed: 1, replicas: 1, options, tenant: TenantDeclaration::open(0), steps, calls }
}

/// Runs a script undisturbed, then with each of these things at each call.
pub(super) fn at_every_call(what: &str, beats: &[Beat], things: impl Fn(&str) -> Vec<AtCall>, check: impl Fn(&Scene, &str)) {
    let undisturbed = history(beats, BTreeMap::new());
    let (report, scene) = run(&undisturbed);
    assert_holds(&undisturbed, &report, what);
    check(&scene, what);
    let mut count = 0;
    for (number, call) in (1..).zip(calls(&undisturbed)) {
        for thing in things(&call) {
            let disturbed = history(beats, BTreeMap::from([(number, thing.clone())]));
            let what = format!("{what}, {thing:?} at call {number}, {call}");
            let (report, scene) = run(&disturbed);
            assert_holds(&disturbed, &report, &what);
            check(&scene, &what);
            count += 1;
        }
    }
    assert!(count > 0, "{what}: nothing happened at any call\n{}", story(&undisturbed));
}

/// The calls before the last fault to which anything can happen, in the order of their numbers: not what is only looked at in the
/// cluster.
pub(super) fn calls(history: &History) -> Vec<String> {
    let lines = lines(history);
    let before = lines.iter().take_while(|line| !line.text.starts_with("from now on nothing fails"));
    let sent = before.filter(|line| matches!(line.who, Who::Process(_)) && !line.text.starts_with(' ') && !line.text.starts_with("GET /"));
    sent.map(|line| line.text.clone()).collect()
}

/// The same with the process killed around each call about an object or a connection: reads, statuses, finalizers, PATCHes. Its
/// successor finds the same before a call as after the one before, so most are cut on one side only.
fn killed_at_every_call(what: &str, beats: &[Beat], check: impl Fn(&Scene, &str)) {
    let kills = |call: &str| match call {
        _ if ["/oauth/token", "/clusterauth0tenants/", "/events"].iter().any(|other| call.contains(other)) => vec![],
        _ if call.starts_with("GET ") => vec![AtCall::KilledBefore],
        _ if writes(call) => vec![AtCall::KilledBefore, AtCall::KilledAfter],
        _ => vec![AtCall::KilledAfter],
    };
    at_every_call(what, beats, kills, check);
}

/// Whether a call writes to a connection.
pub(super) fn writes(call: &str) -> bool {
    call.starts_with("PATCH ") && call.contains("/api/v2/connections/")
}

/// The text of a parameter of a connection.
pub(super) fn live(scene: &Scene, connection: usize, name: usize) -> Option<&str> {
    let documents = &scene.documents[DOMAINS[0]];
    let document = documents.iter().find(|document| document.name == crate::declare::CONNECTIONS[connection].0).unwrap();
    document.params.get(crate::declare::PARAMS[name]).map(String::as_str)
}

pub(super) fn object(scene: &Scene, slot: usize) -> Option<&Object> {
    let (namespace, name) = SLOTS[slot];
    scene.objects.iter().find(|object| object.metadata.namespace == namespace && object.metadata.name == name)
}

/// What an object says of a parameter, on the one connection that it speaks of.
pub(super) fn param(scene: &Scene, slot: usize, name: usize) -> Param {
    let object = object(scene, slot).unwrap();
    let [connection] = &object.status.connections[..] else { panic!("{:?}", object.status) };
    connection.params.iter().find(|param| param.name == crate::declare::PARAMS[name]).unwrap().clone()
}

pub(super) fn anything(_: &Scene, _: &str) {}

/// An object that holds a record and observes, or is not admitted, loses a name to whoever takes it over meanwhile, also when
/// that pass is cut short and the object is back before the next.
#[test]
fn what_somebody_adopted_while_its_owner_observed_has_one_owner_whenever_the_other_comes_back() {
    // The owner is alone in its namespace, whose access is taken away.
    let (owner, other) = (2, 1);
    let passed_over = |name| vec![declares(owner, ELSEWHERE, name, 1), Beat::Pass];
    let moved =
        [denied_here("b"), observes(owner, HERE, BLOG, 1), declares(other, ELSEWHERE, BLOG, 1), Beat::Pass, declares(owner, HERE, BLOG, 1)];
    let refused =
        [declares(other, ELSEWHERE, HINT, 1), observes(owner, ELSEWHERE, RESERVED, 1), Beat::Pass, declares(owner, ELSEWHERE, RESERVED, 1)];
    let dropped = [
        observes(owner, ELSEWHERE, HINT, 1),
        declares(other, ELSEWHERE, HINT, 1),
        Beat::Pass,
        declares(other, ELSEWHERE, BLOG, 1),
        declares(owner, ELSEWHERE, HINT, 1),
        Beat::Do(Action::Declare(other, Declaration { broken: true, ..of(ELSEWHERE, &[(BLOG, 1)]) })),
    ];
    for (what, name, then) in [("moved", BLOG, &moved[..]), ("refused", HINT, &refused[..]), ("dropped", HINT, &dropped[..])] {
        killed_at_every_call(what, &[&passed_over(name)[..], then].concat(), anything);
    }
}

/// Two that moved in the middle of a hand-over, and are not accepted where they go, both have a record of the same name.
#[test]
fn of_two_that_moved_in_the_middle_of_a_hand_over_one_keeps_the_name() {
    let (first, second) = (1, 2);
    let swapped = [
        declares(first, ELSEWHERE, BLOG, 1),
        declares(second, ELSEWHERE, HINT, 1),
        Beat::Pass,
        declares(second, ELSEWHERE, BLOG, 1),
        declares(first, ELSEWHERE, HINT, 1),
        Beat::Pass,
        declares(first, HERE, RESERVED, 1),
        declares(second, HERE, RESERVED, 1),
    ];
    let followed = [
        declares(second, ELSEWHERE, HINT, 0),
        Beat::Pass,
        declares(first, ELSEWHERE, HINT, 1),
        declares(second, HERE, RESERVED, 1),
        Beat::Pass,
        denied_here("a"),
        declares(first, HERE, BLOG, 1),
    ];
    killed_at_every_call("swapped", &swapped, anything);
    killed_at_every_call("followed", &followed, anything);
}

/// One claims a name, is cut short, and becomes one that can't act; what another wrote meanwhile and leaves is a third's.
#[test]
fn what_was_only_claimed_keeps_nobody_from_what_another_leaves() {
    let claimed = [declares(2, HERE, HINT, 1), Beat::Pass, declares(1, HERE, HINT, 3), declares(2, ELSEWHERE, BLOG, 1), Beat::Pass];
    let taken = [declares(0, HERE, HINT, 3), declares(2, HERE, RESERVED, 1), declares(1, ELSEWHERE, BLOG, 1)];
    killed_at_every_call("nobody is there meanwhile", &[&claimed[..], &taken].concat(), anything);
    // Where the first write is done before the rest happens, what it wrote is left by then.
    killed_at_every_call("somebody is there again", &[&claimed[..], &[Beat::Whole], &taken].concat(), |scene, what| {
        assert_eq!(live(scene, HERE, HINT), Some(ENTRIES[3]), "{what}");
        assert_eq!(param(scene, 0, HINT).state, "InSync", "{what}");
    });
}

/// Auth0 refuses that one removes what it does not declare any more. What it declares beside that is another's, who leaves it.
#[test]
fn what_is_there_as_a_refused_one_declares_it_stays_when_its_owner_leaves_it() {
    let refuses = |times| {
        let trouble = Trouble { meets: Meets::Writes, after: 0, times: Some(times), what: Misfortune::Status(400, Complaint::Params) };
        Beat::Do(Action::Auth0(0, TenantAction::Trouble(trouble)))
    };
    let before = [declares(0, HERE, BLOG, 1), declares(1, HERE, HINT, 1), Beat::Pass];
    for times in [1, 2] {
        let after = [refuses(times), declares(1, HERE, BLOG, 1), Beat::Pass, declares(0, HERE, HINT, 2), Beat::Pass];
        killed_at_every_call(&format!("{times} refusals"), &[&before[..], &after].concat(), |scene, what| {
            assert_eq!((live(scene, HERE, BLOG), live(scene, HERE, HINT)), (Some(ENTRIES[1]), Some(ENTRIES[2])), "{what}");
            assert_eq!([param(scene, 0, HINT).state, param(scene, 1, BLOG).state], ["InSync", "InSync"], "{what}");
        });
    }
}

/// A connection is made anew under its name while the API server stores nothing. One still names it, and has a record of the one that
/// is gone. Another has moved away and has one too, or names the one that is gone by its id: that is no reason to ask for it all the
/// time.
#[test]
fn what_cannot_be_stored_of_a_connection_that_is_gone_is_no_reason_to_ask_for_it_all_the_time() {
    let remade = TenantAction::Remade { name: "wordpress".to_owned(), strategy: "oidc".to_owned(), number: 7 };
    let by_id = Declaration { connection: Named::ById(HERE), ..of(HERE, &[(HINT, 1)]) };
    for (what, before, after, state) in [
        ("moved", of(HERE, &[(HINT, 1)]), of(ELSEWHERE, &[(HINT, 1)]), Some("InSync")),
        ("by its id", by_id.clone(), Declaration { params: vec![(HINT, 2)], ..by_id }, None),
    ] {
        let script = [
            declares(0, HERE, BLOG, 1),
            Beat::Do(Action::Declare(1, before)),
            Beat::Pass,
            Beat::Do(Action::RefuseWrites(Duration::from_secs(30))),
            Beat::Do(Action::Declare(1, after)),
            Beat::Do(Action::Auth0(0, remade.clone())),
            declares(0, HERE, BLOG, 2),
            Beat::Pass,
            Beat::Whole,
        ];
        let history = history(&script, BTreeMap::new());
        let (report, scene) = run(&history);
        assert_holds(&history, &report, what);
        assert_eq!(param(&scene, 0, BLOG).state, "InSync", "{what}");
        let other = object(&scene, 1).unwrap().status.connections.first().and_then(|there| there.params.first());
        assert_eq!(other.map(|param| param.state.as_str()), state, "{what}");
    }
}

/// What another object adopted is not taken back by the one that only observed, although it is older.
#[test]
fn an_observer_that_enforces_again_finds_its_name_taken() {
    let script = [
        declares(0, HERE, BLOG, 1),
        Beat::Pass,
        Beat::Whole,
        observes(0, HERE, BLOG, 1),
        declares(1, HERE, BLOG, 1),
        Beat::Pass,
        Beat::Whole,
        declares(0, HERE, BLOG, 1),
        Beat::Pass,
    ];
    killed_at_every_call("an observer comes back", &script, |scene, what| {
        assert_eq!(param(scene, 1, BLOG).state, "InSync", "{what}");
        let loser = param(scene, 0, BLOG);
        assert_eq!((loser.state.as_str(), loser.owned), ("Conflicted", Vec::new()), "{what}");
    });
}

/// Several names pass to another object as they are. Its claim of them is stored once: of two that are on their way at the same
/// time, one would be refused for the other.
#[test]
fn whoever_takes_over_several_names_claims_them_at_once() {
    let both = |slot| Beat::Do(Action::Declare(slot, of(HERE, &[(BLOG, 1), (HINT, 1)])));
    let script = [both(0), Beat::Pass, Beat::Do(Action::Delete(0)), both(1), Beat::Pass];
    let conflicts: Vec<String> = lines(&history(&script, BTreeMap::new()))
        .into_iter()
        .map(|line| line.text)
        .filter(|text| text.ends_with("is answered 409"))
        .collect();
    assert_eq!(conflicts, [""; 0]);
    let refused = |call: &str| {
        let is_written = call.contains("/upstreamparams/") && !call.starts_with("GET ");
        if is_written { vec![AtCall::Fate(Fate { ending: Ending::Refused(500), ..Fate::PROMPT })] } else { Vec::new() }
    };
    at_every_call("two names", &script, refused, |scene, what| {
        for name in [BLOG, HINT] {
            assert_eq!(param(scene, 1, name).state, "InSync", "{what}");
        }
    });
}

/// A cluster that is restored from a backup has no statuses, no finalizers and equal ages: the value that is live stays.
#[test]
fn a_restore_changes_no_login() {
    for overwrite in [false, true] {
        let declare = |slot, entry| Beat::Do(Action::Declare(slot, Declaration { overwrite, ..of(HERE, &[(BLOG, entry)]) }));
        let lose = |slot| [Beat::Do(Action::TakeFinalizer(slot)), Beat::Do(Action::Delete(slot))];
        let before = [
            declare(2, 1),
            Beat::Pass,
            declare(0, 2),
            Beat::Pass,
            Beat::Whole,
            Beat::Do(Action::Backup),
            // The cluster is lost, and the operator with it.
            Beat::Do(Action::Kill(0)),
        ];
        let after = [Beat::Do(Action::Restore), Beat::Whole];
        let script = [&before[..], &lose(0), &lose(2), &after].concat();
        killed_at_every_call(&format!("overwrite: {overwrite}"), &script, |scene, what| {
            assert_eq!(live(scene, HERE, BLOG), Some(ENTRIES[1]), "{what}");
            let states = [0, 2].map(|slot| param(scene, slot, BLOG).state);
            assert_eq!(states, ["Conflicted", "InSync"], "{what}");
        });
    }
}

/// An edit of the new owner while the record of a name passes over, at each call of it, and a process killed there.
#[test]
fn an_edit_between_the_two_statuses_of_a_hand_over_leaves_no_value_without_a_record() {
    let both = |slot, own, blog: Option<usize>| {
        let params: Vec<(usize, usize)> = blog.map(|entry| (BLOG, entry)).into_iter().chain([(own, 1)]).collect();
        Action::Declare(slot, of(HERE, &params))
    };
    let edit = both(1, HINT, Some(2));
    let handed = [
        Beat::Do(both(0, LANG, Some(1))),
        Beat::Do(both(1, HINT, None)),
        Beat::Pass,
        Beat::Do(both(0, LANG, None)),
        Beat::Do(both(1, HINT, Some(1))),
        Beat::Pass,
    ];
    let edited = |scene: &Scene, what: &str| {
        assert_eq!(live(scene, HERE, BLOG), Some(ENTRIES[2]), "{what}");
        assert_eq!(param(scene, 1, BLOG).state, "InSync", "{what}");
    };
    let script = [&handed[..], &[Beat::Do(edit.clone())]].concat();
    killed_at_every_call("the edit comes after the cut", &script, edited);
    let at = |_: &str| vec![AtCall::Before(edit.clone()), AtCall::After(edit.clone())];
    // Where the edit comes before the hand-over is declared, what was declared last counts.
    at_every_call("the edit comes at the call", &handed, at, |scene, what| {
        let last = object(scene, 1).unwrap().spec.params["blog"].to_string();
        assert_eq!(live(scene, HERE, BLOG), Some(last.as_str()), "{what}");
    });
}

/// A write without an answer takes effect after its sender gave up, and after what it was for was given up: what it sets goes,
/// or is somebody's.
#[test]
fn a_write_that_arrives_late_leaves_no_value_without_a_record() {
    let spoilt = Beat::Do(Action::Declare(0, Declaration { broken: true, ..of(HERE, &[(BLOG, 1)]) }));
    let given_up = [
        vec![Beat::Do(Action::Delete(0))],
        vec![declares(0, HERE, LANG, 1)],
        vec![declares(0, HERE, BLOG, 1)],
        vec![declares(0, HERE, LANG, 1), declares(1, HERE, BLOG, 1)],
        vec![declares(0, HERE, BLOG, 1), spoilt],
    ];
    // While its sender waits, and after it gave up.
    let late = |seconds| AtCall::Fate(Fate { out: Duration::from_secs(seconds), ending: Ending::NeverAnswered, back: Duration::ZERO });
    let lates = |call: &str| if writes(call) { vec![late(7), late(14)] } else { vec![] };
    let end = [Beat::Whole, Beat::Do(Action::Delete(0)), Beat::Do(Action::Delete(1)), Beat::Pass];
    for there_before in [false, true] {
        for (nth, given_up) in given_up.iter().enumerate() {
            let before = if there_before { vec![declares(0, HERE, BLOG, 1), Beat::Pass] } else { Vec::new() };
            let script = [&before[..], &[declares(0, HERE, BLOG, 2), Beat::Pass], given_up, &end].concat();
            at_every_call(&format!("{there_before}, {nth}"), &script, lates, |scene, what| {
                assert_eq!(live(scene, HERE, BLOG), None, "{what}");
                assert_eq!(live(scene, HERE, LANG), None, "{what}");
                assert_eq!(scene.objects.len(), 0, "{what}");
            });
        }
    }
}
