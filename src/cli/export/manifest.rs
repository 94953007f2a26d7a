//! What is exported of each connection, and what is not, with why.
//!
//! Guarantees: what a manifest declares is what is live, entry by entry, so that nothing has to be written to adopt it; each
//! manifest keeps to every rule of the core; what is left out is said, with the reason. The order is that of the connections' names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::names::Names;
use crate::api::rules;
use crate::api::upstream_params::{AdoptionPolicy, DeletionPolicy, ManagementPolicy};
use crate::cli::source::ClusterSide;
use crate::core::pass::claims;
use crate::core::spec::{self, Target};
use crate::core::strategy::{Support, support};
use crate::core::tenant::glob_matches;
use crate::core::world::Declared;
use crate::model::document::{Document, Entry, Live};
use crate::model::identity::{ConnectionName, ObjectKey};

/// How manifests are wanted.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// Where the objects go.
    pub(super) namespace: &'a str,
    /// The tenant object that they name; none for the usual one.
    pub(super) tenant: Option<&'a str>,
    /// What they say of writing and removing.
    pub(super) policies: Policies,
    /// Which connections.
    pub(super) pattern: Option<&'a str>,
    /// The reserved parameters that access allows, whatever the cluster says.
    pub(super) reserved: &'a BTreeSet<String>,
}

/// The policies of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policies {
    pub(super) management: ManagementPolicy,
    pub(super) adoption: AdoptionPolicy,
    pub(super) deletion: DeletionPolicy,
}

/// What there is to say of a connection.
#[derive(Debug)]
pub(super) enum Item {
    /// An object for it.
    Manifest(Manifest),
    /// None.
    Skipped {
        /// The connection.
        connection: String,
        /// Why.
        why: String,
    },
}

/// One object.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) tenant: Option<String>,
    pub(super) target: Target,
    pub(super) policies: Policies,
    pub(super) params: BTreeMap<String, Entry>,
    /// What is to be known of it.
    pub(super) notes: Vec<String>,
}

impl Manifest {
    /// Its spec, as the API server would store it.
    pub(super) fn spec(&self) -> Value {
        let (member, connection) = match &self.target {
            Target::Name(name) => ("name", name.as_str()),
            Target::Id(id) => ("id", id.as_str()),
        };
        let mut spec = json!({
            "connection": {member: connection},
            "managementPolicy": self.policies.management.as_str(),
            "adoptionPolicy": self.policies.adoption.as_str(),
            "deletionPolicy": self.policies.deletion.as_str(),
            "params": self.params.iter().map(|(name, entry)| (name.clone(), member_of(entry))).collect::<serde_json::Map<_, _>>(),
        });
        if let (Some(tenant), Some(spec)) = (&self.tenant, spec.as_object_mut()) {
            spec.insert("tenantRef".to_owned(), json!({"name": tenant}));
        }
        spec
    }
}

fn member_of(entry: &Entry) -> Value {
    match entry {
        Entry::Value(text) => json!({"value": text}),
        Entry::Alias(alias) => json!({"alias": alias.as_str()}),
    }
}

/// The items for these connections, in their order.
pub(super) fn items(documents: &[Document], wanted: &Wanted<'_>, cluster: Option<&ClusterSide>) -> Vec<Item> {
    let there = cluster.map(|cluster| there(cluster, wanted.namespace, documents)).unwrap_or_default();
    // Of all connections, so that the name of an object doesn't depend on which are selected.
    let mut names = Names::new(documents.iter().map(|document| &document.name), &there);
    let selected = documents.iter().filter(|document| wanted.pattern.is_none_or(|pattern| glob_matches(pattern, &document.name)));
    selected.flat_map(|document| Exporting { document, wanted, cluster }.items(&mut names)).collect()
}

/// The objects of the namespace, each with the connection of this tenant that it names.
fn there(cluster: &ClusterSide, namespace: &str, documents: &[Document]) -> BTreeMap<String, Option<ConnectionName>> {
    let by_id: BTreeMap<_, _> = documents.iter().map(|document| (&document.id, &document.name)).collect();
    let named = |object: &Declared| {
        let spec = object.spec.as_ref().ok().filter(|_| object.policies.tenant == cluster.name)?;
        match &spec.target {
            Target::Name(name) => Some(name.clone()),
            Target::Id(id) => by_id.get(id).map(|name| (*name).clone()),
        }
    };
    let inside = cluster.view.world.objects().filter(|object| object.key.namespace == namespace);
    inside.map(|object| (object.key.name.clone(), named(object))).collect()
}

/// One connection on its way.
struct Exporting<'a> {
    document: &'a Document,
    wanted: &'a Wanted<'a>,
    cluster: Option<&'a ClusterSide>,
}

impl<'a> Exporting<'a> {
    fn items(&self, names: &mut Names<'a>) -> Vec<Item> {
        let connection = &self.document.name;
        let skipped = |why: String| vec![Item::Skipped { connection: connection.to_string(), why }];
        let live = match self.document.live() {
            Ok(live) if live.is_empty() => return Vec::new(),
            Ok(live) => live,
            Err(error) => return skipped(error.to_string()),
        };
        if let Support::Unsupported(protocol) = support(self.document) {
            let strategy = &self.document.strategy;
            return skipped(format!("upstream parameters do nothing on a connection of type {strategy} ({protocol})"));
        }
        let Some(target) = self.target() else {
            return skipped("neither its name nor its id is valid in a manifest".to_owned());
        };
        let mut notes = Vec::new();
        let params = self.params(live, &target, names.of(connection), &mut notes);
        if params.is_empty() {
            return skipped(notes.join("; "));
        }
        if let Target::Id(_) = target {
            notes.push(format!("the connection {connection} is named by its id, because its name is not valid in a manifest"));
        }
        notes.extend(self.access());
        let most = if self.document.strategy == "facebook" { rules::FACEBOOK_MAX } else { rules::MAX_PARAMS };
        let mut rest = params.into_iter().peekable();
        let mut items = Vec::new();
        while rest.peek().is_some() {
            let params = rest.by_ref().take(most).collect();
            let name = if items.is_empty() { names.of(connection).to_owned() } else { names.further(connection) };
            items.push(self.checked(name, &target, params, std::mem::take(&mut notes)));
        }
        items
    }

