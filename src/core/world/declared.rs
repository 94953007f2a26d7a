//! The objects of the two kinds, as they were last seen.

use crate::api::tenant::{ClusterAuth0TenantSpec, ClusterAuth0TenantStatus};
use crate::api::upstream_params::{AdoptionPolicy, DeletionPolicy, ManagementPolicy, UpstreamParamsStatus};
use crate::core::spec::{Policies, Refusal, Spec};
use crate::model::identity::{ObjectKey, Uid};

/// One `UpstreamParams` as it was last seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// Namespace and name.
    pub key: ObjectKey,
    /// `metadata.uid`.
    pub uid: Uid,
    /// The version that status writes must carry.
    pub resource_version: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.creationTimestamp` in seconds of the UNIX epoch.
    pub created: i64,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether our finalizer is on it.
    pub finalizer: bool,
    /// The finalizers of others, which a write of ours must leave.
    pub other_finalizers: Vec<String>,
    /// What is readable even when the spec is invalid.
    pub policies: Policies,
    /// The spec, or why it can't be carried out.
    pub spec: Result<Spec, Refusal>,
    /// What somebody asks for a look by, if anybody does: see [`super::request`].
    pub reconcile_at: Option<String>,
    /// The status, our only memory across restarts.
    pub status: UpstreamParamsStatus,
}

impl Declared {
    /// Who comes first where two want the same name: the older, then by namespace and name.
    pub fn rank(&self) -> (i64, &ObjectKey) {
        (self.created, &self.key)
    }

    /// Whether it may replace a value that somebody else set first.
    pub fn overwrites(&self) -> bool {
        self.spec.as_ref().is_ok_and(|spec| spec.adoption == AdoptionPolicy::Overwrite)
    }

    /// Whether its deletion removes what it owns.
    pub fn cleans_up(&self) -> bool {
        self.policies.deletion == DeletionPolicy::Delete && self.policies.management == ManagementPolicy::Enforce
    }

    /// Why an object that does not clean up leaves what it owns.
    pub fn why_it_leaves(&self) -> &'static str {
        match self.policies.deletion {
            DeletionPolicy::Retain => "deletionPolicy is Retain",
            DeletionPolicy::Delete => "the object or its ClusterAuth0Tenant has managementPolicy: Observe",
        }
    }

    /// Whether anything that a pass depends on differs. Finalizers and metadata do not count.
    pub fn differs(&self, other: &Self) -> bool {
        self.status != other.status || self.differs_but_for_status(other)
    }

    pub(super) fn differs_but_for_status(&self, other: &Self) -> bool {
        self.uid != other.uid
            || self.generation != other.generation
            || self.deleting != other.deleting
            || self.policies != other.policies
            || self.spec != other.spec
    }
}

/// One `ClusterAuth0Tenant` as it was last seen.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredTenant {
    /// Its name.
    pub name: String,
    /// `metadata.uid`.
    pub uid: Uid,
    /// The version that status writes must carry.
    pub resource_version: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.creationTimestamp` in seconds of the UNIX epoch.
    pub created: i64,
    /// The spec, or `None` when it can't be read.
    pub spec: Option<ClusterAuth0TenantSpec>,
    /// What somebody asks for a look at everything by, if anybody does: see [`super::request`].
    pub reconcile_at: Option<String>,
    /// The status.
    pub status: ClusterAuth0TenantStatus,
}
