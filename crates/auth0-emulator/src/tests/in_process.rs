//! Calls in the same process, held against calls over HTTP.

use super::*;

/// What an answer is compared by.
type Shape = (u16, Vec<(String, String)>, String);

/// A call, and what is done to the tenant right before.
struct Case {
    method: &'static str,
    path: String,
    body: String,
    prepare: Box<dyn Fn(&TenantHandle)>,
}

/// The same, made and compared.
#[derive(Debug, PartialEq)]
struct Made {
    /// `None`: the connection was cut.
    answer: Option<Shape>,
    stored: Option<String>,
    pending_faults: usize,
    journal: Vec<Call>,
}

fn case(method: &'static str, path: &str, body: &str) -> Case {
    Case { method, path: path.to_owned(), body: body.to_owned(), prepare: Box::new(|_| {}) }
}

impl Case {
    fn when(self, prepare: impl Fn(&TenantHandle) + 'static) -> Self {
        Self { prepare: Box::new(prepare), ..self }
    }

    fn with(self, fault: Fault) -> Self {
        self.when(move |tenant| tenant.inject(fault.clone().times(1)))
    }
}

/// What is random is taken out: the signature of a token, the id of a new connection.
fn masked(text: &str) -> String {
    let Ok(Value::Object(mut body)) = serde_json::from_str(text) else { return text.to_owned() };
    let before = body.clone();
    if let Some((unsigned, _)) = body.get("access_token").and_then(Value::as_str).and_then(|token| token.rsplit_once('.')) {
        let unsigned = unsigned.to_owned();
        body.insert("access_token".to_owned(), unsigned.into());
    }
    if body.get("name") == Some(&json!("new")) {
        body.remove("id").unwrap();
    }
    if body == before { text.to_owned() } else { Value::Object(body).to_string() }
}

/// The headers of the transport itself aside.
fn shape(status: u16, headers: impl Iterator<Item = (String, String)>, body: &str) -> Shape {
    let own = |name: &str| ["content-length", "connection"].contains(&name);
    let mut headers: Vec<_> = headers.filter(|(name, _)| !own(name)).collect();
    headers.sort();
    (status, headers, masked(body))
}

fn over_http(lab: &Lab, case: &Case) -> Option<Shape> {
    let reply = lab.try_call(case.method, &case.path, &case.body)?;
    let headers = reply.headers.lines().skip(1).filter_map(|line| line.split_once(": "));
    Some(shape(reply.status, headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())), &reply.text))
}

fn in_process(lab: &Lab, case: &Case) -> Option<Shape> {
    let (path, query) = case.path.split_once('?').unwrap_or((&case.path, ""));
    let request = Request {
        method: case.method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        authorization: Some(format!("Bearer {}", lab.token)),
        content_type: (!case.body.is_empty()).then(|| "application/json".to_owned()),
        body: Some(case.body.clone().into_bytes()),
        ..Request::default()
    };
    let answer = match lab.tenant.arrive(request).take_effect().ending {
        Ending::Answered(answer) => answer,
        Ending::HalfAnswered(mut answer) => {
            answer.body.truncate(answer.body.len() / 2);
            answer
        }
        Ending::Cut => return None,
        Ending::Silent => panic!("{} {} hangs", case.method, case.path),
    };
    let headers = answer.headers.into_iter().map(|(name, value)| (name.to_owned(), value));
    Some(shape(answer.status, headers, &String::from_utf8(answer.body).unwrap()))
}

fn made(lab: &Lab, case: &Case, whole: &str, call: impl Fn(&Lab, &Case) -> Option<Shape>) -> Made {
    let tenant = &lab.tenant;
    tenant.clear_faults();
    tenant.set_limits(Limits::default());
    tenant.add_client("id", "secret", ALL_SCOPES);
    tenant.delete_connection("new");
    tenant.delete_connection("c");
    tenant.restore_connection(whole).unwrap();
    tenant.clear_journal();
    (case.prepare)(tenant);
    Made {
        answer: call(lab, case),
        stored: tenant.connection_text("c"),
        pending_faults: tenant.pending_faults(),
        journal: tenant.journal().into_iter().map(|call| Call { seq: 0, ..call }).collect(),
    }
}

