//! The laws of everything at rest: what statuses say against what is there.

use std::collections::{BTreeMap, BTreeSet};

use super::seen::{Document, Metadata, Object, RECONCILE_AT, Status, Tenant, canonical, canonical_text, fingerprint};
use super::{Law, Violation};
use crate::declare::UNUSABLE;

/// A parameter of a connection of an Auth0 tenant: host, id, name.
pub type Place = (String, String, String);

/// Everything that is there.
#[derive(Debug, Default)]
pub struct Scene {
    /// The objects.
    pub objects: Vec<Object>,
    /// The tenant objects.
    pub tenants: Vec<Tenant>,
    /// The labels of the namespaces.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// The connections by host.
    pub documents: BTreeMap<String, Vec<Document>>,
    /// What the operator set last, and what to, but for what may have been left behind rightly.
    pub ours: BTreeMap<Place, String>,
}

/// Why an object gets nothing: the reasons that it may be told.
type Obstacles = BTreeSet<&'static str>;

impl Scene {
    fn tenant(&self, object: &Object) -> Option<&Tenant> {
        let name = object.spec.tenant_ref.name.as_deref().unwrap_or("default");
        self.tenants.iter().find(|tenant| tenant.metadata.name == name)
    }

    /// Whether a tenant object serves: of those of one host the oldest does, where that may be asked.
    fn serves(&self, tenant: &Tenant) -> bool {
        if UNUSABLE.contains(&tenant.spec.domain.as_str()) {
            return false;
        }
        let age = |tenant: &Tenant| (tenant.metadata.creation_timestamp.clone(), tenant.metadata.name.clone());
        let same = self.tenants.iter().filter(|other| other.spec.domain == tenant.spec.domain);
        same.min_by_key(|other| age(other)).is_some_and(|oldest| oldest.metadata.name == tenant.metadata.name)
    }

    fn document(&self, object: &Object, tenant: &Tenant) -> Option<&Document> {
        let documents = self.documents.get(&tenant.spec.domain)?;
        documents.iter().find(|document| object.names(&document.id, &document.name))
    }

    /// Why an object gets nothing; empty where nothing is in its way.
    fn obstacles(&self, object: &Object, tenant: &Tenant) -> Obstacles {
        let mut obstacles = Obstacles::new();
        if !object.is_valid() {
            obstacles.insert("InvalidSpec");
        }
        let labels = self.namespaces.get(&object.metadata.namespace).cloned().unwrap_or_default();
        let admits = |name: &str| tenant.admits(&labels, name);
        if !tenant.selects(&labels) {
            obstacles.insert("NotPermitted");
        }
        let Some(document) = self.document(object, tenant) else {
            obstacles.insert("ConnectionNotFound");
            if object.spec.connection.name.as_deref().is_some_and(|name| admits(name).is_none()) {
                obstacles.insert("NotPermitted");
            }
            return obstacles;
        };
        match admits(&document.name) {
            // Who names an id is not told whether there is such a connection.
            None if object.spec.connection.id.is_some() => drop(obstacles.insert("ConnectionNotFound")),
            None => drop(obstacles.insert("NotPermitted")),
            Some(allowed) => {
                if object.spec.params.contains_key("state") && !allowed.contains("state") {
                    obstacles.insert("ReservedParam");
                }
                if !document.takes_params() {
                    obstacles.insert("UnsupportedStrategy");
                }
            }
        }
        obstacles
    }

    /// Whether another object may stand in the way of this one's parameter: it declares it here, or has a record of it.
    fn has_rival(&self, object: &Object, host: &str, document: &Document, name: &str) -> bool {
        self.objects.iter().filter(|other| other.metadata.uid != object.metadata.uid).any(|other| {
            let same = self.tenant(other).is_some_and(|tenant| tenant.spec.domain == *host);
            let declares = other.names(&document.id, &document.name) && other.spec.params.contains_key(name);
            let records = other.params_on(&document.id).any(|param| param.name == name && !param.owned.is_empty());
            same && (declares || records)
        })
    }
}

/// Checks everything. What is yielded may still change, as long as the operator has something to do.
pub fn check(scene: &Scene) -> Vec<Violation> {
    let mut violations = Vec::new();
    for tenant in &scene.tenants {
        check_tenant(scene, tenant, &mut violations);
    }
    for object in &scene.objects {
        if object.is_deleting() {
            check_deleting(scene, object, &mut violations);
        } else {
            check_object(scene, object, &mut violations);
        }
    }
    check_owners(scene, &mut violations);
    check_left(scene, &mut violations);
    violations
}

