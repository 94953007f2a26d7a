//! `/api/v2/clients`: the list of applications, as tools read it that look up who may use a connection.
//!
//! Source: Auth0's `OpenAPI` document of the Management API v2, and recorded lists of real tenants. Nothing else of clients is served.

use ring::digest;

use super::answer::Answer;
use super::certificate::hex;
use super::json::{Json, Object};
use super::paging::{allow, beyond_cap, boolean, cursor, last_seen, number};
use super::routes::no_evidence;
use super::tenant::{Client, Credential, State, Token};

/// The query of the list.
#[derive(Default)]
struct Query {
    fields: Vec<String>,
    exclude: bool,
    page: Option<usize>,
    per_page: Option<usize>,
    include_totals: bool,
    from: Option<String>,
    take: Option<usize>,
    is_global: Option<bool>,
    is_first_party: Option<bool>,
    app_types: Vec<String>,
}

impl Query {
    fn read(query: &[(String, String)]) -> Result<Self, Answer> {
        const KNOWN: [&str; 10] =
            ["fields", "include_fields", "page", "per_page", "include_totals", "from", "take", "is_global", "is_first_party", "app_type"];
        allow(query, &KNOWN)?;
        let mut out = Self::default();
        let words = |value: &str| value.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect();
        for (key, value) in query {
            match key.as_str() {
                "page" => out.page = Some(number(key, value, 0, usize::MAX, "Page index of the results to return. First page is 0.")?),
                "per_page" => out.per_page = Some(number(key, value, 1, 100, "Number of results per page. Default value is 50")?),
                "take" => out.take = Some(number(key, value, 1, 100, "Number of results per page. Defaults to 50.")?),
                "include_totals" => out.include_totals = boolean(key, value)?,
                "include_fields" => out.exclude = !boolean(key, value)?,
                "is_global" => out.is_global = Some(boolean(key, value)?),
                "is_first_party" => out.is_first_party = Some(boolean(key, value)?),
                "from" => out.from = Some(value.clone()),
                "app_type" => out.app_types = words(value),
                _ => out.fields = words(value),
            }
        }
        Ok(out)
    }

    /// Recorded: a projection keeps `tenant` besides what it asks for.
    fn keeps(&self, key: &str) -> bool {
        let listed = self.fields.iter().any(|field| field == key);
        self.fields.is_empty() || if self.exclude { !listed } else { listed || key == "tenant" }
    }
}

