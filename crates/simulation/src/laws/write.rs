//! The laws of a write to a connection, asked when it is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::seen::{Document, Object, Tenant, canonical_text, fingerprint, members, split_options};
use super::{Law, Violation};

/// What a process may have known of the cluster when it sent a write: of everything the version that it had been shown last,
/// and all that came after.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// The Auth0 tenant that is written to.
    pub host: String,
    /// Objects by uid, in versions.
    pub objects: BTreeMap<String, Vec<Arc<Object>>>,
    /// Tenant objects by name; none: it did not exist.
    pub tenants: BTreeMap<String, Vec<Option<Arc<Tenant>>>>,
    /// The labels of namespaces; none: it did not exist.
    pub namespaces: BTreeMap<String, Vec<Option<BTreeMap<String, String>>>>,
}

/// What it means for an object that its process may not have been shown its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// It keeps what it has.
    Keeps,
    /// Nothing is known for it, so it gets nothing.
    Nothing,
}

impl Scene {
    /// Whether an object is admitted to a connection and not only observed, and which reserved parameters it may set then.
    fn admissions<'a>(&'a self, object: &'a Object, document: &'a Document) -> impl Iterator<Item = BTreeSet<String>> + 'a {
        let name = object.spec.tenant_ref.name.as_deref().unwrap_or("default");
        let tenants = self.tenants.get(name).into_iter().flatten().flatten();
        let serving = tenants.filter(|tenant| tenant.spec.domain == self.host && !tenant.observes());
        let enforced = serving.filter(|_| object.spec.management_policy != "Observe");
        enforced.flat_map(move |tenant| {
            let labels = self.namespaces.get(&object.metadata.namespace).into_iter().flatten().flatten();
            labels.filter_map(|labels| tenant.admits(labels, &document.name))
        })
    }

    fn is_admitted(&self, object: &Object, document: &Document) -> bool {
        self.admissions(object, document).next().is_some()
    }

    /// Whether everything that an object declares could be set on a connection.
    fn fits(&self, object: &Object, document: &Document) -> bool {
        let reserved = object.spec.params.contains_key("state");
        document.takes_params()
            && object.is_valid()
            && self.admissions(object, document).any(|allowed| !reserved || allowed.contains("state"))
    }

    /// The entry that an object wants under a name.
    fn wants(&self, object: &Object, document: &Document, name: &str) -> Option<String> {
        let may = !object.is_deleting() && object.names(&document.id, &document.name) && self.fits(object, document);
        object.spec.params.get(name).filter(|_| may).and_then(super::seen::canonical)
    }

    /// The same, whatever of all that it may have known a process goes by: what it has not been shown yet of a tenant object or of labels
    /// forbids it nothing.
    fn surely_wants(&self, object: &Object, document: &Document, name: &str) -> Option<String> {
        self.wants(object, document, name).filter(|_| self.is_bound_by(object, document, Unseen::Nothing))
    }

    /// Whether an object's record proves a value to be ours, or its deletion without any record finds it equal to its spec.
    fn proves(&self, object: &Object, document: &Document, name: &str, text: &str) -> bool {
        let Some(entry) = canonical_text(text) else { return false };
        // One that leaves what it owns proves nothing any more when it goes.
        if !self.is_admitted(object, document) || (object.is_deleting() && object.spec.deletion_policy == "Retain") {
            return false;
        }
        let restored = object.is_deleting() && object.has_finalizer() && !object.has_record();
        let declared = || object.spec.params.get(name).and_then(super::seen::canonical).as_deref() == Some(&entry);
        self.records(object, document, name, &entry)
            || (restored && object.names(&document.id, &document.name) && declared() && self.fits(object, document))
    }

    /// Whether an object lets go of what it owns under a name: it is being deleted, does not declare it any more, or has moved and
    /// arrived.
    fn gives_up(object: &Object, document: &Document, name: &str) -> bool {
        let dropped = object.names(&document.id, &document.name) && object.is_valid() && !object.spec.params.contains_key(name);
        let moved = !object.names(&document.id, &document.name) && has_arrived_beside(object, &document.id);
        object.is_deleting() || dropped || moved
    }

    /// Whether an object owns a value, declares its name here and may stay: then nobody else gets the name.
    pub(super) fn keeps(&self, object: &Object, document: &Document, name: &str, text: &str) -> bool {
        let stays = !object.is_deleting() && object.names(&document.id, &document.name) && object.spec.params.contains_key(name);
        stays && self.proves(object, document, name, text) && self.is_bound_by(object, document, Unseen::Keeps)
    }

    fn records(&self, object: &Object, document: &Document, name: &str, entry: &str) -> bool {
        let print = fingerprint(&self.host, &document.id, name, entry);
        object.params_on(&document.id).filter(|param| param.name == name).any(|param| param.owned.contains(&print))
    }

    /// Whether an object may not let go of what it owns on a connection, as far as its process may have known.
    pub(super) fn is_bound(&self, uid: &str, document: &Document, unseen: Unseen) -> bool {
        self.objects.get(uid).is_some_and(|versions| versions.iter().all(|object| self.is_bound_by(object, document, unseen)))
    }

    pub(super) fn is_bound_by(&self, object: &Object, document: &Document, unseen: Unseen) -> bool {
        let lets_go = object.spec.management_policy == "Observe" || (object.is_deleting() && object.spec.deletion_policy == "Retain");
        let (tenants, namespaces) = (
            self.tenants.get(object.spec.tenant_ref.name.as_deref().unwrap_or("default")),
            self.namespaces.get(&object.metadata.namespace),
        );
        let (Some(tenants), Some(namespaces), false) = (tenants, namespaces, lets_go) else { return false };
        tenants.iter().all(|tenant| {
            let serving = tenant.as_ref().filter(|tenant| tenant.spec.domain == self.host && !tenant.observes());
            let Some(tenant) = serving else { return false };
            let admits = |labels: &Option<_>| match labels {
                Some(labels) => tenant.admits(labels, &document.name).is_some(),
                None => unseen == Unseen::Keeps,
            };
            namespaces.iter().all(admits)
        })
    }

    /// Whether an object is admitted to what it names, whatever of all that it may have known a process goes by.
    pub fn is_admitted_by_all(&self, object: &Object) -> bool {
        let tenants = self.tenants.get(object.spec.tenant_ref.name.as_deref().unwrap_or("default"));
        let (Some(tenants), Some(namespaces)) = (tenants, self.namespaces.get(&object.metadata.namespace)) else { return false };
        tenants.iter().all(|tenant| {
            let serving = tenant.as_ref().filter(|tenant| tenant.spec.domain == self.host);
            let admits = |labels: &Option<_>| {
                let (Some(tenant), Some(labels)) = (serving, labels) else { return false };
                let named = object.spec.connection.name.as_deref();
                named.map_or_else(|| tenant.admits_to_all(labels), |name| tenant.admits(labels, name).is_some())
            };
            namespaces.iter().all(admits)
        })
    }

    /// Whether one tenant object at most stands for the Auth0 tenant: of several only one serves.
    pub fn has_one_tenant(&self) -> bool {
        let stands = |tenant: &&Arc<Tenant>| tenant.spec.domain == self.host;
        self.tenants.values().filter(|versions| versions.iter().flatten().any(|tenant| stands(&tenant))).count() <= 1
    }

    /// Those whom a connection concerns, as they are: they name it, or say something of it.
    pub fn concerned(&self, document: &Document) -> Vec<Concerned> {
        let concerns = |object: &&Arc<Object>| {
            object.names(&document.id, &document.name) || object.status.connections.iter().any(|connection| connection.id == document.id)
        };
        let newest = self.objects.values().filter_map(|versions| versions.last()).filter(concerns);
        let concerned = |object: &Arc<Object>| Concerned {
            uid: object.metadata.uid.clone(),
            generation: object.metadata.generation,
            lists: object.params_on(&document.id).map(|param| param.name.clone()).collect(),
        };
        newest.map(concerned).collect()
    }

    fn versions(&self) -> impl Iterator<Item = &Object> {
        self.objects.values().flatten().map(Arc::as_ref)
    }
}

