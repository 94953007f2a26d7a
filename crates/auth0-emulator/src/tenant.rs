//! One tenant: its clients, tokens, connections, limits, faults and journal.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::faults::{self, Fault};
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

/// What tools read besides, which manage a whole tenant.
pub const TOOL_SCOPES: [&str; 3] = ["read:clients", "read:directory_provisionings", "read:scim_config"];

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
    /// Order of creation, from 1; what checkpoint paging walks along.
    pub(crate) seq: u64,
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
    pub(crate) clients: BTreeMap<String, Client>,
    pub(crate) tokens: BTreeMap<String, Token>,
    pub(crate) connections: Vec<Connection>,
    pub(crate) documents: BTreeMap<String, String>,
    pub(crate) limits: Limits,
    pub(crate) buckets: Buckets,
    pub(crate) faults: Vec<Fault>,
    pub(crate) journal: Vec<Call>,
    pub(crate) keeps_journal: bool,
    pub(crate) next_connection: u64,
    pub(crate) next_client: u64,
    pub(crate) next_call: u64,
    pub(crate) base_clock: Clock,
    pub(crate) ahead: Duration,
    pub(crate) behind: Duration,
}

/// Where a tenant reads the time, as a duration since the UNIX epoch.
#[derive(Clone)]
pub(crate) struct Clock(pub(crate) Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock {
    fn of_the_system() -> Self {
        Self(Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Clock")
    }
}

impl State {
    pub(crate) fn new(domain: String, settings: Settings) -> Self {
        Self {
            domain,
            settings,
            clients: BTreeMap::new(),
            tokens: BTreeMap::new(),
            connections: Vec::new(),
            documents: BTreeMap::new(),
            limits: Limits::default(),
            buckets: Buckets::default(),
            faults: Vec::new(),
            journal: Vec::new(),
            keeps_journal: true,
            next_connection: 1,
            next_client: 1,
            next_call: 1,
            base_clock: Clock::of_the_system(),
            ahead: Duration::ZERO,
            behind: Duration::ZERO,
        }
    }

    /// The tenant's clock as a duration since the UNIX epoch.
    pub(crate) fn clock(&self) -> Duration {
        ((self.base_clock.0)() + self.ahead).saturating_sub(self.behind)
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

    /// Numbers a call, puts its entry into the journal when there is one, and returns the number.
    pub(crate) fn open_call(&mut self, call: Option<Call>) -> u64 {
        let seq = self.next_call;
        self.next_call += 1;
        if let Some(mut call) = call {
            call.seq = seq;
            call.time_ms = u64::try_from(self.clock().as_millis()).unwrap_or(u64::MAX);
            self.journal.push(call);
        }
        seq
    }

    /// The journal's entry of a call that is under way; `None` when the journal is not kept, or was cleared meanwhile.
    pub(crate) fn call_mut(&mut self, seq: u64) -> Option<&mut Call> {
        self.journal.iter_mut().rev().find(|call| call.seq == seq)
    }

    /// The journal's entry of a change by a third party.
    pub(crate) fn third_party(&mut self, method: &str, id: &str, body: impl FnOnce() -> Option<serde_json::Value>) {
        let call = self.keeps_journal.then(|| Call {
            seq: 0,
            time_ms: 0,
            origin: Origin::ThirdParty,
            method: method.to_owned(),
            path: if id.is_empty() { "/api/v2/connections".to_owned() } else { format!("/api/v2/connections/{id}") },
            query: String::new(),
            status: None,
            body: body(),
            body_text: None,
            client_id: None,
            correlation_id: None,
            user_agent: None,
            fault: None,
        });
        self.open_call(call);
    }

    /// A third party's change of a connection's options; unknown connections are left alone.
    pub(crate) fn edit(&mut self, name_or_id: &str, edit: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> bool {
        let Some(connection) = self.find_mut(name_or_id) else {
            return false;
        };
        faults::apply_edit(&mut connection.options, edit);
        let id = connection.id().to_owned();
        self.edited(&id);
        true
    }

    /// The journal's entry of a third party's change of a connection's options.
    pub(crate) fn edited(&mut self, id: &str) {
        let options = self.find(id).filter(|_| self.keeps_journal).map(|connection| connection.options.clone());
        let body = || Some(Json::from([("options", Json::Object(options?))].into_iter().collect::<Object>()).to_value());
        self.third_party("PATCH", id, body);
    }
}

/// Random letters and digits.
pub(crate) fn random_text(length: usize) -> String {
    // One that the thread's generator seeds: asked once and not for every letter.
    let mut random = fastrand::Rng::new();
    (0..length).map(|_| random.alphanumeric()).collect()
}
