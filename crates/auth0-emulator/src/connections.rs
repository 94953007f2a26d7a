//! `/api/v2/connections`: list, get, create, update, delete.
//!
//! Source: Auth0's `OpenAPI` document of the Management API v2, its documentation, and recorded traffic.

use super::answer::Answer;
use super::derive::{self, Context};
use super::json::{Json, Member, Object, View};
use super::paging::{allow, beyond_cap, boolean, cursor, last_seen, number, query_error};
use super::schema;
use super::tenant::{Connection, Settings, State, Token};

/// The longest body the API takes ("maximum payload size of 1 megabyte").
pub(crate) const MAX_BODY: usize = 1024 * 1024;

/// A refused write.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Answer);

impl Refused {
    /// The answer's body, which carries the message.
    pub(crate) fn message(&self) -> String {
        String::from_utf8_lossy(&self.0.body).into_owned()
    }
}

fn invalid(message: impl AsRef<str>) -> Refused {
    Refused(Answer::invalid_body(message.as_ref()))
}

/// Which of the recorded orders of top-level keys an answer uses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    One,
    Listed,
}

const HEAD: [&str; 11] = [
    "id",
    "options",
    "strategy",
    "name",
    "provisioning_ticket_url",
    "is_domain_connection",
    "show_as_button",
    "authentication",
    "connected_accounts",
    "cross_app_access_requesting_app",
    "display_name",
];

/// Orders the top-level keys as recorded: a list puts `realms` before `enabled_clients`, a single answer after it.
fn arrange<'a>(fields: &'a Object, options: Option<&'a Object>, shape: Shape) -> View<'a> {
    let tail = match shape {
        Shape::One => ["enabled_clients", "realms"],
        Shape::Listed => ["realms", "enabled_clients"],
    };
    let last = ["metadata", "cross_app_access_resource_app"];
    let mut out: Vec<(&str, Member<'_>)> = Vec::with_capacity(16);
    for key in HEAD.into_iter().chain(tail).chain(last) {
        if key == "options" {
            out.extend(options.map(|options| (key, Member::Object(options))));
        } else if let Some(value) = fields.get(key) {
            out.push((key, Member::Json(value)));
        }
    }
    for (key, value) in fields.iter() {
        if !out.iter().any(|(shown, _)| *shown == key) {
            out.push((key, Member::Json(value)));
        }
    }
    View(out)
}

/// The text of the whole stored document.
pub(crate) fn document(connection: &Connection) -> String {
    arrange(&connection.fields, Some(&connection.options), Shape::One).text()
}

/// What a token sees of a stored connection.
fn seen<'a>(settings: &Settings, token: &Token, connection: &'a Connection, shape: Shape, projection: &Projection) -> View<'a> {
    let options = may_read_options(settings, token).then_some(&connection.options);
    let mut out = arrange(&connection.fields, options, shape);
    let ended = !settings.legacy_enabled_clients;
    out.0.retain(|(key, _)| !(ended && *key == "enabled_clients") && projection.keeps(key));
    out
}

fn may_read_options(settings: &Settings, token: &Token) -> bool {
    settings.options_without_scopes || token.may("read:connections_options")
}

/// A request of the API once its transport is dealt with.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    /// The id in the path, when the path has one.
    pub(crate) id: Option<&'a str>,
    pub(crate) query: &'a [(String, String)],
    /// The parsed body, or the answer that refuses it.
    pub(crate) body: Result<Option<Json>, Answer>,
}

/// Answers one authenticated request.
pub(crate) fn handle(state: &mut State, token: &Token, request: Request<'_>) -> Answer {
    let scope = match request.method {
        "GET" => "read:connections",
        "POST" => "create:connections",
        "PATCH" => "update:connections",
        _ => "delete:connections",
    };
    if !token.may(scope) {
        return Answer::insufficient_scope(scope);
    }
    match (request.method, request.id) {
        ("GET", None) => list(state, token, request.query),
        ("GET", Some(id)) => get(state, token, id, request.query),
        ("POST", None) => write(request.body, |body| post(state, token, &body)),
        ("PATCH", Some(id)) => write(request.body, |body| patch(state, token, id, body)),
        ("DELETE", Some(id)) => delete(state, id),
        _ => Answer::no_route(),
    }
}

