//! What somebody asks for a look by: the value of the annotation [`RECONCILE_AT`](crate::api::RECONCILE_AT), as it is compared,
//! and as status says that it was carried out.
//!
//! Guarantees: what is recorded is no longer than [`MAX_RECONCILE_AT`], and of two values the same only where they are the same.

use crate::api::rules::MAX_RECONCILE_AT;
use crate::model::identity::Fingerprint;

/// How many characters are kept of a value that is too long: room is left for `~` and a fingerprint.
const KEPT: usize = MAX_RECONCILE_AT - 17;

/// A value as it is recorded. One that is empty asks for nothing.
pub(crate) fn recorded(value: &str) -> Option<String> {
    match value.char_indices().nth(MAX_RECONCILE_AT) {
        None if value.is_empty() => None,
        None => Some(value.to_owned()),
        Some(_) => {
            let kept: String = value.chars().take(KEPT).collect();
            Some(format!("{kept}~{}", Fingerprint::of_text(value)))
        }
    }
}

/// Whether the newer of two values of one object asks for something that the older did not ask for.
pub(super) fn asks(old: Option<&String>, new: Option<&String>) -> bool {
    new.is_some() && old != new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_recorded_as_it_is_and_a_long_one_cut_so_that_it_is_still_told_from_every_other() {
        let of = |text: &str| recorded(text);
        assert_eq!(of(""), None);
        assert_eq!(of("2026-11-29T11:00:00Z").as_deref(), Some("2026-11-29T11:00:00Z"));
        let longest = "\u{e9}".repeat(MAX_RECONCILE_AT);
        assert_eq!(of(&longest).as_ref(), Some(&longest), "characters count, not bytes");
        let long = "\u{e9}".repeat(MAX_RECONCILE_AT + 1);
        let (one, other) = (of(&format!("{long}a")).unwrap(), of(&format!("{long}b")).unwrap());
        assert!(one != other && one != of(&long).unwrap());
        for cut in [&one, &other] {
            assert_eq!(cut.chars().count(), MAX_RECONCILE_AT);
            assert!(cut.starts_with(&"\u{e9}".repeat(KEPT)) && cut.chars().nth(KEPT) == Some('~'), "{cut}");
        }
    }

    #[test]
    fn only_a_value_that_is_there_and_new_asks_for_anything() {
        let (one, other) = ("1".to_owned(), "2".to_owned());
        for (old, new, expected) in [
            (None, None, false),
            (None, Some(&one), true),
            (Some(&one), Some(&one), false),
            (Some(&one), Some(&other), true),
            (Some(&one), None, false),
        ] {
            assert_eq!(asks(old, new), expected, "{old:?} {new:?}");
        }
    }
}
