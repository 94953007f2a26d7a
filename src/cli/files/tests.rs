//! Documents, and the places of what is in them.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::json;

use super::*;

fn take(text: &str) -> Files {
    let mut files = Files::default();
    files.take("x.yaml".to_owned(), text.as_bytes().to_vec());
    files
}

fn one(text: &str) -> Document {
    let mut files = take(text);
    assert_eq!(files.unread, [], "{text}");
    assert_eq!(files.documents.len(), 1, "{text}");
    files.documents.remove(0)
}

/// The text that a place means, with its line.
fn meant(place: &Place) -> (usize, String) {
    let text = place.text.as_deref().unwrap();
    (place.line, text.chars().skip(place.column - 1).take(place.end_column - place.column).collect())
}

const HEAD: &str = "apiVersion: upstreamparams.dev/v1alpha1\nkind: UpstreamParams\nmetadata: {name: a, namespace: shop}\n";

#[test]
fn every_value_and_every_key_has_its_place() {
    let document = one(&format!(
        "# first\n{HEAD}spec:\n  connection: {{\"name\": shop}} # here\n  params:\n    blog:\n      value: \"my blog\"\n    größe.x: {{alias: 5}}\n"
    ));
    assert_eq!(
        (document.kind.as_str(), document.name.as_deref(), document.namespace.as_deref()),
        ("UpstreamParams", Some("a"), Some("shop"))
    );
    let value = |path: &str| meant(&document.place(path));
    let key = |path: &str| meant(&document.key_place(path));
    assert_eq!(value("spec.params[blog].value"), (9, "\"my blog\"".to_owned()));
    assert_eq!(key("spec.params[blog].value"), (9, "value".to_owned()));
    assert_eq!(key("spec.params[blog]"), (8, "blog".to_owned()));
    assert_eq!(value("spec.connection.name"), (6, "shop".to_owned()));
    assert_eq!(key("spec.connection.name"), (6, "\"name\"".to_owned()));
    assert_eq!(value("spec.params[größe.x].alias"), (10, "5".to_owned()));
    assert_eq!(key("spec.params[größe.x]"), (10, "größe.x".to_owned()));
    // What is missing is said where it would be.
    assert_eq!(value("spec.params[blog].alias"), (8, "blog".to_owned()));
    assert_eq!(value("spec.tenantRef.name"), (5, "spec".to_owned()));
    assert_eq!(value("status"), (2, "apiVersion: upstreamparams.dev/v1alpha1".to_owned()));
    assert_eq!(document.written("spec.params[blog].value"), Some((Style::Quoted, "\"my blog\"")));
    assert_eq!(document.written("spec.params[größe.x].alias"), Some((Style::Plain, "5")));
    assert_eq!(document.written("spec.params"), None);
}

#[test]
fn an_empty_value_is_said_of_its_key() {
    let document = one(&format!("{HEAD}spec:\n  params:\n    blog:\n  connection:\n"));
    assert_eq!(meant(&document.place("spec.params[blog]")), (6, "blog".to_owned()));
    assert_eq!(meant(&document.place("spec.connection")), (7, "connection".to_owned()));
    assert_eq!(document.value["spec"]["connection"], json!(null));
}

#[test]
fn a_block_of_text_has_the_place_of_its_first_line() {
    let document =
        one(&format!("{HEAD}spec:\n  params:\n    blog:\n      value: |\n        my\n        blog\n    b:\n      value: >-\n        x\n"));
    assert_eq!(document.value["spec"]["params"]["blog"]["value"], "my\nblog\n");
    assert_eq!(document.value["spec"]["params"]["b"]["value"], "x");
    assert_eq!(document.place("spec.params[blog].value").line, 8);
    assert_eq!(document.written("spec.params[blog].value").unwrap().0, Style::Block);
    assert_eq!(document.place("spec.params[b].value").line, 12);
}

