//! One tenant: its clients, tokens, connections, limits, faults and journal.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Error;
use super::connections;
use super::faults::{self, Effect, Fault};
use super::journal::{Call, Origin};
use super::json::{Json, Object};
use super::limits::{Buckets, Limits};

/// The scopes a client needs to do everything with connections.
pub const ALL_SCOPES: [&str; 6] = [
    "read:connections",
    "update:connections",
    "create:connections",
    "delete:connections",
    "read:connections_options",
    "update:connections_options",
];

/// How a tenant behaves where tenants differ or the evidence is open.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Settings {
    /// Lifetime of a token (documented default: 86,400 s).
    pub token_lifetime: Duration,
    /// The most entries of a page; a larger `per_page` or `take` is cut down to it. The API's schema allows 100, the general guide says
    /// that public-cloud tenants give 50 at most.
    pub page_cap: usize,
    /// The entries of a list without paging parameters (50 since 2021-01-26).
    pub unpaged_cap: usize,
    /// Facebook's limits on `upstream_params` (no `null`, at most ten) at POST, whose body schema is the strategy's own.
    pub facebook_limits_on_post: bool,
    /// The same at PATCH, whose body schema is generic. Unsettled by any source, so a switch.
    pub facebook_limits_on_patch: bool,
    /// The years before the end of life of 2026-07-13: PATCH takes `enabled_clients` and every answer shows it.
    pub legacy_enabled_clients: bool,
    /// The toggle "Allow Connections Management without Options Scopes" of older tenants: `options` needs no scope of its own.
    pub options_without_scopes: bool,
    /// Whether the answer of the token endpoint names the scopes of the token (`scope` is optional: RFC 6749, section 5.1).
    pub token_names_scopes: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            token_lifetime: Duration::from_hours(24),
            page_cap: 100,
            unpaged_cap: 50,
            facebook_limits_on_post: true,
            facebook_limits_on_patch: false,
            legacy_enabled_clients: false,
            options_without_scopes: false,
            token_names_scopes: true,
        }
    }
}

/// How a client proves itself; `private_key_jwt` would be another variant.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    Secret(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) credential: Credential,
    /// The scopes of the client grant for the Management API; `None` without a grant.
    pub(crate) scopes: Option<Vec<String>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) client_id: String,
    pub(crate) scopes: Vec<String>,
    /// UNIX seconds.
    pub(crate) expires: f64,
    pub(crate) revoked: bool,
}

impl Token {
    pub(crate) fn may(&self, scope: &str) -> bool {
        self.scopes.iter().any(|held| held == scope)
    }
}

/// A stored connection: every top-level property besides `options`, and the options.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// Order of creation; what checkpoint paging walks along.
    pub(crate) seq: u64,
    pub(crate) fields: Object,
    pub(crate) options: Object,
}

impl Connection {
    fn text(&self, key: &str) -> &str {
        self.fields.get(key).and_then(Json::as_str).unwrap_or_default()
    }

    pub(crate) fn id(&self) -> &str {
        self.text("id")
    }

    pub(crate) fn name(&self) -> &str {
        self.text("name")
    }

    pub(crate) fn strategy(&self) -> &str {
        self.text("strategy")
    }
}

/// Everything a tenant holds, behind one lock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) domain: String,
    pub(crate) settings: Settings,
    pub(crate) clients: HashMap<String, Client>,
    pub(crate) tokens: HashMap<String, Token>,
    pub(crate) connections: Vec<Connection>,
    pub(crate) documents: HashMap<String, String>,
    pub(crate) limits: Limits,
    pub(crate) buckets: Buckets,
    pub(crate) faults: Vec<Fault>,
    pub(crate) journal: Vec<Call>,
    next_connection: u64,
    next_call: u64,
    ahead: Duration,
    behind: Duration,
}

impl State {
    fn new(domain: String, settings: Settings) -> Self {
        Self {
            domain,
            settings,
            clients: HashMap::new(),
            tokens: HashMap::new(),
            connections: Vec::new(),
            documents: HashMap::new(),
            limits: Limits::default(),
            buckets: Buckets::default(),
            faults: Vec::new(),
            journal: Vec::new(),
            next_connection: 1,
            next_call: 1,
            ahead: Duration::ZERO,
            behind: Duration::ZERO,
        }
    }

