//! What becomes of requests on their way to a simulated tenant.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use auth0_emulator::{ALL_SCOPES, Fault, RateLimited};
use reqwest::{Method, Url};

use super::*;

const HOST: &str = "a.eu.auth0.com";
const START: Duration = Duration::from_secs(1_700_000_000);
const MAX_BODY: usize = 4 * 1024 * 1024;

/// Every request has the same fate; what took effect is written down.
struct Script {
    fate: Mutex<Fate>,
    told: Mutex<Vec<String>>,
}

impl Network for Script {
    fn fate(&self, request: &mut Request) -> Fate {
        assert_eq!(request.server, Server::Auth0);
        *self.fate.lock()
    }

    fn arrives(&self, request: &Request) {
        self.told.lock().push(format!("{} arrives", request.method));
    }

    fn took_effect(&self, request: &Request, status: u16) {
        self.told.lock().push(format!("{} {status}", request.method));
    }
}

struct Lab {
    tenants: Tenants,
    tenant: TenantHandle,
    network: Arc<Script>,
    client: Arc<dyn HttpClient>,
    token: String,
    id: String,
}

type Outcome = Result<http::Response<Vec<u8>>, Lost>;

impl Lab {
    async fn new() -> Self {
        let tenants = Tenants::new(START);
        let tenant = tenants.add(HOST, Settings::default());
        tenant.add_client("id", "secret", ALL_SCOPES);
        let body = serde_json::json!({"name": "c", "strategy": "oauth2", "options": {"client_secret": "y", "n": 1.50}});
        let id = tenant.create_connection(&body).expect("a connection");
        let network = Arc::new(Script { fate: Mutex::new(Fate::PROMPT), told: Mutex::default() });
        let client = tenants.client(ProcessId(1), Arc::clone(&network) as Arc<dyn Network>, REQUEST_TIMEOUT);
        let mut lab = Self { tenants, tenant, network, client, token: String::new(), id };
        lab.token = lab.new_token().await;
        lab.network.told.lock().clear();
        lab
    }

    async fn new_token(&self) -> String {
        let body = format!(
            r#"{{"grant_type":"client_credentials","client_id":"id","client_secret":"secret","audience":"{}"}}"#,
            self.tenant.audience()
        );
        let answer = self.send(Method::POST, "/oauth/token", &body).await.expect("an answer");
        let answer: serde_json::Value = serde_json::from_slice(answer.body()).expect("JSON");
        answer["access_token"].as_str().expect("a token").to_owned()
    }

    fn request(&self, host: &str, method: Method, path: &str, body: &str) -> reqwest::Request {
        let mut request = reqwest::Request::new(method, Url::parse(&format!("https://{host}{path}")).expect("a URL"));
        if !self.token.is_empty() {
            request.headers_mut().insert("authorization", format!("Bearer {}", self.token).parse().expect("a header"));
        }
        if !body.is_empty() {
            request.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(body.to_owned().into());
        }
        request
    }

    async fn send(&self, method: Method, path: &str, body: &str) -> Outcome {
        self.client.execute(self.request(HOST, method, path, body), MAX_BODY).await
    }

    fn path(&self) -> String {
        format!("/api/v2/connections/{}", self.id)
    }

    async fn get(&self) -> Outcome {
        self.send(Method::GET, &self.path(), "").await
    }

