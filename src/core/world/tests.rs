//! Who is woken by what, and what a late event may do.

use super::*;
use crate::api::tenant::{ClusterAuth0TenantSpec, Credentials as CredentialsSpec, SecretRef};
use crate::api::upstream_params::ManagementPolicy;
use crate::api::upstream_params::ParamState::InSync;
use crate::core::spec::Target;
use crate::tests::builders::{ELSEWHERE, ELSEWHERE_NAME, HERE, HERE_NAME, object, print};

fn version(version: &str, object: Declared) -> Declared {
    Declared { resource_version: version.into(), ..object }
}

fn woken(name: &str) -> Vec<Wake> {
    vec![Wake::Object(object(name).key)]
}

fn status(target: &str) -> UpstreamParamsStatus {
    UpstreamParamsStatus { target: Some(target.into()), ..Default::default() }
}

fn tenant(name: &str, resource_version: &str) -> DeclaredTenant {
    let spec = ClusterAuth0TenantSpec {
        domain: "example.eu.auth0.com".into(),
        audience: None,
        credentials: CredentialsSpec { secret_ref: SecretRef { name: "credentials".into() } },
        access: Vec::new(),
        management_policy: ManagementPolicy::Enforce,
        rate_limit: crate::api::tenant::RateLimit::default(),
        resync_interval_seconds: 600,
    };
    DeclaredTenant {
        name: name.into(),
        uid: format!("uid-{name}").into(),
        resource_version: resource_version.into(),
        generation: 1,
        created: 0,
        spec: Some(spec),
        reconcile_at: None,
        status: ClusterAuth0TenantStatus::default(),
    }
}

#[test]
fn a_new_object_and_every_change_that_matters_wake_it_once() {
    let mut world = World::default();
    let first = object("a").wants("blog", "x");
    assert_eq!(world.apply_object(first.clone()), woken("a"));
    assert_eq!(world.apply_object(first.clone()), [], "the same again, as after a new list");
    let mut number = 1;
    let mut apply = |change: Declared| {
        number += 1;
        world.apply_object(version(&number.to_string(), change))
    };
    let edited = first.generation(2).wants("blog", "y");
    assert_eq!(apply(edited.clone()), woken("a"));
    assert_eq!(apply(edited.clone().retaining()), woken("a"));
    assert_eq!(apply(Declared { deleting: true, ..edited.clone().retaining() }), woken("a"));
    assert_eq!(
        apply(Declared { deleting: true, status: status("forged"), ..edited.retaining() }),
        [Wake::Status(object("a").key)],
        "somebody else's status"
    );
}

#[test]
fn the_echo_of_our_own_write_wakes_nobody_before_or_after_its_answer() {
    for answer_first in [true, false] {
        let mut world = World::default();
        world.apply_object(object("a"));
        let written = version("2", Declared { status: status("x"), ..object("a") });
        world.expect(&written.uid, &written.status);
        if answer_first {
            world.wrote(&written.key, &written.uid, "2", |object| object.status = status("x"));
        }
        assert_eq!(world.apply_object(written.clone()), []);
        world.wrote(&written.key, &written.uid, "2", |object| object.status = status("x"));
        assert_eq!(*world.object(&written.key).unwrap(), written);
    }
}

#[test]
fn an_edit_that_comes_with_our_own_status_is_still_news() {
    let mut world = World::default();
    world.apply_object(object("a"));
    world.expect(&"uid-a".into(), &status("x"));
    assert_eq!(world.apply_object(version("3", Declared { status: status("x"), ..object("a").generation(2) })), woken("a"));
}

#[test]
fn an_event_that_is_older_than_what_we_wrote_changes_nothing() {
    let mut world = World::default();
    world.apply_object(version("9", object("a")));
    world.wrote(&object("a").key, &"uid-a".into(), "10", |object| object.status = status("written"));
    assert_eq!(world.apply_object(version("9", object("a").generation(7))), []);
    let known = world.object(&object("a").key).unwrap();
    assert_eq!((known.generation, known.resource_version.as_str(), known.status.target.as_deref()), (1, "10", Some("written")));
}

