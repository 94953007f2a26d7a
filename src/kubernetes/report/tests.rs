//! Writes to an API server that refuses everything: which of them are sent.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::tests::builders;

/// A report to an API server that refuses everything, and how many requests it saw.
fn report() -> (Report, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = requests.clone();
    let refusing = axum::Router::new().fallback(move || {
        seen.fetch_add(1, Ordering::Relaxed);
        async { axum::http::StatusCode::FORBIDDEN }
    });
    let hub = Arc::new(Hub::new().0);
    (Report::new(Client::new(refusing, "default"), hub, None, WallClock::system()), requests)
}

#[tokio::test(start_paused = true)]
async fn who_does_not_lead_sends_nothing_and_who_leads_does() {
    let (report, requests) = report();
    let (object, tenant) = (builders::object("one"), builders::tenant("one"));
    report.hub.fold(|world| [world.apply_object(object.clone()), world.apply_tenant(tenant.clone())].concat());
    let notice = Notice::new(false, "Test", "a test".to_owned());
    for (report, expected) in [(report.clone(), 0), (report.under(Leadership::of_a_test()), 5)] {
        for written in [report.status(&object, &object.status).await, report.finalizer(&object, true).await] {
            assert!(matches!(written, Err(WriteError::Failed(_))), "{written:?}");
        }
        assert!(report.tenant_status(&tenant, &tenant.status).await.is_err());
        report.notice(&object, &notice).await;
        report.tenant_notice(&tenant, &notice).await;
        // Longer than it is tried again.
        tokio::time::sleep(Duration::from_mins(2)).await;
        assert_eq!(requests.load(Ordering::Relaxed), expected);
    }
}

/// What is planned from an object, or a version, that is known to be gone, by what the newer one differs in.
#[tokio::test(start_paused = true)]
async fn what_would_be_refused_for_a_version_that_is_known_is_not_sent() {
    let (report, requests) = report();
    let report = report.under(Leadership::of_a_test());
    let object = builders::object("one");
    let newer = Declared { resource_version: "2".to_owned(), ..object.clone() };
    let other_status = object.clone().lists("blog", crate::api::upstream_params::ParamState::InSync, &["x"]).status;
    for written in [report.status(&object, &object.status).await, report.finalizer(&object, true).await] {
        assert_eq!(written, Err(WriteError::Gone));
    }
    assert_eq!(requests.load(Ordering::Relaxed), 0);
    for (what, known, sent) in [
        ("the same version", object.clone(), 2),
        ("nothing but metadata", Declared { other_finalizers: vec!["theirs".to_owned()], ..newer.clone() }, 2),
        ("another status", Declared { status: other_status, ..newer.clone() }, 0),
        ("our finalizer", newer.clone().kept(), 0),
        ("the spec", newer.clone().generation(2), 0),
        ("another object of its name", Declared { uid: "uid-other".into(), ..newer.clone() }, 0),
        ("an older version", Declared { resource_version: "0".to_owned(), ..object.clone() }, 2),
    ] {
        report.hub.fold(|world| {
            world.objects_are_listed(None);
            world.list_objects(None, vec![known])
        });
        let before = requests.load(Ordering::Relaxed);
        for written in [report.status(&object, &object.status).await, report.finalizer(&object, true).await] {
            assert_eq!(matches!(written, Err(WriteError::Outdated)), sent == 0, "{what}: {written:?}");
        }
        assert_eq!(requests.load(Ordering::Relaxed) - before, sent, "{what}");
    }
}

