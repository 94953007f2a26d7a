//! What the application's own request to `/authorize` says, so that each alias can be seen at the other end.

use std::collections::BTreeMap;

use crate::api::upstream_params::Alias;
use crate::model::document::Entry;

/// A parameter that is expected in the request to the identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    /// What is declared.
    pub(super) entry: Entry,
    /// Who declares it.
    pub(super) by: String,
}

impl Expected {
    /// The text that should arrive, with what the application's request says; none where an alias was not sent.
    pub(super) fn text<'a>(&'a self, sent: &'a BTreeMap<String, String>) -> Option<&'a str> {
        match &self.entry {
            Entry::Value(text) => Some(text),
            Entry::Alias(alias) => sent.get(alias.as_str()).map(String::as_str),
        }
    }
}

/// The parameters of the request: what the protocol needs, what is `given`, and a probe for each alias that is expected and has a
/// harmless one.
pub(super) fn request(
    connection: &str,
    (client_id, redirect_uri): (&str, &str),
    given: &BTreeMap<String, String>,
    expected: &BTreeMap<String, Expected>,
) -> BTreeMap<String, String> {
    let mut sent: BTreeMap<String, String> = [
        ("client_id", client_id.to_owned()),
        ("connection", connection.to_owned()),
        ("redirect_uri", redirect_uri.to_owned()),
        ("response_type", "code".to_owned()),
        ("scope", "openid".to_owned()),
        ("state", random()),
        ("nonce", random()),
        // Of a verifier that nobody has: the code is never redeemed.
        ("code_challenge", random()),
        ("code_challenge_method", "S256".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let aliases = expected.values().filter_map(|one| if let Entry::Alias(alias) = &one.entry { Some(*alias) } else { None });
    for alias in aliases {
        if let Some(text) = probe(alias) {
            sent.entry(alias.as_str().to_owned()).or_insert(text);
        }
    }
    sent.extend(given.iter().map(|(name, value)| (name.clone(), value.clone())));
    sent
}

/// A text for an alias that every tenant takes and that ends no walk; none where there is no such text: an audience has to be that of
/// an API, and an ID token has to be a real one.
fn probe(alias: Alias) -> Option<String> {
    match alias {
        Alias::AcrValues => Some(format!("urn:probe:{}", short())),
        Alias::Display => Some("page".to_owned()),
        Alias::LoginHint => Some(format!("probe-{}@example.com", short())),
        Alias::MaxAge => Some(fastrand::u32(80_000..86_400).to_string()),
        Alias::Prompt => Some("login".to_owned()),
        Alias::ResponseMode => Some("query".to_owned()),
        Alias::UiLocales => Some("en".to_owned()),
        // The first two are sent anyway.
        Alias::ClientId | Alias::ResponseType | Alias::Audience | Alias::IdTokenHint | Alias::Resource => None,
    }
}

/// As long as the hash that a code challenge is.
fn random() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(43).collect()
}

fn short() -> String {
    std::iter::repeat_with(|| fastrand::alphanumeric().to_ascii_lowercase()).take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alias_is_sent_or_can_be_set() {
        let one = |alias: Alias| (alias.as_str().to_owned(), Expected { entry: Entry::Alias(alias), by: String::new() });
        let expected: BTreeMap<String, Expected> = Alias::ALL.iter().map(|alias| one(*alias)).collect();
        let set = BTreeMap::from([("audience".to_owned(), "https://api.example.com".to_owned()), ("scope".to_owned(), "x".to_owned())]);
        let request = request("shop", ("app", "https://app.example.com/cb"), &set, &expected);
        let unsent: Vec<&str> = expected.iter().filter(|(_, one)| one.text(&request).is_none()).map(|(name, _)| name.as_str()).collect();
        assert_eq!(unsent, ["id_token_hint", "resource"]);
        assert_eq!((request["audience"].as_str(), request["scope"].as_str()), ("https://api.example.com", "x"));
        assert_eq!((request["connection"].as_str(), request["code_challenge"].len()), ("shop", 43));
    }

    #[test]
    fn only_what_is_expected_is_probed() {
        let sent = request("shop", ("app", "https://app.example.com/cb"), &BTreeMap::new(), &BTreeMap::new());
        assert!(
            Alias::ALL
                .iter()
                .filter(|alias| sent.contains_key(alias.as_str()))
                .all(|alias| matches!(alias, Alias::ClientId | Alias::ResponseType))
        );
    }
}
