//! Histories of trouble that lasts: whose it is, and what it costs meanwhile. What is asked before all is well again is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::scripts::{
    BLOG, Beat, ELSEWHERE, HERE, LANG, RESERVED, anything, at_every_call, calls, declares, denied_here, history, of, writes,
};
use super::{assert_holds, lines, run, story};
use crate::action::Action;
use crate::cluster::Kind;
use crate::declare::{Declaration, TENANTS, TenantDeclaration};
use crate::history::{AtCall, CALLS};
use crate::network::{Ending, Fate};
use crate::noise::{Complaint, Edit, Meets, Misfortune, TenantAction, Trouble};

/// From now on, or for so many calls after so many.
fn trouble(meets: Meets, (after, times): (usize, Option<usize>), what: Misfortune) -> Beat {
    Beat::Do(Action::Auth0(0, TenantAction::Trouble(Trouble { meets, after, times, what })))
}

const ALWAYS: (usize, Option<usize>) = (0, None);

/// What is asked before all is well again, where all laws hold.
#[track_caller]
fn asked(what: &str, beats: &[Beat]) -> Vec<String> {
    let history = history(beats, BTreeMap::new());
    let (report, _) = run(&history);
    assert_holds(&history, &report, what);
    calls(&history)
}

/// Of these calls as many as the word says are within these bounds.
#[track_caller]
fn assert_count(beats: &[Beat], calls: &[String], what: &str, is_it: impl Fn(&str) -> bool, (least, most): (usize, usize)) {
    let count = calls.iter().filter(|call| is_it(call)).count();
    assert!((least..=most).contains(&count), "{what}: {count}\n{}", story(&history(beats, BTreeMap::new())));
}

fn for_passes(count: usize) -> Vec<Beat> {
    vec![Beat::Pass; count]
}

/// Auth0 refuses whatever holds one value, and speaks of another option: the other object gets what it wants all the same.
#[test]
fn what_auth0_refuses_of_one_without_saying_so_keeps_no_other_from_what_it_declares() {
    // What is not refused but breaks something there is tried more often together.
    for (status, passes) in [(400, 2), (500, 12)] {
        let refuses = Misfortune::Status(status, Complaint::Quoting("v1".to_owned()));
        let mut script = vec![trouble(Meets::Writes, ALWAYS, refuses), declares(0, HERE, BLOG, 1), declares(1, HERE, LANG, 2)];
        script.extend(for_passes(passes));
        let calls = asked("refused", &script);
        let good = |call: &str| writes(call) && call.contains("\"v2\"") && !call.contains("\"v1\"");
        assert_count(&script, &calls, "writes of the other alone", good, (1, 1));
    }
}

/// Auth0 has refused what one object wants for long, without saying whose fault that is: another that comes then does not wait for the
/// pause that this has grown to.
#[test]
fn who_comes_after_a_long_trouble_of_another_does_not_share_its_pauses() {
    let refuses = Misfortune::Status(400, Complaint::Quoting("v1".to_owned()));
    let mut script = vec![trouble(Meets::Writes, ALWAYS, refuses), declares(0, HERE, BLOG, 1)];
    script.extend(for_passes(120));
    script.extend([declares(1, HERE, LANG, 2), Beat::Pass, Beat::Pass]);
    let calls = asked("refused for long", &script);
    let good = |call: &str| writes(call) && call.contains("\"v2\"") && !call.contains("\"v1\"");
    assert_count(&script, &calls, "writes of the other alone", good, (1, 1));
}

/// Somebody edits an object faster than it can be told that it may do nothing: others of the tenant are served meanwhile.
#[test]
fn who_edits_faster_than_it_can_be_told_so_keeps_nobody_from_his_turn() {
    let denied = |entry: usize| Action::Declare(2, of(HERE, &[(LANG, entry)]));
    let slow = Fate { back: Duration::from_millis(100), ..Fate::PROMPT };
    let begin = [denied_here("b"), Beat::Do(denied(1)), Beat::Pass];
    let mut history = history(&begin, (1..CALLS).map(|number| (number, AtCall::Fate(slow))).collect());
    let edits = 250;
    history.steps.extend((0..edits).map(|nth| (Duration::from_millis(20), denied(1 + nth % 2))));
    // While that is told.
    let place = history.steps.len() - edits + 20;
    history.steps.insert(place, (Duration::ZERO, Action::Declare(0, of(HERE, &[(BLOG, 1)]))));
    let (report, _) = run(&history);
    assert_holds(&history, &report, "edits");
    let lines = lines(&history);
    let written = lines.iter().position(|line| writes(&line.text)).expect("a write");
    let later = lines[written..].iter().filter(|line| line.text.starts_with("somebody applies team-b/one")).count();
    assert!(later > edits / 2, "written when {later} of {edits} edits were left\n{}", story(&history));
}

