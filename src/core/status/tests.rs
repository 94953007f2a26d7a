//! Every row of the table of conditions, and what tools make of it.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::api::reason::Reason;
use crate::api::upstream_params::ParamState::{Applied, Conflicted, Contended, ExistingValue, InSync, Pending, Removing};
use crate::api::upstream_params::ParamState::{WouldAdd, WouldChange, WouldRemove};
use crate::api::upstream_params::{ConnectionStatus, ParamState, ParamStatus};
use crate::core::obstacle::{Obstacle, ObstacleReason};
use crate::core::pass::plan::{ConnectionState, Dispute, Participant, Role, plan};
use crate::core::spec::{Refusal, UnfitReason};
use crate::model::document::Live;
use crate::model::identity::TenantIdentity;
use crate::tests::builders::{ELSEWHERE, ELSEWHERE_NAME, HERE, described, here, live, object, print, print_at};
use crate::tests::kstatus::{self, Verdict as Seen, assert_sound, kstatus, kubectl_wait};

mod table;

const MINUTE: Duration = Duration::from_mins(1);

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(second).unwrap()
}

fn context() -> Context {
    Context {
        now: at(1000),
        observing: false,
        names_it: true,
        since_good_look: Duration::ZERO,
        stale_after: 30 * MINUTE,
        unready_for: Duration::ZERO,
    }
}

fn observing() -> Context {
    Context { observing: true, ..context() }
}

fn obstacle(reason: ObstacleReason, tenant_wide: bool) -> Obstacle {
    Obstacle { reason, message: format!("{}, and what to do", Reason::from(reason)), tenant_wide }
}

/// One object's part of a plan for the usual connection, alone with these live parameters.
fn part(object: &Declared, role: Role, found: &BTreeMap<String, Live>, write: WriteOutcome) -> Outcome {
    among(object, &[(object, role)], found, write)
}

/// One object's part of a plan for several.
fn among(object: &Declared, parts: &[(&Declared, Role)], found: &BTreeMap<String, Live>, write: WriteOutcome) -> Outcome {
    let parts: Vec<Participant<'_>> = parts.iter().map(|(object, role)| Participant { object, role: *role }).collect();
    let state = ConnectionState { connection_ref: here(), live: found, disputes: &BTreeMap::new(), unsettled: false };
    let all_observe = parts.iter().all(|part| part.role == Role::Observer);
    Outcome::Planned(Planned::part(&plan(state, &parts, all_observe), object, described(HERE), Vec::new(), write))
}

/// The object with the status that the outcome leads to, which must be sound.
fn after(object: &Declared, outcome: &Outcome, context: &Context) -> Declared {
    let status = conclude(object, outcome, context).status;
    let object = Declared { status, ..object.clone() };
    assert_sound(&object);
    object
}

/// `blog: x`, in sync since the second 1000.
fn in_sync() -> Declared {
    let a = object("a").wants("blog", "x").kept();
    after(&a, &part(&a, Role::Owner, &live(&[("blog", "x")]), WriteOutcome::Nothing), &context())
}

fn says(object: &Declared, kind: ConditionType) -> (String, String) {
    let condition = condition(&object.status.conditions, kind).unwrap();
    (condition.status.clone(), condition.reason.clone())
}

/// `Accepted`, `ResolvedRefs`, `Synced`, `Ready`, and `Reconciling` or `Stalled` with its reason.
fn row(object: &Declared) -> String {
    let text = |kind: ConditionType| {
        let (status, reason) = says(object, kind);
        format!("{status}/{reason}")
    };
    let mut cells: Vec<String> =
        [ConditionType::Accepted, ConditionType::ResolvedRefs, ConditionType::Synced, ConditionType::Ready].map(text).to_vec();
    cells.extend(object.status.conditions[4..].iter().map(|extra| format!("{}/{}", extra.type_, extra.reason)));
    cells.join(" ")
}

fn states(object: &Declared) -> Vec<(&str, ParamState, usize)> {
    let params = object.status.connections.iter().flat_map(|entry| &entry.params);
    params.map(|param| (param.name.as_str(), param.state, param.owned.len())).collect()
}

fn since(object: &Declared, kind: ConditionType) -> i64 {
    condition(&object.status.conditions, kind).unwrap().last_transition_time.0.as_second()
}

fn reasons(notices: &[Notice]) -> Vec<(bool, &'static str)> {
    notices.iter().map(|notice| (notice.warning, notice.reason)).collect()
}

// ---- the rows ----

#[test]
fn a_new_object_that_is_refused_says_why() {
    let a = object("a").wants("blog", "x");
    let refused = |reason: UnfitReason| Outcome::Refused { reason, message: "because".into() };
    let invalid = Outcome::Invalid(Refusal { field: "spec.params".into(), problem: "name one".into() });
    for (outcome, expected) in [
        (invalid, "False/InvalidSpec Unknown/Pending Unknown/Pending False/InvalidSpec Stalled/InvalidSpec"),
        (
            refused(UnfitReason::UnsupportedStrategy),
            "False/UnsupportedStrategy True/ResolvedRefs Unknown/Pending False/UnsupportedStrategy Stalled/UnsupportedStrategy",
        ),
        (refused(UnfitReason::InvalidSpec), "False/InvalidSpec True/ResolvedRefs Unknown/Pending False/InvalidSpec Stalled/InvalidSpec"),
        (
            refused(UnfitReason::ReservedParam),
            "False/ReservedParam True/ResolvedRefs Unknown/Pending False/ReservedParam Reconciling/ProgressingWithRetry",
        ),
        (
            Outcome::NotPermitted("because".into()),
            "False/NotPermitted Unknown/Pending Unknown/Pending False/NotPermitted Reconciling/ProgressingWithRetry",
        ),
        (
            Outcome::TenantNotFound { meant: None },
            "Unknown/Pending False/TenantNotFound Unknown/Pending False/TenantNotFound Reconciling/ProgressingWithRetry",
        ),
        (
            Outcome::ConnectionNotFound { id: None, meant: None },
            "Unknown/Pending False/ConnectionNotFound Unknown/Pending False/ConnectionNotFound Reconciling/ProgressingWithRetry",
        ),
        (
            Outcome::TenantNotReady("because".into()),
            "Unknown/Pending Unknown/Pending Unknown/TenantNotReady False/TenantNotReady Reconciling/ProgressingWithRetry",
        ),
    ] {
        assert_eq!(row(&after(&a, &outcome, &context())), expected);
    }
}

#[test]
fn a_new_object_whose_connection_cannot_be_read_or_written_says_why() {
    let a = object("a").wants("blog", "x");
    for (reason, tenant, synced) in [
        (ObstacleReason::RateLimited, true, "Unknown/RateLimited False/RateLimited"),
        (ObstacleReason::RemoteUnavailable, true, "Unknown/RemoteUnavailable False/RemoteUnavailable"),
        (ObstacleReason::OptionsHidden, true, "False/OptionsHidden False/OptionsHidden"),
        (ObstacleReason::ApplyFailed, false, "False/ApplyFailed False/ApplyFailed"),
    ] {
        let unread = after(&a, &Outcome::Unread(obstacle(reason, tenant)), &context());
        assert_eq!(row(&unread), format!("Unknown/Pending Unknown/Pending {synced} Reconciling/ProgressingWithRetry"));
        for write in [WriteOutcome::Failed(obstacle(reason, tenant)), WriteOutcome::Postponed(obstacle(reason, tenant))] {
            let planned = after(&a, &part(&a, Role::Owner, &live(&[]), write), &context());
            assert_eq!(row(&planned), format!("True/Accepted True/ResolvedRefs {synced} Reconciling/ProgressingWithRetry"));
        }
    }
}

