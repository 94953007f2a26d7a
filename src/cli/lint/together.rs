//! What is said of documents beside each other: objects that stand there twice, that set one parameter, that stand for one tenant;
//! and of objects beside a tenant or the connections that it has.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::connections::{Connection, Known, Suits};
use super::document::{PARAMS, TENANT, title};
use super::finding::{Finding, Rule};
use crate::api::tenant::ClusterAuth0TenantSpec;
use crate::api::upstream_params::ManagementPolicy;
use crate::cli::files::{Document, Files};
use crate::core::admission::Admission;
use crate::core::near::nearest;
use crate::core::spec::{self, Policies, Target};
use crate::core::tenant::Access;
use crate::model::domain::{Audience, Domain};
use crate::model::identity::TenantIdentity;

/// An object of parameters, as far as it can be read.
struct Object<'a> {
    document: &'a Document,
    policies: Policies,
    spec: Option<spec::Spec>,
    /// Where its target stands.
    target_field: &'static str,
    /// The text of its target.
    target: Option<&'a str>,
}

/// A tenant object that can be read.
struct Tenant {
    identity: TenantIdentity,
    domain: String,
    access: Access,
}

/// All that is said of them.
pub(super) fn check(files: &Files, admission: &Admission, known: &[Known]) -> Vec<Finding> {
    let mut found = twice(files, admission);
    let tenants = tenants(files, &mut found);
    let objects: Vec<Object<'_>> = files.documents.iter().filter(|document| document.kind == PARAMS).map(Object::of).collect();
    let labels = labels(files);
    for object in &objects {
        let known = known_for(object, &tenants, known);
        let connection = known.and_then(|known| object.connection(known));
        if let Some(known) = known {
            object.against(known, connection, &mut found);
        }
        object.admitted(&tenants, &labels, connection, &mut found);
    }
    conflicts(&objects, |object| known_for(object, &tenants, known).and_then(|known| object.connection(known)), &mut found);
    found
}

/// The connections of the tenant of an object. A file of another tenant says nothing of it.
fn known_for<'a>(object: &Object<'_>, tenants: &BTreeMap<&str, Tenant>, known: &'a [Known]) -> Option<&'a Known> {
    let tenant = tenants.get(object.policies.tenant.as_str());
    let is_its = |known: &&Known| match (&known.domain, tenant) {
        (Some(domain), Some(tenant)) => *domain == tenant.domain || tenant.identity == domain.as_str(),
        _ => true,
    };
    known.iter().find(is_its)
}

/// Objects that stand there twice.
fn twice(files: &Files, admission: &Admission) -> Vec<Finding> {
    let mut first: HashMap<(&str, Option<&str>, &str), &Document> = HashMap::new();
    let mut found = Vec::new();
    for document in &files.documents {
        let Some(name) = document.name.as_deref() else { continue };
        let namespace = document.namespace.as_deref().filter(|_| document.kind != TENANT);
        let Some(earlier) = first.insert((&document.kind, namespace, name), document) else { continue };
        let message = format!("{} is declared twice, and the last one that is applied wins", title(document));
        let finding = Finding::new(Rule::DuplicateObject, document.place("metadata.name"), message);
        found.push(of(
            document,
            finding.help("remove one, or give it another name").related(earlier.place("metadata.name"), "it is declared here too"),
        ));
        for change in admission.changes(&document.kind, &earlier.value, &document.value) {
            let finding = Finding::new(Rule::ImmutableField, document.place(&change.pointer), change.message);
            found.push(of(document, finding.related(earlier.place(&change.pointer), "the other value is here")));
        }
    }
    found
}

fn of(document: &Document, mut finding: Finding) -> Finding {
    finding.object = Some(title(document));
    finding
}

/// The tenants by name; those that stand for one Auth0 tenant are told.
fn tenants<'a>(files: &'a Files, found: &mut Vec<Finding>) -> BTreeMap<&'a str, Tenant> {
    let mut tenants = BTreeMap::new();
    let mut first: BTreeMap<TenantIdentity, &Document> = BTreeMap::new();
    for document in files.documents.iter().filter(|document| document.kind == TENANT) {
        let spec = document.value.get("spec").cloned().unwrap_or_default();
        let Ok(spec) = serde_json::from_value::<ClusterAuth0TenantSpec>(without_nulls(spec)) else { continue };
        let Ok(domain) = Domain::parse(&spec.domain) else { continue };
        let audience = match &spec.audience {
            Some(audience) => Audience::parse(audience).ok(),
            None => Some(Audience::of(&domain)),
        };
        let (Some(name), Some(audience)) = (document.name.as_deref(), audience) else { continue };
        let identity = audience.identity().clone();
        match first.get(&identity) {
            Some(earlier) if earlier.name != document.name => {
                let message = format!(
                    "{} is for the same Auth0 tenant as {}, and the operator uses only the older one",
                    title(document),
                    title(earlier)
                );
                let finding = Finding::new(Rule::DuplicateTenant, document.place("spec.domain"), message);
                found.push(of(document, finding.help("remove one of the two").related(earlier.place("spec.domain"), "the other one")));
            }
            Some(_) => {}
            None => {
                first.insert(identity.clone(), document);
            }
        }
        tenants.insert(name, Tenant { identity, domain: spec.domain.clone(), access: Access::of(&spec) });
    }
    tenants
}

/// A null stands for what is not there.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name, without_nulls(value))).collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}

/// The labels of the namespaces in the files, with the one that the API server adds.
fn labels(files: &Files) -> BTreeMap<&str, BTreeMap<String, String>> {
    let of = |document: &Document| -> BTreeMap<String, String> {
        let labels = document.value.pointer("/metadata/labels").and_then(Value::as_object);
        let texts = labels.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        texts.chain(document.name.clone().map(|name| ("kubernetes.io/metadata.name".to_owned(), name))).collect()
    };
    files.namespaces.iter().filter_map(|document| Some((document.name.as_deref()?, of(document)))).collect()
}

