//! Every verdict, as a sentence.

use std::collections::BTreeSet;

use super::*;
use crate::api::upstream_params::ParamState::{Applied, Contended, ExistingValue, InSync, Pending, Removing};
use crate::core::pass::claims::MAX_OWNED;
use crate::tests::builders::{ELSEWHERE, here, live, object, print, print_at, value};

const WRITE: Verdict = Verdict::Write { drift: false, absent: false };
const ADD: Verdict = Verdict::Write { drift: false, absent: true };
const CORRECT: Verdict = Verdict::Write { drift: true, absent: false };

fn planned(found: &BTreeMap<String, Live>, parts: &[(&Declared, Role)]) -> Plan {
    planned_with(found, &[], parts, false)
}

fn planned_with(found: &BTreeMap<String, Live>, contended: &[&str], parts: &[(&Declared, Role)], all_observe: bool) -> Plan {
    let fought = Dispute { owner: "uid-a".into(), generation: 1, times: 2, since: None, until: None, holds: true, paces: true };
    let disputes = contended.iter().map(|name| ((*name).to_owned(), fought.clone())).collect();
    let parts: Vec<Participant<'_>> = parts.iter().map(|(object, role)| Participant { object, role: *role }).collect();
    plan(ConnectionState { connection_ref: here(), live: found, disputes: &disputes, unsettled: false }, &parts, all_observe)
}

fn owner(object: &Declared) -> (&Declared, Role) {
    (object, Role::Owner)
}

fn leaver(object: &Declared) -> (&Declared, Role) {
    (object, Role::Leaver)
}

fn holder(object: &Declared) -> (&Declared, Role) {
    (object, Role::Holder)
}

fn rejected(object: &Declared) -> (&Declared, Role) {
    (object, Role::Rejected)
}

fn observer(object: &Declared) -> (&Declared, Role) {
    (object, Role::Observer)
}

fn part<'a>(plan: &'a Plan, object: &Declared, name: &str) -> &'a ParamPlan {
    &plan.objects[&object.uid][name]
}

fn verdict(plan: &Plan, object: &Declared, name: &str) -> Option<Verdict> {
    plan.objects.get(&object.uid)?.get(name).map(|param| param.verdict.clone())
}

/// What the PATCH would set (`Some`) and remove (`None`).
fn entries(plan: &Plan) -> Vec<(String, Option<Entry>)> {
    plan.entries().into_iter().collect()
}

fn set(name: &str, text: &str) -> (String, Option<Entry>) {
    (name.to_owned(), Some(value(text)))
}

fn removed(name: &str) -> (String, Option<Entry>) {
    (name.to_owned(), None)
}

// ---- one object ----

#[test]
fn a_parameter_that_is_not_there_is_added_and_claimed_first() {
    let a = object("a").wants("blog", "x");
    let plan = planned(&live(&[("other", "1")]), &[owner(&a)]);
    assert_eq!(verdict(&plan, &a, "blog"), Some(ADD));
    assert_eq!(entries(&plan), [set("blog", "x")]);
    assert_eq!(part(&plan, &a, "blog").before, Vec::<Fingerprint>::new());
    assert_eq!(part(&plan, &a, "blog").claim, [print("blog", "x")]);
    assert_eq!(part(&plan, &a, "blog").after, [print("blog", "x")]);
}

#[test]
fn an_edit_replaces_the_value_that_the_record_proves() {
    let a = object("a").wants("blog", "new").lists("blog", InSync, &["old"]);
    let plan = planned(&live(&[("blog", "old")]), &[owner(&a)]);
    assert_eq!(verdict(&plan, &a, "blog"), Some(WRITE));
    assert_eq!(part(&plan, &a, "blog").claim, [print("blog", "old"), print("blog", "new")]);
    assert_eq!(part(&plan, &a, "blog").after, [print("blog", "new")]);
    assert!(!plan.changes["blog"].drift);
}

#[test]
fn an_edit_whose_answer_was_lost_is_ours_whichever_value_is_live() {
    let a = object("a").wants("blog", "third").lists("blog", Pending, &["first", "second"]);
    for found in ["first", "second"] {
        let plan = planned(&live(&[("blog", found)]), &[owner(&a)]);
        assert_eq!(verdict(&plan, &a, "blog"), Some(WRITE), "{found}");
    }
    assert_eq!(verdict(&planned(&live(&[("blog", "fourth")]), &[owner(&a)]), &a, "blog"), Some(Verdict::ExistingValue));
}

#[test]
fn an_equal_value_is_taken_over_at_no_write() {
    let a = object("a").wants("blog", "x");
    let plan = planned(&live(&[("blog", "x")]), &[owner(&a)]);
    assert_eq!(verdict(&plan, &a, "blog"), Some(Verdict::InSync));
    assert_eq!(part(&plan, &a, "blog").after, [print("blog", "x")]);
    assert!(plan.changes.is_empty());
}