#[test]
fn a_json_file_has_places_too() {
    let json = "{\n\t\"apiVersion\": \"upstreamparams.dev/v1alpha1\",\n\t\"kind\": \"UpstreamParams\",\n\t\"metadata\": {\"name\": \"a\\/b\\u00e4\\ud83d\\ude00\"},\n\t\"spec\": {\"params\": {\"blog\": {\"value\": \"x\"}},\n\t\t\"list\": [1, {\"a\": 1.5e3}]}\n}\n";
    let document = one(json);
    assert_eq!(document.value, serde_json::from_str::<Value>(&json.replace("1.5e3", "1500")).unwrap());
    assert_eq!(meant(&document.place("spec.params[blog].value")), (5, "\"x\"".to_owned()));
    assert_eq!(meant(&document.place("spec.list[1].a")), (6, "1.5e3".to_owned()));
    assert_eq!(document.place("spec.list[1].a").column, 21);
}

#[test]
fn what_came_by_an_alias_has_the_place_where_it_is_written_and_the_line_where_it_counts() {
    let document =
        one(&format!("{HEAD}spec:\n  params:\n    blog: &blog\n      value: &text x\n    other: *blog\n    third:\n      value: *text\n"));
    assert_eq!(document.value["spec"]["params"], json!({"blog": {"value": "x"}, "other": {"value": "x"}, "third": {"value": "x"}}));
    for (path, used) in [("spec.params[other].value", 8), ("spec.params[third].value", 10)] {
        let place = document.place(path);
        assert_eq!((meant(&place), place.by_alias), ((7, "x".to_owned()), Some(used)));
    }
    assert_eq!(meant(&document.key_place("spec.params[third].value")), (10, "value".to_owned()));
    assert_eq!(document.place("spec.params[blog].value").by_alias, None);
}

#[test]
fn a_merge_key_brings_what_stands_there_as_kubectl_takes_it() {
    let text = format!(
        "{HEAD}base: &base\n  a: 1\n  b: 2\nmore: &more {{b: 3, c: 4}}\nfirst: {{<<: *base, b: 9}}\nlast: {{b: 9, <<: *base}}\nboth:\n  <<: [*base, *more]\n  d: 5\n"
    );
    let document = one(&text);
    assert_eq!(document.value["first"], json!({"a": 1, "b": 9}));
    // YAML means 9 here; kubectl's reader takes what comes later.
    assert_eq!(document.value["last"], json!({"a": 1, "b": 2}));
    assert_eq!(document.value["both"], json!({"a": 1, "b": 2, "c": 4, "d": 5}));
    let place = document.place("both.c");
    assert_eq!((meant(&place), place.by_alias), ((7, "4".to_owned()), Some(11)));
    assert_eq!(
        document.oddities.iter().map(|(place, odd)| (place.line, odd.clone())).collect::<Vec<_>>(),
        [(9, Oddity::MergeReplaces("b".into()))]
    );
}

#[test]
fn documents_lists_and_other_kinds_are_told_apart() {
    let secret = "apiVersion: v1\nkind: Secret\nstringData: {clientSecret: MARK}\n";
    let files = take(&format!(
        "---\n# nothing\n---\n{HEAD}---\n{secret}---\nspec: {{}}\n---\n- 1\n---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: upstreamparams.dev/v1\n  kind: Other\n- apiVersion: v1\n  kind: Namespace\n  metadata: {{name: shop}}\n- 5\n---\n{{\"apiVersion\": \"upstreamparams.dev/v1alpha1\", \"kind\": \"UpstreamParamsList\", \"items\": [{{\"apiVersion\": \"upstreamparams.dev/v1alpha1\", \"kind\": \"UpstreamParams\"}}]}}\n...\n"
    ));
    assert_eq!(files.unread, []);
    let found: Vec<(&str, usize)> = files.documents.iter().map(|document| (document.kind.as_str(), document.begin().line)).collect();
    assert_eq!(found, [("UpstreamParams", 4), ("Other", 19), ("UpstreamParams", 26)]);
    assert_eq!(files.namespaces.len(), 1);
    assert_eq!(files.others, 4);
    let kept = format!("{:?}", files.documents.iter().map(|document| &document.value).collect::<Vec<_>>());
    assert!(!kept.contains("MARK"));
}

