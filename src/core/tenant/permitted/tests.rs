//! What is told of access: exactly what the object's own namespace may use, and in a bound.

use serde_json::{Value, json};

use super::*;
use crate::core::status::{self, Context, Outcome};
use crate::core::tenant::triage::not_permitted;
use crate::core::tenant::{Resolution, resolve};
use crate::core::world::{DeclaredTenant, SecretData};
use crate::model::domain::AllowedDomains;
use crate::tests::builders::{self, ELSEWHERE, HERE_NAME, object};

/// Admits those with the label team of this value to these connections.
fn entry(team: &str, connections: &[&str]) -> Value {
    json!({"namespaceSelector": {"matchLabels": {"team": team}}, "connections": connections})
}

/// A world with the namespaces `team` and `theirs`, whose labels say the same of them, and tenants with this access.
fn world<'a>(tenants: impl IntoIterator<Item = (&'a str, Value)>) -> World {
    let mut world = World::default();
    for (nth, (name, access)) in tenants.into_iter().enumerate() {
        let spec =
            json!({"domain": format!("{nth}.eu.auth0.com"), "credentials": {"secretRef": {"name": "credentials"}}, "access": access});
        world.apply_tenant(DeclaredTenant { spec: Some(serde_json::from_value(spec).unwrap()), ..builders::tenant(name) });
    }
    let secret = SecretData { client_id: Some("id".into()), client_secret: Some("secret".to_owned().into()), ..Default::default() };
    world.apply_secret("credentials".into(), secret);
    for namespace in ["team", "theirs"] {
        world.apply_namespace(namespace.into(), BTreeMap::from([("team".to_owned(), namespace.to_owned())]));
    }
    world
}

fn settings(world: &World) -> TenantSettings {
    match resolve(world, "default", &AllowedDomains::default(), "operator") {
        Some(Resolution::Serving(settings)) => *settings,
        other => panic!("{other:?}"),
    }
}

/// What an object of the namespace `team` is told that names this connection.
fn refusal(access: Value, connection: &str) -> String {
    let world = world([("default", access)]);
    let outcome = not_permitted(("default", &settings(&world)), world.labels("team").unwrap(), &object("a").at(connection));
    let Outcome::NotPermitted(message) = outcome else { panic!("{outcome:?}") };
    message
}

#[test]
fn a_namespace_is_told_what_it_may_use_and_what_it_probably_meant() {
    let access = json!([entry("team", &["wordpress", "shop-*"]), entry("theirs", &["hidden-*"]), entry("team", &["shop-*", "oidc"])]);
    assert_eq!(
        refusal(access.clone(), "wordpres"),
        "the ClusterAuth0Tenant default does not permit the namespace team to use the connection wordpres (did you mean wordpress?), \
         only wordpress, shop-*, oidc; ask the platform team, which manages that object, for an access entry that matches the namespace's \
         labels and the connection"
    );
    let other = refusal(access, "hidden-1");
    assert!(!other.contains("did you mean") && !other.contains("hidden-*"), "{other}");
}

#[test]
fn a_namespace_that_no_entry_matches_is_told_so_and_nothing_of_others() {
    assert_eq!(
        refusal(json!([entry("theirs", &["wordpress"])]), "wordpres"),
        "no access entry of the ClusterAuth0Tenant default matches the labels of the namespace team, so it may use none of the \
         connections; ask the platform team, which manages that object, for an access entry, or for the label that one selects by"
    );
}

#[test]
fn who_names_an_id_is_told_nothing_of_what_it_stands_for() {
    let world = world([("default", json!([entry("team", &["wordpress"])]))]);
    let mut by_id = object("a");
    if let Ok(spec) = &mut by_id.spec {
        spec.target = Target::Id(ELSEWHERE.into());
    }
    let told = |namespace: &str| not_permitted(("default", &settings(&world)), world.labels(namespace).unwrap(), &by_id);
    assert_eq!(told("team"), Outcome::ConnectionNotFound { id: None, meant: None });
    assert!(matches!(told("theirs"), Outcome::NotPermitted(message) if message.starts_with("no access entry")));
}

#[test]
fn a_message_has_a_bound_however_much_is_admitted() {
    let patterns: Vec<String> = (0..64).map(|nth| format!("{nth:0>127}*")).collect();
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let long = refusal(json!([entry("team", &patterns), entry("team", &["last"])]), "c");
    assert!(long.contains("and 64 more; ask") && long.len() < 600, "{}: {long}", long.len());
    let short = refusal(json!([entry("team", &["a", "b", "d", "e", "f", "g", "h", "i", "j"])]), "none-of-these");
    assert!(short.contains("only a, b, d, e, f, g, h, i and 1 more; ask"), "{short}");
}