#[test]
fn a_plan_that_ends_well_or_is_refused_in_part_says_so() {
    let a = object("a").wants("blog", "x").wants("lang", "de");
    let case = |found: &[(&str, &str)], write: WriteOutcome| row(&after(&a, &part(&a, Role::Owner, &live(found), write), &context()));
    let well = "True/Accepted True/ResolvedRefs";
    assert_eq!(case(&[], WriteOutcome::Written), format!("{well} True/Applied True/Ready"));
    assert_eq!(case(&[("blog", "x"), ("lang", "de")], WriteOutcome::Nothing), format!("{well} True/InSync True/Ready"));
    assert_eq!(
        case(&[("blog", "theirs")], WriteOutcome::Written),
        format!("{well} False/ExistingValue False/ExistingValue Reconciling/ProgressingWithRetry")
    );
    assert_eq!(case(&[], WriteOutcome::Rejected("no".into())), format!("{well} False/Rejected False/Rejected Stalled/Rejected"));
    let turn = WriteOutcome::Postponed(obstacle(ObstacleReason::Pending, false));
    assert_eq!(case(&[], turn), format!("{well} Unknown/Pending Unknown/Pending Reconciling/Progressing"));
}

#[test]
fn a_conflict_on_some_keys_refuses_the_object_and_says_how_the_others_are() {
    let a = object("a").born(1).wants("blog", "x");
    let b = object("b").born(2).wants("blog", "y").wants("lang", "de");
    let outcome = among(&b, &[(&a, Role::Owner), (&b, Role::Owner)], &live(&[]), WriteOutcome::Written);
    let b = after(&b, &outcome, &context());
    assert_eq!(row(&b), "False/Conflicted True/ResolvedRefs True/Applied False/Conflicted Reconciling/ProgressingWithRetry");
    assert_eq!(states(&b), [("blog", Conflicted, 0), ("lang", Applied, 1)]);
}

#[test]
fn a_fight_is_reported_and_keeps_the_record() {
    let a = in_sync();
    let time = |text: &str| Some(text.parse().unwrap());
    let dispute = Dispute {
        owner: a.uid.clone(),
        generation: a.generation,
        times: 2,
        since: time("2026-11-24T10:00:00Z"),
        until: time("2026-11-24T10:15:00Z"),
        holds: true,
        paces: true,
    };
    let disputes = BTreeMap::from([("blog".to_owned(), dispute)]);
    let found = live(&[("blog", "theirs")]);
    let state = ConnectionState { connection_ref: here(), live: &found, disputes: &disputes, unsettled: false };
    let plan = plan(state, &[Participant { object: &a, role: Role::Owner }], false);
    let outcome = Outcome::Planned(Planned::part(&plan, &a, described(HERE), Vec::new(), WriteOutcome::Nothing));
    let fought = after(&a, &outcome, &context());
    assert_eq!(row(&fought), "True/Accepted True/ResolvedRefs False/Contended False/Contended Reconciling/ProgressingWithRetry");
    assert_eq!(states(&fought), [("blog", Contended, 1)]);
    let said = &condition(&fought.status.conditions, ConditionType::Synced).unwrap().message;
    assert!(said.contains("somebody else keeps changing blog (3 times since 2026-11-24T10:00:00Z"), "{said}");
    assert!(said.contains(", left alone until 2026-11-24T10:15:00Z); find the other tool"), "{said}");
    assert_eq!(reasons(&conclude(&a, &outcome, &context()).notices), [(true, "Contended")]);
    assert_eq!(conclude(&fought, &outcome, &context()).notices, []);
}

#[test]
fn a_parameter_that_is_removed_again_and_again_is_in_sync_and_says_so() {
    let a = in_sync();
    let found = live(&[]);
    let dispute = |times| Dispute {
        owner: a.uid.clone(),
        generation: a.generation,
        times,
        since: Some("2026-11-24T10:00:00Z".parse().unwrap()),
        until: None,
        holds: false,
        paces: false,
    };
    for (times, said) in [
        (1, "wrote blog to the connection wordpress"),
        (2, "; but somebody else keeps changing blog (set back 3 times since 2026-11-24T10:00:00Z)"),
    ] {
        let disputes = BTreeMap::from([("blog".to_owned(), dispute(times))]);
        let state = ConnectionState { connection_ref: here(), live: &found, disputes: &disputes, unsettled: false };
        let plan = plan(state, &[Participant { object: &a, role: Role::Owner }], false);
        let outcome = Outcome::Planned(Planned::part(&plan, &a, described(HERE), Vec::new(), WriteOutcome::Written));
        let restored = after(&a, &outcome, &context());
        assert_eq!(row(&restored), "True/Accepted True/ResolvedRefs True/Applied True/Ready");
        let message = &condition(&restored.status.conditions, ConditionType::Synced).unwrap().message;
        assert!(message.ends_with(said), "{message}");
    }
}

#[test]
fn warnings_are_accepted_with_an_event() {
    let a = object("a").wants("blog", "x");
    let Outcome::Planned(planned) = part(&a, Role::Owner, &live(&[("blog", "x")]), WriteOutcome::Nothing) else { panic!() };
    let outcome = Outcome::Planned(Planned { warnings: vec!["unusual".into()], ..planned });
    assert_eq!(row(&after(&a, &outcome, &context())), "True/AcceptedWithWarnings True/ResolvedRefs True/InSync True/Ready");
    let notices = conclude(&a, &outcome, &context()).notices;
    assert!(notices.contains(&Notice { warning: true, reason: "AcceptedWithWarnings", note: "unusual".into() }));
}

#[test]
fn a_refusal_leaves_what_is_recorded() {
    let a = in_sync();
    let invalid = Outcome::Invalid(Refusal { field: "spec.params".into(), problem: "name one".into() });
    let edited = a.clone().generation(2).invalid();
    let refused = after(&edited, &invalid, &context());
    assert_eq!(refused.status.connections, a.status.connections);
    assert_eq!(refused.status.target.as_deref(), Some("wordpress"), "the printer column keeps what it had");
    for outcome in [
        Outcome::NotPermitted("because".into()),
        Outcome::TenantNotFound { meant: None },
        Outcome::TenantNotReady("because".into()),
        Outcome::ConnectionNotFound { id: None, meant: None },
        Outcome::Refused { reason: UnfitReason::ReservedParam, message: "because".into() },
    ] {
        assert_eq!(after(&a, &outcome, &context()).status.connections, a.status.connections, "{outcome:?}");
    }
    let gone = after(&a, &Outcome::ConnectionNotFound { id: Some(HERE.into()), meant: None }, &context());
    assert_eq!(gone.status.connections, [], "a connection that is gone took its parameters with it");
}

#[test]
fn a_tenant_that_appears_is_no_longer_reported_missing() {
    let a = object("a").wants("blog", "x");
    let missing = after(&a, &Outcome::TenantNotFound { meant: None }, &context());
    let broken = after(&missing, &Outcome::TenantNotReady("no Secret".into()), &context());
    assert_eq!(
        row(&broken),
        "Unknown/Pending Unknown/Pending Unknown/TenantNotReady False/TenantNotReady Reconciling/ProgressingWithRetry"
    );
}