    /// The tenant's clock as a duration since the UNIX epoch.
    pub(crate) fn clock(&self) -> Duration {
        (SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + self.ahead).saturating_sub(self.behind)
    }

    /// The tenant's clock in UNIX seconds.
    pub(crate) fn now(&self) -> f64 {
        self.clock().as_secs_f64()
    }

    pub(crate) fn find(&self, name_or_id: &str) -> Option<&Connection> {
        self.connections.iter().find(|connection| connection.id() == name_or_id || connection.name() == name_or_id)
    }

    pub(crate) fn find_mut(&mut self, name_or_id: &str) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.id() == name_or_id || connection.name() == name_or_id)
    }

    /// Puts a connection at the end.
    pub(crate) fn add(&mut self, fields: Object, options: Object) -> &Connection {
        let seq = self.next_connection;
        self.next_connection += 1;
        self.connections.push(Connection { seq, fields, options });
        &self.connections[self.connections.len() - 1]
    }

    /// A new connection id: `con_` and 16 letters or digits.
    pub(crate) fn new_id(&self) -> String {
        loop {
            let id = format!("con_{}", random_text(16));
            if self.find(&id).is_none() {
                return id;
            }
        }
    }

    /// Opens the journal's entry of a call and returns its number.
    pub(crate) fn open_call(&mut self, mut call: Call) -> u64 {
        call.seq = self.next_call;
        call.time_ms = u64::try_from(self.clock().as_millis()).unwrap_or(u64::MAX);
        self.next_call += 1;
        let seq = call.seq;
        self.journal.push(call);
        seq
    }

    /// The journal's entry of a call that is under way; `None` when the journal was cleared meanwhile.
    pub(crate) fn call_mut(&mut self, seq: u64) -> Option<&mut Call> {
        self.journal.iter_mut().rev().find(|call| call.seq == seq)
    }

    fn third_party(&mut self, method: &str, id: &str, body: Option<serde_json::Value>) {
        self.open_call(Call {
            seq: 0,
            time_ms: 0,
            origin: Origin::ThirdParty,
            method: method.to_owned(),
            path: if id.is_empty() { "/api/v2/connections".to_owned() } else { format!("/api/v2/connections/{id}") },
            query: String::new(),
            status: None,
            body,
            body_text: None,
            client_id: None,
            correlation_id: None,
            user_agent: None,
            fault: None,
        });
    }

    /// A third party's change of a connection's options; unknown connections are left alone.
    pub(crate) fn edit(&mut self, name_or_id: &str, edit: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> bool {
        let Some(connection) = self.find_mut(name_or_id) else {
            return false;
        };
        faults::apply_edit(&mut connection.options, edit);
        let id = connection.id().to_owned();
        let body = [("options", Json::Object(connection.options.clone()))].into_iter().collect::<Object>();
        self.third_party("PATCH", &id, Some(Json::Object(body).to_value()));
        true
    }
}

/// Random letters and digits.
pub(crate) fn random_text(length: usize) -> String {
    (0..length).map(|_| fastrand::alphanumeric()).collect()
}

/// A tenant to act on from outside: set it up, disturb it, look at it. Clones share the tenant.
#[derive(Clone)]
pub struct TenantHandle {
    pub(crate) state: Arc<Mutex<State>>,
}

impl fmt::Debug for TenantHandle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("TenantHandle").field("domain", &self.domain()).finish_non_exhaustive()
    }
}

