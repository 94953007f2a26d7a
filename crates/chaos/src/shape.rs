//! What there is: two tenants with four connections each, and twenty objects in four namespaces.

use serde_json::{Value, json};

use crate::document::OWN;

/// The tenants, by the name of their tenant object.
pub(crate) const SITES: [&str; 2] = ["alpha", "beta"];

/// The namespaces of a tenant, by the end of their name.
const NAMESPACES: [&str; 2] = ["a", "b"];

/// The connections of a tenant: name and strategy.
pub(crate) const CONNECTIONS: [(&str, &str); 4] =
    [("shop", "oidc"), ("blog", "wordpress"), ("partners", "oauth2"), ("staff", "google-oauth2")];

/// Objects in a namespace.
const PER_NAMESPACE: usize = 5;

/// All objects.
pub(crate) const OBJECTS: usize = SITES.len() * NAMESPACES.len() * PER_NAMESPACE;

/// The parameters that an object may declare, by the end of their name.
const LETTERS: [char; 4] = ['a', 'b', 'c', 'd'];

/// What begins every value and every secret, so that one that is shown is found.
pub(crate) const MARKER: &str = "marker-";

/// What begins the values that somebody else sets.
pub(crate) const FOREIGN: &str = "marker-foreign-";

/// The tenant whose object is deleted and set to `Observe`.
pub(crate) const SUSPENDED: usize = 1;

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    /// Its number.
    pub(crate) number: usize,
    /// The number of its tenant.
    pub(crate) site: usize,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

/// The object of this number.
pub(crate) fn object(number: usize) -> Object {
    let site = number / (NAMESPACES.len() * PER_NAMESPACE) % SITES.len();
    let namespace = format!("{}-{}", SITES[site], NAMESPACES[number / PER_NAMESPACE % NAMESPACES.len()]);
    Object { number, site, namespace, name: format!("object-{number}") }
}

impl Object {
    /// Whether its status is erased and its finalizer taken now and then.
    pub(crate) fn is_robbed(&self) -> bool {
        self.number.is_multiple_of(3)
    }

    /// The name of one of its parameters.
    pub(crate) fn param(&self, pick: usize) -> String {
        format!("{OWN}{}-{}", self.number, LETTERS[pick % LETTERS.len()])
    }

    /// What it declares when it is made.
    pub(crate) fn spec(&self, connection: usize, values: [String; 2]) -> Value {
        let [one, two] = values;
        let policy = if self.number.is_multiple_of(2) { "IfEqual" } else { "Overwrite" };
        json!({
            "tenantRef": {"name": SITES[self.site]},
            "connection": {"name": CONNECTIONS[connection % CONNECTIONS.len()].0},
            "params": {self.param(0): {"value": one}, self.param(1): {"value": two}},
            "adoptionPolicy": policy,
        })
    }
}

/// The number of the object that declares a parameter of this name.
pub(crate) fn declarer(param: &str) -> Option<usize> {
    param.strip_prefix(OWN)?.split('-').next()?.parse().ok().filter(|number| *number < OBJECTS)
}

/// All namespaces.
pub(crate) fn namespaces() -> Vec<String> {
    SITES.iter().flat_map(|site| NAMESPACES.iter().map(move |end| format!("{site}-{end}"))).collect()
}

/// The namespaces whose label is taken now and then.
pub(crate) fn unsure_namespaces() -> Vec<String> {
    SITES.iter().map(|site| format!("{site}-{}", NAMESPACES[1])).collect()
}

/// The domain of a tenant.
pub(crate) fn domain(site: usize) -> String {
    format!("{}.eu.auth0.com", SITES[site])
}

/// The spec of a tenant object.
pub(crate) fn tenant(site: usize) -> Value {
    json!({
        "domain": domain(site),
        "credentials": {"secretRef": {"name": SITES[site]}},
        "access": [{"namespaceSelector": {"matchLabels": {"tenant": SITES[site]}}, "connections": ["*"]}],
        "rateLimit": {"readsPerMinute": 60000, "requestsPerMinute": 60000, "burst": 1000},
        "resyncIntervalSeconds": RESYNC,
    })
}

/// Seconds between two looks at a connection.
pub(crate) const RESYNC: u64 = 5;

/// A connection as somebody makes it.
pub(crate) fn connection(nth: usize, value: &str) -> Value {
    let (name, strategy) = CONNECTIONS[nth % CONNECTIONS.len()];
    json!({
        "name": name,
        "strategy": strategy,
        "display_name": format!("The {name}"),
        "options": {
            "client_id": format!("idp-{name}"),
            "client_secret": format!("{MARKER}idp-secret-{value}"),
            "scope": ["openid", "profile"],
            "nested": {"z": null, "a": [1, 2.50, 12_345_678_901_234_567_890_u64], "text": format!("{FOREIGN}\u{e9}")},
            "upstream_params": {"their-0": {"value": value}},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_has_names_of_its_own_and_namespaces_are_shared_evenly() {
        for number in 0..OBJECTS {
            let object = object(number);
            assert!(namespaces().contains(&object.namespace), "{object:?}");
            assert_eq!(declarer(&object.param(7)), Some(number));
        }
        assert_eq!(declarer("their-0"), None);
        for namespace in namespaces() {
            assert_eq!((0..OBJECTS).filter(|number| object(*number).namespace == namespace).count(), PER_NAMESPACE);
        }
        assert!((0..OBJECTS).any(|number| !object(number).is_robbed() && object(number).namespace == "alpha-a"));
    }
}