#[test]
fn an_answer_that_comes_after_a_newer_event_changes_nothing() {
    let mut world = World::default();
    let newer = version("11", Declared { status: status("x"), ..object("a").generation(2) });
    world.apply_object(newer.clone());
    world.wrote(&newer.key, &"uid-a".into(), "10", |object| object.status = status("old"));
    world.wrote(&newer.key, &"another-uid".into(), "12", |object| object.status = status("of another"));
    assert_eq!(*world.object(&newer.key).unwrap(), newer);

    world.apply_tenant(tenant("default", "11"));
    let old = ClusterAuth0TenantStatus { observed_generation: Some(7), ..Default::default() };
    world.wrote_tenant("default", &"uid-default".into(), "10", &old);
    assert_eq!(*world.tenant("default").unwrap(), tenant("default", "11"));
    world.wrote_tenant("default", &"uid-default".into(), "12", &old);
    assert_eq!(world.tenant("default").unwrap().status, old);
}

#[test]
fn versions_compare_as_numbers_and_what_is_none_counts_as_news() {
    assert!(is_older("9", "10") && is_older("99999999999", "100000000000"));
    assert!(!is_older("10", "9") && !is_older("10", "10") && !is_older("a", "10") && !is_older("9", ""));
}

#[test]
fn an_object_that_is_gone_wakes_those_who_waited_for_its_names() {
    let mut world = World::default();
    world.apply_object(object("a").wants("blog", "x").retaining().lists("blog", InSync, &["x"]));
    assert_eq!(world.delete_object(&object("a").key, &"another-uid".into()), [], "that was its predecessor");
    let target = Some(Target::Name(HERE_NAME.into()));
    let gone = Wake::Gone { object: object("a").key, tenant: "default".into(), target, connections: vec![HERE.into()], left: None };
    assert_eq!(world.delete_object(&object("a").key, &"uid-a".into()).first(), Some(&gone));
    assert_eq!(world.delete_object(&object("a").key, &"uid-a".into()), []);
    assert!(world.object(&object("a").key).is_none());
}

/// The answer to a write says so before the watch does, which may still have older news of it; a list that begins later is right.
#[test]
fn an_object_that_was_found_gone_stays_gone_until_its_end_is_seen_or_a_list_begins() {
    let mut world = World::default();
    let here = object("a").wants("blog", "x");
    let edited = version("2", here.clone().generation(2));
    assert_eq!(world.found_gone(&here.key, &here.uid), [], "it was not known");
    world.apply_object(here.clone());
    assert_eq!(world.found_gone(&here.key, &"another-uid".into()), [], "that was its predecessor");
    world.objects_are_listed(None);
    assert!(matches!(world.found_gone(&here.key, &here.uid)[..], [Wake::Gone { .. }]));
    assert_eq!(world.apply_object(edited.clone()), [], "the watch lags");
    world.objects_are_listed(Some("other"));
    assert_eq!(world.list_objects(None, vec![edited.clone()]), [], "that list began before");
    world.expect_finalizer(&here.uid, false, "2");
    assert_eq!(world.delete_object(&here.key, &here.uid), []);
    assert!(world.gone.is_empty() && world.expected.is_empty(), "its end was seen");

    world.apply_object(here.clone());
    world.found_gone(&here.key, &here.uid);
    world.objects_are_listed(None);
    world.list_objects(None, vec![edited.clone()]);
    assert_eq!(*world.object(&here.key).unwrap(), edited, "as after the restore of a backup");

    world.found_gone(&here.key, &here.uid);
    let anew = Declared { uid: "uid-new".into(), ..edited };
    world.apply_object(anew.clone());
    assert_eq!(*world.object(&here.key).unwrap(), anew, "it was made anew");
}

#[test]
fn an_object_that_is_gone_with_a_record_of_what_it_should_have_removed_left_that_behind() {
    let left = |object: Declared| {
        let mut world = World::default();
        world.apply_object(object.clone());
        match world.delete_object(&object.key, &object.uid).as_slice() {
            // What one leaves that was told to is said by itself.
            [Wake::Gone { left, .. }] | [Wake::Gone { left, .. }, Wake::Left { .. }] => left.as_ref().map(ToString::to_string),
            none => panic!("{none:?}"),
        }
    };
    let owner = object("a").lists("blog", InSync, &["x"]).lists("hint", InSync, &[]).lists_at(ELSEWHERE, "old", InSync, &["x"]);
    assert_eq!(left(owner.clone()).as_deref(), Some("old on the connection shop; blog on the connection wordpress"));
    assert_eq!(left(owner.clone().retaining()), None, "that is what it was told to");
    assert_eq!(left(owner.observing()), None);
    assert_eq!(left(object("a")), None, "nothing was its own");
}

