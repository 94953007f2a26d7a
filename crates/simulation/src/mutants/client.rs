//! Faults in the calls to Auth0: what is made of answers, tokens, the budget, and what must not be shown.

use super::{Edit, Mutant, Room};

const CLIENT: &str = "src/auth0/client.rs";
const TOKEN: &str = "src/auth0/token.rs";
const LIMITS: &str = "src/auth0/limits/mod.rs";
const FAILURE: &str = "src/auth0/failure/mod.rs";
const STATE: &str = "src/reconcile/tenant/state.rs";

#[rustfmt::skip]
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "every-not-found-counts-as-gone", room: Room::Client,
        wrong: "every 404 counts as a connection that is gone, whoever answered it",
        edits: &[Edit(CLIENT,
            r#"(404, "inexistent_connection") => Failure::Gone,"#,
            "(404, _) => Failure::Gone,")],
    },
    Mutant {
        name: "lost-answer-can-not-land", room: Room::Client,
        wrong: "a write without an answer counts as one that took no effect",
        edits: &[Edit(FAILURE,
            "matches!(self.effect(), Effect::StillPossible)",
            "matches!(self.effect(), Effect::StillPossible) && false")],
    },
    Mutant {
        name: "missing-scope-keeps-its-token", room: Room::Token,
        wrong: "scopes that were granted meanwhile are never asked for with a new token",
        edits: &[Edit("src/reconcile/tenant/authentication.rs",
            "            client.renew().await;\n",
            ""),
            Edit(CLIENT,
            "        if !self.tokens.replace_lacking(serial).await {\n",
            "        if serial > 0 {\n")],
    },
    Mutant {
        name: "old-token-vouches-for-the-new-one", room: Room::Token,
        wrong: "where a token shows less than the one before did, that is held against the only connection there is",
        edits: &[Edit("src/core/tenant/evidence.rs",
            "if self.good_with == Some(token) {",
            "if self.good_with.is_some() {")],
    },
    Mutant {
        name: "refused-token-is-kept", room: Room::Token,
        wrong: "a token that the API refused is used on",
        edits: &[Edit(CLIENT,
            "                self.tokens.forget_refused(serial).await;\n",
            "                let _ = serial;\n")],
    },
    Mutant {
        name: "token-for-each-call", room: Room::Token,
        wrong: "each call fetches a token of its own",
        edits: &[Edit(TOKEN,
            "if let Some(token) = self.token.as_ref().filter(|token| now < token.renew_at) {",
            "if let Some(token) = self.token.as_ref().filter(|token| now > token.expires_at) {")],
    },
    Mutant {
        name: "rotated-secret-is-not-taken-up", room: Room::Token,
        wrong: "a Secret that changed is not used before the process starts again",
        edits: &[Edit(TENANT_SETTINGS,
            "[domain.as_str(), audience.as_str(), client_id, client_secret.expose_secret()]",
            "[domain.as_str(), audience.as_str(), client_id, &client_secret.expose_secret()[..0]]")],
    },
    Mutant {
        name: "budget-is-not-taken", room: Room::Budget,
        wrong: "calls are not counted against the rate that the tenant object allows",
        edits: &[Edit(STATE,
            "        budget.pay(call.route, now);\n",
            "")],
    },
    Mutant {
        name: "too-many-requests-is-ignored", room: Room::Budget,
        wrong: "a 429 does not keep others of the tenant from being asked at once",
        edits: &[Edit(LIMITS,
            "            Some(429) => {\n",
            "            Some(429) if limit.limit == Some(0) => {\n")],
    },
    Mutant {
        name: "values-in-messages", room: Room::Secrets,
        wrong: "what Auth0 says with an error is shown as it is, with the values that it quotes",
        edits: &[Edit("src/auth0/redaction/mod.rs",
            "        let line = self.redact(message);\n",
            "        let line = message.to_owned();\n")],
    },
    Mutant {
        name: "secret-in-the-log", room: Room::Secrets,
        wrong: "the request for a token is logged",
        edits: &[Edit(CLIENT,
            "        let body = self.credentials.token_request(&self.audience);\n",
            "        let body = self.credentials.token_request(&self.audience);\n        tracing::debug!(body = body.expose_secret(), \"token\");\n")],
    },
    Mutant {
        name: "token-in-the-log", room: Room::Secrets,
        wrong: "the answer to the request for a token is logged",
        edits: &[Edit(CLIENT,
            "        Token::parse(&body, asked_at)",
            "        tracing::debug!(body = %String::from_utf8_lossy(&body), \"token\");\n        Token::parse(&body, asked_at)")],
    },
    Mutant {
        name: "options-in-the-log", room: Room::Secrets,
        wrong: "the body of a PATCH is logged",
        edits: &[Edit("src/reconcile/pass/write.rs",
            "        let may_start = self.fence();\n",
            "        let may_start = self.fence();\n        tracing::debug!(body = body.as_str(), \"patch\");\n")],
    },
    Mutant {
        name: "secret-in-the-status", room: Room::Secrets,
        wrong: "the secret of a tenant is told in the message of its condition",
        edits: &[Edit("src/reconcile/tenant/authentication.rs",
            "        let oddity = self.serving().and_then(|settings| settings.oddity.as_deref());\n",
            "        let oddity = self.serving().map(|settings| secrecy::ExposeSecret::expose_secret(&settings.client_secret));\n")],
    },
];

const TENANT_SETTINGS: &str = "src/core/tenant/mod.rs";
