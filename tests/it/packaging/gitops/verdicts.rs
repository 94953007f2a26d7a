//! Every tool that waits for an object reaches the same verdict, in every state that the operator writes.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use test_support::repository::root;
use upstream_params_operator::api::reason::{ConditionType, Reason};
use upstream_params_operator::internals::Context;

use super::consumers::{ArgoCd, Kstatus, kstatus, kubectl_wait};
use super::states::{self, State};

/// Where the states are left for `tests/kstatus-check`, which asks the real library.
const STATES: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/states.json");
/// The verdict table of the documentation.
const TABLE: &str = "docs/gitops.md";

/// Whether the verdicts of the three tools mean the same.
fn agree(kstatus: Kstatus, waited: bool, argo: &str) -> bool {
    matches!(
        (kstatus, waited, argo),
        (Kstatus::Current, true, "Healthy")
            | (Kstatus::InProgress | Kstatus::Terminating, false, "Progressing")
            | (Kstatus::Failed, false, "Degraded")
    )
}

fn check(states: &[State]) {
    let argo = ArgoCd::new();
    for State { name, object } in states {
        let (kstatus, waited, (health, message)) = (kstatus(object), kubectl_wait(object, "Ready"), argo.health(object));
        assert!(
            agree(kstatus, waited, &health),
            "{name}: kstatus {kstatus:?}, kubectl wait {waited}, Argo CD {health} ({message})\n{}",
            serde_json::to_string_pretty(&object["status"]).unwrap()
        );
        assert!(!message.is_empty(), "{name}: Argo CD shows no message");
        let true_of = |kind: ConditionType| kubectl_wait(object, kind.as_str());
        assert!(!(true_of(ConditionType::Reconciling) && true_of(ConditionType::Stalled)), "{name}: both Reconciling and Stalled");
    }
}

#[test]
fn kstatus_kubectl_wait_and_argo_cd_agree_on_every_state_of_an_object() {
    let states = states::all();
    assert!(states.len() > 5000, "{} states", states.len());
    check(&states);
}

#[test]
fn kstatus_kubectl_wait_and_argo_cd_agree_on_every_state_of_a_tenant() {
    check(&states::of_tenants());
}

#[test]
fn the_states_cover_every_reason_that_an_object_or_a_tenant_can_have() {
    let all = states::of_both();
    let seen: BTreeSet<&str> = all
        .iter()
        .filter_map(|state| state.object["status"]["conditions"].as_array())
        .flatten()
        .filter_map(|condition| condition["reason"].as_str())
        .collect();
    let missing: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).filter(|reason| !seen.contains(reason)).collect();
    assert_eq!(missing, [""; 0], "reasons that no state has");
}

#[test]
fn the_states_are_written_down_for_the_check_with_the_real_kstatus() {
    let all = states::of_both();
    let all: Vec<Value> = all
        .iter()
        .map(|State { name, object }| json!({"name": name, "object": object, "kstatus": format!("{:?}", kstatus(object))}))
        .collect();
    std::fs::write(STATES, serde_json::to_string(&all).unwrap()).unwrap();
}

#[test]
fn argo_cd_shows_what_does_not_make_an_object_unready() {
    let argo = ArgoCd::new();
    let warned = argo.health(&states::after(&states::pass("as declared, with a warning"), &states::context(), false));
    assert_eq!(warned, ("Healthy".to_owned(), "AcceptedWithWarnings: what is wrong and what to do".to_owned()));
    let observing = Context { observing: true, ..states::context() };
    let (health, message) = argo.health(&states::after(&states::pass("to be written, not yet"), &observing, false));
    assert_eq!(health, "Healthy");
    assert!(message.starts_with("DriftDetected: the connection wordpress differs in blog;"), "{message}");
    let limited = argo.health(&states::after_sync(&states::pass("reading is over the rate limit"), &states::context()));
    assert_eq!(limited, ("Healthy".to_owned(), "RateLimited: what happened (RateLimited)".to_owned()));
    let good = argo.health(&states::after(&states::pass("everything is as declared"), &states::context(), false));
    assert_eq!(good, ("Healthy".to_owned(), "Ready: the connection has the parameters as declared".to_owned()));
}

#[test]
fn the_health_script_stands_whatever_an_object_lacks() {
    let argo = ArgoCd::new();
    for status in [json!(null), json!({}), json!({"observedGeneration": -1}), json!({"observedGeneration": 1}), json!({"conditions": []})] {
        let object = json!({"metadata": {"name": "x", "generation": 1}, "status": status});
        assert_eq!(argo.health(&object).0, "Progressing", "{status}");
    }
}

/// The rows of the documented table: what has happened, and the object then.
fn rows() -> Vec<(String, Value)> {
    let plain = states::context();
    let mut rows = vec![
        ("just created".to_owned(), states::unseen("never seen")),
        ("the first write is being made".to_owned(), states::unseen("claimed")),
        ("edited, and not checked yet".to_owned(), states::unseen("in sync, then edited")),
    ];
    let left_out = ["nothing has changed since Auth0 refused", "it lets go of everything", "to be written, not yet"];
    for pass in states::passes().into_iter().filter(|pass| !left_out.contains(&pass.name)) {
        let object = states::after(&pass, &plain, false);
        rows.push((pass.name.to_owned(), object));
    }
    let was_in_sync = |name: &str, context: &Context| states::after_sync(&states::pass(name), context);
    for name in [
        "the tenant cannot be used",
        "reading is over the rate limit",
        "Auth0 does not answer the read",
        "the options are hidden from the operator",
    ] {
        rows.push((format!("was in sync; {name}"), was_in_sync(name, &plain)));
    }
    let stale = Context { since_good_look: Duration::from_hours(2), ..plain };
    rows.push(("was in sync; Auth0 does not answer for too long".to_owned(), was_in_sync("Auth0 does not answer the read", &stale)));
    let long = Context { unready_for: Duration::from_mins(11), ..plain };
    rows.push((
        "never in sync, no progress for ten minutes".to_owned(),
        states::after(&states::pass("there is no such tenant object"), &long, false),
    ));
    let observing = Context { observing: true, ..plain };
    rows.push(("Observe: as declared".to_owned(), states::after(&states::pass("everything is as declared"), &observing, false)));
    rows.push(("Observe: something differs".to_owned(), states::after(&states::pass("to be written, not yet"), &observing, false)));
    rows.push(("is being deleted".to_owned(), states::after(&states::pass("a write failed"), &plain, true)));
    rows
}

#[test]
fn the_documented_table_of_verdicts_is_what_the_tools_say() {
    let argo = ArgoCd::new();
    let line = |(name, object): (String, Value)| {
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let said = |kind: &str| {
            let condition = conditions.iter().find(|condition| condition["type"] == kind)?;
            Some(format!("{}/{}", condition["status"].as_str()?, condition["reason"].as_str()?))
        };
        let ready = said("Ready").unwrap_or_else(|| "-".to_owned());
        let extra = ["Reconciling", "Stalled"].into_iter().find(|kind| said(kind).is_some()).unwrap_or("-");
        let waited = if kubectl_wait(&object, "Ready") { "ends" } else { "waits" };
        format!("| {name} | {ready} | {extra} | {:?} | {waited} | {} |\n", kstatus(&object), argo.health(&object).0)
    };
    let table: String = rows().into_iter().map(line).collect();
    let document = std::fs::read_to_string(root().join(TABLE)).unwrap();
    assert!(document.contains(&table), "{TABLE} must have these rows:\n{table}");
}
