//! What is exported of connections of every kind, and that nothing has to be written to adopt it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::cli::export::yaml;
use crate::core::pass::claims::ConnectionRef;
use crate::core::pass::plan::{ConnectionState, Participant, Role, plan};
use crate::core::spec::Spec;
use crate::tests::builders::{TENANT, object};
use crate::tests::seeds;

const FIRST_DAY: Policies =
    Policies { management: ManagementPolicy::Observe, adoption: AdoptionPolicy::IfEqual, deletion: DeletionPolicy::Retain };

fn document(number: usize, name: &str, strategy: &str, params: &Value) -> Document {
    let text = json!({"id": format!("con_{number}"), "name": name, "strategy": strategy, "options": {"upstream_params": params}});
    Document::parse(&text.to_string()).unwrap()
}

fn exported(documents: &[Document], reserved: &[&str]) -> Vec<Item> {
    let reserved: BTreeSet<String> = reserved.iter().map(|name| (*name).to_owned()).collect();
    let wanted = Wanted { namespace: "shop", tenant: Some("main"), policies: FIRST_DAY, pattern: None, reserved: &reserved };
    items(documents, &wanted, None)
}

/// Each item in a line: the object, its connection and its parameters, or why there is none.
fn told(items: &[Item]) -> Vec<String> {
    let line = |item: &Item| match item {
        Item::Manifest(one) => format!("{} {} {:?}", one.name, one.target, one.params.keys().collect::<Vec<_>>()),
        Item::Skipped { connection, why } => format!("{connection}: {why}"),
    };
    items.iter().map(line).collect()
}

/// The specs in a text of manifests, as a reader of YAML has them.
fn read_back(text: &str) -> Vec<Value> {
    let documents = text.split("---\n").skip(1);
    documents.map(|document| serde_saphyr::from_str::<Value>(document).unwrap_or_else(|error| panic!("{error}\n{document}"))).collect()
}