/// Carries out what needs a body.
pub(crate) fn write(body: Result<Option<Json>, Answer>, act: impl FnOnce(Json) -> Result<Answer, Refused>) -> Answer {
    let body = match body {
        Ok(Some(body)) => body,
        Ok(None) => {
            return Answer::invalid_body("Payload validation error: 'Expected type object but found type null'.");
        }
        Err(refused) => return refused,
    };
    act(body).unwrap_or_else(|Refused(answer)| answer)
}

fn get(state: &State, token: &Token, id: &str, query: &[(String, String)]) -> Answer {
    let parameters = match Parameters::read(query, &["fields", "include_fields"]) {
        Ok(parameters) => parameters,
        Err(refused) => return refused,
    };
    match state.connections.iter().find(|connection| connection.id() == id) {
        Some(connection) => Answer::view(200, &seen(&state.settings, token, connection, Shape::One, &parameters.projection)),
        None => Answer::no_connection(),
    }
}

/// `DELETE` of a connection that does not exist is no error: the API documents no 404 for it.
fn delete(state: &mut State, id: &str) -> Answer {
    let before = state.connections.len();
    state.connections.retain(|connection| connection.id() != id);
    if state.connections.len() == before {
        return Answer { status: 204, headers: Vec::new(), body: Vec::new() };
    }
    let millis = i64::try_from(state.clock().as_millis()).unwrap_or_default();
    let now = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    let body: Object = [("deleted_at", Json::string(format!("{now:.3}")))].into_iter().collect();
    Answer::json(202, &body.into())
}

fn post(state: &mut State, token: &Token, body: &Json) -> Result<Answer, Refused> {
    let (fields, options) = created(state, body)?;
    let echo = may_read_options(&state.settings, token).then_some(&options);
    // A POST still shows `enabled_clients`, and echoes the options in the order they were sent.
    let answer = Answer::view(201, &arrange(&fields, echo, Shape::One));
    store(state, fields, options);
    Ok(answer)
}

/// Creates a connection and returns its id.
pub(crate) fn create(state: &mut State, body: &Json) -> Result<String, Refused> {
    let (fields, options) = created(state, body)?;
    let id = fields.get("id").and_then(Json::as_str).unwrap_or_default().to_owned();
    store(state, fields, options);
    Ok(id)
}

fn store(state: &mut State, mut fields: Object, mut options: Object) {
    let strategy = fields.get("strategy").and_then(Json::as_str).unwrap_or_default().to_owned();
    derive::forget(&strategy, &mut options);
    if let Some(metadata) = fields.remove("metadata") {
        fields.insert("metadata", metadata.reordered());
    }
    state.add(fields, options.reordered());
}

const ENTERPRISE: [&str; 10] = ["ad", "adfs", "auth0-oidc", "google-apps", "oidc", "okta", "pingfederate", "samlp", "waad", "office365"];
const PROVISIONED: [&str; 5] = ["ad", "adfs", "pingfederate", "samlp", "waad"];
const SHOWN_BY_NAME: [&str; 3] = ["oidc", "okta", "waad"];

