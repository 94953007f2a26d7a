//! What arrived at an emulated tenant, and what tenants answer that refuse.

use auth0_emulator::{Call, Fault, Origin, TenantHandle};
use serde_json::{Value, json};

/// The calls that the operator made with this method, but for token requests.
pub fn calls(auth0: &TenantHandle, method: &str) -> Vec<Call> {
    let wanted = |call: &Call| call.origin == Origin::Http && call.method == method && !call.is_token();
    auth0.journal().into_iter().filter(wanted).collect()
}

/// How many writes arrived, answered or not.
pub fn patches(auth0: &TenantHandle) -> usize {
    calls(auth0, "PATCH").len()
}

/// How often the operator asked for the connection with this id.
pub fn reads(auth0: &TenantHandle, connection_id: &str) -> usize {
    let path = format!("/api/v2/connections/{connection_id}");
    calls(auth0, "GET").iter().filter(|call| call.path == path).count()
}

/// How many tokens were asked for.
pub fn token_requests(auth0: &TenantHandle) -> usize {
    auth0.journal().iter().filter(|call| call.is_token()).count()
}

/// How many calls were answered with this status.
pub fn answered(auth0: &TenantHandle, status: u16) -> usize {
    auth0.journal().iter().filter(|call| call.origin == Origin::Http && call.status == Some(status)).count()
}

/// The id of a connection.
pub fn id_of(auth0: &TenantHandle, connection: &str) -> String {
    auth0.connection(connection)["id"].as_str().unwrap().to_owned()
}

/// The body of an error as the Management API answers it.
pub fn error_body(status: u16, code: &str, message: &str) -> String {
    let error = match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        _ => "Error",
    };
    let mut body = json!({"statusCode": status, "error": error, "message": message});
    if !code.is_empty() {
        body["errorCode"] = Value::from(code);
    }
    body.to_string()
}

/// An error as the Management API answers it.
pub fn error(status: u16, code: &str, message: &str) -> Fault {
    Fault::status_with(status, error_body(status, code, message))
}

/// A tenant that refuses the upstream parameter of this name.
pub fn refusal_of(param: &str) -> Fault {
    let message = format!("Payload validation error: 'String is too long' on property options.upstream_params.{param}.value.");
    error(400, "invalid_body", &message).method("PATCH")
}
