//! Every admission rule, asked of JSON that an API server might have stored before the rule.

use serde_json::json;

use super::*;

/// A valid spec with one member replaced, or removed by `null`.
fn with(pointer: &str, value: &Value) -> Value {
    let mut spec = json!({
        "tenantRef": {"kind": "ClusterAuth0Tenant", "name": "default"},
        "connection": {"name": "wordpress"},
        "params": {"blog": {"value": "x"}},
        "managementPolicy": "Enforce",
        "adoptionPolicy": "IfEqual",
        "deletionPolicy": "Delete",
    });
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    spec.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(member.to_owned(), value.clone());
    spec
}

fn refused(pointer: &str, value: &Value) -> (String, String) {
    let Refusal { field, problem } = spec(&with(pointer, value)).unwrap_err();
    (field, problem)
}

fn accepted(pointer: &str, value: &Value) -> Spec {
    spec(&with(pointer, value)).unwrap()
}

fn with_params(params: &Value) -> Result<Spec, Refusal> {
    spec(&with("/params", params))
}

#[test]
fn a_spec_may_leave_out_what_has_a_default() {
    let read = spec(&json!({"connection": {"id": "con_1"}, "params": {"a": {"value": "x"}, "b": {"alias": "login_hint"}}})).unwrap();
    assert_eq!(read.target, Target::Id("con_1".into()));
    assert_eq!(read.adoption, AdoptionPolicy::IfEqual);
    assert_eq!(read.params["a"], Entry::Value("x".into()));
    assert_eq!(read.params["b"], Entry::Alias(Alias::LoginHint));
    assert_eq!(accepted("/adoptionPolicy", &json!("Overwrite")).adoption, AdoptionPolicy::Overwrite);
}

#[test]
fn anything_but_an_object_is_refused() {
    for text in ["null", "[]", "\"x\"", "1", "{}"] {
        assert!(spec(&serde_json::from_str(text).unwrap()).is_err(), "{text}");
    }
}

#[test]
fn a_parameter_has_exactly_one_of_value_and_alias() {
    for (param, problem) in [
        (json!({"value": "x", "alias": "login_hint"}), rules::PARAM_BOTH),
        (json!({}), rules::PARAM_NEITHER),
        (json!({"value": null, "alias": null}), rules::PARAM_NEITHER),
        (json!("x"), rules::PARAM_NEITHER),
        (json!(null), rules::PARAM_NEITHER),
        (json!([]), rules::PARAM_NEITHER),
    ] {
        assert_eq!(refused("/params/blog", &param), ("spec.params[blog]".into(), problem.into()), "{param}");
    }
    assert!(with_params(&json!({"blog": {"value": "x", "alias": null}})).is_ok());
}

#[test]
fn an_alias_is_one_of_twelve() {
    assert_eq!(Alias::ALL.len(), 12);
    for alias in Alias::ALL {
        assert_eq!(accepted("/params/blog", &json!({"alias": alias.as_str()})).params["blog"], Entry::Alias(*alias));
    }
    for alias in [json!("Login_hint"), json!("state"), json!(""), json!(1)] {
        let (field, problem) = refused("/params/blog", &json!({"alias": alias}));
        assert_eq!(field, "spec.params[blog].alias");
        assert!(Alias::ALL.iter().all(|known| problem.contains(known.as_str())));
    }
}

#[test]
fn a_name_is_one_of_rfc_6749_and_not_too_long() {
    for name in ["a", "A.b_c-9", "1", &"n".repeat(128)] {
        assert!(with_params(&json!({name: {"value": "x"}})).is_ok(), "{name}");
    }
    for name in ["", "a b", "a/b", "a[0]", "\u{fc}", "a\n", "a=b", "%61"] {
        assert_eq!(with_params(&json!({name: {"value": "x"}})).unwrap_err().problem, rules::NAME_PATTERN, "{name:?}");
    }
    assert_eq!(with_params(&json!({"n".repeat(129): {"value": "x"}})).unwrap_err().problem, rules::NAME_TOO_LONG);
}