fn created(state: &State, body: &Json) -> Result<(Object, Object), Refused> {
    let body = schema::create(body).map_err(invalid)?;
    let text = |key: &str| body.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    let (name, strategy) = (text("name"), text("strategy"));
    let mut options = body.get("options").and_then(Json::as_object).cloned().unwrap_or_default();
    let facebook = strategy == "facebook" && state.settings.facebook_limits_on_post;
    schema::upstream_params(&options, facebook).map_err(invalid)?;
    database_rules(&strategy, &options, None)?;
    if state.connections.iter().any(|connection| connection.name() == name) {
        let message = "A connection with the same name already exists";
        return Err(Refused(Answer::error(409, message, Some("connection_conflict"))));
    }
    derive::derive(&strategy, &mut options, &context(state, None));

    let active = |value: bool| Json::from([("active", Json::Bool(value))].into_iter().collect::<Object>());
    let enterprise = ENTERPRISE.contains(&strategy.as_str());
    let mut fields: Object = body.iter().filter(|(key, _)| *key != "options").map(|(key, value)| (key, value.clone())).collect();
    fields.insert("id", Json::string(state.new_id()));
    let modern_waad = strategy == "waad" && !options.contains("app_domain");
    if PROVISIONED.contains(&strategy.as_str()) && !modern_waad {
        let ticket = super::tenant::random_text(if strategy == "ad" { 32 } else { 8 });
        let url = format!("https://{}/p/{strategy}/{ticket}", state.domain);
        fields.insert("provisioning_ticket_url", Json::string(url));
    }
    fields.insert_missing("is_domain_connection", || Json::Bool(false));
    if enterprise {
        fields.insert_missing("show_as_button", || Json::Bool(false));
    }
    if SHOWN_BY_NAME.contains(&strategy.as_str()) {
        fields.insert_missing("display_name", || Json::string(&name));
    }
    fields.insert_missing("authentication", || active(true));
    fields.insert_missing("connected_accounts", || active(false));
    fields.insert_missing("enabled_clients", || Json::Array(Vec::new()));
    let no_realms = fields.get("realms").is_none_or(|realms| matches!(realms, Json::Array(items) if items.is_empty()));
    if no_realms {
        fields.insert("realms", Json::strings([&name]));
    }
    if fields.get("cross_app_access_resource_app").is_some_and(Json::is_null) {
        fields.remove("cross_app_access_resource_app");
    }
    Ok((fields, options))
}

fn context<'a>(state: &'a State, before: Option<&'a Object>) -> Context<'a> {
    Context { domain: &state.domain, before, documents: &state.documents }
}

/// The recorded refusals of database options.
fn database_rules(strategy: &str, options: &Object, before: Option<&Object>) -> Result<(), Refused> {
    if strategy != "auth0" {
        return Ok(());
    }
    if options.contains("attributes") && options.contains("validation") {
        return Err(invalid("Cannot set both options.attributes and options.validation"));
    }
    let path = |at: Option<&Object>, path: &[&str]| {
        let mut value = at?.get("attributes");
        for key in path {
            value = value?.get(key);
        }
        value.cloned()
    };
    let phone = |key: &[&str]| path(Some(options), &[&["phone_number"], key].concat());
    let inactive = phone(&["signup", "status"]).is_some_and(|status| status.as_str() == Some("inactive"));
    if phone(&["profile_required"]).is_some_and(|required| required.is_true()) && inactive {
        return Err(invalid("attribute phone_number must also be required on signup"));
    }
    let shared = path(Some(options), &["email", "unique"]) == Some(Json::Bool(false));
    if before.is_some() && shared && path(before, &["email", "unique"]) != Some(Json::Bool(false)) {
        return Err(invalid("cannot add non-unique email attribute"));
    }
    Ok(())
}

fn patch(state: &mut State, token: &Token, id: &str, body: Json) -> Result<Answer, Refused> {
    let checked = schema::update(&body, state.settings.legacy_enabled_clients).map_err(invalid)?;
    if let Some(options) = checked.get("options").and_then(Json::as_object) {
        schema::upstream_params(options, false).map_err(invalid)?;
        if !state.settings.options_without_scopes && !token.may("update:connections_options") {
            // The published text of this answer is cut off after "update:connect"; the rest is by analogy.
            let message = "Updating the \"options\" property requires the \"update:connections_options\" scope.";
            return Err(Refused(Answer::error(403, message, Some("insufficient_scope"))));
        }
    }
    let Some(place) = state.connections.iter().position(|connection| connection.id() == id) else {
        return Err(Refused(Answer::no_connection()));
    };
    let stored = &state.connections[place];
    let strategy = stored.strategy().to_owned();
    let mut body = if let Json::Object(body) = body { body } else { Object::new() };
    let options = match body.remove("options") {
        Some(Json::Object(mut sent)) => {
            if strategy == "facebook" && state.settings.facebook_limits_on_patch {
                schema::upstream_params(&sent, true).map_err(invalid)?;
            }
            database_rules(&strategy, &sent, Some(&stored.options))?;
            // The whole of `options` is replaced by what was sent, then completed by what the server derives.
            derive::derive(&strategy, &mut sent, &context(state, Some(&stored.options)));
            Some(sent.reordered())
        }
        _ => None,
    };
    // Nothing is refused from here on.
    let connection = &mut state.connections[place];
    if let Some(options) = options {
        connection.options = options;
    }
    update_fields(connection, body);
    // A PATCH answers in the stored order of keys; nulls it will not keep are still in this answer.
    let answer = Answer::view(200, &seen(&state.settings, token, connection, Shape::One, &Projection::default()));
    derive::forget(&strategy, &mut connection.options);
    Ok(answer)
}

