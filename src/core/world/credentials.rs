//! The credentials in a Secret, read as leniently as is safe, and what is wrong with those that are nearly right.
//!
//! Guarantees: of a value nothing is told but its kind of flaw; what only looks odd is used as it stands, because nobody
//! but Auth0 knows its secrets, and is named when Auth0 refuses it.

use secrecy::{ExposeSecret, SecretString};

/// The member that holds the application's client id.
pub(crate) const CLIENT_ID: &str = "clientId";

/// The member that holds the application's secret.
pub(crate) const CLIENT_SECRET: &str = "clientSecret";

/// How many other members of a Secret are named.
const NAMED: usize = 8;

/// The two members of a Secret that may hold credentials.
#[derive(Clone, Debug, Default)]
pub struct SecretData {
    /// The member `clientId`.
    pub client_id: Option<String>,
    /// The member `clientSecret`.
    pub client_secret: Option<SecretString>,
    /// What is wrong with a member, by its name: at most one flaw for each.
    pub flaws: Vec<(&'static str, Flaw)>,
    /// The names of some other members, where one of the two is missing.
    pub others: Vec<String>,
}

impl PartialEq for SecretData {
    fn eq(&self, other: &Self) -> bool {
        fn secret(credentials: &SecretData) -> Option<&str> {
            credentials.client_secret.as_ref().map(ExposeSecret::expose_secret)
        }
        (&self.client_id, secret(self), &self.flaws, &self.others) == (&other.client_id, secret(other), &other.flaws, &other.others)
    }
}

/// What is wrong with a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It is not there.
    Absent,
    /// Nothing is in it.
    Empty,
    /// It is in no encoding of text that is known here.
    NotText,
    /// It is in UTF-16.
    Utf16,
    /// It begins with a byte order mark.
    ByteOrderMark,
    /// It has quotes around it.
    Quotes,
    /// It begins or ends with a blank or a tab.
    Blank,
    /// It has more than one line.
    Lines,
    /// It was never filled in.
    Placeholder,
    /// It is base64 of readable text.
    Base64,
}

impl Flaw {
    /// What is said of a member, behind its name.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Absent => "is missing",
            Self::Empty => "is empty",
            Self::NotText => "is not text; write it in UTF-8, and let Kubernetes encode it (stringData)",
            Self::Utf16 => "is in UTF-16; write it in UTF-8 without a byte order mark",
            Self::ByteOrderMark => "begins with a byte order mark; write it in UTF-8 without one",
            Self::Quotes => "has quotes around it; write it without them",
            Self::Blank => "begins or ends with a space or a tab; write it without",
            Self::Lines => "has more than one line; write it on one",
            Self::Placeholder => "looks like a placeholder that nobody filled in",
            Self::Base64 => "looks like base64 that was encoded twice; encode it once (data), or not at all (stringData)",
        }
    }
}

/// Reads the members of a Secret.
pub(crate) fn read<'a>(members: impl Iterator<Item = (&'a str, &'a [u8])>) -> SecretData {
    let mut credentials = SecretData::default();
    let (mut id, mut secret) = (Err(Flaw::Absent), Err(Flaw::Absent));
    for (name, bytes) in members {
        match name {
            CLIENT_ID => id = text(bytes),
            CLIENT_SECRET => secret = text(bytes),
            _ => credentials.others.push(name.chars().take(64).collect()),
        }
    }
    for (name, found) in [(CLIENT_ID, &id), (CLIENT_SECRET, &secret)] {
        let flaw = found.as_ref().map_or_else(|flaw| Some(*flaw), |text| oddity(text));
        credentials.flaws.extend(flaw.map(|flaw| (name, flaw)));
    }
    if credentials.flaws.iter().all(|(_, flaw)| *flaw != Flaw::Absent) {
        // Whatever else is in the Secret is nobody's business then.
        credentials.others.clear();
    }
    credentials.others.sort();
    credentials.others.truncate(NAMED);
    credentials.client_id = id.ok();
    credentials.client_secret = secret.ok().map(SecretString::from);
    credentials
}

fn text(bytes: &[u8]) -> Result<String, Flaw> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || bytes.contains(&0) {
        return Err(Flaw::Utf16);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Flaw::NotText)?;
    if text.contains('\u{feff}') {
        return Err(Flaw::ByteOrderMark);
    }
    // `kubectl create secret --from-file` keeps the line break at a file's end, which is in no credential.
    let text = text.trim_end_matches(['\r', '\n']);
    if text.trim().is_empty() { Err(Flaw::Empty) } else { Ok(text.to_owned()) }
}

