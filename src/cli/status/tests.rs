//! What people read of some objects, and what is in no output.

use std::collections::BTreeMap;

use expect_test::expect;
use jiff::Timestamp;

use super::render;
use super::report::{ObjectReport, OperatorReport, Report, TenantReport};
use crate::api::reason::Reason;
use crate::api::upstream_params::ParamState;
use crate::core::obstacle::{Obstacle, ObstacleReason};
use crate::core::status::{Context, Outcome, conclude};
use crate::core::world::{Declared, DeclaredTenant};
use crate::kubernetes::snapshot::{EventSeen, LeaseSeen};
use crate::tests::builders::{self, object};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn now() -> Timestamp {
    at(600)
}

/// The object as a pass that ended so leaves it.
fn after(object: Declared, outcome: &Outcome) -> Declared {
    let context = Context {
        now: at(0),
        observing: false,
        names_it: true,
        since_good_look: std::time::Duration::ZERO,
        stale_after: std::time::Duration::from_mins(30),
        unready_for: std::time::Duration::ZERO,
    };
    Declared { status: conclude(&object, outcome, &context).status, ..object }
}

fn failing(name: &str) -> Declared {
    let obstacle = Obstacle { reason: ObstacleReason::ApplyFailed, message: "Auth0 says \u{1b}[2J\nno".to_owned(), tenant_wide: false };
    after(object(name).wants("blog", "m4rk3r").lists("blog", ParamState::Pending, &["m4rk3r"]), &Outcome::Unread(obstacle))
}

fn tenants() -> BTreeMap<String, TenantReport> {
    let tenant = DeclaredTenant { spec: None, ..builders::tenant("default") };
    BTreeMap::from([("default".to_owned(), TenantReport::of(&tenant))])
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn report(objects: &[Declared]) -> Report {
    let tenants = tenants();
    let lease = LeaseSeen { holder: Some("operators/pod-1".to_owned()), renewed: Some(at(598)) };
    let objects = objects.iter().map(|object| ObjectReport::of(object, &tenants, now())).collect();
    Report::of(objects, tenants.clone().into_values(), OperatorReport::of(Some(&lease), now()), Vec::new())
}

#[test]
fn those_in_trouble_come_first_and_what_servers_sent_is_on_one_line() {
    let unseen = object("unseen");
    let mut outdated = failing("outdated");
    outdated.generation = 2;
    let gone = Declared { deleting: true, ..object("going") };
    let invalid = after(object("invalid").invalid(), &Outcome::Invalid(object("x").invalid().spec.unwrap_err()));
    let report = report(&[gone, unseen, outdated, invalid, failing("failing")]);
    expect![[r"
        TENANT   DOMAIN  READY  REASON  SINCE  MESSAGE
        default          -      -       -      the operator has not checked it yet

        NAMESPACE  NAME      CONNECTION  READY     REASON       SINCE  MESSAGE
        team       failing   wordpress   False     ApplyFailed  10m    Auth0 says \u{1b}[2J\nno
        team       invalid               False     InvalidSpec  10m    spec.params: name at least one parameter
        team       unseen    wordpress   -         -            -      the operator has not checked it yet
        team       outdated  wordpress   -         -            10m    the operator has not checked this generation yet
        team       going     wordpress   Deleting  -            -      the object is being deleted

        5 objects: 2 not ready, 2 not checked yet, 1 being deleted
        served by operators/pod-1
    "]]
    .assert_eq(&plain(&render::all(&report, now())));
}

#[test]
fn all_about_one_is_said_with_what_to_do_and_no_value() {
    let tenants = tenants();
    let mut report = ObjectReport::of(&failing("failing"), &tenants, now());
    report.events.push(EventSeen {
        at: Some(at(540)),
        warning: true,
        reason: "ApplyFailed".to_owned(),
        message: "Auth0 says\nno".to_owned(),
        count: 3,
    });
    let text = plain(&render::one(&report, tenants.get("default"), now()));
    assert!(!text.contains("m4rk3r") && !text.contains('\u{1b}'), "{text}");
    let (remedy, meaning) = (Reason::ApplyFailed.remedy().replace('`', ""), ParamState::Pending.meaning().replace('`', ""));
    expect![[r"
        team/failing: not ready (ApplyFailed) for 10m
          Auth0 says \u{1b}[2J\nno
          connection: wordpress
          tenant: default: not checked yet: the operator has not checked it yet
          to do: Wait. If it stays, check that an operator runs and serves this namespace.
          last in sync: never

          CONDITION     STATUS   REASON                SINCE  MESSAGE
          Ready         False    ApplyFailed           10m    Auth0 says \u{1b}[2J\nno
          Accepted      Unknown  Pending               10m    the operator has not checked the connection yet
          ResolvedRefs  Unknown  Pending               10m    the operator has not checked the connection yet
          Synced        False    ApplyFailed           10m    Auth0 says \u{1b}[2J\nno
          Reconciling   True     ProgressingWithRetry  10m    Auth0 says \u{1b}[2J\nno

          on the connection wordpress (con_here, oauth2):
          PARAMETER  STATE    OWNED  MEANING
          blog       Pending  yes    (the meaning)

          EVENT  TYPE     REASON       TIMES  MESSAGE
          60s    Warning  ApplyFailed  3      Auth0 says\nno
          to do: (the remedy)
    "]]
    .assert_eq(&text.replace(&remedy, "(the remedy)").replace(&meaning, "(the meaning)"));
    let json = serde_json::to_string(&report).unwrap();
    assert!(!json.contains("m4rk3r"), "{json}");
}

#[test]
fn every_reason_that_asks_for_something_has_its_documented_remedy() {
    for reason in Reason::ALL {
        let mut object = failing("a");
        for condition in &mut object.status.conditions {
            reason.as_str().clone_into(&mut condition.reason);
        }
        let remedy = ObjectReport::of(&object, &tenants(), now()).summary.remedy;
        assert_eq!(remedy, reason.to_do(), "{reason:?}");
    }
    assert_eq!((Reason::Ready.to_do(), Reason::Observing.to_do()), (None, None));
    assert!(Reason::ExistingValue.to_do().is_some());
}

#[test]
fn the_next_look_is_within_an_interval() {
    let mut object = failing("a");
    let mut tenants = tenants();
    tenants.get_mut("default").unwrap().resync_interval_seconds = Some(900);
    let within = |object: &Declared| ObjectReport::of(object, &tenants, now()).next_look_within_seconds;
    assert_eq!(within(&object), Some(900));
    let synced = |second| Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(second)));
    object.status.last_synced_time = synced(0);
    assert_eq!(within(&object), Some(300));
    object.status.last_synced_time = synced(-5000);
    assert_eq!(within(&object), Some(900));
    object.status.last_synced_time = synced(5000);
    assert_eq!(within(&object), Some(900), "a clock that is ahead");
    object.deleting = true;
    assert_eq!(within(&object), None);
}

#[test]
fn spans_read_as_kubectl_says_them() {
    let spans = [-5, 0, 119, 120, 7_199, 7_200, 172_799, 172_800].map(render::span);
    assert_eq!(spans, ["0s", "0s", "119s", "2m", "119m", "2h", "47h", "2d"]);
}
