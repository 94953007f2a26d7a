//! What the tools that manage whole tenants ask for besides connections.

use super::*;

fn tool(names: &[&str]) -> Lab {
    let lab = Lab::with(ALL_SCOPES.iter().chain(&TOOL_SCOPES));
    for name in names {
        lab.tenant.add_client(name, "secret", [""; 0]);
    }
    lab.one();
    lab
}

fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|client| client["client_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn clients_are_listed_in_three_shapes_with_the_one_for_all_first() {
    let lab = tool(&["b", "a"]);
    let all = lab.get("/api/v2/clients").json();
    assert_eq!(ids(&all)[1..], ["id", "b", "a"], "as they were created");
    assert_eq!((&all[0]["name"], &all[0]["global"], &all[0]["tenant"]), (&json!("All Applications"), &json!(true), &json!("a")));
    assert_eq!((&all[1]["global"], &all[1]["app_type"]), (&json!(false), &json!("non_interactive")));

    let paged = lab.get("/api/v2/clients?page=1&per_page=3&include_totals=true").json();
    assert_eq!((&paged["total"], &paged["start"], &paged["limit"]), (&json!(4), &json!(3), &json!(3)));
    assert_eq!(ids(&paged["clients"]), ["a"]);

    let first = lab.get("/api/v2/clients?take=3").json();
    assert_eq!(ids(&first["clients"])[1..], ["id", "b"]);
    let rest = lab.get(&format!("/api/v2/clients?take=3&from={}", first["next"].as_str().unwrap())).json();
    assert_eq!((ids(&rest["clients"]), rest.get("next")), (vec!["a".to_owned()], None));
    assert_eq!(error(&lab.get("/api/v2/clients?from=nonsense")).1, "Invalid pagination cursor");
}

