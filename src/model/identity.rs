//! What things are called, as types: one kind of name can't be given where another is meant.
//!
//! Guarantees: a [`ConnectionId`] is safe as a part of an address; a [`ConnectionName`] that [`ConnectionName::parse`] made keeps
//! to the rule for those that people write. What comes from where it needs no check (the API server's uids, Auth0's names,
//! the fingerprints of a status) is taken as it is, by a function that says where from. Assumes nothing.
//!
//! Fails: with the rule that is broken, in the words of [`rules`].

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::api::rules;

/// A text of one kind: it reads as a text, and is made only by the functions of its own.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                *self.0 == *other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                *self.0 == **other
            }
        }
    };
}

text! {
    /// The id of a connection: `con_` and letters and digits.
    ///
    /// One rule for everybody: it is what makes an id safe in an address, wherever it comes from. How long the one in a spec may
    /// be is the field's own bound ([`rules::MAX_CONNECTION_ID`]), as of every text of a manifest; how long Auth0 makes its
    /// ids is Auth0's business, and an object that names its connection by name must not fail for it.
    ConnectionId
}

impl ConnectionId {
    /// Takes `con_` followed by letters and digits.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let rest = text.strip_prefix("con_").filter(|rest| !rest.is_empty());
        let is_id = rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if is_id { Ok(Self(text.into())) } else { Err(rules::CONNECTION_ID_PATTERN) }
    }
}

text! {
    /// The name of a connection, unique in its tenant and immutable.
    ConnectionName
}

impl ConnectionName {
    /// Takes a name that somebody wrote into a manifest: letters, digits and `-`, the first no `-`, of a length that Auth0 takes.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let shaped = text.len() <= rules::MAX_CONNECTION_NAME
            && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if shaped { Ok(Self(text.into())) } else { Err(rules::CONNECTION_NAME_PATTERN) }
    }

    /// The name that Auth0 says a connection has: older ones may be of another shape.
    pub fn from_auth0(text: &str) -> Self {
        Self(text.into())
    }
}

text! {
    /// `metadata.uid`: another object of the same name has another one.
    Uid
}

impl From<&str> for Uid {
    /// Takes the uid of an object as the API server gives it.
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Uid {
    /// Takes the uid of an object as the API server gives it.
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

text! {
    /// Which Auth0 tenant something is of, whatever domain it is reached by and whichever object stands for it: the host of its
    /// audience.
    TenantIdentity
}

impl TenantIdentity {
    /// The identity that a status holds. One that is none is that of no tenant. For that of a domain:
    /// [`crate::model::domain::Domain::identity`].
    pub fn from_status(text: &str) -> Self {
        Self(text.into())
    }
}

text! {
    /// The record of one write: 16 hex digits of SHA-256 over the tenant, the connection, the parameter's name and its entry.
    /// One way: it tells whether a live value is ours, and nothing about any value.
    Fingerprint
}

impl Fingerprint {
    /// The fingerprint that begins with this digest.
    pub(crate) fn of_digest(digest: [u8; 32]) -> Self {
        let first_eight = digest.iter().take(8).fold(0, |number: u64, byte| (number << 8) | u64::from(*byte));
        Self(format!("{first_eight:016x}").into())
    }

    /// The fingerprint of a text.
    pub(crate) fn of_text(text: &str) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        Self::of_digest(digest.as_ref().try_into().unwrap_or_default())
    }

    /// The fingerprint that a status holds. One that is none equals that of no value, and is carried like any other.
    pub fn from_status(text: &str) -> Self {
        Self(text.into())
    }
}

/// Namespace and name of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Literals of tests, which say themselves what they are.
#[cfg(test)]
mod literals {
    use super::{ConnectionId, ConnectionName, Fingerprint, TenantIdentity};

    impl From<&str> for ConnectionId {
        fn from(text: &str) -> Self {
            Self::parse(text).unwrap_or_else(|rule| panic!("{text:?}: {rule}"))
        }
    }

    impl From<&str> for ConnectionName {
        fn from(text: &str) -> Self {
            Self::parse(text).unwrap_or_else(|rule| panic!("{text:?}: {rule}"))
        }
    }

    impl From<&str> for TenantIdentity {
        fn from(text: &str) -> Self {
            Self(text.into())
        }
    }

    impl From<&str> for Fingerprint {
        fn from(text: &str) -> Self {
            Self(text.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::domain::Domain;

    #[test]
    fn an_id_is_con_and_letters_and_digits_so_that_it_changes_no_address() {
        for text in ["con_a", "con_0123456789abcdef", "con_ABCxyz0189"] {
            assert_eq!(ConnectionId::parse(text).map(|id| id.to_string()), Ok(text.to_owned()));
        }
        // Auth0 may make them longer than a manifest may have them.
        assert!(ConnectionId::parse(&format!("con_{}", "a".repeat(200))).is_ok());
        for text in
            ["", "con_", "con", "con_a/../x", "con_a?x", "con_\u{e9}", "CON_a", "con_a\n", " con_a", "../con_a", "con_a-b", "con_con_a"]
        {
            assert_eq!(ConnectionId::parse(text), Err(rules::CONNECTION_ID_PATTERN), "{text:?}");
        }
    }

    #[test]
    fn a_name_that_somebody_writes_keeps_to_the_rule_and_one_that_auth0_tells_is_taken_as_it_is() {
        let longest = "a".repeat(rules::MAX_CONNECTION_NAME);
        for text in ["wordpress", "google-oauth2", "Username-Password-Authentication", "0", &longest] {
            assert_eq!(ConnectionName::parse(text), Ok(ConnectionName::from_auth0(text)));
        }
        for text in ["", "-shop", "my_shop", "my shop", "shop\n", "bücher", &format!("{longest}a")] {
            assert_eq!(ConnectionName::parse(text), Err(rules::CONNECTION_NAME_PATTERN), "{text:?}");
            assert_eq!(ConnectionName::from_auth0(text).as_str(), text);
        }
    }

    #[test]
    fn the_identity_of_a_tenant_is_its_default_domain_also_when_a_status_tells_it() {
        let domain = Domain::parse("example.eu.auth0.com").unwrap();
        assert_eq!(domain.identity(), TenantIdentity::from_status("example.eu.auth0.com"));
    }

    #[test]
    fn a_fingerprint_is_the_first_16_hex_digits_of_its_digest() {
        let mut digest = [0; 32];
        (digest[0], digest[7], digest[8]) = (0x0f, 0xa0, 0xff);
        assert_eq!(Fingerprint::of_digest(digest), "0f000000000000a0");
    }

    #[test]
    fn a_map_by_one_of_them_is_read_with_a_text() {
        let map = BTreeMap::from([(Uid::from("one"), 1)]);
        assert_eq!(map.get("one"), Some(&1));
    }
}
