//! What arrived at the identity provider, beside what is declared.
//!
//! Guarantees: of what nobody declares only names are told; values that belong to the login itself, such as `state`, are never shown.

use std::collections::BTreeMap;

use reqwest::Url;
use serde::Serialize;

use super::probe::Expected;
use crate::cli::output::table;
use crate::core::spec::is_reserved;
use crate::model::document::Entry;

/// What became of a declared parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Verdict {
    /// It is in the request with the declared value, or with what the application sent.
    AsDeclared,
    /// It is in the request with another value, or more than once.
    OtherValue,
    /// It is not in the request.
    Missing,
    /// It is an alias of something that was not sent, so nothing can be said.
    NotSent,
}

impl Verdict {
    fn words(self) -> &'static str {
        match self {
            Self::AsDeclared => "as declared",
            Self::OtherValue => "other value",
            Self::Missing => "missing",
            Self::NotSent => "not tried",
        }
    }
}

/// What was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Found {
    connection: String,
    domain: String,
    /// The host of the identity provider.
    provider: String,
    /// The declared parameters, by name.
    parameters: Vec<Parameter>,
    /// The names of the parameters that nobody declares: most are the login's own.
    extra: Vec<String>,
    /// What is to be known of it.
    notes: Vec<String>,
}

/// A declared parameter.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Parameter {
    name: String,
    verdict: Verdict,
    /// The text that should be there; null where an alias was not sent.
    expected: Option<String>,
    /// The text that is there; null where there is none, or where it is not for showing.
    found: Option<String>,
    /// The alias that is declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<String>,
    /// Who declares it.
    declared_by: String,
}

impl Found {
    /// Compares the request at the end of a walk with what is expected.
    pub(super) fn new(
        (connection, domain): (&str, &str),
        provider: &Url,
        expected: &BTreeMap<String, Expected>,
        sent: &BTreeMap<String, String>,
    ) -> Self {
        let mut there = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in provider.query_pairs() {
            there.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        let parameters: Vec<Parameter> = expected.iter().map(|(name, one)| Parameter::of(name, one, sent, there.get(name))).collect();
        let extra = there.keys().filter(|name| !expected.contains_key(*name)).cloned().collect();
        let mut notes = Vec::new();
        let handed_over = ["request", "request_uri"].into_iter().find(|name| there.contains_key(*name) && !expected.contains_key(*name));
        if let Some(name) = handed_over {
            notes.push(format!("the request goes to the provider as an object ({name}), so its parameters cannot be checked here"));
        }
        let missing = parameters.iter().filter(|one| one.verdict == Verdict::NotSent).filter_map(|one| one.alias.as_deref());
        notes.extend(
            missing.map(|alias| format!("{alias} was not sent, because no test value fits every tenant; set one with --set {alias}=...")),
        );
        let provider = provider.host_str().map_or_else(|| format!("{}:", provider.scheme()), str::to_owned);
        Self { connection: connection.to_owned(), domain: domain.to_owned(), provider, parameters, extra, notes }
    }

    /// Whether each declared parameter was seen.
    pub(super) fn is_fine(&self) -> bool {
        self.parameters.iter().all(|one| one.verdict == Verdict::AsDeclared)
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let rows = self.parameters.iter().map(|one| {
            let shown = |text: &Option<String>| text.as_ref().map_or_else(|| "-".to_owned(), |text| format!("{text:?}"));
            let expected = match (&one.alias, &one.expected) {
                (Some(alias), Some(text)) => format!("{text:?} ({alias})"),
                (Some(alias), None) => format!("({alias})"),
                (None, text) => shown(text),
            };
            vec![one.name.clone(), one.verdict.words().to_owned(), expected, shown(&one.found), one.declared_by.clone()]
        });
        let table = table(&["parameter", "verdict", "expected", "found", "declared by"], rows);
        let extra = if self.extra.is_empty() { "none".to_owned() } else { self.extra.join(", ") };
        format!("identity provider: {}\n{table}also sent: {extra}\n", self.provider)
    }

    /// What is to be known of it.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }
}

impl Parameter {
    fn of(name: &str, declared: &Expected, sent: &BTreeMap<String, String>, there: Option<&Vec<String>>) -> Self {
        let expected = declared.text(sent).map(str::to_owned);
        let there = there.map(Vec::as_slice).unwrap_or_default();
        let verdict = match (&expected, there) {
            (None, _) => Verdict::NotSent,
            (Some(_), []) => Verdict::Missing,
            (Some(expected), [one]) if expected == one => Verdict::AsDeclared,
            (Some(_), _) => Verdict::OtherValue,
        };
        let is_secret = (is_reserved(name) || name == "id_token_hint") && verdict != Verdict::AsDeclared;
        let found = (!there.is_empty()).then(|| there.join(", ")).filter(|_| !is_secret);
        let alias = match &declared.entry {
            Entry::Alias(alias) => Some(alias.as_str().to_owned()),
            Entry::Value(_) => None,
        };
        Self { name: name.to_owned(), verdict, expected, found, alias, declared_by: declared.by.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_declared_parameter_has_its_verdict_and_no_secret_is_shown() {
        let value = |text: &str| Expected { entry: Entry::Value(text.to_owned()), by: "shop/blog".to_owned() };
        let alias = |text: &str| Expected { entry: Entry::Alias(text.parse().unwrap()), by: "shop/blog".to_owned() };
        let expected: BTreeMap<String, Expected> = [
            ("blog", value("a b")),
            ("gone", value("x")),
            ("hint", alias("login_hint")),
            ("lang", value("de")),
            ("state", value("fixed")),
            ("twice", value("x")),
            ("who", alias("resource")),
        ]
        .map(|(name, one)| (name.to_owned(), one))
        .into();
        let sent = BTreeMap::from([("login_hint".to_owned(), "me@example.com".to_owned())]);
        let provider = Url::parse(
            "https://idp.example.com/authorize?blog=a+b&hint=me%40example.com&lang=en&state=s3cr3t&nonce=s3cr3t&twice=x&twice=x&client_id=1",
        )
        .unwrap();
        let found = Found::new(("shop", "example.eu.auth0.com"), &provider, &expected, &sent);
        assert!(!found.is_fine());
        expect_test::expect![[r#"
            identity provider: idp.example.com
            PARAMETER  VERDICT      EXPECTED                       FOUND             DECLARED BY
            blog       as declared  "a b"                          "a b"             shop/blog
            gone       missing      "x"                            -                 shop/blog
            hint       as declared  "me@example.com" (login_hint)  "me@example.com"  shop/blog
            lang       other value  "de"                           "en"              shop/blog
            state      other value  "fixed"                        -                 shop/blog
            twice      other value  "x"                            "x, x"            shop/blog
            who        not tried    (resource)                     -                 shop/blog
            also sent: client_id, nonce
        "#]]
        .assert_eq(&found.text());
        assert_eq!(found.notes().len(), 1);
        assert!(!serde_json::to_string(&found).unwrap().contains("s3cr3t"));
    }

    #[test]
    fn a_request_that_is_handed_over_as_an_object_is_said_to_be() {
        let provider = Url::parse("https://idp.example.com/authorize?client_id=1&request_uri=urn:x").unwrap();
        let found = Found::new(("shop", "example.eu.auth0.com"), &provider, &BTreeMap::new(), &BTreeMap::new());
        assert_eq!(found.notes().len(), 1);
    }
}