// ---- trouble after it was in sync ----

fn message(object: &Declared, kind: ConditionType) -> &str {
    &condition(&object.status.conditions, kind).unwrap().message
}

#[test]
fn what_was_seen_is_said_as_of_when_it_was_seen_and_the_text_stays_while_the_trouble_does() {
    let a = in_sync();
    let outage = Outcome::TenantNotReady("the Secret is gone".into());
    let troubled = after(&a, &outage, &Context { now: at(2000), ..context() });
    assert_eq!(
        message(&troubled, ConditionType::Ready),
        "the connection had the parameters as declared before 1970-01-01T00:33:20Z; now: the Secret is gone"
    );
    assert_eq!(
        message(&troubled, ConditionType::Accepted),
        "at the last check: the operator can manage these parameters on this connection"
    );
    assert_eq!(message(&troubled, ConditionType::ResolvedRefs), "at the last check: the tenant and the connection exist");
    let later = after(&troubled, &outage, &Context { now: at(3000), ..context() });
    assert_eq!(later.status, troubled.status, "no heartbeat");
    let stale = after(&later, &outage, &Context { now: at(9000), since_good_look: 31 * MINUTE, ..context() });
    assert_eq!(
        message(&stale, ConditionType::Ready),
        "the operator last checked the connection before 1970-01-01T00:33:20Z, too long ago; now: the Secret is gone"
    );
    let healed = after(&stale, &part(&stale, Role::Owner, &live(&[("blog", "x")]), WriteOutcome::Nothing), &context());
    for kind in [ConditionType::Ready, ConditionType::Accepted, ConditionType::ResolvedRefs, ConditionType::Synced] {
        assert_eq!(message(&healed, kind), message(&a, kind));
    }
}

#[test]
fn drift_that_was_seen_and_cannot_be_corrected_is_never_called_as_declared() {
    let a = in_sync();
    let failed =
        part(&a, Role::Owner, &live(&[("blog", "theirs")]), WriteOutcome::Failed(obstacle(ObstacleReason::RemoteUnavailable, true)));
    let failed = after(&a, &failed, &context());
    let expected = "blog was not as declared at the last check, and cannot be written; now: ";
    assert!(message(&failed, ConditionType::Ready).starts_with(expected), "{}", message(&failed, ConditionType::Ready));
    let outage = after(&failed, &Outcome::TenantNotReady("the Secret is gone".into()), &context());
    assert_eq!(message(&outage, ConditionType::Ready), format!("{expected}the Secret is gone"));
    assert_eq!(says(&outage, ConditionType::Ready), ("True".into(), "Ready".into()));
}

#[test]
fn what_only_observes_does_not_claim_to_look_while_it_cannot() {
    let a = object("a").observing().wants("blog", "x");
    let watched = after(&a, &part(&a, Role::Observer, &live(&[]), WriteOutcome::Nothing), &observing());
    let blind = after(&watched, &Outcome::TenantNotReady("the Secret is gone".into()), &Context { now: at(2000), ..observing() });
    assert_eq!(says(&blind, ConditionType::Ready), ("True".into(), "Observing".into()));
    assert_eq!(
        message(&blind, ConditionType::Ready),
        "the operator last checked the connection before 1970-01-01T00:33:20Z; now: the Secret is gone"
    );
}

#[test]
fn a_connection_that_is_gone_and_an_object_that_goes_are_not_said_to_be_as_they_were() {
    let a = in_sync();
    let gone = after(&a, &Outcome::ConnectionNotFound { id: Some(HERE.into()), meant: None }, &context());
    assert_eq!(message(&gone, ConditionType::Accepted), "at the last check: the operator can manage these parameters on this connection");
    let dying = a.dying();
    let waiting = after(&dying, &Outcome::TenantNotReady("the Secret is gone".into()), &context());
    assert_eq!(message(&waiting, ConditionType::Synced), "at the last check: the connection wordpress has blog as declared");
}

#[test]
fn one_parameter_has_and_two_have() {
    let one = object("a").wants("blog", "x");
    let two = object("a").wants("blog", "x").wants("lang", "de");
    let synced = |object: &Declared, role: Role, found: &[(&str, &str)], context: &Context| {
        let after = after(object, &part(object, role, &live(found), WriteOutcome::Nothing), context);
        message(&after, ConditionType::Synced).to_owned()
    };
    assert!(synced(&one, Role::Owner, &[("blog", "theirs")], &context()).starts_with("somebody else set another value for blog;"));
    assert!(
        synced(&two, Role::Owner, &[("blog", "theirs"), ("lang", "theirs")], &context())
            .starts_with("somebody else set another value for blog, lang;")
    );
    assert!(synced(&one.observing(), Role::Observer, &[], &observing()).starts_with("the connection wordpress differs in blog;"));
    assert!(synced(&two.observing(), Role::Observer, &[], &observing()).starts_with("the connection wordpress differs in blog, lang;"));
    let adopted = |object: &Declared, found: &[(&str, &str)]| {
        let notices = conclude(object, &part(object, Role::Owner, &live(found), WriteOutcome::Nothing), &context()).notices;
        notices.into_iter().find(|notice| notice.reason == "Adopted").unwrap().note
    };
    let one = object("a").wants("blog", "x");
    assert_eq!(adopted(&one, &[("blog", "x")]), "adopted blog on the connection wordpress, which had the declared value already");
    let two = one.wants("lang", "de");
    assert_eq!(
        adopted(&two, &[("blog", "x"), ("lang", "de")]),
        "adopted blog, lang on the connection wordpress, which had the declared values already"
    );
}

#[test]
fn trouble_with_the_tenant_leaves_an_object_that_was_in_sync_ready() {
    let a = in_sync();
    for (reason, expected) in [
        (ObstacleReason::RateLimited, "Unknown/RateLimited"),
        (ObstacleReason::RemoteUnavailable, "Unknown/RemoteUnavailable"),
        (ObstacleReason::OptionsHidden, "Unknown/TenantNotReady"),
        (ObstacleReason::ApplyFailed, "Unknown/TenantNotReady"),
    ] {
        let later = Context { now: at(2000), since_good_look: 29 * MINUTE, unready_for: 20 * MINUTE, ..context() };
        let troubled = after(&a, &Outcome::Unread(obstacle(reason, true)), &later);
        assert_eq!(row(&troubled), format!("True/Accepted True/ResolvedRefs {expected} True/Ready"));
        assert_eq!((kstatus(&troubled), since(&troubled, ConditionType::Ready)), (Seen::Current, 1000));
        assert_eq!(since(&troubled, ConditionType::Synced), 2000);
        assert_eq!(troubled.status.connections, a.status.connections);
        assert_eq!(troubled.status.last_synced_time, a.status.last_synced_time);
    }
    let outage = Outcome::TenantNotReady("the Secret is gone".into());
    assert_eq!(row(&after(&a, &outage, &context())), "True/Accepted True/ResolvedRefs Unknown/TenantNotReady True/Ready");
}