#[test]
fn nothing_differs_so_nothing_is_planned_and_the_record_shrinks_to_what_is_live() {
    let a = object("a").wants("blog", "x").lists("blog", Pending, &["old", "x"]);
    let plan = planned(&live(&[("blog", "x")]), &[owner(&a)]);
    assert_eq!(verdict(&plan, &a, "blog"), Some(Verdict::InSync));
    assert_eq!(part(&plan, &a, "blog").after, [print("blog", "x")]);
    assert!(plan.changes.is_empty() && plan.acted_for().is_empty());
}

#[test]
fn another_value_after_we_were_in_sync_is_drift_and_is_corrected() {
    for state in [InSync, Applied, Contended] {
        let a = object("a").wants("blog", "x").lists("blog", state, &["x"]);
        let plan = planned(&live(&[("blog", "theirs")]), &[owner(&a)]);
        assert_eq!(verdict(&plan, &a, "blog"), Some(CORRECT), "{state}");
        assert!(plan.changes["blog"].drift);
        assert!(part(&plan, &a, "blog").applied);
    }
}

#[test]
fn a_correction_that_failed_is_still_a_correction() {
    let mut a = object("a").wants("blog", "x").lists("blog", Pending, &["x"]);
    a.status.connections[0].params[0].applied = Some(true);
    assert_eq!(verdict(&planned(&live(&[("blog", "theirs")]), &[owner(&a)]), &a, "blog"), Some(CORRECT));
}

#[test]
fn a_removal_by_somebody_else_is_drift_too() {
    let a = object("a").wants("blog", "x").lists("blog", InSync, &["x"]);
    let plan = planned(&live(&[]), &[owner(&a)]);
    assert_eq!(verdict(&plan, &a, "blog"), Some(Verdict::Write { drift: true, absent: true }));
}

#[test]
fn somebody_elses_value_is_refused_and_the_other_parameters_are_written() {
    let a = object("a").wants("blog", "x").wants("lang", "de");
    let plan = planned(&live(&[("blog", "theirs")]), &[owner(&a)]);
    assert_eq!(verdict(&plan, &a, "blog"), Some(Verdict::ExistingValue));
    assert_eq!(entries(&plan), [set("lang", "de")]);
    assert_eq!(part(&plan, &a, "blog").after, Vec::<Fingerprint>::new());
}

#[test]
fn a_state_without_a_record_proves_nothing() {
    let a = object("a").wants("blog", "x").lists("blog", InSync, &[]);
    assert_eq!(verdict(&planned(&live(&[("blog", "theirs")]), &[owner(&a)]), &a, "blog"), Some(Verdict::ExistingValue));
}

#[test]
fn overwrite_replaces_somebody_elses_value() {
    let a = object("a").wants("blog", "x").overwriting();
    let plan = planned(&live(&[("blog", "theirs")]), &[owner(&a)]);
    assert_eq!(verdict(&plan, &a, "blog"), Some(WRITE));
    assert_eq!(entries(&plan), [set("blog", "x")]);
    assert_eq!(part(&plan, &a, "blog").claim, [print("blog", "x")]);
}

#[test]
fn an_entry_that_is_not_of_todays_shape_equals_nothing() {
    let found = BTreeMap::from([("blog".to_owned(), Live::Foreign)]);
    let fresh = object("a").wants("blog", "x");
    assert_eq!(verdict(&planned(&found, &[owner(&fresh)]), &fresh, "blog"), Some(Verdict::ExistingValue));
    let ours = object("a").wants("blog", "x").lists("blog", InSync, &["x"]);
    assert_eq!(verdict(&planned(&found, &[owner(&ours)]), &ours, "blog"), Some(CORRECT));
    let dropped = object("a").lists("blog", InSync, &["x"]);
    assert_eq!(verdict(&planned(&found, &[owner(&dropped)]), &dropped, "blog"), Some(Verdict::Left));
}

#[test]
fn a_contended_parameter_is_left_alone_with_its_record_and_only_that_one() {
    let a = object("a").wants("blog", "x").lists("blog", InSync, &["x"]).wants("lang", "de").lists("lang", InSync, &["de"]);
    let found = live(&[("blog", "theirs"), ("lang", "fr")]);
    let plan = planned_with(&found, &["blog"], &[owner(&a)], false);
    assert_eq!(verdict(&plan, &a, "blog"), Some(Verdict::Contended));
    assert_eq!(part(&plan, &a, "blog").after, [print("blog", "x")]);
    assert_eq!(entries(&plan), [set("lang", "de")]);
}

#[test]
fn a_parameter_that_is_removed_again_and_again_is_set_again_at_its_pace() {
    let a = object("a").wants("blog", "x").lists("blog", InSync, &["x"]);
    let plan = planned_with(&live(&[]), &["blog"], &[owner(&a)], false);
    assert_eq!(verdict(&plan, &a, "blog"), Some(Verdict::Paced { absent: true }));
    assert!(plan.changes.is_empty());
    let fought = Dispute { owner: "uid-a".into(), generation: 1, times: 2, since: None, until: None, holds: true, paces: false };
    let state =
        ConnectionState { connection_ref: here(), live: &live(&[]), disputes: &[("blog".to_owned(), fought)].into(), unsettled: false };
    let plan = super::plan(state, &[Participant { object: &a, role: Role::Owner }], false);
    assert_eq!(verdict(&plan, &a, "blog"), Some(Verdict::Write { drift: true, absent: true }));
    assert_eq!(part(&plan, &a, "blog").dispute.as_ref().map(|dispute| dispute.times), Some(3));
}

