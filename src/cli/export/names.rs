//! Names of objects, made from the names of connections.
//!
//! Guarantees: each is a DNS label, no two are the same, and none depends on the order in which connections come; a connection
//! whose name is a label has it as its own, whatever others are called; an object that is there for something else is not replaced.

use std::collections::{BTreeMap, BTreeSet};

use ring::digest;

use crate::model::identity::ConnectionName;

/// The longest DNS label (RFC 1123).
const LONGEST: usize = 63;

/// How many hexadecimal digits of a hash tell two names apart, to begin with.
const DIGITS: usize = 6;

/// How many objects for one connection are taken for its own: enough for three thousand parameters.
const MOST_PARTS: usize = 100;

/// The names that are given.
#[derive(Debug)]
pub(super) struct Names<'a> {
    /// The objects that are there, each with the connection that it names, as far as that is one.
    there: &'a BTreeMap<String, Option<ConnectionName>>,
    given: BTreeSet<String>,
    by_connection: BTreeMap<&'a ConnectionName, String>,
}

impl<'a> Names<'a> {
    /// A name for the object of each connection.
    pub(super) fn new(
        connections: impl IntoIterator<Item = &'a ConnectionName>,
        there: &'a BTreeMap<String, Option<ConnectionName>>,
    ) -> Self {
        let labels: BTreeMap<&ConnectionName, String> = connections.into_iter().map(|name| (name, label(name))).collect();
        let mut wanted = BTreeMap::<&str, usize>::new();
        for label in labels.values() {
            *wanted.entry(label).or_default() += 1;
        }
        let mut names = Self { there, given: BTreeSet::new(), by_connection: BTreeMap::new() };
        // First whose name is a label, then who alone would have the label, then the others.
        let rank = |name: &ConnectionName, label: &str| (*label != **name, wanted.get(label) != Some(&1));
        let mut order: Vec<(&&ConnectionName, &String)> = labels.iter().collect();
        order.sort_by_key(|&(name, label)| (rank(name, label), *name));
        for (name, label) in order {
            let own = matches!(rank(name, label), (false, _) | (true, false));
            let plain = own.then(|| label.clone());
            let apart = (DIGITS..=64).map(|digits| told_apart(name, label, digits));
            let found = plain.into_iter().chain(apart).find(|text| names.is_free(text, name)).unwrap_or_else(|| label.clone());
            names.give(name, found);
        }
        names
    }

    /// The name of the object for this connection.
    pub(super) fn of(&self, connection: &ConnectionName) -> &str {
        self.by_connection.get(connection).map(String::as_str).unwrap_or_default()
    }

    /// A name for another object for the same connection.
    pub(super) fn further(&mut self, connection: &ConnectionName) -> String {
        let first = self.of(connection).to_owned();
        let found = (2..usize::MAX).map(|number| part(&first, number)).find(|text| self.is_free(text, connection)).unwrap_or_default();
        self.given.insert(found.clone());
        found
    }

    fn is_free(&self, text: &str, connection: &ConnectionName) -> bool {
        !self.given.contains(text) && self.there.get(text).is_none_or(|named| named.as_ref() == Some(connection))
    }

    fn give(&mut self, connection: &'a ConnectionName, text: String) {
        self.given.insert(text.clone());
        self.by_connection.insert(connection, text);
    }
}

/// The name of the nth object for a connection.
fn part(first: &str, number: usize) -> String {
    let end = format!("-part{number}");
    let short: String = first.chars().take(LONGEST - end.len()).collect();
    format!("{short}{end}")
}

/// Whether this is the name of the first object for a connection, or of a further one.
pub(super) fn is_of(first: &str, name: &str) -> bool {
    name == first || (2..=MOST_PARTS).any(|number| name == part(first, number))
}

/// The DNS label that is most like a name.
fn label(name: &str) -> String {
    let plain = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    let plain: String = plain.skip_while(|c| *c == '-').take(LONGEST).collect();
    let plain = plain.trim_end_matches('-');
    if plain.is_empty() { "connection".to_owned() } else { plain.to_owned() }
}

/// The label with a piece of the name's hash behind it, or in its place where that leaves it no room.
fn told_apart(name: &str, label: &str, digits: usize) -> String {
    let hash = digest::digest(&digest::SHA256, name.as_bytes());
    let digit = |four: u8| char::from_digit(u32::from(four), 16).unwrap_or_default();
    let hex: String = hash.as_ref().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).take(digits).collect();
    let short: String = label.chars().take(LONGEST.saturating_sub(digits + 1)).collect();
    let text = format!("{}-{hex}", short.trim_end_matches('-'));
    text.trim_start_matches('-').chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(connections: &[&str], there: &[(&str, Option<&str>)]) -> Vec<String> {
        let connections: Vec<ConnectionName> = connections.iter().map(|name| ConnectionName::from_auth0(name)).collect();
        let there = there.iter().map(|(name, of)| ((*name).to_owned(), of.map(ConnectionName::from_auth0))).collect();
        let names = Names::new(&connections, &there);
        connections.iter().map(|name| names.of(name).to_owned()).collect()
    }

    fn is_label(text: &str) -> bool {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (1..=LONGEST).contains(&text.len()) && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
    }

    #[test]
    fn a_name_becomes_a_label_and_two_never_the_same() {
        assert_eq!(of(&["shop", "Store"], &[]), ["shop", "store"]);
        assert_eq!(of(&["a b", "--x--"], &[]), ["a-b", "x"]);
        assert_eq!(of(&["shop", "Shop"], &[])[0], "shop");
        let longs = ["a".repeat(128), "a".repeat(127), "a".repeat(63)];
        let mut all: Vec<&str> = vec!["shop", "Shop", "SHOP", "_", "é", "-", "", "shop-", "shop_"];
        all.extend(longs.iter().map(String::as_str));
        let found = of(&all, &[]);
        assert!(found.iter().all(|name| is_label(name)), "{found:?}");
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), all.len(), "{found:?}");
        assert_eq!(found[11], "a".repeat(63), "who has a label for a name keeps it");
        let mut backwards = all.clone();
        backwards.reverse();
        assert_eq!(of(&backwards, &[]).into_iter().rev().collect::<Vec<_>>(), found);
    }

    #[test]
    fn a_name_that_looks_like_one_that_was_told_apart_is_no_trouble() {
        let apart = of(&["shop", "Shop"], &[])[1].clone();
        let found = of(&["shop", "Shop", &apart], &[]);
        assert_eq!((found[0].as_str(), &found[2]), ("shop", &apart));
        assert!(found[1] != apart && found[1].starts_with(&apart), "{found:?}");
    }

    #[test]
    fn an_object_that_is_there_for_something_else_is_left_alone() {
        assert_eq!(of(&["shop"], &[("shop", Some("shop"))]), ["shop"]);
        for there in [Some("other"), None] {
            let found = of(&["shop"], &[("shop", there)]);
            assert!(found[0].starts_with("shop-") && is_label(&found[0]), "{found:?}");
        }
    }

    #[test]
    fn further_objects_have_names_of_their_own() {
        let connections = ["shop", "shop-part2"].map(ConnectionName::from_auth0);
        let there = BTreeMap::new();
        let mut names = Names::new(&connections, &there);
        assert_eq!([names.further(&connections[0]), names.further(&connections[0])], ["shop-part3", "shop-part4"]);
        let long = [ConnectionName::from_auth0(&"a".repeat(63))];
        assert_eq!(Names::new(&long, &there).further(&long[0]).len(), 63);
    }
}