/// One whom a connection concerns.
#[derive(Clone, Debug, Default)]
pub struct Concerned {
    /// Which object it is.
    pub uid: String,
    /// Which version of its spec.
    pub generation: i64,
    /// The names that its status lists on that connection.
    pub lists: BTreeSet<String>,
}

/// What a PATCH changes: names, and what to; nothing: it is removed.
pub type Changed = Vec<(String, Option<String>)>;

/// A parameter that a PATCH sets back, as it was in sync before and somebody changed it.
#[derive(Clone, Debug)]
pub struct Correction {
    /// Its name.
    pub name: String,
    /// For whom, and in which generation.
    pub owner: (String, i64),
}

/// Checks a PATCH: `read` is the document that the process read last, with what is not ours equal to what it sends. Yields what it
/// changes, and what of that sets back somebody's change.
pub fn check(scene: &Scene, read: &Document, body: &str, violations: &mut Vec<Violation>) -> (Changed, Vec<Correction>) {
    let mut broken = |law: Law, text: String| violations.push(Violation::of(law, text));
    let sent = members(body);
    let (_, params) = sent.get("options").map(|options| split_options(options)).unwrap_or_default();
    if sent.keys().any(|key| key != "options" && key != "display_name") || sent.get("display_name") != read.display_name.as_ref() {
        broken(
            Law::Least,
            format!("sent were {:?}, and the display name read was {:?}", sent.keys().collect::<Vec<_>>(), read.display_name),
        );
    }
    if !read.has_usable_params {
        broken(Law::Foreign, format!("the parameters of {} were no object, and are replaced", read.name));
    }
    let (mut changed, mut corrections) = (Changed::new(), Vec::new());
    for name in read.params.keys().chain(params.keys()).collect::<BTreeSet<_>>() {
        let (was, is) = (read.params.get(name), params.get(name));
        if was == is {
            continue;
        }
        changed.push((name.clone(), is.and_then(|is| canonical_text(is))));
        let what = |text: &str| format!("{name} of {}, {} to {}: {text}", read.name, shown(was), shown(is));
        let proved = was.is_some_and(|was| scene.versions().any(|object| scene.proves(object, read, name, was)));
        let Some(is) = is else {
            let was_entry = was.and_then(|was| canonical_text(was));
            let wanted = |versions: &Vec<Arc<Object>>| {
                versions.iter().all(|object| was_entry.is_some() && scene.surely_wants(object, read, name) == was_entry)
            };
            let given_up =
                |object: &Object| was.is_some_and(|was| scene.proves(object, read, name, was)) && Scene::gives_up(object, read, name);
            if !proved {
                broken(Law::Proved, what("no record proves that it was ours"));
            } else if !scene.versions().any(given_up) {
                broken(Law::Proved, what("nobody whose it is lets go of it"));
            } else if scene.has_one_tenant() && scene.objects.values().any(wanted) {
                broken(Law::Proved, what("somebody declares it"));
            }
            continue;
        };
        let Some(entry) = canonical_text(is) else {
            broken(Law::Permitted, what("it is no entry"));
            continue;
        };
        let may = |object: &Object| {
            scene.wants(object, read, name).as_ref() == Some(&entry)
                && (was.is_none() || proved || object.spec.adoption_policy == "Overwrite" || was_applied(object, &read.id, name))
        };
        let who: Vec<&Vec<Arc<Object>>> = scene.objects.values().filter(|versions| versions.iter().any(|object| may(object))).collect();
        if who.is_empty() {
            broken(Law::Permitted, what("nobody who may declares it"));
            continue;
        }
        if let Some(was) = was {
            let owns = |versions: &Vec<Arc<Object>>| versions.iter().any(|object| scene.proves(object, read, name, was));
            let keeps = |versions: &Vec<Arc<Object>>| versions.iter().all(|object| scene.keeps(object, read, name, was));
            // What was only claimed holds nothing, as nothing is sent while a write may be on its way that sets it.
            let had = |versions: &Vec<Arc<Object>>| versions.iter().any(|object| was_applied(object, &read.id, name));
            let was_entry = canonical_text(was);
            let declares = |versions: &Vec<Arc<Object>>| {
                versions
                    .iter()
                    .all(|object| was_entry.is_some() && scene.surely_wants(object, read, name) == was_entry && !is_rejected(object))
            };
            if scene.has_one_tenant() && scene.objects.values().any(keeps) && !who.iter().any(|versions| owns(versions)) {
                broken(Law::Permitted, what("it is another's"));
            }
            // As after a restore: the login must not change because records are lost.
            if !proved && scene.has_one_tenant() && scene.objects.values().any(declares) && !who.iter().any(|versions| had(versions)) {
                broken(Law::Permitted, what("another declares what is there, and nobody had it in sync"));
            }
        }
        let back: Vec<&Object> = who.iter().filter_map(|versions| versions.last().map(Arc::as_ref)).collect();
        if let [owner] = back.as_slice()
            && !proved
            && was_applied(owner, &read.id, name)
        {
            let owner = (owner.metadata.uid.clone(), owner.metadata.generation);
            corrections.push(Correction { name: name.clone(), owner });
        }
        let mut recorded = who.iter().copied().flatten().filter(|object| scene.records(object, read, name, &entry)).peekable();
        if recorded.peek().is_none() {
            broken(Law::Claimed, what("nobody who may had recorded it"));
        } else if !recorded.any(|object| object.has_finalizer() || !object.cleans_up()) {
            broken(Law::Claimed, what("whoever recorded it had no finalizer"));
        }
    }
    if changed.is_empty() {
        broken(Law::Needed, format!("a PATCH of {} that changes no parameter", read.name));
    }
    (changed, corrections)
}

/// Whether a parameter was in sync before, as a status says.
fn was_applied(object: &Object, id: &str, name: &str) -> bool {
    object
        .params_on(id)
        .filter(|param| param.name == name && !param.owned.is_empty())
        .any(|param| param.applied == Some(true) || ["InSync", "Applied", "Contended"].contains(&param.state.as_str()))
}

/// Whether an object is accepted at another connection than this one, and has all that it declares there.
fn has_arrived_beside(object: &Object, id: &str) -> bool {
    let accepted = object.condition("Accepted").filter(|accepted| accepted.observed_generation == Some(object.metadata.generation));
    let arrived = |param: &super::seen::Param| ["InSync", "Applied", "Removing"].contains(&param.state.as_str());
    let elsewhere = |connection: &super::seen::Connection| connection.id != id && connection.params.iter().all(arrived);
    accepted.is_some_and(|accepted| accepted.status == "True") && object.status.connections.iter().any(elsewhere)
}

/// Whether Auth0 refused what an object declares, so that it can't act.
fn is_rejected(object: &Object) -> bool {
    object.condition("Synced").is_some_and(|synced| synced.reason == "Rejected")
}

fn shown(entry: Option<&String>) -> &str {
    entry.map_or("nothing", String::as_str)
}