#[test]
fn trouble_that_lasts_makes_the_observation_stale_until_the_next_good_look_and_never_stalls() {
    let a = in_sync();
    let outage = Outcome::TenantNotReady("the Secret is gone".into());
    let late = Context { since_good_look: 30 * MINUTE, unready_for: 60 * MINUTE, ..context() };
    let stale = after(&a, &outage, &late);
    let expected = "True/Accepted True/ResolvedRefs Unknown/TenantNotReady Unknown/StaleObservation Reconciling/ProgressingWithRetry";
    assert_eq!(row(&stale), expected);
    assert_eq!(reasons(&conclude(&a, &outage, &late).notices), [(true, "TenantNotReady"), (true, "StaleObservation")]);
    // A process that starts again has forgotten when the last look was.
    assert_eq!(row(&after(&stale, &outage, &context())), expected);
    let seen = part(&stale, Role::Owner, &live(&[("blog", "x")]), WriteOutcome::Nothing);
    assert_eq!(row(&after(&stale, &seen, &context())), "True/Accepted True/ResolvedRefs True/InSync True/Ready");
}

#[test]
fn trouble_with_the_object_itself_or_a_new_generation_is_told_at_once() {
    let a = in_sync();
    let own = after(&a, &Outcome::Unread(obstacle(ObstacleReason::ApplyFailed, false)), &context());
    assert_eq!(says(&own, ConditionType::Ready), ("False".into(), "ApplyFailed".into()));
    let edited = a.generation(2);
    let outage = after(&edited, &Outcome::TenantNotReady("the Secret is gone".into()), &context());
    assert_eq!(says(&outage, ConditionType::Ready), ("False".into(), "TenantNotReady".into()));
    assert_eq!(kstatus(&outage), Seen::InProgress);
}

#[test]
fn a_conflict_is_told_also_while_the_tenant_is_in_trouble() {
    let a = in_sync();
    let b = object("b").wants("blog", "x").lists("blog", InSync, &["x"]).born(-1);
    let outcome = among(
        &a,
        &[(&a, Role::Owner), (&b, Role::Owner)],
        &live(&[("blog", "x")]),
        WriteOutcome::Failed(obstacle(ObstacleReason::RateLimited, true)),
    );
    assert_eq!(says(&after(&a, &outcome, &context()), ConditionType::Ready), ("False".into(), "Conflicted".into()));
}

#[test]
fn a_correction_that_waits_for_a_permit_leaves_the_object_ready() {
    let a = in_sync();
    let outcome = part(&a, Role::Owner, &live(&[("blog", "theirs")]), WriteOutcome::Postponed(obstacle(ObstacleReason::RateLimited, true)));
    let waiting = after(&a, &outcome, &context());
    assert_eq!(row(&waiting), "True/Accepted True/ResolvedRefs Unknown/RateLimited True/Ready");
    assert_eq!(states(&waiting), [("blog", Pending, 1)]);
    let again = part(&waiting, Role::Owner, &live(&[("blog", "theirs")]), WriteOutcome::Written);
    assert_eq!(reasons(&conclude(&waiting, &again, &context()).notices), [(true, "DriftCorrected")], "it is still known to be drift");
}

#[test]
fn a_tenant_that_begins_to_observe_does_not_turn_its_objects_red() {
    let a = in_sync();
    let outage = Outcome::TenantNotReady("the Secret is gone".into());
    assert_eq!(says(&after(&a, &outage, &observing()), ConditionType::Ready), ("True".into(), "Ready".into()));
    // The other way round: what was only observed has not been in sync.
    let b = object("b").wants("blog", "x");
    let watched = after(&b, &part(&b, Role::Observer, &live(&[]), WriteOutcome::Nothing), &observing());
    assert_eq!(says(&after(&watched, &outage, &observing()), ConditionType::Ready), ("True".into(), "Observing".into()));
    assert_eq!(says(&after(&watched, &outage, &context()), ConditionType::Ready), ("False".into(), "TenantNotReady".into()));
}

// ---- deadlines ----

#[test]
fn no_progress_for_ten_minutes_is_stalled_whatever_heals_it_and_success_clears_it() {
    let a = object("a").wants("blog", "x");
    let missing = Outcome::ConnectionNotFound { id: None, meant: None };
    let just_before = Context { unready_for: PROGRESS_DEADLINE.checked_sub(Duration::from_secs(1)).unwrap(), ..context() };
    assert_eq!(kstatus(&after(&a, &missing, &just_before)), Seen::InProgress);
    let late = Context { unready_for: PROGRESS_DEADLINE, ..context() };
    let stalled = after(&a, &missing, &late);
    assert_eq!(
        row(&stalled),
        "Unknown/Pending False/ConnectionNotFound Unknown/Pending False/ConnectionNotFound Stalled/ProgressDeadlineExceeded"
    );
    assert_eq!(kstatus(&stalled), Seen::Failed);
    let found = part(&stalled, Role::Owner, &live(&[("blog", "x")]), WriteOutcome::Nothing);
    assert_eq!(kstatus(&after(&stalled, &found, &late)), Seen::Current);
}

// ---- Applied, InSync and times ----

#[test]
fn a_write_is_ready_at_once_and_the_next_look_confirms_it_without_moving_a_time() {
    let a = object("a").wants("blog", "x");
    let written = after(&a, &part(&a, Role::Owner, &live(&[]), WriteOutcome::Written), &context());
    assert_eq!(row(&written), "True/Accepted True/ResolvedRefs True/Applied True/Ready");
    let later = Context { now: at(2000), ..context() };
    let look = |object: &Declared| part(object, Role::Owner, &live(&[("blog", "x")]), WriteOutcome::Nothing);
    let seen = after(&written, &look(&written), &later);
    assert_eq!(states(&seen), [("blog", InSync, 1)]);
    for kind in [ConditionType::Ready, ConditionType::Accepted, ConditionType::ResolvedRefs, ConditionType::Synced] {
        assert_eq!(since(&seen, kind), 1000, "{kind}");
    }
    assert_eq!(seen.status.last_synced_time, Some(Time(at(1000))));
    let again = conclude(&seen, &look(&seen), &Context { now: at(3000), ..context() });
    assert_eq!((again.status, again.notices), (seen.status, Vec::new()), "and the one after changes nothing");
}

#[test]
fn every_ending_twice_is_the_same_status_without_events() {
    let a = object("a").wants("blog", "x").wants("lang", "de");
    let plan = |write: WriteOutcome| part(&a, Role::Owner, &live(&[("lang", "fr")]), write);
    let outcomes = [
        Outcome::Invalid(Refusal { field: "spec".into(), problem: "is wrong".into() }),
        Outcome::TenantNotFound { meant: None },
        Outcome::TenantNotReady("because".into()),
        Outcome::NotPermitted("because".into()),
        Outcome::ConnectionNotFound { id: None, meant: None },
        Outcome::Unread(obstacle(ObstacleReason::OptionsHidden, true)),
        Outcome::Refused { reason: UnfitReason::UnsupportedStrategy, message: "because".into() },
        plan(WriteOutcome::Failed(obstacle(ObstacleReason::ApplyFailed, false))),
        plan(WriteOutcome::Postponed(obstacle(ObstacleReason::RateLimited, true))),
        plan(WriteOutcome::Rejected("no".into())),
    ];
    for outcome in outcomes {
        let once = after(&a, &outcome, &context());
        let twice = conclude(&once, &outcome, &Context { now: at(5000), ..context() });
        assert_eq!(twice.status, once.status, "{outcome:?}");
        assert_eq!(twice.notices, [], "{outcome:?}");
    }
}