/// A 404 says so of the object that it names, and a 409 of one that has another uid than the one that is there. A 404 for the path
/// alone says that the API server does not know the kind now.
#[tokio::test(start_paused = true)]
async fn what_the_api_server_does_not_find_is_known_to_be_gone_before_the_watch_shows_it() {
    let about = |group: &str, kind: &str, name: &str| json!({"group": group, "kind": kind, "name": name});
    let itself = about("upstreamparams.dev", "upstreamparams", "one");
    let refused = |uid: &str, there: &str| format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {there}");
    for (code, message, about, known) in [
        (404, "it is not found".to_owned(), itself.clone(), false),
        (404, "it is not found".to_owned(), about("upstreamparams.dev", "upstreamparams", "two"), true),
        (404, "it is not found".to_owned(), about("upstreamparams.dev", "UpstreamParams", "one"), true),
        (404, "it is not found".to_owned(), about("", "namespaces", "one"), true),
        (404, "404 page not found".to_owned(), json!(null), true),
        (404, "admission webhook \"theirs\" denied the request: it is not found".to_owned(), itself.clone(), true),
        (409, "the object has been modified".to_owned(), itself.clone(), true),
        (409, refused("uid-one", "uid-new"), itself.clone(), false),
        (409, refused("uid-one", ""), itself.clone(), false),
        (409, refused("uid-old", "uid-one"), itself, true),
    ] {
        let status = json!({"kind": "Status", "status": "Failure", "message": message, "reason": "", "code": code, "details": about});
        let refusing = axum::Router::new().fallback(move || {
            let status = status.clone();
            async move { (axum::http::StatusCode::from_u16(code).unwrap(), axum::Json(status)) }
        });
        let report = Report::new(Client::new(refusing, "default"), Arc::new(Hub::new().0), None, WallClock::system());
        let (report, object) = (report.under(Leadership::of_a_test()), builders::object("one"));
        for finalizer in [false, true] {
            report.hub.fold(|world| {
                world.objects_are_listed(None);
                world.apply_object(object.clone())
            });
            let written = if finalizer { report.finalizer(&object, true).await } else { report.status(&object, &object.status).await };
            assert_eq!(written == Err(WriteError::Gone), !known, "{message}: {about}: {written:?}");
            assert_eq!(report.hub.read(|world| world.object(&object.key)).is_some(), known, "{message}: {about}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_status_of_a_tenant_is_not_sent_for_a_version_that_is_known_to_be_gone_either() {
    let (report, requests) = report();
    let report = report.under(Leadership::of_a_test());
    let tenant = builders::tenant("one");
    let newer = DeclaredTenant { resource_version: "2".to_owned(), ..tenant.clone() };
    assert_eq!(report.tenant_status(&tenant, &tenant.status).await, Err(WriteError::Gone));
    assert_eq!(requests.load(Ordering::Relaxed), 0);
    let asked = DeclaredTenant { reconcile_at: Some("now".to_owned()), ..newer.clone() };
    for (known, sent) in [(asked, 1), (DeclaredTenant { generation: 2, ..newer }, 0)] {
        report.hub.fold(|world| world.apply_tenant(known));
        let before = requests.load(Ordering::Relaxed);
        let written = report.tenant_status(&tenant, &tenant.status).await;
        assert_eq!(matches!(written, Err(WriteError::Outdated)), sent == 0, "{written:?}");
        assert_eq!(requests.load(Ordering::Relaxed) - before, sent);
    }
}

/// An event store of its own is away, and all else works: nobody waits for each of its events.
#[tokio::test(start_paused = true)]
async fn an_event_that_gets_no_answer_is_waited_for_once_in_a_while() {
    let hanging = axum::Router::new().fallback(std::future::pending::<axum::http::StatusCode>);
    let report = Report::new(Client::new(hanging, "default"), Arc::new(Hub::new().0), None, WallClock::system());
    let (report, object) = (report.under(Leadership::of_a_test()), builders::object("one"));
    let mut waited = Vec::new();
    for (pause, reason) in [(0, "Ready"), (0, "Ready"), (0, "ParametersLeft"), (31, "ParametersLeft")] {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        let (asked, notice) = (tokio::time::Instant::now(), Notice::new(false, reason, "so it is".to_owned()));
        assert_eq!(report.notice(&object, &notice).await, None);
        waited.push(asked.elapsed().as_secs());
    }
    // What is left at Auth0 is told elsewhere if it can't be told here, so that is waited for longer.
    assert_eq!(waited, [2, 0, 0, 10]);
}