#[test]
fn a_document_that_is_none_is_reported_and_the_next_is_read() {
    let files = take(&format!("a: [1, 2\n---\n{HEAD}---\nb: 'x\n"));
    assert_eq!(files.documents.len(), 1);
    let lines: Vec<(usize, bool)> = files.unread.iter().map(|unread| (unread.place.line, unread.place.text.is_some())).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(files.unread[0].message.starts_with("this is not YAML: "), "{}", files.unread[0]);
    assert_eq!(files.unread[0].place.file, "x.yaml");
}

#[test]
fn a_broken_document_of_another_kind_is_not_shown() {
    for secret in [
        "apiVersion: v1\nkind: Secret\nstringData:\n  a: 'MARK\n",
        "{\"kind\": \"Secret\", \"stringData\": {\"a\": MARK: x}}",
        "stringData: {a: MARK: : x\n 'kind' : 'Secret'",
    ] {
        let files = take(secret);
        assert_eq!(files.unread.len(), 1, "{secret}");
        assert!(!format!("{:?}", files.unread).contains("MARK"), "{:?}", files.unread);
    }
    assert_eq!(take("password: @MARK\n").unread[0].place.text, None);
    assert_eq!(take(&format!("{HEAD}a: [x,\nb: {{kind: Secret, a: MARK: x\n")).unread[0].place.text, None);
    let files = take(&format!("{HEAD}spec: @x\n"));
    assert_eq!(files.unread[0].place.text.as_deref(), Some("spec: @x"));
}

#[test]
fn a_line_that_nobody_reads_is_not_shown() {
    let long = format!(
        "{{\"apiVersion\": \"upstreamparams.dev/v1alpha1\", \"kind\": \"UpstreamParams\", \"a\": \"{}\", \"b\": 5}}",
        "ä".repeat(3_000)
    );
    let place = one(&long).place("b");
    assert_eq!((place.line, place.column, place.end_column, place.text), (1, long.chars().count() - 1, long.chars().count(), None));
}

#[test]
fn a_template_is_told_so() {
    let files = take("apiVersion: v1\nkind: Secret\n{{- if .Values.x }}\na: b\n{{- end }}\n");
    assert!(files.unread[0].message.contains("this is a template"), "{}", files.unread[0]);
}

#[test]
fn aliases_add_only_so_much() {
    let mut bomb = format!("{HEAD}a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        writeln!(bomb, "a{level}: &a{level} [{}]", [before.as_str(); 10].join(", ")).unwrap();
    }
    let files = take(&bomb);
    assert_eq!(files.documents.len(), 0);
    assert!(files.unread[0].message.contains("aliases add more than 100000"), "{}", files.unread[0]);

    let mut deep = format!("{HEAD}a0: &a0 [x]\n");
    for level in 1..1000 {
        writeln!(deep, "a{level}: &a{level} [*a{}]", level - 1).unwrap();
    }
    assert!(take(&deep).unread[0].message.contains("nested more than"));
    let many = (0..1_000).map(|nth| format!("  k{nth}: x\n")).collect::<Vec<_>>().concat();
    let merges = (0..1_000).map(|nth| format!("m{nth}: {{<<: *a}}\n")).collect::<Vec<_>>().concat();
    assert!(take(&format!("{HEAD}a: &a\n{many}{merges}")).unread[0].message.contains("aliases add more than 100000"));
    assert!(take(&format!("{HEAD}a: {}", "[".repeat(10_000))).unread[0].message.contains("not YAML"));
    assert!(take(&format!("{HEAD}a: &a [*a]\n")).unread[0].message.contains("inside its own anchor"));
    assert!(take(&format!("{HEAD}a: *missing\n")).unread[0].message.contains("not YAML"));
}