#[test]
fn a_rejected_object_is_left_as_it_was_until_something_changes() {
    let a = object("a").wants("blog", "x");
    let rejected = after(&a, &part(&a, Role::Owner, &live(&[]), WriteOutcome::Rejected("no".into())), &context());
    assert_eq!(states(&rejected), [("blog", Pending, 1)], "the claim stays: nobody knows what was refused");
    let still = Outcome::StillRejected { message: "no".into(), warnings: Vec::new() };
    let again = conclude(&rejected, &still, &Context { now: at(9000), unready_for: 60 * MINUTE, ..context() });
    assert_eq!((&again.status, again.notices), (&rejected.status, Vec::new()));
    let mut forged = rejected.clone();
    forged.status.conditions.iter_mut().for_each(|condition| "True".clone_into(&mut condition.status));
    assert_eq!(row(&after(&forged, &still, &context())), row(&rejected));
}

// ---- what the record becomes ----

#[test]
fn an_entry_on_what_can_be_no_connection_is_no_record_and_goes_with_the_next_look() {
    let a = in_sync();
    let mut forged = a.clone();
    let entry = ConnectionStatus { id: "con_x/../users".into(), ..a.status.connections[0].clone() };
    forged.status.connections.push(entry);
    let refused = Outcome::NotPermitted("because".into());
    for outcome in [part(&forged, Role::Owner, &live(&[("blog", "x")]), WriteOutcome::Nothing), refused] {
        assert_eq!(after(&forged, &outcome, &context()).status.connections, a.status.connections);
    }
}

#[test]
fn the_record_follows_what_became_of_the_write() {
    let a = object("a").wants("blog", "new").lists("blog", InSync, &["old"]).lists("drop", InSync, &["x"]);
    let found = live(&[("blog", "old"), ("drop", "x")]);
    let case = |write: WriteOutcome| {
        let object = after(&a, &part(&a, Role::Owner, &found, write), &context());
        object.status.connections[0].params.clone()
    };
    let owned = |params: &[ParamStatus]| params.iter().map(|param| (param.state, param.owned.clone())).collect::<Vec<_>>();
    let text = |name: &str, text: &str| print(name, text).to_string();
    let (old, new, dropped) = (text("blog", "old"), text("blog", "new"), text("drop", "x"));
    assert_eq!(owned(&case(WriteOutcome::Written)), [(Applied, vec![new.clone()])]);
    let both = vec![old.clone(), new];
    for write in [WriteOutcome::Failed(obstacle(ObstacleReason::RemoteUnavailable, true)), WriteOutcome::Rejected("no".into())] {
        assert_eq!(owned(&case(write)), [(Pending, both.clone()), (Removing, vec![dropped.clone()])]);
    }
    let waiting = case(WriteOutcome::Postponed(obstacle(ObstacleReason::RateLimited, true)));
    assert_eq!(owned(&waiting), [(Pending, vec![old]), (Removing, vec![dropped])]);
    assert_eq!(waiting[0].applied, Some(true), "that it was in sync here is not forgotten");
}

#[test]
fn a_hand_over_that_failed_or_waits_keeps_the_record_of_the_giver() {
    let a = object("a").wants("lang", "de").lists("blog", InSync, &["x"]);
    let b = object("b").wants("blog", "y");
    let found = live(&[("blog", "x"), ("lang", "de")]);
    let parts = [(&a, Role::Owner), (&b, Role::Owner)];
    for write in [
        WriteOutcome::Failed(obstacle(ObstacleReason::RateLimited, true)),
        WriteOutcome::Postponed(obstacle(ObstacleReason::RateLimited, true)),
    ] {
        let kept = after(&a, &among(&a, &parts, &found, write), &context());
        assert_eq!(states(&kept), [("blog", Removing, 1), ("lang", InSync, 1)]);
    }
    assert_eq!(states(&after(&a, &among(&a, &parts, &found, WriteOutcome::Written), &context())), [("lang", InSync, 1)]);

    let parts = parts.map(|(object, role)| Participant { object, role });
    let state = ConnectionState { connection_ref: here(), live: &found, disputes: &BTreeMap::new(), unsettled: false };
    let mut deferred = plan(state, &parts, false);
    deferred.retain_actors(&BTreeSet::from([a.uid.clone()]));
    let turn = WriteOutcome::Postponed(obstacle(ObstacleReason::Pending, false));
    let outcome = Outcome::Planned(Planned::part(&deferred, &a, described(HERE), Vec::new(), turn));
    assert_eq!(states(&after(&a, &outcome, &context())), [("blog", Removing, 1), ("lang", InSync, 1)]);
}

/// Else what is there, or is not, would be taken for somebody's change when the name is declared again.
#[test]
fn what_a_removal_of_ours_may_have_taken_away_does_not_count_as_applied() {
    let a = object("a").lists("blog", InSync, &["x"]);
    let applied = |write| {
        let removing = after(&a, &part(&a, Role::Owner, &live(&[("blog", "x")]), write), &context());
        assert_eq!(states(&removing), [("blog", Removing, 1)]);
        removing.status.connections[0].params[0].applied
    };
    let unavailable = || obstacle(ObstacleReason::RemoteUnavailable, true);
    assert_eq!(applied(WriteOutcome::Failed(unavailable())), None);
    assert_eq!(applied(WriteOutcome::Rejected("no".into())), None);
    assert_eq!(applied(WriteOutcome::Postponed(unavailable())), Some(true), "nothing was sent");
}

/// An object whose tenant object stands for another tenant begins as a new one does.
#[test]
fn what_was_said_of_another_tenant_is_not_said_of_the_one_that_took_its_place() {
    let mut old = in_sync();
    old.status.connections[0].tenant = Some(here().tenant.to_string());
    assert!(object::was_in_sync(&old, false));
    assert_eq!(left_elsewhere(&old, here().tenant, at(2000)), None);
    let new = TenantIdentity::from("other.eu.auth0.com");
    let left = Declared { status: left_elsewhere(&old, &new, at(2000)).unwrap().status, ..old };
    assert_eq!(row(&left), "Unknown/Pending Unknown/Pending Unknown/Pending Unknown/Pending Reconciling/Progressing");
    assert!(left.status.connections.is_empty() && !object::was_in_sync(&left, false));
    assert_sound(&left);
}

#[test]
fn leaving_a_connection_says_nothing_of_the_one_that_is_named() {
    let a = object("a").at(ELSEWHERE_NAME).wants("blog", "x").lists_at(ELSEWHERE, "blog", ExistingValue, &[]).lists("blog", InSync, &["x"]);
    let leaving = Context { names_it: false, ..context() };
    let left = conclude(&a, &part(&a, Role::Leaver, &live(&[("blog", "x")]), WriteOutcome::Written), &leaving);
    let ids: Vec<&str> = left.status.connections.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(ids, [ELSEWHERE], "that it was accepted there is not forgotten with the last record here");
    assert_eq!((&left.status.conditions, left.status.observed_generation), (&a.status.conditions, None));
    assert_eq!(reasons(&left.notices), [(false, "ParametersRemoved")]);
    let failed = conclude(
        &a,
        &part(&a, Role::Leaver, &live(&[("blog", "x")]), WriteOutcome::Failed(obstacle(ObstacleReason::RateLimited, true))),
        &leaving,
    );
    assert_eq!(failed.status.connections.len(), 2);
    assert!(!claims::any(&left.status) && claims::any(&failed.status));
}

