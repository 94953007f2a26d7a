//! What other people, other tools, networks and Auth0 itself do to a tenant, as data: drawn from a seed, applied, and told as one
//! sentence in a story.
//!
//! Every secret and every foreign value holds [`MARKER`], and no name and no message of an error does: so whatever the operator shows
//! may not hold it. The one message that quotes a value ([`TenantAction::Quoted`]) answers requests that hold this value.
//!
//! What is a fault ([`TenantAction::is_fault`]) is over after [`calm`]. All else has happened and stays.

mod draw;
mod kinds;
mod told;

use std::time::Duration;

use auth0_emulator::{ALIASES, Fault, Json, Limits, Object, Rate, RateLimited, TenantHandle};
use serde::{Deserialize, Serialize};

pub use draw::{Around, draw};
pub use kinds::KINDS;

/// What every secret and every foreign value holds.
pub const MARKER: &str = "m4rk3r";

/// How the token of a tenant begins, as every JWT does whose header names its algorithm first: none may be shown.
pub const TOKEN: &str = "eyJhbGciOi";

/// The id of the operator's client at every tenant.
pub const CLIENT_ID: &str = "operator";

/// The secret with which its client begins, and which [`calm`] gives back.
pub const CLIENT_SECRET: &str = "m4rk3r-client-secret-0";

/// The scopes that the operator needs, with which its client begins, and which [`calm`] gives back.
pub const SCOPES: [&str; 4] = ["read:connections", "read:connections_options", "update:connections", "update:connections_options"];

/// Which calls a fault meets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Meets {
    /// All of them.
    Everything,
    /// Requests for a token.
    Tokens,
    /// Reads of connections.
    Reads,
    /// Lists of connections.
    Lists,
    /// Writes to connections.
    Writes,
    /// Calls about the connection of this name.
    Connection(String),
    /// Writes to the connection of this name.
    WritesTo(String),
}

/// What an error says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Complaint {
    /// The API's own body for the status.
    Plain,
    /// A scope is missing: as the API says it.
    MissingScope(String),
    /// The scope for `options` is missing: the API says that in other words.
    MissingOptionsScope,
    /// It is the subscription that is lacking, though the code speaks of a scope.
    Subscription,
    /// A feature that the tenant does not have.
    Feature,
    /// The token is not valid.
    InvalidToken,
    /// The upstream parameters as a whole are refused.
    Params,
    /// One upstream parameter is refused, by its path: `blog`, or `blog.value`.
    Entry(String),
    /// Another option is refused, and its value is quoted. Only requests that hold the value are answered like that.
    Quoting(String),
    /// The connection does not exist.
    NoConnection,
    /// Another change is under way.
    Conflict,
    /// The shape of OAuth errors.
    Denied,
    /// A custom rate limit.
    Quota,
    /// Nothing.
    Empty,
    /// An HTML page.
    Page,
    /// JSON that ends in the middle.
    Torn,
}

impl Complaint {
    fn body(&self, status: u16) -> Option<String> {
        let own = |error: &str, message: &str, code: &str| {
            serde_json::json!({"statusCode": status, "error": error, "message": message, "errorCode": code}).to_string()
        };
        let invalid = |message: &str| own("Bad Request", message, "invalid_body");
        Some(match self {
            Self::Plain => return None,
            Self::MissingScope(scope) => own("Forbidden", &format!("Insufficient scope, expected any of: {scope}"), "insufficient_scope"),
            Self::MissingOptionsScope => own(
                "Forbidden",
                "Updating the \"options\" property requires the \"update:connections_options\" scope.",
                "insufficient_scope",
            ),
            Self::Subscription => own("Forbidden", "Please upgrade your subscription to enable this.", "insufficient_scope"),
            Self::Feature => own("Forbidden", "This feature is not enabled for this tenant.", "feature_not_enabled"),
            Self::InvalidToken => {
                let message = "Invalid token";
                serde_json::json!({"statusCode": status, "error": "Unauthorized", "message": message, "attributes": {"error": message}})
                    .to_string()
            }
            Self::Params => invalid(
                "Payload validation error: 'Too many properties defined (11), maximum 10' on property options.upstream_params (Options \
                 for adding parameters in the request to the upstream IdP).",
            ),
            Self::Entry(path) => invalid(&format!(
                "Payload validation error: 'Data does not match any schemas from \"oneOf\"' on property options.upstream_params.{path}."
            )),
            Self::Quoting(value) => {
                invalid(&format!("Payload validation error: 'No enum match for: {value}' on property options.icon_url (The icon)."))
            }
            Self::NoConnection => own("Not Found", "The connection does not exist", "inexistent_connection"),
            Self::Conflict => own("Conflict", "The connection is being changed by another request", "connection_conflict"),
            Self::Denied => r#"{"error":"access_denied","error_description":"Unauthorized"}"#.to_owned(),
            Self::Quota => r#"{"error":"too_many_requests","error_description":"Client quota exceeded"}"#.to_owned(),
            Self::Empty => String::new(),
            Self::Page => "<html><head><title>Error</title></head><body><h1>Something went wrong</h1></body></html>".to_owned(),
            Self::Torn => r#"{"statusCode":500,"error":"Internal Server Error","mess"#.to_owned(),
        })
    }
}

