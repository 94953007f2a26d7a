//! Which connection types have an authorization request that upstream parameters can be added to.
//!
//! The Management API accepts `upstream_params` on every type and echoes them, also where they do nothing
//! (seen in recorded traffic for SAML, WS-Federation, LDAP, database and passwordless connections), so nothing but
//! this table tells a user that a parameter will never reach an identity provider.
//! Source: the strategies of Auth0's OpenAPI document of 2026-06-25.

use crate::model::document::Document;

/// What upstream parameters do on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Support {
    /// They are added to the authorization request.
    Supported,
    /// They probably are; the text says what is unusual.
    Unusual(&'static str),
    /// There is no authorization request; the text names the protocol.
    Unsupported(&'static str),
}

use Support::{Supported, Unsupported, Unusual};

const OAUTH1: Support = Unusual("the connection uses OAuth 1 and may ignore upstream parameters");
const NOT_LISTED: Support = Unusual("Auth0 documents no upstream parameters for this type of connection");
const UNKNOWN: Support = Unusual("this version of the operator does not know this type of connection");

/// Every connection type that the Management API names, with what upstream parameters do on it.
pub(crate) const STRATEGIES: [(&str, Support); 56] = [
    ("ad", Unsupported("LDAP")),
    ("adfs", Unsupported("WS-Federation")),
    ("amazon", Supported),
    ("apple", Supported),
    ("auth0", Unsupported("a database")),
    ("auth0-adldap", Unsupported("LDAP")),
    ("auth0-oidc", NOT_LISTED),
    ("baidu", Supported),
    ("bitbucket", NOT_LISTED),
    ("bitly", Supported),
    ("box", Supported),
    ("custom", NOT_LISTED),
    ("daccount", Supported),
    ("dropbox", Supported),
    ("dwolla", Supported),
    ("email", Unsupported("passwordless login")),
    ("evernote", OAUTH1),
    ("evernote-sandbox", OAUTH1),
    ("exact", Supported),
    ("facebook", Supported),
    ("fitbit", Supported),
    ("github", Supported),
    ("google-apps", Supported),
    ("google-oauth2", Supported),
    ("instagram", Supported),
    ("ip", Unsupported("an IP address list")),
    ("line", Supported),
    ("linkedin", Supported),
    ("oauth1", OAUTH1),
    ("oauth2", Supported),
    ("office365", NOT_LISTED),
    ("oidc", Supported),
    ("okta", Supported),
    ("paypal", NOT_LISTED),
    ("paypal-sandbox", NOT_LISTED),
    ("pingfederate", Unsupported("SAML")),
    ("planningcenter", Supported),
    ("salesforce", Supported),
    ("salesforce-community", Supported),
    ("salesforce-sandbox", Supported),
    ("samlp", Unsupported("SAML")),
    ("sharepoint", Supported),
    ("shop", Supported),
    ("shopify", Supported),
    ("sms", Unsupported("passwordless login")),
    ("soundcloud", Supported),
    ("thirtysevensignals", Supported),
    ("twitter", Supported),
    ("untappd", Supported),
    ("vkontakte", Supported),
    ("waad", Supported),
    ("weibo", Supported),
    ("windowslive", Supported),
    ("wordpress", Supported),
    ("yahoo", Supported),
    ("yandex", Supported),
];

/// What upstream parameters do on this connection, by its type and, for two types, the protocol inside its options.
pub(crate) fn support(document: &Document) -> Support {
    match document.strategy.as_str() {
        "waad" if speaks_ws_federation(document) => Unsupported("WS-Federation"),
        "twitter" if document.option_text("protocol").is_none_or(|protocol| protocol == "oauth1") => OAUTH1,
        strategy => of_type(strategy),
    }
}

/// What upstream parameters do on connections of a type, where nothing else is known of them.
pub(crate) fn of_type(strategy: &str) -> Support {
    STRATEGIES.iter().find(|(name, _)| *name == strategy).map_or(UNKNOWN, |(_, support)| *support)
}

/// `waad_protocol` where there is one, else its predecessor `use_wsfed`.
fn speaks_ws_federation(document: &Document) -> bool {
    match document.option_text("waad_protocol") {
        Some(protocol) => protocol == "ws-federation",
        None => document.option_is_true("use_wsfed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(strategy: &str, options: &str) -> Document {
        Document::parse(&format!(r#"{{"id":"con_1","name":"x","strategy":"{strategy}","options":{options}}}"#)).unwrap()
    }

    #[test]
    fn the_table_is_sorted_and_names_each_type_once() {
        assert!(STRATEGIES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn types_without_an_authorization_request_are_unsupported() {
        for strategy in ["ad", "adfs", "auth0", "auth0-adldap", "email", "ip", "pingfederate", "samlp", "sms"] {
            assert!(matches!(support(&document(strategy, "{}")), Unsupported(_)), "{strategy}");
        }
        assert_eq!(STRATEGIES.iter().filter(|(_, support)| matches!(support, Unsupported(_))).count(), 9);
    }

    #[test]
    fn the_protocol_of_entra_connections_is_in_their_options() {
        assert_eq!(support(&document("waad", r#"{"waad_protocol":"openid-connect"}"#)), Supported);
        assert_eq!(support(&document("waad", "{}")), Supported);
        assert_eq!(support(&document("waad", r#"{"waad_protocol":"ws-federation"}"#)), Unsupported("WS-Federation"));
        assert_eq!(support(&document("waad", r#"{"use_wsfed":true}"#)), Unsupported("WS-Federation"));
        assert_eq!(support(&document("waad", r#"{"waad_protocol":"openid-connect","use_wsfed":true}"#)), Supported);
    }

    #[test]
    fn oauth_1_and_unknown_types_are_unusual() {
        assert_eq!(support(&document("twitter", r#"{"protocol":"oauth2"}"#)), Supported);
        assert_eq!(support(&document("twitter", r#"{"protocol":"oauth1"}"#)), OAUTH1);
        assert_eq!(support(&document("twitter", "{}")), OAUTH1);
        assert_eq!(support(&document("oauth1", "{}")), OAUTH1);
        assert_eq!(support(&document("invented-tomorrow", "{}")), UNKNOWN);
    }
}