#[test]
fn a_dispute_is_that_of_one_object_and_generation() {
    let found = live(&[("blog", "theirs")]);
    for other in [object("a").generation(2), object("b")] {
        let other = other.wants("blog", "x").lists("blog", InSync, &["x"]);
        let plan = planned_with(&found, &["blog"], &[owner(&other)], false);
        assert_eq!(verdict(&plan, &other, "blog"), Some(CORRECT));
    }
}

#[test]
fn an_edit_is_made_at_once_also_where_corrections_wait() {
    let a = object("a").wants("blog", "new").lists("blog", InSync, &["old"]);
    let plan = planned_with(&live(&[("blog", "old")]), &["blog"], &[owner(&a)], false);
    assert_eq!(verdict(&plan, &a, "blog"), Some(WRITE));
}

#[test]
fn a_record_never_holds_more_than_eight_and_keeps_the_live_one() {
    let olds: Vec<String> = (0..MAX_OWNED).map(|n| format!("v{n}")).collect();
    let olds: Vec<&str> = olds.iter().map(String::as_str).collect();
    let a = object("a").wants("blog", "new").lists("blog", Pending, &olds);
    let plan = planned(&live(&[("blog", "v0")]), &[owner(&a)]);
    let claim = &part(&plan, &a, "blog").claim;
    assert_eq!(claim.len(), MAX_OWNED);
    assert!(claim.contains(&print("blog", "v0")) && claim.contains(&print("blog", "new")) && !claim.contains(&print("blog", "v1")));
}

#[test]
fn a_record_of_another_connection_or_tenant_proves_nothing_here() {
    let mut a = object("a").lists("blog", InSync, &["x"]);
    a.status.connections[0].params[0].owned = vec![print_at(ELSEWHERE, "blog", "x").to_string()];
    assert_eq!(verdict(&planned(&live(&[("blog", "x")]), &[owner(&a)]), &a, "blog"), Some(Verdict::Left));
    a.status.connections[0].params[0].owned =
        vec![ConnectionRef { tenant: &"other.auth0.com".into(), ..here() }.fingerprint("blog", &value("x")).to_string()];
    assert_eq!(verdict(&planned(&live(&[("blog", "x")]), &[owner(&a)]), &a, "blog"), Some(Verdict::Left));
}

// ---- letting go ----

#[test]
fn a_parameter_that_is_dropped_from_the_spec_is_removed() {
    let a = object("a").wants("lang", "de").lists("blog", InSync, &["x"]).lists("lang", InSync, &["de"]);
    let plan = planned(&live(&[("blog", "x"), ("lang", "de")]), &[owner(&a)]);
    assert_eq!(verdict(&plan, &a, "blog"), Some(Verdict::Remove));
    assert_eq!(entries(&plan), [removed("blog")]);
    let record = part(&plan, &a, "blog");
    assert_eq!((&record.claim, &record.after), (&vec![print("blog", "x")], &Vec::new()), "the record shrinks after the write");
}

#[test]
fn a_dropped_parameter_goes_also_under_retain() {
    let a = object("a").retaining().lists("blog", InSync, &["x"]);
    assert_eq!(entries(&planned(&live(&[("blog", "x")]), &[owner(&a)])), [removed("blog")]);
}

#[test]
fn a_deletion_removes_what_is_owned_and_nothing_else() {
    let a = object("a").wants("blog", "x").wants("lang", "de").lists("blog", InSync, &["x"]).dying();
    let plan = planned(&live(&[("blog", "x"), ("lang", "de"), ("other", "1")]), &[leaver(&a)]);
    assert_eq!(entries(&plan), [removed("blog")]);
    assert_eq!(plan.acted_for().into_iter().collect::<Vec<_>>(), [a.uid]);
}

#[test]
fn a_move_removes_what_is_owned_where_it_was() {
    let a = object("a").at("shop").wants("blog", "x").lists("blog", InSync, &["x"]);
    assert_eq!(entries(&planned(&live(&[("blog", "x")]), &[leaver(&a)])), [removed("blog")]);
    assert_eq!(entries(&planned(&live(&[("blog", "x")]), &[holder(&a)])), [], "and only once it is accepted where it is");
}

#[test]
fn a_value_that_somebody_changed_is_left_and_one_that_is_gone_is_gone() {
    let a = object("a").lists("blog", InSync, &["x"]).lists("lang", Removing, &["de"]).dying();
    let plan = planned(&live(&[("blog", "theirs")]), &[leaver(&a)]);
    assert_eq!(verdict(&plan, &a, "blog"), Some(Verdict::Left));
    assert_eq!(verdict(&plan, &a, "lang"), Some(Verdict::Gone));
    assert!(plan.changes.is_empty());
    assert!(part(&plan, &a, "blog").after.is_empty() && part(&plan, &a, "lang").after.is_empty());
}