#[test]
fn a_recreated_object_is_another_one_also_where_its_end_was_not_seen() {
    let mut world = World::default();
    let old = version("5", object("a").lists("blog", InSync, &["x"]));
    world.apply_object(old.clone());
    world.expect(&old.uid, &status("x"));
    let mut new = version("4", object("a"));
    new.uid = "uid-new".into();
    new.policies.tenant = "other".into();
    let wakes = world.apply_object(new.clone());
    assert_eq!(wakes.len(), 2);
    assert!(matches!(&wakes[0], Wake::Gone { tenant, .. } if tenant == "default"));
    assert_eq!(wakes[1..], woken("a"));
    assert_eq!(*world.object(&new.key).unwrap(), new);
    assert!(world.expected.is_empty(), "nothing is kept of the one that is gone");
}

#[test]
fn a_complete_list_forgets_what_it_does_not_hold() {
    let mut world = World::default();
    for name in ["a", "b"] {
        world.apply_object(object(name));
        world.apply_tenant(tenant(name, "1"));
        world.apply_namespace(name.into(), BTreeMap::new());
        world.apply_secret(name.into(), SecretData::default());
    }
    assert_eq!(world.list_objects(Some("other"), vec![]), [], "the list of another namespace says nothing of this one");
    assert_eq!(world.list_objects(None, vec![object("a")]).len(), 1);
    assert_eq!(world.list_tenants(vec![tenant("a", "1")]), [Wake::Tenants]);
    assert_eq!(world.list_tenants(vec![tenant("a", "1")]), []);
    assert_eq!(world.list_namespaces(vec![("a".into(), BTreeMap::new())]), []);
    assert_eq!(world.list_secrets(vec![("a".into(), SecretData::default())]), []);
    assert!(world.object(&object("b").key).is_none() && world.object(&object("a").key).is_some());
    assert!(world.tenant("b").is_none() && world.tenant("a").is_some());
    assert!(world.labels("b").is_none() && world.labels("a").is_some());
    assert!(world.credentials("b").is_none() && world.credentials("a").is_some());
    assert_eq!(world.list_objects(Some("team"), vec![]).len(), 1);
    assert!(world.object(&object("a").key).is_none());
}

#[test]
fn the_world_is_complete_when_every_watch_has_listed() {
    let mut world = World::default();
    for kind in Kind::ALL {
        assert!(!world.is_complete());
        world.listed(kind);
        world.listed(kind);
    }
    assert!(world.is_complete());
}

#[test]
fn a_tenant_wakes_itself_for_its_status_and_all_for_its_spec() {
    let mut world = World::default();
    assert_eq!(world.apply_tenant(tenant("a", "1")), [Wake::Tenants]);
    assert_eq!(world.apply_tenant(tenant("a", "2")), []);
    let mut changed = tenant("a", "3");
    changed.status.observed_generation = Some(1);
    assert_eq!(world.apply_tenant(changed.clone()), [Wake::Tenant("a".into())]);
    changed.resource_version = "4".into();
    changed.generation = 2;
    assert_eq!(world.apply_tenant(changed), [Wake::Tenants]);
    assert_eq!(world.apply_tenant(tenant("a", "3")), [], "older");
    assert_eq!(world.tenant("a").unwrap().generation, 2);
    assert_eq!((world.delete_tenant("a"), world.delete_tenant("a")), (vec![Wake::Tenants], vec![]));
}

#[test]
fn a_secret_wakes_the_tenants_that_use_it_when_its_content_changes() {
    let mut world = World::default();
    world.apply_tenant(tenant("a", "1"));
    let content = |secret: &str| SecretData { client_id: Some("id".into()), client_secret: Some(secret.into()), ..SecretData::default() };
    assert_eq!(world.apply_secret("unrelated".into(), content("x")), []);
    assert_eq!(world.apply_secret("credentials".into(), content("x")), [Wake::Tenant("a".into())]);
    assert_eq!(world.apply_secret("credentials".into(), content("x")), []);
    assert_eq!(world.apply_secret("credentials".into(), content("y")), [Wake::Tenant("a".into())]);
    assert_eq!(world.delete_secret("credentials"), [Wake::Tenant("a".into())]);
    assert_eq!(world.delete_secret("credentials"), []);
    assert!(!format!("{:?}", content("MARK")).contains("MARK"));
}

