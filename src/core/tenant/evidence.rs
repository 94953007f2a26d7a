//! What the calls to a tenant show of the tenant as a whole, and what of one connection only.
//!
//! Guarantees: what happens to one connection is that connection's trouble while another one of the tenant shows better;
//! a refusal of the API ends with a call that succeeds and with nothing else. Assumes: told of every call, in order.
//!
//! Which scopes a token has is what the answer that granted it says. Only where that answer is silent do the
//! connections have to tell.

use std::collections::BTreeSet;

use crate::core::schedule::ConnectionKey;

/// A token, as far as its answer tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    /// Its scopes, where the answer names them.
    pub scopes: Option<&'a [String]>,
    /// Which it is, of those that were fetched with the same credentials.
    pub serial: u64,
}

/// Which connections let something be done and which don't, where the token doesn't say whether it may be.
#[derive(Debug, Default)]
struct Sightings {
    /// The token that was seen to be good for it last.
    good_with: Option<u64>,
    /// The connections that refused it since.
    refused_by: BTreeSet<ConnectionKey>,
}

impl Sightings {
    fn good(&mut self, token: u64) {
        self.good_with = Some(token);
        self.refused_by.clear();
    }

    /// Whose it is that a connection refuses. `known`: how many connections are known.
    fn refused(&mut self, connection: &ConnectionKey, token: u64, known: usize) -> Blame {
        self.refused_by.insert(connection.clone());
        if self.good_with == Some(token) {
            return Blame::Connection;
        }
        // What an earlier token was good for says nothing of this one: where there is nobody else to ask, only a new one can tell.
        if self.refused_by.len() > 1 || known <= 1 { Blame::Token } else { Blame::Either }
    }
}

/// Whose trouble it is that a connection does not let something be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The tenant's as a whole: the token lacks what is needed.
    Token,
    /// The connection's: the token is good for it elsewhere.
    Connection,
    /// Nothing tells: nobody else was asked with this token.
    Either,
}

/// What the calls of a tenant have shown.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    options: Sightings,
    scopes: Sightings,
    /// Whom no call about got an answer since the last one that anybody got.
    silent: BTreeSet<ConnectionKey>,
    /// What is in the way, since the last answer.
    silence: Option<String>,
    /// For which call the API refused the token last, while no other was answered since.
    refused: Option<Doing>,
    /// For which calls it refused a token that it took for others.
    odd: BTreeSet<Doing>,
}

/// A call about a connection: which one, and whether it writes.
pub(crate) type Doing = (ConnectionKey, bool);

impl Evidence {
    /// The options of a connection were there.
    pub(crate) fn showed_options(&mut self, token: u64) {
        self.options.good(token);
    }

    /// A connection came without options. Yields whose trouble that is: where the token names its scopes, they tell, and elsewhere
    /// what other connections showed.
    pub(crate) fn hid_options(&mut self, connection: &ConnectionKey, token: Token<'_>, known: usize) -> Blame {
        match token.scopes {
            Some(scopes) if scopes.iter().any(|scope| scope == READ_OPTIONS) => Blame::Connection,
            Some(_) => Blame::Token,
            None => self.options.refused(connection, token.serial, known),
        }
    }

    /// A write went through.
    pub(crate) fn wrote(&mut self, token: u64) {
        self.scopes.good(token);
    }

    /// A call was refused for `asked` scopes (all that are needed, where the answer names none). Yields those that the token
    /// lacks; none when it is about this connection only.
    pub(crate) fn lacks(&mut self, connection: &ConnectionKey, asked: &[String], token: Token<'_>, known: usize) -> Option<Vec<String>> {
        match token.scopes {
            Some(scopes) => {
                let missing: Vec<String> = asked.iter().filter(|scope| !scopes.contains(scope)).cloned().collect();
                (!missing.is_empty()).then_some(missing)
            }
            None => (self.scopes.refused(connection, token.serial, known) == Blame::Token).then(|| asked.to_vec()),
        }
    }

    /// Auth0 answered. Yields whether it was said that it doesn't.
    pub(crate) fn answered(&mut self) -> bool {
        self.silent.clear();
        self.silence.take().is_some()
    }

    /// The API refused a new token (401) for this call. Yields whether that is to be said of the tenant as a whole: not of one whose
    /// token it took for another call right after it had refused it for this one.
    pub(crate) fn refused(&mut self, doing: Doing) -> bool {
        let is_odd = self.odd.contains(&doing);
        if !is_odd {
            self.refused = Some(doing);
        }
        !is_odd
    }

    /// The API took the token for this call.
    pub(crate) fn took(&mut self, doing: &Doing) {
        self.odd.remove(doing);
        self.odd.extend(self.refused.take().filter(|refused| refused != doing));
    }

    /// No answer came to a call. Yields whether that is to be said of the tenant as a whole: the host can't be reached at all,
    /// or nobody else fares better.
    pub(crate) fn unanswered(&mut self, key: &ConnectionKey, message: &str, of_the_host: bool, known: usize) -> bool {
        self.silent.insert(key.clone());
        if of_the_host || self.silent.len() >= known.clamp(1, 2) {
            self.silence = Some(message.to_owned());
        }
        self.silence.is_some()
    }