#[test]
fn a_lost_record_with_our_finalizer_removes_what_equals_the_spec() {
    let a = object("a").wants("blog", "x").wants("lang", "de").dying();
    let plan = planned(&live(&[("blog", "x"), ("lang", "fr"), ("other", "1")]), &[leaver(&a)]);
    assert_eq!(entries(&plan), [removed("blog")]);
    assert_eq!(verdict(&plan, &a, "lang"), Some(Verdict::Left));
    assert_eq!(part(&plan, &a, "blog").claim, [print("blog", "x")], "the claim is stored anew before the write");
}

#[test]
fn a_lost_record_removes_nothing_without_a_deletion_a_finalizer_or_where_another_record_is_left() {
    let found = live(&[("blog", "x")]);
    let mut moved = object("a").wants("blog", "x").kept();
    assert!(planned(&found, &[leaver(&moved)]).changes.is_empty());
    moved.deleting = true;
    moved.finalizer = false;
    assert!(planned(&found, &[leaver(&moved)]).changes.is_empty());
    let elsewhere = object("a").wants("blog", "x").lists_at(ELSEWHERE, "blog", InSync, &["x"]).dying();
    assert!(planned(&found, &[leaver(&elsewhere)]).changes.is_empty());
}

#[test]
fn a_lost_record_never_takes_what_another_object_owns() {
    let lost = object("lost").wants("blog", "x").dying();
    let b = object("b").wants("blog", "x").lists("blog", InSync, &["x"]);
    let plan = planned(&live(&[("blog", "x")]), &[leaver(&lost), owner(&b)]);
    assert!(plan.changes.is_empty());
    assert_eq!(verdict(&plan, &lost, "blog"), Some(Verdict::Handed));
    let invalid = b.invalid();
    assert!(planned(&live(&[("blog", "x")]), &[leaver(&lost), holder(&invalid)]).changes.is_empty());
}

#[test]
fn a_lost_record_is_not_made_anew_of_what_another_object_owns_and_changes() {
    let lost = object("lost").wants("blog", "lost").dying();
    let b = object("b").wants("blog", "new");
    let others = |b: &Declared, found: &str| {
        let plan = planned(&live(&[("blog", found)]), &[leaver(&lost), owner(b)]);
        assert_eq!(entries(&plan), [set("blog", "new")]);
        plan.changes["blog"].others.clone()
    };
    assert_eq!(others(&b.clone().lists("blog", InSync, &["old"]), "old"), Vec::<Uid>::new());
    assert_eq!(others(&b.clone().lists("blog", Pending, &["lost"]), "lost"), Vec::<Uid>::new(), "also where that is what it declares");
    assert_eq!(others(&b, "lost"), std::slice::from_ref(&lost.uid), "without it nobody could prove the value");
}

// ---- several objects ----

#[test]
fn whoever_has_a_valid_record_keeps_the_name() {
    let old = object("old").born(1).wants("blog", "x");
    let young = object("young").born(2).wants("blog", "y").lists("blog", InSync, &["y"]);
    let plan = planned(&live(&[("blog", "y")]), &[owner(&old), owner(&young)]);
    assert_eq!(verdict(&plan, &young, "blog"), Some(Verdict::InSync));
    assert_eq!(verdict(&plan, &old, "blog"), Some(Verdict::Conflicted(young.key.clone())));
    assert!(plan.changes.is_empty());
}

#[test]
fn without_a_record_the_older_object_gets_the_name_then_the_first_by_namespace_and_name() {
    let cases = [
        (object("b").born(1), object("a").born(2)),
        (object("z").of("alpha"), object("a").of("beta")),
        (object("a").of("alpha"), object("b").of("alpha")),
    ];
    for (winner, loser) in cases {
        let (winner, loser) = (winner.wants("blog", "x"), loser.wants("blog", "y"));
        for parts in [[owner(&winner), owner(&loser)], [owner(&loser), owner(&winner)]] {
            let plan = planned(&live(&[]), &parts);
            assert_eq!(verdict(&plan, &winner, "blog"), Some(ADD));
            assert_eq!(verdict(&plan, &loser, "blog"), Some(Verdict::Conflicted(winner.key.clone())));
            assert!(part(&plan, &loser, "blog").after.is_empty());
        }
    }
}

#[test]
fn equal_values_conflict_too() {
    let (a, b) = (object("a").wants("blog", "x"), object("b").wants("blog", "x"));
    let plan = planned(&live(&[("blog", "x")]), &[owner(&a), owner(&b)]);
    assert_eq!(verdict(&plan, &a, "blog"), Some(Verdict::InSync));
    assert_eq!(verdict(&plan, &b, "blog"), Some(Verdict::Conflicted(a.key)));
}

#[test]
fn a_conflict_withholds_that_name_only() {
    let a = object("a").wants("blog", "x");
    let b = object("b").wants("blog", "y").wants("lang", "de");
    assert_eq!(entries(&planned(&live(&[]), &[owner(&a), owner(&b)])), [set("blog", "x"), set("lang", "de")]);
}

