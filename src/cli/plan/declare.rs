//! What files declare, laid over what the cluster has: as `kubectl apply` would.
//!
//! Guarantees: an object that is there keeps its uid, age, status and finalizers, so that what it owns stays its own; one that is
//! new is the youngest of all; nothing that the files do not name is changed or removed.
//! Fails: with the place of a document that can't be taken, and what to write.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

use crate::api::rules;
use crate::api::tenant::{AccessEntry, ClusterAuth0TenantSpec, ClusterAuth0TenantStatus, Credentials, RateLimit, SecretRef};
use crate::api::upstream_params::{ManagementPolicy, UpstreamParamsStatus};
use crate::cli::files::{Document, Files};
use crate::core::spec::{self, Policies, Refusal};
use crate::core::world::{Declared, DeclaredTenant, Kind, World};
use crate::model::domain::Domain;
use crate::model::identity::ObjectKey;

/// What the files declare.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// The objects, with the place where each stands.
    pub(super) objects: BTreeMap<ObjectKey, String>,
    /// The tenants.
    pub(super) tenants: BTreeSet<String>,
    /// What is not known of them.
    pub(super) notes: Vec<String>,
}

/// Lays the documents of the files over the world.
pub(super) fn declare(world: &mut World, files: &Files, namespace: &str, now: jiff::Timestamp, has_cluster: bool) -> anyhow::Result<Given> {
    let mut given = Given::default();
    for document in &files.namespaces {
        if let Some(name) = &document.name {
            world.apply_namespace(name.clone(), labels(name, &document.value));
        }
    }
    for document in &files.documents {
        let place = document.begin();
        let Some(name) = document.name.clone().filter(|name| !name.is_empty()) else {
            bail!("{place}: metadata.name is missing; the plan needs a name");
        };
        let twice = match document.kind.as_str() {
            "UpstreamParams" => {
                let key = ObjectKey { namespace: document.namespace.clone().unwrap_or_else(|| namespace.to_owned()), name };
                world.apply_object(object(world, &key, document, now));
                given.objects.insert(key, place.to_string()).map(|first| format!("this object is declared at {first}, too"))
            }
            "ClusterAuth0Tenant" => {
                world.apply_tenant(tenant(world, &name, document, now)?);
                (!given.tenants.insert(name)).then(|| "this tenant is declared twice".to_owned())
            }
            other => bail!("{place}: {} has no kind {other}; write UpstreamParams or ClusterAuth0Tenant", document.api_version),
        };
        if let Some(twice) = twice {
            bail!("{place}: {twice}; leave one of the two");
        }
    }
    given.notes = unknown_namespaces(world, &given, has_cluster);
    Ok(given)
}

/// What can't be said, as the labels of a namespace are not known.
fn unknown_namespaces(world: &World, given: &Given, has_cluster: bool) -> Vec<String> {
    let namespaces: BTreeSet<&str> = given.objects.keys().map(|key| key.namespace.as_str()).collect();
    let unknown = namespaces.into_iter().filter(|namespace| world.labels(namespace).is_none());
    let remedy = if has_cluster { "create it, or add its manifest" } else { "add its manifest, or plan with the cluster" };
    unknown.map(|namespace| format!("the labels of the namespace {namespace} are not known, so access was not checked; {remedy}")).collect()
}

/// The labels that the API server gives a namespace, with its own.
fn labels(name: &str, namespace: &Value) -> BTreeMap<String, String> {
    let own = namespace.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    let mut labels: BTreeMap<String, String> = own.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
    labels.insert("kubernetes.io/metadata.name".to_owned(), name.to_owned());
    labels
}

