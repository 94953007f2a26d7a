//! What holds of every document and every change of it.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;
use crate::api::upstream_params::Alias;
use crate::tests::seeds;

/// The parameters of the documents and of the changes.
const NAMES: [&str; 4] = ["blog", "lang", "hint", "state"];

fn entry(number: usize) -> Entry {
    match number {
        0 => Entry::Alias(Alias::LoginHint),
        _ => Entry::Value(format!("v{number}")),
    }
}

/// The members of a JSON object as text.
fn members(text: &str) -> BTreeMap<String, String> {
    let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).unwrap();
    members.into_iter().map(|(name, raw)| (name, raw.get().to_owned())).collect()
}

/// A JSON object of members that are text already.
fn join(members: &BTreeMap<String, String>) -> String {
    let members: Vec<String> = members.iter().map(|(name, text)| format!("{}:{text}", Value::from(name.as_str()))).collect();
    format!("{{{}}}", members.join(","))
}

/// The text of any JSON value, in spellings that a careless round trip would change.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "null",
        "true",
        "0",
        "-0.0",
        "1.10",
        "1E+2",
        "123456789012345678901234567890",
        r#""""#,
        r#""\u00e4\/\ud83d\ude00""#,
        r#""\ud800""#,
        "{ }",
        "[ ]",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(3, 12, 3, |inner| {
        let member = (prop::sample::select(vec!["a", "b", "upstream_params", "a\\u0062"]), inner.clone());
        prop_oneof![
            vec(inner, 0..3).prop_map(|items| format!("[ {} ]", items.join(" ,"))),
            vec(member, 0..3).prop_map(|members| {
                let members: Vec<String> = members.iter().map(|(name, text)| format!("\"{name}\" : {text}")).collect();
                format!("{{{}}}", members.join(", "))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(seeds::cases(512))]

    #[test]
    fn what_no_change_names_goes_back_as_the_text_it_came_as(
        foreign in proptest::collection::btree_map("[a-z\u{e4} \"\\\\]{0,6}", json(), 0..5),
        params in proptest::collection::btree_map(prop::sample::select(NAMES.to_vec()), json(), 0..4),
        changes in proptest::collection::btree_map(prop::sample::select(NAMES.to_vec()), proptest::option::of(0..4_usize), 0..4),
    ) {
        let texts = |map: BTreeMap<&str, String>| map.into_iter().map(|(name, text)| (name.to_owned(), text)).collect::<BTreeMap<_, _>>();
        let mut foreign: BTreeMap<String, String> = foreign;
        foreign.remove("upstream_params");
        let params = texts(params);
        let mut options = foreign.clone();
        options.insert("upstream_params".into(), join(&params));
        let text = format!(r#"{{"id":"con_1","name":"n","strategy":"s","options":{}}}"#, join(&options));
        let document = Document::parse(&text).unwrap();
        let changes: BTreeMap<String, Option<Entry>> =
            changes.into_iter().map(|(name, number)| (name.to_owned(), number.map(entry))).collect();
        let mut body = members(document.patch_body(&changes).unwrap().as_str());
        let mut sent = members(&body.remove("options").unwrap());
        prop_assert!(body.is_empty());
        let sent_params = sent.remove("upstream_params");
        prop_assert_eq!(sent, foreign);
        let mut expected = params;
        for (name, change) in changes {
            match change {
                Some(entry) => drop(expected.insert(name, entry.canonical())),
                None => drop(expected.remove(&name)),
            }
        }
        prop_assert_eq!(sent_params.is_none(), expected.is_empty(), "the last entry takes the field with it");
        prop_assert_eq!(sent_params.map(|text| members(&text)).unwrap_or_default(), expected);
    }

    #[test]
    fn no_text_makes_reading_a_document_panic(text in "\\PC*", value in json()) {
        for text in [text, format!(r#"{{"id":"con_1","name":"n","strategy":"s","options":{value}}}"#)] {
            drop(Document::parse_list(&text));
            if let Ok(document) = Document::parse(&text) {
                let _ = (document.live(), document.foreign_hash(), document.options_hash(), document.option_names("a"));
                let _ = document.patch_body(&BTreeMap::from([("blog".to_owned(), Some(entry(1)))]));
            }
        }
    }
}
