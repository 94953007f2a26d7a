//! The record of all calls, as a tenant's log would keep it.

use super::json::Json;

/// Who made a change or a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A call over HTTP.
    Http,
    /// A change made through the handle, as if somebody used the dashboard.
    ThirdParty,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Number within the tenant, from 1, in order of arrival.
    pub seq: u64,
    /// Milliseconds since the UNIX epoch by the tenant's clock, at arrival.
    pub time_ms: u64,
    /// Who made it.
    pub origin: Origin,
    /// `GET`, `POST`, ...; of a third party's change the method that would have made it.
    pub method: String,
    /// The path without the query, e.g. `/api/v2/connections/con_...`.
    pub path: String,
    /// The raw query string without `?`, empty when there is none.
    pub query: String,
    /// The status that was answered; `None` while no answer was given (a call that hangs) or when the answer was lost.
    pub status: Option<u16>,
    /// The request's body, when it was JSON or a form; secrets of token requests are masked.
    pub body: Option<serde_json::Value>,
    /// The same body as the text that was sent, byte by byte; of a token request as it is masked.
    pub body_text: Option<String>,
    /// The client whose token made the call, or that asked for one.
    pub client_id: Option<String>,
    /// The header `X-Correlation-ID`.
    pub correlation_id: Option<String>,
    /// The header `User-Agent`.
    pub user_agent: Option<String>,
    /// The fault that was applied, by its name, e.g. `lose_answer`.
    pub fault: Option<&'static str>,
}

impl Call {
    /// Whether the call is one that changes connections: POST, PATCH or DELETE under `/api/v2/`.
    pub fn is_write(&self) -> bool {
        self.origin == Origin::Http && self.path.starts_with("/api/v2/") && self.method != "GET"
    }

    /// Whether the call asked for a token.
    pub fn is_token(&self) -> bool {
        self.path == "/oauth/token"
    }
}

/// Replaces the secrets of a token request.
pub(crate) fn mask(body: Json) -> Json {
    let Json::Object(mut object) = body else {
        return body;
    };
    for secret in ["client_secret", "client_assertion", "password", "refresh_token", "code"] {
        if let Some(value) = object.get_mut(secret) {
            *value = Json::string("********");
        }
    }
    Json::Object(object)
}