fn object(world: &World, key: &ObjectKey, document: &Document, now: jiff::Timestamp) -> Declared {
    let absent = Value::Null;
    let declared = document.value.get("spec").unwrap_or(&absent);
    let (policies, spec) = (spec::policies(declared), spec::spec(declared));
    let Some(old) = world.object(key) else {
        return Declared {
            uid: format!("new {key}").into(),
            key: key.clone(),
            resource_version: String::new(),
            reconcile_at: None,
            generation: 1,
            created: now.as_second(),
            deleting: false,
            finalizer: false,
            other_finalizers: Vec::new(),
            policies,
            spec,
            status: UpstreamParamsStatus::default(),
        };
    };
    let old = Declared::clone(&old);
    if policies.tenant != old.policies.tenant {
        let moved = Refusal { field: "spec.tenantRef".to_owned(), problem: rules::TENANT_REF_IMMUTABLE.to_owned() };
        return Declared { policies: Policies { tenant: old.policies.tenant.clone(), ..policies }, spec: Err(moved), ..old };
    }
    let generation = old.generation + i64::from((&policies, &spec) != (&old.policies, &old.spec));
    Declared { generation, policies, spec, ..old }
}

fn tenant(world: &World, name: &str, document: &Document, now: jiff::Timestamp) -> anyhow::Result<DeclaredTenant> {
    let spec: Option<ClusterAuth0TenantSpec> = document.value.get("spec").and_then(|spec| serde_json::from_value(spec.clone()).ok());
    if spec.is_none() {
        bail!("{}: the spec of this ClusterAuth0Tenant cannot be read; the command lint says what is wrong", document.begin());
    }
    let new = || DeclaredTenant {
        name: name.to_owned(),
        uid: format!("new {name}").into(),
        resource_version: String::new(),
        reconcile_at: None,
        generation: 1,
        created: now.as_second(),
        spec: None,
        status: ClusterAuth0TenantStatus::default(),
    };
    let old = world.tenant(name).map_or_else(new, |old| DeclaredTenant::clone(&old));
    if let (Some(was), Some(is)) = (&old.spec, &spec)
        && (&was.domain, &was.audience) != (&is.domain, &is.audience)
    {
        let (field, rule) =
            if was.domain == is.domain { ("spec.audience", rules::AUDIENCE_IMMUTABLE) } else { ("spec.domain", rules::DOMAIN_IMMUTABLE) };
        bail!("{}: {field}: {rule}", document.place(field));
    }
    Ok(DeclaredTenant { spec, ..old })
}

/// Without a cluster, each tenant that objects name and that the files do not hold is taken to be the one that the environment
/// names, and to admit everybody to everything. Yields what has to be said about that.
pub(super) fn stand_in(world: &mut World, domain: &Domain, given: &Given) -> Vec<String> {
    let named: BTreeSet<String> = world.objects().map(|object| object.policies.tenant.clone()).collect();
    let missing: Vec<String> = named.into_iter().filter(|name| world.tenant(name).is_none()).collect();
    let mut notes =
        vec!["without a cluster the plan does not know what objects own, so every parameter at Auth0 counts as somebody else's".to_owned()];
    for name in &missing {
        let spec = ClusterAuth0TenantSpec {
            domain: domain.as_str().to_owned(),
            audience: None,
            credentials: Credentials { secret_ref: SecretRef { name: "environment".to_owned() } },
            access: vec![AccessEntry {
                namespace_selector: LabelSelector::default(),
                connections: vec!["*".to_owned()],
                allowed_reserved_params: Vec::new(),
            }],
            management_policy: ManagementPolicy::Enforce,
            rate_limit: RateLimit::default(),
            resync_interval_seconds: 600,
        };
        let (uid, resource_version) = (format!("new {name}").into(), String::new());
        let status = ClusterAuth0TenantStatus::default();
        world.apply_tenant(DeclaredTenant {
            name: name.clone(),
            uid,
            resource_version,
            reconcile_at: None,
            generation: 1,
            created: 0,
            spec: Some(spec),
            status,
        });
        notes.push(format!(
            "the ClusterAuth0Tenant {name} is not in the files, so access was not checked; {} was used for it",
            domain.as_str()
        ));
    }
    if given.tenants.is_empty() {
        let namespaces: BTreeSet<String> = given.objects.keys().map(|key| key.namespace.clone()).collect();
        for namespace in namespaces.into_iter().filter(|namespace| world.labels(namespace).is_none()).collect::<Vec<_>>() {
            world.apply_namespace(namespace, BTreeMap::new());
        }
    }
    world.listed(Kind::Tenant);
    notes
}
