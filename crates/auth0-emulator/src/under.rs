//! What a connection has under its own address, and what is listed of all connections beside them.
//!
//! Source: Auth0's `OpenAPI` document of the Management API v2, and recorded traffic.

use super::answer::Answer;
use super::connections::{Refused, write};
use super::json::{Json, Object};
use super::paging::{allow, cursor, last_seen, number};
use super::routes::{Under, no_evidence};
use super::schema;
use super::tenant::{Connection, State, Token};

/// The types that were seen without a configuration for SCIM: those that Auth0's own tools ask about it, and databases, which can't
/// have one.
const WITHOUT_SCIM: [&str; 5] = ["samlp", "oidc", "okta", "waad", "auth0"];

/// Recorded of a database.
const NO_SCIM: &str = "This connection type does not support SCIM. Please see our documentation for the currently supported connection \
                       types: https://auth0.com/docs/authenticate/protocols/scim/configure-inbound-scim.";

/// The most clients of one PATCH.
const CLIENTS_AT_ONCE: usize = 50;

/// Answers one authenticated request.
pub(crate) fn handle(
    state: &mut State,
    token: &Token,
    (id, under): (&str, Under),
    query: &[(String, String)],
    body: Result<Option<Json>, Answer>,
) -> Answer {
    let scope = match under {
        Under::Clients | Under::Status => "read:connections",
        Under::SetClients => "update:connections",
        Under::ScimConfiguration => "read:scim_config",
        Under::SetScimConfiguration => "create:scim_config",
        Under::SetDirectoryProvisioning => "create:directory_provisionings",
    };
    if !token.may(scope) {
        return Answer::insufficient_scope(scope);
    }
    let Some(place) = state.connections.iter().position(|connection| connection.id() == id) else {
        return Answer::no_connection();
    };
    let connection = &state.connections[place];
    let unseen = |method: &str, what: &str, why: &str| no_evidence(method, &format!("/api/v2/connections/{id}/{what}"), why);
    match under {
        Under::Clients => clients(state, connection, query).unwrap_or_else(|refused| refused),
        Under::SetClients => write(body, |body| set_clients(state, place, &body)),
        // Documented: 404 unless it is online, and no connector ever is here.
        Under::Status if connection.strategy() == "ad" => {
            Answer::error(404, "no connector of this directory is online (the emulator's own words: Auth0's are not known)", None)
        }
        Under::Status => unseen("GET", "status", "it is documented for the type ad alone"),
        // Recorded: what has no configuration answers so.
        Under::ScimConfiguration if WITHOUT_SCIM.contains(&connection.strategy()) => Answer::error(404, "Not Found", None),
        Under::ScimConfiguration => unseen("GET", "scim-configuration", "it was never seen asked of this type"),
        Under::SetScimConfiguration if connection.strategy() == "auth0" => Answer::error(404, NO_SCIM, None),
        Under::SetScimConfiguration => unseen("POST", "scim-configuration", "the emulator does not have SCIM"),
        Under::SetDirectoryProvisioning => unseen("POST", "directory-provisioning", "the emulator does not have directories"),
    }
}

fn enabled(connection: &Connection) -> &[Json] {
    if let Some(Json::Array(clients)) = connection.fields.get("enabled_clients") { clients } else { &[] }
}

fn clients(state: &State, connection: &Connection, query: &[(String, String)]) -> Result<Answer, Answer> {
    let Page { take, after } = Page::read(state, "enabled clients", query)?;
    let rest = enabled(connection).iter().skip(after);
    let shown = rest.clone().take(take).map(|id| Json::from([("client_id", id.clone())].into_iter().collect::<Object>()));
    let mut body: Object = [("clients", Json::Array(shown.collect()))].into_iter().collect();
    if rest.count() > take {
        let next = u64::try_from(after + take).unwrap_or(u64::MAX);
        body.insert("next", Json::string(cursor("enabled clients", next, state.now())));
    }
    Ok(Answer::json(200, &body.into()))
}

/// A page by checkpoint alone.
struct Page {
    take: usize,
    after: usize,
}

impl Page {
    fn read(state: &State, list: &str, query: &[(String, String)]) -> Result<Self, Answer> {
        allow(query, &["from", "take"])?;
        let mut page = Self { take: 50, after: 0 };
        for (key, value) in query {
            if key == "take" {
                page.take = number(key, value, 1, 100, "Number of results per page. Defaults to 50.")?;
            } else {
                let after = last_seen(list, value, state.now()).and_then(|after| usize::try_from(after).ok());
                page.after = after.ok_or_else(|| Answer::invalid_query("Invalid pagination cursor"))?;
            }
        }
        Ok(Self { take: page.take.min(state.settings.page_cap), ..page })
    }
}

/// Recorded: each client that is named is added or taken out, the others stay, and the answer is empty.
fn set_clients(state: &mut State, place: usize, body: &Json) -> Result<Answer, Refused> {
    let wanted = schema::enabled_clients(body, CLIENTS_AT_ONCE).map_err(|message| Refused(Answer::invalid_body(&message)))?;
    let mut clients = enabled(&state.connections[place]).to_vec();
    for (id, may) in wanted {
        if !state.clients.contains_key(id) {
            let path = format!("/api/v2/connections/{}/clients", state.connections[place].id());
            return Err(Refused(no_evidence("PATCH", &path, "nothing shows what is said of a client that does not exist")));
        }
        clients.retain(|client| client.as_str() != Some(id));
        if may {
            clients.push(Json::string(id));
        }
    }
    state.connections[place].fields.insert("enabled_clients", Json::Array(clients));
    Ok(Answer::text(204, "application/json; charset=utf-8", ""))
}

/// No connection here has any, so the list is empty.
pub(crate) fn directory_provisionings(state: &State, token: &Token, query: &[(String, String)]) -> Answer {
    if !token.may("read:directory_provisionings") {
        return Answer::insufficient_scope("read:directory_provisionings");
    }
    match Page::read(state, "directory provisionings", query) {
        Ok(_) => Answer::of_json(200, r#"{"directory_provisionings":[]}"#.to_owned()),
        Err(refused) => refused,
    }
}
