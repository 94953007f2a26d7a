//! What goes back is what came, as text.

use super::*;

fn document(options: &str) -> Document {
    Document::parse(&format!(r#"{{"id":"con_1","name":"wordpress","strategy":"oauth2","options":{options}}}"#)).unwrap()
}

fn set(name: &str, text: &str) -> BTreeMap<String, Option<Entry>> {
    BTreeMap::from([(name.to_owned(), Some(Entry::Value(text.to_owned())))])
}

fn removal(name: &str) -> BTreeMap<String, Option<Entry>> {
    BTreeMap::from([(name.to_owned(), None)])
}

fn body(options: &str, changes: &BTreeMap<String, Option<Entry>>) -> String {
    document(options).patch_body(changes).unwrap().as_str().to_owned()
}

#[test]
fn everything_that_is_not_ours_goes_back_as_the_text_it_came_as() {
    let options = r#"{ "z":1.10, "big":123456789012345678901234567890, "exp":1E+2,
        "esc":"\u00e4\/\ud83d\ude00\"", "null":null, "nest":{"b":{ "c" : [ 1 , {"d":null}] },"a":""},
        "upstream_params":{"theirs":{"value":"a","note":"\u0041"}, "odd" : "bare", "mine":{"value":"old"}, "last":null}, "a":[] }"#;
    let expected = concat!(
        r#"{"options":{"z":1.10,"big":123456789012345678901234567890,"exp":1E+2,"esc":"\u00e4\/\ud83d\ude00\"","null":null,"#,
        r#""nest":{"b":{ "c" : [ 1 , {"d":null}] },"a":""},"#,
        r#""upstream_params":{"theirs":{"value":"a","note":"\u0041"},"odd":"bare","mine":{"value":"new"},"last":null},"a":[]}}"#
    );
    assert_eq!(body(options, &set("mine", "new")), expected);
}

#[test]
fn members_that_come_twice_go_back_twice_unless_they_are_ours() {
    assert_eq!(body(r#"{"a":1,"a":2}"#, &set("x", "1")), r#"{"options":{"a":1,"a":2,"upstream_params":{"x":{"value":"1"}}}}"#);
    let twice = r#"{"upstream_params":{"k":{"value":"1"},"o":1,"k":{"value":"2"},"o":2}}"#;
    assert_eq!(document(twice).live().unwrap()["k"], Live::Entry(Entry::Value("2".into())), "readers take the last");
    assert_eq!(body(twice, &set("k", "3")), r#"{"options":{"upstream_params":{"k":{"value":"3"},"o":1,"o":2}}}"#);
    assert_eq!(body(twice, &removal("k")), r#"{"options":{"upstream_params":{"o":1,"o":2}}}"#);
}

#[test]
fn values_are_escaped_and_names_are_compared_decoded() {
    assert_eq!(body("{}", &set("x", "a\"\\\u{e4}")), "{\"options\":{\"upstream_params\":{\"x\":{\"value\":\"a\\\"\\\\\u{e4}\"}}}}");
    assert_eq!(body(r#"{"upstream_par\u0061ms":{"\u0078":{"value":"1"}}}"#, &removal("x")), r#"{"options":{}}"#);
    let alias = BTreeMap::from([("x".to_owned(), Some(Entry::Alias(Alias::LoginHint)))]);
    assert_eq!(body("{}", &alias), r#"{"options":{"upstream_params":{"x":{"alias":"login_hint"}}}}"#);
}

#[test]
fn names_of_others_go_back_as_they_are_spelled() {
    let options = r#"{"caf\u00e9\/":1,"\u2028":2,"upstream\u005fparams":{"th\u0065irs":{"value":"1"},"\u0078":{"value":"2"}},"z":3}"#;
    let expected =
        r#"{"options":{"caf\u00e9\/":1,"\u2028":2,"upstream\u005fparams":{"th\u0065irs":{"value":"1"},"\u0078":{"value":"3"}},"z":3}}"#;
    assert_eq!(body(options, &set("x", "3")), expected);
    assert_eq!(document(options).live().unwrap().into_keys().collect::<Vec<_>>(), ["theirs", "x"]);
}

#[test]
fn a_name_that_is_no_text_is_carried_and_hides_nothing() {
    let options =
        r#"{"\ud800":{"\udc00":1},"upstream_params":{"\ud83d":{"value":"theirs"},"x":{"value":"1"}},"authParams":{"\ud800":"a","b":"c"}}"#;
    let document = document(options);
    assert_eq!(document.live().unwrap().into_keys().collect::<Vec<_>>(), ["x"]);
    assert_eq!(document.option_names("authParams"), ["b"]);
    assert!(document.foreign_hash().is_some());
    assert_eq!(body(options, &removal("x")), format!(r#"{{"options":{}}}"#, options.replace(r#","x":{"value":"1"}"#, "")));
    let only = r#"{"upstream_params":{"x":{"\ud800":"1"}}}"#;
    let parsed = Document::parse(&format!(r#"{{"id":"con_1","name":"n","strategy":"s","options":{only}}}"#)).unwrap();
    assert_eq!(parsed.live().unwrap()["x"], Live::Foreign);
}

#[test]
fn depth_is_no_limit() {
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let options = format!(r#"{{"deep":{deep}}}"#);
    assert!(body(&options, &set("x", "1")).contains(&deep));
    assert!(document(&options).foreign_hash().is_some());
}

#[test]
fn the_display_name_goes_back_when_there_was_one_and_nothing_else_of_the_connection_does() {
    let read = |members: &str| {
        let text = format!(
            r#"{{"id":"con_1","name":"n","strategy":"oauth2","enabled_clients":["c"],"is_domain_connection":false{members},"options":{{}}}}"#
        );
        Document::parse(&text).unwrap().patch_body(&set("x", "1")).unwrap().as_str().to_owned()
    };
    assert_eq!(read(""), r#"{"options":{"upstream_params":{"x":{"value":"1"}}}}"#);
    assert_eq!(read(r#","display_name":"\u0041 b""#), r#"{"options":{"upstream_params":{"x":{"value":"1"}}},"display_name":"\u0041 b"}"#);
    assert_eq!(read(r#","display_name":null"#), read(""), "the API takes a text only");
}

#[test]
fn options_that_are_hidden_or_not_an_object_can_never_be_written() {
    let read = |options: &str| Document::parse(&format!(r#"{{"id":"con_1","name":"n","strategy":"oauth2"{options}}}"#)).unwrap();
    for (options, error) in [
        ("", DocumentError::OptionsHidden),
        (r#","options":null"#, DocumentError::OptionsUnusable),
        (r#","options":[]"#, DocumentError::OptionsUnusable),
        (r#","options":"{}""#, DocumentError::OptionsUnusable),
    ] {
        let document = read(options);
        assert_eq!(document.live(), Err(error));
        assert_eq!(document.patch_body(&set("x", "1")), Err(error));
        assert_eq!(document.patch_body(&BTreeMap::new()), Err(error));
        assert_eq!((document.foreign_hash(), document.options_hash()), (None, None));
    }
    assert!(DocumentError::OptionsHidden.to_string().contains("read:connections_options"));
}

#[test]
fn a_name_that_is_no_text_is_carried_as_it_came() {
    let options = r#"{"a\ud800":1,"\u0062\/":{"\udfff":[]},"upstream_params":{"x\ud83d":{"value":"y"},"blog":{"value\ud800":1}}}"#;
    let document = document(options);
    assert_eq!(document.live().unwrap(), BTreeMap::from([("blog".to_owned(), Live::Foreign)]));
    let expected = options.replace(r#","blog""#, r#","blog":{"value\ud800":1},"x":{"value":"1"}}}"#);
    let expected = expected.split_once(r#"1"}}}"#).map(|(front, _)| format!("{{\"options\":{front}1\"}}}}}}}}")).unwrap();
    assert_eq!(body(options, &set("x", "1")), expected);
    assert_eq!(document.foreign_hash(), self::document(options).foreign_hash());
    assert_ne!(document.foreign_hash(), self::document(&options.replace("a\\ud800", "a\\ud801")).foreign_hash());
}

#[test]
fn null_and_absent_parameters_are_none_and_any_other_shape_is_refused() {
    for options in ["{}", r#"{"upstream_params":null}"#, r#"{"upstream_params":{}}"#] {
        assert_eq!(document(options).live(), Ok(BTreeMap::new()), "{options}");
        assert_eq!(body(options, &set("x", "1")), r#"{"options":{"upstream_params":{"x":{"value":"1"}}}}"#);
    }
    for options in [
        r#"{"upstream_params":[]}"#,
        r#"{"upstream_params":"x"}"#,
        r#"{"upstream_params":1}"#,
        r#"{"upstream_params":{},"upstream_params":{}}"#,
    ] {
        assert_eq!(document(options).live(), Err(DocumentError::ParamsNotAnObject), "{options}");
        assert_eq!(document(options).patch_body(&set("x", "1")), Err(DocumentError::ParamsNotAnObject), "{options}");
    }
}

#[test]
fn removing_the_last_entry_omits_the_field() {
    assert_eq!(body(r#"{"a":1,"upstream_params":{"x":{"value":"1"}},"b":2}"#, &removal("x")), r#"{"options":{"a":1,"b":2}}"#);
    assert_eq!(body(r#"{"upstream_params":{"x":{"value":"1"},"y":1}}"#, &removal("x")), r#"{"options":{"upstream_params":{"y":1}}}"#);
}

#[test]
fn an_entry_is_exactly_one_text_or_one_of_twelve_aliases() {
    let live = |entry: &str| document(&format!(r#"{{"upstream_params":{{"x":{entry}}}}}"#)).live().unwrap().remove("x").unwrap();
    assert_eq!(live(r#"{"value":"\u0061"}"#), Live::Entry(Entry::Value("a".into())));
    assert_eq!(live(r#"{ "alias" : "login_hint" }"#), Live::Entry(Entry::Alias(Alias::LoginHint)));
    for foreign in [
        "null",
        "{}",
        "[]",
        "\"a\"",
        "1",
        r#"{"value":"a","alias":"login_hint"}"#,
        r#"{"value":"a","more":1}"#,
        r#"{"value":"a","value":"a"}"#,
        r#"{"value":null}"#,
        r#"{"value":1}"#,
        r#"{"alias":"Login_hint"}"#,
        r#"{"alias":"state"}"#,
        r#"{"text":"a"}"#,
        r#"{"value":"\ud800"}"#,
    ] {
        assert_eq!(live(foreign), Live::Foreign, "{foreign}");
    }
}

#[test]
fn a_connection_needs_an_id_a_name_and_a_strategy() {
    for text in
        ["", "null", "[]", "{", r#"{"id":"con_1"}"#, r#"{"id":"con_1","name":"","strategy":"s"}"#, r#"{"id":1,"name":"n","strategy":"s"}"#]
    {
        assert!(matches!(Document::parse(text), Err(DocumentError::NotAConnection(_))), "{text}");
    }
}

#[test]
fn a_list_comes_in_three_shapes() {
    let one = r#"{"id":"con_1","name":"n","strategy":"s"}"#;
    for text in [
        format!("[{one}]"),
        format!(r#"{{"connections":[{one}],"next":"x"}}"#),
        format!(r#"{{"start":0,"limit":50,"length":1,"total":1,"connections":[{one}]}}"#),
    ] {
        assert_eq!(Document::parse_list(&text).unwrap().len(), 1, "{text}");
    }
    assert_eq!(Document::parse_list("[]").unwrap().len(), 0);
    for text in ["{}", "null", one, r#"{"connections":null}"#, "[1]"] {
        assert!(Document::parse_list(text).is_err(), "{text}");
    }
}

#[test]
fn the_foreign_hash_asks_for_meaning_and_ignores_what_is_ours() {
    let hash = |options: &str| document(options).foreign_hash().unwrap();
    let one = hash(r#"{"a":{"x":[1,2],"y":"\u00e4"},"b":null,"upstream_params":{"k":{"value":"1"}}}"#);
    assert_eq!(one, hash("{ \"b\" : null , \"a\" : { \"y\" : \"\u{e4}\", \"x\" : [ 1 , 2 ] } }"));
    for other in [
        r#"{"a":{"x":[2,1],"y":"\u00e4"},"b":null}"#,
        r#"{"a":{"x":[1,2],"y":"a"},"b":null}"#,
        r#"{"a":{"x":[1,2],"y":"\u00e4"}}"#,
        r#"{"a":{"x":[1,2],"y":"\u00e4"},"b":"null"}"#,
        r#"{"a":{"x":[12],"y":"\u00e4"},"b":null}"#,
    ] {
        assert_ne!(one, hash(other), "{other}");
    }
    let all = |options: &str| document(options).options_hash().unwrap();
    assert_ne!(all(r#"{"upstream_params":{"k":{"value":"1"}}}"#), all(r#"{"upstream_params":{"k":{"value":"2"}}}"#));
    for none in [r#"{"upstream_params":null}"#, r#"{"upstream_params":{}}"#] {
        assert_eq!(all("{}"), all(none));
    }
    assert_ne!(all("{}"), all(r#"{"upstream_params":[]}"#));
}

#[test]
fn a_fingerprint_is_of_one_place_one_name_and_one_entry() {
    let print = |tenant: &str, connection: &str, name: &str, entry: &Entry| fingerprint(&tenant.into(), &connection.into(), name, entry);
    let base = print("t", "con_1", "blog", &Entry::Value("x".into()));
    assert!(base.len() == 16 && base.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()));
    let others = [
        print("u", "con_1", "blog", &Entry::Value("x".into())),
        print("t", "con_2", "blog", &Entry::Value("x".into())),
        print("t", "con_1", "lang", &Entry::Value("x".into())),
        print("t", "con_1", "blog", &Entry::Value("y".into())),
        print("t", "con_1", "blog", &Entry::Alias(Alias::Prompt)),
        print("t", "con_1b", "log", &Entry::Value("x".into())),
    ];
    assert!(others.iter().all(|other| *other != base));
    assert_ne!(
        print("t", "con_c", "n", &Entry::Value("prompt".into())),
        print("t", "con_c", "n", &Entry::Alias(Alias::Prompt)),
        "a static value is not the alias of that name"
    );
    // Records outlive the process that made them: this text may never change.
    assert_eq!(base, "5a01e6898e106674");
}

#[test]
fn nothing_that_can_be_printed_shows_a_secret() {
    let document = document(r#"{"client_secret":"MARK","upstream_params":{"x":{"value":"MARK"}}}"#);
    let body = document.patch_body(&set("y", "MARK")).unwrap();
    assert!(!format!("{document:?} {body:?}").contains("MARK"));
}
