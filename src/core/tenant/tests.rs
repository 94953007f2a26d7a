//! Patterns of connections, the bounds of a spec, and what a tenant object resolves to.

use super::*;
use crate::api::tenant::ClusterAuth0TenantStatus;

#[test]
fn a_star_stands_for_any_characters() {
    for (pattern, text) in
        [("*", "x"), ("shop-*", "shop-1"), ("shop-*", "shop-"), ("*-eu", "a-eu"), ("a*b*c", "a-b-b-c"), ("exact", "exact")]
    {
        assert!(glob_matches(pattern, text), "{pattern} {text}");
    }
    for (pattern, text) in [("shop-*", "shop"), ("*-eu", "a-eu-2"), ("exact", "exactly"), ("a*b", "ac"), ("", "x"), ("ab*ba", "aba")] {
        assert!(!glob_matches(pattern, text), "{pattern} {text}");
    }
}

/// What it means, tried out: every end of what the first star stands for.
fn matches_by_trying(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| matches_by_trying(rest, &text[at..]))
}

proptest::proptest! {
    #[test]
    fn a_pattern_matches_as_trying_everything_does(pattern in "[ab\u{e9}*]{0,8}", text in "[ab\u{e9}]{0,10}") {
        assert_eq!(glob_matches(&pattern, &text), matches_by_trying(&pattern, &text), "{pattern:?} {text:?}");
    }
}

#[test]
fn no_pattern_takes_long_however_it_is_made() {
    let start = std::time::Instant::now();
    let text = "a".repeat(100_000);
    // Both took longer than anybody waits, the first with 128 letters already.
    assert!(!glob_matches("*a*a*a*a*a*a*a*a*a*a*ax", &text));
    assert!(!glob_matches(&format!("*{}b*", "a".repeat(50_000)), &text));
    assert!(glob_matches(&"*a".repeat(50_000), &text));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

fn spec_with(pattern: &str) -> ClusterAuth0TenantSpec {
    let spec = serde_json::json!({
        "domain": "example.eu.auth0.com",
        "credentials": {"secretRef": {"name": "credentials"}},
        "access": [{"namespaceSelector": {}, "connections": ["fine-*", pattern]}],
    });
    serde_json::from_value(spec).unwrap()
}

#[test]
fn looks_are_as_far_apart_as_the_spec_says_and_no_closer_than_admission_allows() {
    for (written, seconds) in [(5, 5), (86_400, 86_400), (4, 5), (0, 5), (-1, 600)] {
        let spec = ClusterAuth0TenantSpec { resync_interval_seconds: written, ..spec_with("*") };
        assert_eq!(resync_interval(&spec), Duration::from_secs(seconds), "{written}");
    }
    assert_eq!(resync_interval(&spec_with("*")), USUAL_RESYNC, "the default of the CRD");
}

fn tenant_with(pattern: &str) -> World {
    let tenant = DeclaredTenant {
        name: "t".into(),
        uid: "uid".into(),
        resource_version: "1".into(),
        generation: 1,
        created: 0,
        spec: Some(spec_with(pattern)),
        reconcile_at: None,
        status: ClusterAuth0TenantStatus::default(),
    };
    let mut world = World::default();
    world.apply_tenant(tenant);
    world
}

#[test]
fn a_tenant_that_is_older_than_the_bound_on_patterns_is_told_which_one_and_serves_nobody() {
    let resolved = |pattern: &str| resolve(&tenant_with(pattern), "t", &AllowedDomains::default(), "ns").unwrap();
    assert!(matches!(resolved("a*b*c*d*e*f*g*h*i"), Resolution::Unresolved(UnresolvedReason::SecretNotFound, _)));
    for (pattern, rule) in [
        ("a*b*c*d*e*f*g*h*i*j", rules::CONNECTION_GLOB_STARS),
        (&*"c".repeat(129), rules::CONNECTION_GLOB_TOO_LONG),
        ("shop-?", rules::CONNECTION_GLOB),
        ("", rules::CONNECTION_GLOB),
    ] {
        let Resolution::Refused(RefusedReason::InvalidSpec, message) = resolved(pattern) else { panic!("{pattern}") };
        assert_eq!(message, format!("spec.access[0].connections[1]: {rule}"));
        let world = tenant_with(pattern);
        let status = crate::core::status::tenant::conclude(
            &world.tenant("t").unwrap(),
            &resolved(pattern),
            &CredentialsState::Untried,
            jiff::Timestamp::UNIX_EPOCH,
        );
        assert!(status.conditions.iter().any(|one| one.type_ == "Stalled" && one.status == "True" && one.message == message));
    }
}
