//! The emulator over HTTP, through a small client of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;

mod in_process;
mod tls;
mod tools;

const DOMAIN: &str = "a.eu.auth0.com";

struct Lab {
    emulator: Emulator,
    tenant: TenantHandle,
    token: String,
}

#[derive(Debug)]
struct Reply {
    status: u16,
    headers: String,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let line = self.headers.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        Some(line[name.len() + 1..].trim())
    }
}

/// Sends one request; `None` when the connection closes without an answer.
fn send(address: SocketAddr, head: &str, body: &str) -> Option<Reply> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let request = format!("{head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    // A connection cut on purpose may end in a reset.
    let _ = stream.read_to_end(&mut bytes);
    let answer = String::from_utf8_lossy(&bytes).into_owned();
    let (headers, text) = answer.split_once("\r\n\r\n")?;
    let status = headers.split(' ').nth(1)?.parse().ok()?;
    Some(Reply { status, headers: headers.to_owned(), text: text.to_owned() })
}

impl Lab {
    fn with<S: AsRef<str>>(scopes: impl IntoIterator<Item = S>) -> Self {
        let emulator = Emulator::start(Options::default()).unwrap();
        let tenant = emulator.tenant(DOMAIN);
        tenant.add_client("id", "secret", scopes);
        let mut lab = Self { emulator, tenant, token: String::new() };
        lab.token = lab.new_token();
        lab
    }

    fn new() -> Self {
        Self::with(ALL_SCOPES)
    }

    fn token_reply(&self, body: &Value) -> Reply {
        let head = format!("POST /oauth/token HTTP/1.1\r\nhost: {DOMAIN}\r\ncontent-type: application/json");
        send(self.emulator.addr(), &head, &body.to_string()).unwrap()
    }

    fn credentials() -> Value {
        let audience = format!("https://{DOMAIN}/api/v2/");
        json!({"grant_type": "client_credentials", "client_id": "id", "client_secret": "secret", "audience": audience})
    }

    fn new_token(&self) -> String {
        self.token_reply(&Self::credentials()).json()["access_token"].as_str().unwrap().to_owned()
    }

    fn try_call(&self, method: &str, path: &str, body: &str) -> Option<Reply> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {DOMAIN}\r\nauthorization: Bearer {}", self.token);
        if !body.is_empty() {
            head.push_str("\r\ncontent-type: application/json");
        }
        send(self.emulator.addr(), &head, body)
    }

    fn call(&self, method: &str, path: &str, body: &str) -> Reply {
        self.try_call(method, path, body).unwrap()
    }

    fn get(&self, path: &str) -> Reply {
        self.call("GET", path, "")
    }

    fn path(&self, name: &str) -> String {
        format!("/api/v2/connections/{}", self.tenant.connection(name)["id"].as_str().unwrap())
    }

    fn patch(&self, name: &str, body: &Value) -> Reply {
        self.call("PATCH", &self.path(name), &body.to_string())
    }

    /// A tenant with one custom `oauth2` connection `c`.
    fn with_one() -> Self {
        let lab = Self::new();
        lab.one();
        lab
    }

    fn one(&self) {
        let options = json!({"client_id": "x", "client_secret": "y", "upstream_params": {"p": {"value": "v"}}});
        self.tenant.create_connection(&json!({"name": "c", "strategy": "oauth2", "options": options})).unwrap();
    }
}

fn error(reply: &Reply) -> (u16, String, Option<String>) {
    let body = reply.json();
    assert_eq!(body["statusCode"], reply.status, "{body}");
    (reply.status, body["message"].as_str().unwrap().to_owned(), body["errorCode"].as_str().map(str::to_owned))
}

// ---- tokens

#[test]
fn a_token_has_scopes_and_looks_like_a_jwt() {
    let lab = Lab::with(["read:connections", "update:connections"]);
    let reply = lab.token_reply(&Lab::credentials());
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json; charset=utf-8")));
    let body = reply.json();
    assert_eq!((&body["expires_in"], &body["token_type"]), (&json!(86_400), &json!("Bearer")));
    assert_eq!(body["scope"], "read:connections update:connections");
    let token = body["access_token"].as_str().unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let claims: Value = serde_json::from_slice(&certificate::unbase64(parts[1]).unwrap()).unwrap();
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("https://a.eu.auth0.com/"), &json!("id@clients")));
    assert_eq!((&claims["aud"], &claims["azp"]), (&json!("https://a.eu.auth0.com/api/v2/"), &json!("id")));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 86_400);
}

#[test]
fn a_form_and_basic_credentials_get_a_token_too() {
    let lab = Lab::new();
    let audience = "https%3A%2F%2Fa.eu.auth0.com%2Fapi%2Fv2%2F";
    let head = format!("POST /oauth/token HTTP/1.1\r\nhost: {DOMAIN}\r\ncontent-type: application/x-www-form-urlencoded");
    let body = format!("grant_type=client_credentials&client_id=id&client_secret=secret&audience={audience}");
    assert_eq!(send(lab.emulator.addr(), &head, &body).unwrap().status, 200);
    let head = format!("{head}\r\nauthorization: Basic aWQ6c2VjcmV0");
    let body = format!("grant_type=client_credentials&audience={audience}");
    assert_eq!(send(lab.emulator.addr(), &head, &body).unwrap().status, 200);
}

