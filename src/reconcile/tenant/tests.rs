//! A tenant without an API server and without Auth0.

use serde_json::json;

use super::shared::SharedBudget;
use super::*;
use crate::api::tenant::ClusterAuth0TenantStatus;
use crate::core::world::{DeclaredTenant, SecretData as Held};
use crate::kubernetes::hub::Hub;
use crate::kubernetes::lease::Leadership;
use crate::model::document::Document;
use crate::tests::builders;

/// The one tenant object of the world, which stands for this domain.
fn declare(hub: &Hub, uid: &str, domain: &str) {
    let spec = json!({
        "domain": domain,
        "credentials": {"secretRef": {"name": "secret"}},
        "access": [{"namespaceSelector": {}, "connections": ["*"]}],
    });
    let (uid, resource_version) = (uid.into(), uid.to_owned());
    let (spec, status) = (Some(serde_json::from_value(spec).unwrap()), ClusterAuth0TenantStatus::default());
    let (name, reconcile_at) = ("default".to_owned(), None);
    let tenant = DeclaredTenant { name, uid, resource_version, generation: 1, created: 0, spec, reconcile_at, status };
    hub.fold(|world| world.apply_tenant(tenant));
}

/// A tenant that serves.
async fn serving() -> Tenant {
    let hub = Arc::new(Hub::new().0);
    let held = Held { client_id: Some("id".to_owned()), client_secret: Some("secret".to_owned().into()), ..Held::default() };
    hub.fold(|world| world.apply_secret("secret".to_owned(), held));
    declare(&hub, "1", "one.eu.auth0.com");
    let mut tenant = Tenant::new("default".to_owned(), Shared::refused(hub));
    tenant.refresh().await;
    assert!(tenant.serving().is_some(), "{:?}", tenant.state.resolution());
    tenant.queue = WorkQueue::default();
    tenant
}

fn budget(tenant: &Tenant) -> SharedBudget {
    tenant.state.serving().unwrap().reach.budget.clone()
}

#[tokio::test]
async fn work_at_kubernetes_that_comes_again_and_again_does_not_keep_work_at_auth0_from_being_done() {
    let mut tenant = serving().await;
    let looks = (0..10).filter(|_| {
        // As where an API server takes longer to refuse a status than the pauses between the tries.
        for name in ["one", "two"] {
            tenant.queue.add(Item::Object(builders::object(name).key), Instant::now());
        }
        let mut next = Next::default();
        next.at(ConnectionKey::Id("con_1".into()), Lane::Edit, Instant::now());
        tenant.apply(next);
        matches!(tenant.step(), Step::Auth0(_))
    });
    assert_eq!(looks.count(), 5);
}

#[tokio::test]
async fn a_tenant_object_made_anew_for_another_domain_does_not_live_on_the_budget_of_the_old_one() {
    let mut tenant = serving().await;
    let old = budget(&tenant);
    declare(&tenant.shared.hub, "2", "two.eu.auth0.com");
    tenant.refresh().await;
    assert_eq!(tenant.identity(), Some(&"two.eu.auth0.com".into()));
    assert!(!Arc::ptr_eq(&old, &budget(&tenant)));
    declare(&tenant.shared.hub, "3", "one.eu.auth0.com");
    tenant.refresh().await;
    assert!(Arc::ptr_eq(&old, &budget(&tenant)), "the one of a tenant outlasts its object");
}