#[test]
fn the_labels_of_a_namespace_wake_its_objects_when_they_change() {
    let mut world = World::default();
    world.apply_object(object("a"));
    let labels = |team: &str| BTreeMap::from([("team".to_owned(), team.to_owned())]);
    assert_eq!(world.apply_namespace("team".into(), labels("x")), woken("a"));
    assert_eq!(world.apply_namespace("team".into(), labels("x")), []);
    let relabelled = Wake::Relabelled(object("a").key);
    assert_eq!(world.apply_namespace("team".into(), labels("y")), [relabelled], "nobody edited the object");
    assert_eq!(world.apply_namespace("empty".into(), labels("y")), []);
}

#[test]
fn an_object_that_goes_without_a_finalizer_and_leaves_its_parameters_says_so() {
    let gone = |object: Declared| {
        let mut world = World::default();
        let (key, uid) = (object.key.clone(), object.uid.clone());
        world.apply_object(object);
        world.delete_object(&key, &uid)
    };
    let record = || object("a").wants("blog", "x").lists("blog", InSync, &["x"]);
    for (left, why) in [
        (record().retaining(), "deletionPolicy is Retain"),
        (record().observing(), "the object or its ClusterAuth0Tenant has managementPolicy: Observe"),
    ] {
        let wakes = gone(left);
        assert!(
            matches!(&wakes[..], [Wake::Gone { .. }, Wake::Left { left, why: said, .. }] if left.to_string().contains("blog") && said.contains(why)),
            "{wakes:?}"
        );
    }
    assert!(matches!(&gone(object("a").retaining().wants("blog", "x"))[..], [Wake::Gone { .. }]), "it had nothing");
}

#[test]
fn a_complete_list_wins_over_what_was_known_also_where_versions_went_back() {
    let mut world = World::default();
    let known = version("900", object("a").kept().lists("blog", InSync, &["x"]));
    world.apply_object(known.clone());
    world.apply_tenant(tenant("default", "901"));
    world.wrote(&known.key, &"uid-a".into(), "902", |object| object.status = status("written"));
    let mut older = tenant("default", "51");
    older.generation = 0;
    let restored = version("50", object("a").wants("blog", "y"));

    assert_eq!(world.apply_object(restored.clone()), [], "a late event");
    world.objects_are_listed(None);
    world.tenants_are_listed();
    assert_eq!(world.list_objects(None, vec![restored.clone()]), woken("a"));
    assert_eq!(world.list_tenants(vec![older.clone()]), [Wake::Tenants]);
    assert_eq!((*world.object(&restored.key).unwrap()).clone(), restored);
    assert_eq!(*world.tenant("default").unwrap(), older);
    // From there on, versions count again.
    assert_eq!(world.apply_object(version("49", object("a").generation(7))), []);
    assert_eq!(world.apply_object(version("51", restored.generation(7))), woken("a"));
}

fn asking(object: Declared, value: Option<&str>) -> Declared {
    Declared { reconcile_at: value.map(str::to_owned), ..object }
}

#[test]
fn who_asks_for_a_look_is_woken_by_any_new_value_and_by_nothing_else() {
    let mut world = World::default();
    let (a, key) = (object("a").wants("blog", "x"), object("a").key);
    assert_eq!(world.apply_object(version("1", asking(a.clone(), Some("1")))), woken("a"), "it is new");
    let mut number = 1;
    let mut apply = |change: Declared| {
        number += 1;
        world.apply_object(version(&number.to_string(), change))
    };
    let requested = || vec![Wake::Requested(key.clone())];
    assert_eq!(apply(asking(a.clone(), Some("1"))), [], "the same");
    assert_eq!(apply(asking(a.clone(), Some("2"))), requested());
    assert_eq!(apply(asking(a.clone(), None)), [], "removed");
    assert_eq!(apply(asking(a.clone(), Some("2"))), requested(), "set again");
    let edited = a.clone().generation(2).wants("blog", "y");
    assert_eq!(apply(asking(edited.clone(), Some("3"))), woken("a"), "an edit is looked at anyway");
    let forged = Declared { status: status("forged"), ..edited.clone() };
    let both = vec![Wake::Status(key.clone()), Wake::Requested(key.clone())];
    assert_eq!(apply(asking(forged.clone(), Some("4"))), both, "as where a watch had to list anew");
    let told = UpstreamParamsStatus { last_handled_reconcile_at: Some("4".to_owned()), ..forged.status };
    world.expect(&"uid-a".into(), &told);
    assert_eq!(world.apply_object(version("100", asking(Declared { status: told, ..edited }, Some("4")))), [], "we say that it is done");
}