#[test]
fn token_errors_have_the_oauth_shape() {
    let lab = Lab::new();
    let with = |key: &str, value: Value| {
        let mut body = Lab::credentials();
        body[key] = value;
        let reply = lab.token_reply(&body);
        let body = reply.json();
        assert!(body.get("statusCode").is_none());
        (reply.status, body["error"].as_str().unwrap().to_owned(), body["error_description"].as_str().unwrap().to_owned())
    };
    let unauthorized = (401, "access_denied".to_owned(), "Unauthorized".to_owned());
    assert_eq!(with("client_secret", json!("wrong")), unauthorized);
    assert_eq!(with("client_id", json!("nobody")), unauthorized);
    assert_eq!(with("audience", json!("https://a.eu.auth0.com/api/v2")).2, "Service not found: https://a.eu.auth0.com/api/v2");
    assert_eq!(with("audience", Value::Null).0, 403);
    assert_eq!(with("grant_type", json!("password")).1, "unsupported_grant_type");
    assert_eq!(with("grant_type", Value::Null).0, 400);
    lab.tenant.remove_grant("id");
    let (status, code, text) = with("client_id", json!("id"));
    assert_eq!((status, code.as_str()), (403, "access_denied"));
    assert!(
        text.starts_with("Client is not authorized to access \"https://a.eu.auth0.com/api/v2/\". You need to create a \"client-grant\"")
    );
}

#[test]
fn rotation_spares_tokens_and_refuses_the_old_secret() {
    let lab = Lab::new();
    lab.tenant.rotate_secret("id", "new");
    assert_eq!(lab.token_reply(&Lab::credentials()).status, 401);
    assert_eq!(lab.get("/api/v2/connections").status, 200);
    let mut body = Lab::credentials();
    body["client_secret"] = json!("new");
    assert_eq!(lab.token_reply(&body).status, 200);
}

#[test]
fn tokens_keep_the_scopes_of_their_issue() {
    let mut lab = Lab::new();
    lab.tenant.set_scopes("id", ["update:connections"]);
    assert_eq!(lab.get("/api/v2/connections").status, 200);
    lab.token = lab.new_token();
    let expected = "Insufficient scope, expected any of: read:connections".to_owned();
    assert_eq!(error(&lab.get("/api/v2/connections")), (403, expected, Some("insufficient_scope".to_owned())));
}

#[test]
fn bad_tokens_are_refused_each_in_its_way() {
    let mut lab = Lab::new();
    let good = lab.token.clone();
    let anonymous = send(lab.emulator.addr(), &format!("GET /api/v2/connections HTTP/1.1\r\nhost: {DOMAIN}"), "").unwrap();
    assert_eq!(error(&anonymous).0, 401);
    lab.token = "opaque".to_owned();
    let malformed = (400, "Bad HTTP authentication header format".to_owned(), Some("Bearer".to_owned()));
    assert_eq!(error(&lab.get("/api/v2/connections")), malformed);
    lab.token = "e30.e30.e30".to_owned();
    assert_eq!(error(&lab.get("/api/v2/connections")).1, "Invalid signature received for JSON Web Token validation");
    lab.token = good;
    lab.tenant.expire_tokens();
    let reply = lab.get("/api/v2/connections");
    assert_eq!(error(&reply), (401, "Expired token received for JSON Web Token validation".to_owned(), None));
    assert_eq!(reply.json()["attributes"]["error"], "Expired token received for JSON Web Token validation");
    lab.token = lab.new_token();
    lab.tenant.revoke_tokens();
    assert_eq!(error(&lab.get("/api/v2/connections")).1, "Invalid token");
    lab.token = lab.new_token();
    lab.tenant.advance(Duration::from_secs(86_401));
    assert_eq!(lab.get("/api/v2/connections").status, 401);
}

#[test]
fn tenants_are_apart() {
    let lab = Lab::with_one();
    let other = lab.emulator.tenant("B.eu.auth0.com");
    other.add_client("id", "secret", ALL_SCOPES);
    let head = |host: &str| format!("GET /api/v2/connections HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}", lab.token);
    assert_eq!(send(lab.emulator.addr(), &head("b.eu.auth0.com"), "").unwrap().status, 401);
    assert_eq!(send(lab.emulator.addr(), &head("unknown.auth0.com"), "").unwrap().status, 404);
    assert_eq!(send(lab.emulator.addr(), &head("A.EU.auth0.com:443"), "").unwrap().status, 200);
    let absolute = head("ignored.example.com").replace("/api", "http://a.eu.auth0.com/api");
    assert_eq!(send(lab.emulator.addr(), &absolute, "").unwrap().status, 200);
    assert!(other.journal().iter().all(|call| call.status == Some(401)));
}

// ---- reads

