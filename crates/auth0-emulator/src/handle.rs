//! The handle by which a tenant is set up, disturbed and looked at from outside.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Error;
use super::connections;
use super::faults::Fault;
use super::journal::Call;
use super::json::{Json, Object};
use super::limits::{Buckets, Limits};
use super::tenant::{Client, Clock, Credential, Settings, State};

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
    /// A tenant that no server serves: it is called in this process, by [`TenantHandle::arrive`].
    pub fn alone(domain: &str, settings: Settings) -> Self {
        Self::new(&domain.to_ascii_lowercase(), settings)
    }

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
        let mut state = self.lock();
        let seq = state.clients.get(client_id).map_or(state.next_client, |client| client.seq);
        state.next_client = state.next_client.max(seq + 1);
        let client = Client { credential: Credential::Secret(client_secret.to_owned()), scopes: Some(scopes), seq };
        state.clients.insert(client_id.to_owned(), client);
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

    /// Lets the tenant read the time here, as a duration since the UNIX epoch, instead of from the system. What moved its clock before
    /// goes on top.
    pub fn set_clock(&self, read: impl Fn() -> Duration + Send + Sync + 'static) {
        self.lock().base_clock = Clock(Arc::new(read));
    }

    /// Sets how many seconds the tenant's clock is ahead of where it reads the time, or behind it when negative; what moved it before no
    /// longer counts.
    pub fn set_skew(&self, seconds: i64) {
        let span = Duration::from_secs(seconds.unsigned_abs());
        let mut state = self.lock();
        (state.ahead, state.behind) = if seconds < 0 { (Duration::ZERO, span) } else { (span, Duration::ZERO) };
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
        state.third_party("POST", "", || Some(body.to_value()));
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
        self.lock().find(name_or_id).map(connections::document)
    }

    /// The name of a connection.
    pub fn connection_name(&self, name_or_id: &str) -> Option<String> {
        self.lock().find(name_or_id).map(|connection| connection.name().to_owned())
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

    /// The same on exact JSON, for numbers and shapes that `serde_json` rounds; keys end up in stored order.
    pub fn edit_exact(&self, name_or_id: &str, edit: impl FnOnce(&mut Object)) -> bool {
        let mut state = self.lock();
        let Some(connection) = state.find_mut(name_or_id) else {
            return false;
        };
        edit(&mut connection.options);
        connection.options = std::mem::take(&mut connection.options).reordered();
        let id = connection.id().to_owned();
        state.edited(&id);
        true
    }

    /// A third party edits what a connection has besides its options, such as `display_name`. Its id, name and strategy are its own and
    /// stay. Returns whether the connection exists.
    pub fn edit_properties(&self, name_or_id: &str, edit: impl FnOnce(&mut Object)) -> bool {
        const ITS_OWN: [&str; 3] = ["id", "name", "strategy"];
        let mut state = self.lock();
        let Some(connection) = state.find_mut(name_or_id) else {
            return false;
        };
        let own = ITS_OWN.map(|key| (key, connection.fields.get(key).cloned()));
        edit(&mut connection.fields);
        for (key, value) in own {
            if let Some(value) = value {
                connection.fields.insert(key, value);
            }
        }
        let id = connection.id().to_owned();
        let fields = connection.fields.clone();
        state.third_party("PATCH", &id, || Some(Json::Object(fields).to_value()));
        true
    }

    /// A third party deletes a connection. Returns whether it existed.
    pub fn delete_connection(&self, name_or_id: &str) -> bool {
        let mut state = self.lock();
        let Some(id) = state.find(name_or_id).map(|connection| connection.id().to_owned()) else {
            return false;
        };
        state.connections.retain(|connection| connection.id() != id);
        state.third_party("DELETE", &id, || None);
        true
    }

    /// Whether calls and changes go into the journal; they do unless it is turned off, which saves the work where nobody reads it.
    pub fn keep_journal(&self, keep: bool) {
        self.lock().keeps_journal = keep;
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