#[test]
fn who_asks_for_a_look_at_everything_is_woken_by_any_new_value_of_the_tenant_object_that_is_known() {
    let mut world = World::default();
    let asking = |version, value: &str| DeclaredTenant { reconcile_at: Some(value.to_owned()), ..tenant("default", version) };
    let everything = || Wake::EverythingRequested("default".to_owned());
    assert_eq!(world.apply_tenant(asking("1", "1")), [Wake::Tenants], "it is new");
    assert_eq!(world.apply_tenant(asking("2", "1")), []);
    assert_eq!(world.apply_tenant(asking("3", "2")), [everything()]);
    assert_eq!(world.apply_tenant(tenant("default", "4")), []);
    assert_eq!(world.apply_tenant(DeclaredTenant { generation: 2, ..asking("5", "3") }), [Wake::Tenants, everything()]);
    let told = ClusterAuth0TenantStatus { last_handled_reconcile_at: Some("3".to_owned()), ..Default::default() };
    world.wrote_tenant("default", &"uid-default".into(), "6", &told);
    let echo = DeclaredTenant { generation: 2, status: told, ..asking("6", "3") };
    assert_eq!(world.apply_tenant(echo), [], "we say that it is done");
    let remade = DeclaredTenant { uid: "another".into(), ..asking("7", "4") };
    assert_eq!(world.apply_tenant(remade), [Wake::Tenants], "another one of its name is new");
}

#[test]
fn a_list_is_not_taken_for_news_where_we_wrote_after_it_began() {
    let mut world = World::default();
    world.apply_object(version("9", object("a")));
    world.apply_object(version("9", object("b")));
    world.apply_tenant(tenant("default", "9"));
    world.objects_are_listed(None);
    world.tenants_are_listed();
    world.expect(&"uid-a".into(), &status("x"));
    world.wrote(&object("a").key, &"uid-a".into(), "12", |object| object.status = status("x"));
    let told = ClusterAuth0TenantStatus { observed_generation: Some(7), ..Default::default() };
    world.wrote_tenant("default", &"uid-default".into(), "13", &told);
    assert_eq!(world.list_objects(None, vec![version("9", object("a")), version("9", object("b"))]), []);
    assert_eq!(world.list_tenants(vec![tenant("default", "9")]), []);
    assert_eq!(world.object(&object("a").key).unwrap().resource_version, "12");
    assert_eq!(world.tenant("default").unwrap().status, told);
}

#[test]
fn a_finalizer_that_somebody_takes_is_news_and_our_own_is_none() {
    let mut world = World::default();
    let own = object("a").lists("blog", InSync, &["x"]);
    world.apply_object(version("1", own.clone()));
    world.expect_finalizer(&"uid-a".into(), true, "1");
    assert_eq!(world.apply_object(version("2", own.clone().kept())), [], "the echo of ours");
    assert_eq!(world.apply_object(version("3", own.clone())), [Wake::Finalizer(object("a").key)]);
    world.wrote(&own.key, &"uid-a".into(), "4", |object| object.finalizer = true);
    let edited = own.clone().generation(2);
    assert_eq!(world.apply_object(version("5", edited.clone())), woken("a"), "with an edit, that is the news");
    world.expect_finalizer(&"uid-a".into(), false, "5");
    world.wrote(&own.key, &"uid-a".into(), "6", |object| object.finalizer = true);
    assert_eq!(world.apply_object(version("7", edited.clone())), [], "we remove it ourselves");
    assert_eq!(world.apply_object(version("8", edited.kept())), woken("a"), "somebody sets what we removed");
}

/// A write of ours that was refused, or never came, makes nothing that somebody else does later ours.
#[test]
fn a_finalizer_that_somebody_takes_is_news_also_after_a_write_of_ours_that_was_refused() {
    let mut world = World::default();
    let own = object("a").lists("blog", InSync, &["x"]).kept();
    world.apply_object(version("1", own.clone()));
    world.apply_object(version("3", own.clone()));
    world.expect_finalizer(&"uid-a".into(), false, "3");
    assert_eq!(world.apply_object(version("3", own.clone())), [], "it is still under way");
    let taken = Declared { finalizer: false, ..own.clone() };
    let mut in_time = World::default();
    in_time.apply_object(version("3", own.clone()));
    in_time.expect_finalizer(&"uid-a".into(), false, "3");
    assert_eq!(in_time.apply_object(version("4", taken.clone())), [], "the echo of ours");
    assert_eq!(world.apply_object(version("4", own)), [], "a later version came in its place");
    assert_eq!(world.apply_object(version("5", taken)), [Wake::Finalizer(object("a").key)]);
}