    /// What keeps the tenant from answering.
    pub(crate) fn silence(&self) -> Option<&str> {
        self.silence.as_deref()
    }
}

/// The scope without which connections come without their options.
pub(crate) const READ_OPTIONS: &str = "read:connections_options";

#[cfg(test)]
mod tests {
    use super::*;

    fn all(scopes: &[&str]) -> Vec<String> {
        scopes.iter().map(|scope| (*scope).to_owned()).collect()
    }

    fn token(scopes: Option<&[String]>, serial: u64) -> Token<'_> {
        Token { scopes, serial }
    }

    fn place(name: &str) -> ConnectionKey {
        ConnectionKey::Name(name.into())
    }

    #[test]
    fn what_a_token_says_of_its_scopes_decides() {
        let mut evidence = Evidence::default();
        let named = all(&["read:connections", READ_OPTIONS]);
        assert_eq!(evidence.hid_options(&place("a"), token(Some(&named), 1), 1), Blame::Connection);
        assert_eq!(evidence.hid_options(&place("a"), token(Some(&named[..1]), 1), 9), Blame::Token);
        let asked = all(&["read:x", "update:x"]);
        assert_eq!(evidence.lacks(&place("a"), &asked, token(Some(&all(&["read:x"])), 1), 9), Some(all(&["update:x"])));
        assert_eq!(evidence.lacks(&place("a"), &asked, token(Some(&asked), 1), 1), None);
    }

    #[test]
    fn where_the_token_is_silent_another_connection_tells() {
        let mut evidence = Evidence::default();
        let mut hid = |name: &str, serial, known| evidence.hid_options(&place(name), token(None, serial), known);
        assert_eq!(hid("a", 1, 1), Blame::Token, "there is nobody else to ask");
        assert_eq!(hid("a", 1, 2), Blame::Either, "the other one was not looked at yet");
        evidence.showed_options(1);
        let mut hid = |name: &str, serial, known| evidence.hid_options(&place(name), token(None, serial), known);
        assert_eq!([hid("a", 1, 2), hid("b", 1, 3)], [Blame::Connection; 2], "the same token showed it elsewhere");
        evidence.showed_options(1);
        let mut hid = |name: &str, serial, known| evidence.hid_options(&place(name), token(None, serial), known);
        assert_eq!([hid("a", 2, 3), hid("a", 2, 3)], [Blame::Either; 2], "another token: one may be odd");
        assert_eq!(hid("b", 2, 3), Blame::Token, "two are not");
        evidence.showed_options(2);
        assert_eq!(evidence.hid_options(&place("b"), token(None, 2), 3), Blame::Connection);
    }

    #[test]
    fn what_the_token_before_was_good_for_does_not_excuse_the_only_connection_that_there_is() {
        let (mut evidence, asked) = (Evidence::default(), all(&["update:x"]));
        evidence.showed_options(1);
        evidence.wrote(1);
        assert_eq!(evidence.hid_options(&place("a"), token(None, 1), 1), Blame::Connection);
        assert!(evidence.lacks(&place("a"), &asked, token(None, 1), 1).is_none());
        assert_eq!(evidence.hid_options(&place("a"), token(None, 2), 1), Blame::Token, "only a new token can tell");
        assert_eq!(evidence.lacks(&place("a"), &asked, token(None, 2), 1), Some(asked.clone()));
    }

    #[test]
    fn a_token_that_is_refused_for_one_call_and_taken_for_another_is_that_ones_trouble_from_then_on() {
        let reads = |name: &str| (place(name), false);
        let writes = |name: &str| (place(name), true);
        for odd in [reads("a"), writes("a")] {
            let mut evidence = Evidence::default();
            assert!(evidence.refused(odd.clone()) && evidence.refused(odd.clone()), "nobody fares better");
            evidence.took(&reads("b"));
            assert!(!evidence.refused(odd.clone()) && !evidence.refused(odd.clone()));
            assert!(evidence.refused(reads("b")), "that is another");
            evidence.took(&odd);
            assert!(evidence.refused(odd.clone()), "it was taken for it since");
            assert!(!evidence.refused(reads("b")), "and not for the other");
            // One that is taken for the same call again shows nothing of others.
            evidence.took(&odd);
            assert!(evidence.refused(odd));
        }
    }

    #[test]
    fn one_connection_without_an_answer_is_not_the_tenant() {
        let (mut evidence, odd, other) = (Evidence::default(), place("a"), place("b"));
        for _ in 0..9 {
            assert!(!evidence.unanswered(&odd, "m", false, 2));
        }
        assert!(!evidence.answered());
        assert!(!evidence.unanswered(&odd, "m", false, 2) && evidence.unanswered(&other, "n", false, 2));
        assert_eq!(evidence.silence(), Some("n"));
        assert!(evidence.answered() && evidence.silence().is_none());
        assert!(evidence.unanswered(&odd, "m", true, 2) && evidence.answered());
        assert!(evidence.unanswered(&odd, "m", false, 1), "there is nobody else to ask");
    }
}
