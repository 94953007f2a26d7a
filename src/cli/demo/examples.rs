//! The examples of the repository, and what each has to come to.

use serde_json::{Value, json};

use crate::api::reason::{ConditionStatus, ConditionType, Reason};

/// The tenant of the examples.
pub(super) const DOMAIN: &str = "example.eu.auth0.com";

/// The namespace of the examples.
pub(super) const NAMESPACE: &str = "identity";

/// As they are in the repository, in the order they are applied.
pub(super) const EXAMPLES: [&str; 7] = [
    include_str!("../../../examples/namespace.yaml"),
    include_str!("../../../examples/tenant.yaml"),
    include_str!("../../../examples/wordpress.yaml"),
    include_str!("../../../examples/twitter.yaml"),
    include_str!("../../../examples/oidc.yaml"),
    include_str!("../../../examples/entra.yaml"),
    include_str!("../../../examples/saml-refused.yaml"),
];

/// An example object, its connection, the condition it has to come to, and the parameters the connection then has.
pub(super) struct Expected {
    pub(super) object: &'static str,
    pub(super) connection: &'static str,
    pub(super) condition: (ConditionType, ConditionStatus, Reason),
    pub(super) params: Value,
}

/// What every example has to come to.
pub(super) fn expected() -> [Expected; 5] {
    let ready = (ConditionType::Ready, ConditionStatus::True, Reason::Ready);
    let refused = (ConditionType::Accepted, ConditionStatus::False, Reason::UnsupportedStrategy);
    let theirs = json!({"theme": {"value": "set-by-somebody-else"}, "blog": {"value": "myblog.wordpress.com"}});
    let oidc = json!({
        "audience": {"value": "https://api.corporate.example.com"},
        "login_hint": {"alias": "login_hint"},
        "ui_locales": {"alias": "ui_locales"},
    });
    let entra = json!({"prompt": {"value": "select_account"}, "domain_hint": {"value": "contoso.com"}});
    let all = [
        ("wordpress-blog", "wordpress", ready, theirs),
        ("twitter-screen-name", "twitter", ready, json!({"screen_name": {"alias": "login_hint"}})),
        ("corporate-oidc", "corporate-oidc", ready, oidc),
        ("contoso-accounts", "contoso", ready, entra),
        ("legacy-saml", "legacy-saml", refused, json!({})),
    ];
    all.map(|(object, connection, condition, params)| Expected { object, connection, condition, params })
}