/// What befalls a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Misfortune {
    /// This status, and what it says.
    Status(u16, Complaint),
    /// 429.
    RateLimited {
        /// The tenant's limit for all endpoints together.
        global: bool,
        /// In how many seconds the limit lets a request pass, by `x-ratelimit-reset`; `None` sends no such header.
        reset: Option<u64>,
        /// `Retry-After`, in seconds.
        retry_after: Option<u64>,
    },
    /// 200 with a page that is not JSON.
    NotJson,
    /// 200 with the body of an error.
    ErrorBodyWith200,
    /// It takes effect, and half of the answer arrives.
    CutBody,
    /// It takes effect, and the answer is lost.
    LoseAnswer,
    /// It takes effect, and no answer ever comes.
    HangAfter,
    /// It takes no effect, and the connection ends.
    Drop,
    /// It takes no effect, and no answer ever comes.
    Hang,
    /// 200 with more bytes than anybody reads.
    HugeBody,
    /// A redirect.
    Redirect,
    /// It waits for so many milliseconds before it takes effect.
    Delay(u64),
    /// It is answered, and right after it somebody edits the connection.
    EditBetween(Edit),
}

/// A fault: what befalls which calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Which calls.
    pub meets: Meets,
    /// How many of them pass before.
    pub after: usize,
    /// How many it meets; `None`: all, until it is calm again.
    pub times: Option<usize>,
    /// What befalls them.
    pub what: Misfortune,
}

/// An edit of the options of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edit {
    /// An upstream parameter is set to this entry, which may be of any shape: JSON text.
    Param(String, String),
    /// An upstream parameter is removed.
    ParamRemoved(String),
    /// `upstream_params` is set to this: JSON text.
    Params(String),
    /// `upstream_params` is removed.
    ParamsRemoved,
    /// Another option is set to this: JSON text.
    Option(String, String),
    /// Another option is removed.
    OptionRemoved(String),
    /// A tool imports the whole connection from its own file, which knows no upstream parameters.
    Imported(u32),
}

/// The key of the options that everything here is about.
const PARAMS: &str = "upstream_params";

impl Edit {
    /// Makes it.
    pub fn apply(&self, options: &mut Object) {
        match self {
            Self::Param(name, entry) => {
                let mut params = match options.get(PARAMS) {
                    Some(Json::Object(params)) => params.clone(),
                    _ => Object::new(),
                };
                params.insert(name, json(entry));
                options.insert(PARAMS, params.into());
            }
            Self::ParamRemoved(name) => {
                if let Some(Json::Object(params)) = options.get_mut(PARAMS) {
                    params.remove(name);
                }
            }
            Self::Params(text) => options.insert(PARAMS, json(text)),
            Self::ParamsRemoved => drop(options.remove(PARAMS)),
            Self::Option(key, value) => options.insert(key, json(value)),
            Self::OptionRemoved(key) => drop(options.remove(key)),
            Self::Imported(number) => *options = foreign(*number),
        }
    }

