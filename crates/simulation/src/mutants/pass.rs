//! Faults in the steps of a pass.

use super::{Edit, Mutant, Room};

const WRITE: &str = "src/reconcile/pass/write.rs";
const CLAIM: &str = "src/reconcile/pass/claim.rs";
const CLIENT: &str = "src/auth0/client.rs";
const WORLD: &str = "src/core/world/mod.rs";

#[rustfmt::skip]
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "fence-is-open", room: Room::Pass,
        wrong: "it is not asked right before a PATCH whether all that it rests on is still declared",
        edits: &[Edit(WRITE,
            "move || hub.read(&still) && is_fresh()",
            "move || (hub.read(&still) || true) && is_fresh()")],
    },
    Mutant {
        name: "fence-without-tenant", room: Room::Pass,
        wrong: "the fence does not look at what the tenant admits",
        edits: &[Edit(WORLD,
            "(&now.uid, &now.spec) == (&tenant.uid, &tenant.spec)",
            "now.uid == tenant.uid")],
    },
    Mutant {
        name: "fence-without-labels", room: Room::Pass,
        wrong: "the fence does not look at the labels of the namespaces",
        edits: &[
            Edit(WORLD,
            " && self.labels(&object.key.namespace) == labels.as_ref()",
            " && (labels.is_some() || labels.is_none())"),
            Edit(WORLD,
            "                && labels.as_ref() == self.labels(&now.key.namespace)\n",
            "                && (labels.is_some() || labels.is_none())\n"),
        ],
    },
    Mutant {
        name: "fence-without-generation", room: Room::Pass,
        wrong: "the fence does not look at the specs of the objects",
        edits: &[
            Edit(WORLD,
            "(object.uid.clone(), object.generation, object.deleting);",
            "(object.uid.clone(), object.deleting);"),
            Edit(WORLD,
            "(&object.uid, object.generation) == (&now.uid, now.generation)",
            "object.uid == now.uid"),
        ],
    },
    Mutant {
        name: "fence-without-records", room: Room::Pass,
        wrong: "the fence does not look at the records that were stored a moment before",
        edits: &[
            Edit(WORLD,
            " && now.status.connections == object.status.connections",
            ""),
            Edit(WORLD,
            "                && recorded(object) == recorded(now)\n",
            ""),
        ],
    },
    Mutant {
        name: "fence-without-newcomers", room: Room::Pass,
        wrong: "the fence does not see that somebody declares by now what is about to be written, or owns it again",
        edits: &[Edit(WRITE,
            " && world.nobody_else_has_a_say(&connection, &names, &planned)",
            "")],
    },
    Mutant {
        name: "second-try-without-fence", room: Room::Pass,
        wrong: "a PATCH that is repeated with a new token is not asked again whether it may start",
        edits: &[Edit(CLIENT,
            "                self.ask_once(&ask).await?.0\n",
            "                self.ask_once(&Ask { may_start: None, ..ask }).await?.0\n")],
    },
    Mutant {
        name: "document-grows-old", room: Room::Pass,
        wrong: "a PATCH may start from a document that is older than two seconds",
        edits: &[
            Edit("src/reconcile/pass/mod.rs",
            "pub(crate) const FRESH: Duration = Duration::from_secs(2);",
            "pub(crate) const FRESH: Duration = Duration::from_secs(20);"),
            Edit(CLAIM,
            "const CLAIMED: Duration = Duration::from_millis(1750);",
            "const CLAIMED: Duration = Duration::from_millis(17500);"),
        ],
    },
    Mutant {
        name: "token-takes-its-time", room: Room::Pass,
        wrong: "a PATCH starts however long the token for it took",
        edits: &[Edit(WRITE,
            "is_fresh() && leadership.left() >= lasts",
            "(is_fresh() || true) && leadership.left() >= lasts")],
    },
    Mutant {
        name: "document-from-a-cache", room: Room::Pass,
        wrong: "a connection that was read before is planned from as it was then",
        edits: &[
            Edit(CLIENT,
            "    tokens: TokenCache,\n",
            "    tokens: TokenCache,\n    seen: parking_lot::Mutex<std::collections::BTreeMap<String, Vec<u8>>>,\n"),
            Edit(CLIENT,
            "tokens: TokenCache::default() }",
            "tokens: TokenCache::default(), seen: Default::default() }"),
            Edit(CLIENT,
            "            Ok(body) => document(&body, id, route).map(Some),\n",
            "            Ok(body) => {\n                \
                 let seen = self.seen.lock().insert(path.clone(), body.clone()).unwrap_or(body);\n                \
                 document(&seen, id, route).map(Some)\n            \
             }\n"),
        ],
    },
    Mutant {
        name: "write-over-a-write-under-way", room: Room::Pass,
        wrong: "it is written while an earlier write without an answer may still take effect",
        edits: &[Edit(CLAIM,
            "if let Some(left) = self.tenant.unsettled_for(&document.id) {",
            "if let Some(left) = self.tenant.unsettled_for(&document.id).filter(|_| false) {")],
    },
    Mutant {
        name: "refusal-is-held-against-all", room: Room::Pass,
        wrong: "where Auth0 refuses the changes of several objects together, all of them are told that theirs are refused",
        edits: &[Edit(WRITE,
            "if several { Ended::Split } else {",
            "if several && message.is_empty() { Ended::Split } else {")],
    },
    Mutant {
        name: "foreign-refusal-is-the-objects-fault", room: Room::Pass,
        wrong: "where Auth0 refuses a write for what is not ours, the object is told that its parameters are refused",
        edits: &[Edit(WRITE,
            "let ours = matches!(about, About::Params | About::Entry(_));",
            "let ours = true;")],
    },
    Mutant {
        name: "failed-read-counts-as-gone", room: Room::Pass,
        wrong: "a connection that can't be read counts as one that is gone, and the record of it goes",
        edits: &[Edit(CLIENT,
            "            Err(Failure::Gone) => Ok(None),\n            Err(failure) => Err(failure),\n",
            "            Err(_) => Ok(None),\n")],
    },
    Mutant {
        name: "gone-id-is-not-looked-up-by-name", room: Room::Pass,
        wrong: "a connection that was made anew under its name counts as gone",
        edits: &[Edit("src/reconcile/pass/read.rs",
            "        let Some(name) = known else { return Ok(None) };",
            "        let Some(name) = known.filter(|_| false) else { return Ok(None) };")],
    },
];