#[test]
fn a_value_is_text_without_control_characters_and_not_too_long() {
    for text in ["x", " ", "\u{e4} \u{1f600} \"quoted\" \\", &"\u{e4}".repeat(1024)] {
        assert_eq!(accepted("/params/blog", &json!({"value": text})).params["blog"], Entry::Value(text.into()));
    }
    let problem = |value: Value| {
        let (field, problem) = refused("/params/blog", &json!({"value": value}));
        assert_eq!(field, "spec.params[blog].value");
        problem
    };
    assert_eq!(problem(json!("")), rules::VALUE_EMPTY);
    for text in ["a\n", "\t", "\u{0}", "a\u{7f}", "\u{85}", "\u{9f}"] {
        assert_eq!(problem(json!(text)), rules::VALUE_CONTROL, "{text:?}");
    }
    assert!(problem(json!("\u{e4}".repeat(1025))).contains("1024"));
    assert!(problem(json!(5)).contains("quotes"));
}

#[test]
fn there_are_one_to_thirty_parameters() {
    let many = |count: usize| Value::Object((0..count).map(|n| (format!("p{n}"), json!({"value": "x"}))).collect());
    assert_eq!(with_params(&json!({})).unwrap_err().problem, rules::PARAMS_EMPTY);
    assert_eq!(with_params(&json!(null)).unwrap_err().problem, rules::PARAMS_EMPTY);
    assert!(with_params(&many(30)).is_ok());
    let Refusal { field, problem } = with_params(&many(31)).unwrap_err();
    assert!(field == "spec.params" && problem.contains("30"));
}

#[test]
fn a_connection_is_given_by_exactly_one_of_name_and_id() {
    assert_eq!(refused("/connection", &json!({"name": "a", "id": "con_1"})).1, rules::CONNECTION_BOTH);
    for neither in [json!({}), json!(null), json!("wordpress"), json!({"name": null})] {
        assert_eq!(refused("/connection", &neither), ("spec.connection".into(), rules::CONNECTION_NEITHER.into()));
    }
    for name in ["google-oauth2", "1", &"a".repeat(128)] {
        assert_eq!(accepted("/connection", &json!({"name": name})).target, Target::Name((*name).into()));
    }
    for name in [json!(""), json!("-a"), json!("a_b"), json!("a/b"), json!("\u{fc}"), json!("a".repeat(129)), json!(1)] {
        assert_eq!(refused("/connection", &json!({"name": name})).0, "spec.connection.name", "{name}");
    }
    for id in [json!("con_"), json!("wordpress"), json!("con_a/b"), json!("con_a-b"), json!(format!("con_{}", "a".repeat(61)))] {
        assert_eq!(refused("/connection", &json!({"id": id})), ("spec.connection.id".into(), rules::CONNECTION_ID_PATTERN.into()));
    }
    let longest = format!("con_{}", "a".repeat(60));
    assert_eq!(accepted("/connection", &json!({"id": longest})).target, Target::Id(longest.as_str().into()));
}

#[test]
fn a_tenant_is_a_cluster_auth0_tenant_with_the_name_of_an_object() {
    assert_eq!(refused("/tenantRef/kind", &json!("Auth0Tenant")).0, "spec.tenantRef.kind");
    for name in [json!(""), json!(1), json!("Default"), json!("a_b"), json!("-a"), json!("a..b"), json!("a.-b"), json!("a".repeat(254))] {
        assert_eq!(refused("/tenantRef/name", &name).0, "spec.tenantRef.name", "{name}");
    }
    for name in ["default", "a", "0.a-b.c", &"a".repeat(253)] {
        accepted("/tenantRef/name", &json!(name));
    }
    assert!(spec(&with("/tenantRef", &json!("default"))).is_err());
    accepted("/tenantRef", &json!({}));
}