/// Takes over what was sent besides the options.
fn update_fields(connection: &mut Connection, body: Object) {
    let name = connection.name().to_owned();
    let display_name = body.contains("display_name");
    let given = matches!(body.get("realms"), Some(Json::Array(realms)) if !realms.is_empty());
    for (key, value) in body {
        if key == "cross_app_access_resource_app" && value.is_null() {
            connection.fields.remove(&key);
        } else {
            connection.fields.insert(key, value.reordered());
        }
    }
    // "If display_name is not included in the request, the field will be overwritten with the name value."
    if !display_name && connection.fields.contains("display_name") {
        connection.fields.insert("display_name", Json::string(&name));
    }
    // "If the array is empty or the property is not specified, the connection name will be added as realm."
    if !given && connection.fields.contains("realms") {
        connection.fields.insert("realms", Json::strings([name]));
    }
}

/// `fields` and `include_fields`.
#[derive(Default)]
struct Projection {
    fields: Vec<String>,
    exclude: bool,
}

impl Projection {
    /// Recorded: a projection keeps `id`, `is_domain_connection`, `authentication` and `connected_accounts` besides what it asks for.
    fn keeps(&self, key: &str) -> bool {
        const ALWAYS: [&str; 4] = ["id", "is_domain_connection", "authentication", "connected_accounts"];
        if self.fields.is_empty() {
            return true;
        }
        let listed = self.fields.iter().any(|field| field == key);
        if self.exclude { !listed } else { listed || ALWAYS.contains(&key) }
    }
}

/// The query parameters of both reads, validated.
#[derive(Default)]
struct Parameters {
    projection: Projection,
    page: Option<usize>,
    per_page: Option<usize>,
    include_totals: bool,
    from: Option<String>,
    take: Option<usize>,
    strategies: Vec<String>,
    name: Option<String>,
}

const FIELD_NAMES: [&str; 15] = [
    "name",
    "strategy",
    "options",
    "enabled_clients",
    "id",
    "provisioning_ticket_url",
    "display_name",
    "is_domain_connection",
    "show_as_button",
    "realms",
    "metadata",
    "authentication",
    "connected_accounts",
    "cross_app_access_requesting_app",
    "cross_app_access_resource_app",
];

impl Parameters {
    fn read(query: &[(String, String)], known: &[&str]) -> Result<Self, Answer> {
        allow(query, known)?;
        let mut out = Self::default();
        for (key, value) in query {
            match key.as_str() {
                "page" => {
                    out.page = Some(number(key, value, 0, usize::MAX, "Page index of the results to return. First page is 0")?);
                }
                "per_page" => {
                    out.per_page = Some(number(key, value, 1, 100, "Number of results per page. Defaults to 100")?);
                }
                "take" => {
                    out.take = Some(number(key, value, 1, 100, "Number of results per page. Defaults to 50")?);
                }
                "include_totals" => out.include_totals = boolean(key, value)?,
                "include_fields" => out.projection.exclude = !boolean(key, value)?,
                "from" => out.from = Some(value.clone()),
                "name" => out.name = Some(value.clone()),
                "strategy" => {
                    if !schema::STRATEGIES.contains(&value.as_str()) && value != schema::FILTER_ONLY_STRATEGY {
                        let description = "Provide strategies to only retrieve connections with such strategies";
                        return Err(query_error(&format!("No enum match for: {value}"), "strategy", description));
                    }
                    out.strategies.push(value.clone());
                }
                _ => out.projection.fields = fields(value)?,
            }
        }
        Ok(out)
    }
}

