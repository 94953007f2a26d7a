//! What somebody probably meant who wrote a name that is not known.
//!
//! Guarantees: the same names give the same answer, in whatever order they come; of two that are equally near, the first by the
//! alphabet. A name that differs in its digits alone is another one, and no slip of the pen.

/// Longer names are not compared: nobody types them, and comparing takes the product of both lengths.
const LONGEST: usize = 64;

/// The name that was probably meant, if any is near. Case does not count.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    nearest_of(name, known, |_| true)
}

/// As [`nearest`], of the names that may be told. That is asked of those alone that are near.
pub(crate) fn nearest_of<'a>(name: &str, known: impl Iterator<Item = &'a str>, may_be_told: impl Fn(&str) -> bool) -> Option<&'a str> {
    let folded = name.to_lowercase();
    let near = known.filter_map(|known| Some((distance(&folded, known).filter(|_| known != name)?, known)));
    near.filter(|(_, known)| may_be_told(known)).min().map(|(_, known)| known)
}

/// In how many letters two names differ, if they are near.
fn distance(folded: &str, known: &str) -> Option<usize> {
    let (length, reach) = (folded.chars().count(), known.chars().count());
    let most = (reach / 4).max(1);
    if length > LONGEST || reach > LONGEST || length.abs_diff(reach) > most {
        return None;
    }
    let known = known.to_lowercase();
    let distance = strsim::damerau_levenshtein(folded, &known);
    (distance <= most && (distance == 0 || without_digits(folded) != without_digits(&known))).then_some(distance)
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

/// What stands behind a name that is not known: nothing, or what was probably meant.
pub(crate) fn asked(meant: Option<&str>) -> String {
    meant.map(|meant| format!(" (did you mean {meant}?)")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_near() {
        let known = ["connection", "params", "tenantRef", "managementPolicy", "shop-1", "shop-eu"];
        for (name, meant) in [
            ("conection", Some("connection")),
            ("param", Some("params")),
            ("tenantref", Some("tenantRef")),
            ("managmentPolicy", Some("managementPolicy")),
            ("shop-ue", Some("shop-eu")),
            ("anything", None),
            ("params", None),
            ("shop-2", None),
            ("shop-12", None),
            ("shpo-1", Some("shop-1")),
            ("shpo-2", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known.into_iter()), meant, "{name}");
            assert_eq!(nearest(name, known.into_iter().rev()), meant, "{name}: the order does not count");
        }
    }

    #[test]
    fn of_two_that_are_as_near_the_first_by_the_alphabet_is_told() {
        assert_eq!(nearest("shop-c", ["shop-b", "shop-a"].into_iter()), Some("shop-a"));
    }

    #[test]
    fn no_name_takes_long() {
        let long = "a".repeat(100_000);
        assert_eq!(nearest(&long, [&*"a".repeat(99_999)].into_iter()), None);
    }
}
