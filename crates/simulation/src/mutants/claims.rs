//! Faults in what proves a value to be ours.

use super::{Edit, Mutant, Room};

const CLAIMS: &str = "src/core/pass/claims.rs";
const DECIDE: &str = "src/core/pass/plan/decide.rs";
const DOCUMENT: &str = "src/model/document/mod.rs";
const CLAIM: &str = "src/reconcile/pass/claim.rs";
const FINGERPRINT: &str = "sha256(&[tenant.as_bytes(), connection.as_bytes(), name.as_bytes(), entry.canonical().as_bytes()])";

#[rustfmt::skip]
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "fingerprint-without-tenant", room: Room::Claims,
        wrong: "a fingerprint does not say of which tenant it is",
        edits: &[Edit(DOCUMENT, FINGERPRINT,
            "sha256(&[&tenant.as_bytes()[..0], connection.as_bytes(), name.as_bytes(), entry.canonical().as_bytes()])")],
    },
    Mutant {
        name: "fingerprint-without-connection", room: Room::Claims,
        wrong: "a fingerprint does not say of which connection it is",
        edits: &[Edit(DOCUMENT, FINGERPRINT,
            "sha256(&[tenant.as_bytes(), &connection.as_bytes()[..0], name.as_bytes(), entry.canonical().as_bytes()])")],
    },
    Mutant {
        name: "fingerprint-without-value", room: Room::Claims,
        wrong: "a fingerprint says nothing of the value, so that every value under a name counts as ours",
        edits: &[Edit(DOCUMENT, FINGERPRINT,
            "sha256(&[tenant.as_bytes(), connection.as_bytes(), name.as_bytes(), &entry.canonical().as_bytes()[..0]])")],
    },
    Mutant {
        name: "record-does-not-grow", room: Room::Claims,
        wrong: "the record that is stored before a write does not hold what is about to be written",
        edits: &[Edit(DECIDE,
            "(claims::with(&owned, &new, self.live_fingerprint().as_ref()), vec![new])",
            "(owned, vec![new])")],
    },
    Mutant {
        name: "record-forgets-what-is-live", room: Room::Claims,
        wrong: "the record that is stored before a write holds what is about to be written, and not any more what is live",
        edits: &[Edit(CLAIMS,
            "let mut record: Vec<Fingerprint> = owned.iter().filter(|old| *old != new).cloned().collect();",
            "let mut record: Vec<Fingerprint> = Vec::new();")],
    },
    Mutant {
        name: "claim-after-the-write", room: Room::Claims,
        wrong: "it is written before the claim is stored: the record comes with the status after it",
        edits: &[Edit(CLAIM,
            "let (claimed, late) = self.store_claims(&claimants).await;",
            "let (claimed, late): (BTreeSet<Uid>, Late) = (claimants.iter().cloned().collect(), Late::new());")],
    },
    Mutant {
        name: "refused-claim-counts", room: Room::Claims,
        wrong: "a claim that the API server refused counts as stored",
        edits: &[Edit(CLAIM,
            "Some(Err(refusal)) => refused.push(refusal),",
            "Some(Err(refusal)) => {\n                    claimed.insert(refusal.0.uid.clone());\n                    refused.push(refusal);\n                }")],
    },
    Mutant {
        name: "late-claim-counts", room: Room::Claims,
        wrong: "a claim that is still on its way when the time for it is over counts as stored",
        edits: &[Edit(CLAIM,
            "let unclaimed = claimants.into_iter().filter(|uid| !claimed.contains(uid)).collect();",
            "let unclaimed = BTreeSet::new();"),
            Edit(CLAIM,
            "self.at.plan.retain_claimed(&claimed);",
            "")],
    },
    Mutant {
        name: "claim-before-the-finalizer", room: Room::Claims,
        wrong: "the finalizer is not set before the first claim, so that a deletion in between leaves the parameter",
        edits: &[Edit(CLAIM,
            "if !stored.finalizer && stored.cleans_up() && !stored.deleting {",
            "if !stored.finalizer && stored.cleans_up() && stored.deleting {")],
    },
    Mutant {
        name: "lost-finalizer-is-not-put-back", room: Room::Claims,
        wrong: "a finalizer that somebody took from an object with a record is not put back",
        edits: &[Edit("src/reconcile/tenant/objects.rs",
            "if object.finalizer || object.deleting || !object.cleans_up() || !claims::any(&object.status) {",
            "if object.finalizer || !object.deleting || !object.cleans_up() || !claims::any(&object.status) {"),
            Edit("src/core/status/mod.rs",
            "Deletion::Waits(_) | Deletion::WithTheRecord => object.cleans_up() && claims::any(status),",
            "Deletion::Waits(_) | Deletion::WithTheRecord => object.finalizer && object.cleans_up() && claims::any(status),")],
    },
    Mutant {
        name: "lost-record-proves-everything", room: Room::Claims,
        wrong: "an object without a record counts as the owner of every equal value, also where nothing says that it ever was",
        edits: &[Edit(DECIDE,
            "if part.role == Role::Leaver && part.object.deleting && part.object.finalizer && !claims::any(status) {",
            "if !claims::any(status) {")],
    },
];
