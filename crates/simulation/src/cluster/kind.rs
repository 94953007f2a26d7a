//! The kinds that the operator deals with, and the names of their objects.

use std::fmt;

use upstream_params_operator::api;

/// A kind of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `UpstreamParams`.
    Object,
    /// `ClusterAuth0Tenant`.
    Tenant,
    /// `Namespace`.
    Namespace,
    /// `Secret`.
    Secret,
    /// `Event` of `events.k8s.io`.
    Event,
    /// `Lease`.
    Lease,
}

/// How a kind is called.
pub(super) struct Names {
    /// The path in front of namespace and plural.
    pub(super) root: &'static str,
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) kind: &'static str,
    pub(super) plural: &'static str,
    pub(super) namespaced: bool,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Object, Self::Tenant, Self::Namespace, Self::Secret, Self::Event, Self::Lease];

    /// What is in a namespace, in the order in which its end takes it.
    pub(super) const NAMESPACED: [Self; 4] = [Self::Secret, Self::Object, Self::Lease, Self::Event];

    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// A custom resource, with a status of its own and a generation.
    pub(super) fn is_custom(self) -> bool {
        matches!(self, Self::Object | Self::Tenant)
    }

    pub(super) fn names(self) -> &'static Names {
        const OBJECT: Names = Names {
            root: "/apis/upstreamparams.dev/v1alpha1",
            group: api::GROUP,
            version: "upstreamparams.dev/v1alpha1",
            kind: "UpstreamParams",
            plural: "upstreamparams",
            namespaced: true,
        };
        const TENANT: Names = Names {
            root: "/apis/upstreamparams.dev/v1alpha1",
            group: api::GROUP,
            version: "upstreamparams.dev/v1alpha1",
            kind: "ClusterAuth0Tenant",
            plural: "clusterauth0tenants",
            namespaced: false,
        };
        const NAMESPACE: Names =
            Names { root: "/api/v1", group: "", version: "v1", kind: "Namespace", plural: "namespaces", namespaced: false };
        const SECRET: Names = Names { root: "/api/v1", group: "", version: "v1", kind: "Secret", plural: "secrets", namespaced: true };
        const EVENT: Names = Names {
            root: "/apis/events.k8s.io/v1",
            group: "events.k8s.io",
            version: "events.k8s.io/v1",
            kind: "Event",
            plural: "events",
            namespaced: true,
        };
        const LEASE: Names = Names {
            root: "/apis/coordination.k8s.io/v1",
            group: "coordination.k8s.io",
            version: "coordination.k8s.io/v1",
            kind: "Lease",
            plural: "leases",
            namespaced: true,
        };
        match self {
            Self::Object => &OBJECT,
            Self::Tenant => &TENANT,
            Self::Namespace => &NAMESPACE,
            Self::Secret => &SECRET,
            Self::Event => &EVENT,
            Self::Lease => &LEASE,
        }
    }
}

/// Which object: of a kind, in a namespace (empty where the kind has none), with a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The kind.
    pub kind: Kind,
    /// The namespace.
    pub namespace: String,
    /// The name; empty where it is all of the kind that is meant.
    pub name: String,
}

impl Key {
    fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// An `UpstreamParams`.
    pub fn object(namespace: &str, name: &str) -> Self {
        Self::new(Kind::Object, namespace, name)
    }

    /// A `ClusterAuth0Tenant`.
    pub fn tenant(name: &str) -> Self {
        Self::new(Kind::Tenant, "", name)
    }

    /// A namespace.
    pub fn namespace(name: &str) -> Self {
        Self::new(Kind::Namespace, "", name)
    }

    /// A Secret.
    pub fn secret(namespace: &str, name: &str) -> Self {
        Self::new(Kind::Secret, namespace, name)
    }

    /// An Event.
    pub fn event(namespace: &str, name: &str) -> Self {
        Self::new(Kind::Event, namespace, name)
    }

    /// A Lease.
    pub fn lease(namespace: &str, name: &str) -> Self {
        Self::new(Kind::Lease, namespace, name)
    }

    /// The part of etcd's key behind the kind: lists are in its order, in which `a-b/x` comes before `a/x`.
    pub(super) fn path(&self) -> String {
        if self.kind.names().namespaced { format!("{}/{}", self.namespace, self.name) } else { self.name.clone() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.names().kind;
        if self.namespace.is_empty() { write!(f, "{kind} {}", self.name) } else { write!(f, "{kind} {}/{}", self.namespace, self.name) }
    }
}
