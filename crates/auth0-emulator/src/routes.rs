//! Which route a request asks for, and what is said of those that there is no evidence for.
//!
//! Source: the routes of Auth0's `OpenAPI` document of the Management API v2, as its SDKs have them.

use super::answer::Answer;
use super::form::decode;

/// What a request under `/api/v2/`, or beside it, asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The connections, or one of them.
    Connections(Option<String>),
    /// What stands under a connection with this id.
    Under(String, Under),
    /// The list of clients, which are applications.
    Clients,
    /// The list of directory provisionings of all connections.
    DirectoryProvisionings,
    /// Auth0 has it, and nothing shows here what it answers.
    NoEvidence,
    /// Auth0 has no such route.
    Nowhere,
}

/// What a connection has under its own address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Under {
    /// The clients that may use it: GET.
    Clients,
    /// The same: PATCH.
    SetClients,
    /// Whether the connector of a directory is online.
    Status,
    /// How it takes users in by SCIM: GET.
    ScimConfiguration,
    /// The same: POST.
    SetScimConfiguration,
    /// How it takes users in from a directory: POST.
    SetDirectoryProvisioning,
}

/// What else Auth0 has under a connection, by its first word.
const UNDER: [&str; 4] = ["directory-provisioning", "keys", "scim-configuration", "users"];

/// The first words of what the Management API has beside connections.
#[rustfmt::skip]
const RESOURCES: [&str; 51] = [
    "actions", "agents", "anomaly", "attack-protection", "blacklists", "branding", "client-grants", "clients", "connection-profiles",
    "connections-directory-provisionings", "connections-scim-configurations", "custom-domains", "device-credentials", "email-templates",
    "emails", "event-streams", "events", "flows", "forms", "grants", "groups", "guardian", "hooks", "jobs", "keys", "log-streams", "logs",
    "network-acls", "organization-templates", "organizations", "prompts", "rate-limit-policies", "refresh-tokens", "resource-servers",
    "risk-assessments", "roles", "rules", "rules-configs", "self-service-profiles", "sessions", "stats", "supplemental-signals", "tenants",
    "tickets", "token-exchange-profiles", "user-attribute-profiles", "user-blocks", "users", "users-by-email", "verifiable-credentials",
    "connections",
];

/// The first words of what a tenant has beside its Management API.
#[rustfmt::skip]
const BESIDE: [&str; 15] = [
    ".well-known", "authorize", "bc-authorize", "dbconnections", "login", "logout", "mfa", "oauth", "oidc", "passwordless", "samlp", "u",
    "userinfo", "v2", "wsfed",
];

impl Route {
    /// Reads the method and the path.
    pub(crate) fn of(method: &str, path: &str) -> Self {
        if let Some(rest) = path.strip_prefix("/api/v2/connections") {
            if rest.is_empty() {
                return if matches!(method, "GET" | "POST") { Self::Connections(None) } else { Self::Nowhere };
            }
            if let Some(rest) = rest.strip_prefix('/') {
                return Self::of_connection(method, rest);
            }
        }
        match (method, path) {
            ("GET", "/api/v2/clients") => Self::Clients,
            ("GET", "/api/v2/connections-directory-provisionings") => Self::DirectoryProvisionings,
            _ => Self::unknown(path),
        }
    }

    fn of_connection(method: &str, rest: &str) -> Self {
        let (id, under) = match rest.split_once('/') {
            None if !rest.is_empty() && matches!(method, "GET" | "PATCH" | "DELETE") => return Self::Connections(Some(decode(rest))),
            Some((id, under)) if !id.is_empty() => (id, under),
            _ => return Self::Nowhere,
        };
        let under = match (method, under) {
            ("GET", "clients") => Under::Clients,
            ("PATCH", "clients") => Under::SetClients,
            ("GET", "status") => Under::Status,
            ("GET", "scim-configuration") => Under::ScimConfiguration,
            ("POST", "scim-configuration") => Under::SetScimConfiguration,
            ("POST", "directory-provisioning") => Under::SetDirectoryProvisioning,
            _ if UNDER.contains(&first(under)) => return Self::NoEvidence,
            _ => return Self::Nowhere,
        };
        Self::Under(decode(id), under)
    }

    fn unknown(path: &str) -> Self {
        let known = match path.strip_prefix("/api/v2/") {
            Some(rest) => RESOURCES.contains(&first(rest)),
            None => BESIDE.contains(&first(path.trim_start_matches('/'))),
        };
        if known { Self::NoEvidence } else { Self::Nowhere }
    }
}

fn first(path: &str) -> &str {
    path.split('/').next().unwrap_or_default()
}

/// Auth0 would answer this, and nothing shows how: said as such, in the answer and in the log, instead of a guess.
pub(crate) fn no_evidence(method: &str, path: &str, why: &str) -> Answer {
    tracing::warn!(%method, %path, "answered with 501: {why}");
    Answer::error(501, &format!("The emulator has no evidence of what Auth0 answers to {method} {path}: {why}"), Some("no_evidence"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_auth0_has_and_nothing_shows_is_told_from_what_it_does_not_have() {
        for (method, path) in [
            ("GET", "/api/v2/rules"),
            ("PATCH", "/api/v2/clients/x"),
            ("POST", "/api/v2/clients"),
            ("GET", "/api/v2/connections/con_x/keys"),
            ("POST", "/api/v2/connections/con_x/keys/rotate"),
            ("PATCH", "/api/v2/connections/con_x/scim-configuration"),
            ("GET", "/api/v2/connections/con_x/directory-provisioning/synchronized-groups"),
            ("GET", "/api/v2/connections-scim-configurations"),
            ("GET", "/.well-known/jwks.json"),
            ("POST", "/oauth/revoke"),
        ] {
            assert_eq!(Route::of(method, path), Route::NoEvidence, "{method} {path}");
        }
        for (method, path) in [
            ("GET", "/"),
            ("GET", "/api/v2"),
            ("GET", "/api/v2/nothing"),
            ("DELETE", "/api/v2/connections"),
            ("PUT", "/api/v2/connections/con_x"),
            ("GET", "/api/v2/connections/"),
            ("GET", "/api/v2/connections//clients"),
            ("POST", "/api/v2/connections/con_x/clients"),
            ("GET", "/api/v2/connections/con_x/nothing"),
        ] {
            assert_eq!(Route::of(method, path), Route::Nowhere, "{method} {path}");
        }
    }

    #[test]
    fn an_id_is_read_as_it_was_meant() {
        assert_eq!(Route::of("GET", "/api/v2/connections/con%5Fx"), Route::Connections(Some("con_x".to_owned())));
        assert_eq!(Route::of("PATCH", "/api/v2/connections/con%5Fx/clients"), Route::Under("con_x".to_owned(), Under::SetClients));
    }
}