#[test]
fn overwrite_never_beats_a_holder() {
    let a = object("a").born(1).wants("blog", "x").overwriting();
    let b = object("b").born(2).wants("blog", "y").lists("blog", InSync, &["y"]);
    let plan = planned(&live(&[("blog", "theirs")]), &[owner(&a), owner(&b)]);
    assert_eq!(verdict(&plan, &a, "blog"), Some(Verdict::Conflicted(b.key.clone())));
    assert_eq!(verdict(&plan, &b, "blog"), Some(CORRECT));
    let invalid = b.invalid();
    let plan = planned(&live(&[("blog", "y")]), &[owner(&a), holder(&invalid)]);
    assert_eq!(verdict(&plan, &a, "blog"), Some(Verdict::Conflicted(invalid.key)));
}

#[test]
fn an_object_that_became_invalid_keeps_its_names_and_writes_nothing() {
    let a = object("a").lists("blog", InSync, &["x"]).invalid();
    let b = object("b").wants("blog", "y").wants("lang", "de");
    let plan = planned(&live(&[("blog", "theirs")]), &[holder(&a), owner(&b)]);
    assert_eq!(verdict(&plan, &b, "blog"), Some(Verdict::Conflicted(a.key.clone())));
    assert_eq!(entries(&plan), [set("lang", "de")]);
    assert!(!plan.objects.contains_key(&a.uid), "its line of status stays as it is");
}

#[test]
fn what_is_there_as_one_declares_it_whose_changes_were_refused_passes_to_it_and_does_not_go() {
    let a = object("a").lists("blog", InSync, &["x"]).wants("lang", "de");
    let refused = object("b").wants("blog", "x").wants("hint", "bad");
    let found = live(&[("blog", "x"), ("lang", "de")]);
    let plan = planned(&found, &[owner(&a), rejected(&refused)]);
    assert!(plan.changes.is_empty(), "{plan:?}");
    assert!(plan.adopts(&refused.uid));
    assert_eq!(verdict(&plan, &a, "blog"), Some(Verdict::Handed));
    assert_eq!(plan.claims_of(&refused.uid), BTreeMap::from([("blog".to_owned(), vec![print("blog", "x")])]));
    // Nothing is written for it, so another value is nothing to wait with.
    let other = object("b").wants("blog", "y");
    assert_eq!(entries(&planned(&found, &[owner(&a), rejected(&other)])), [removed("blog")]);
    let stays = object("a").wants("blog", "x").lists("blog", InSync, &["x"]);
    assert!(planned(&found, &[owner(&stays), rejected(&refused)]).is_empty());
}

#[test]
fn one_whose_changes_were_refused_keeps_what_it_declares_and_gives_way_in_what_it_does_not() {
    let refused = object("a").wants("blog", "new").lists("blog", InSync, &["old"]).lists("lang", InSync, &["de"]);
    let found = live(&[("blog", "old"), ("lang", "de")]);
    assert!(planned(&found, &[rejected(&refused)]).is_empty(), "what it gives up is one of the changes that were refused");
    let b = object("b").wants("blog", "other").wants("lang", "fr");
    let mut plan = planned(&found, &[rejected(&refused), owner(&b)]);
    assert_eq!(verdict(&plan, &b, "blog"), Some(Verdict::Conflicted(refused.key.clone())));
    assert_eq!(entries(&plan), [set("lang", "fr")]);
    assert_eq!(plan.acted_for(), BTreeSet::from([refused.uid.clone(), b.uid.clone()]), "both store their claim first");
    assert_eq!(plan.losses(&refused.uid), BTreeSet::new());
    plan.written = true;
    assert_eq!(plan.losses(&refused.uid), BTreeSet::from(["lang".to_owned()]));
    // Another value than it had is still its own, and what it lost stays lost.
    let plan = planned(&live(&[("blog", "theirs"), ("lang", "fr")]), &[rejected(&refused), owner(&b)]);
    assert_eq!(verdict(&plan, &b, "blog"), Some(Verdict::Conflicted(refused.key.clone())));
    assert_eq!((verdict(&plan, &b, "lang"), plan.changes.is_empty()), (Some(Verdict::InSync), true));
}

#[test]
fn what_one_that_became_invalid_only_claimed_is_anybodys_once_no_write_may_set_it() {
    let other = object("other").wants("blog", "y");
    let decided = |claimed: Declared, found: &[(&str, &str)], unsettled| {
        let (found, disputes, invalid) = (live(found), BTreeMap::new(), claimed.invalid());
        let state = ConnectionState { connection_ref: here(), live: &found, disputes: &disputes, unsettled };
        let participants = [holder(&invalid), owner(&other)].map(|(object, role)| Participant { object, role });
        let plan = plan(state, &participants, false);
        (verdict(&plan, &other, "blog"), plan.lost.contains_key(&invalid.uid))
    };
    let claimed = |state| object("claimed").lists("blog", state, &["x"]);
    let conflicted = || (Some(Verdict::Conflicted(claimed(Pending).key)), false);
    assert_eq!(decided(claimed(Pending), &[], false), (Some(ADD), true), "its record goes with the write");
    assert_eq!(decided(claimed(Pending), &[], true), conflicted(), "the write that was claimed may still set it");
    assert_eq!(decided(claimed(Pending), &[("blog", "x")], false), conflicted(), "it was written");
    assert_eq!(decided(claimed(InSync), &[], false), conflicted(), "it was in sync, and somebody removed it");
    assert_eq!(decided(claimed(Pending), &[("blog", "theirs")], false), (Some(Verdict::ExistingValue), false));
}

