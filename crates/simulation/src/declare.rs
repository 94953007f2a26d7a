//! What people declare in a history: objects, tenants, Secrets, namespaces, connections. As data that can be drawn from a seed,
//! applied, and told in a story.
//!
//! There are few names, so that what is declared meets: four objects in two namespaces, two tenant objects, three connections,
//! four parameters.

use std::fmt;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::noise::{CLIENT_ID, MARKER};

/// The operator's own namespace.
pub const OPERATOR_NAMESPACE: &str = "operator";
/// The namespaces of teams.
pub const NAMESPACES: [&str; 2] = ["team-a", "team-b"];
/// The objects: namespace and name.
pub const SLOTS: [(&str, &str); 4] = [("team-a", "one"), ("team-a", "two"), ("team-b", "one"), ("team-b", "three")];
/// The tenant objects.
pub const TENANTS: [&str; 2] = ["default", "second"];
/// The Auth0 tenants.
pub const DOMAINS: [&str; 2] = ["one.eu.auth0.com", "two.eu.auth0.com"];
/// What stands in the place of a domain where nothing may be asked: one that the operator is not allowed to ask, and none at all, as in
/// an object that is older than the rule.
pub const UNUSABLE: [&str; 2] = ["one.example.com", "one domain"];
/// The connections of each tenant, with their strategies. The last has no authorization request.
pub const CONNECTIONS: [(&str, &str); 3] = [("wordpress", "wordpress"), ("corporate", "oidc"), ("legacy", "samlp")];
/// The parameters. The last is reserved.
pub const PARAMS: [&str; 4] = ["blog", "lang", "hint", "state"];
/// What parameters are set to, as Auth0 stores it.
pub const ENTRIES: [&str; 4] = [r#"{"alias":"login_hint"}"#, r#"{"value":"v1"}"#, r#"{"value":"v2"}"#, r#"{"value":"v3"}"#];

/// Which connection an object names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// By its name.
    ByName(usize),
    /// By the id that the connection of this name has when it is declared.
    ById(usize),
    /// A name that no connection has.
    Nothing,
}

/// One object, as somebody applies it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of its own")]
pub struct Declaration {
    /// Which of [`TENANTS`]; beyond them: a name that no tenant object has.
    pub tenant: usize,
    /// The connection.
    pub connection: Named,
    /// Parameters and entries, by number.
    pub params: Vec<(usize, usize)>,
    /// `managementPolicy: Observe`.
    pub observe: bool,
    /// `adoptionPolicy: Overwrite`.
    pub overwrite: bool,
    /// `deletionPolicy: Retain`.
    pub retain: bool,
    /// Stored although it can't be carried out, as an object that is older than a rule.
    pub broken: bool,
}

impl Declaration {
    /// Draws one.
    pub fn draw(rng: &mut Rng) -> Self {
        let connection = match rng.u8(..20) {
            0..10 => Named::ByName(0),
            10..14 => Named::ByName(1),
            14..17 => Named::ById(rng.usize(..2)),
            17..18 => Named::ByName(2),
            18..19 => Named::ById(2),
            _ => Named::Nothing,
        };
        let mut params: Vec<(usize, usize)> = Vec::new();
        for _ in 0..rng.usize(1..4) {
            let name = if rng.u8(..30) == 0 { 3 } else { rng.usize(..3) };
            if params.iter().all(|(known, _)| *known != name) {
                params.push((name, rng.usize(..ENTRIES.len())));
            }
        }
        let chance = |rng: &mut Rng, of: u8| rng.u8(..of) == 0;
        Self {
            tenant: match rng.u8(..30) {
                0 => TENANTS.len(),
                1..4 => 1,
                _ => 0,
            },
            connection,
            params,
            observe: chance(rng, 8),
            overwrite: chance(rng, 5),
            retain: chance(rng, 8),
            broken: chance(rng, 25),
        }
    }