#[test]
fn an_object_that_we_let_go_left_nothing_that_was_not_told() {
    for (ours, left) in [(Some(false), false), (Some(true), true), (None, true)] {
        let mut world = World::default();
        world.apply_object(object("a").kept().lists("blog", InSync, &["x"]));
        if let Some(present) = ours {
            world.expect_finalizer(&"uid-a".into(), present, "1");
        }
        let wakes = world.delete_object(&object("a").key, &"uid-a".into());
        assert!(matches!(wakes.as_slice(), [Wake::Gone { left: told, .. }] if told.is_some() == left), "{ours:?}: {wakes:?}");
    }
}

#[test]
fn a_namespace_that_is_not_known_has_not_no_labels() {
    let mut world = World::default();
    assert_eq!(world.labels("team"), None);
    world.apply_namespace("team".into(), BTreeMap::new());
    assert_eq!(world.labels("team"), Some(&BTreeMap::new()));
    world.delete_namespace("team");
    assert_eq!(world.labels("team"), None);
    world.apply_object(object("a"));
    assert_eq!(world.apply_namespace("team".into(), BTreeMap::new()), woken("a"), "known, though without a label");
}

#[test]
fn a_kind_that_the_api_server_does_not_know_is_known_again_with_its_list() {
    let mut world = World::default();
    world.unserved(Kind::Tenant);
    assert!(!world.is_served(Kind::Tenant) && world.is_served(Kind::Object));
    assert_eq!(world.list_tenants(vec![]), [Wake::Tenants], "that there is none is an answer, too");
    assert!(world.is_served(Kind::Tenant));
}

#[test]
fn what_a_plan_rests_on_is_not_declared_any_more_after_any_change_of_it() {
    let labels = BTreeMap::from([("team".to_owned(), "shop".to_owned())]);
    let claimed = || object("a").kept().lists("blog", InSync, &["v1"]);
    let planned = (Arc::new(claimed()), Some(labels.clone()));
    let declared = tenant("default", "1");
    let world = |object: Declared, declared: DeclaredTenant, labels: BTreeMap<String, String>| {
        let mut world = World::default();
        world.apply_object(object);
        world.apply_tenant(declared);
        world.apply_namespace("team".into(), labels);
        world
    };
    let rests = |world: &World| world.still_declares(&declared, std::slice::from_ref(&planned));
    // Versions move on, and what is said of the object may change: the claim is what counts.
    let mut said = version("9", claimed());
    said.status.target = Some("wordpress".to_owned());
    assert!(rests(&world(said, tenant("default", "9"), labels.clone())));
    let mut observing = declared.clone();
    observing.spec.as_mut().unwrap().management_policy = ManagementPolicy::Observe;
    assert!(!rests(&world(claimed(), observing, labels.clone())));
    assert!(!rests(&world(claimed(), DeclaredTenant { uid: "new".into(), ..declared.clone() }, labels.clone())));
    assert!(!rests(&world(claimed(), declared.clone(), BTreeMap::new())));
    let changed = [
        claimed().generation(2),
        claimed().dying(),
        Declared { uid: "new".into(), ..claimed() },
        Declared { finalizer: false, ..claimed() },
        object("a").kept(),
        object("a").kept().lists("blog", InSync, &["v2"]),
        object("b"),
    ];
    for changed in changed {
        assert!(!rests(&world(changed, declared.clone(), labels.clone())));
    }
}