#[test]
fn a_line_without_a_record_holds_nothing() {
    let a = object("a").lists("blog", ExistingValue, &[]).invalid();
    let b = object("b").wants("blog", "y");
    assert_eq!(verdict(&planned(&live(&[]), &[holder(&a), owner(&b)]), &b, "blog"), Some(ADD));
}

#[test]
fn a_name_changes_hands_in_one_write() {
    for (giving, role) in [
        (object("a").wants("lang", "de"), Role::Owner),
        (object("a").wants("blog", "x").dying(), Role::Leaver),
        (object("a").at("shop").wants("blog", "x"), Role::Leaver),
    ] {
        let a = giving.lists("blog", InSync, &["x"]);
        let b = object("b").wants("blog", "y");
        let plan = planned(&live(&[("blog", "x"), ("lang", "de")]), &[(&a, role), owner(&b)]);
        assert_eq!(verdict(&plan, &b, "blog"), Some(WRITE));
        assert_eq!(verdict(&plan, &a, "blog"), Some(Verdict::Handed));
        assert_eq!(entries(&plan), [set("blog", "y")]);
        assert_eq!(plan.acted_for(), BTreeSet::from([a.uid.clone(), b.uid.clone()]), "both store their claim first");
        assert_eq!(plan.claims_of(&a.uid), BTreeMap::from([("blog".to_owned(), vec![print("blog", "x")])]));
        assert_eq!(plan.claims_of(&b.uid), BTreeMap::from([("blog".to_owned(), vec![print("blog", "y")])]));
    }
}

#[test]
fn a_name_with_an_equal_value_changes_hands_without_a_write() {
    let a = object("a").lists("blog", InSync, &["x"]).dying();
    let b = object("b").wants("blog", "x");
    let plan = planned(&live(&[("blog", "x")]), &[leaver(&a), owner(&b)]);
    assert_eq!(verdict(&plan, &b, "blog"), Some(Verdict::InSync));
    assert_eq!(verdict(&plan, &a, "blog"), Some(Verdict::Handed));
    assert!(plan.changes.is_empty());
    assert_eq!((plan.adopts(&b.uid), plan.losers()), (true, BTreeSet::from([a.uid.clone()])));
    // One that has no say loses it as well.
    let plan = planned(&live(&[("blog", "x")]), &[(&a, Role::Bystander), owner(&b)]);
    assert_eq!(plan.losers(), BTreeSet::from([a.uid.clone()]));
    // Once its claim is stored nothing has to be stored first, but the other's record still has to go before it is told.
    let b = b.lists("blog", Pending, &["x"]);
    let plan = planned(&live(&[("blog", "x")]), &[leaver(&a), owner(&b)]);
    assert!(plan.adopted.is_empty());
    assert_eq!((plan.adopts(&b.uid), plan.losers()), (true, BTreeSet::from([a.uid.clone()])));
    let plan = planned(&live(&[("blog", "x")]), &[owner(&b)]);
    assert_eq!((plan.adopts(&b.uid), plan.losers()), (false, BTreeSet::new()));
}

#[test]
fn whoever_takes_over_several_names_is_one_adopter() {
    let a = object("a").lists("blog", InSync, &["x"]).lists("lang", InSync, &["de"]).dying();
    let b = object("b").wants("blog", "x").wants("lang", "de");
    let plan = planned(&live(&[("blog", "x"), ("lang", "de")]), &[leaver(&a), owner(&b)]);
    assert_eq!(plan.adopted.len(), 2);
    assert_eq!((plan.adopters(), plan.acted_for_in_order()), (BTreeSet::from([b.uid.clone()]), vec![b.uid.clone()]));
}

#[test]
fn of_two_that_hold_a_name_until_they_have_moved_the_one_whose_it_is_keeps_it() {
    let first = object("a").lists("blog", InSync, &["old"]);
    let second = object("b").lists("blog", Applied, &["x"]);
    let plan = planned(&live(&[("blog", "x")]), &[(&first, Role::Mover), (&second, Role::Mover)]);
    assert!(plan.is_empty());
    assert_eq!((plan.losses(&first.uid), plan.losses(&second.uid)), (BTreeSet::from(["blog".to_owned()]), BTreeSet::new()));
    let plan = planned(&live(&[("blog", "x")]), &[holder(&first), (&second, Role::Mover)]);
    assert_eq!((plan.losses(&first.uid), plan.losses(&second.uid)), (BTreeSet::from(["blog".to_owned()]), BTreeSet::new()));
}

#[test]
fn nothing_changes_hands_where_the_value_is_neither_ones() {
    let a = object("a").lists("blog", InSync, &["x"]).dying();
    let b = object("b").wants("blog", "y");
    let plan = planned(&live(&[("blog", "theirs")]), &[leaver(&a), owner(&b)]);
    assert_eq!(verdict(&plan, &b, "blog"), Some(Verdict::ExistingValue));
    assert_eq!(verdict(&plan, &a, "blog"), Some(Verdict::Left));
}