    async fn patch(&self, to: u32) -> Outcome {
        self.send(Method::PATCH, &self.path(), &format!(r#"{{"options":{{"to":{to}}}}}"#)).await
    }

    fn is_at(&self, to: u32) -> bool {
        self.tenant.connection("c")["options"]["to"] == to
    }
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Ok(answer) => answer.status().as_u16().to_string(),
        Err(lost) => format!("{lost:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_patch_whose_sender_timed_out_still_lands_within_as_long_again() {
    let lab = Lab::new().await;
    *lab.network.fate.lock() = Fate { out: Duration::from_secs(25), ..Fate::PROMPT };
    let begin = Instant::now();
    assert_eq!(lab.patch(7).await.expect_err("no answer"), Lost::TimedOut);
    assert_eq!(begin.elapsed(), REQUEST_TIMEOUT);
    assert!(!lab.is_at(7));
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert!(!lab.is_at(7) && lab.network.told.lock().is_empty());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(lab.is_at(7));
    assert_eq!(*lab.network.told.lock(), ["PATCH arrives", "PATCH 200"]);
}

#[tokio::test(start_paused = true)]
async fn a_patch_whose_sender_is_gone_still_lands() {
    let lab = Lab::new().await;
    *lab.network.fate.lock() = Fate { out: Duration::from_secs(1), ..Fate::PROMPT };
    {
        let mut sending = pin!(lab.patch(7));
        assert!(matches!(sending.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(lab.is_at(7));
}

#[tokio::test(start_paused = true)]
async fn every_ending_is_carried_out() {
    let (out, back) = (Duration::from_secs(2), Duration::from_secs(3));
    // Ending, what the sender sees, after how many seconds, whether it took effect.
    let table = [
        (Ending::Answered, "200", 5, true),
        (Ending::AnswerLost, "Interrupted", 5, true),
        (Ending::NeverAnswered, "TimedOut", 10, true),
        (Ending::Dropped, "Interrupted", 2, false),
        (Ending::Swallowed, "TimedOut", 10, false),
        (Ending::Refused(503), "503", 5, false),
        (Ending::Refused(302), "302", 5, false),
    ];
    for (to, (ending, expected, seconds, effect)) in (1..).zip(table) {
        let lab = Lab::new().await;
        *lab.network.fate.lock() = Fate { out, ending, back };
        let begin = Instant::now();
        let outcome = lab.patch(to).await;
        assert_eq!((told(&outcome).as_str(), begin.elapsed().as_secs()), (expected, seconds), "{ending:?}");
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert_eq!(lab.is_at(to), effect, "{ending:?}");
        let expected: &[&str] = if effect { &["PATCH arrives", "PATCH 200"] } else { &[] };
        assert_eq!(*lab.network.told.lock(), expected, "{ending:?}");
        if let (Ending::Refused(_), Ok(page)) = (ending, outcome) {
            assert!(page.body().starts_with(b"<html>") && page.headers()["content-type"] == "text/html");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_faults_of_the_tenant_are_seen_as_the_transport_would_see_them() {
    let limited = RateLimited { global: true, retry_after: Some(7), reset: None };
    // Fault, what the sender sees, whether it took effect.
    let table = [
        (Fault::status(500), "500", false),
        (Fault::lose_answer(), "Interrupted", true),
        (Fault::hang_after(), "TimedOut", true),
        (Fault::cut_body(), "Interrupted", true),
        (Fault::drop(), "Interrupted", false),
        (Fault::not_json(), "200", false),
        (Fault::error_body_with_200(), "200", false),
        (Fault::huge_body(MAX_BODY), "TooLarge", false),
        (Fault::hang(), "TimedOut", false),
        (Fault::redirect("https://elsewhere.example.com/"), "302", false),
        (Fault::rate_limited(limited), "429", false),
        (Fault::delay(Duration::from_secs(9)), "200", true),
        (Fault::delay(Duration::from_secs(11)), "TimedOut", true),
    ];
    for (to, (fault, expected, effect)) in (1..).zip(table) {
        let lab = Lab::new().await;
        lab.tenant.inject(fault.clone().method("PATCH").times(1));
        assert_eq!(told(&lab.patch(to).await), expected, "{fault:?}");
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert_eq!(lab.is_at(to), effect, "{fault:?}");
        assert_eq!(lab.network.told.lock().is_empty(), !effect, "{fault:?}");
        assert_eq!(told(&lab.get().await), "200");
    }
}

#[tokio::test(start_paused = true)]
async fn only_so_much_of_a_body_is_read() {
    let lab = Lab::new().await;
    let document = lab.tenant.connection_text("c").expect("a connection").len();
    let read = async |most: usize| lab.client.execute(lab.request(HOST, Method::GET, &lab.path(), ""), most).await;
    let shown = lab.get().await.expect("an answer").body().len();
    assert!(shown <= document);
    assert_eq!(told(&read(shown).await), "200");
    assert_eq!(read(shown - 1).await.expect_err("too large"), Lost::TooLarge);
    for (size, left) in [(MAX_ERROR_BODY, MAX_ERROR_BODY), (MAX_ERROR_BODY + 1, 0)] {
        lab.tenant.inject(Fault::status_with(500, "x".repeat(size)).times(1));
        let answer = lab.get().await.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.body().len()), (500, left));
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_nobody_has_is_not_reached() {
    let lab = Lab::new().await;
    let unknown = lab.client.execute(lab.request("b.eu.auth0.com", Method::GET, "/", ""), MAX_BODY).await;
    assert_eq!(unknown.expect_err("no answer"), Lost::Unreached(Unreached::Name));
    lab.tenants.cut_off(HOST, Some(Lost::Unreached(Unreached::Tls)));
    assert_eq!(lab.get().await.expect_err("no answer"), Lost::Unreached(Unreached::Tls));
    lab.tenants.cut_off(HOST, None);
    assert_eq!(told(&lab.get().await), "200");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_may_have_a_host_of_its_own_choice_too() {
    let lab = Lab::new().await;
    lab.tenants.serve("Login.example.com", &lab.tenant);
    let hosts: Vec<String> = lab.tenants.all().into_iter().map(|(host, _)| host).collect();
    assert_eq!(hosts, [HOST, "login.example.com"]);
    let answer = lab.client.execute(lab.request("login.example.com", Method::GET, &lab.path(), ""), MAX_BODY).await;
    assert_eq!(told(&answer), "200");
}

#[tokio::test(start_paused = true)]
async fn a_patch_is_watched_right_before_and_right_after() {
    let lab = Lab::new().await;
    let seen: Arc<Mutex<Vec<Written>>> = Arc::default();
    let writing = Arc::clone(&seen);
    lab.tenants.observe(move |written| writing.lock().push(written));
    let before = lab.tenant.connection_text("c");
    *lab.network.fate.lock() = Fate { out: Duration::from_secs(3), ending: Ending::AnswerLost, back: Duration::ZERO };
    assert_eq!(told(&lab.patch(1).await), "Interrupted");
    let after = lab.tenant.connection_text("c");
    *lab.network.fate.lock() = Fate::PROMPT;
    assert_eq!(told(&lab.get().await), "200");
    assert_eq!(told(&lab.send(Method::PATCH, &lab.path(), r#"{"options":[]}"#).await), "400");
    lab.tenant.inject(Fault::status(500).times(1));
    assert_eq!(told(&lab.patch(2).await), "500");
    assert!(lab.tenant.delete_connection("c"));
    assert_eq!(told(&lab.patch(2).await), "404");
    let at = Duration::from_secs(3);
    let written = |before: &Option<String>, after: &Option<String>, status: u16, body: &str| Written {
        process: ProcessId(1),
        at,
        host: HOST.to_owned(),
        connection: lab.id.clone(),
        before: before.clone(),
        after: after.clone(),
        status,
        body: body.to_owned(),
    };
    assert_ne!(before, after);
    let expected = [
        written(&before, &after, 200, r#"{"options":{"to":1}}"#),
        written(&after, &after, 400, r#"{"options":[]}"#),
        written(&None, &None, 404, r#"{"options":{"to":2}}"#),
    ];
    assert_eq!(*seen.lock(), expected);
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_the_tenant_goes_with_the_runtime() {
    let lab = Lab::new().await;
    let date = async || lab.get().await.expect("an answer").headers()["date"].to_str().expect("text").to_owned();
    assert_eq!(date().await, "Tue, 14 Nov 2023 22:13:20 GMT");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(date().await, "Tue, 14 Nov 2023 22:13:25 GMT");
    lab.tenant.set_skew(-600);
    assert_eq!(date().await, "Tue, 14 Nov 2023 22:03:25 GMT");
    lab.tenant.set_skew(0);
    tokio::time::sleep(Duration::from_hours(24)).await;
    assert_eq!(told(&lab.get().await), "401");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gets_the_same_bytes() {
    async fn history(seed: u64) -> Vec<String> {
        fastrand::seed(seed);
        let lab = Lab::new().await;
        auth0_emulator::seed::many(&lab.tenant, 9).expect("connections");
        let mut bytes = vec![lab.token.clone(), lab.id.clone()];
        for path in ["/api/v2/connections?take=3", "/api/v2/connections?per_page=50", &lab.path()] {
            let answer = lab.send(Method::GET, path, "").await.expect("an answer");
            bytes.push(format!("{:?} {}", answer.headers(), String::from_utf8_lossy(answer.body())));
        }
        // A database's configuration is encrypted afresh on every write.
        let database = lab.tenant.connection("auth0-8")["id"].as_str().expect("an id").to_owned();
        let body = r#"{"options":{"configuration":{"api_key":"k"}}}"#;
        let answer = lab.send(Method::PATCH, &format!("/api/v2/connections/{database}"), body).await.expect("an answer");
        bytes.push(String::from_utf8_lossy(answer.body()).into_owned());
        bytes
    }
    let one = history(1).await;
    assert!(one.last().is_some_and(|text| text.contains("2.0$")));
    assert_eq!(one, history(1).await);
    assert_ne!(one, history(2).await);
}