fn check_tenant(scene: &Scene, tenant: &Tenant, violations: &mut Vec<Violation>) {
    check_asked(&format!("all of {}", tenant.metadata.name), &tenant.metadata, &tenant.status, violations);
    let ready = tenant.status.conditions.iter().find(|condition| condition.kind == "Ready");
    let said = ready.map_or("nothing", |ready| ready.status.as_str());
    let reason = ready.map_or("", |ready| ready.reason.as_str());
    if scene.serves(tenant) != (said == "True") {
        let text = format!("the tenant {} says Ready={said} ({reason}), and it serves: {}", tenant.metadata.name, scene.serves(tenant));
        violations.push(Violation::of(Law::True, text));
    }
    if tenant.status.observed_generation != Some(tenant.metadata.generation) {
        violations.push(Violation::of(Law::Sound, format!("the status of the tenant {} is of another generation", tenant.metadata.name)));
    }
}

fn check_deleting(scene: &Scene, object: &Object, violations: &mut Vec<Violation>) {
    // A tenant that is there and can't be used may come back.
    let waits = scene.tenant(object).is_some_and(|tenant| !scene.serves(tenant));
    if object.has_finalizer() && !waits {
        violations.push(Violation::of(Law::Rest, format!("{} is being deleted, and our finalizer keeps it", object.key())));
    }
}

/// Checks that who asked for a look got it.
fn check_asked(what: &str, metadata: &Metadata, status: &Status, violations: &mut Vec<Violation>) {
    let (asked, handled) = (metadata.annotations.get(RECONCILE_AT), status.last_handled_reconcile_at.as_ref());
    if asked.is_some() && asked != handled {
        let text = format!("a look at {what} was asked for by {asked:?}, and what was carried out is {handled:?}");
        violations.push(Violation::of(Law::Rest, text));
    }
}

/// Checks what the tools that wait for an object go by.
fn check_sound(object: &Object, violations: &mut Vec<Violation>) {
    let mut broken = |text: String| violations.push(Violation::of(Law::Sound, format!("{}: {text}", object.key())));
    let (status, generation) = (&object.status, Some(object.metadata.generation));
    if status.observed_generation != generation {
        broken(format!("observedGeneration is {:?}, and the generation {generation:?}", status.observed_generation));
    }
    let kinds: Vec<&str> = status.conditions.iter().map(|condition| condition.kind.as_str()).collect();
    let (four, more) = kinds.split_at(kinds.len().min(4));
    if four != ["Ready", "Accepted", "ResolvedRefs", "Synced"] || !matches!(more, [] | ["Reconciling" | "Stalled"]) {
        return broken(format!("its conditions are {kinds:?}"));
    }
    if status.conditions.iter().any(|condition| condition.observed_generation != generation || condition.message.is_empty()) {
        broken("a condition is of another generation, or says nothing".to_owned());
    }
    let is_ready = status.conditions[0].status == "True";
    if is_ready != more.is_empty() {
        broken(format!("Ready={}, and beside it {more:?}", status.conditions[0].status));
    }
    for connection in &status.connections {
        if connection.params.windows(2).any(|pair| pair[0].name >= pair[1].name)
            || connection.params.iter().any(|param| param.owned.len() > 8)
        {
            broken("the parameters are not sorted, or a record is too long".to_owned());
        }
    }
}