/// An object that names a connection of its own, and that somebody asks a look at.
fn asking(name: &str, version: &str, value: &str) -> Declared {
    let object = builders::object(name).wants("blog", "x").at(name);
    Declared { resource_version: version.to_owned(), reconcile_at: Some(value.to_owned()), ..object }
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_a_look_gets_it_for_that_object_alone_and_once_in_a_while() {
    let mut tenant = serving().await;
    let hub = tenant.shared.hub.clone();
    hub.fold(|world| world.apply_namespace("team".to_owned(), BTreeMap::new()));
    tenant.state.serving_mut().unwrap().authentication.token_granted(None, 1, (Instant::now(), 0.0));
    tenant.state.serving_mut().unwrap().authentication.begin();
    for name in ["a", "b"] {
        hub.fold(|world| world.apply_object(asking(name, "1", "0")));
    }
    let start = clock::now();
    let mut looks = Vec::new();
    for second in 0..12 {
        hub.fold(|world| world.apply_object(asking("a", &format!("{}", 2 + second), &format!("{second}"))));
        tenant.request(&builders::object("a").key);
        while let Step::Kubernetes(item) = tenant.step() {
            let next = tenant.reconcile_item(item).await;
            tenant.apply(next);
            let Step::Auth0(due) = tenant.step() else { panic!("nothing is due") };
            looks.push(((clock::now() - start).as_secs(), due));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let a = || Due::Connection(ConnectionKey::Name("a".into()));
    assert_eq!(looks, [(0, a()), (5, a()), (10, a())]);
    assert_eq!(tenant.memory.requests.known(&"uid-a".into()), Some("11"), "the last value is not lost");
}

#[tokio::test(start_paused = true)]
async fn a_look_at_everything_tries_refused_credentials_once_and_is_through_when_nothing_is_due_with_it() {
    let mut tenant = serving().await;
    let refused = |tenant: &mut Tenant| {
        let serving = tenant.state.serving_mut().unwrap();
        serving.authentication.begin();
        serving.authentication.token_denied(Err("no".to_owned()), None, (clock::now(), 1.0));
    };
    for _ in 0..9 {
        refused(&mut tenant);
    }
    let hub = tenant.shared.hub.clone();
    let declared = DeclaredTenant::clone(&hub.read(|world| world.tenant("default")).unwrap());
    let asking = DeclaredTenant { resource_version: "2".to_owned(), reconcile_at: Some("now".to_owned()), ..declared };
    let uid = asking.uid.clone();
    hub.fold(|world| world.apply_tenant(asking));
    tenant.request_everything();
    assert_eq!(tenant.step(), Step::Kubernetes(Item::Everything));
    drop(tenant.reconcile_item(Item::Everything).await);
    tenant.conclude_request().await;
    assert_eq!(tenant.request.handled(&uid), None, "the credentials are to be tried");
    assert_eq!(tenant.step(), Step::Auth0(Due::Authentication));
    refused(&mut tenant);
    tenant.conclude_request().await;
    assert_eq!(tenant.request.handled(&uid), Some("now"));
    assert!(tenant.authentication_due().unwrap() - clock::now() > Duration::from_mins(1), "one try, and the pauses go on");
}

#[tokio::test]
async fn an_object_that_is_made_anew_under_a_name_is_not_put_off_for_the_failures_of_the_one_that_is_gone() {
    let mut tenant = serving().await;
    let hub = tenant.shared.hub.clone();
    hub.fold(|world| world.apply_namespace("team".to_owned(), BTreeMap::new()));
    let old = builders::object("a").invalid();
    let put_off = async |tenant: &mut Tenant, times: u32| {
        for _ in 0..times {
            drop(tenant.reconcile_key(&old.key, Lane::Edit).await);
        }
        tenant.queue.first().unwrap() - Instant::now()
    };
    hub.fold(|world| world.apply_object(old.clone()));
    assert!(put_off(&mut tenant, 9).await > Duration::from_mins(1));
    hub.fold(|world| world.delete_object(&old.key, &old.uid));
    drop(tenant.vacated(old.key.clone(), None, Vec::new()));
    hub.fold(|world| world.apply_object(Declared { uid: "another".into(), ..old.clone() }));
    assert!(put_off(&mut tenant, 1).await <= Duration::from_secs(1));
}

#[tokio::test]
async fn whoever_names_a_connection_that_concerned_nobody_any_more_begins_anew() {
    let mut tenant = serving().await;
    let (id, shop) = (ConnectionKey::Id("con_1".into()), Target::Name("shop".into()));
    let document = Document::parse(r#"{"id":"con_1","name":"shop","strategy":"oidc","options":{}}"#).unwrap();
    let a = builders::object("a").at("shop");
    for is_named in [true, false] {
        if is_named {
            tenant.shared.hub.fold(|world| world.apply_object(a.clone()));
        } else {
            tenant.shared.hub.fold(|world| world.delete_object(&a.key, &a.uid));
        }
        tenant.known_connections.wrote(&document);
        tenant.memory.failures.forget(&id);
        assert_eq!(tenant.memory.failures.count(&id), 1);
        tenant.forget_vacant(&id);
        let known = (tenant.known_connections.id_of(&shop).is_some(), tenant.memory.failures.count(&id));
        assert_eq!(known, if is_named { (true, 2) } else { (false, 1) });
    }
}

#[tokio::test(start_paused = true)]
async fn who_took_over_takes_every_connection_for_one_to_which_a_write_may_be_under_way_until_that_must_have_ended() {
    let (mut tenant, seconds) = (serving().await, Duration::from_secs);
    tenant.shared.leadership = Leadership::taken_over(seconds(7));
    let (here, there) = ("con_1".into(), "con_2".into());
    assert_eq!(tenant.unsettled_for(&there), Some(seconds(7)));
    tenant.may_still_land(&here);
    assert_eq!((tenant.unsettled_for(&here), tenant.unsettled_for(&there)), (Some(seconds(10)), Some(seconds(7))));
    tokio::time::sleep(seconds(7)).await;
    assert_eq!((tenant.unsettled_for(&here), tenant.unsettled_for(&there)), (Some(seconds(3)), None));
    // Also for who drives a tenant object that was made anew meanwhile, or another one for the same tenant.
    let mut another = Tenant::new("default".to_owned(), tenant.shared.clone());
    assert_eq!(another.unsettled_for(&here), None, "it does not serve yet");
    another.refresh().await;
    assert_eq!((another.unsettled_for(&here), another.unsettled_for(&there)), (Some(seconds(3)), None));
    tokio::time::sleep(seconds(3)).await;
    assert_eq!(tenant.unsettled_for(&here), None);
}
