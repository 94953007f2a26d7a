//! The tenant edge against a scripted server: every ending is reached over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use axum::http;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::call::{Observer, RateHeaders};
use super::failure::{Effect, Unreached};
use super::scripted::{Received, Reply, Server};
use super::*;
use crate::clock::WallClock;
use crate::model::document::{Document, DocumentError, Entry, PatchBody};
use crate::model::domain::{Audience, Domain};
use crate::model::identity::{ConnectionId, ConnectionName};

const ID: &str = "con_abc123";
const PATH: &str = "/api/v2/connections/con_abc123";
const SECRET: &str = "MARKER-of-the-client-secret";

/// A tenant that gives out tokens `t0k3n-1`, `t0k3n-2`, ... and answers everything else as told.
async fn tenant(api: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |request| {
        if !request.is_token_request() {
            return api(request);
        }
        let serial = count.fetch_add(1, Ordering::Relaxed) + 1;
        Reply::json(
            200,
            json!({"access_token": format!("t0k3n-{serial}"), "expires_in": 86400, "scope": "read:connections update:connections"}),
        )
    })
    .await
}

struct Bench {
    client: Client,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Bench {
    fn new(url: &str) -> Self {
        Self::with(url, |_| {})
    }

    fn with(url: &str, change: impl FnOnce(&mut TransportOptions)) -> Self {
        install_crypto_provider();
        let mut options = TransportOptions { endpoint_override: Some(url.to_owned()), ..TransportOptions::default() };
        change(&mut options);
        Self::over(Transport::new(&options).expect("transport"))
    }

    fn over(transport: Transport) -> Self {
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let log = calls.clone();
        let observer: Observer = Arc::new(move |call| log.lock().push(call.clone()));
        let domain = Domain::parse("example.eu.auth0.com").expect("domain");
        let credentials =
            Credentials::Secret(SharedSecret { client_id: "the-client-id".to_owned(), client_secret: SECRET.to_owned().into() });
        Self { client: Client::new(transport, domain.clone(), Audience::of(&domain), credentials, observer), calls }
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().clone()
    }

    async fn write(&self) -> Result<Document, Failure> {
        self.client.write(&ID.into(), &patch_body(), "run/7 é", &|| true).await
    }
}

fn connection() -> Value {
    json!({
        "id": ID, "name": "wordpress", "strategy": "wordpress", "display_name": "MARKER-of-display",
        "options": {"client_secret": "MARKER-of-options", "number": 987_654_321, "upstream_params": {"blog": {"value": "MARKER-of-blog"}}},
    })
}

fn patch_body() -> PatchBody {
    let document = Document::parse(&connection().to_string()).expect("document");
    document.patch_body(&BTreeMap::from([("screen".to_owned(), Some(Entry::Value("MARKER-of-screen".to_owned())))])).expect("body")
}

fn error(status: u16, message: &str, code: &str) -> Reply {
    Reply::json(status, json!({"statusCode": status, "error": "X", "message": message, "errorCode": code}))
}

/// What reading and writing end in when the API answers like this.
async fn endings(api: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Endings {
    endings_within(TransportOptions::default().request_timeout, api).await
}

/// What a read and a write end in.
type Endings = (Result<Option<String>, Failure>, Result<String, Failure>);

/// As [`endings`], where each request is given up after this time.
async fn endings_within(request_timeout: Duration, api: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Endings {
    let server = tenant(api).await;
    let bench = Bench::with(&server.url, |options| {
        options.request_timeout = request_timeout;
        options.max_body = 10_000;
    });
    let read = bench.client.read(&ID.into()).await.map(|document| document.map(|document| document.id.to_string()));
    (read, bench.write().await.map(|document| document.id.to_string()))
}

#[tokio::test]
async fn a_list_is_asked_for_page_by_page_and_for_no_more_than_is_read() {
    let server = tenant(|request| {
        let next = if request.line.contains("from=") { Value::Null } else { json!("b+/=") };
        Reply::json(200, json!({"connections": [connection(), 7], "next": next}))
    })
    .await;
    let bench = Bench::new(&server.url);
    let page = bench.client.list(None).await.expect("a page");
    assert_eq!((page.connections.len(), page.connections.iter().flatten().count(), page.next.as_deref()), (2, 1, Some("b+/=")));
    assert_eq!(bench.client.list(page.next.as_deref()).await.expect("the last").next, None);
    let asked = "GET /api/v2/connections?take=50&fields=id%2Cname%2Cstrategy%2Coptions&include_fields=true";
    assert_eq!(server.lines(), ["POST /oauth/token", asked, &format!("{asked}&from=b%2B%2F%3D")]);
    assert!(bench.calls().iter().skip(1).all(|call| call.route == Route::ListConnections && !call.route.is_write()));
}

#[tokio::test]
async fn a_list_that_may_be_cut_off_is_no_list() {
    let full = vec![connection(); 50];
    for (body, ok) in [
        (json!({"connections": full}), true),
        (json!(full[1..].to_vec()), true),
        (json!(full), false),
        (json!({"total": 99, "start": 0, "limit": 50, "connections": full}), false),
        (json!({"connections": 7}), false),
        (json!({"other": []}), false),
        (json!("text"), false),
    ] {
        let server = tenant(move |_| Reply::json(200, &body)).await;
        assert_eq!(Bench::new(&server.url).client.list(None).await.is_ok(), ok, "{:?}", server.lines());
    }
}

#[tokio::test]
async fn a_connection_is_found_read_and_written() {
    let server = tenant(|request| match request.line.as_str() {
        "GET /api/v2/connections?name=wordpress&take=1" => Reply::json(200, json!({"connections": [connection()]})),
        _ if request.line.starts_with("PATCH") => Reply::json(201, connection()),
        _ => Reply::json(200, connection()),
    })
    .await;
    let bench = Bench::new(&server.url);
    assert_eq!(bench.client.find(&"wordpress".into()).await.expect("found").expect("there").id, ID);
    assert_eq!(bench.client.read(&ID.into()).await.expect("read").expect("there").name, "wordpress");
    assert_eq!(bench.write().await.expect("written").id, ID);

    let requests = server.received();
    assert_eq!(
        server.lines(),
        ["POST /oauth/token", "GET /api/v2/connections?name=wordpress&take=1", &format!("GET {PATH}"), &format!("PATCH {PATH}")]
    );
    assert!(requests.iter().all(|request| request.header("host") == Some("example.eu.auth0.com")));
    let [token, find, _, write] = &requests[..] else { unreachable!("four requests") };
    let asked: Value = serde_json::from_str(&token.body).expect("JSON");
    let expected = json!({"grant_type": "client_credentials", "client_id": "the-client-id", "client_secret": SECRET, "audience": "https://example.eu.auth0.com/api/v2/"});
    assert_eq!((asked, token.header("authorization")), (expected, None));
    assert_eq!((find.header("authorization"), find.header("x-correlation-id")), (Some("Bearer t0k3n-1"), None));
    assert_eq!((write.body.as_str(), write.header("x-correlation-id")), (patch_body().as_str(), Some("run7")));
    assert_eq!(write.header("content-type"), Some("application/json"));
    let asked: Vec<Route> = bench.calls().iter().map(|call| call.route).collect();
    assert_eq!(asked, [Route::Token, Route::FindConnection, Route::ReadConnection, Route::WriteConnection]);
}

#[tokio::test]
async fn a_name_is_part_of_the_query_whatever_it_holds() {
    let server = tenant(|_| Reply::json(200, "[]")).await;
    let bench = Bench::new(&server.url);
    let name = ConnectionName::from_auth0("a b&take=100#/../é%00+\r\n");
    assert!(bench.client.find(&name).await.expect("found").is_none());
    assert_eq!(server.lines()[1], "GET /api/v2/connections?name=a+b%26take%3D100%23%2F..%2F%C3%A9%2500%2B%0D%0A&take=1");
}

#[tokio::test]
async fn another_connection_than_asked_for_is_never_taken() {
    let other = json!({"id": "con_other", "name": "other", "strategy": "oidc", "options": {}});
    let list = other.clone();
    let server =
        tenant(move |request| if request.line.contains('?') { Reply::json(200, json!([list])) } else { Reply::json(200, &other) }).await;
    let bench = Bench::new(&server.url);
    let malformed = |route| Failure::Malformed { route, what: "another connection than asked for" };
    assert_eq!(bench.client.find(&"wordpress".into()).await.map(|_| ()), Err(malformed(Route::FindConnection)));
    assert!(bench.client.find(&"Other".into()).await.expect("a name of another case is not there").is_none());
    assert_eq!(bench.client.read(&ID.into()).await.map(|_| ()), Err(malformed(Route::ReadConnection)));
    let written = bench.write().await.map(|_| ());
    assert!(written.as_ref().is_err_and(|failure| failure.effect() != Effect::None));
    assert_eq!(written, Err(malformed(Route::WriteConnection)));
}

#[tokio::test]
async fn an_id_that_is_none_goes_into_no_address() {
    for id in ["", "con_", "con_a/../x", "con_a?x", "con_é", "CON_a", "con_a\n", "../con_a"] {
        assert!(ConnectionId::parse(id).is_err(), "{id:?}: the calls take nothing else");
    }
    let server = tenant(|_| Reply::json(200, json!([{"id": "con_a/..", "name": "n", "strategy": "s"}]))).await;
    let found = Bench::new(&server.url).client.find(&"n".into()).await.map(|_| ());
    assert_eq!(found, Err(Failure::Malformed { route: Route::FindConnection, what: "a connection whose id is none" }));
}

#[tokio::test]
async fn many_callers_fetch_one_token() {
    let server = tenant(|_| Reply::json(200, connection())).await;
    let bench = Bench::new(&server.url);
    let id = ID.into();
    let reads = futures::future::join_all((0..20).map(|_| bench.client.read(&id))).await;
    assert!(reads.iter().all(Result::is_ok));
    assert_eq!(server.received().iter().filter(|request| request.is_token_request()).count(), 1);
    assert_eq!(bench.client.authenticate().await.expect("token").scopes.expect("scopes"), ["read:connections", "update:connections"]);
}

#[tokio::test]
async fn a_token_is_renewed_when_its_time_is_up_and_when_it_is_told_to() {
    let server = Server::start(|_| Reply::json(200, json!({"access_token": "t", "expires_in": 1}))).await;
    let bench = Bench::new(&server.url);
    for (wait, fetches) in [(0, 1), (0, 1), (600, 2)] {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        assert_eq!(bench.client.authenticate().await, Ok(Granted { scopes: None, token: fetches as u64 }));
        assert_eq!(server.received().len(), fetches);
    }
    bench.client.renew().await;
    bench.client.authenticate().await.expect("token");
    assert_eq!(server.received().len(), 3);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_also_for_a_write() {
    for refusal in [
        (401, "Expired token", "x"),
        (400, "Bad HTTP authentication header format", "Bearer"),
        (403, "Insufficient scope, expected any of: update:connections", "insufficient_scope"),
    ] {
        let (status, message, code) = refusal;
        let server = tenant(move |request| match request.header("authorization") {
            Some("Bearer t0k3n-2") => Reply::json(200, connection()),
            _ => error(status, message, code),
        })
        .await;
        let bench = Bench::new(&server.url);
        bench.write().await.expect("written with the second token");
        assert_eq!(server.lines(), ["POST /oauth/token", &format!("PATCH {PATH}"), "POST /oauth/token", &format!("PATCH {PATH}")]);
        assert!(bench.client.read(&ID.into()).await.is_ok() && server.received().len() == 5);
    }
}

#[tokio::test]
async fn a_token_that_is_refused_again_is_a_failure_after_two_attempts() {
    let server = tenant(|_| error(401, "Invalid token", "")).await;
    let refused = Bench::new(&server.url).write().await.map(|_| ());
    assert_eq!(refused, Err(Failure::Unauthorized { message: "Invalid token".to_owned() }));
    assert_eq!(server.received().len(), 4);

    let server = tenant(|_| error(403, "Insufficient scope, expected any of: update:connections", "insufficient_scope")).await;
    let refused = Bench::new(&server.url).write().await.map(|_| ());
    assert_eq!(refused, Err(Failure::MissingScope { scopes: vec!["update:connections".to_owned()] }));
    assert_eq!(server.received().len(), 4);
}

#[tokio::test]
async fn a_scope_that_a_new_token_lacks_too_costs_no_token_for_each_call_and_takes_none_away() {
    let server = tenant(|_| error(403, "Insufficient scope, expected any of: read:connections", "insufficient_scope")).await;
    let bench = Bench::new(&server.url);
    let tokens = || server.received().iter().filter(|request| request.is_token_request()).count();
    for _ in 0..5 {
        assert!(matches!(bench.client.read(&ID.into()).await, Err(Failure::MissingScope { .. })));
        assert_eq!(tokens(), 2);
    }
    assert_eq!(server.received().len(), 2 + 2 + 4);

    // Where no other token is to be had, the one there is stays good for what it is good for.
    let issued = AtomicUsize::new(0);
    let server = Server::start(move |request| match (request.is_token_request(), request.line.starts_with("GET")) {
        (true, _) if issued.fetch_add(1, Ordering::Relaxed) > 0 => error(503, "down", ""),
        (true, _) => Reply::json(200, json!({"access_token": "t", "expires_in": 86400})),
        (false, true) => Reply::json(200, connection()),
        (false, false) => error(403, "Insufficient scope, expected any of: update:connections", "insufficient_scope"),
    })
    .await;
    let bench = Bench::new(&server.url);
    assert!(matches!(bench.write().await, Err(Failure::MissingScope { .. })));
    assert!(bench.client.read(&ID.into()).await.is_ok());
    assert_eq!(server.received().len(), 4);
}

#[tokio::test]
async fn every_refusal_has_its_own_ending() {
    let options = "Updating the \"options\" property requires the \"update:connections_options\" scope.";
    let missing = |scope: &str| Failure::MissingScope { scopes: vec![scope.to_owned()] };
    let rejected = |message: &str, about| Failure::Rejected { message: message.to_owned(), about };
    let wrong = "Payload validation error: 'Expected type string' on property options.upstream_params.blog.value.";
    let client_error = |route, status, message: &str| Failure::ClientError { route, status, message: message.to_owned() };
    let unique = "cannot add non-unique email attribute";
    let upgrade = "Please upgrade your subscription to enable Akamai Signals.";
    for (status, message, code, expected) in [
        (400, wrong, "invalid_body", rejected(wrong, About::Entry("blog.value".to_owned()))),
        (400, unique, "invalid_body", rejected(unique, About::Options)),
        (403, options, "", missing("update:connections_options")),
        (403, "Insufficient scope", "insufficient_scope", Failure::MissingScope { scopes: vec![] }),
        (403, upgrade, "insufficient_scope", Failure::Forbidden { message: upgrade.to_owned() }),
        (403, "Not yours", "operation_not_supported", Failure::Forbidden { message: "Not yours".to_owned() }),
        (404, "The connection does not exist", "inexistent_connection", Failure::Gone),
        (404, "Not Found", "", client_error(Route::WriteConnection, 404, "Not Found")),
        (409, "Busy", "conflict", client_error(Route::WriteConnection, 409, "Busy")),
        (302, "", "", Failure::Redirected { status: 302 }),
        (500, "x", "", Failure::ServerError { route: Route::WriteConnection, status: 500 }),
        (504, "x", "", Failure::ServerError { route: Route::WriteConnection, status: 504 }),
        (429, "Global limit has been reached", "too_many_requests", Failure::RateLimited { global: true, retry_after: None }),
        (429, "Endpoint limit has been reached", "too_many_requests", Failure::RateLimited { global: false, retry_after: None }),
    ] {
        let (_, write) = endings(move |_| error(status, message, code)).await;
        assert_eq!(write, Err(expected), "{status} {message}");
    }
    let (read, _) = endings(|_| error(404, "The connection does not exist", "inexistent_connection")).await;
    assert_eq!(read, Ok(None));
    let (read, _) = endings(|_| error(404, "Not Found", "")).await;
    assert_eq!(read, Err(client_error(Route::ReadConnection, 404, "Not Found")), "another 404 proves nothing");
    let (read, _) = endings(|_| error(400, "Bad", "invalid_uri")).await;
    assert_eq!(read, Err(client_error(Route::ReadConnection, 400, "Bad")));
}

#[tokio::test]
async fn the_token_endpoint_has_its_own_endings() {
    let rejected =
        |error: &str, description: &str| Failure::CredentialsRejected { error: error.to_owned(), description: description.to_owned() };
    let denied = r#"{"error":"access_denied","error_description":"Unauthorized"}"#;
    let grant = r#"{"error":"unauthorized_client","error_description":"Grant type 'client_credentials' not allowed for the client."}"#;
    let audience =
        r#"{"error":"access_denied","error_description":"Client is not authorized to access \"https://example.eu.auth0.com/api/v2/\"."}"#;
    let echo = json!({"error": "access_denied", "error_description": format!("bad secret {SECRET} of the-client-id")}).to_string();
    let malformed = |what| Failure::Malformed { route: Route::Token, what };
    for (status, body, expected) in [
        (401, denied, rejected("access_denied", "Unauthorized")),
        (403, grant, rejected("unauthorized_client", "Grant type 'client_credentials' not allowed for the client.")),
        (403, audience, rejected("access_denied", "Client is not authorized to access \"https://example.eu.auth0.com/api/v2/\".")),
        (401, echo.as_str(), rejected("access_denied", "bad secret [redacted] of the-client-id")),
        (401, "<html>", rejected("", "")),
        (404, "Not Found", Failure::ClientError { route: Route::Token, status: 404, message: String::new() }),
        (429, r#"{"error":"too_many_requests"}"#, Failure::RateLimited { global: false, retry_after: None }),
        (503, "", Failure::ServerError { route: Route::Token, status: 503 }),
        (301, "", Failure::Redirected { status: 301 }),
        (200, "{}", malformed("not an access token")),
        (200, r#"{"access_token":"a\r\nx: y"}"#, malformed("an access token that can't be sent")),
    ] {
        let body = body.to_owned();
        let server = Server::start(move |_| Reply::json(status, &body)).await;
        let bench = Bench::new(&server.url);
        let failure = bench.write().await.expect_err("no token");
        assert_eq!(failure, expected);
        assert!(failure.effect() == Effect::None && failure.tenant_wide(), "{failure:?}");
        assert_eq!(server.lines(), ["POST /oauth/token"]);
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_named() {
    let whole = connection().to_string();
    let cut = whole.split_at(whole.len() / 2).0.to_owned();
    for (body, what) in [
        (String::new(), "empty or cut short"),
        (cut, "empty or cut short"),
        ("<html>MARKER</html>".to_owned(), "not JSON"),
        (format!("{whole}{whole}"), "not JSON"),
        (r#"{"statusCode":500,"error":"Internal","message":"MARKER"}"#.to_owned(), "an error with a successful status"),
    ] {
        let (read, write) = endings(move |_| Reply::json(200, &body)).await;
        assert_eq!(read, Err(Failure::Malformed { route: Route::ReadConnection, what }));
        let write = write.expect_err("malformed");
        assert!(write.effect() != Effect::None);
        assert_eq!(write, Failure::Malformed { route: Route::WriteConnection, what });
    }
    let (read, write) = endings(|_| Reply::json(200, r#"{"id":"con_abc123"}"#)).await;
    let error = DocumentError::NotAConnection("its name is missing");
    assert_eq!(read, Err(Failure::BadDocument { route: Route::ReadConnection, error }));
    assert!(write.is_err_and(|failure| failure.effect() != Effect::None));
}

#[tokio::test]
async fn an_answer_that_gets_lost_is_told_from_one_that_was_never_asked_for() {
    let (read, write) = endings_within(Duration::from_secs(3), |_| Reply::Silence).await;
    assert_eq!(
        (read, write),
        (Err(Failure::TimedOut { route: Route::ReadConnection }), Err(Failure::TimedOut { route: Route::WriteConnection }))
    );
    for cut in [
        "",
        "HTTP/1.1 200 X\r\ncontent-length: 1000\r\n\r\n{\"id\":",
        "HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"id\"",
        "MARKER no HTTP\r\n\r\n",
    ] {
        let (read, write) = endings(move |_| Reply::Raw(cut.to_owned())).await;
        assert_eq!(read, Err(Failure::Interrupted { route: Route::ReadConnection }), "{cut}");
        assert!(
            write
                .is_err_and(|failure| failure == Failure::Interrupted { route: Route::WriteConnection } && failure.effect() != Effect::None)
        );
    }
    let gone = tenant(|_| Reply::Silence).await.url.clone();
    let failure = Bench::new(&gone).write().await.expect_err("nobody is there");
    assert_eq!(failure, Failure::Unreachable { why: Unreached::Connect });
    assert_eq!(failure.effect(), Effect::None);
}

#[tokio::test]
async fn a_cut_error_is_still_known_by_its_status() {
    let (read, _) = endings(|_| Reply::Raw("HTTP/1.1 429 X\r\ncontent-length: 1000\r\nretry-after: 7\r\n\r\n{\"mess".to_owned())).await;
    assert_eq!(read, Err(Failure::RateLimited { global: false, retry_after: Some(Duration::from_secs(7)) }));
}

#[tokio::test]
async fn an_answer_is_counted_while_it_arrives() {
    let (read, write) = endings(|_| Reply::Endless).await;
    assert_eq!(read, Err(Failure::TooLarge { route: Route::ReadConnection }));
    assert!(write.is_err_and(|failure| failure.effect() != Effect::None));
    let (read, _) = endings(|_| Reply::json(200, " ".repeat(10_001))).await;
    assert_eq!(read, Err(Failure::TooLarge { route: Route::ReadConnection }));
    let (read, _) = endings(|_| Reply::json(200, format!("{:>10000}", connection().to_string()))).await;
    assert_eq!(read, Ok(Some(ID.to_owned())));
}

#[tokio::test]
async fn a_redirect_carries_nothing_on() {
    let elsewhere = Server::start(|_| Reply::json(200, connection())).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("location: {}/stolen\r\n", elsewhere.url);
        let (read, write) = endings(move |_| Reply::Whole(status, location.clone(), String::new())).await;
        assert_eq!((read, write), (Err(Failure::Redirected { status }), Err(Failure::Redirected { status })));
        let location = format!("location: {}/stolen\r\n", elsewhere.url);
        let server = Server::start(move |_| Reply::Whole(status, location.clone(), String::new())).await;
        assert_eq!(Bench::new(&server.url).client.authenticate().await, Err(Failure::Redirected { status }));
    }
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn no_value_of_a_request_comes_back_in_a_failure() {
    let server = tenant(|request| {
        let inside = json!({"everything": request.body, "head": request.head}).to_string();
        error(
            if request.line.starts_with("PATCH") { 400 } else { 418 },
            &format!("on options.upstream_params.blog: MARKER-of-blog {inside} 987654321"),
            "invalid_body",
        )
    })
    .await;
    let bench = Bench::new(&server.url);
    for failure in [bench.write().await.expect_err("refused"), bench.client.read(&ID.into()).await.expect_err("refused")] {
        for shown in [failure.to_string(), format!("{failure:?}"), failure.message()] {
            let read = shown.contains("418");
            assert!(read || !shown.contains("MARKER") && !shown.contains("987654321"), "{shown}");
            assert!(!shown.contains("t0k3n") && !shown.contains(SECRET), "{shown}");
            assert!(shown.contains("options.upstream_params.blog"), "{shown}");
        }
    }
    assert!(!format!("{:?} {:?}", bench.client, bench.calls()).contains("MARKER"));
}

/// The second request after a refused token is asked for, too.
#[tokio::test]
async fn a_write_that_may_not_start_any_more_does_not() {
    let server = tenant(|_| error(401, "Expired token", "")).await;
    let bench = Bench::new(&server.url);
    let asked = AtomicUsize::new(0);
    let once = || asked.fetch_add(1, Ordering::Relaxed) == 0;
    assert_eq!(bench.client.write(&ID.into(), &patch_body(), "", &once).await.map(|_| ()), Err(Failure::OutOfTime));
    assert_eq!(server.lines(), ["POST /oauth/token", &format!("PATCH {PATH}"), "POST /oauth/token"]);
}

/// A tenant without a network: it gives out tokens at once, and answers everything else after a while, on the clock of the test.
struct Slow {
    pause: Duration,
    answer: (u16, Value),
    asked: Mutex<Vec<String>>,
}

impl HttpClient for Slow {
    fn execute(&self, request: reqwest::Request, _: usize) -> Executing<'_> {
        Box::pin(async move {
            let line = format!("{} {}", request.method(), request.url().path());
            let is_for_a_token = line.ends_with("/oauth/token");
            self.asked.lock().push(line);
            let (status, body) = if is_for_a_token {
                (200, json!({"access_token": "t0k3n", "expires_in": 86400}))
            } else {
                tokio::time::sleep(self.pause).await;
                self.answer.clone()
            };
            Ok(http::Response::builder().status(status).body(body.to_string().into_bytes()).expect("answer"))
        })
    }
}

/// Writes once to a tenant that takes `pause` for an answer, where no request may start after so much time. Yields what came of it and what was asked.
async fn written(pause: Duration, answer: (u16, Value), left: Duration) -> (Result<(), Failure>, Vec<String>) {
    let slow = Arc::new(Slow { pause, answer, asked: Mutex::default() });
    let bench = Bench::over(Transport::over(slow.clone(), &TransportOptions::default(), WallClock::system()));
    let end = Instant::now() + left;
    let result = bench.client.write(&ID.into(), &patch_body(), "", &|| Instant::now() <= end).await;
    let asked = slow.asked.lock().clone();
    (result.map(|_| ()), asked)
}

const TOKEN: &str = "POST /oauth/token";
const PATCH: &str = "PATCH /api/v2/connections/con_abc123";

#[tokio::test(start_paused = true)]
async fn a_second_attempt_does_not_start_too_late_either() {
    let refused = || (401, json!({"statusCode": 401, "error": "Unauthorized", "message": "Expired token"}));
    let pause = Duration::from_millis(300);
    let (result, asked) = written(pause, refused(), Duration::from_millis(299)).await;
    assert_eq!((result, asked), (Err(Failure::OutOfTime), [TOKEN, PATCH, TOKEN].map(str::to_owned).to_vec()));
    let (_, asked) = written(pause, refused(), Duration::from_millis(301)).await;
    assert_eq!(asked, [TOKEN, PATCH, TOKEN, PATCH]);
    assert_eq!(written(pause, (200, connection()), Duration::ZERO).await, (Ok(()), [TOKEN, PATCH].map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn a_domain_that_is_not_allowed_gets_no_request() {
    let bench = Bench::with("", |options| {
        options.endpoint_override = None;
        options.allowed_domains = "login.example.com".parse().expect("pattern");
    });
    let domain = Domain::parse("example.eu.auth0.com").expect("domain");
    assert_eq!(bench.client.authenticate().await, Err(Failure::DomainNotAllowed { domain }));
    assert!(bench.calls().is_empty());
}

#[tokio::test]
async fn the_observer_sees_what_an_answer_says_of_the_limits() {
    // A server whose clock is years ahead of ours.
    let limits = "date: Fri, 01 Jan 2100 00:00:00 GMT\r\nx-ratelimit-limit: 50\r\nx-ratelimit-remaining: 0\r\n\
                  x-ratelimit-reset: 4102444809\r\nretry-after: Fri, 01 Jan 2100 00:00:04 GMT\r\n";
    let body = json!({"statusCode": 429, "message": "Global limit has been reached"}).to_string();
    let server = tenant(move |_| Reply::Whole(429, limits.to_owned(), body.clone())).await;
    let bench = Bench::new(&server.url);
    let (after, reset) = (Duration::from_secs(4), Duration::from_secs(9));
    assert_eq!(bench.client.read(&ID.into()).await.map(|_| ()), Err(Failure::RateLimited { global: true, retry_after: Some(after) }));
    let calls = bench.calls();
    let limit = Some(RateHeaders { limit: Some(50), remaining: Some(0), reset: Some(reset) });
    assert_eq!(
        calls.iter().map(|call| (call.route, call.status, call.global)).collect::<Vec<_>>(),
        [(Route::Token, Some(200), false), (Route::ReadConnection, Some(429), true)]
    );
    assert_eq!(calls.last().map(|call| (call.limit, call.retry_after)), Some((limit, Some(after))));

    let server =
        tenant(|_| Reply::Whole(200, "x-ratelimit-limit: many\r\nretry-after: soon\r\n".to_owned(), connection().to_string())).await;
    let bench = Bench::new(&server.url);
    bench.client.read(&ID.into()).await.expect("read");
    assert_eq!(bench.calls().last().map(|call| (call.limit, call.retry_after)), Some((None, None)));
}