proptest::proptest! {
    #[test]
    fn nothing_is_told_that_the_namespace_is_not_admitted_to(
        entries in proptest::collection::vec((proptest::bool::ANY, proptest::collection::vec("[a-c]{1,3}[*]?", 1..4)), 1..5),
        seen in proptest::collection::vec("[a-c]{1,4}", 0..6),
        named in "[a-c]{1,4}",
    ) {
        // What is others' is in capitals, and what is asked for never is.
        let own = |is_own: bool, text: &str| if is_own { text.to_owned() } else { text.to_uppercase() };
        let access: Vec<Value> = entries.iter().map(|(is_own, patterns)| {
            let patterns: Vec<String> = patterns.iter().map(|pattern| own(*is_own, pattern)).collect();
            let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
            entry(if *is_own { "team" } else { "theirs" }, &patterns)
        }).collect();
        let mut world = world([("default", Value::from(access))]);
        let settings = settings(&world);
        for (nth, name) in seen.iter().enumerate() {
            world.apply_object(sees(&format!("o{nth}"), "theirs", &own(nth % 2 == 0, name)));
        }
        let asking = object("asking").at(&named);
        let labels = world.labels("team").unwrap();
        if settings.admission(labels, &named).is_none() {
            let Outcome::NotPermitted(said) = not_permitted(("default", &settings), labels, &asking) else { panic!("by name") };
            let list = said.split_once(", only ").map(|(_, rest)| rest.split_once("; ask").unwrap().0).unwrap_or_default();
            assert!(!list.contains(char::is_uppercase), "{said}");
            let meant = said.split_once("did you mean ").map(|(_, rest)| rest.split_once('?').unwrap().0);
            assert!(meant.is_none_or(|meant| settings.admission(labels, meant).is_some()), "{said}");
        }
        let meant = connection_meant(&world, "default", &settings, &asking);
        assert!(meant.as_ref().is_none_or(|meant| settings.admission(labels, meant).is_some() && *meant != named), "{meant:?}");
    }
}

/// An object that was seen to have a connection of this name at the first tenant.
fn sees(name: &str, namespace: &str, connection: &str) -> Declared {
    let mut object = object(name).of(namespace);
    let entry = builders::described(ELSEWHERE);
    object.status.connections.push(crate::api::upstream_params::ConnectionStatus {
        tenant: Some("0.eu.auth0.com".into()),
        name: Some(connection.into()),
        ..entry
    });
    object
}

#[test]
fn a_connection_that_does_not_exist_is_compared_with_those_that_were_seen_and_may_be_used() {
    let access = json!([entry("team", &["shop-*", "corporate-oidc", "blog"]), entry("theirs", &["*"])]);
    let meant = |named: &str, seen: &[Declared]| {
        let mut world = world([("default", access.clone())]);
        for object in seen {
            world.apply_object(object.clone());
        }
        connection_meant(&world, "default", &settings(&world), &object("a").at(named))
    };
    let baskets = sees("b", "theirs", "shop-baskets");
    assert_eq!(meant("shop-baskts", &[]), None, "nobody has seen anything");
    assert_eq!(meant("shop-baskts", std::slice::from_ref(&baskets)).as_deref(), Some("shop-baskets"));
    assert_eq!(meant("corporate-odic", &[]).as_deref(), Some("corporate-oidc"), "access has it in whole");
    assert_eq!(meant("shop-blgo", &[sees("b", "theirs", "shop-\u{1b}blog")]), None, "what is no name is not told");
    assert_eq!(meant("blog", &[sees("b", "theirs", "blogs")]), None, "not one to be used");
    assert_eq!(meant("shop-2", &[sees("b", "theirs", "shop-1")]), None, "another number is another connection");

    let mut elsewhere = baskets;
    elsewhere.status.connections[0].tenant = Some("another.eu.auth0.com".into());
    assert_eq!(meant("shop-baskts", &[elsewhere]), None, "of another Auth0 tenant");
}

#[test]
fn a_tenant_that_does_not_exist_is_compared_with_those_that_admit_the_namespace() {
    let world = world([("default", json!([entry("team", &["*"])])), ("defaults", json!([entry("theirs", &["*"])]))]);
    let meant = |tenant: &str, namespace: &str| {
        let mut asking = object("a").of(namespace);
        asking.policies.tenant = tenant.to_owned();
        tenant_meant(&world, &asking)
    };
    assert_eq!(meant("defualt", "team").as_deref(), Some("default"));
    assert_eq!(meant("defualt", "theirs").as_deref(), Some("defaults"));
    assert_eq!((meant("defualt", "unknown"), meant("production", "team")), (None, None));
}

#[test]
fn what_was_meant_stands_in_the_message() {
    let context = Context {
        now: jiff::Timestamp::UNIX_EPOCH,
        observing: false,
        names_it: true,
        since_good_look: std::time::Duration::ZERO,
        stale_after: std::time::Duration::MAX,
        unready_for: std::time::Duration::ZERO,
    };
    let said = |outcome: Outcome| status::conclude(&object("a").at("wordpres"), &outcome, &context).status.conditions[0].message.clone();
    let meant = Some(HERE_NAME.to_owned());
    assert_eq!(
        said(Outcome::ConnectionNotFound { id: None, meant }),
        "the tenant default has no connection named wordpres (did you mean wordpress?); create it, or correct spec.connection"
    );
    assert_eq!(
        said(Outcome::TenantNotFound { meant: Some("main".into()) }),
        "there is no ClusterAuth0Tenant default (did you mean main?); create it, or create this object again with another spec.tenantRef"
    );
}