    /// Whether it leaves something that the API refuses when it is sent back, so that nobody can write until it is put right.
    pub fn blocks_writes(&self) -> bool {
        match self {
            Self::Param(_, entry) => !is_entry(&json(entry)),
            Self::Params(text) => match json(text) {
                Json::Null => false,
                Json::Object(params) => !params.iter().all(|(_, entry)| is_entry(entry)),
                Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => true,
            },
            Self::ParamRemoved(_) | Self::ParamsRemoved | Self::Option(..) | Self::OptionRemoved(_) | Self::Imported(_) => false,
        }
    }
}

/// Reads JSON text that was drawn here.
fn json(text: &str) -> Json {
    Json::parse(text).unwrap_or(Json::Null)
}

/// What the API takes as an upstream parameter.
fn is_entry(entry: &Json) -> bool {
    let Some(members) = entry.as_object() else { return false };
    let mut members = members.iter();
    match (members.next(), members.next()) {
        (Some(("value", Json::String(_))), None) => true,
        (Some(("alias", Json::String(alias))), None) => ALIASES.contains(&alias.as_str()),
        _ => false,
    }
}

/// Something that happens to a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TenantAction {
    /// Calls fail.
    Trouble(Trouble),
    /// All tokens are revoked.
    TokensRevoked,
    /// All tokens expire.
    TokensExpired,
    /// Tokens live for so many seconds from now on.
    TokenLifetime(u64),
    /// Answers with a token name its scopes, or do not.
    TokensNameScopes(bool),
    /// The client gets another secret.
    SecretRotated(u32),
    /// The client gets the secret back that it had first.
    SecretRestored,
    /// The client loses its grant.
    GrantRemoved,
    /// The client is deleted.
    ClientRemoved,
    /// The client's grant has these scopes from now on.
    Scopes(Vec<String>),
    /// All tokens are revoked, and this: it is felt at once, where a token would hide it for a day.
    WithTokensRevoked(Box<TenantAction>),
    /// A connection is deleted.
    Deleted(String),
    /// A connection is created, unless there is one of this name.
    Created {
        /// Its name.
        name: String,
        /// Its type.
        strategy: String,
        /// What its options are made of.
        number: u32,
    },
    /// A connection is deleted, and another one made under its name.
    Remade {
        /// Its name.
        name: String,
        /// The type of the new one.
        strategy: String,
        /// What its options are made of.
        number: u32,
    },
    /// The icon of a connection is set to this value, and so many writes that carry it are refused with a message that quotes it.
    Quoted {
        /// The name of the connection.
        connection: String,
        /// The value.
        value: String,
        /// How many writes.
        times: usize,
    },
    /// The options of a connection are edited.
    Edited(String, Edit),
    /// A connection gets another display name.
    DisplayName(String, u32),
    /// A connection loses its display name.
    NoDisplayName(String),
    /// The tenant has these limits from now on: those that Auth0 documents, or none.
    Limits(Plan),
    /// The tenant's clock is so many seconds ahead, or behind when negative.
    Skew(i64),
}

/// The limits of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Plan {
    /// None.
    Unlimited,
    /// Those of a free tenant.
    Free,
    /// Those of an Essentials or Professional tenant.
    Essentials,
    /// One request at a time, one every three seconds: what is left to us where others use up the rest.
    Scarce,
}

impl Plan {
    fn limits(self) -> Limits {
        let scarce = Rate { burst: 1, per_minute: 20 };
        match self {
            Self::Unlimited => Limits::default(),
            Self::Free => Limits::free(),
            Self::Essentials => Limits::essentials(),
            Self::Scarce => Limits { read_connections: Some(scarce), other: Some(scarce), global: None },
        }
    }
}

/// Gives the operator's client its secret and its scopes.
pub fn admit(tenant: &TenantHandle) {
    tenant.add_client(CLIENT_ID, CLIENT_SECRET, SCOPES);
}

/// Ends all faults: no call fails any more, the client has its first secret and its scopes again, and what was set by hand so that
/// no write could carry it is removed. Limits and the clock stay as they are, and calls that hang go on hanging.
///
/// A change that Auth0 refused by name (400) is by contract not tried again before something changes: see [`nudge`].
pub fn calm(tenant: &TenantHandle) {
    tenant.clear_faults();
    admit(tenant);
    mend(tenant);
}