#[test]
fn a_move_is_not_done_before_the_old_connection_is_left() {
    let a = object("a").wants("blog", "x").lists_at(ELSEWHERE, "blog", InSync, &["x"]);
    let moved = after(&a, &part(&a, Role::Owner, &live(&[]), WriteOutcome::Written), &context());
    assert_eq!(row(&moved), "True/Accepted True/ResolvedRefs Unknown/Pending Unknown/Pending Reconciling/Progressing");
    assert!(is_accepted_on(&moved, &HERE.into()));
    assert!(!is_accepted_on(&moved.clone().generation(2), &HERE.into()), "for this generation only");
}

#[test]
fn an_object_is_not_accepted_where_some_of_its_names_are_taken_nor_where_it_is_refused() {
    let a = object("a").born(1).wants("blog", "x");
    let b = object("b").born(2).wants("blog", "y");
    let both = [(&a, Role::Owner), (&b, Role::Owner)];
    let (given, taken) = (among(&a, &both, &live(&[]), WriteOutcome::Written), among(&b, &both, &live(&[]), WriteOutcome::Written));
    assert!(is_accepted_on(&after(&a, &given, &context()), &HERE.into()));
    assert!(!is_accepted_on(&after(&b, &taken, &context()), &HERE.into()), "it keeps what it has elsewhere until it has all of it here");
    let refused = Outcome::Refused { reason: UnfitReason::UnsupportedStrategy, message: "because".into() };
    assert!(!is_accepted_on(&after(&a, &refused, &context()), &HERE.into()));
}

// ---- observing ----

#[test]
fn observing_is_ready_after_one_look_and_shows_what_enforce_would_do() {
    let a =
        object("a").observing().wants("add", "x").wants("change", "new").lists("change", InSync, &["old"]).lists("drop", InSync, &["x"]);
    let found = live(&[("change", "old"), ("drop", "x")]);
    let late = Context { unready_for: 60 * MINUTE, ..observing() };
    let watched = after(&a, &part(&a, Role::Observer, &found, WriteOutcome::Nothing), &late);
    assert_eq!(row(&watched), "True/Accepted True/ResolvedRefs False/DriftDetected True/Observing");
    assert_eq!(states(&watched), [("add", WouldAdd, 0), ("change", WouldChange, 1), ("drop", WouldRemove, 1)]);
    assert_eq!(kstatus(&watched), Seen::Current);
    assert!(kubectl_wait(&watched, ConditionType::Ready) && !kubectl_wait(&watched, ConditionType::Synced));
}

#[test]
fn observing_what_is_equal_is_in_sync_and_owns_nothing() {
    let a = object("a").observing().wants("blog", "x");
    let outcome = part(&a, Role::Observer, &live(&[("blog", "x")]), WriteOutcome::Nothing);
    let watched = after(&a, &outcome, &observing());
    assert_eq!(row(&watched), "True/Accepted True/ResolvedRefs True/InSync True/Observing");
    assert_eq!(states(&watched), [("blog", InSync, 0)]);
    assert_eq!(conclude(&watched, &outcome, &observing()).notices, [], "nothing was taken over");
    assert_eq!(conclude(&a, &outcome, &observing()).finalizer, Finalizer::Keep);
}

#[test]
fn an_observer_is_ready_also_where_enforce_would_be_kept_from_a_value() {
    let a = object("a").observing().wants("blog", "x");
    let watched = after(&a, &part(&a, Role::Observer, &live(&[("blog", "theirs")]), WriteOutcome::Nothing), &observing());
    assert_eq!(row(&watched), "True/Accepted True/ResolvedRefs False/ExistingValue True/Observing");
}

#[test]
fn refusals_stand_while_observing() {
    let a = object("a").observing().wants("blog", "x");
    let refused = Outcome::Refused { reason: UnfitReason::UnsupportedStrategy, message: "because".into() };
    assert_eq!(kstatus(&after(&a, &refused, &observing())), Seen::Failed);
}

#[test]
fn a_name_that_would_change_hands_keeps_its_record_while_it_is_only_observed() {
    let a = object("a").observing().wants("lang", "de").lists("blog", InSync, &["x"]);
    let b = object("b").observing().wants("blog", "y");
    let outcome = among(&a, &[(&a, Role::Observer), (&b, Role::Observer)], &live(&[("blog", "x"), ("lang", "de")]), WriteOutcome::Nothing);
    let watched = after(&a, &outcome, &observing());
    assert_eq!(states(&watched), [("blog", WouldRemove, 1), ("lang", InSync, 0)]);
}

#[test]
fn an_observer_that_finds_nothing_of_its_own_any_more_says_so_once() {
    let a = object("a").observing().wants("lang", "de").lists("blog", InSync, &["x"]);
    let outcome = part(&a, Role::Observer, &live(&[("blog", "theirs"), ("lang", "de")]), WriteOutcome::Nothing);
    let watched = after(&a, &outcome, &observing());
    assert_eq!(states(&watched), [("lang", InSync, 0)]);
    assert_eq!(reasons(&conclude(&a, &outcome, &observing()).notices), [(true, "ParametersLeft"), (false, "Observing")]);
}

#[test]
fn a_move_that_is_only_observed_is_ready_and_carries_its_record() {
    let a = object("a").observing().wants("blog", "x").lists_at(ELSEWHERE, "blog", InSync, &["x"]);
    let watched = after(&a, &part(&a, Role::Observer, &live(&[("blog", "x")]), WriteOutcome::Nothing), &observing());
    assert_eq!(row(&watched), "True/Accepted True/ResolvedRefs False/DriftDetected True/Observing");
    assert_eq!(states(&watched), [("blog", WouldRemove, 1), ("blog", InSync, 0)]);
    // That it was in sync there is not forgotten by that: back there, another value is drift.
    assert!(claims::on(&watched.status, &ELSEWHERE.into())["blog"].applied);
    let again = after(&watched, &part(&watched, Role::Observer, &live(&[("blog", "x")]), WriteOutcome::Nothing), &observing());
    assert_eq!(again.status, watched.status);
    // And with Enforce nothing "would" be done any more: it is about to be.
    let mut enforced = watched;
    enforced.policies.management = crate::api::upstream_params::ManagementPolicy::Enforce;
    let enforced = after(&enforced, &part(&enforced, Role::Owner, &live(&[("blog", "x")]), WriteOutcome::Nothing), &context());
    assert_eq!(states(&enforced), [("blog", Removing, 1), ("blog", InSync, 1)]);
}

// ---- deletion and the finalizer ----

#[test]
fn a_deletion_says_so_and_what_it_waits_for() {
    let a = in_sync().dying().generation(2);
    let waits = |outcome: &Outcome| {
        let dying = after(&a, outcome, &context());
        assert_eq!(row(&dying), "Unknown/Pending Unknown/Pending Unknown/Pending False/Deleting Reconciling/Progressing");
        assert_eq!((kstatus(&dying), conclude(&a, outcome, &context()).finalizer), (Seen::Terminating, Finalizer::Keep));
        condition(&dying.status.conditions, ConditionType::Ready).unwrap().message.clone()
    };
    let found = live(&[("blog", "x")]);
    for outcome in [
        Outcome::TenantNotReady("the Secret is gone".into()),
        Outcome::Unread(obstacle(ObstacleReason::RateLimited, true)),
        part(&a, Role::Leaver, &found, WriteOutcome::Failed(obstacle(ObstacleReason::RemoteUnavailable, true))),
        part(&a, Role::Leaver, &found, WriteOutcome::Postponed(obstacle(ObstacleReason::RateLimited, true))),
    ] {
        assert!(waits(&outcome).contains("set deletionPolicy: Retain"), "{outcome:?}");
    }
}