/// The list in its three shapes, as that of connections has them.
pub(crate) fn list(state: &State, token: &Token, query: &[(String, String)]) -> Answer {
    if !["read:clients", "read:client_keys"].iter().any(|scope| token.may(scope)) {
        return Answer::insufficient_scope("read:clients");
    }
    if let Some((key, _)) = query.iter().find(|(key, _)| key == "q" || key == "external_client_id") {
        return no_evidence("GET", "/api/v2/clients", &format!("nothing shows what the parameter {key} of its query does"));
    }
    let query = match Query::read(query) {
        Ok(query) => query,
        Err(refused) => return refused,
    };
    let all = everybody(state, token.may("read:client_keys"));
    let matching: Vec<&(u64, Object)> = all.iter().filter(|(_, client)| query.wants(client)).collect();
    let show = |clients: &[&(u64, Object)]| {
        let shown = clients.iter().map(|(_, client)| {
            let kept = client.iter().filter(|(key, _)| query.keeps(key)).map(|(key, value)| (key, value.clone()));
            Json::from(kept.collect::<Object>())
        });
        Json::Array(shown.collect()).text()
    };
    if query.take.is_some() || query.from.is_some() {
        return checkpoint(state, &query, &matching, show);
    }
    let (page, limit) = (query.page.unwrap_or(0), query.per_page.unwrap_or(50).min(state.settings.page_cap));
    if let Some(refused) = beyond_cap(page, limit) {
        return refused;
    }
    let start = page.saturating_mul(limit);
    let slice: Vec<&(u64, Object)> = matching.iter().skip(start).take(limit).copied().collect();
    if !query.include_totals {
        return Answer::of_json(200, show(&slice));
    }
    let (total, shown) = (matching.len(), show(&slice));
    Answer::of_json(200, format!(r#"{{"total":{total},"start":{start},"limit":{limit},"clients":{shown}}}"#))
}

fn checkpoint(state: &State, query: &Query, matching: &[&(u64, Object)], show: impl Fn(&[&(u64, Object)]) -> String) -> Answer {
    let after = match query.from.as_deref().map(|from| last_seen("clients", from, state.now())) {
        // The first one has the number 0.
        None => None,
        Some(Some(after)) => Some(after),
        Some(None) => return Answer::invalid_query("Invalid pagination cursor"),
    };
    let take = query.take.unwrap_or(50).min(state.settings.page_cap);
    let rest: Vec<&(u64, Object)> = matching.iter().filter(|(seq, _)| after.is_none_or(|after| *seq > after)).copied().collect();
    let slice = &rest[..take.min(rest.len())];
    let mut body = format!(r#"{{"clients":{}"#, show(slice));
    if let (Some((seq, _)), true) = (slice.last(), rest.len() > take) {
        body = body + r#","next":""# + &cursor("clients", *seq, state.now()) + "\"";
    }
    Answer::of_json(200, body + "}")
}

impl Query {
    fn wants(&self, client: &Object) -> bool {
        let is = |key: &str| client.get(key).is_some_and(Json::is_true);
        let kind = client.get("app_type").and_then(Json::as_str);
        self.is_global.is_none_or(|global| is("global") == global)
            && self.is_first_party.is_none_or(|first| is("is_first_party") == first)
            && (self.app_types.is_empty() || kind.is_some_and(|kind| self.app_types.iter().any(|wanted| wanted == kind)))
    }
}

/// The client that every tenant has for all applications together, and those that were added, oldest first.
fn everybody(state: &State, secrets: bool) -> Vec<(u64, Object)> {
    let tenant = state.domain.split('.').next().unwrap_or_default();
    let mut clients: Vec<(&String, &Client)> = state.clients.iter().collect();
    clients.sort_by_key(|(_, client)| client.seq);
    let global = (0, all_applications(tenant, &state.domain));
    std::iter::once(global).chain(clients.into_iter().map(|(id, client)| (client.seq, application(tenant, id, client, secrets)))).collect()
}

/// Its id is made from the domain: what is drawn by chance would be another one for each tenant of a history that is told again.
fn all_applications(tenant: &str, domain: &str) -> Object {
    let digest = hex(digest::digest(&digest::SHA256, domain.as_bytes()).as_ref());
    [
        ("tenant", Json::string(tenant)),
        ("global", Json::Bool(true)),
        ("callbacks", Json::Array(Vec::new())),
        ("is_first_party", Json::Bool(true)),
        ("name", Json::string("All Applications")),
        ("refresh_token", refresh_token(1_296_000, 2_592_000)),
        ("client_id", Json::string(&digest[..32])),
        ("custom_login_page_on", Json::Bool(true)),
    ]
    .into_iter()
    .collect()
}

/// A machine-to-machine application. It is called as its id is.
fn application(tenant: &str, id: &str, client: &Client, secrets: bool) -> Object {
    let jwt: Object =
        [("alg", Json::string("RS256")), ("lifetime_in_seconds", Json::number(36_000)), ("secret_encoded", Json::Bool(false))]
            .into_iter()
            .collect();
    let mut out: Object = [
        ("tenant", Json::string(tenant)),
        ("global", Json::Bool(false)),
        ("is_token_endpoint_ip_header_trusted", Json::Bool(false)),
        ("name", Json::string(id)),
        ("is_first_party", Json::Bool(true)),
        ("oidc_conformant", Json::Bool(true)),
        ("cross_origin_authentication", Json::Bool(false)),
        ("sso_disabled", Json::Bool(false)),
        ("cross_origin_auth", Json::Bool(false)),
        ("refresh_token", refresh_token(2_592_000, 31_557_600)),
        ("client_id", Json::string(id)),
        ("callback_url_template", Json::Bool(false)),
    ]
    .into_iter()
    .collect();
    let Credential::Secret(secret) = &client.credential;
    if secrets {
        out.insert("client_secret", Json::string(secret));
    }
    out.insert("jwt_configuration", jwt.into());
    out.insert("client_aliases", Json::Array(Vec::new()));
    out.insert("token_endpoint_auth_method", Json::string("client_secret_post"));
    out.insert("app_type", Json::string("non_interactive"));
    out.insert("grant_types", Json::strings(["client_credentials"]));
    out.insert("custom_login_page_on", Json::Bool(true));
    out
}

fn refresh_token(idle: i64, whole: i64) -> Json {
    let fields: Object = [
        ("expiration_type", Json::string("non-expiring")),
        ("leeway", Json::number(0)),
        ("infinite_token_lifetime", Json::Bool(true)),
        ("infinite_idle_token_lifetime", Json::Bool(true)),
        ("token_lifetime", Json::number(whole)),
        ("idle_token_lifetime", Json::number(idle)),
        ("rotation_type", Json::string("non-rotating")),
    ]
    .into_iter()
    .collect();
    fields.into()
}