/// Nothing wakes an object whose tenant object does not exist, or does not admit it; after ten minutes it is told that it is stalled.
#[test]
fn what_nothing_wakes_is_told_in_time_that_it_makes_no_progress() {
    let nobody = Declaration { tenant: TENANTS.len(), ..of(HERE, &[(BLOG, 1)]) };
    for (what, first) in [("no tenant", Beat::Do(Action::Declare(0, nobody))), ("not admitted", declares(0, HERE, BLOG, 1))] {
        let mut script = vec![denied_here("a"), first];
        script.extend(for_passes(123));
        let history = history(&script, BTreeMap::new());
        let (report, scene) = run(&history);
        assert_holds(&history, &report, what);
        let object = scene.objects.first().expect("the object");
        let stalled = object.status.conditions.iter().find(|condition| condition.kind == "Stalled");
        assert_eq!(stalled.map(|stalled| stalled.reason.as_str()), Some("ProgressDeadlineExceeded"), "{what}\n{}", story(&history));
    }
}

/// The API refuses every token for one connection, and takes it for the others: nobody else is told so again and again.
#[test]
fn a_token_that_is_refused_for_one_connection_is_held_against_the_tenant_once() {
    for meets in [Meets::Connection("corporate".to_owned()), Meets::WritesTo("corporate".to_owned())] {
        let refuses = trouble(meets.clone(), ALWAYS, Misfortune::Status(401, Complaint::InvalidToken));
        let mut script = vec![declares(0, HERE, BLOG, 1), declares(1, ELSEWHERE, BLOG, 1), Beat::Pass, refuses];
        script.push(declares(1, ELSEWHERE, BLOG, 2));
        script.extend(for_passes(24));
        let calls = asked(&format!("{meets:?}"), &script);
        let told = |call: &str| call.contains("/team-a/upstreamparams/one/status");
        assert_count(&script, &calls, "what the other is told", told, (2, 8));
        assert_count(&script, &calls, "tokens", |call| call.contains("/oauth/token"), (2, 24));
    }
}

/// Something changes another option after each read, and Auth0 refuses what two objects want: they do not take turns all the time.
#[test]
fn two_whose_changes_are_refused_do_not_take_turns_without_end_where_the_connection_changes_all_the_time() {
    let mut script = vec![trouble(Meets::Writes, ALWAYS, Misfortune::Status(400, Complaint::Params))];
    let edits = |nth: usize| Misfortune::EditBetween(Edit::Option("seen".to_owned(), nth.to_string()));
    script.extend((0..100).map(|nth| trouble(Meets::Reads, (nth, Some(1)), edits(nth))));
    script.extend([declares(0, HERE, BLOG, 1), declares(1, HERE, LANG, 2)]);
    script.extend(for_passes(12));
    let calls = asked("changes all the time", &script);
    assert_count(&script, &calls, "writes", writes, (3, 20));
}

/// An object is gone by force, and its watch does not show it: what it had on a connection that is gone as well is no reason to ask for
/// both all the time.
#[test]
fn one_that_is_gone_and_still_known_is_no_reason_to_look_at_its_connections_all_the_time() {
    let mut script = vec![
        declares(0, HERE, BLOG, 1),
        Beat::Pass,
        declares(0, ELSEWHERE, RESERVED, 1),
        Beat::Pass,
        Beat::Do(Action::Lag(Kind::Object, Duration::from_mins(5))),
        Beat::Pass,
        Beat::Do(Action::Auth0(0, TenantAction::Deleted("wordpress".to_owned()))),
        Beat::Do(Action::TakeFinalizer(0)),
        Beat::Do(Action::Delete(0)),
    ];
    script.extend(for_passes(24));
    let calls = asked("gone by force", &script);
    assert_count(&script, &calls, "reads", |call| call.contains("GET one.eu.auth0.com"), (4, 60));
}