fn cases(path: &str) -> Vec<Case> {
    let list = "/api/v2/connections";
    let credentials = Lab::credentials().to_string();
    let limits = Limits { read_connections: Some(Rate { burst: 1, per_minute: 6 }), ..Limits::default() };
    let none_left = Limits { global: Some(Rate { burst: 0, per_minute: 6 }), ..limits };
    let limited = RateLimited { global: true, retry_after: Some(7), reset: Some(3) };
    let change = || case("PATCH", path, r#"{"options":{}}"#);
    vec![
        case("GET", path, ""),
        case("GET", &format!("{path}?fields=name"), ""),
        case("GET", &format!("{list}?take=2"), ""),
        case("GET", &format!("{list}?name=c&take=1"), ""),
        case("GET", &format!("{list}?per_page=2&include_totals=true"), ""),
        case("GET", &format!("{list}?per_page=0"), ""),
        case("GET", &format!("{list}/con_nope"), ""),
        case("GET", "/nowhere", ""),
        case("GET", path, "").when(move |tenant| tenant.set_limits(limits)),
        case("GET", path, "").when(move |tenant| tenant.set_limits(none_left)),
        case("GET", path, "").when(TenantHandle::revoke_tokens),
        case("PATCH", path, r#"{"options":{"n":1.50,"a":null}}"#),
        case("PATCH", path, r#"{"options":[]}"#),
        case("PATCH", path, r#"{"options":"#),
        case("PATCH", path, ""),
        case("DELETE", path, ""),
        case("DELETE", &format!("{list}/con_nope"), ""),
        case("POST", list, r#"{"name":"c","strategy":"oauth2"}"#),
        case("POST", list, r#"{"name":"new","strategy":"oauth2","options":{"b":1,"a":2}}"#),
        case("POST", "/oauth/token", &credentials),
        case("POST", "/oauth/token", &credentials).when(|tenant| tenant.remove_grant("id")),
        case("POST", "/oauth/token", "grant_type"),
        change().with(Fault::status(503)),
        change().with(Fault::status_with(400, "{}")),
        change().with(Fault::lose_answer()),
        change().with(Fault::cut_body()),
        change().with(Fault::drop()),
        change().with(Fault::not_json()),
        change().with(Fault::error_body_with_200()),
        change().with(Fault::huge_body(1000)),
        change().with(Fault::redirect("https://elsewhere.example.com/")),
        change().with(Fault::rate_limited(limited)),
        change().with(Fault::delay(Duration::from_millis(5))),
        case("GET", path, "").with(Fault::edit_between(serde_json::Map::clear)),
    ]
}

#[test]
fn a_call_in_process_is_answered_as_one_over_http_is() {
    let mut lab = Lab::with_one();
    lab.tenant.set_clock(|| Duration::from_millis(1_700_000_000_500));
    seed::demo(&lab.tenant).unwrap();
    let whole = lab.tenant.connection_text("c").unwrap();
    for case in cases(&lab.path("c")) {
        // Another case may have revoked it.
        lab.tenant.clear_faults();
        lab.tenant.add_client("id", "secret", ALL_SCOPES);
        lab.token = lab.new_token();
        let http = made(&lab, &case, &whole, over_http);
        assert_eq!(http, made(&lab, &case, &whole, in_process), "{} {} {}", case.method, case.path, case.body);
    }
}

#[test]
fn what_hangs_in_process_is_silent() {
    let lab = Lab::with_one();
    for (fault, effect) in [(Fault::hang(), false), (Fault::hang_after(), true)] {
        lab.tenant.inject(fault.times(1));
        let request = Request {
            method: "PATCH".to_owned(),
            path: lab.path("c"),
            authorization: Some(format!("Bearer {}", lab.token)),
            body: Some(format!(r#"{{"options":{{"effect":{effect}}}}}"#).into_bytes()),
            ..Request::default()
        };
        let arrival = lab.tenant.arrive(request);
        assert_eq!(arrival.is_carried_out(), effect);
        let outcome = arrival.take_effect();
        assert_eq!((outcome.carried_out, outcome.ending), (effect.then_some(200), Ending::Silent));
        assert_eq!(lab.tenant.connection("c")["options"]["effect"], if effect { json!(true) } else { Value::Null });
        assert_eq!(lab.tenant.journal().last().unwrap().status, None);
    }
}

#[test]
fn a_journal_that_is_not_kept_stays_empty_and_changes_nothing_else() {
    let lab = Lab::with_one();
    lab.tenant.clear_journal();
    lab.tenant.keep_journal(false);
    assert_eq!(lab.patch("c", &json!({"options": {"a": 1}})).status, 200);
    assert!(lab.tenant.edit("c", |options| drop(options.insert("b".to_owned(), json!(2)))));
    assert_eq!(lab.tenant.connection("c")["options"], json!({"a": 1, "b": 2}));
    assert!(lab.tenant.journal().is_empty());
    lab.tenant.keep_journal(true);
    assert_eq!(lab.get(&lab.path("c")).status, 200);
    // Numbering went on: a PATCH and an edit came before it.
    assert_eq!(lab.tenant.journal().len(), 1);
}

#[test]
fn an_exact_edit_keeps_every_number() {
    let lab = Lab::with_one();
    let set = |options: &mut Object| options.insert("n", Json::parse("[12345678901234567890123, 1.0]").unwrap());
    assert!(lab.tenant.edit_exact("c", set));
    assert!(!lab.tenant.edit_exact("nobody", set));
    assert!(lab.get(&lab.path("c")).text.contains(r#""options":{"n":[12345678901234567890123,1.0],"#));
    assert_eq!(lab.tenant.journal().iter().filter(|call| call.origin == Origin::ThirdParty && call.method == "PATCH").count(), 1);
}