#[test]
fn what_is_left_out_is_said_with_why() {
    let documents = [
        document(1, "Shop", "oidc", &json!({"blog": {"value": "1"}, "odd": "text", "state": {"value": "x"}, "empty": {"value": ""}})),
        document(2, "a_b", "oidc", &json!({"blog": {"alias": "login_hint"}})),
        document(3, "bare", "oidc", &json!({})),
        document(4, "broken", "oidc", &json!(7)),
        document(5, "saml", "samlp", &json!({"blog": {"value": "1"}})),
        document(6, "shop", "oidc", &json!({"bad name": {"value": "1"}})),
    ];
    let items = exported(&documents, &[]);
    let told = told(&items);
    assert!(told[0].starts_with("shop-") && told[0].ends_with(r#" Shop ["blog"]"#), "{told:?}");
    assert_eq!(told[1], r#"a-b con_2 ["blog"]"#);
    assert!(told[2].starts_with("broken: options.upstream_params of the connection is not a JSON object"), "{told:?}");
    assert!(told[3].starts_with("saml: upstream parameters do nothing on a connection of type samlp (SAML)"), "{told:?}");
    assert!(told[4].starts_with("shop: bad name is left out: a parameter name consists of"), "{told:?}");
    assert_eq!(told.len(), 5);
    let Item::Manifest(first) = &items[0] else { panic!("an object") };
    let said: Vec<&str> = first.notes.iter().map(|note| note.split(':').next().unwrap()).collect();
    assert_eq!(said, ["empty is left out", "odd is left out", "state is left out"]);
    let with_state = exported(&documents[..1], &["state"]);
    assert!(self::told(&with_state)[0].ends_with(r#"["blog", "state"]"#));
}

#[test]
fn more_parameters_than_one_object_holds_make_several() {
    let params = |count: usize| -> Value {
        (0..count).map(|nth| (format!("p{nth:02}"), json!({"value": "x"}))).collect::<serde_json::Map<_, _>>().into()
    };
    let documents = [document(1, "face", "facebook", &params(11)), document(2, "shop", "oidc", &params(31))];
    let sizes: Vec<(String, usize)> = exported(&documents, &[])
        .iter()
        .map(|item| match item {
            Item::Manifest(one) => (one.name.clone(), one.params.len()),
            Item::Skipped { why, .. } => panic!("{why}"),
        })
        .collect();
    let expected = [("face", 10), ("face-part2", 1), ("shop", 30), ("shop-part2", 1)];
    assert_eq!(sizes, expected.map(|(name, size)| (name.to_owned(), size)));
}

#[test]
fn the_text_is_quoted_and_is_the_same_each_time() {
    let documents = [document(1, "shop", "oidc", &json!({"on": {"value": "5"}, "b": {"value": "no: # \"x\""}, "a": {"alias": "prompt"}}))];
    let text = || yaml::text(&["head\nline".to_owned()], &exported(&documents, &[]));
    expect_test::expect![[r#"
        # head\u000aline
        ---
        apiVersion: "upstreamparams.dev/v1alpha1"
        kind: "UpstreamParams"
        metadata:
          name: "shop"
          namespace: "shop"
        spec:
          tenantRef:
            name: "main"
          connection:
            name: "shop"
          managementPolicy: "Observe"
          adoptionPolicy: "IfEqual"
          deletionPolicy: "Retain"
          params:
            "a":
              alias: "prompt"
            "b":
              value: "no: # \"x\""
            "on":
              value: "5"
    "#]]
    .assert_eq(&text());
    assert_eq!(text(), text());
}

/// Entries of the shapes that tenants have, and of others.
fn entry() -> impl Strategy<Value = Value> {
    let odd = prop::sample::select(vec![json!(null), json!("x"), json!({}), json!({"value": 1}), json!({"alias": "scope"}), json!([])]);
    let alias = prop::sample::select(vec!["login_hint", "prompt", "audience", "client_id"]);
    prop_oneof![
        4 => "[ -~]{0,20}|\\PC{0,12}|(yes|no|on|5|1_000|0o7|null|~|1e3|true|2020-01-01)".prop_map(|text| json!({"value": text})),
        1 => "\\p{any}{0,8}".prop_map(|text| json!({"value": text})),
        2 => alias.prop_map(|alias| json!({"alias": alias})),
        1 => alias_and_value(),
        1 => odd,
    ]
}

fn alias_and_value() -> impl Strategy<Value = Value> {
    "[a-z]{1,3}".prop_map(|text| json!({"value": text, "alias": "prompt"}))
}

fn params() -> impl Strategy<Value = BTreeMap<String, Value>> {
    prop::collection::btree_map("[a-zA-Z0-9._-]{1,6}|on|no|yes|null|5|1e3|state|\\PC{0,4}", entry(), 0..6)
}

#[test]
fn whatever_a_connection_has_applying_its_export_changes_nothing() {
    let strategies = prop::sample::select(vec!["oidc", "facebook", "twitter", "samlp", "tomorrow"]);
    let connection = ("[a-zA-Z0-9-]{1,5}|\\PC{1,5}", strategies, params());
    seeds::hold(300, &prop::collection::vec(connection, 1..4), |connections| {
        let mut names = BTreeSet::new();
        let documents: Vec<Document> = connections
            .iter()
            .enumerate()
            .filter(|(_, (name, ..))| names.insert(name.clone()))
            .map(|(nth, (name, strategy, params))| document(nth, name, strategy, &json!(params)))
            .collect();
        let items = exported(&documents, &["state", "client_id"]);
        let text = yaml::text(&[], &items);
        let manifests = items.iter().filter_map(|item| if let Item::Manifest(one) = item { Some(one) } else { None });
        let read = read_back(&text);
        let manifests: Vec<&Manifest> = manifests.collect();
        prop_assert_eq!(manifests.len(), read.len());
        let mut objects = BTreeSet::new();
        for (manifest, read) in manifests.into_iter().zip(read) {
            prop_assert_eq!(&read["spec"], &manifest.spec());
            prop_assert!(objects.insert(read["metadata"]["name"].to_string()), "two of one name");
            let spec = spec::spec(&read["spec"]).map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
            nothing_to_write(&documents, spec)?;
        }
        Ok(())
    });
}

/// Plans for an object with this spec, as one that may write and as one that observes.
fn nothing_to_write(documents: &[Document], spec: Spec) -> Result<(), TestCaseError> {
    let named = |document: &&Document| match &spec.target {
        Target::Name(name) => document.name == **name,
        Target::Id(id) => document.id == **id,
    };
    let document = documents.iter().find(named).ok_or_else(|| TestCaseError::fail("it names no connection"))?;
    let live = document.live().map_err(|error| TestCaseError::fail(error.to_string()))?;
    let connection_ref = ConnectionRef { tenant: &TENANT, connection: &document.id };
    let state = ConnectionState { connection_ref, live: &live, disputes: &BTreeMap::new(), unsettled: false };
    let mut declared = object("exported");
    declared.spec = Ok(spec);
    for role in [Role::Owner, Role::Observer] {
        let plan = plan(state, &[Participant { object: &declared, role }], false);
        prop_assert!(plan.changes.is_empty() && plan.would.is_empty(), "{}", plan.with_values());
    }
    Ok(())
}
