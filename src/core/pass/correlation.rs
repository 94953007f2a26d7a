//! The text that a write carries into the tenant's log: which objects it is made for.
//!
//! Guarantees: at most [`MOST`] characters, all of them letters, digits, `-`, `_` and `.`; the same objects give the same
//! text; an object is named whole or counted, but for one that alone is too long.

use crate::core::world::ObjectKey;

/// What Auth0 takes into its log.
pub(crate) const MOST: usize = 64;

/// `uparams-NAMESPACE-NAME` for one object, more behind `_`, which no name of Kubernetes has; what does not fit is
/// counted: `uparams-shop-login_shop-prompts_and-3-more`.
pub(crate) fn id(objects: &[&ObjectKey]) -> String {
    let names: Vec<String> = objects.iter().map(|key| format!("{}-{}", key.namespace, key.name)).collect();
    let fits = |shown: &usize| text(&names, *shown).len() <= MOST;
    let shown = (1..=names.len()).rev().find(fits).unwrap_or(1);
    let rest = rest(names.len().saturating_sub(shown));
    let mut whole = text(&names, shown);
    if whole.len() > MOST {
        // The names of Kubernetes are ASCII, so this cuts no character in two.
        whole = whole.chars().take(MOST - rest.len()).collect::<String>() + &rest;
    }
    whole
}

fn text(names: &[String], shown: usize) -> String {
    let some: Vec<&str> = names.iter().take(shown).map(String::as_str).collect();
    format!("uparams-{}{}", some.join("_"), rest(names.len().saturating_sub(shown)))
}

fn rest(count: usize) -> String {
    if count == 0 { String::new() } else { format!("_and-{count}-more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> String {
        let keys: Vec<ObjectKey> = names.iter().map(|name| ObjectKey { namespace: "shop".into(), name: (*name).into() }).collect();
        id(&keys.iter().collect::<Vec<_>>())
    }

    #[test]
    fn all_objects_are_named_as_long_as_they_fit_and_the_others_are_counted() {
        assert_eq!(of(&["login"]), "uparams-shop-login");
        assert_eq!(of(&["login", "prompts"]), "uparams-shop-login_shop-prompts");
        let many = of(&["login", "prompts", "languages-of-the-world", "organization", "five"]);
        assert_eq!(many, "uparams-shop-login_shop-prompts_and-3-more");
        assert_eq!(of(&["a", "b", "c", "d", "e", "f", "g"]), "uparams-shop-a_shop-b_shop-c_shop-d_shop-e_shop-f_shop-g");
    }

    #[test]
    fn a_name_that_is_too_long_alone_is_cut_and_the_others_are_still_counted() {
        let long = "x".repeat(100);
        assert_eq!(of(&[&long]), format!("uparams-shop-{}", "x".repeat(51)));
        let two = of(&[&long, "login"]);
        assert_eq!((two.len(), two.ends_with("x_and-1-more")), (MOST, true), "{two}");
    }
}