fn check_object(scene: &Scene, object: &Object, violations: &mut Vec<Violation>) {
    check_sound(object, violations);
    check_asked(&object.key(), &object.metadata, &object.status, violations);
    let ready = object.condition("Ready").cloned().unwrap_or_default();
    let mut broken = |law: Law, text: String| violations.push(Violation::of(law, format!("{}: {text}", object.key())));
    let says = format!("Ready={} {} ({})", ready.status, ready.reason, ready.message);
    let Some(tenant) = scene.tenant(object) else {
        let is_unresolved = object.condition("ResolvedRefs").is_some_and(|refs| refs.reason == "TenantNotFound");
        let is_old = is_unresolved && ready.message.starts_with("at the last check");
        if ready.reason != "TenantNotFound" && !is_old && (ready.reason != "InvalidSpec" || object.is_valid()) {
            broken(Law::True, format!("{says}, and there is no such tenant object"));
        }
        return;
    };
    if !scene.serves(tenant) {
        if ready.status == "True" {
            broken(Law::True, format!("{says}, and its tenant does not serve"));
        }
        return;
    }
    if object.has_record() && object.cleans_up() && !object.has_finalizer() {
        broken(Law::Rest, "it owns something, and has no finalizer".to_owned());
    }
    let obstacles = scene.obstacles(object, tenant);
    if !obstacles.is_empty() {
        // What a look showed is said as of that look while there is nothing to look at.
        let is_unresolved =
            object.condition("ResolvedRefs").is_some_and(|refs| refs.status != "True" && obstacles.contains(refs.reason.as_str()));
        let is_old = is_unresolved && ready.message.starts_with("at the last check");
        if ready.status == "True" || !(is_old || obstacles.contains(ready.reason.as_str())) {
            broken(Law::True, format!("{says}, and what is in its way is {obstacles:?}"));
        }
        return;
    }
    let Some(document) = scene.document(object, tenant) else { return };
    if object.spec.management_policy == "Observe" || tenant.observes() {
        if !["Observing", "Conflicted", "ExistingValue", "Contended"].contains(&ready.reason.as_str()) {
            broken(Law::True, format!("{says}, and it only observes"));
        }
        return;
    }
    let host = &tenant.spec.domain;
    let mut all = true;
    for (name, entry) in &object.spec.params {
        let entry = canonical(entry).unwrap_or_default();
        let live = document.params.get(name);
        let equal = live.and_then(|live| canonical_text(live)).as_deref() == Some(&entry);
        let said = object.params_on(&document.id).find(|param| param.name == *name).cloned().unwrap_or_default();
        all &= said.state == "InSync";
        let rival = scene.has_rival(object, host, document, name);
        let overwrites = object.spec.adoption_policy == "Overwrite";
        let what = format!("{name} is {} ({says}), declared is {entry}, live is {live:?}", said.state);
        match said.state.as_str() {
            "InSync" if !equal => broken(Law::True, what),
            "InSync" if !said.owned.contains(&fingerprint(host, &document.id, name, &entry)) => broken(Law::Claimed, what),
            "InSync" => {}
            "Conflicted" if rival => {}
            // What was in sync before is ours, and was changed.
            "ExistingValue" if live.is_some() && !equal && !overwrites && said.applied != Some(true) => {}
            "Conflicted" | "ExistingValue" => broken(Law::Served, what),
            // On its way, or waiting: not at rest.
            _ => broken(Law::Rest, what),
        }
    }
    if all != (ready.status == "True") {
        broken(Law::True, format!("{says}, and all parameters are in sync: {all}"));
    }
}

fn check_owners(scene: &Scene, violations: &mut Vec<Violation>) {
    let mut owners: BTreeMap<Place, String> = BTreeMap::new();
    for object in &scene.objects {
        let Some(tenant) = scene.tenant(object).filter(|tenant| scene.serves(tenant)) else { continue };
        let observes = tenant.observes() || object.spec.management_policy == "Observe";
        if observes || !scene.obstacles(object, tenant).is_empty() {
            continue;
        }
        let labels = scene.namespaces.get(&object.metadata.namespace).cloned().unwrap_or_default();
        let documents = || scene.documents.get(&tenant.spec.domain).into_iter().flatten();
        // Where it is not admitted any more it has a record, and no say.
        let is_admitted = |id: &str| documents().any(|document| document.id == *id && tenant.admits(&labels, &document.name).is_some());
        for connection in object.status.connections.iter().filter(|connection| is_admitted(&connection.id)) {
            for param in
                connection.params.iter().filter(|param| (param.state == "InSync" || param.state == "Applied") && !param.owned.is_empty())
            {
                let place = (tenant.spec.domain.clone(), connection.id.clone(), param.name.clone());
                if let Some(other) = owners.insert(place, object.key()) {
                    violations.push(Violation::of(Law::OneOwner, format!("{other} and {} both own {}", object.key(), param.name)));
                }
            }
        }
    }
}

fn check_left(scene: &Scene, violations: &mut Vec<Violation>) {
    for ((host, id, name), entry) in &scene.ours {
        let document = scene.documents.get(host).into_iter().flatten().find(|document| document.id == *id);
        let Some(live) = document.and_then(|document| document.params.get(name)) else { continue };
        if canonical_text(live).as_ref() != Some(entry) {
            continue;
        }
        let print = fingerprint(host, id, name, entry);
        let recorded =
            scene.objects.iter().any(|object| object.params_on(id).any(|param| param.name == *name && param.owned.contains(&print)));
        if !recorded {
            violations.push(Violation::of(Law::NothingLeft, format!("{name}={live} of {id} was set by the operator, and nobody owns it")));
        }
    }
}