#[test]
fn the_record_that_proves_the_live_value_wins_over_one_that_was_only_claimed() {
    // A hand-over was cut short between the claims and the write, and then its giver wanted the name back.
    let taker = object("taker").born(1).wants("blog", "y").lists("blog", Pending, &["y"]);
    let giver = object("giver").born(2).wants("blog", "x").lists("blog", InSync, &["x"]);
    let plan = planned(&live(&[("blog", "x")]), &[owner(&taker), owner(&giver)]);
    assert_eq!(verdict(&plan, &giver, "blog"), Some(Verdict::InSync));
    assert_eq!(verdict(&plan, &taker, "blog"), Some(Verdict::Conflicted(giver.key.clone())));
    // The same, when it became invalid instead.
    let invalid = giver.invalid();
    let plan = planned(&live(&[("blog", "x")]), &[owner(&taker), holder(&invalid)]);
    assert_eq!(verdict(&plan, &taker, "blog"), Some(Verdict::Conflicted(invalid.key)));
}

#[test]
fn what_was_only_claimed_does_not_beat_whoever_declares_what_is_there() {
    // A pass was cut short between the claim and the write, and then somebody declared what is there.
    let claimed = object("claimed").born(1).wants("blog", "y").overwriting().lists("blog", Pending, &["y"]);
    let equal = object("equal").born(2).wants("blog", "x");
    let plan = planned(&live(&[("blog", "x")]), &[owner(&claimed), owner(&equal)]);
    assert_eq!((entries(&plan), verdict(&plan, &equal, "blog")), (Vec::new(), Some(Verdict::InSync)));
    assert_eq!(verdict(&plan, &claimed, "blog"), Some(Verdict::Conflicted(equal.key.clone())));
    // What was in sync, and was changed by somebody else, is kept.
    let applied = object("claimed").born(1).wants("blog", "y").lists("blog", InSync, &["y"]);
    let plan = planned(&live(&[("blog", "x")]), &[owner(&applied), owner(&equal)]);
    assert_eq!(verdict(&plan, &applied, "blog"), Some(CORRECT));
    // So is what the write that was claimed may still set.
    let (found, disputes) = (live(&[("blog", "x")]), BTreeMap::new());
    let state = ConnectionState { connection_ref: here(), live: &found, disputes: &disputes, unsettled: true };
    let participants = [owner(&claimed), owner(&equal)].map(|(object, role)| Participant { object, role });
    assert_eq!(verdict(&super::plan(state, &participants, false), &equal, "blog"), Some(Verdict::Conflicted(claimed.key)));
}

#[test]
fn a_holder_whose_claim_was_never_written_does_not_keep_anothers_value_from_going() {
    // A hand-over was cut short between the claims and the write, and then its taker became invalid.
    let taker = object("taker").lists("blog", Pending, &["y"]).invalid();
    let giver = object("giver").lists("blog", InSync, &["x"]).dying();
    let plan = planned(&live(&[("blog", "x")]), &[holder(&taker), leaver(&giver)]);
    assert_eq!(entries(&plan), [removed("blog")]);
    assert_eq!(verdict(&plan, &giver, "blog"), Some(Verdict::Remove));
    let plan = planned(&live(&[("blog", "y")]), &[holder(&taker), leaver(&giver)]);
    assert_eq!((entries(&plan), verdict(&plan, &giver, "blog")), (Vec::new(), Some(Verdict::Handed)));
    // Nor does it keep it from whoever wants it.
    let third = object("third").wants("blog", "x");
    let plan = planned(&live(&[("blog", "x")]), &[holder(&taker), leaver(&giver), owner(&third)]);
    assert_eq!((entries(&plan), verdict(&plan, &third, "blog")), (Vec::new(), Some(Verdict::InSync)));
    assert_eq!(plan.losses(&taker.uid), BTreeSet::from(["blog".to_owned()]));
    let plan = planned(&live(&[("blog", "y")]), &[holder(&taker), leaver(&giver), owner(&third)]);
    assert_eq!(verdict(&plan, &third, "blog"), Some(Verdict::Conflicted(taker.key)));
}

#[test]
fn two_that_let_go_of_one_value_remove_it_once() {
    let a = object("a").lists("blog", InSync, &["x"]).dying();
    let b = object("b").lists("blog", InSync, &["x"]).dying();
    let plan = planned(&live(&[("blog", "x")]), &[leaver(&a), leaver(&b)]);
    assert_eq!(entries(&plan), [removed("blog")]);
    assert_eq!(plan.acted_for(), BTreeSet::from([a.uid, b.uid]));
}

#[test]
fn every_object_that_takes_part_is_in_the_plan_also_with_nothing_left() {
    let a = object("a").dying();
    assert_eq!(planned(&live(&[]), &[leaver(&a)]).objects, BTreeMap::from([(a.uid, BTreeMap::new())]));
}

// ---- one object at a time ----