impl<'a> Object<'a> {
    fn of(document: &'a Document) -> Self {
        static NOTHING: Value = Value::Null;
        let value = document.value.get("spec").unwrap_or(&NOTHING);
        let text = |name: &str| value.pointer(&format!("/connection/{name}")).and_then(Value::as_str);
        let (target_field, target) = match (text("name"), text("id")) {
            (None, Some(id)) => ("spec.connection.id", Some(id)),
            (name, _) => ("spec.connection.name", name),
        };
        Self { document, policies: spec::policies(value), spec: spec::spec(value).ok(), target_field, target }
    }

    /// The connection that it names.
    fn connection<'k>(&self, known: &'k Known) -> Option<&'k Connection> {
        match &self.spec.as_ref()?.target {
            Target::Name(name) => known.by_name(name),
            Target::Id(id) => known.by_id(id),
        }
    }

    /// Whether the connection is there, and can have what is declared.
    fn against(&self, known: &Known, connection: Option<&Connection>, found: &mut Vec<Finding>) {
        let (Some(spec), Some(target)) = (&self.spec, self.target) else { return };
        let place = self.document.place(self.target_field);
        let Some(connection) = connection else {
            let finding =
                Finding::new(Rule::UnknownConnection, place, format!("{}: the tenant has no connection {target}", self.target_field));
            let meant = if matches!(spec.target, Target::Name(_)) { nearest(target, known.names()) } else { None };
            return found.push(of(
                self.document,
                match meant {
                    Some(meant) => finding.help(format!("did you mean {meant}?")),
                    None => finding.help("correct it, create the connection first, or print the connections again"),
                },
            ));
        };
        match connection.suits() {
            Suits::Yes => {}
            Suits::Perhaps(what) => found.push(of(self.document, Finding::new(Rule::UnusualConnection, place, what))),
            Suits::No(why) => found.push(of(self.document, Finding::new(Rule::UnsupportedConnection, place, why))),
        }
        if let Some(message) = spec::too_many_for(&connection.strategy, spec) {
            found.push(of(self.document, Finding::new(Rule::TooManyForConnection, self.document.key_place("spec.params"), message)));
        }
    }

    /// Whether the tenant admits it, where tenant and namespace are in the files; and what it says of reserved parameters.
    fn admitted(
        &self,
        tenants: &BTreeMap<&str, Tenant>,
        labels: &BTreeMap<&str, BTreeMap<String, String>>,
        connection: Option<&Connection>,
        found: &mut Vec<Finding>,
    ) {
        let mut allowed = BTreeSet::new();
        let tenant = tenants.get(self.policies.tenant.as_str());
        let namespace = self.document.namespace.as_deref();
        if let (Some(tenant), Some(namespace), Some(labels)) = (tenant, namespace, namespace.and_then(|namespace| labels.get(namespace))) {
            let by_name = if self.target_field == "spec.connection.name" { self.target } else { None };
            let name = connection.map(|connection| connection.name.as_str()).or(by_name);
            let admission = name.map(|name| (name, tenant.access.admission(labels, name)));
            let message = match admission {
                Some((_, Some(reserved))) => {
                    allowed = reserved;
                    None
                }
                None if tenant.access.admits_namespace(labels) => None,
                // The operator says the same.
                denied => {
                    let name = denied.map(|(name, _)| name).unwrap_or_default();
                    Some(tenant.access.refusal(&self.policies.tenant, (namespace, labels), name))
                }
            };
            found.extend(
                message.map(|message| of(self.document, Finding::new(Rule::NotPermitted, self.document.place(self.target_field), message))),
            );
        }
        for name in self.names().filter(|name| spec::is_reserved(name) && !allowed.contains(*name)) {
            let place = self.document.key_place(&param(name));
            found.push(of(self.document, Finding::new(Rule::ReservedParam, place, spec::reserved_param(name, &allowed))));
        }
    }

    fn names(&self) -> impl Iterator<Item = &'a str> {
        self.document.value.pointer("/spec/params").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.as_str())
    }
}

fn param(name: &str) -> String {
    format!("/spec/params/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Parameters of one connection that two objects set. One that only observes sets nothing.
fn conflicts<'a>(objects: &[Object<'_>], connection: impl Fn(&Object<'_>) -> Option<&'a Connection>, found: &mut Vec<Finding>) {
    let mut first: HashMap<(&str, String, &str), &Object<'_>> = HashMap::new();
    for object in objects.iter().filter(|object| object.policies.management == ManagementPolicy::Enforce) {
        let Some(target) = object.target else { continue };
        let target = connection(object).map_or(target, |connection| connection.id.as_str());
        for name in object.names() {
            let key = (object.policies.tenant.as_str(), target.to_owned(), name);
            let Some(earlier) = first.get(&key) else {
                first.insert(key, object);
                continue;
            };
            let same = |object: &Object<'_>| (object.document.namespace.clone(), object.document.name.clone());
            // One whose name the API server makes up is another each time.
            if object.document.name.is_some() && same(earlier) == same(object) {
                continue;
            }
            let message =
                format!("{} sets the parameter {name} of this connection too, and only one object can own it", title(earlier.document));
            let finding = Finding::new(Rule::ConflictingParam, object.document.key_place(&param(name)), message);
            let finding =
                finding.help("remove it from one of the two").related(earlier.document.key_place(&param(name)), "it is set here too");
            found.push(of(object.document, finding));
        }
    }
}