#[test]
fn whoever_has_come_to_have_a_say_about_a_parameter_since_it_was_planned_is_noticed() {
    let labels = BTreeMap::from([("team".to_owned(), "shop".to_owned())]);
    let names = BTreeSet::from(["blog".to_owned()]);
    let (id, name) = (HERE.into(), HERE_NAME.into());
    let connection = Connection { tenant: "default", identity: None, id: Some(&id), name: Some(&name) };
    let owner = || object("a").wants("blog", "v1").lists("blog", InSync, &["v1"]);
    let observer = || object("b").wants("blog", "v2").observing();
    let silent = || object("c").wants("lang", "v1");
    let planned: Vec<Ground> =
        [owner(), observer().lists("blog", InSync, &["v2"])].map(|object| (Arc::new(object), Some(labels.clone()))).into();
    let holds = |changes: &[Declared], labels: &BTreeMap<String, String>| {
        let mut world = World::default();
        world.apply_namespace("team".into(), labels.clone());
        for object in [owner(), observer().lists("blog", InSync, &["v2"]), silent().lists("lang", InSync, &["v1"])].iter().chain(changes) {
            world.take_object(object.clone());
        }
        world.nobody_else_has_a_say(&connection, &names, &planned)
    };
    assert!(holds(&[], &labels));
    assert!(!holds(&[], &BTreeMap::new()), "who was not admitted may be");
    let mut told = observer().lists("blog", InSync, &["v2"]).lists("lang", InSync, &["v1"]);
    told.status.observed_generation = Some(1);
    let unheard = [
        told,
        silent().generation(2),
        silent().lists("lang", InSync, &["v1", "v2"]),
        object("d").at(ELSEWHERE_NAME).wants("blog", "v3"),
        object("d").wants("blog", "v3").dying(),
    ];
    for unheard in unheard {
        assert!(holds(std::slice::from_ref(&unheard), &labels), "{unheard:?}");
    }
    let heard = [
        observer().lists("blog", InSync, &["v2"]).generation(2),
        observer().lists("blog", InSync, &["v1", "v2"]),
        observer(),
        silent().generation(2).wants("blog", "v3"),
        silent().lists("blog", InSync, &["v1"]),
        object("d").wants("blog", "v3"),
        object("d").at(ELSEWHERE_NAME).lists("blog", InSync, &["v1"]),
        Declared { uid: "new".into(), ..owner() },
    ];
    for heard in heard {
        assert!(!holds(std::slice::from_ref(&heard), &labels), "{heard:?}");
    }
}

#[test]
fn a_record_goes_only_while_the_tenant_admits_what_it_did_and_while_another_has_what_passes_to_it() {
    let labels = BTreeMap::from([("team".to_owned(), "shop".to_owned())]);
    let (id, name) = (ConnectionId::from(HERE), "blog".to_owned());
    let reasons = || LetGo {
        tenant: Some(Arc::new(tenant("default", "1"))),
        labels: Some(labels.clone()),
        handed: vec![(id.clone(), name.clone(), print("blog", "v1"))],
    };
    let giver = || object("giver").lists("blog", InSync, &["v1"]);
    let goes = |taker: Declared, declared: Option<DeclaredTenant>, labels: &BTreeMap<String, String>, reasons: &LetGo| {
        let mut world = World::default();
        world.apply_object(giver());
        world.apply_object(taker);
        drop(declared.map(|tenant| world.apply_tenant(tenant)));
        world.apply_namespace("team".into(), labels.clone());
        world.still_lets_go(&giver(), reasons)
    };
    let taker = || object("taker").lists("blog", InSync, &["v1"]);
    let declared = || Some(tenant("default", "9"));
    let mut observing = tenant("default", "9");
    observing.spec.as_mut().unwrap().management_policy = ManagementPolicy::Observe;
    assert!(goes(taker(), declared(), &labels, &reasons()));
    assert!(!goes(taker(), declared(), &BTreeMap::new(), &reasons()), "the labels");
    assert!(!goes(taker(), None, &labels, &reasons()), "there is no tenant any more");
    assert!(!goes(taker(), Some(observing), &labels, &reasons()), "the tenant");
    assert!(!goes(taker(), declared(), &labels, &LetGo { tenant: None, ..reasons() }), "there is a tenant again");
    for lost in [object("taker"), object("taker").lists("blog", InSync, &["v2"]), object("taker").lists("lang", InSync, &["v1"])] {
        assert!(!goes(lost, declared(), &labels, &reasons()), "the record of whoever takes over");
    }
    let deleted = Declared { deleting: true, ..taker() };
    assert!(goes(deleted.clone().kept(), declared(), &labels, &reasons()), "it is there until its finalizer goes");
    assert!(!goes(deleted, declared(), &labels, &reasons()), "it is gone");
    assert!(goes(object("taker"), declared(), &labels, &LetGo { handed: Vec::new(), ..reasons() }));
}