#[test]
fn the_finalizer_goes_when_the_last_record_does() {
    let a = in_sync().dying();
    let done = conclude(&a, &part(&a, Role::Leaver, &live(&[("blog", "x")]), WriteOutcome::Written), &context());
    assert_eq!(done.finalizer, Finalizer::Remove);
    assert_eq!(reasons(&done.notices), [(false, "ParametersRemoved")]);
    let gone = conclude(&a, &Outcome::ConnectionNotFound { id: Some(HERE.into()), meant: None }, &context());
    assert_eq!(gone.finalizer, Finalizer::Remove, "a connection that is gone is success");
    let changed = conclude(&a, &part(&a, Role::Leaver, &live(&[("blog", "theirs")]), WriteOutcome::Nothing), &context());
    assert_eq!((changed.finalizer, reasons(&changed.notices)), (Finalizer::Remove, vec![(true, "ParametersLeft")]));
    let two = a.lists_at(ELSEWHERE, "blog", InSync, &["x"]);
    let half = conclude(&two, &part(&two, Role::Leaver, &live(&[("blog", "x")]), WriteOutcome::Written), &context());
    assert_eq!(half.finalizer, Finalizer::Keep, "another connection still has its parameters");
}

#[test]
fn a_lost_record_does_not_let_the_finalizer_go_before_the_connection_was_seen() {
    let a = object("a").wants("blog", "x").dying();
    let outcomes = [
        (Outcome::TenantNotReady("because".into()), Finalizer::Keep),
        (Outcome::Unread(obstacle(ObstacleReason::RateLimited, true)), Finalizer::Keep),
        (
            part(&a, Role::Leaver, &live(&[("blog", "x")]), WriteOutcome::Failed(obstacle(ObstacleReason::RateLimited, true))),
            Finalizer::Keep,
        ),
        (part(&a, Role::Leaver, &live(&[("blog", "x")]), WriteOutcome::Written), Finalizer::Remove),
        (part(&a, Role::Leaver, &live(&[]), WriteOutcome::Nothing), Finalizer::Remove),
        (Outcome::ConnectionNotFound { id: None, meant: None }, Finalizer::Remove),
    ];
    for (outcome, expected) in outcomes {
        assert_eq!(conclude(&a, &outcome, &context()).finalizer, expected, "{outcome:?}");
    }
    let restored = after(
        &a,
        &part(&a, Role::Leaver, &live(&[("blog", "x")]), WriteOutcome::Failed(obstacle(ObstacleReason::RateLimited, true))),
        &context(),
    );
    assert_eq!(states(&restored), [("blog", Removing, 1)], "and what the spec proves is recorded again");
}

#[test]
fn a_release_leaves_everything_with_a_warning_once() {
    let a = in_sync().dying();
    let outcome = Outcome::Released("the tenant object is gone".into());
    let released = conclude(&a, &outcome, &context());
    assert_eq!((released.finalizer, reasons(&released.notices)), (Finalizer::Remove, vec![(true, "ParametersLeft")]));
    assert!(released.status.connections.is_empty());
    let again = conclude(&Declared { status: released.status.clone(), ..a }, &outcome, &context());
    assert_eq!((again.finalizer, again.notices, again.status), (Finalizer::Remove, Vec::new(), released.status));
}

#[test]
fn the_finalizer_is_there_while_a_deletion_would_have_something_to_remove() {
    let record = |object: Declared| object.wants("blog", "x").lists("blog", InSync, &["x"]);
    let case = |object: &Declared, role: Role, context: &Context| {
        conclude(object, &part(object, role, &live(&[("blog", "x")]), WriteOutcome::Nothing), context).finalizer
    };
    assert_eq!(case(&record(object("a")), Role::Owner, &context()), Finalizer::Add);
    assert_eq!(case(&record(object("a")).kept(), Role::Owner, &context()), Finalizer::Keep);
    assert_eq!(case(&record(object("a")).kept().retaining(), Role::Owner, &context()), Finalizer::Remove);
    assert_eq!(case(&record(object("a")).kept().observing(), Role::Observer, &observing()), Finalizer::Remove);
    assert_eq!(case(&record(object("a")).kept(), Role::Observer, &observing()), Finalizer::Keep, "its own policy counts, not the tenant's");
    let emptied = object("a").wants("blog", "x").kept();
    let outcome = part(&emptied, Role::Owner, &live(&[("blog", "theirs")]), WriteOutcome::Nothing);
    assert_eq!(conclude(&emptied, &outcome, &context()).finalizer, Finalizer::Remove);
    let invalid = record(object("a")).kept().invalid();
    let refusal = Outcome::Invalid(invalid.spec.clone().unwrap_err());
    assert_eq!(conclude(&invalid, &refusal, &context()).finalizer, Finalizer::Keep);
    assert_eq!(conclude(&in_sync(), &Outcome::TenantNotFound { meant: None }, &context()).finalizer, Finalizer::Keep);
}

// ---- the claim ----

#[test]
fn a_claim_changes_the_record_and_nothing_else() {
    let a = in_sync().generation(2);
    let records = BTreeMap::from([("blog".to_owned(), vec![print("blog", "x"), print("blog", "y")])]);
    let status = claimed(&a, &described(HERE), &records, &BTreeSet::new(), at(2000));
    let mut expected = a.status.clone();
    expected.connections[0].params[0].owned = claims::in_status(&records["blog"]);
    assert_eq!(status, expected);
}

#[test]
fn the_first_claim_of_a_new_object_says_that_nothing_is_known_yet() {
    let a = object("a").wants("blog", "x");
    let mut new = a.clone();
    new.status.observed_generation = Some(-1);
    let records = BTreeMap::from([("blog".to_owned(), vec![print("blog", "x")])]);
    new.status = claimed(&new, &described(HERE), &records, &BTreeSet::new(), at(1000));
    assert_eq!(new.status.observed_generation, Some(-1));
    assert_eq!(new.status.conditions.len(), 4);
    for condition in &new.status.conditions {
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("Unknown", "Pending"));
        assert_eq!(condition.observed_generation, Some(1));
    }
    assert_eq!(kstatus(&new), Seen::InProgress);
    assert_eq!(states(&new), [("blog", Pending, 1)]);
}

// ---- events ----

#[test]
fn what_was_done_is_told_once() {
    let a =
        object("a").wants("blog", "x").wants("same", "s").wants("drift", "d").lists("drift", InSync, &["d"]).lists("drop", InSync, &["x"]);
    let found = live(&[("same", "s"), ("drift", "theirs"), ("drop", "x")]);
    let outcome = part(&a, Role::Owner, &found, WriteOutcome::Written);
    let notices = conclude(&a, &outcome, &context()).notices;
    assert_eq!(
        reasons(&notices),
        [(false, "Applied"), (true, "DriftCorrected"), (false, "ParametersRemoved"), (false, "Adopted"), (false, "Ready")]
    );
    assert_eq!(notices[0].note, "wrote blog on the connection wordpress");
    let failed =
        conclude(&a, &part(&a, Role::Owner, &found, WriteOutcome::Failed(obstacle(ObstacleReason::RateLimited, true))), &context()).notices;
    assert_eq!(reasons(&failed), [(false, "Adopted"), (true, "RateLimited")], "what failed was not done");
}