fn fields(value: &str) -> Result<Vec<String>, Answer> {
    let fields: Vec<String> = value.split(',').map(|field| field.trim().to_owned()).filter(|field| !field.is_empty()).collect();
    if fields.iter().all(|field| FIELD_NAMES.contains(&field.as_str())) {
        return Ok(fields);
    }
    let reason = format!(
        "String '{value}' does not match pattern. Must be a comma separated list of the following values: {}",
        FIELD_NAMES.join(",")
    );
    let description = "A comma separated list of fields to include or exclude (depending on include_fields) from the result, empty to \
                       retrieve all fields";
    Err(query_error(&reason, "fields", description))
}

/// The list in its three shapes: a bare array, `{total, start, limit, connections}`, and `{connections, next?}`.
fn list(state: &State, token: &Token, query: &[(String, String)]) -> Answer {
    const KNOWN: [&str; 9] = ["per_page", "page", "include_totals", "from", "take", "strategy", "name", "fields", "include_fields"];
    let parameters = match Parameters::read(query, &KNOWN) {
        Ok(parameters) => parameters,
        Err(refused) => return refused,
    };
    let matching: Vec<&Connection> = state
        .connections
        .iter()
        .filter(|connection| parameters.name.as_ref().is_none_or(|name| name == connection.name()))
        .filter(|connection| {
            parameters.strategies.is_empty() || parameters.strategies.iter().any(|strategy| strategy == connection.strategy())
        })
        .collect();
    let show = |connections: &[&Connection]| {
        let mut text = "[".to_owned();
        for (place, connection) in connections.iter().enumerate() {
            text.push_str(if place == 0 { "" } else { "," });
            seen(&state.settings, token, connection, Shape::Listed, &parameters.projection).write(&mut text);
        }
        text + "]"
    };
    // Recorded: with `take`, checkpoint paging wins over `per_page` and `include_totals`.
    if parameters.take.is_some() || parameters.from.is_some() {
        return checkpoint(state, &parameters, &matching, show);
    }
    let page = parameters.page.unwrap_or(0);
    let asked = parameters.per_page;
    if let Some(refused) = beyond_cap(page, asked.unwrap_or(if parameters.page.is_some() { 50 } else { 0 })) {
        return refused;
    }
    let unpaged = parameters.page.is_none() && asked.is_none() && !parameters.include_totals;
    let limit = if unpaged { state.settings.unpaged_cap } else { asked.unwrap_or(50).min(state.settings.page_cap) };
    let start = page.saturating_mul(limit);
    let slice: Vec<&Connection> = matching.iter().skip(start).take(limit).copied().collect();
    if !parameters.include_totals {
        return Answer::of_json(200, show(&slice));
    }
    let (total, shown) = (matching.len(), show(&slice));
    Answer::of_json(200, format!(r#"{{"total":{total},"start":{start},"limit":{limit},"connections":{shown}}}"#))
}

fn checkpoint(state: &State, parameters: &Parameters, matching: &[&Connection], show: impl Fn(&[&Connection]) -> String) -> Answer {
    let after = match parameters.from.as_deref().map(|from| last_seen("connections", from, state.now())) {
        None => 0,
        Some(Some(after)) => after,
        Some(None) => return Answer::invalid_query("Invalid pagination cursor"),
    };
    let take = parameters.take.unwrap_or(50).min(state.settings.page_cap);
    let rest: Vec<&Connection> = matching.iter().filter(|connection| connection.seq > after).copied().collect();
    let slice = &rest[..take.min(rest.len())];
    let mut body = format!(r#"{{"connections":{}"#, show(slice));
    if let (Some(last), true) = (slice.last(), rest.len() > take) {
        // A cursor has nothing to escape.
        body = body + r#","next":""# + &cursor("connections", last.seq, state.now()) + "\"";
    }
    Answer::of_json(200, body + "}")
}