#[test]
fn odd_keys_are_told_and_kept_as_kubectl_has_them() {
    let document = one(&format!(
        "{HEAD}spec:\n  params:\n    on: {{alias: prompt}}\n    5: {{value: x}}\n    blog: {{value: a}}\n    blog: {{value: b}}\n    \"no\": {{value: c}}\n"
    ));
    let oddities: Vec<(usize, Oddity)> = document.oddities.iter().map(|(place, oddity)| (place.line, oddity.clone())).collect();
    assert_eq!(
        oddities,
        [
            (6, Oddity::RenamedKey { written: "on".into(), becomes: "true".into() }),
            (7, Oddity::UnquotedKey("5".into())),
            (9, Oddity::DuplicateKey("blog".into())),
        ]
    );
    let params = &document.value["spec"]["params"];
    assert_eq!(params["blog"]["value"], "b");
    assert!(params["true"].is_object() && params["5"].is_object() && params["no"].is_object());
    assert!(take(&format!("{HEAD}null: x\n")).unread[0].message.contains("put it in quotes"));
    assert!(take(&format!("{HEAD}? [a, b]\n: x\n")).unread[0].message.contains("a key that is a list"));
    assert!(take(&format!("{HEAD}a: .inf\n")).unread[0].message.contains("no such number"));
}

#[test]
fn a_file_that_is_no_text_is_told_where() {
    let mut files = Files::default();
    files.take("x.yaml".to_owned(), b"a: b\nc: \xff\n".to_vec());
    assert_eq!(files.unread[0].to_string(), "x.yaml:2:1: this is not UTF-8; save the file as UTF-8");
}

#[test]
fn line_ends_and_byte_order_marks_move_nothing() {
    let text = format!("\u{feff}{HEAD}spec:\n  params: {{blog: {{value: x}}}}\n").replace('\n', "\r\n");
    let document = one(&text);
    assert_eq!(meant(&document.place("spec.params[blog].value")), (5, "x".to_owned()));
    assert_eq!(document.begin().column, 1);
}

// ---- which files ----

/// A folder for one test, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("upo-files-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, names: &[&str]) -> (Vec<String>, Vec<String>) {
        let arguments: Vec<PathBuf> = names.iter().map(|name| self.0.join(name)).collect();
        let mut unread = Vec::new();
        let found = walk::inputs(&arguments, &mut unread);
        let short = |text: &str| text.replace(&format!("{}/", self.0.display()), "");
        let found = found.iter().map(|input| match input {
            Input::Standard => "-".to_owned(),
            Input::File(path) => short(&path.display().to_string()),
        });
        (found.collect(), unread.iter().map(|unread| short(&unread.to_string())).collect())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn a_folder_is_its_files_and_those_below_in_order() {
    let folder = Folder::new("order");
    for name in ["all/b.yml", "all/a.yaml", "all/c/d.json", "all/readme.md", "all/.git/x.yaml", "all/.hidden.yaml", "empty/x.txt"] {
        folder.write(name, "");
    }
    assert_eq!(folder.read(&["all"]).0, ["all/a.yaml", "all/b.yml", "all/c/d.json"]);
    assert_eq!(folder.read(&["all/readme.md", "all/b.yml", "all"]).0, ["all/readme.md", "all/b.yml", "all/a.yaml", "all/c/d.json"]);
    let (found, unread) = folder.read(&["empty", "missing.yaml"]);
    assert_eq!(found, [""; 0]);
    assert_eq!(unread[0], "empty: no file in this folder ends with .yaml, .yml or .json");
    assert!(unread[1].starts_with("missing.yaml: cannot be read"), "{}", unread[1]);
}

#[cfg(unix)]
#[test]
fn a_loop_of_links_ends_and_is_said() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new("loop");
    folder.write("all/a.yaml", "");
    folder.write("all/sub/b.yaml", "");
    symlink("..", folder.0.join("all/sub/up")).unwrap();
    symlink("sub", folder.0.join("all/twin")).unwrap();
    symlink("missing", folder.0.join("all/z.yaml")).unwrap();
    let (found, unread) = folder.read(&["all"]);
    assert_eq!(found, ["all/a.yaml", "all/sub/b.yaml"]);
    assert_eq!(unread.len(), 3, "{unread:?}");
    assert_eq!(unread[0], "all/sub/up: a symbolic link to a folder above it, which is not followed");
    assert!(unread[2].starts_with("all/z.yaml: cannot be read"), "{unread:?}");
}