/// The application may not read connections: that costs no token for each read, and no more reads than the tenant object allows.
#[test]
fn a_scope_that_is_missing_for_long_costs_no_token_for_each_read_and_no_more_reads_than_are_allowed() {
    // A burst of two, and so many a minute for five and a half minutes.
    for (reads_per_minute, most) in [(60, 332), (6, 35)] {
        let scopes = ["read:connections_options", "update:connections", "update:connections_options"].map(str::to_owned).to_vec();
        let tenant = TenantDeclaration { rate: (reads_per_minute, 60, 2), resync: 5, ..TenantDeclaration::open(0) };
        let mut script = vec![
            Beat::Do(Action::Tenant(0, tenant)),
            Beat::Do(Action::Auth0(0, TenantAction::WithTokensRevoked(Box::new(TenantAction::Scopes(scopes))))),
            declares(0, HERE, BLOG, 1),
            declares(1, ELSEWHERE, BLOG, 1),
        ];
        script.extend(for_passes(60));
        let calls = asked(&format!("no scope to read, {reads_per_minute}"), &script);
        // Nine by the credentials' own tries and as many by the calls, each twice as long after the last as the one before.
        assert_count(&script, &calls, "tokens", |call| call.contains("/oauth/token"), (2, 24));
        assert_count(&script, &calls, "reads", |call| call.contains("GET one.eu.auth0.com"), (20, most));
    }
}

/// The machine is asleep for a few seconds between a read and its write, and only the wall clock shows it: the connection may be
/// somebody else's work by then, and is read again.
#[test]
fn nothing_is_written_from_a_document_that_grew_old_in_sleep() {
    let script = [declares(0, HERE, BLOG, 1), Beat::Pass];
    let is_read = |call: &String| call.starts_with("GET one.eu.auth0.com");
    let undisturbed = history(&script, BTreeMap::new());
    let number = (1..).zip(calls(&undisturbed)).find(|(_, call)| is_read(call)).expect("a read").0;
    for (asleep, reads) in [(1, 1), (5, 2)] {
        let history = history(&script, BTreeMap::from([(number, AtCall::After(Action::JumpClock(0, asleep)))]));
        let (report, _) = run(&history);
        assert_holds(&history, &report, "asleep");
        let before = calls(&history).into_iter().take_while(|call| !writes(call)).filter(is_read).count();
        assert_eq!(before, reads, "asleep for {asleep} s\n{}", story(&history));
    }
}

/// What an object has passes to another while it is released, and its finalizer can't be removed: the other is told that it waits.
#[test]
fn who_waits_for_a_released_object_is_told_so() {
    let script =
        [declares(0, HERE, BLOG, 1), Beat::Pass, denied_here("a"), Beat::Do(Action::Delete(0)), declares(2, HERE, BLOG, 1), Beat::Pass];
    let undisturbed = history(&script, BTreeMap::new());
    let releases = |call: &String| call.starts_with("PATCH ") && call.contains("/team-a/upstreamparams/one?");
    let number = (1..).zip(calls(&undisturbed)).filter(|(_, call)| releases(call)).last().expect("a release").0;
    // Its claim, that it waits, and that it is ready.
    for (fate, told) in [(Fate::PROMPT, 2), (Fate { ending: Ending::Refused(503), ..Fate::PROMPT }, 3)] {
        let history = history(&script, BTreeMap::from([(number, AtCall::Fate(fate))]));
        let (report, _) = run(&history);
        assert_holds(&history, &report, "released");
        let tells = |call: &String| call.contains("/team-b/upstreamparams/one/status?");
        assert_eq!(calls(&history).iter().filter(|call| tells(call)).count(), told, "{}", story(&history));
    }
}

/// A write has no answer yet when the tenant object is deleted, and it is made anew: who drives it then waits for that write.
#[test]
fn a_write_that_may_still_land_is_waited_for_also_by_who_drives_a_tenant_object_that_was_made_anew() {
    let late = |call: &str| {
        let late = Fate { out: Duration::from_secs(14), ending: Ending::NeverAnswered, back: Duration::ZERO };
        if writes(call) { vec![AtCall::Fate(late)] } else { Vec::new() }
    };
    let script = [
        declares(0, HERE, BLOG, 1),
        Beat::Pass,
        Beat::Do(Action::DeleteTenant(0)),
        Beat::Pass,
        Beat::Do(Action::Tenant(0, TenantDeclaration::open(0))),
        declares(0, HERE, BLOG, 2),
        Beat::Pass,
        Beat::Pass,
        Beat::Pass,
    ];
    at_every_call("made anew", &script, late, anything);
}
