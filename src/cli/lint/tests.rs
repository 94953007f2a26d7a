//! What lint says of the fixtures that the API server is asked about, and of what no fixture holds.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;

const HEAD: &str = "apiVersion: upstreamparams.dev/v1alpha1\nkind: UpstreamParams\nmetadata: {name: a, namespace: shop}\n";
const TENANT: &str = "apiVersion: upstreamparams.dev/v1alpha1\nkind: ClusterAuth0Tenant\n";

fn files(texts: &[(&str, &str)]) -> Files {
    let mut files = Files::default();
    for (name, text) in texts {
        files.files += 1;
        files.take((*name).to_owned(), text.as_bytes().to_vec());
    }
    files
}

fn lint(text: &str) -> Report {
    Report::of(&files(&[("x.yaml", text)]), &[])
}

fn known(text: &Value) -> Vec<Known> {
    vec![serde_json::from_value(text.clone()).unwrap()]
}

/// What was found, as lines and ids of rules.
fn rules(report: &Report) -> Vec<(usize, &'static str)> {
    report.findings.iter().map(|finding| (finding.place.line, finding.rule.id())).collect()
}

fn fixtures(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = format!("{}/tests/fixtures/{folder}", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_invalid_fixture_is_refused_with_the_message_in_its_first_line() {
    let fixtures = fixtures("invalid");
    assert!(fixtures.len() > 100);
    for (path, text) in fixtures {
        let announced = text.lines().next().and_then(|line| line.strip_prefix("# refused: ")).unwrap();
        let report = lint(&text);
        let says_it = |finding: &Finding| finding.rule.severity() == Severity::Error && finding.message.contains(announced);
        let found = report.findings.iter().find(|finding| says_it(finding));
        assert!(found.is_some_and(|finding| finding.place.line > 1), "{}: {:#?}", path.display(), report.findings);
    }
}

#[test]
fn every_valid_fixture_and_every_example_passes() {
    let mut several = 0;
    for (path, text) in fixtures("valid") {
        let mut found = rules(&lint(&text));
        // In a fixture of several documents each is a change of the one before.
        let documents = text.split("\n---\n").count();
        several += documents - 1;
        let before = found.len();
        found.retain(|(_, rule)| *rule != "duplicate-object");
        assert_eq!(before - found.len(), documents - 1, "{}", path.display());
        // Every alias there is, among which are parameters that the login itself sets; and texts of all sorts.
        let expected = [("every-alias.yaml", "reserved-param"), ("text.yaml", "surrounding-blanks")];
        found.retain(|(_, rule)| !expected.iter().any(|(name, expected)| path.ends_with(name) && rule == expected));
        assert_eq!(found, [], "{}", path.display());
    }
    assert!(several > 0);
    let examples = files::read(&[PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/examples"))]);
    let report = Report::of(&examples, &[]);
    assert!(report.findings.iter().all(|finding| finding.rule.severity() == Severity::Note), "{:#?}", report.findings);
    assert!(report.documents >= 5);
}

#[test]
fn traps_of_yaml_are_told_where_they_are() {
    for (text, expected) in [
        ("blog: {value: 5}", Some("wrong-type")),
        ("blog: {value: true}", Some("wrong-type")),
        ("blog: {value: no}", Some("wrong-type")),
        ("blog: {value: on}", Some("wrong-type")),
        ("blog: {value: y}", Some("wrong-type")),
        ("blog: {value: 1e3}", Some("wrong-type")),
        ("blog: {value: 0x1f}", Some("wrong-type")),
        ("blog: {value: 0o17}", Some("wrong-type")),
        ("blog: {value: null}", Some("invalid-value")),
        ("blog: {value: ~}", Some("invalid-value")),
        ("blog:", Some("invalid-value")),
        ("blog: {value: 2026-01-01}", Some("ambiguous-text")),
        ("blog: {value: 12:30:45}", Some("ambiguous-text")),
        ("blog: {value: \"5\"}", None),
        ("blog: {value: !!str 5}", None),
        ("blog: {value: '2026-01-01'}", None),
        ("5: {value: x}", Some("unquoted-key")),
        ("2026-01-01: {value: x}", Some("unquoted-key")),
        ("on: {value: x}", Some("renamed-key")),
        ("0x1f: {value: x}", Some("renamed-key")),
        ("1e3: {value: x}", Some("renamed-key")),
        ("\"on\": {value: x}", None),
        ("blog: {value: ' x'}", Some("surrounding-blanks")),
        ("blog: {value: \"x\\n\"}", Some("invalid-value")),
        ("blog: {value: '${blog}'}", Some("placeholder")),
        ("blog: {value: '{{ .Values.blog }}'}", Some("placeholder")),
        ("state: {value: x}", Some("reserved-param")),
        ("scope: {value: openid}", Some("scope-param")),
    ] {
        let report = lint(&format!("{HEAD}spec:\n  connection: {{name: a}}\n  params:\n    other: {{value: x}}\n    {text}\n"));
        let expected: Vec<(usize, &str)> = expected.into_iter().map(|rule| (8, rule)).collect();
        assert_eq!(rules(&report), expected, "{text}: {:#?}", report.findings);
    }
}

#[test]
fn a_value_in_a_block_keeps_its_line_break_unless_told_not_to() {
    let with =
        |block: &str| lint(&format!("{HEAD}spec:\n  connection: {{name: a}}\n  params:\n    blog:\n      value: {block}\n        x\n"));
    let report = with("|");
    assert_eq!(rules(&report), [(9, "invalid-value")]);
    assert!(report.findings[0].help.as_ref().unwrap().contains("|-"));
    assert_eq!(rules(&with(">-")), []);
}

#[test]
fn an_alias_is_proposed_where_a_placeholder_names_one() {
    let help = |value: &str| {
        let report = lint(&format!("{HEAD}spec:\n  connection: {{name: a}}\n  params: {{blog: {{value: '{value}'}}}}\n"));
        report.findings[0].help.clone().unwrap()
    };
    assert!(help("${login_hint}").contains("alias: login_hint"));
    assert!(help("{{ui_locales}}").contains("alias: ui_locales"));
    assert!(!help("${ORG}").contains("alias"));
}

#[test]
fn what_was_meant_is_said() {
    let report = lint(&format!(
        "{HEAD}spec:\n  conection: {{name: a}}\n  connection: {{name: a}}\n  params: {{blog: {{alias: loginhint}}}}\n  managementPolicy: observe\n"
    ));
    let told: Vec<(&str, Option<&str>)> = report.findings.iter().map(|finding| (finding.rule.id(), finding.help.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("unknown-field", Some("did you mean connection?")),
            ("invalid-value", Some("did you mean login_hint?")),
            ("invalid-value", Some("did you mean Observe?")),
        ]
    );
    let other = lint(
        "apiVersion: upstreamparams.dev/v1alpha1\nkind: UpstreamParam\n---\napiVersion: upstreamparams.dev/v1\nkind: UpstreamParams\n",
    );
    assert_eq!(rules(&other), [(2, "unknown-kind"), (4, "unknown-kind")]);
    assert_eq!(other.findings[0].help.as_deref(), Some("did you mean UpstreamParams?"));
}

fn object(name: &str, spec: &str) -> String {
    format!("apiVersion: upstreamparams.dev/v1alpha1\nkind: UpstreamParams\nmetadata: {{name: {name}, namespace: shop}}\nspec: {spec}\n")
}

#[test]
fn two_objects_that_set_one_parameter_are_told_with_both_places() {
    let params = "params: {blog: {value: x}, own: {value: x}}";
    let by_name = object("a", &format!("{{connection: {{name: wordpress}}, {params}}}"));
    let again = object("b", "{connection: {name: wordpress}, params: {blog: {value: x}}}");
    let by_id = object("c", "{connection: {id: con_1}, params: {own: {value: x}}}");
    let observes = object("d", &format!("{{connection: {{name: wordpress}}, {params}, managementPolicy: Observe}}"));
    let elsewhere = object("e", &format!("{{tenantRef: {{name: other}}, connection: {{name: wordpress}}, {params}}}"));
    let texts = [("a.yaml", by_name.as_str()), ("b.yaml", &again), ("c.yaml", &by_id), ("d.yaml", &observes), ("e.yaml", &elsewhere)];
    let found = |known: &[Known]| {
        let report = Report::of(&files(&texts), known);
        let place = |finding: &Finding| (finding.place.file.clone(), finding.related[0].0.file.clone(), finding.rule);
        report.findings.iter().map(place).collect::<Vec<_>>()
    };
    let conflict = |file: &str| (file.to_owned(), "a.yaml".to_owned(), Rule::ConflictingParam);
    assert_eq!(found(&[]), [conflict("b.yaml")]);
    let known = known(&json!({"connections": [{"id": "con_1", "name": "wordpress", "strategy": "wordpress"}]}));
    assert_eq!(found(&known), [conflict("b.yaml"), conflict("c.yaml")]);
}

#[test]
fn an_object_that_is_there_twice_is_told_once_and_a_change_of_what_can_t_be_changed_too() {
    let one = object("a", "{connection: {name: x}, params: {blog: {value: x}}}");
    let other = object("a", "{tenantRef: {name: other}, connection: {name: x}, params: {blog: {value: x}}}");
    assert_eq!(rules(&lint(&format!("{one}---\n{one}"))), [(8, "duplicate-object")]);
    assert_eq!(rules(&lint(&format!("{one}---\n{other}"))), [(8, "duplicate-object"), (9, "immutable-field")]);
    assert_eq!(rules(&lint(&format!("{one}---\n{}", one.replace("shop", "blog").replace("name: x", "name: z")))), []);
}

fn tenant(name: &str, spec: &str) -> String {
    format!("{TENANT}metadata: {{name: {name}}}\nspec:\n  credentials: {{secretRef: {{name: s}}}}\n  {}\n", spec.replace("; ", "\n  "))
}

#[test]
fn two_objects_for_one_auth0_tenant_are_told() {
    let access = "access: [{namespaceSelector: {}, connections: ['*']}]";
    let one = tenant("a", &format!("domain: x.eu.auth0.com; {access}"));
    let custom = tenant("b", &format!("domain: login.example.com; audience: https://x.eu.auth0.com/api/v2/; {access}"));
    let other = tenant("c", &format!("domain: y.eu.auth0.com; {access}"));
    let report = lint(&format!("{one}---\n{custom}---\n{other}"));
    assert_eq!(rules(&report), [(14, "duplicate-tenant")]);
    assert_eq!(report.findings[0].related[0].0.line, 6);
}

#[test]
fn access_counts_where_tenant_and_namespace_are_in_the_files() {
    let access = "domain: x.eu.auth0.com; access: [{namespaceSelector: {matchLabels: {team: shop}}, connections: ['shop-*'], allowedReservedParams: [state]}]";
    let tenant = tenant("default", access);
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: shop}}\n";
    let with = |connection: &str, namespace: &str| {
        let object = object("a", &format!("{{connection: {connection}, params: {{state: {{value: x}}}}}}"));
        rules(&lint(&format!("{tenant}---\n{namespace}---\n{object}"))).into_iter().map(|(_, rule)| rule).collect::<Vec<_>>()
    };
    assert_eq!(with("{name: shop-a}", namespace), [""; 0]);
    assert_eq!(with("{name: blog}", namespace), ["not-permitted", "reserved-param"]);
    assert_eq!(with("{id: con_1}", namespace), ["reserved-param"]);
    let denied = object("a", "{connection: {name: blog}, params: {blog: {value: x}}}");
    let said = lint(&format!("{tenant}---\n{namespace}---\n{denied}")).findings.remove(0).message;
    let expected = "the ClusterAuth0Tenant default does not permit the namespace shop to use the connection blog, only shop-*; ask";
    assert!(said.starts_with(expected), "as the operator says it: {said}");
    assert_eq!(with("{id: con_1}", &namespace.replace("team: shop", "team: blog")), ["not-permitted", "reserved-param"]);
    assert_eq!(with("{name: blog}", "a: b\n"), ["reserved-param"]);
}

#[test]
fn objects_are_compared_with_the_connections_of_their_tenant() {
    let eleven: Vec<String> = (0..11).map(|nth| format!("p{nth}: {{value: x}}")).collect();
    let text = [
        object("a", "{connection: {name: wordpres}, params: {blog: {value: x}}}"),
        object("b", "{connection: {id: con_9}, params: {blog: {value: x}}}"),
        object("c", "{connection: {name: saml}, params: {blog: {value: x}}}"),
        object("d", &format!("{{connection: {{name: facebook}}, params: {{{}}}}}", eleven.join(", "))),
        object("e", "{connection: {name: odd}, params: {blog: {value: x}}}"),
        object("f", "{connection: {name: wordpress}, params: {blog: {value: x}}}"),
        object("g", "{tenantRef: {name: other}, connection: {name: nothing}, params: {blog: {value: x}}}"),
        tenant("other", "domain: y.eu.auth0.com; access: [{namespaceSelector: {}, connections: ['*']}]"),
    ]
    .join("---\n");
    let known = known(&json!({"domain": "x.eu.auth0.com", "connections": [
        {"id": "con_1", "name": "wordpress", "strategy": "wordpress", "supported": true, "parameters": {}},
        {"id": "con_2", "name": "saml", "strategy": "samlp", "supported": false},
        {"id": "con_3", "name": "facebook", "strategy": "facebook"},
        {"id": "con_4", "name": "odd", "strategy": "invented"},
    ]}));
    let report = Report::of(&files(&[("x.yaml", &text)]), &known);
    assert_eq!(
        rules(&report),
        [
            (4, "unknown-connection"),
            (9, "unknown-connection"),
            (14, "unsupported-connection"),
            (19, "too-many-for-connection"),
            (24, "unusual-connection"),
        ]
    );
    assert_eq!(report.findings[0].help.as_deref(), Some("did you mean wordpress?"));
}

/// Everything at once, and what is nobody's business.
fn all_sorts() -> Report {
    let text = format!(
        "{}---\n{}---\napiVersion: v1\nkind: Secret\nstringData: {{clientSecret: MARK}}\n---\n{HEAD}a: \u{9b}\n---\napiVersion: v1\nkind: Secret\nstringData: {{a: MARK\n",
        object("a", "{connection: {name: x}, params: {größe: {value: 5}, on: {alias: y}, state: {value: \"\\e[31m\"}}}"),
        object("b", "{connection: {name: x}, params: {state: {value: ' x'}}}"),
    );
    let mut files = files(&[("shop/my file.yaml", &text)]);
    let missing = files::read(&[PathBuf::from("missing\u{1b}.yaml")]);
    files.unread.extend(missing.unread);
    Report::of(&files, &[])
}

#[test]
fn sarif_is_what_its_schema_wants() {
    let report = all_sorts();
    let log = sarif::log(&report, None);
    let mut schema: Value = serde_json::from_str(include_str!("../../../tests/fixtures/sarif/sarif-schema-2.1.0.json")).unwrap();
    // As the errata of the standard correct it: the first edition's is no regular expression.
    for user in ["run", "toolComponent"] {
        schema["definitions"][user]["properties"]["language"]["pattern"] = json!("^[a-zA-Z]{2}(-[a-zA-Z]{2})?$");
    }
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problems: Vec<String> = validator.iter_errors(&log).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert_eq!(problems, [""; 0]);
    let run = &log["runs"][0];
    assert_eq!(run["results"].as_array().unwrap().len(), report.findings.len());
    assert!(report.findings.len() > 6, "{:#?}", report.findings);
    for (result, finding) in run["results"].as_array().unwrap().iter().zip(&report.findings) {
        let rule = &run["tool"]["driver"]["rules"][usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        let location = &result["locations"][0]["physicalLocation"];
        if finding.place.line > 0 {
            assert_eq!(location["artifactLocation"]["uri"], "shop/my%20file.yaml");
            assert_eq!(location["region"]["startLine"], finding.place.line);
        }
    }
    // A validator that takes anything would prove nothing.
    assert!(!validator.is_valid(&json!({"version": "2.1.0", "runs": [{"results": []}]})));
}

#[test]
fn ids_of_rules_are_told_once_and_in_kebab_case() {
    let mut ids: Vec<&str> = Rule::ALL.iter().map(|rule| rule.id()).collect();
    assert!(ids.iter().all(|id| id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), Rule::ALL.len());
}

#[test]
fn no_output_holds_anything_of_other_kinds_or_what_a_terminal_obeys() {
    let report = all_sorts();
    let human = human::text(&report);
    // Colours are taken out, or written, by what prints it.
    let shown = anstream::adapter::strip_str(&human).to_string();
    let outputs = [
        shown.clone(),
        serde_json::to_string(&machine::Printed::of(&report)).unwrap(),
        sarif::log(&report, None).to_string(),
        machine::workflow_commands(&report),
    ];
    for output in outputs {
        assert!(!output.contains("MARK"), "{output}");
    }
    assert!(human.chars().all(|c| !('\u{80}'..='\u{9f}').contains(&c)));
    assert!(shown.contains("missing\\u{1b}.yaml") && !shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn people_see_the_line_and_what_is_meant_in_it() {
    let report = lint(&format!("{HEAD}spec:\n  connection: {{name: a}}\n  params: {{blog: &b {{value: 5}}, other: *b}}\n"));
    let shown = anstream::adapter::strip_str(&human::text(&report)).to_string();
    expect_test::expect![[r#"
        error[wrong-type]: spec.params.blog.value: Invalid value: must be of type string, and is a number; put it in quotes
         --> x.yaml:6:29
          |
        6 |   params: {blog: &b {value: 5}, other: *b}
          |                             ^
          |
          = help: write "5"
          = UpstreamParams shop/a

        error[wrong-type]: spec.params.other.value: Invalid value: must be of type string, and is a number; put it in quotes
         --> x.yaml:6:29
          |
        6 |   params: {blog: &b {value: 5}, other: *b}
          |                             ^
          |
          = note: the alias in line 6 uses it
          = help: write "5"
          = UpstreamParams shop/a

        2 errors in 1 object of 1 file
    "#]]
    .assert_eq(&shown);
}

#[test]
fn github_reads_a_command_for_each_finding() {
    let mut files = files(&[("a,b:c.yaml", &object("a", "{connection: {name: x}, params: {blog: {value: 5}}}"))]);
    files.unread.extend(files::read(&[PathBuf::from("missing.yaml")]).unread);
    let commands = machine::workflow_commands(&Report::of(&files, &[]));
    let lines: Vec<&str> = commands.lines().collect();
    assert_eq!(
        lines[0],
        "::error file=a%2Cb%3Ac.yaml,line=4,endLine=4,col=54,endColumn=55,title=wrong-type::spec.params.blog.value: Invalid value: must be of type string, and is a number; put it in quotes%0Awrite \"5\""
    );
    assert!(lines[1].starts_with("::error file=missing.yaml,title=unreadable::cannot be read"), "{}", lines[1]);
}

#[test]
fn connections_that_are_none_are_refused_without_their_text() {
    let path = std::env::temp_dir().join(format!("upo-lint-{}.json", std::process::id()));
    std::fs::write(&path, r#"{"connections": "MARK"}"#).unwrap();
    let error = format!("{:#}", Known::read(&path).unwrap_err());
    std::fs::remove_file(&path).unwrap();
    assert!(error.contains("connections -o json") && !error.contains("MARK"), "{error}");
    assert!(format!("{:#}", Known::read(&path).unwrap_err()).contains("cannot be read"));
}
