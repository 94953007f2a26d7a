//! What a dry run says, and that it comes to rest where the operator would.

use std::fmt::Write;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::*;
use crate::api::reason::ConditionType;
use crate::api::tenant::{AccessEntry, ClusterAuth0TenantSpec, Credentials, RateLimit, SecretRef};
use crate::api::upstream_params::ParamState::{InSync, Pending};
use crate::core::tenant::{Resolution, resolve};
use crate::core::world::{DeclaredTenant, SecretData};
use crate::model::domain::AllowedDomains;
use crate::tests::builders::{self, ELSEWHERE, ELSEWHERE_NAME, HERE, HERE_NAME, object};

const NOW: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

fn connection(id: &str, name: &str, strategy: &str, params: &str) -> Document {
    let text =
        format!(r#"{{"id":"{id}","name":"{name}","strategy":"{strategy}","options":{{"client_secret":"s","upstream_params":{params}}}}}"#);
    Document::parse(&text).unwrap()
}

fn here(params: &str) -> Document {
    connection(HERE, HERE_NAME, "oauth2", params)
}

fn elsewhere(params: &str) -> Document {
    connection(ELSEWHERE, ELSEWHERE_NAME, "oauth2", params)
}

fn world(objects: impl IntoIterator<Item = Declared>, management: ManagementPolicy) -> (World, TenantSettings) {
    let mut world = World::default();
    let spec = ClusterAuth0TenantSpec {
        domain: "example.eu.auth0.com".into(),
        audience: None,
        credentials: Credentials { secret_ref: SecretRef { name: "credentials".into() } },
        access: vec![AccessEntry {
            namespace_selector: LabelSelector::default(),
            connections: vec!["wordpress".into(), "shop".into(), "saml".into(), "absent".into()],
            allowed_reserved_params: Vec::new(),
        }],
        management_policy: management,
        rate_limit: RateLimit::default(),
        resync_interval_seconds: 600,
    };
    world.apply_tenant(DeclaredTenant { spec: Some(spec), ..builders::tenant("default") });
    let secret = SecretData { client_id: Some("id".into()), client_secret: Some("secret".to_owned().into()), ..Default::default() };
    world.apply_secret("credentials".into(), secret);
    world.apply_namespace("team".into(), BTreeMap::new());
    for object in objects {
        world.apply_object(object);
    }
    let allowed = AllowedDomains::parse(["*.auth0.com"].iter()).unwrap();
    match resolve(&world, "default", &allowed, "operator") {
        Some(Resolution::Serving(settings)) => (world, *settings),
        other => panic!("{other:?}"),
    }
}

/// The steps as text, then each object with its reason.
fn run(objects: impl IntoIterator<Item = Declared>, connections: Vec<Document>) -> String {
    shown(world(objects, ManagementPolicy::Enforce), connections)
}

fn shown((mut world, settings): (World, TenantSettings), connections: Vec<Document>) -> String {
    let run = dry_run(&mut world, ("default", &settings), connections, NOW);
    assert!(run.at_rest);
    let mut text = String::new();
    for ConnectionRun { name, steps, .. } in &run.connections {
        for Step { name: param, action, by, others, overwrites, drift, observed, .. } in steps {
            let by = by.as_ref().map(|key| key.name.as_str()).unwrap_or_default();
            let others: Vec<&str> = others.iter().map(|key| key.name.as_str()).collect();
            let flags: Vec<&str> = [("overwrites", overwrites), ("drift", drift), ("observed", observed)]
                .iter()
                .filter(|(_, is)| **is)
                .map(|(flag, _)| *flag)
                .collect();
            writeln!(text, "{name}: {action:?} {param} for {by} {others:?} {flags:?}").unwrap();
        }
    }
    for object in &run.objects {
        let ready = status::condition(&object.status.conditions, ConditionType::Ready);
        writeln!(text, "{}: {}", object.key.name, ready.map_or("-", |condition| condition.reason.as_str())).unwrap();
    }
    text
}

#[test]
fn what_is_missing_is_added_and_what_is_there_is_adopted() {
    let objects = [object("a").wants("blog", "v").wants("lang", "de")];
    let said = run(objects, vec![here(r#"{"lang":{"value":"de"},"theirs":{"value":"x"}}"#)]);
    assert_eq!(said, "wordpress: Add blog for a [] []\nwordpress: Adopt lang for a [] []\na: Ready\n");
}

#[test]
fn another_value_is_left_or_overwritten_as_the_policy_says() {
    let live = || vec![here(r#"{"blog":{"value":"theirs"}}"#)];
    assert_eq!(run([object("a").wants("blog", "v")], live()), "a: ExistingValue\n");
    let said = run([object("a").wants("blog", "v").overwriting()], live());
    assert_eq!(said, "wordpress: Change blog for a [] [\"overwrites\"]\na: Ready\n");
}

#[test]
fn one_name_is_one_objects_and_the_other_is_told() {
    let objects = [object("a").wants("blog", "v").born(1), object("b").wants("blog", "w").born(2)];
    assert_eq!(run(objects, vec![here("{}")]), "wordpress: Add blog for a [] []\na: Ready\nb: Conflicted\n");
}

#[test]
fn an_object_that_moves_joins_the_new_connection_and_then_leaves_the_old_one() {
    let moves = object("a").wants("blog", "v").lists("blog", InSync, &["v"]).at(ELSEWHERE_NAME).kept();
    let said = run([moves], vec![here(r#"{"blog":{"value":"v"}}"#), elsewhere("{}")]);
    assert_eq!(said, "shop: Add blog for a [] []\nwordpress: Remove blog for a [] []\na: Ready\n");
}

#[test]
fn a_dropped_name_goes_where_it_is_ours_and_stays_where_it_is_not() {
    let drops = object("a").wants("lang", "de").lists("blog", InSync, &["v"]).lists("lang", Pending, &["de"]).kept();
    let ours = here(r#"{"blog":{"value":"v"},"lang":{"value":"de"}}"#);
    assert_eq!(run([drops.clone()], vec![ours]), "wordpress: Remove blog for a [] []\na: Ready\n");
    let changed = here(r#"{"blog":{"value":"theirs"},"lang":{"value":"de"}}"#);
    assert_eq!(run([drops], vec![changed]), "wordpress: Leave blog for a [] []\na: Ready\n");
}

#[test]
fn what_is_being_deleted_is_gone_at_the_end() {
    let dies = object("a").wants("blog", "v").lists("blog", InSync, &["v"]).dying();
    assert_eq!(run([dies], vec![here(r#"{"blog":{"value":"v"}}"#)]), "wordpress: Remove blog for a [] []\n");
}

#[test]
fn who_observes_is_told_what_would_be_done_and_nothing_is() {
    let observes = || object("a").wants("blog", "v").observing();
    let said = "wordpress: Add blog for a [] [\"observed\"]\na: Observing\n";
    assert_eq!(run([observes()], vec![here("{}")]), said);
    let all = world([object("a").wants("blog", "v")], ManagementPolicy::Observe);
    assert_eq!(shown(all, vec![here("{}")]), said);
}

#[test]
fn what_stands_in_the_way_is_said_of_each_object() {
    let objects = [
        object("absent").wants("blog", "v").at("absent"),
        object("denied").wants("blog", "v").at("denied"),
        object("invalid").invalid(),
        object("reserved").wants("state", "v"),
        object("saml").wants("blog", "v").at("saml"),
        object("waits").wants("blog", "v").of("unknown"),
    ];
    let connections = vec![here("{}"), connection("con_saml", "saml", "samlp", "{}")];
    let said = run(objects, connections);
    let reasons = "absent: ConnectionNotFound\ndenied: NotPermitted\ninvalid: InvalidSpec\nreserved: ReservedParam\nsaml: UnsupportedStrategy\nwaits: -\n";
    assert_eq!(said, reasons);
}

#[test]
fn a_connection_whose_options_are_hidden_is_never_planned() {
    let hidden = Document::parse(&format!(r#"{{"id":"{HERE}","name":"{HERE_NAME}","strategy":"oauth2"}}"#)).unwrap();
    assert_eq!(run([object("a").wants("blog", "v")], vec![hidden]), "a: OptionsHidden\n");
}

#[test]
fn a_second_run_over_what_the_first_one_left_finds_nothing_to_do() {
    let objects = [object("a").wants("blog", "v"), object("b").wants("lang", "de").observing()];
    let (mut world, settings) = world(objects, ManagementPolicy::Enforce);
    dry_run(&mut world, ("default", &settings), vec![here("{}")], NOW);
    let again = dry_run(&mut world, ("default", &settings), vec![here(r#"{"blog":{"value":"v"}}"#)], NOW);
    let left: Vec<&Step> = again.connections.iter().flat_map(|run| &run.steps).filter(|step| !step.observed).collect();
    assert_eq!(left, [] as [&Step; 0]);
}