    /// The name of its tenant object.
    pub fn tenant_name(&self) -> &'static str {
        TENANTS.get(self.tenant).copied().unwrap_or("nobody")
    }

    /// The spec, where connections have these ids.
    pub fn spec(&self, id_of: impl Fn(usize) -> Option<String>) -> Value {
        let connection = match self.connection {
            Named::ByName(number) => json!({"name": CONNECTIONS[number].0}),
            Named::ById(number) => json!({"id": id_of(number).unwrap_or_else(|| "con_gone".to_owned())}),
            Named::Nothing => json!({"name": "nothing"}),
        };
        let params: serde_json::Map<String, Value> =
            self.params.iter().map(|(name, entry)| (PARAMS[*name].to_owned(), entry_value(*entry))).collect();
        let mut spec = json!({
            "tenantRef": {"kind": "ClusterAuth0Tenant", "name": self.tenant_name()},
            "connection": connection,
            "params": params,
            "managementPolicy": if self.observe { "Observe" } else { "Enforce" },
            "adoptionPolicy": if self.overwrite { "Overwrite" } else { "IfEqual" },
            "deletionPolicy": if self.retain { "Retain" } else { "Delete" },
        });
        if self.broken {
            spec["params"]["blog"] = json!({"alias": "not_an_alias"});
        }
        spec
    }
}

/// An entry by its number.
pub fn entry_value(number: usize) -> Value {
    serde_json::from_str(ENTRIES[number]).unwrap_or_default()
}

impl fmt::Display for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.connection {
            Named::ByName(number) => write!(f, "connection {}", CONNECTIONS[number].0)?,
            Named::ById(number) => write!(f, "connection {} by its id", CONNECTIONS[number].0)?,
            Named::Nothing => f.write_str("a connection that does not exist")?,
        }
        write!(f, " of tenant {}:", self.tenant_name())?;
        for (name, entry) in &self.params {
            write!(f, " {}={}", PARAMS[*name], ENTRIES[*entry])?;
        }
        for (said, word) in [(self.observe, "Observe"), (self.overwrite, "Overwrite"), (self.retain, "Retain"), (self.broken, "invalid")] {
            if said {
                write!(f, ", {word}")?;
            }
        }
        Ok(())
    }
}

/// One tenant object, as somebody applies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantDeclaration {
    /// Which of [`DOMAINS`]; beyond them: of [`UNUSABLE`].
    pub domain: usize,
    /// Who is admitted to what: namespaces by the label `team` (none: every namespace), patterns, whether `state` may be set.
    pub access: Vec<AccessDeclaration>,
    /// `managementPolicy: Observe`.
    pub observe: bool,
    /// Reads a minute, requests a minute, burst.
    pub rate: (u32, u32, u32),
    /// Seconds between two looks.
    pub resync: u32,
}

/// One entry of `access`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessDeclaration {
    /// The value of the label `team`; none: every namespace.
    pub team: Option<&'static str>,
    /// The patterns.
    pub connections: &'static [&'static str],
    /// Whether the reserved parameter may be set.
    pub reserved: bool,
}

const EVERYTHING: &[&str] = &["*"];
const PATTERNS: [&[&str]; 4] = [EVERYTHING, &["wordpress"], &["corp*", "legacy"], &["*press", "corporate"]];

impl TenantDeclaration {
    /// A tenant that admits everybody to everything.
    pub fn open(domain: usize) -> Self {
        let everybody = AccessDeclaration { team: None, connections: EVERYTHING, reserved: false };
        Self { domain, access: vec![everybody], observe: false, rate: (600, 600, 20), resync: 30 }
    }

    /// Draws one of this domain.
    pub fn draw(rng: &mut Rng, domain: usize) -> Self {
        let mut tenant = Self::open(domain);
        if rng.u8(..3) == 0 {
            tenant.access = (0..rng.usize(1..3))
                .map(|_| AccessDeclaration {
                    team: [None, Some("a"), Some("b")][rng.usize(..3)],
                    connections: PATTERNS[rng.usize(..PATTERNS.len())],
                    reserved: rng.u8(..4) == 0,
                })
                .collect();
        }
        tenant.observe = rng.u8(..10) == 0;
        tenant.rate = match rng.u8(..8) {
            0 => (30, 60, 5),
            1 => (6, 12, 2),
            _ => tenant.rate,
        };
        tenant.resync = [15, 30, 30, 60][rng.usize(..4)];
        tenant
    }

