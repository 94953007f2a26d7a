//! How an answer reads, and when it is well.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use expect_test::expect;

use super::report::{Answer, Item};
use super::timeout;
use crate::api::reason::Reason;
use crate::cli::status::report::{ObjectReport, TenantReport};
use crate::core::status::{Context, Outcome, conclude};
use crate::core::world::Declared;
use crate::tests::builders::{self, object};

fn now() -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_800_000_000).unwrap()
}

fn orphan(name: &str) -> ObjectReport {
    let context = Context {
        now: now(),
        observing: false,
        names_it: true,
        since_good_look: Duration::ZERO,
        stale_after: Duration::from_mins(30),
        unready_for: Duration::ZERO,
    };
    let status = conclude(&object(name), &Outcome::TenantNotFound { meant: None }, &context).status;
    ObjectReport::of(&Declared { status, ..object(name) }, &BTreeMap::new(), now())
}

#[test]
fn what_was_looked_at_and_what_was_not_is_told_apart() {
    let mut answer = Answer::new("now", false, Duration::from_mins(1));
    answer.items = vec![Item::object(orphan("a"), true), Item::object(orphan("b"), false)];
    answer.items.push(Item::tenant(TenantReport::of(&builders::tenant("default")), false));
    assert!(!answer.is_well());
    let text = anstream::adapter::strip_str(&answer.text(now())).to_string();
    let remedy = Reason::TenantNotFound.remedy().replace('`', "");
    expect![[r"
        team/a: not ready (TenantNotFound) for 0s
          there is no ClusterAuth0Tenant default; create it, or create this object again with another spec.tenantRef
          to do: (the remedy)
        team/b: not ready (TenantNotFound) for 0s
          there is no ClusterAuth0Tenant default; create it, or create this object again with another spec.tenantRef
          not looked at within 60 s: what stands here is from before
          to do: (the remedy)
        ClusterAuth0Tenant default: not looked at yet
          the operator has not looked at it yet
          not looked at within 60 s: what stands here is from before
          to do: Wait; if it stays, see whether an operator runs and serves this namespace.
        which operator serves can't be told, as you may not read its Lease: ask who runs it
    "]]
    .assert_eq(&text.replace(&remedy, "(the remedy)"));
}

#[test]
fn who_only_asks_is_told_by_what() {
    let mut answer = Answer::new("2026-11-29T11:00:00Z-1", true, Duration::from_mins(1));
    answer.items = vec![Item::asked(&object("a").key), Item::asked_tenant("default")];
    let text =
        "team/a: asked for a look, by 2026-11-29T11:00:00Z-1\nClusterAuth0Tenant default: asked for a look, by 2026-11-29T11:00:00Z-1\n";
    assert_eq!(answer.text(now()), text);
}

#[test]
fn who_is_gone_is_waited_for_no_more() {
    let mut answer = Answer::new("now", false, Duration::from_mins(1));
    let mut left = BTreeSet::from([object("a").key, object("b").key]);
    answer.note_gone(&mut left, &[object("a")]);
    assert_eq!((left.len(), answer.notes), (1, vec!["team/b is gone".to_owned()]));
}

#[test]
fn a_timeout_is_a_time() {
    for (text, seconds) in [("90s", Some(90)), ("5m", Some(300)), ("90", Some(90)), ("1h", Some(3600)), ("0", Some(0))] {
        assert_eq!(timeout(text).ok().map(|span| span.as_secs()), seconds, "{text}");
    }
    for text in ["", "soon", "-5s", "-5", "9999999999999999999", "1000h"] {
        assert!(timeout(text).is_err(), "{text}");
    }
}