#[test]
fn a_policy_is_one_of_its_choices() {
    for (policy, choices) in
        [("managementPolicy", "Enforce or Observe"), ("deletionPolicy", "Delete or Retain"), ("adoptionPolicy", "IfEqual or Overwrite")]
    {
        for value in [json!("enforce"), json!("Always"), json!(true), json!({})] {
            assert_eq!(refused(&format!("/{policy}"), &value), (format!("spec.{policy}"), format!("must be {choices}")));
        }
        accepted(&format!("/{policy}"), &json!(null));
    }
}

#[test]
fn policies_are_read_from_any_spec_and_doubt_writes_and_removes_nothing() {
    let read = |spec: Value| policies(&spec);
    let default = Policies { tenant: "default".into(), management: ManagementPolicy::Enforce, deletion: DeletionPolicy::Delete };
    for spec in [json!({}), json!(null), json!({"managementPolicy": null, "deletionPolicy": null, "params": 1})] {
        assert_eq!(read(spec), default);
    }
    let said = read(json!({"tenantRef": {"name": "other"}, "managementPolicy": "Observe", "deletionPolicy": "Retain", "params": {}}));
    assert_eq!(said, Policies { tenant: "other".into(), management: ManagementPolicy::Observe, deletion: DeletionPolicy::Retain });
    for doubt in [json!("Sometimes"), json!(1), json!(true), json!({}), json!([])] {
        let read = read(json!({"managementPolicy": doubt, "deletionPolicy": doubt}));
        assert_eq!((read.management, read.deletion), (ManagementPolicy::Observe, DeletionPolicy::Retain), "{doubt}");
    }
}

#[test]
fn no_refusal_quotes_a_value() {
    for (pointer, value) in [
        ("/params/blog", json!({"value": "MARK\n"})),
        ("/params/blog", json!({"alias": "MARK"})),
        ("/params/blog", json!("MARK")),
        ("/connection", json!({"id": "MARK"})),
        ("/connection", json!({"name": "MARK/"})),
        ("/managementPolicy", json!("MARK")),
        ("/tenantRef/name", json!("MARK")),
    ] {
        assert!(!spec(&with(pointer, &value)).unwrap_err().to_string().contains("MARK"), "{pointer}");
    }
}

// ---- against the connection ----