    /// The domain, as it is written.
    pub fn domain(&self) -> &'static str {
        DOMAINS.get(self.domain).copied().unwrap_or_else(|| UNUSABLE[self.domain - DOMAINS.len()])
    }

    /// The spec; `name` is that of the object, whose Secret is named after it.
    pub fn spec(&self, name: &str) -> Value {
        let access: Vec<Value> = self
            .access
            .iter()
            .map(|entry| {
                let selector = entry.team.map_or_else(|| json!({}), |team| json!({"matchLabels": {"team": team}}));
                let reserved: &[&str] = if entry.reserved { &["state"] } else { &[] };
                json!({"namespaceSelector": selector, "connections": entry.connections, "allowedReservedParams": reserved})
            })
            .collect();
        json!({
            "domain": self.domain(),
            "credentials": {"secretRef": {"name": secret_name(name)}},
            "access": access,
            "managementPolicy": if self.observe { "Observe" } else { "Enforce" },
            "rateLimit": {"readsPerMinute": self.rate.0, "requestsPerMinute": self.rate.1, "burst": self.rate.2},
            "resyncIntervalSeconds": self.resync,
        })
    }
}

impl fmt::Display for TenantDeclaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.domain())?;
        for entry in &self.access {
            write!(f, ", team {} to {}", entry.team.unwrap_or("any"), entry.connections.join(" "))?;
            if entry.reserved {
                f.write_str(" with the reserved parameter")?;
            }
        }
        let (reads, requests, burst) = self.rate;
        write!(f, ", {reads} reads and {requests} requests a minute, burst {burst}, a look every {} s", self.resync)?;
        if self.observe { f.write_str(", Observe") } else { Ok(()) }
    }
}

/// The name of the Secret of a tenant object.
pub fn secret_name(tenant: &str) -> String {
    format!("auth0-{tenant}")
}

/// What a Secret holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretDeclaration {
    /// What the tenant takes.
    Right,
    /// Another secret.
    Wrong,
    /// No `clientSecret`.
    Incomplete,
}

impl SecretDeclaration {
    /// The data, not encoded; `secret` is what the tenant takes.
    pub fn data(self, secret: &str) -> Vec<(&'static str, String)> {
        let mut data = vec![("clientId", CLIENT_ID.to_owned())];
        match self {
            Self::Right => data.push(("clientSecret", secret.to_owned())),
            Self::Wrong => data.push(("clientSecret", format!("wrong-{MARKER}"))),
            Self::Incomplete => {}
        }
        data
    }
}

/// The options that a connection begins with, as text. What is not ours holds the marker, numbers of any size, and escapes.
pub fn options(rng: &mut Rng) -> String {
    let foreign = match rng.u8(..3) {
        0 => format!(r#""client_id":"c1","client_secret":"s-{MARKER}""#),
        1 => format!(r#""client_secret":"s\u00e4-{MARKER}","scope":[ "a" , "b"],"big":123456789012345678901234567890"#),
        _ => format!(r#""z":1.10,"a":{{"b":null,"note":"{MARKER}"}},"empty":{{}}"#),
    };
    match rng.u8(..6) {
        0 => format!(r#"{{{foreign},"upstream_params":null}}"#),
        1 => format!(r#"{{{foreign},"upstream_params":{{"theirs":{{"value":"a-{MARKER}\u0041"}},"blog":{{"value":"v1"}}}}}}"#),
        2 => format!(r#"{{"upstream_params":{{"hint":{{"alias":"login_hint"}},"lang":{{"value":"theirs"}}}},{foreign}}}"#),
        _ => format!("{{{foreign}}}"),
    }
}