#[test]
fn clients_are_filtered_and_projected_as_recorded() {
    let lab = tool(&["b"]);
    let projected = lab.get("/api/v2/clients?fields=client_id&include_fields=true&include_totals=true&per_page=50&is_global=false");
    let client = |id: &str| format!(r#"{{"tenant":"a","client_id":"{id}"}}"#);
    let expected = format!(r#"{{"total":2,"start":0,"limit":50,"clients":[{},{}]}}"#, client("id"), client("b"));
    assert_eq!(projected.text, expected);
    let without = lab.get("/api/v2/clients?fields=name&include_fields=false&app_type=non_interactive,spa").json();
    assert_eq!((ids(&without), without[0].get("name")), (vec!["id".to_owned(), "b".to_owned()], None));
    assert_eq!(ids(&lab.get("/api/v2/clients?app_type=spa").json()), [""; 0]);
    assert!(error(&lab.get("/api/v2/clients?nonsense=1")).1.contains("Additional properties not allowed: nonsense"));
    assert_eq!(error(&lab.get("/api/v2/clients?per_page=101")).0, 400);
    assert_eq!(error(&lab.get("/api/v2/clients?q=x&take=1")).0, 501);
}

#[test]
fn clients_have_scopes_of_their_own_and_show_secrets_only_to_the_one_for_keys() {
    let lab = Lab::new();
    assert_eq!(error(&lab.get("/api/v2/clients")).2.as_deref(), Some("insufficient_scope"));
    assert!(tool(&[]).get("/api/v2/clients").json()[1].get("client_secret").is_none());
    let keys = Lab::with(["read:client_keys"]);
    assert_eq!(keys.get("/api/v2/clients").json()[1]["client_secret"], "secret");
}

#[test]
fn the_clients_of_a_connection_are_read_and_set_one_by_one() {
    let lab = tool(&["b", "c"]);
    let path = format!("{}/clients", lab.path("c"));
    assert_eq!(lab.get(&path).text, r#"{"clients":[]}"#);
    let set = lab.call("PATCH", &path, r#"[{"client_id":"b","status":true},{"client_id":"c","status":true}]"#);
    assert_eq!((set.status, set.text.as_str()), (204, ""));
    assert_eq!(lab.get(&path).text, r#"{"clients":[{"client_id":"b"},{"client_id":"c"}]}"#);
    assert_eq!(lab.tenant.connection("c")["enabled_clients"], json!(["b", "c"]));
    let first = lab.get(&format!("{path}?take=1")).json();
    assert_eq!(ids(&first["clients"]), ["b"]);
    let second = lab.get(&format!("{path}?take=1&from={}", first["next"].as_str().unwrap())).json();
    assert_eq!((ids(&second["clients"]), second.get("next")), (vec!["c".to_owned()], None));
    assert_eq!(lab.call("PATCH", &path, r#"[{"client_id":"b","status":false}]"#).status, 204);
    assert_eq!(lab.get(&path).text, r#"{"clients":[{"client_id":"c"}]}"#, "who is not named stays");
    let call = lab.tenant.writes().pop().unwrap();
    assert_eq!((call.method.as_str(), call.path, call.status), ("PATCH", path, Some(204)));
}

#[test]
fn a_patch_of_clients_is_validated_and_changes_nothing_when_it_is_refused() {
    let lab = tool(&["b"]);
    let path = format!("{}/clients", lab.path("c"));
    let many: Vec<Value> = (0..51).map(|_| json!({"client_id": "b", "status": true})).collect();
    for (body, said) in [
        ("{}".to_owned(), "Expected type array but found type object"),
        ("[]".to_owned(), "Array is too short (0), minimum 1"),
        (Value::from(many).to_string(), "Array is too long (51), maximum 50"),
        (r#"[{"client_id":"b"}]"#.to_owned(), "Missing required property: status"),
        (r#"[{"status":true}]"#.to_owned(), "Missing required property: client_id"),
        (r#"[{"client_id":1,"status":true}]"#.to_owned(), "Expected type string but found type integer' on property 0.client_id"),
        (r#"[{"client_id":"b","status":1}]"#.to_owned(), "Expected type boolean but found type integer' on property 0.status"),
        (r#"[{"client_id":"b","status":true,"x":1}]"#.to_owned(), "Additional properties not allowed: x"),
    ] {
        let (status, message, code) = error(&lab.call("PATCH", &path, &body));
        assert_eq!((status, code.as_deref()), (400, Some("invalid_body")), "{body}");
        assert!(message.contains(said), "{message}");
    }
    let unknown = lab.call("PATCH", &path, r#"[{"client_id":"b","status":true},{"client_id":"nobody","status":true}]"#);
    assert_eq!(error(&unknown).0, 501);
    assert_eq!(lab.get(&path).text, r#"{"clients":[]}"#);
}

#[test]
fn scim_and_directories_answer_as_what_is_not_set_up() {
    let lab = tool(&[]);
    for (name, strategy) in [("o", "oidc"), ("s", "samlp"), ("d", "ad"), ("b", "auth0")] {
        lab.tenant.create_connection(&json!({"name": name, "strategy": strategy, "options": {}})).unwrap();
    }
    for name in ["o", "s", "b"] {
        let found = lab.get(&format!("{}/scim-configuration", lab.path(name)));
        assert_eq!(found.text, r#"{"statusCode":404,"error":"Not Found","message":"Not Found"}"#);
    }
    assert_eq!(error(&lab.get(&format!("{}/scim-configuration", lab.path("c")))).0, 501);
    assert_eq!(lab.get("/api/v2/connections-directory-provisionings?take=50").text, r#"{"directory_provisionings":[]}"#);
    assert_eq!(error(&lab.get("/api/v2/connections-directory-provisionings?take=0")).0, 400);
    assert_eq!(error(&lab.get(&format!("{}/status", lab.path("d")))).0, 404);
    assert_eq!(error(&lab.get(&format!("{}/status", lab.path("o")))).0, 501);
    for path in ["clients", "status", "scim-configuration"] {
        let missing = (404, "The connection does not exist".to_owned(), Some("inexistent_connection".to_owned()));
        assert_eq!(error(&lab.get(&format!("/api/v2/connections/con_nope/{path}"))), missing);
    }
    let maker = Lab::with(["read:connections", "create:scim_config", "create:directory_provisionings"]);
    for (name, strategy) in [("o", "oidc"), ("b", "auth0")] {
        maker.tenant.create_connection(&json!({"name": name, "strategy": strategy, "options": {}})).unwrap();
    }
    let (status, message, _) = error(&maker.call("POST", &format!("{}/scim-configuration", maker.path("b")), ""));
    assert!(status == 404 && message.starts_with("This connection type does not support SCIM."), "{message}");
    for what in ["scim-configuration", "directory-provisioning"] {
        assert_eq!(error(&maker.call("POST", &format!("{}/{what}", maker.path("o")), "{}")).0, 501);
        let nowhere = error(&maker.call("POST", &format!("/api/v2/connections/con_nope/{what}"), "{}"));
        assert_eq!(nowhere.2.as_deref(), Some("inexistent_connection"));
    }
    let plain = Lab::with_one();
    for path in ["/api/v2/connections-directory-provisionings".to_owned(), format!("{}/scim-configuration", plain.path("c"))] {
        assert_eq!(error(&plain.get(&path)).2.as_deref(), Some("insufficient_scope"), "{path}");
    }
}

#[test]
fn what_nothing_shows_is_said_to_be_so_and_is_in_the_journal() {
    let lab = tool(&[]);
    let keys = format!("{}/keys", lab.path("c"));
    for (method, path) in [("GET", "/api/v2/rules?page=0"), ("GET", keys.as_str()), ("POST", "/api/v2/clients"), ("GET", "/userinfo")] {
        let (status, message, code) = error(&lab.call(method, path, ""));
        assert_eq!((status, code.as_deref()), (501, Some("no_evidence")), "{method} {path}");
        let path = path.split('?').next().unwrap();
        assert!(message.contains(&format!("no evidence of what Auth0 answers to {method} {path}")), "{message}");
        assert_eq!(lab.tenant.journal().last().unwrap().status, Some(501));
    }
}