fn check(names: &[&str], strategy: &str, options: &str, allowed: &[&str]) -> Result<Vec<String>, (UnfitReason, String)> {
    let params: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), json!({"value": "x"}))).collect();
    let spec = with_params(&Value::Object(params)).unwrap();
    let document = Document::parse(&format!(r#"{{"id":"con_1","name":"wordpress","strategy":"{strategy}","options":{options}}}"#)).unwrap();
    against_connection(&spec, &document, &allowed.iter().map(|name| (*name).to_owned()).collect())
}

fn reason(result: Result<Vec<String>, (UnfitReason, String)>) -> Option<UnfitReason> {
    result.err().map(|(reason, _)| reason)
}

#[test]
fn a_connection_without_an_authorization_request_is_refused() {
    for (strategy, options) in [("samlp", "{}"), ("auth0", "{}"), ("sms", "{}"), ("waad", r#"{"waad_protocol":"ws-federation"}"#)] {
        assert_eq!(reason(check(&["blog"], strategy, options, &[])), Some(UnfitReason::UnsupportedStrategy), "{strategy}");
    }
    assert_eq!(check(&["blog"], "waad", "{}", &[]), Ok(vec![]));
}

#[test]
fn a_reserved_parameter_is_refused_unless_the_tenant_allows_it_by_name() {
    assert!(RESERVED.is_sorted());
    for name in
        ["state", "State", "NONCE", "redirect_uri", "code_challenge", "client_secret", "access_token", "oauth_anything", "SAMLRequest"]
    {
        assert_eq!(reason(check(&[name], "oauth2", "{}", &["blog"])), Some(UnfitReason::ReservedParam), "{name}");
        assert_eq!(check(&[name], "oauth2", "{}", &[name]), Ok(vec![]), "{name}");
    }
    for name in ["login_hint", "prompt", "audience", "ui_locales", "blog", "states", "id_token_hint"] {
        assert_eq!(check(&[name], "oauth2", "{}", &[]), Ok(vec![]), "{name}");
    }
}

#[test]
fn facebook_takes_at_most_ten() {
    let names: Vec<String> = (0..11).map(|n| format!("p{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(reason(check(&names, "facebook", "{}", &[])), Some(UnfitReason::InvalidSpec));
    assert_eq!(check(&names[..10], "facebook", "{}", &[]), Ok(vec![]));
    assert_eq!(check(&names, "oauth2", "{}", &[]), Ok(vec![]));
}

#[test]
fn what_is_unusual_is_accepted_with_a_warning() {
    let warned = |names: &[&str], strategy: &str, options: &str| check(names, strategy, options, &[]).unwrap().len();
    assert_eq!(warned(&["blog"], "invented", "{}"), 1);
    assert_eq!(warned(&["blog"], "twitter", "{}"), 1);
    assert_eq!(warned(&["scope"], "oauth2", "{}"), 1);
    assert_eq!(warned(&["blog", "lang"], "oauth2", r#"{"authParams":{"blog":"y","other":1}}"#), 1);
    assert_eq!(warned(&["scope"], "evernote", r#"{"authParams":{"scope":"y"}}"#), 3);
    assert_eq!(warned(&["blog"], "oauth2", r#"{"authParams":"blog"}"#), 0);
}

#[test]
fn a_placeholder_that_nothing_filled_in_is_warned_of_without_its_text() {
    let warnings = |value: &str| {
        let spec = spec(&json!({"connection": {"name": "x"}, "params": {"organization": {"value": value}}})).unwrap();
        let document = Document::parse(r#"{"id":"con_1","name":"x","strategy":"oidc","options":{}}"#).unwrap();
        against_connection(&spec, &document, &BTreeSet::new()).unwrap()
    };
    for value in [
        "${ORGANIZATION}",
        "https://${HOST:-x}/",
        "$(ORG_ID)",
        "{{ .Values.org }}",
        "{idp_org_id}",
        "https://example.com/{tenant}/x",
        "<your organization>",
    ] {
        let warnings = warnings(value);
        assert_eq!(warnings.len(), 1, "{value}");
        assert!(warnings[0].contains("the value of organization looks like a placeholder") && !warnings[0].contains(value), "{warnings:?}");
    }
    for value in ["org_1", "$100", "a{}b", "${}", "{\"userinfo\":{\"email\":null}}", "{\"a\": {}}", "1 < 2 > 1?", "a <b", "#{}", "x}{y"] {
        assert_eq!(warnings(value), Vec::<String>::new(), "{value}");
    }
}

// ---- all that is wrong ----

#[test]
fn all_refusals_are_told_in_the_order_of_the_fields() {
    let all = refusals(&json!({
        "tenantRef": {"name": "A"},
        "connection": {"name": "a", "id": "con_1"},
        "params": {"a b": {"value": "x"}, "blog": {"value": 5}, "ok": {"value": "x"}, "z": {"alias": "state"}},
        "managementPolicy": "x",
        "adoptionPolicy": "x",
    }));
    let told: Vec<&str> = all.iter().map(|refusal| refusal.field.as_str()).collect();
    assert_eq!(
        told,
        [
            "spec.tenantRef.name",
            "spec.managementPolicy",
            "spec.connection",
            "spec.params",
            "spec.params[blog].value",
            "spec.params[z].alias",
            "spec.adoptionPolicy",
        ]
    );
    assert_eq!(refusals(&with("/adoptionPolicy", &json!(null))), []);
}
