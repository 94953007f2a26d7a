//! Faults in the connection as text.

use super::{Edit, Mutant, Room};

const DOCUMENT: &str = "src/model/document/mod.rs";

#[rustfmt::skip]
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "absent-options-are-empty", room: Room::Document,
        wrong: "a connection that came without its options counts as one whose options are empty",
        edits: &[Edit(DOCUMENT,
            "                .ok_or(DocumentError::OptionsHidden)\n                \
             .and_then(|raw| Members::parse(raw).ok_or(DocumentError::OptionsUnusable)),",
            "                .map_or_else(|| Ok(Members::default()), |raw| Members::parse(raw).ok_or(DocumentError::OptionsUnusable)),")],
    },
    Mutant {
        name: "unusable-parameters-are-empty", room: Room::Document,
        wrong: "`upstream_params` that are no object are replaced",
        edits: &[Edit(DOCUMENT,
            "Some(raw) => Members::parse(raw).ok_or(DocumentError::ParamsNotAnObject),",
            "Some(raw) => Ok(Members::parse(raw).unwrap_or_default()),")],
    },
    Mutant {
        name: "foreign-options-are-dropped", room: Room::Document,
        wrong: "only `upstream_params` is sent, and Auth0 erases the other options",
        edits: &[Edit(DOCUMENT,
            "let mut options = self.options()?.clone();",
            "let mut options = Members::default();")],
    },
    Mutant {
        name: "foreign-options-are-spelled-anew", room: Room::Document,
        wrong: "the options go through a JSON value, which changes large numbers and the order",
        edits: &[Edit(DOCUMENT,
            r#"Members(vec![(Name::new("options")?, raw(&options.to_text())?)]);"#,
            r#"Members(vec![(Name::new("options")?, raw(&serde_json::from_str::<serde_json::Value>(&options.to_text()).unwrap_or_default().to_string())?)]);"#)],
    },
    Mutant {
        name: "foreign-options-are-sorted", room: Room::Document,
        wrong: "the other options are sent in another order",
        edits: &[Edit(DOCUMENT,
            "let mut options = self.options()?.clone();",
            "let mut options = self.options()?.clone();\n        options.0.sort_by(|(a, _), (b, _)| a.written.get().cmp(b.written.get()));")],
    },
    Mutant {
        name: "foreign-parameters-are-dropped", room: Room::Document,
        wrong: "only the parameters that change are sent, and Auth0 erases the others",
        edits: &[Edit(DOCUMENT,
            "let mut params = self.params()?;",
            "let mut params = Members::default();")],
    },
    Mutant {
        name: "display-name-is-not-sent", room: Room::Document,
        wrong: "the display name is not sent back, and Auth0 resets it",
        edits: &[Edit(DOCUMENT,
            "if let Some(display_name) = &self.display_name {",
            "if let (Some(display_name), true) = (&self.display_name, changes.is_empty()) {")],
    },
    Mutant {
        name: "more-is-sent", room: Room::Document,
        wrong: "a member of the connection is sent that is none of ours to send",
        edits: &[Edit(DOCUMENT,
            "        Ok(PatchBody(body.to_text()))",
            "        body.set(\"enabled_clients\", raw(\"[]\")?)?;\n        Ok(PatchBody(body.to_text()))")],
    },
];