/// What makes a text an unlikely credential, though it can be one.
fn oddity(text: &str) -> Option<Flaw> {
    let inside = text.trim();
    let quoted = |quote: char| inside.len() > 1 && inside.starts_with(quote) && inside.ends_with(quote);
    let placeholder = ["${", "{{", "<", "$("].iter().any(|start| inside.starts_with(start));
    if quoted('"') || quoted('\'') {
        Some(Flaw::Quotes)
    } else if is_base64_of_text(text) {
        Some(Flaw::Base64)
    } else if inside.contains(['\r', '\n']) {
        Some(Flaw::Lines)
    } else if inside != text {
        Some(Flaw::Blank)
    } else {
        placeholder.then_some(Flaw::Placeholder)
    }
}

/// Whether this is base64 whose content is readable, as hardly any random text is. Tools that encode break long lines.
fn is_base64_of_text(text: &str) -> bool {
    let letters: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let content: &[u8] = letters.strip_suffix(b"==").or(letters.strip_suffix(b"=")).unwrap_or(&letters);
    if letters.len() < 8 || !letters.len().is_multiple_of(4) {
        return false;
    }
    let Some(sixes) = content.iter().map(|byte| sextet(*byte)).collect::<Option<Vec<u32>>>() else { return false };
    let decoded = sixes.chunks(4).flat_map(|four| {
        let bits = four.iter().fold(0, |bits, six| bits << 6 | six) << (6 * (4 - four.len()));
        let [_, bytes @ ..] = bits.to_be_bytes();
        bytes.into_iter().take(four.len() - 1)
    });
    let decoded: Vec<u8> = decoded.collect();
    decoded.trim_ascii_end().iter().all(|byte| (b' '..=b'~').contains(byte))
}

fn sextet(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn of(members: &[(&str, &[u8])]) -> SecretData {
        read(members.iter().copied())
    }

    /// The client secret as it is used, and what is said of it.
    fn secret(bytes: &[u8]) -> (Option<String>, Option<Flaw>) {
        let found = of(&[(CLIENT_ID, b"k7hT2rWq"), (CLIENT_SECRET, bytes)]);
        (found.client_secret.map(|secret| secret.expose_secret().to_owned()), found.flaws.first().map(|(_, flaw)| *flaw))
    }

    #[test]
    fn a_credential_is_read_as_it_stands() {
        for text in ["s3cr3t", "Zm9v", "hTk3_8-vQx2LmN0pRsTuVwXyZaBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789abcd", "a b", "p\"q"] {
            assert_eq!(secret(text.as_bytes()), (Some(text.to_owned()), None), "{text}");
        }
        assert_eq!(secret(b"s3cr3t\r\n"), (Some("s3cr3t".to_owned()), None));
    }

    #[test]
    fn what_cannot_be_one_is_named() {
        let utf16 = |text: &str, mark: bool| -> Vec<u8> {
            mark.then_some(0xfeff).into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
        };
        for (bytes, flaw) in [
            (&b""[..], Flaw::Empty),
            (b"\n", Flaw::Empty),
            (b" \t", Flaw::Empty),
            (&utf16("s3cr3t", true), Flaw::Utf16),
            (&utf16("s3cr3t", false), Flaw::Utf16),
            ("\u{feff}s3cr3t".as_bytes(), Flaw::ByteOrderMark),
            (b"s3cr\xff", Flaw::NotText),
        ] {
            assert_eq!(secret(bytes), (None, Some(flaw)), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_odd_is_used_and_named() {
        for (text, flaw) in [
            ("\"s3cr3t\"", Flaw::Quotes),
            ("'s3cr3t' ", Flaw::Quotes),
            (" s3cr3t", Flaw::Blank),
            ("s3cr3t\t\n", Flaw::Blank),
            ("one\ntwo", Flaw::Lines),
            ("${AUTH0_CLIENT_SECRET}", Flaw::Placeholder),
            ("<the secret>", Flaw::Placeholder),
            ("czNjcjN0LXZhbHVl", Flaw::Base64),
            ("czNjcjN0LXZhbHVlCg==", Flaw::Base64),
            ("czNjcjN0\nLXZhbHVlCg==", Flaw::Base64),
        ] {
            assert_eq!(secret(text.as_bytes()), (Some(text.trim_end_matches('\n').to_owned()), Some(flaw)), "{text}");
        }
    }

    #[test]
    fn other_members_are_named_where_one_is_missing_and_only_there() {
        let found = of(&[("AUTH0_CLIENT_SECRET", b"s3cr3t"), ("AUTH0_CLIENT_ID", b"id")]);
        assert_eq!(found.flaws, [(CLIENT_ID, Flaw::Absent), (CLIENT_SECRET, Flaw::Absent)]);
        assert_eq!(found.others, ["AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET"]);
        assert!(of(&[(CLIENT_ID, b"id"), (CLIENT_SECRET, b"s3cr3t"), ("other", b"x")]).others.is_empty());
        let many: Vec<String> = (0..99).map(|number| format!("m{number:02}")).collect();
        let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
        assert_eq!(of(&many).others.len(), NAMED);
    }
}