#[test]
fn who_comes_too_late_for_a_name_keeps_the_record_of_what_a_write_on_its_way_may_set() {
    let first = object("a").born(1).wants("blog", "x").lists("blog", InSync, &["x"]);
    let second = object("b").born(2).wants("blog", "y").lists("blog", Pending, &["y", "x"]);
    let (found, disputes) = (live(&[("blog", "x")]), BTreeMap::new());
    let parts = [&first, &second].map(|object| Participant { object, role: Role::Owner });
    for (unsettled, kept) in [(true, vec![print("blog", "y")]), (false, Vec::new())] {
        let plan = plan(ConnectionState { connection_ref: here(), live: &found, disputes: &disputes, unsettled }, &parts, false);
        assert_eq!(verdict(&plan, &first, "blog"), Some(Verdict::InSync));
        assert_eq!(part(&plan, &second, "blog").verdict, Verdict::Conflicted(first.key.clone()));
        assert_eq!(part(&plan, &second, "blog").after, kept, "{unsettled}");
    }
}

#[test]
fn one_objects_changes_go_alone_and_the_others_are_deferred() {
    let a = object("a").wants("blog", "x");
    let b = object("b").wants("lang", "de");
    let mut plan = planned(&live(&[]), &[owner(&a), owner(&b)]);
    assert_eq!(plan.actors(), [a.uid.clone(), b.uid.clone()]);
    plan.retain_actors(&BTreeSet::from([b.uid.clone()]));
    assert_eq!(entries(&plan), [set("lang", "de")]);
    assert_eq!(plan.acted_for(), BTreeSet::from([b.uid.clone()]));
    assert!(plan.defers("blog", &a.uid) && !plan.touches("blog", &a.uid) && plan.claims_of(&a.uid).is_empty());
}

#[test]
fn whoever_hands_over_in_a_deferred_change_is_deferred_with_it() {
    let a = object("a").wants("lang", "de").lists("blog", InSync, &["x"]);
    let b = object("b").wants("blog", "y");
    let mut plan = planned(&live(&[("blog", "x")]), &[owner(&a), owner(&b)]);
    plan.retain_actors(&BTreeSet::from([a.uid.clone()]));
    assert!(plan.defers("blog", &a.uid) && plan.defers("blog", &b.uid));
    assert_eq!(plan.acted_for(), BTreeSet::from([a.uid]));
}

// ---- observers ----

#[test]
fn an_observer_is_told_what_enforce_would_do_and_nothing_is_written() {
    let a = object("a").observing().wants("add", "x").wants("same", "x").wants("theirs", "x").lists("drop", InSync, &["x"]);
    let found = live(&[("same", "x"), ("theirs", "y"), ("drop", "x")]);
    let plan = planned(&found, &[observer(&a)]);
    assert_eq!(verdict(&plan, &a, "add"), Some(ADD));
    assert_eq!(verdict(&plan, &a, "same"), Some(Verdict::InSync));
    assert_eq!(verdict(&plan, &a, "theirs"), Some(Verdict::ExistingValue));
    assert_eq!(verdict(&plan, &a, "drop"), Some(Verdict::Remove));
    assert!(plan.changes.is_empty() && plan.deferred.is_empty());
}

#[test]
fn observing_carries_the_record_and_never_grows_it() {
    let a = object("a").observing().wants("add", "x").wants("same", "x").wants("mine", "new").lists("mine", InSync, &["old"]);
    let plan = planned(&live(&[("same", "x"), ("mine", "old")]), &[observer(&a)]);
    for name in ["add", "same"] {
        let ParamPlan { before, claim, after, .. } = part(&plan, &a, name);
        assert!(before.is_empty() && claim.is_empty() && after.is_empty(), "{name}");
    }
    let ParamPlan { before, claim, after, .. } = part(&plan, &a, "mine");
    let old = vec![print("mine", "old")];
    assert_eq!((before, claim, after), (&old, &old, &old));
}

#[test]
fn an_observer_holds_nothing_against_the_others() {
    let a = object("a").observing().born(1).wants("blog", "x").lists("blog", InSync, &["x"]);
    let b = object("b").born(2).wants("blog", "x");
    let plan = planned(&live(&[("blog", "x")]), &[observer(&a), owner(&b)]);
    assert_eq!(verdict(&plan, &b, "blog"), Some(Verdict::InSync));
    let c = object("c").born(2).wants("blog", "z").overwriting();
    assert_eq!(entries(&planned(&live(&[("blog", "x")]), &[observer(&a), owner(&c)])), [set("blog", "z")]);
}

#[test]
fn observers_do_not_see_each_other_unless_the_tenant_observes() {
    let a = object("a").observing().born(1).wants("blog", "x");
    let b = object("b").observing().born(2).wants("blog", "y");
    let parts = [observer(&a), observer(&b)];
    assert_eq!(verdict(&planned(&live(&[]), &parts), &b, "blog"), Some(ADD));
    let together = planned_with(&live(&[]), &[], &parts, true);
    assert_eq!(verdict(&together, &a, "blog"), Some(ADD));
    assert_eq!(verdict(&together, &b, "blog"), Some(Verdict::Conflicted(a.key.clone())));
    assert!(together.changes.is_empty());
}
