//! That what is drawn happens, that it can be told, and that calm comes back.

use std::collections::BTreeSet;

use auth0_emulator::{Answer, Ending, Request, Settings, TenantHandle};
use serde_json::Value;

use super::*;

fn names() -> (Vec<String>, Vec<(String, String)>) {
    let param = |name: &str, entry: &str| (name.to_owned(), entry.to_owned());
    (vec!["one".to_owned(), "two".to_owned()], vec![param("blog", r#"{"value":"ours"}"#), param("hint", r#"{"alias":"login_hint"}"#)])
}

/// So many actions of one seed.
fn drawn(seed: u64, count: usize) -> Vec<TenantAction> {
    let (connections, params) = names();
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..count).map(|_| draw(&mut rng, &Around { connections: &connections, params: &params })).collect()
}

fn tenant() -> TenantHandle {
    let tenant = TenantHandle::alone("a.eu.auth0.com", Settings::default());
    tenant.set_clock(|| Duration::from_secs(1_700_000_000));
    admit(&tenant);
    assert!(create(&tenant, "one", "oauth2", 1) && create(&tenant, "two", "oidc", 2));
    tenant
}

fn call(tenant: &TenantHandle, method: &str, path: &str, token: &str, body: &str) -> Option<Answer> {
    let request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        authorization: Some(format!("Bearer {token}")),
        body: Some(body.as_bytes().to_vec()),
        ..Request::default()
    };
    match tenant.arrive(request).take_effect().ending {
        Ending::Answered(answer) => Some(answer),
        Ending::HalfAnswered(_) | Ending::Cut | Ending::Silent => None,
    }
}

fn status(answer: Option<&Answer>) -> u16 {
    answer.map_or(0, |answer| answer.status)
}

/// What an operator comes to that wants to write back what it reads, connection by connection: the statuses of its calls.
fn round(tenant: &TenantHandle) -> Vec<u16> {
    let body = serde_json::json!({"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
        "audience": tenant.audience()});
    let answer = call(tenant, "POST", "/oauth/token", "", &body.to_string());
    let mut statuses = vec![status(answer.as_ref())];
    let answer: Value = answer.and_then(|answer| serde_json::from_slice(&answer.body).ok()).unwrap_or_default();
    let Some(token) = answer["access_token"].as_str() else { return statuses };
    for name in tenant.connection_names() {
        let path = format!("/api/v2/connections/{}", tenant.connection(&name)["id"].as_str().expect("an id"));
        let read = call(tenant, "GET", &path, token, "");
        statuses.push(status(read.as_ref()));
        let read: Value = read.and_then(|read| serde_json::from_slice(&read.body).ok()).unwrap_or_default();
        if read["options"].is_object() {
            let body = serde_json::json!({"options": read["options"]});
            statuses.push(status(call(tenant, "PATCH", &path, token, &body.to_string()).as_ref()));
        } else {
            statuses.push(0);
        }
    }
    statuses
}

fn fine(statuses: &[u16]) -> bool {
    statuses.iter().all(|status| *status == 200)
}

#[test]
fn after_calm_every_fault_is_over() {
    let mut felt = 0;
    for action in drawn(1, 1000) {
        let tenant = tenant();
        action.apply(&tenant);
        if action.is_fault() {
            felt += usize::from(!fine(&round(&tenant)));
            calm(&tenant);
        }
        // Scarce limits leave one call of each kind.
        tenant.set_limits(Limits::default());
        assert_eq!((fine(&round(&tenant)), tenant.pending_faults()), (true, 0), "{action} {:?}", round(&tenant));
    }
    assert!(felt > 250, "{felt}");
}

#[test]
fn after_any_number_of_actions_calm_comes_back() {
    for seed in 0..40 {
        let tenant = tenant();
        let actions = drawn(seed, 30);
        for action in &actions {
            action.apply(&tenant);
            round(&tenant);
        }
        calm(&tenant);
        tenant.set_limits(Limits::default());
        assert!(fine(&round(&tenant)), "{seed}: {:?} {actions:?}", round(&tenant));
    }
}

#[test]
fn the_same_seed_draws_the_same() {
    assert_eq!(drawn(7, 500), drawn(7, 500));
    assert_ne!(drawn(7, 50), drawn(8, 50));
}

#[test]
fn everything_is_drawn() {
    let variant = |text: String| text.split(['(', ' ', '{']).next().unwrap_or_default().to_owned();
    let (mut actions, mut misfortunes, mut edits) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut answers = BTreeSet::new();
    for action in drawn(3, 20_000) {
        if let TenantAction::Trouble(Trouble { what, .. }) = &action {
            misfortunes.insert(variant(format!("{what:?}")));
            if let Misfortune::Status(status, complaint) = what {
                answers.insert((*status, variant(format!("{complaint:?}"))));
            }
        }
        if let TenantAction::Edited(_, edit) = &action {
            edits.insert(variant(format!("{edit:?}")));
        }
        actions.insert(variant(format!("{action:?}")));
    }
    assert_eq!((actions.len(), misfortunes.len(), edits.len()), (20, 13, 7), "{actions:?} {misfortunes:?} {edits:?}");
    let statuses: BTreeSet<u16> = answers.iter().map(|(status, _)| *status).collect();
    assert_eq!(Vec::from_iter(statuses), [400, 401, 403, 404, 409, 429, 500, 502, 503, 504]);
    // All but the one that quotes a value.
    assert_eq!(answers.iter().map(|(_, complaint)| complaint).collect::<BTreeSet<_>>().len(), 15, "{answers:?}");
}

#[test]
fn everything_is_told_in_one_sentence_and_written_down() {
    for action in drawn(4, 5000) {
        let told = action.to_string();
        assert!(told.ends_with('.') && !told.contains('\n') && told.starts_with(char::is_uppercase), "{told}");
        let written = serde_json::to_string(&action).expect("JSON");
        assert_eq!(serde_json::from_str::<TenantAction>(&written).expect("an action"), action);
    }
}

#[test]
fn what_is_drawn_is_json() {
    for action in drawn(5, 20_000) {
        let (TenantAction::Edited(_, edit) | TenantAction::Trouble(Trouble { what: Misfortune::EditBetween(edit), .. })) = &action else {
            continue;
        };
        if let Edit::Param(_, text) | Edit::Params(text) | Edit::Option(_, text) = edit {
            assert!(Json::parse(text).is_ok(), "{edit:?}");
        }
    }
}

/// Every text in a value, but for the names of its members.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

#[test]
fn every_secret_and_every_foreign_value_is_marked() {
    assert!(secret(0) == CLIENT_SECRET && secret(9).contains(MARKER));
    let (_, params) = names();
    let ours = |text: &str| params.iter().any(|(_, entry)| entry.contains(text)) || ALIASES.contains(&text);
    for action in drawn(6, 20_000) {
        let TenantAction::Edited(_, edit) = &action else { continue };
        let mut options = Object::new();
        edit.apply(&mut options);
        let options = Json::Object(options).to_value();
        assert!(texts(&options).iter().all(|text| text.contains(MARKER) || ours(text)), "{options}");
        if let Edit::Option(_, text) = edit {
            assert!(text.contains(MARKER) || !text.contains('"'), "{text}");
        }
    }
}

#[test]
fn no_error_holds_the_marker_unless_it_quotes() {
    for action in drawn(8, 20_000) {
        if let TenantAction::Trouble(Trouble { what: Misfortune::Status(status, complaint), .. }) = &action {
            let body = complaint.body(*status).unwrap_or_default();
            assert!(!body.contains(MARKER), "{body}");
        }
    }
}

#[test]
fn a_quoted_value_is_quoted_only_to_those_who_sent_it() {
    let tenant = tenant();
    let value = format!("https://idp.example.com/{MARKER}-1");
    TenantAction::Quoted { connection: "one".to_owned(), value: value.clone(), times: 1 }.apply(&tenant);
    let body = serde_json::json!({"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
        "audience": tenant.audience()});
    let answer = call(&tenant, "POST", "/oauth/token", "", &body.to_string()).expect("an answer");
    let answer: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let token = answer["access_token"].as_str().expect("a token");
    let path = format!("/api/v2/connections/{}", tenant.connection("one")["id"].as_str().expect("an id"));
    assert_eq!(status(call(&tenant, "PATCH", &path, token, r#"{"options":{"a":1}}"#).as_ref()), 200);
    let sent = serde_json::json!({"options": {"icon_url": value}}).to_string();
    let refused = call(&tenant, "PATCH", &path, token, &sent).expect("an answer");
    assert!(refused.status == 400 && String::from_utf8_lossy(&refused.body).contains(&value));
    assert_eq!(status(call(&tenant, "PATCH", &path, token, &sent).as_ref()), 200);
}

#[test]
fn a_nudge_changes_every_connection() {
    let tenant = tenant();
    nudge(&tenant, 3);
    for name in tenant.connection_names() {
        assert_eq!(tenant.connection(&name)["options"]["nudged"], format!("{MARKER}-3"));
    }
}

#[test]
fn every_kind_is_drawn_and_there_is_no_other() {
    let drawn: BTreeSet<&str> = drawn(1, 20_000).iter().map(TenantAction::kind).collect();
    assert_eq!(drawn, BTreeSet::from(KINDS));
}
