//! Just enough of X.509 to derive what Auth0 derives from a SAML signing certificate: thumbprint, expiry and subject.

use super::json::{Json, Object};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            if place <= chunk.len() {
                let index = (word >> (18 - 6 * place)) & 63;
                out.push(char::from(ALPHABET[index as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

/// Base64 for URLs, without padding, as JWTs use it.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    base64(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

/// Reads standard or URL base64; white space is skipped. `None` for anything else.
pub(crate) fn unbase64(text: &str) -> Option<Vec<u8>> {
    let (mut word, mut bits) = (0_u32, 0);
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    for byte in text.trim_end_matches('=').bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        word = (word << 6) | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from((word >> bits) & 0xff).ok()?);
        }
    }
    Some(out)
}

/// What a certificate yields.
pub(crate) struct Certificate {
    /// The PEM text: as it was sent, or 64 characters a line.
    pub(crate) pem: String,
    /// SHA-1 over the DER, hexadecimal.
    pub(crate) thumbprint: String,
    /// `notAfter` as `2016-12-21T23:43:41.000Z`, when it can be read.
    pub(crate) expires: Option<String>,
    /// The subject's attributes by their long names.
    pub(crate) subject: Object,
}

/// Reads a `signingCert` as clients send it: PEM, base64 of PEM, or base64 of DER. `None` when it is no certificate.
pub(crate) fn read(text: &str) -> Option<Certificate> {
    if text.trim_start().starts_with("-----BEGIN") {
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        return of_der(&unbase64(&body)?, Some(text));
    }
    let bytes = unbase64(text)?;
    match std::str::from_utf8(&bytes) {
        Ok(inner) if inner.trim_start().starts_with("-----BEGIN") => read(inner),
        _ => of_der(&bytes, None),
    }
}

fn of_der(der: &[u8], pem: Option<&str>) -> Option<Certificate> {
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, der);
    let thumbprint = hex(digest.as_ref());
    let pem = pem.map_or_else(|| armour(der), str::to_owned);
    let certificate = enter(der, 0x30)?;
    let mut fields = enter(certificate, 0x30)?;
    if fields.first() == Some(&0xa0) {
        fields = next(fields)?.1;
    }
    // serialNumber, signature and issuer come before the validity.
    for _ in 0..3 {
        fields = next(fields)?.1;
    }
    let (validity, rest) = next(fields)?;
    let (subject, _) = next(rest)?;
    let (_, after) = next(validity.content)?;
    let (not_after, _) = next(after)?;
    Some(Certificate { pem, thumbprint, expires: time(not_after), subject: names(subject.content) })
}

/// PEM of a DER body, 64 characters a line.
fn armour(der: &[u8]) -> String {
    let body = base64(der);
    let lines: Vec<&str> = (0..body.len()).step_by(64).map(|start| &body[start..(start + 64).min(body.len())]).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[derive(Clone, Copy)]
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
}

fn next(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (tag, first) = (*bytes.first()?, usize::from(*bytes.get(1)?));
    let (length, start) = if first < 0x80 {
        (first, 2)
    } else {
        let count = first & 0x7f;
        let digits = bytes.get(2..2 + count)?;
        if count > 4 {
            return None;
        }
        (digits.iter().fold(0, |length, digit| (length << 8) | usize::from(*digit)), 2 + count)
    };
    let end = start.checked_add(length)?;
    Some((Element { tag, content: bytes.get(start..end)? }, &bytes[end..]))
}

fn enter(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let (element, _) = next(bytes)?;
    (element.tag == tag).then_some(element.content)
}

/// `UTCTime` (tag 0x17) or `GeneralizedTime` as Auth0 prints it.
fn time(element: Element<'_>) -> Option<String> {
    let text = std::str::from_utf8(element.content).ok()?;
    let text = if element.tag == 0x17 {
        let century = if text.get(..2)?.parse::<u8>().ok()? < 50 { "20" } else { "19" };
        format!("{century}{text}")
    } else {
        text.to_owned()
    };
    let part = |from: usize, to: usize| text.get(from..to);
    Some(format!("{}-{}-{}T{}:{}:{}.000Z", part(0, 4)?, part(4, 6)?, part(6, 8)?, part(8, 10)?, part(10, 12)?, part(12, 14)?))
}

fn names(mut sets: &[u8]) -> Object {
    let mut out = Object::new();
    while let Some((set, rest)) = next(sets) {
        sets = rest;
        let Some(attribute) = enter(set.content, 0x30) else {
            continue;
        };
        let Some((oid, value)) = next(attribute) else {
            continue;
        };
        let Some((value, _)) = next(value) else {
            continue;
        };
        let name = match oid.content {
            [0x55, 4, 3] => "commonName",
            [0x55, 4, 6] => "countryName",
            [0x55, 4, 7] => "localityName",
            [0x55, 4, 8] => "stateOrProvinceName",
            [0x55, 4, 10] => "organizationName",
            [0x55, 4, 11] => "organizationalUnitName",
            _ => continue,
        };
        out.insert(name, Json::string(String::from_utf8_lossy(value.content)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_goes_both_ways() {
        for text in ["", "f", "fo", "foo", "foob", "\u{0}\u{1}"] {
            assert_eq!(unbase64(&base64(text.as_bytes())).unwrap(), text.as_bytes());
        }
        assert_eq!(base64(b"foob"), "Zm9vYg==");
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
        assert!(unbase64("a b!").is_none());
    }

    #[test]
    fn a_certificate_yields_what_auth0_derives() {
        let pem = include_str!("fixture-certificate.pem");
        for text in [pem.to_owned(), base64(pem.as_bytes()), pem.lines().filter(|line| !line.starts_with('-')).collect()] {
            let read = read(&text).unwrap();
            assert_eq!(read.thumbprint, "7adad054f0c747eb19b6aaac0f0b03495f4769fd");
            assert_eq!(read.expires.as_deref(), Some("2036-11-21T19:30:36.000Z"));
            assert_eq!(read.pem, pem);
            let subject = r#"{"countryName":"AU","stateOrProvinceName":"Some-State","organizationName":"Fixture Ltd","commonName":"idp.fixture.example.com"}"#;
            assert_eq!(read.subject.to_string(), subject);
        }
    }

    #[test]
    fn what_is_no_certificate_yields_none() {
        assert!(read("cert").is_none());
        assert!(read("-----BEGIN CERTIFICATE-----\n...{your public key cert here}...\n-----END CERTIFICATE-----").is_none());
    }
}
