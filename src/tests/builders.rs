//! Small builders for the tests of the core: objects, live parameters and documents, in as few words as a sentence has.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::api::tenant::ClusterAuth0TenantStatus;
use crate::api::upstream_params::{
    AdoptionPolicy, ConnectionStatus, DeletionPolicy, ManagementPolicy, ParamState, ParamStatus, UpstreamParamsStatus,
};
use crate::core::pass::claims::ConnectionRef;
use crate::core::spec::{Policies, Refusal, Spec, Target};
use crate::core::world::{Declared, DeclaredTenant};
use crate::model::document::{Entry, Live};
use crate::model::identity::{ConnectionId, Fingerprint, ObjectKey, TenantIdentity};

/// The tenant of all tests.
pub(crate) static TENANT: LazyLock<TenantIdentity> = LazyLock::new(|| "example.eu.auth0.com".into());
/// The id of the connection that objects name unless they say otherwise.
pub(crate) const HERE: &str = "con_here";
/// The name of that connection.
pub(crate) const HERE_NAME: &str = "wordpress";
/// The id of another connection.
pub(crate) const ELSEWHERE: &str = "con_elsewhere";
/// The name of that other connection.
pub(crate) const ELSEWHERE_NAME: &str = "shop";

/// A static value.
pub(crate) fn value(text: &str) -> Entry {
    Entry::Value(text.to_owned())
}

/// The connection of most tests.
pub(crate) fn here() -> ConnectionRef<'static> {
    static ID: LazyLock<ConnectionId> = LazyLock::new(|| HERE.into());
    ConnectionRef { tenant: &TENANT, connection: &ID }
}

/// The fingerprint of a static value on the connection of most tests.
pub(crate) fn print(name: &str, text: &str) -> Fingerprint {
    print_at(HERE, name, text)
}

/// The fingerprint of a static value on a connection.
pub(crate) fn print_at(connection: &str, name: &str, text: &str) -> Fingerprint {
    ConnectionRef { tenant: &TENANT, connection: &connection.into() }.fingerprint(name, &value(text))
}

/// Live parameters, each with a static value.
pub(crate) fn live(params: &[(&str, &str)]) -> BTreeMap<String, Live> {
    params.iter().map(|(name, text)| ((*name).to_owned(), Live::Entry(value(text)))).collect()
}

/// A tenant object whose spec can't be read.
pub(crate) fn tenant(name: &str) -> DeclaredTenant {
    DeclaredTenant {
        name: name.to_owned(),
        uid: format!("uid-{name}").into(),
        resource_version: "1".to_owned(),
        generation: 1,
        created: 0,
        spec: None,
        reconcile_at: None,
        status: ClusterAuth0TenantStatus::default(),
    }
}

/// A valid, enforcing object of the namespace `team` that names the connection [`HERE_NAME`] and declares nothing yet.
pub(crate) fn object(name: &str) -> Declared {
    Declared {
        key: ObjectKey { namespace: "team".into(), name: name.into() },
        uid: format!("uid-{name}").into(),
        resource_version: "1".into(),
        generation: 1,
        created: 0,
        deleting: false,
        finalizer: false,
        other_finalizers: Vec::new(),
        policies: Policies { tenant: "default".into(), management: ManagementPolicy::Enforce, deletion: DeletionPolicy::Delete },
        spec: Ok(Spec { target: Target::Name(HERE_NAME.into()), params: BTreeMap::new(), adoption: AdoptionPolicy::IfEqual }),
        reconcile_at: None,
        status: UpstreamParamsStatus::default(),
    }
}

impl Declared {
    fn spec_mut(&mut self) -> &mut Spec {
        self.spec.as_mut().unwrap()
    }

    /// Declares a parameter with a static value.
    pub(crate) fn wants(mut self, name: &str, text: &str) -> Self {
        self.spec_mut().params.insert(name.to_owned(), value(text));
        self
    }

    /// Names another connection.
    pub(crate) fn at(mut self, connection: &str) -> Self {
        self.spec_mut().target = Target::Name(connection.into());
        self
    }

    /// Replaces what others set.
    pub(crate) fn overwriting(mut self) -> Self {
        self.spec_mut().adoption = AdoptionPolicy::Overwrite;
        self
    }

    /// Belongs to another namespace.
    pub(crate) fn of(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.key.namespace);
        self
    }

    /// Was created at this second.
    pub(crate) fn born(mut self, created: i64) -> Self {
        self.created = created;
        self
    }

    /// Has this generation.
    pub(crate) fn generation(mut self, generation: i64) -> Self {
        self.generation = generation;
        self
    }

    /// Has a spec that can't be carried out.
    pub(crate) fn invalid(mut self) -> Self {
        self.spec = Err(Refusal { field: "spec.params".into(), problem: "name at least one parameter".into() });
        self
    }

    /// Only observes.
    pub(crate) fn observing(mut self) -> Self {
        self.policies.management = ManagementPolicy::Observe;
        self
    }

    /// Leaves its parameters when it is deleted.
    pub(crate) fn retaining(mut self) -> Self {
        self.policies.deletion = DeletionPolicy::Retain;
        self
    }

    /// Has our finalizer.
    pub(crate) fn kept(mut self) -> Self {
        self.finalizer = true;
        self
    }

    /// Is being deleted, and has our finalizer.
    pub(crate) fn dying(mut self) -> Self {
        self.deleting = true;
        self.kept()
    }

    /// Has a line in its status about a parameter of the usual connection, with a record of these values.
    pub(crate) fn lists(self, name: &str, state: ParamState, owned: &[&str]) -> Self {
        self.lists_at(HERE, name, state, owned)
    }

    /// Has a line in its status about a parameter of a connection, with a record of these values.
    pub(crate) fn lists_at(mut self, connection: &str, name: &str, state: ParamState, owned: &[&str]) -> Self {
        let owned = owned.iter().map(|text| print_at(connection, name, text).to_string()).collect();
        let line = ParamStatus { name: name.to_owned(), state, owned, applied: None };
        let entries = &mut self.status.connections;
        let connection_ref = entries.iter().position(|entry| entry.id == connection).unwrap_or_else(|| {
            let connection_ref = entries.partition_point(|entry| entry.id.as_str() < connection);
            entries.insert(connection_ref, described(connection));
            connection_ref
        });
        entries[connection_ref].params.push(line);
        entries[connection_ref].params.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }
}

/// A connection as it stands in a status, without parameters.
pub(crate) fn described(id: &str) -> ConnectionStatus {
    let name = if id == ELSEWHERE { ELSEWHERE_NAME } else { HERE_NAME };
    ConnectionStatus { id: id.to_owned(), tenant: None, name: Some(name.to_owned()), strategy: Some("oauth2".into()), params: Vec::new() }
}