    /// How objects name the connection: by its name where that can stand in a manifest.
    fn target(&self) -> Option<Target> {
        let Document { id, name, .. } = self.document;
        match ConnectionName::parse(name) {
            Ok(name) => Some(Target::Name(name)),
            Err(_) => (id.len() <= rules::MAX_CONNECTION_ID).then(|| Target::Id(id.clone())),
        }
    }

    /// What can be declared of what is live; `notes` says of the rest why not.
    fn params(&self, live: BTreeMap<String, Live>, target: &Target, own_name: &str, notes: &mut Vec<String>) -> BTreeMap<String, Entry> {
        let (allowed, others) = (self.allowed_reserved(), self.others(own_name));
        let mut params = BTreeMap::new();
        for (name, live) in live {
            let entry = match live {
                Live::Entry(entry) => entry,
                Live::Foreign => {
                    notes.push(format!("{name} is left out: it has neither a value nor a known alias"));
                    continue;
                }
            };
            if let Some(owner) = others.get(&name) {
                notes.push(format!("{name} is left out: the UpstreamParams {owner} declares or owns it"));
            } else if let Err(problem) = refusal(target, &name, &entry) {
                notes.push(format!("{name} is left out: {problem}"));
            } else if spec::is_reserved(&name) && !allowed.contains(&name) {
                notes.push(format!(
                    "{name} is left out: it is reserved; ask the platform team to add it to allowedReservedParams, and export it with --allow-reserved {name}"
                ));
            } else {
                params.insert(name, entry);
            }
        }
        params
    }

    /// The reserved parameters that may be declared here.
    fn allowed_reserved(&self) -> BTreeSet<String> {
        let by_access = self.cluster.and_then(|cluster| {
            let labels = cluster.view.world.labels(self.wanted.namespace)?;
            cluster.settings.admission(labels, &self.document.name)
        });
        self.wanted.reserved.iter().cloned().chain(by_access.unwrap_or_default()).collect()
    }

    /// The parameters that other objects declare here or own.
    fn others(&self, own_name: &str) -> BTreeMap<String, ObjectKey> {
        let mut others = BTreeMap::new();
        let Some(cluster) = self.cluster else { return others };
        let connection = cluster.connection(self.document);
        let is_own = |key: &ObjectKey| key.namespace == self.wanted.namespace && super::names::is_of(own_name, &key.name);
        for object in cluster.concerned(self.document).iter().filter(|object| !is_own(&object.key)) {
            let owned = claims::on(&object.status, &self.document.id).into_iter().filter(|(_, claim)| !claim.owned.is_empty());
            let declared = object.spec.iter().filter(|_| connection.is_named_by(object)).flat_map(|spec| spec.params.keys().cloned());
            for name in owned.map(|(name, _)| name).chain(declared) {
                others.entry(name).or_insert_with(|| object.key.clone());
            }
        }
        others
    }

    /// What access says, where that is known and not what the objects need.
    fn access(&self) -> Option<String> {
        let cluster = self.cluster?;
        let labels = cluster.view.world.labels(self.wanted.namespace)?;
        let admitted = cluster.settings.admission(labels, &self.document.name).is_some();
        (!admitted).then(|| {
            format!(
                "the ClusterAuth0Tenant {} does not permit the namespace {} to use this connection yet",
                cluster.name, self.wanted.namespace
            )
        })
    }

    /// The object, if the core has nothing against it.
    fn checked(&self, name: String, target: &Target, params: BTreeMap<String, Entry>, notes: Vec<String>) -> Item {
        let Wanted { namespace, tenant, policies, .. } = *self.wanted;
        let (namespace, tenant) = (namespace.to_owned(), tenant.map(str::to_owned));
        let mut manifest = Manifest { name, namespace, tenant, target: target.clone(), policies, params, notes };
        let checked = spec::spec(&manifest.spec())
            .map_err(|refusal| refusal.to_string())
            .and_then(|spec| spec::against_connection(&spec, self.document, &self.allowed_reserved()).map_err(|(_, message)| message));
        match checked {
            Ok(warnings) => {
                manifest.notes.extend(warnings);
                Item::Manifest(manifest)
            }
            Err(why) => Item::Skipped { connection: self.document.name.to_string(), why },
        }
    }
}

/// Why a parameter can't be declared, if it can't.
fn refusal(target: &Target, name: &str, entry: &Entry) -> Result<(), String> {
    let (member, connection) = match target {
        Target::Name(name) => ("name", name.as_str()),
        Target::Id(id) => ("id", id.as_str()),
    };
    let one = json!({"connection": {member: connection}, "params": {name: member_of(entry)}});
    spec::spec(&one).map(drop).map_err(|refusal| refusal.problem)
}

#[cfg(test)]
mod tests;
