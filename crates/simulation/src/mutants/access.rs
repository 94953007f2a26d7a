//! Faults in which part an object has, whom a tenant admits, and which tenant object counts.

use super::{Edit, Mutant, Room};

const ROLE: &str = "src/core/pass/role.rs";
const MEMBER: &str = "src/core/pass/member.rs";
const WRITE: &str = "src/reconcile/pass/write.rs";
const TENANT: &str = "src/core/tenant/mod.rs";
const SPEC: &str = "src/core/spec.rs";

#[rustfmt::skip]
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "observe-writes", room: Room::Role,
        wrong: "an object that only observes is written for",
        edits: &[Edit(ROLE,
            "Names::This { fits: true } if self.observes => Part::Observer,",
            "Names::This { fits: true } if self.observes => Part::Owner,")],
    },
    Mutant {
        name: "retain-removes", room: Room::Role,
        wrong: "`deletionPolicy: Retain` is read as `Delete`",
        edits: &[Edit(SPEC,
            r#"deletion: policy(spec, "deletionPolicy", DeletionPolicy::Delete, DeletionPolicy::Retain),"#,
            "deletion: DeletionPolicy::Delete,")],
    },
    Mutant {
        name: "deleted-object-leaves-its-parameters", room: Room::Role,
        wrong: "an object that is being deleted is let go, and what it owns stays",
        edits: &[Edit(ROLE,
            "if recorded || self.names == (Names::This { fits: true }) {\n            return self.leaver();",
            "if recorded || self.names == (Names::This { fits: true }) {\n            return Part::Released(Release::NothingOwned);")],
    },
    Mutant {
        name: "removal-without-access", room: Room::Role,
        wrong: "what an object owns is removed although the tenant does not admit it any more",
        edits: &[Edit(ROLE,
            "(Admission::Denied, Life::Kept) => Part::Released(Release::NotAdmitted),",
            "(Admission::Denied, Life::Kept) => self.leaver(),")],
    },
    Mutant {
        name: "move-leaves-before-it-arrives", room: Room::Role,
        wrong: "an object that names another connection leaves the old one before it was accepted at the new one",
        edits: &[Edit(ROLE,
            "Names::Another { accepted: false } => Part::Mover,",
            "Names::Another { accepted: false } => self.leaver(),")],
    },
    Mutant {
        name: "invalid-object-loses-its-names", room: Room::Role,
        wrong: "an object whose spec became invalid does not hold what it owns, so another takes it over",
        edits: &[Edit(ROLE,
            "Names::Nothing => Part::Waiting(self.hold()),",
            "Names::Nothing => Part::Waiting(self.record()),")],
    },
    Mutant {
        name: "refused-change-is-sent-again", room: Room::Role,
        wrong: "a change that Auth0 refused is sent again at every look, although nothing has changed",
        edits: &[
            Edit(MEMBER,
                "let facts = Facts { admission, rejected: rejection.is_some(), ",
                "let facts = Facts { admission, rejected: false, "),
            Edit(WRITE,
                "let known = self.known_refusal();",
                "let known = self.known_refusal().filter(|_| false);"),
        ],
    },
    Mutant {
        name: "unknown-namespace-is-admitted", room: Room::Access,
        wrong: "an object whose namespace is not known counts as admitted",
        edits: &[Edit(MEMBER,
            "(None, _) => Admission::Unknown,",
            "(None, _) => Admission::Granted,")],
    },
    Mutant {
        name: "unknown-namespace-is-denied", room: Room::Access,
        wrong: "an object whose namespace is not known yet counts as not admitted, and loses what it has",
        edits: &[Edit(MEMBER,
            "(None, _) => Admission::Unknown,",
            "(None, _) => Admission::Denied,")],
    },
    Mutant {
        name: "access-by-wrong-labels", room: Room::Access,
        wrong: "access is asked for the labels of the operator's namespace, and not for those of the object's",
        edits: &[Edit(MEMBER,
            "let reserved = labels.as_ref().and_then(|labels| self.settings.admission(labels, &document.name));",
            "let own = self.world.labels(&self.settings.namespace).cloned();\n        \
             let reserved = own.as_ref().and_then(|labels| self.settings.admission(labels, &document.name));")],
    },
    Mutant {
        name: "access-by-either-half", room: Room::Access,
        wrong: "an access entry admits whom either its namespaces or its connections match",
        edits: &[Edit(TENANT,
            "admission.namespaces.matches(labels) && admission.connections.iter()",
            "admission.namespaces.matches(labels) || admission.connections.iter()")],
    },
    Mutant {
        name: "reserved-parameter-is-set", room: Room::Access,
        wrong: "a reserved parameter is set although the tenant does not list it",
        edits: &[Edit(SPEC,
            "is_reserved(name) && !allowed_reserved.contains(*name)",
            "is_reserved(name) && allowed_reserved.contains(*name)")],
    },
    Mutant {
        name: "connection-without-parameters-is-managed", room: Room::Access,
        wrong: "parameters are set on a connection that has no authorization request",
        edits: &[Edit(SPEC,
            "return Err((UnfitReason::UnsupportedStrategy, unsupported_strategy(&document.strategy, protocol)));",
            "warnings.push(unsupported_strategy(&document.strategy, protocol));")],
    },
    Mutant {
        name: "tenant-observe-writes", room: Room::Access,
        wrong: "a tenant that only observes is written to",
        edits: &[Edit(TENANT,
            "observes: spec.management_policy == ManagementPolicy::Observe,",
            "observes: false,")],
    },
    Mutant {
        name: "two-objects-serve-one-tenant", room: Room::Access,
        wrong: "of two tenant objects that stand for one Auth0 tenant both serve",
        edits: &[Edit(TENANT,
            ".filter(|other| rank(other) < rank(tenant))",
            ".filter(|other| rank(other) < rank(tenant) && rank(other) > rank(tenant))")],
    },
];