#[test]
fn a_value_that_overwrite_replaced_is_told_and_one_that_was_ours_is_not() {
    let a = object("a").overwriting().wants("blog", "x").wants("lang", "de").lists("lang", InSync, &["fr"]).wants("new", "n");
    let found = live(&[("blog", "theirs"), ("lang", "fr")]);
    let notices = conclude(&a, &part(&a, Role::Owner, &found, WriteOutcome::Written), &context()).notices;
    assert_eq!(reasons(&notices), [(false, "Applied"), (true, "Overwritten"), (false, "Ready")]);
    assert_eq!(notices[0].note, "wrote lang, new on the connection wordpress");
    assert_eq!(notices[1].note, "replaced somebody else's value of blog on the connection wordpress, because adoptionPolicy is Overwrite");
    let b = object("b").overwriting().wants("blog", "y");
    let gives = object("a").wants("other", "o").lists("blog", InSync, &["x"]);
    let handed = among(&b, &[(&gives, Role::Owner), (&b, Role::Owner)], &live(&[("blog", "x")]), WriteOutcome::Written);
    assert_eq!(reasons(&conclude(&b, &handed, &context()).notices), [(false, "Applied"), (false, "Ready")], "what another object gives up");
}

#[test]
fn who_waits_for_another_to_give_a_parameter_up_is_not_said_to_have_it_and_keeps_its_claim() {
    let (gone, b) = (object("a").lists("blog", InSync, &["x"]), object("b").wants("blog", "x").lists("blog", Pending, &["x"]));
    let parts = [Participant { object: &gone, role: Role::Bystander }, Participant { object: &b, role: Role::Owner }];
    let found = live(&[("blog", "x")]);
    let state = ConnectionState { connection_ref: here(), live: &found, disputes: &BTreeMap::new(), unsettled: false };
    let mut plan = plan(state, &parts, false);
    assert!(plan.adopts(&b.uid) && plan.losers().contains(&gone.uid));
    plan.defer_handed(&b.uid);
    let waits = WriteOutcome::Failed(obstacle(ObstacleReason::Pending, false));
    let b = after(&b, &Outcome::Planned(Planned::part(&plan, &b, described(HERE), Vec::new(), waits)), &context());
    let param = &b.status.connections[0].params[0];
    assert_eq!((param.state, param.owned.len()), (Pending, 1));
    assert_eq!(says(&b, ConditionType::Ready), ("Unknown".to_owned(), "Pending".to_owned()));
}

#[test]
fn what_a_release_leaves_is_named() {
    let a = in_sync().lists_at(ELSEWHERE, "lang", InSync, &["de"]).dying();
    let notices = conclude(&a, &Outcome::Released("deletionPolicy is Retain".into()), &context()).notices;
    let notes: Vec<&str> = notices.iter().map(|notice| notice.note.as_str()).collect();
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains("blog on the connection wordpress") && notes[0].contains("lang on the connection"), "{notes:?}");
    assert!(notes[0].ends_with(", because deletionPolicy is Retain"), "{notes:?}");
}

#[test]
fn a_note_is_never_longer_than_a_kilobyte_and_is_cut_between_characters() {
    let long = Outcome::NotPermitted("\u{e4}".repeat(2000));
    let notices = conclude(&object("a").wants("blog", "x"), &long, &context()).notices;
    assert_eq!(notices.len(), 1);
    assert!(notices[0].note.len() <= 1000 && notices[0].note.len() > 890);
}

#[test]
fn an_object_of_another_namespace_is_never_named() {
    let hidden = object("hidden-name").of("hidden-space").born(1).wants("blog", "x");
    let near = object("near-name").born(1).wants("lang", "de");
    let b = object("b").born(2).wants("blog", "y").wants("lang", "fr");
    let parts = [(&hidden, Role::Owner), (&near, Role::Owner), (&b, Role::Owner)];
    let conclusion = conclude(&b, &among(&b, &parts, &live(&[]), WriteOutcome::Nothing), &context());
    let said = format!("{conclusion:?}");
    assert!(said.contains("near-name") && !said.contains("hidden"), "{said}");
}

#[test]
fn no_value_of_any_parameter_is_said() {
    let a = object("a").wants("blog", "MARK-a").wants("lang", "MARK-b").lists("lang", InSync, &["MARK-c"]);
    for write in [WriteOutcome::Written, WriteOutcome::Nothing, WriteOutcome::Failed(obstacle(ObstacleReason::ApplyFailed, false))] {
        let outcome = part(&a, Role::Owner, &live(&[("blog", "MARK-d"), ("lang", "MARK-c")]), write);
        assert!(!format!("{:?}", conclude(&a, &outcome, &context())).contains("MARK"));
    }
}

// ---- what other tools make of it ----

#[test]
fn every_tool_reaches_the_same_verdict() {
    let new = object("a").wants("blog", "x");
    let seen = |object: &Declared| (kstatus(object), kubectl_wait(object, ConditionType::Ready));
    assert_eq!(seen(&new), (Seen::Current, false), "without the CRD's default, which is why there is one");
    let mut defaulted = new.clone();
    defaulted.status.observed_generation = Some(-1);
    assert_eq!(seen(&defaulted), (Seen::InProgress, false));
    let visited =
        after(&new, &part(&new, Role::Owner, &live(&[]), WriteOutcome::Postponed(obstacle(ObstacleReason::Pending, false))), &context());
    assert_eq!(seen(&visited), (Seen::InProgress, false));
    let synced = in_sync();
    assert_eq!(seen(&synced), (Seen::Current, true));
    assert_eq!(seen(&synced.clone().generation(2)), (Seen::InProgress, false), "edited and not yet seen");
    let transient = after(&new, &Outcome::TenantNotFound { meant: None }, &context());
    assert_eq!(seen(&transient), (Seen::InProgress, false));
    let outage = after(&synced, &Outcome::Unread(obstacle(ObstacleReason::RateLimited, true)), &context());
    assert_eq!(seen(&outage), (Seen::Current, true));
    let terminal = after(&new, &Outcome::Invalid(Refusal { field: "spec".into(), problem: "is wrong".into() }), &context());
    assert_eq!(seen(&terminal), (Seen::Failed, false));
    assert!(kubectl_wait(&terminal, ConditionType::Stalled));
    let dying = after(&synced.dying(), &Outcome::TenantNotReady("because".into()), &context());
    assert_eq!(seen(&dying), (kstatus::Verdict::Terminating, false));
}

#[test]
fn a_record_at_another_connection_is_another_fingerprint() {
    assert_ne!(print_at(ELSEWHERE, "blog", "x"), print("blog", "x"));
}

#[test]
fn what_was_asked_for_is_recorded_once_it_was_carried_out_and_stays_recorded() {
    let a = object("a").wants("blog", "x");
    let outcome = Outcome::TenantNotReady("the Secret is gone".into());
    let plain = conclude(&a, &outcome, &context());
    assert_eq!(plain.status.last_handled_reconcile_at, None);
    let handled = plain.clone().carries_out(Some("now"));
    assert_eq!(handled.status.last_handled_reconcile_at.as_deref(), Some("now"));
    assert_eq!(Conclusion { status: plain.status.clone(), ..handled.clone() }, plain, "nothing else follows from it");
    let a = Declared { status: handled.status, ..a };
    let later = conclude(&a, &outcome, &context()).carries_out(None);
    assert_eq!(later.status, a.status);
}