/// Removes what was set by hand so that no write could carry it. Yields whether there was any.
pub fn mend(tenant: &TenantHandle) -> bool {
    let mut blocked = tenant.connection_names();
    blocked.retain(|name| blocks_writes(tenant, name));
    for name in &blocked {
        tenant.edit_exact(name, |options| match options.get_mut(PARAMS) {
            Some(Json::Object(params)) => *params = params.iter().filter(|(_, entry)| is_entry(entry)).map(owned).collect(),
            _ => drop(options.remove(PARAMS)),
        });
    }
    !blocked.is_empty()
}

/// Changes a foreign option of every connection: then a change that was refused is tried again.
pub fn nudge(tenant: &TenantHandle, number: u32) {
    for name in tenant.connection_names() {
        tenant.edit_exact(&name, |options| options.insert("nudged", Json::string(format!("{MARKER}-{number}"))));
    }
}

fn owned((name, entry): (&str, &Json)) -> (String, Json) {
    (name.to_owned(), entry.clone())
}

/// Whether the API would refuse the parameters of this connection when they are sent back.
fn blocks_writes(tenant: &TenantHandle, name: &str) -> bool {
    match Json::from_value(&tenant.upstream_params(name)) {
        Json::Null => false,
        Json::Object(params) => !params.iter().all(|(_, entry)| is_entry(entry)),
        Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => true,
    }
}

/// Options of a connection that nobody declares anything about: with secrets, nested, with nulls and odd numbers.
fn foreign(number: u32) -> Object {
    let text = format!(
        r#"{{"client_id":"{MARKER}-id-{number}","client_secret":"{MARKER}-secret-{number}","scope":["{MARKER}-scope-{number}"],
        "icon_url":"https://idp.example.com/{MARKER}-{number}.png","nested":{{"deep":[{{"{number}":"{MARKER}-nested-{number}","none":null}}],
        "big":{number}12345678901234567890123,"one":{number}.0,"exp":1E+4}},"escaped":"\"{MARKER}\\\u00e9\n{number}","none":null}}"#
    );
    json(&text).as_object().cloned().unwrap_or_default()
}

/// Creates a connection with foreign options; whether there is one of this name already. What it was made of shows in its options.
pub fn create(tenant: &TenantHandle, name: &str, strategy: &str, number: u32) -> bool {
    let mut body = Object::new();
    body.insert("name", Json::string(name));
    body.insert("strategy", Json::string(strategy));
    if number.is_multiple_of(2) {
        body.insert("display_name", Json::string(format!("Login {MARKER} {number}")));
    }
    body.insert("options", foreign(number).into());
    tenant.create_connection_text(&body.to_string()).is_ok()
}

impl Trouble {
    /// As the tenant carries it out.
    fn fault(&self) -> Fault {
        let mut fault = match &self.what {
            Misfortune::Status(status, complaint) => match complaint.body(*status) {
                Some(body) => Fault::status_with(*status, body),
                None => Fault::status(*status),
            },
            Misfortune::RateLimited { global, reset, retry_after } => {
                Fault::rate_limited(RateLimited { global: *global, retry_after: *retry_after, reset: *reset })
            }
            Misfortune::NotJson => Fault::not_json(),
            Misfortune::ErrorBodyWith200 => Fault::error_body_with_200(),
            Misfortune::CutBody => Fault::cut_body(),
            Misfortune::LoseAnswer => Fault::lose_answer(),
            Misfortune::HangAfter => Fault::hang_after(),
            Misfortune::Drop => Fault::drop(),
            Misfortune::Hang => Fault::hang(),
            Misfortune::HugeBody => Fault::huge_body(HUGE),
            Misfortune::Redirect => Fault::redirect("https://elsewhere.example.com/"),
            Misfortune::Delay(millis) => Fault::delay(Duration::from_millis(*millis)),
            Misfortune::EditBetween(edit) => {
                let edit = edit.clone();
                Fault::edit_between(move |options| {
                    let Json::Object(mut exact) = Json::from_value(&serde_json::Value::Object(std::mem::take(options))) else { return };
                    edit.apply(&mut exact);
                    if let serde_json::Value::Object(edited) = Json::Object(exact).to_value() {
                        *options = edited;
                    }
                })
            }
        };
        if let Misfortune::Status(_, Complaint::Quoting(value)) = &self.what {
            fault = fault.body_contains(value);
        }
        // An edit comes between a read and what follows from it: it meets reads only.
        let edits = matches!(self.what, Misfortune::EditBetween(_));
        fault = match &self.meets {
            Meets::Everything => fault,
            Meets::Tokens => fault.path("/oauth/token"),
            Meets::Reads => fault.method("GET"),
            Meets::Lists => fault.method("GET").path("/api/v2/connections"),
            Meets::Writes if edits => fault,
            Meets::Writes => fault.method("PATCH"),
            Meets::WritesTo(name) if !edits => fault.method("PATCH").connection(name),
            Meets::Connection(name) | Meets::WritesTo(name) => fault.connection(name),
        };
        fault = fault.after(self.after);
        match self.times {
            Some(times) => fault.times(times),
            None => fault,
        }
    }
}

