//! What the tenant answers: status, headers and body, before the wire.

use super::json::{Json, Object, View};

/// One HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers by their names in lower case, but for those of the transport itself, such as `content-length`.
    pub headers: Vec<(&'static str, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A JSON body.
    pub(crate) fn json(status: u16, body: &Json) -> Self {
        Self::of_json(status, body.text())
    }

    /// A JSON body that is text already.
    pub(crate) fn of_json(status: u16, body: String) -> Self {
        Self::text(status, "application/json; charset=utf-8", body)
    }

    /// The body of what is shown.
    pub(crate) fn view(status: u16, body: &View<'_>) -> Self {
        Self::of_json(status, body.text())
    }

    /// Any other body.
    pub(crate) fn text(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type", content_type.to_owned())], body: body.into() }
    }

    /// `302 Found` with an empty body.
    pub(crate) fn redirect(location: impl Into<String>) -> Self {
        Self { status: 302, headers: vec![("location", location.into())], body: Vec::new() }
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The Management API's error body `{statusCode, error, message, errorCode?}`.
    pub(crate) fn error(status: u16, message: &str, code: Option<&str>) -> Self {
        let mut body = Object::new();
        body.insert("statusCode", Json::number(i64::from(status)));
        body.insert("error", Json::string(reason(status)));
        body.insert("message", Json::string(message));
        if let Some(code) = code {
            body.insert("errorCode", Json::string(code));
        }
        Self::json(status, &body.into())
    }

    /// A 400 about the body.
    pub(crate) fn invalid_body(message: &str) -> Self {
        Self::error(400, message, Some("invalid_body"))
    }

    /// A 400 about the query string.
    pub(crate) fn invalid_query(message: &str) -> Self {
        Self::error(400, message, Some("invalid_query_string"))
    }

    /// A 401, which repeats its message in `attributes`.
    pub(crate) fn unauthorized(message: &str) -> Self {
        let attributes: Object = [("error", Json::string(message))].into_iter().collect();
        let body: Object = [
            ("statusCode", Json::number(401)),
            ("error", Json::string("Unauthorized")),
            ("message", Json::string(message)),
            ("attributes", attributes.into()),
        ]
        .into_iter()
        .collect();
        Self::json(401, &body.into())
    }

    /// A 403 for a missing scope.
    pub(crate) fn insufficient_scope(expected: &str) -> Self {
        let message = format!("Insufficient scope, expected any of: {expected}");
        Self::error(403, &message, Some("insufficient_scope"))
    }

    /// The 404 of a route that does not exist.
    pub(crate) fn no_route() -> Self {
        Self::error(404, "Not Found", None)
    }

    /// The 404 of a connection that does not exist.
    pub(crate) fn no_connection() -> Self {
        Self::error(404, "The connection does not exist", Some("inexistent_connection"))
    }

    /// The error shape of `OAuth` endpoints, `{error, error_description}`.
    pub(crate) fn oauth(status: u16, error: &str, description: &str) -> Self {
        let body: Object = [("error", Json::string(error)), ("error_description", Json::string(description))].into_iter().collect();
        Self::json(status, &body.into())
    }
}

/// The reason phrase as the error body's `error` prints it.
fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Error",
    }
}