impl TenantHandle {
    pub(crate) fn new(domain: &str, settings: Settings) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(domain.to_owned(), settings))) }
    }

    /// The lock. A panic of another holder leaves the state as it was, which is as good as any.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tenant's domain, e.g. `a.eu.auth0.com`.
    pub fn domain(&self) -> String {
        self.lock().domain.clone()
    }

    /// The audience of its Management API, `https://{domain}/api/v2/`.
    pub fn audience(&self) -> String {
        format!("https://{}/api/v2/", self.lock().domain)
    }

    /// Changes the tenant's behaviour.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.lock().settings);
    }

    /// Adds (or replaces) a machine-to-machine client with a grant of these scopes.
    pub fn add_client<S: AsRef<str>>(&self, client_id: &str, client_secret: &str, scopes: impl IntoIterator<Item = S>) {
        let scopes = scopes.into_iter().map(|scope| scope.as_ref().to_owned()).collect();
        let client = Client { credential: Credential::Secret(client_secret.to_owned()), scopes: Some(scopes) };
        self.lock().clients.insert(client_id.to_owned(), client);
    }

    /// Replaces the scopes of a client's grant. Tokens already issued keep the scopes of their issue.
    pub fn set_scopes<S: AsRef<str>>(&self, client_id: &str, scopes: impl IntoIterator<Item = S>) {
        let scopes = scopes.into_iter().map(|scope| scope.as_ref().to_owned()).collect();
        if let Some(client) = self.lock().clients.get_mut(client_id) {
            client.scopes = Some(scopes);
        }
    }

    /// Takes a client's grant for the Management API away: it gets no more tokens (403).
    pub fn remove_grant(&self, client_id: &str) {
        if let Some(client) = self.lock().clients.get_mut(client_id) {
            client.scopes = None;
        }
    }

    /// Replaces a client's secret; the old one stops working at once. Tokens already issued stay valid.
    pub fn rotate_secret(&self, client_id: &str, client_secret: &str) {
        if let Some(client) = self.lock().clients.get_mut(client_id) {
            client.credential = Credential::Secret(client_secret.to_owned());
        }
    }

    /// Removes a client. Tokens already issued stay valid.
    pub fn remove_client(&self, client_id: &str) {
        self.lock().clients.remove(client_id);
    }

    /// Makes every token issued so far invalid (401 "Invalid token").
    pub fn revoke_tokens(&self) {
        for token in self.lock().tokens.values_mut() {
            token.revoked = true;
        }
    }

    /// Lets every token issued so far expire (401 "Expired token received for JSON Web Token validation").
    pub fn expire_tokens(&self) {
        for token in self.lock().tokens.values_mut() {
            token.expires = 0.0;
        }
    }

    /// Moves the tenant's clock forward: tokens age and rate limits refill.
    pub fn advance(&self, by: Duration) {
        self.lock().ahead += by;
    }

    /// Sets the tenant's clock back, as seen from a machine whose own clock is fast: what it says of times lies in our past.
    pub fn set_back(&self, by: Duration) {
        self.lock().behind += by;
    }

    /// What the outside world serves at a URL: a discovery document (JSON) or SAML metadata (XML). The tenant reads it when a write makes
    /// it derive something; nothing is fetched from a network.
    pub fn serve_document(&self, url: &str, text: &str) {
        self.lock().documents.insert(url.to_owned(), text.to_owned());
    }

    /// Creates a connection from a POST body, with everything the server derives, and returns its id. It is not in the journal as a
    /// call but as a third party's change.
    pub fn create_connection(&self, body: &serde_json::Value) -> Result<String, Error> {
        self.create_connection_text(&body.to_string())
    }

    /// The same from JSON text, so that any number and the order of keys arrive as written.
    pub fn create_connection_text(&self, body: &str) -> Result<String, Error> {
        let body = Json::parse(body).map_err(|error| Error::Refused(error.to_string()))?;
        let mut state = self.lock();
        let id = connections::create(&mut state, &body).map_err(|refused| Error::Refused(refused.message()))?;
        state.third_party("POST", "", Some(body.to_value()));
        Ok(id)
    }

    /// Stores a whole document as a GET would show it, exactly and without deriving anything; its `id` is kept when it has one. Returns
    /// the id.
    pub fn restore_connection(&self, document: &str) -> Result<String, Error> {
        let Ok(Json::Object(mut fields)) = Json::parse(document) else {
            return Err(Error::Refused("not a JSON object".to_owned()));
        };
        let options = match fields.remove("options") {
            Some(Json::Object(options)) => options.reordered(),
            _ => Object::new(),
        };
        let mut state = self.lock();
        let id = match fields.get("id").and_then(Json::as_str) {
            Some(id) => id.to_owned(),
            None => state.new_id(),
        };
        fields.insert("id", Json::string(&id));
        state.add(fields, options);
        Ok(id)
    }

    /// The whole stored document of a connection by name or id, hidden properties included; `null` when there is none.
    pub fn connection(&self, name_or_id: &str) -> serde_json::Value {
        self.connection_text(name_or_id).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(serde_json::Value::Null)
    }

    /// The same as exact JSON text, in the order in which a GET shows it.
    pub fn connection_text(&self, name_or_id: &str) -> Option<String> {
        self.lock().find(name_or_id).map(|connection| connections::document(connection).to_string())
    }

    /// The stored `options.upstream_params` of a connection; `null` when absent (or `null`).
    pub fn upstream_params(&self, name_or_id: &str) -> serde_json::Value {
        let state = self.lock();
        let params = state.find(name_or_id).and_then(|connection| connection.options.get("upstream_params"));
        params.map_or(serde_json::Value::Null, Json::to_value)
    }

    /// The names of all connections, oldest first.
    pub fn connection_names(&self) -> Vec<String> {
        self.lock().connections.iter().map(|connection| connection.name().to_owned()).collect()
    }

    /// A third party edits a connection's options. The journal lists it as such. Returns whether the connection exists.
    pub fn edit(&self, name_or_id: &str, edit: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> bool {
        self.lock().edit(name_or_id, edit)
    }

    /// A third party deletes a connection. Returns whether it existed.
    pub fn delete_connection(&self, name_or_id: &str) -> bool {
        let mut state = self.lock();
        let Some(id) = state.find(name_or_id).map(|connection| connection.id().to_owned()) else {
            return false;
        };
        state.connections.retain(|connection| connection.id() != id);
        state.third_party("DELETE", &id, None);
        true
    }

    /// All calls and third-party changes since the start or the last clearing, in order.
    pub fn journal(&self) -> Vec<Call> {
        self.lock().journal.clone()
    }

    /// The calls that write: POST, PATCH and DELETE of the Management API.
    pub fn writes(&self) -> Vec<Call> {
        self.lock().journal.iter().filter(|call| call.is_write()).cloned().collect()
    }

    /// Forgets the journal; numbering goes on.
    pub fn clear_journal(&self) {
        self.lock().journal.clear();
    }

    /// Sets rate limits, with full buckets.
    pub fn set_limits(&self, limits: Limits) {
        let mut state = self.lock();
        state.limits = limits;
        state.buckets = Buckets::new(limits, state.now());
    }

    /// Adds a fault behind those that are there.
    pub fn inject(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    /// Removes all faults; calls that hang go on hanging.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// Whether faults with a number of times are still waiting.
    pub fn pending_faults(&self) -> usize {
        self.lock().faults.len()
    }

    /// Waits until the predicate holds, asking every 10 ms. Returns whether it did before the timeout.
    pub async fn wait_for(&self, mut predicate: impl FnMut(&Self) -> bool, timeout: Duration) -> bool {
        let end = Instant::now() + timeout;
        loop {
            if predicate(self) {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The effect that decides a call's fate, the delays before it and the edits after it.
pub(crate) struct Fate {
    pub(crate) delay: Duration,
    pub(crate) effect: Option<Effect>,
    pub(crate) edits: Vec<faults::EditBetween>,
    pub(crate) name: Option<&'static str>,
}

impl Fate {
    pub(crate) fn of(effects: Vec<Effect>) -> Self {
        let mut fate = Self { delay: Duration::ZERO, effect: None, edits: Vec::new(), name: None };
        for effect in effects {
            let name = effect.name();
            match effect {
                Effect::Delay(delay) => {
                    fate.delay += delay;
                    fate.name = fate.name.or(Some(name));
                }
                Effect::EditBetween(edit) => {
                    fate.edits.push(edit);
                    fate.name = fate.name.or(Some(name));
                }
                other @ (Effect::Status(..)
                | Effect::LoseAnswer
                | Effect::HangAfter
                | Effect::CutBody
                | Effect::Drop
                | Effect::NotJson
                | Effect::ErrorBodyWith200
                | Effect::HugeBody(_)
                | Effect::Hang
                | Effect::Redirect(_)
                | Effect::RateLimited(_)) => {
                    fate.name = Some(name);
                    fate.effect = Some(other);
                }
            }
        }
        fate
    }
}