/// More than the operator reads of an answer in a simulation, whose limit is to be set below it.
pub const HUGE: usize = 300 * 1024;

impl TenantAction {
    /// Lets it happen.
    pub fn apply(&self, tenant: &TenantHandle) {
        match self {
            Self::Trouble(trouble) => tenant.inject(trouble.fault()),
            Self::TokensRevoked => tenant.revoke_tokens(),
            Self::TokensExpired => tenant.expire_tokens(),
            Self::TokenLifetime(seconds) => tenant.configure(|settings| settings.token_lifetime = Duration::from_secs(*seconds)),
            Self::TokensNameScopes(named) => tenant.configure(|settings| settings.token_names_scopes = *named),
            Self::SecretRotated(number) => tenant.rotate_secret(CLIENT_ID, &secret(*number)),
            Self::SecretRestored => tenant.rotate_secret(CLIENT_ID, CLIENT_SECRET),
            Self::GrantRemoved => tenant.remove_grant(CLIENT_ID),
            Self::ClientRemoved => tenant.remove_client(CLIENT_ID),
            Self::Scopes(scopes) => tenant.set_scopes(CLIENT_ID, scopes),
            Self::WithTokensRevoked(action) => {
                tenant.revoke_tokens();
                action.apply(tenant);
            }
            Self::Deleted(name) => drop(tenant.delete_connection(name)),
            Self::Created { name, strategy, number } => drop(create(tenant, name, strategy, *number)),
            Self::Remade { name, strategy, number } => {
                tenant.delete_connection(name);
                create(tenant, name, strategy, *number);
            }
            Self::Quoted { connection, value, times } => {
                tenant.edit_exact(connection, |options| options.insert("icon_url", Json::string(value)));
                let what = Misfortune::Status(400, Complaint::Quoting(value.clone()));
                Self::Trouble(Trouble { meets: Meets::WritesTo(connection.clone()), after: 0, times: Some(*times), what }).apply(tenant);
            }
            Self::Edited(name, edit) => drop(tenant.edit_exact(name, |options| edit.apply(options))),
            Self::DisplayName(name, number) => {
                let to = format!("Login {MARKER} {number}");
                tenant.edit_properties(name, |properties| properties.insert("display_name", Json::string(to)));
            }
            Self::NoDisplayName(name) => {
                tenant.edit_properties(name, |properties| drop(properties.remove("display_name")));
            }
            Self::Limits(plan) => tenant.set_limits(plan.limits()),
            Self::Skew(seconds) => tenant.set_skew(*seconds),
        }
    }

    /// Whether [`calm`] undoes it.
    pub fn is_fault(&self) -> bool {
        match self {
            Self::Trouble(_)
            | Self::SecretRotated(_)
            | Self::GrantRemoved
            | Self::ClientRemoved
            | Self::Scopes(_)
            | Self::Quoted { .. } => true,
            Self::WithTokensRevoked(action) => action.is_fault(),
            Self::Edited(_, edit) => edit.blocks_writes(),
            Self::TokensRevoked
            | Self::TokensExpired
            | Self::TokenLifetime(_)
            | Self::TokensNameScopes(_)
            | Self::SecretRestored
            | Self::Deleted(_)
            | Self::Created { .. }
            | Self::Remade { .. }
            | Self::DisplayName(..)
            | Self::NoDisplayName(_)
            | Self::Limits(_)
            | Self::Skew(_) => false,
        }
    }
}

/// The secret that the client has after so many rotations.
pub fn secret(number: u32) -> String {
    format!("{MARKER}-client-secret-{number}")
}

#[cfg(test)]
mod tests;