#[test]
fn the_list_has_three_shapes() {
    let lab = Lab::with_one();
    assert_eq!(lab.get("/api/v2/connections").json().as_array().unwrap().len(), 1);
    let totals = lab.get("/api/v2/connections?include_totals=true&per_page=10&page=0").text;
    assert!(totals.starts_with(r#"{"total":1,"start":0,"limit":10,"connections":[{"id":"con_"#), "{totals}");
    let checkpoint = lab.get("/api/v2/connections?take=1&include_totals=true&per_page=50").json();
    assert_eq!(checkpoint.as_object().unwrap().keys().collect::<Vec<_>>(), ["connections"]);
    assert_eq!(lab.get("/api/v2/connections?take=1&name=nobody").json(), json!({"connections": []}));
}

#[test]
fn checkpoints_walk_through_everything_once() {
    let lab = Lab::new();
    seed::many(&lab.tenant, 120).unwrap();
    let mut names = Vec::new();
    let mut path = "/api/v2/connections?take=50".to_owned();
    for page in 0.. {
        let body = lab.get(&path).json();
        names.extend(body["connections"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()));
        let Some(next) = body.get("next") else {
            assert_eq!(page, 2);
            break;
        };
        // What is created or deleted between pages neither repeats nor hides the rest.
        path = format!("/api/v2/connections?take=50&from={}", next.as_str().unwrap());
    }
    assert_eq!(names, lab.tenant.connection_names());
    assert_eq!(error(&lab.get("/api/v2/connections?from=rubbish")).0, 400);
    lab.tenant.configure(|settings| settings.token_lifetime = Duration::from_secs(200_000));
    let mut lab = lab;
    lab.token = lab.new_token();
    lab.tenant.advance(Duration::from_secs(86_401));
    assert_eq!(error(&lab.get(&path)).1, "Invalid pagination cursor");
}

#[test]
fn offsets_end_at_a_thousand() {
    let lab = Lab::new();
    seed::many(&lab.tenant, 120).unwrap();
    assert_eq!(lab.get("/api/v2/connections").json().as_array().unwrap().len(), 50);
    let names = |path: &str| lab.get(path).json().as_array().unwrap().len();
    assert_eq!(names("/api/v2/connections?per_page=100&page=1"), 20);
    assert_eq!(names("/api/v2/connections?per_page=100&page=9"), 0);
    let (status, message, _) = error(&lab.get("/api/v2/connections?per_page=100&page=10"));
    assert_eq!(status, 400);
    assert!(message.starts_with("Requesting page 10 exceeds the allowed maximum of 1000 records."), "{message}");
    assert_eq!(names("/api/v2/connections?strategy=okta&strategy=github"), 26);
    lab.tenant.configure(|settings| settings.page_cap = 50);
    assert_eq!(names("/api/v2/connections?per_page=100"), 50);
}

#[test]
fn queries_are_validated() {
    let lab = Lab::new();
    for query in [
        "per_page=0",
        "per_page=101",
        "per_page=x",
        "page=-1",
        "take=0",
        "take=101",
        "include_totals=1",
        "domain_alias=x",
        "strategy=nope",
        "fields=users",
        "include_fields=x",
    ] {
        let (status, message, code) = error(&lab.get(&format!("/api/v2/connections?{query}")));
        assert_eq!((status, code.as_deref()), (400, Some("invalid_query_string")), "{query}");
        assert!(message.starts_with("Query validation error: '"), "{message}");
    }
    assert_eq!(lab.get("/api/v2/connections?strategy=auth0-adldap").status, 200);
    assert_eq!(lab.get("/api/v2/connections/con_x?take=1").status, 400);
}

#[test]
fn projections_keep_what_was_recorded() {
    let lab = Lab::with_one();
    let path = lab.path("c");
    let text = lab.get(&format!("{path}?fields=strategy%2Cname&include_fields=true")).text;
    let id = path.rsplit('/').next().unwrap();
    let rest = r#""strategy":"oauth2","name":"c","is_domain_connection":false,"authentication":{"active":true},"connected_accounts":{"active":false}}"#;
    assert_eq!(text, format!("{{\"id\":\"{id}\",{rest}"));
    let without = lab.get(&format!("{path}?fields=options&include_fields=false")).json();
    assert!(without.get("options").is_none() && without.get("realms").is_some());
}

#[test]
fn what_does_not_exist_is_404() {
    let lab = Lab::new();
    let missing = (404, "The connection does not exist".to_owned(), Some("inexistent_connection".to_owned()));
    assert_eq!(error(&lab.get("/api/v2/connections/con_nope")), missing);
    assert_eq!(error(&lab.call("PATCH", "/api/v2/connections/con_nope", r#"{"options":{}}"#)), missing);
    assert_eq!(lab.call("DELETE", "/api/v2/connections/con_nope", "").status, 204);
    for (method, path) in [("GET", "/api/v2/nothing"), ("PUT", "/api/v2/connections/x"), ("GET", "/api/v2/connections/a/b"), ("GET", "/")] {
        assert_eq!(error(&lab.call(method, path, "")), (404, "Not Found".to_owned(), None), "{method} {path}");
    }
}

#[test]
fn options_hide_without_their_scope() {
    let mut lab = Lab::with_one();
    lab.tenant.set_scopes("id", ["read:connections", "update:connections", "update:connections_options"]);
    lab.token = lab.new_token();
    assert!(lab.get(&lab.path("c")).json().get("options").is_none());
    assert!(lab.get("/api/v2/connections?take=5").json()["connections"][0].get("options").is_none());
    let reply = lab.patch("c", &json!({"options": {"upstream_params": {"q": {"value": "w"}}}}));
    assert_eq!(reply.status, 200);
    assert!(reply.json().get("options").is_none());
    // The trap: the write took place, and it wiped what the writer could not see.
    assert_eq!(lab.tenant.connection("c")["options"], json!({"upstream_params": {"q": {"value": "w"}}}));
}

#[test]
fn options_need_their_scope_to_be_written() {
    let mut lab = Lab::with_one();
    lab.tenant.set_scopes("id", ["read:connections", "update:connections", "read:connections_options"]);
    lab.token = lab.new_token();
    let (status, message, _) = error(&lab.patch("c", &json!({"options": {}})));
    assert_eq!(status, 403);
    assert!(message.starts_with("Updating the \"options\" property requires the \"update:connect"), "{message}");
    assert_eq!(lab.patch("c", &json!({"show_as_button": true})).status, 200);
    lab.tenant.configure(|settings| settings.options_without_scopes = true);
    assert_eq!(lab.patch("c", &json!({"options": {}})).status, 200);
}

// ---- writes

#[test]
fn a_patch_replaces_the_whole_of_options() {
    let lab = Lab::with_one();
    let reply = lab.patch("c", &json!({"options": {"client_id": "z"}}));
    assert_eq!((reply.status, &reply.json()["options"]), (200, &json!({"client_id": "z"})));
    assert_eq!(lab.tenant.connection("c")["options"], json!({"client_id": "z"}));
    assert_eq!(lab.tenant.upstream_params("c"), Value::Null);
    lab.patch("c", &json!({"options": {"upstream_params": null}}));
    assert_eq!(lab.tenant.connection("c")["options"], json!({"upstream_params": null}));
}

#[test]
fn a_patch_without_options_leaves_them_alone() {
    let lab = Lab::with_one();
    assert_eq!(lab.patch("c", &json!({"metadata": {"a": "b"}})).status, 200);
    assert_eq!(lab.tenant.upstream_params("c"), json!({"p": {"value": "v"}}));
}

#[test]
fn a_patch_without_display_name_resets_it() {
    let lab = Lab::new();
    let body = json!({"name": "c", "strategy": "oauth2", "display_name": "Nice", "show_as_button": true, "options": {}});
    lab.tenant.create_connection(&body).unwrap();
    lab.patch("c", &json!({"options": {}, "display_name": "Nicer"}));
    assert_eq!(lab.tenant.connection("c")["display_name"], "Nicer");
    let answer = lab.patch("c", &json!({"options": {}})).json();
    assert_eq!((&answer["display_name"], &answer["show_as_button"]), (&json!("c"), &json!(true)));
}

#[test]
fn a_patch_is_validated() {
    let lab = Lab::with_one();
    let message = |body: &str| {
        let (status, message, code) = error(&lab.call("PATCH", &lab.path("c"), body));
        assert_eq!((status, code.as_deref()), (400, Some("invalid_body")), "{body}");
        message
    };
    let document = lab.get(&lab.path("c")).text;
    assert_eq!(message(&document), "Payload validation error: 'Additional properties not allowed: id,strategy,name'.");
    assert_eq!(message(r#"{"enabled_clients":[]}"#), "Payload validation error: 'Additional properties not allowed: enabled_clients'.");
    assert!(message("{}").contains("Too few properties"));
    assert!(message("[]").contains("Expected type object but found type array"));
    assert!(message(r#"{"options":[]}"#).contains("on property options"));
    let refused = message(r#"{"options":{"upstream_params":{"p":{"alias":"scope"}}}}"#);
    assert!(refused.starts_with("Payload validation error: '") && refused.contains("options.upstream_params.p"), "{refused}");
    assert_eq!(error(&lab.call("PATCH", &lab.path("c"), "{\"options\":")).0, 400);
    let large = format!("{{\"options\":{{\"a\":\"{}\"}}}}", "x".repeat(1024 * 1024));
    assert_eq!(error(&lab.call("PATCH", &lab.path("c"), &large)).0, 413);
    assert_eq!(lab.tenant.connection("c")["options"]["client_id"], "x");
}

#[test]
fn the_limit_of_facebook_is_a_switch_at_patch() {
    let lab = Lab::new();
    let params: serde_json::Map<String, Value> = (0..11).map(|at| (format!("p{at}"), json!({"value": "x"}))).collect();
    let options = json!({"options": {"upstream_params": params}});
    let mut body = json!({"name": "f", "strategy": "facebook"});
    body["options"] = options["options"].clone();
    assert_eq!(lab.call("POST", "/api/v2/connections", &body.to_string()).status, 400);
    body["options"] = json!({});
    assert_eq!(lab.call("POST", "/api/v2/connections", &body.to_string()).status, 201);
    assert_eq!(lab.patch("f", &options).status, 200);
    lab.tenant.configure(|settings| settings.facebook_limits_on_patch = true);
    assert_eq!(lab.patch("f", &options).status, 400);
}

#[test]
fn a_connection_lives_and_dies() {
    let lab = Lab::new();
    let body = r#"{"name":"c","strategy":"oauth2","options":{"zz":1,"client_id":"x","b":null}}"#;
    let created = lab.call("POST", "/api/v2/connections", body);
    assert_eq!(created.status, 201);
    assert!(created.text.contains(r#""options":{"zz":1,"client_id":"x","b":null}"#), "{}", created.text);
    assert_eq!(created.json()["realms"], json!(["c"]));
    assert_eq!(created.json()["enabled_clients"], json!([]));
    assert!(lab.get(&lab.path("c")).text.contains(r#""options":{"b":null,"zz":1,"client_id":"x"}"#));
    let conflict = (409, "A connection with the same name already exists".to_owned(), Some("connection_conflict".to_owned()));
    assert_eq!(error(&lab.call("POST", "/api/v2/connections", body)), conflict);
    let deleted = lab.call("DELETE", &lab.path("c"), "");
    assert_eq!(deleted.status, 202);
    assert!(deleted.json()["deleted_at"].as_str().unwrap().ends_with('Z'));
    assert!(lab.tenant.connection("c").is_null());
    for bad in [r#"{"name":"a_b","strategy":"oauth2"}"#, r#"{"name":"a","strategy":"nope"}"#, r#"{"name":"a"}"#, r#"{"strategy":"oidc"}"#] {
        assert_eq!(error(&lab.call("POST", "/api/v2/connections", bad)).2.as_deref(), Some("invalid_body"), "{bad}");
    }
}

#[test]
fn numbers_survive_and_duplicates_do_not() {
    let lab = Lab::with_one();
    let body = r#"{"options":{"n":{"big":12345678901234567890123,"one":1.0,"exp":1e3},"a":1,"a":2}}"#;
    let answer = lab.call("PATCH", &lab.path("c"), body).text;
    let stored = r#""options":{"a":2,"n":{"big":12345678901234567890123,"exp":1e3,"one":1.0}}"#;
    assert!(answer.contains(stored), "{answer}");
    assert!(lab.get(&lab.path("c")).text.contains(stored));
    lab.tenant.edit("c", |options| {
        options.insert("a".to_owned(), json!(3));
    });
    assert!(lab.get(&lab.path("c")).text.contains("12345678901234567890123"));
}

#[test]
fn a_patch_answers_in_stored_order_and_a_post_in_sent_order() {
    let lab = Lab::with_one();
    let answer = lab.call("PATCH", &lab.path("c"), r#"{"options":{"zzz":{"bb":1,"a":2},"b":1,"aa":2}}"#).text;
    assert!(answer.contains(r#""options":{"b":1,"aa":2,"zzz":{"a":2,"bb":1}}"#), "{answer}");
}

#[test]
fn unset_endpoints_of_social_connections_are_echoed_once() {
    let lab = Lab::new();
    let options = json!({"client_id": "x", "authorizationURL": null, "tokenURL": null});
    lab.tenant.create_connection(&json!({"name": "t", "strategy": "twitter", "options": options})).unwrap();
    assert_eq!(lab.tenant.connection("t")["options"], json!({"client_id": "x"}));
    assert_eq!(lab.patch("t", &json!({"options": options})).json()["options"], options);
    assert_eq!(lab.get(&lab.path("t")).json()["options"], json!({"client_id": "x"}));
}

#[test]
fn saml_metadata_is_read_and_not_kept() {
    let lab = Lab::new();
    let pem = include_str!("fixture-certificate.pem");
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let xml = format!(
        "<SingleSignOnService Binding=\"b\" Location=\"https://idp/in\"/><SingleLogoutService Location=\"https://idp/out\"/>\
         <X509Certificate>{body}</X509Certificate>"
    );
    let request = json!({"name": "s", "strategy": "samlp", "options": {"metadataXml": xml, "upstream_params": {"p": {"value": "v"}}}});
    lab.tenant.create_connection(&request).unwrap();
    let stored = lab.tenant.connection("s")["options"].clone();
    assert_eq!((&stored["signInEndpoint"], &stored["signOutEndpoint"]), (&json!("https://idp/in"), &json!("https://idp/out")));
    assert_eq!((&stored["bindingMethod"], &stored["cert"]), (&json!("b"), &json!(pem)));
    assert_eq!(stored["thumbprints"], json!(["7adad054f0c747eb19b6aaac0f0b03495f4769fd"]));
    assert!(stored.get("metadataXml").is_none());
    // Echoing what a GET shows keeps everything; sending nothing of it loses everything.
    assert_eq!(lab.patch("s", &json!({"options": stored})).json()["options"], stored);
    assert_eq!(lab.patch("s", &json!({"options": {}})).json()["options"], json!({}));
}

#[test]
fn a_patch_without_metadata_discovers_again() {
    let lab = Lab::new();
    let url = "https://idp.example.com/.well-known/openid-configuration";
    let endpoint = |path: &str| json!({"authorization_endpoint": path}).to_string();
    lab.tenant.serve_document(url, &endpoint("https://idp.example.com/one"));
    let options = json!({"client_id": "x", "discovery_url": url, "authorization_endpoint": null});
    lab.tenant.create_connection(&json!({"name": "o", "strategy": "oidc", "options": options})).unwrap();
    let stored = lab.tenant.connection("o")["options"].clone();
    assert_eq!(stored["authorization_endpoint"], "https://idp.example.com/one");
    assert_eq!(stored["connection_settings"], json!({"pkce": "auto"}));
    lab.tenant.serve_document(url, &endpoint("https://idp.example.com/two"));
    // All of it echoed: nothing changes.
    assert_eq!(lab.patch("o", &json!({"options": stored})).json()["options"], stored);
    let answer = lab.patch("o", &json!({"options": options})).json();
    assert_eq!(answer["options"]["authorization_endpoint"], "https://idp.example.com/two");
    assert_eq!(answer["options"]["connection_settings"], json!({"pkce": "disabled"}));
}

#[test]
fn an_echo_of_everything_changes_nothing_but_ciphertext() {
    let lab = Lab::new();
    seed::demo(&lab.tenant).unwrap();
    seed::many(&lab.tenant, 27).unwrap();
    for name in lab.tenant.connection_names() {
        let before = lab.tenant.connection(&name);
        let mut body = json!({"options": before["options"]});
        if let Some(display_name) = before.get("display_name") {
            body["display_name"] = display_name.clone();
        }
        assert_eq!(lab.patch(&name, &body).status, 200);
        let after = lab.tenant.connection(&name);
        if before["strategy"] == "auth0" {
            assert_ne!(before["options"]["configuration"], after["options"]["configuration"]);
        } else {
            assert_eq!(before, after, "{name}");
        }
    }
}

// ---- limits

#[test]
fn limits_show_in_headers_and_refuse() {
    let lab = Lab::with_one();
    assert!(lab.get("/api/v2/connections").header("x-ratelimit-limit").is_none());
    lab.tenant.set_limits(Limits { read_connections: Some(Rate { burst: 2, per_minute: 6 }), ..Limits::default() });
    let first = lab.get("/api/v2/connections");
    assert_eq!((first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")), (Some("2"), Some("1")));
    lab.get(&lab.path("c"));
    let refused = lab.get("/api/v2/connections");
    assert_eq!(error(&refused), (429, "Endpoint limit has been reached".to_owned(), Some("too_many_requests".to_owned())));
    assert!(refused.header("retry-after").is_none());
    let reset: u64 = refused.header("x-ratelimit-reset").unwrap().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!((now..=now + 11).contains(&reset), "one token comes after ten seconds, not twenty: {reset} at {now}");
    assert_eq!(lab.patch("c", &json!({"show_as_button": true})).status, 200);
    lab.tenant.advance(Duration::from_secs(10));
    assert_eq!(lab.get("/api/v2/connections").status, 200);
    assert_eq!(lab.get("/api/v2/connections").status, 429);
}

// ---- faults

#[test]
fn a_lost_answer_took_effect() {
    let lab = Lab::with_one();
    lab.tenant.inject(Fault::lose_answer().method("PATCH").connection("c").times(1));
    assert!(lab.try_call("PATCH", &lab.path("c"), r#"{"options":{"a":1}}"#).is_none());
    assert_eq!(lab.tenant.connection("c")["options"], json!({"a": 1}));
    let writes = lab.tenant.writes();
    assert_eq!((writes.len(), writes[0].status, writes[0].fault), (1, None, Some("lose_answer")));
    assert_eq!(lab.patch("c", &json!({"options": {}})).status, 200);
}

#[test]
fn a_dropped_call_did_not() {
    let lab = Lab::with_one();
    lab.tenant.inject(Fault::drop().method("PATCH").times(1));
    assert!(lab.try_call("PATCH", &lab.path("c"), r#"{"options":{"a":1}}"#).is_none());
    assert_eq!(lab.tenant.connection("c")["options"]["client_id"], "x");
}

#[test]
fn a_cut_body_arrives_in_half() {
    let lab = Lab::with_one();
    let whole = lab.get(&lab.path("c")).text;
    lab.tenant.inject(Fault::cut_body().path("/api/v2/connections/*").times(1));
    let cut = lab.get(&lab.path("c"));
    assert_eq!((cut.status, cut.text.as_str()), (200, &whole[..whole.len() / 2]));
    assert_eq!(cut.header("content-length").unwrap(), whole.len().to_string());
}

#[test]
fn faults_that_replace_the_answer() {
    let lab = Lab::with_one();
    let with = |fault: Fault| {
        lab.tenant.inject(fault.times(1));
        lab.patch("c", &json!({"options": {}}))
    };
    assert_eq!(with(Fault::status(503)).json()["statusCode"], 503);
    let custom = with(Fault::status_with(500, "oops"));
    assert_eq!((custom.status, custom.text.as_str()), (500, "oops"));
    let html = with(Fault::not_json());
    assert_eq!((html.status, html.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let fine = with(Fault::error_body_with_200());
    assert_eq!((fine.status, &fine.json()["statusCode"]), (200, &json!(500)));
    assert!(with(Fault::huge_body(8 * 1024 * 1024)).text.len() > 8 * 1024 * 1024);
    let moved = with(Fault::redirect("https://elsewhere.example.com/"));
    assert_eq!((moved.status, moved.header("location")), (302, Some("https://elsewhere.example.com/")));
    let limited = with(Fault::rate_limited(RateLimited { global: true, retry_after: Some(7), reset: Some(3) }));
    assert_eq!(error(&limited).1, "Global limit has been reached");
    assert_eq!((limited.header("retry-after"), limited.header("x-ratelimit-remaining")), (Some("7"), Some("0")));
    assert!(with(Fault::rate_limited(RateLimited::default())).header("x-ratelimit-reset").is_none());
    assert_eq!(lab.tenant.connection("c")["options"]["client_id"], "x");
    assert_eq!(lab.tenant.pending_faults(), 0);
}

#[test]
fn delays_and_hangs() {
    let lab = Lab::with_one();
    lab.tenant.inject(Fault::delay(Duration::from_millis(200)).times(1));
    let start = Instant::now();
    assert_eq!(lab.get("/api/v2/connections").status, 200);
    assert!(start.elapsed() >= Duration::from_millis(200));
    lab.tenant.inject(Fault::hang());
    let mut stream = TcpStream::connect(lab.emulator.addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nhost: {DOMAIN}\r\n\r\n").unwrap();
    assert!(stream.read(&mut [0; 1]).is_err(), "no answer may come");
    lab.tenant.clear_faults();
    assert_eq!(lab.get("/api/v2/connections").status, 200);
    // Stopping closes what hangs.
    lab.emulator.stop();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0);
}

#[test]
fn a_third_party_edits_between_read_and_write() {
    let lab = Lab::with_one();
    let edit = |options: &mut serde_json::Map<String, Value>| {
        options.insert("client_secret".to_owned(), json!("rotated"));
    };
    lab.tenant.inject(Fault::edit_between(edit).connection("c").times(1));
    assert_eq!(lab.get(&lab.path("c")).json()["options"]["client_secret"], "y");
    assert_eq!(lab.tenant.connection("c")["options"]["client_secret"], "rotated");
    assert_eq!(lab.get(&lab.path("c")).json()["options"]["client_secret"], "rotated");
    lab.tenant.inject(Fault::edit_between(serde_json::Map::clear).connection("c").times(1));
    lab.get("/api/v2/connections?take=50");
    assert_eq!(lab.tenant.connection("c")["options"], json!({}));
    let edits = lab.tenant.journal().iter().filter(|call| call.origin == Origin::ThirdParty && call.method == "PATCH").count();
    assert_eq!(edits, 2);
}

// ---- journal

#[test]
fn the_journal_has_every_call_and_no_secret() {
    let lab = Lab::with_one();
    lab.tenant.clear_journal();
    lab.new_token();
    let head = format!(
        "PATCH {} HTTP/1.1\r\nhost: {DOMAIN}\r\nauthorization: Bearer {}\r\nx-correlation-id: abc\r\nuser-agent: me",
        lab.path("c"),
        lab.token
    );
    send(lab.emulator.addr(), &head, r#"{"options": {"n":1.0E0, "s\/":"\u0026"}}"#).unwrap();
    lab.get("/api/v2/connections?take=3");
    let journal = lab.tenant.journal();
    assert_eq!(journal.iter().map(|call| call.method.as_str()).collect::<Vec<_>>(), ["POST", "PATCH", "GET"]);
    assert!(journal.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq && pair[0].time_ms <= pair[1].time_ms));
    assert_eq!(journal[0].body.as_ref().unwrap()["client_secret"], "********");
    assert_eq!(journal[0].client_id.as_deref(), Some("id"));
    assert_eq!((journal[1].correlation_id.as_deref(), journal[1].user_agent.as_deref()), (Some("abc"), Some("me")));
    let sent = r#"{"options": {"n":1.0E0, "s\/":"\u0026"}}"#;
    assert_eq!((journal[1].body_text.as_deref(), journal[1].client_id.as_deref()), (Some(sent), Some("id")));
    assert_eq!((journal[2].query.as_str(), journal[2].status), ("take=3", Some(200)));
    assert_eq!(lab.tenant.writes().len(), 1);
}

#[tokio::test]
async fn waiting_ends_when_the_predicate_holds() {
    let lab = Lab::with_one();
    assert!(!lab.tenant.wait_for(|tenant| tenant.upstream_params("c").is_null(), Duration::from_millis(30)).await);
    assert!(lab.tenant.delete_connection("c"));
    assert!(lab.tenant.wait_for(|tenant| tenant.upstream_params("c").is_null(), Duration::from_secs(1)).await);
}

// ---- login

#[test]
fn a_login_carries_the_upstream_parameters() {
    let lab = Lab::new();
    seed::demo(&lab.tenant).unwrap();
    let login = |connection: &str, more: &str| {
        let path = format!("/authorize?client_id=app&response_type=code&redirect_uri=https%3A%2F%2Fapp%2Fcb&connection={connection}{more}");
        let reply = lab.get(&path);
        assert_eq!(reply.status, 302);
        reply.header("location").unwrap().to_owned()
    };
    let plain = login("twitter", "");
    assert!(plain.starts_with("https://twitter.com/i/oauth2/authorize?") && !plain.contains("screen_name"), "{plain}");
    assert!(login("twitter", "&login_hint=jane%40example.com").contains("&screen_name=jane%40example.com"));
    lab.tenant.edit("contoso", |options| {
        options
            .insert("upstream_params".to_owned(), json!({"scope": {"value": "openid User.Read"}, "domain_hint": {"value": "contoso.com"}}));
    });
    let entra = login("contoso", "");
    assert!(entra.starts_with("https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/authorize?"), "{entra}");
    assert!(entra.contains("scope=openid%20User.Read") && entra.contains("domain_hint=contoso.com"), "{entra}");
    lab.tenant.edit("legacy-saml", |options| {
        options.insert("upstream_params".to_owned(), json!({"p": {"value": "x"}}));
    });
    let saml = login("legacy-saml", "");
    assert!(saml.starts_with("https://idp.legacy.example.com/saml/login?SAMLRequest=") && !saml.contains("p=x"), "{saml}");
    assert!(login("corporate-oidc", "").starts_with("https://login.corp.example.com/authorize?response_type=code&nonce="));
    assert!(login("nobody", "&state=s").starts_with("https://app/cb?error=invalid_request"));
    assert_eq!(lab.get("/authorize?client_id=app").status, 400);
}

// ---- seeds and play

#[test]
fn seeds_are_the_same_every_time() {
    let [one, other] = [Lab::new(), Lab::new()];
    for lab in [&one, &other] {
        seed::demo(&lab.tenant).unwrap();
        seed::many(&lab.tenant, 40).unwrap();
    }
    assert_eq!(one.tenant.connection_names(), other.tenant.connection_names());
    assert_eq!(&one.tenant.connection_names()[..5], seed::DEMO);
    let options = |lab: &Lab, name: &str| lab.tenant.connection(name)["options"].clone();
    assert_eq!(options(&one, "okta-3"), options(&other, "okta-3"));
    assert_eq!(options(&one, "corporate-oidc"), options(&other, "corporate-oidc"));
}

#[test]
fn play_answers_any_host() {
    let play = play(0, 7).unwrap();
    assert_eq!(play.tenant.connection_names().len(), 7);
    let body = json!({"grant_type": "client_credentials", "client_id": "emulator-client", "client_secret": "emulator-secret",
        "audience": play.tenant.audience()});
    let head = "POST /oauth/token HTTP/1.1\r\nhost: localhost:1234\r\ncontent-type: application/json";
    assert_eq!(send(play.emulator.addr(), head, &body.to_string()).unwrap().status, 200);
    assert!(play.recipe.contains(&play.emulator.url()) && play.recipe.contains("emulator-secret"));
    assert_eq!(super::play(0, 3).unwrap().tenant.connection_names(), ["wordpress", "twitter", "corporate-oidc"]);
}

#[test]
fn the_date_of_an_answer_is_by_the_clock_of_the_tenant() {
    let lab = Lab::with(ALL_SCOPES);
    let seconds = |reply: &Reply| {
        let date = reply.header("date").unwrap();
        assert_eq!(reply.headers.to_ascii_lowercase().matches("\ndate:").count(), 1, "{}", reply.headers);
        jiff::fmt::rfc2822::parse(date).unwrap().timestamp().as_second()
    };
    let far = |clock: i64, by: i64| (clock - jiff::Timestamp::now().as_second() - by).abs() > 60;
    lab.tenant.advance(Duration::from_mins(20));
    assert!(!far(seconds(&lab.get("/api/v2/connections")), 1200));
    lab.tenant.set_back(Duration::from_mins(30));
    assert!(!far(seconds(&lab.get("/api/v2/connections")), -600));
}

#[test]
fn a_token_may_come_without_the_names_of_its_scopes() {
    let lab = Lab::with(ALL_SCOPES);
    lab.tenant.configure(|settings| settings.token_names_scopes = false);
    let audience = lab.tenant.audience();
    let body = json!({"grant_type": "client_credentials", "client_id": "id", "client_secret": "secret", "audience": audience});
    let head = format!("POST /oauth/token HTTP/1.1\r\nhost: {DOMAIN}\r\ncontent-type: application/json");
    let answer = send(lab.emulator.addr(), &head, &body.to_string()).unwrap().json();
    assert!(answer["access_token"].is_string() && answer["scope"].is_null(), "{answer}");
}
