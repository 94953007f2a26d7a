//! What somebody probably meant who wrote a name that is not known.
//!
//! Guarantees: the same names give the same answer, in whatever order they come; of two that are equally near, the first by the
//! alphabet. A name that differs in its digits alone is another one of a series, and no slip of the pen.

/// Longer names are not compared: nobody types them, and comparing takes the product of both lengths.
const LONGEST: usize = 64;

/// The name that was probably meant, if any is near. Case does not count.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    nearest_of(name, known, |_| true)
}

/// As [`nearest`], of the names that may be told. That is asked of those alone that are near.
pub(crate) fn nearest_of<'a>(name: &str, known: impl Iterator<Item = &'a str>, may_be_told: impl Fn(&str) -> bool) -> Option<&'a str> {
    let wanted = Wanted::new(name)?;
    let near = known.filter(|known| *known != name).filter_map(|known| Some((wanted.distance(known)?, known)));
    let (distance, nearest) = near.filter(|(_, known)| may_be_told(known)).min()?;
    (distance != Distance::Series).then_some(nearest)
}

/// A name that others are compared with: thousands, where a whole tenant's connections are not there.
struct Wanted {
    folded: String,
    length: usize,
    letters: Letters,
}

/// How far a name is from another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Distance {
    /// They differ in case alone.
    Case,
    /// They differ in their digits alone: both are of one series, and none of it was meant by the other.
    Series,
    /// They differ in so many letters.
    Changes(usize),
}

/// How often each ASCII character is in a text; each other one is counted as one of those.
type Letters = [i8; 128];

impl Wanted {
    fn new(name: &str) -> Option<Self> {
        let length = name.chars().count();
        let folded = (length <= LONGEST).then(|| name.to_lowercase())?;
        Some(Self { length, letters: letters(&folded), folded })
    }

    /// How far the other name is, if it is near. What can't be is seen before anything is really compared.
    fn distance(&self, known: &str) -> Option<Distance> {
        let reach = known.chars().count();
        let most = (reach / 4).max(1);
        if reach > LONGEST || self.length.abs_diff(reach) > most {
            return None;
        }
        let known = known.to_lowercase();
        if known == self.folded {
            return Some(Distance::Case);
        }
        if without_digits(&self.folded).eq(without_digits(&known)) {
            return Some(Distance::Series);
        }
        if fewest_changes(&self.letters, &letters(&known)) > most {
            return None;
        }
        Some(strsim::damerau_levenshtein(&self.folded, &known)).filter(|changes| *changes <= most).map(Distance::Changes)
    }
}

fn letters(text: &str) -> Letters {
    let mut letters = [0; 128];
    for letter in text.chars() {
        if let Some(count) = letters.get_mut(u32::from(letter) as usize & 127) {
            *count = i8::saturating_add(*count, 1);
        }
    }
    letters
}

/// How many letters have to change at least, wherever they stand.
fn fewest_changes(one: &Letters, other: &Letters) -> usize {
    let (mut more, mut fewer) = (0, 0);
    for (one, other) in one.iter().zip(other) {
        let difference = usize::from(one.abs_diff(*other));
        *(if one > other { &mut more } else { &mut fewer }) += difference;
    }
    more.max(fewer)
}

fn without_digits(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|letter| !letter.is_ascii_digit())
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
        assert_eq!(nearest("a", [&*long].into_iter()), None);
    }

    #[test]
    fn what_is_seen_before_comparing_rules_out_nothing_that_is_near() {
        let names = ["shop-eu", "Shop-UE", "shp-eu", "größe", "grösse", "große", "oidc", "odic", "a", "b", "", "corporate-oidc", "okta"];
        for name in names {
            for known in names.into_iter().filter(|known| *known != name) {
                let distance = strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase());
                let is_near = distance <= (known.chars().count() / 4).max(1);
                assert_eq!(nearest(name, [known].into_iter()).is_some(), is_near, "{name} {known}");
            }
        }
    }
}
