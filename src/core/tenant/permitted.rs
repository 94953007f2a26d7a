//! What a namespace may name at a tenant, in words: for whoever named something else.
//!
//! Guarantees: what is told of connections and tenants is what `access` admits the object's own namespace to, and nothing else; the
//! same facts give the same text; a text has a bound, however much is admitted.
//!
//! Assumes nothing of what is at Auth0: which connections exist is told from statuses that say so, never by another call.

use std::collections::BTreeMap;

use kube::core::SelectorExt;

use super::{Access, TenantSettings};
use crate::core::near::{asked, nearest, nearest_of};
use crate::core::pass::claims;
use crate::core::spec::{Spec, Target};
use crate::core::world::{Declared, World};
use crate::model::identity::ConnectionName;

/// How many names a message lists at most.
const LISTED: usize = 8;
/// How many characters they have together at most, unless the first alone has more.
const LISTED_CHARACTERS: usize = 240;

/// Who can change what a tenant admits.
const ASK: &str = "ask the platform team, which manages that object,";

type Labels = BTreeMap<String, String>;

impl Access {
    /// The patterns of connections that a namespace with these labels is admitted to, as they are declared, each once.
    fn patterns(&self, labels: &Labels) -> Vec<&str> {
        let mut patterns: Vec<&str> = Vec::new();
        for pattern in self.0.iter().filter(|admission| admission.namespaces.matches(labels)).flat_map(|admission| &admission.connections) {
            if !patterns.contains(&pattern.as_str()) {
                patterns.push(pattern);
            }
        }
        patterns
    }

    /// Why a namespace may use no connection of this name, and which it may use. `tenant` is the name of the tenant object.
    pub(crate) fn refusal(&self, tenant: &str, (namespace, labels): (&str, &Labels), connection: &str) -> String {
        let patterns = self.patterns(labels);
        if patterns.is_empty() {
            return format!(
                "no access entry of the ClusterAuth0Tenant {tenant} matches the labels of the namespace {namespace}, so it may use none of \
                 the connections; {ASK} for an access entry, or for the label that one selects by"
            );
        }
        let meant = nearest(connection, whole_names(&patterns));
        format!(
            "the ClusterAuth0Tenant {tenant} does not permit the namespace {namespace} to use the connection {connection}{}, only {}; \
             {ASK} for an access entry that matches the namespace's labels and the connection",
            asked(meant),
            listed(&patterns)
        )
    }
}

impl TenantSettings {
    /// As [`Access::refusal`].
    pub(crate) fn refusal(&self, tenant: &str, namespace: (&str, &Labels), connection: &str) -> String {
        self.access.refusal(tenant, namespace, connection)
    }
}

/// Those of the patterns that are the name of one connection.
fn whole_names<'a>(patterns: &[&'a str]) -> impl Iterator<Item = &'a str> {
    patterns.iter().copied().filter(|pattern| !pattern.contains('*'))
}

/// Names for a message: the first ones, and how many there are beside them.
pub(crate) fn listed<T: AsRef<str>>(names: &[T]) -> String {
    let mut characters = 0;
    let fits = |name: &&T| {
        characters += name.as_ref().chars().count();
        characters <= LISTED_CHARACTERS
    };
    let shown: Vec<&str> = names.iter().take(LISTED).take_while(fits).map(AsRef::as_ref).collect();
    // One that is too long by itself is better than none.
    let shown = if shown.is_empty() { names.iter().take(1).map(AsRef::as_ref).collect() } else { shown };
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The connection that was probably meant by the name in this spec, which no connection has: one that its namespace may use, and that
/// some object of the tenant was seen to have, or that access names in whole.
pub(crate) fn connection_meant(world: &World, tenant: &str, settings: &TenantSettings, object: &Declared) -> Option<String> {
    let Ok(Spec { target: Target::Name(name), .. }) = &object.spec else { return None };
    let labels = world.labels(&object.key.namespace)?;
    let identity = settings.audience.identity();
    let entries = world.objects_of(tenant).flat_map(|object| &object.status.connections);
    let seen = entries.filter(|entry| claims::is_of(entry, identity)).filter_map(|entry| entry.name.as_deref());
    let patterns = settings.access.patterns(labels);
    // Where access has this very name, it is meant, and is only not there yet.
    let named: Vec<&str> = if patterns.contains(&name.as_str()) { Vec::new() } else { whole_names(&patterns).collect() };
    // A status may hold any text that somebody writes there.
    let may_be_told = |name: &str| ConnectionName::parse(name).is_ok() && settings.admission(labels, name).is_some();
    nearest_of(name, seen.chain(named), may_be_told).map(str::to_owned)
}

/// The tenant object that was probably meant by one that does not exist: one that admits the object's namespace.
pub(crate) fn tenant_meant(world: &World, object: &Declared) -> Option<String> {
    let labels = world.labels(&object.key.namespace)?;
    let admits = |name: &str| {
        let tenant = world.tenant(name);
        let spec = tenant.as_ref().and_then(|tenant| tenant.spec.as_ref());
        spec.is_some_and(|spec| Access::of(spec).admits_namespace(labels))
    };
    nearest_of(&object.policies.tenant, world.tenants().map(|tenant| tenant.name.as_str()), admits).map(str::to_owned)
}

#[cfg(test)]
mod tests;
