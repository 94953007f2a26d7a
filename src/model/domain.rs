//! Where a tenant is, as types that only a check can make.
//!
//! Guarantees: a [`Domain`] is a lower-case DNS host name and nothing else, so that putting it between `https://` and
//! a path can't change what the address means. Assumes nothing. Fails: [`DomainError`], which says what to write.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

use crate::model::identity::TenantIdentity;

/// The longest host name that DNS carries, in bytes.
const MAX_DOMAIN: usize = 253;
/// The longest label of a host name, in bytes.
const MAX_LABEL: usize = 63;

/// Why a text is no domain, allowed domain or audience. Each message says what to write instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// Nothing was given.
    #[error("the domain is empty; write the tenant's host name, such as example.eu.auth0.com")]
    Empty,
    /// Longer than DNS allows.
    #[error("the domain is longer than 253 characters, which no host name is; write the tenant's host name only")]
    TooLong,
    /// `https://` or another scheme in front.
    #[error("the domain starts with a scheme; leave out `https://` and write the host name only")]
    Scheme,
    /// `user@` in front.
    #[error("the domain has a user name in front; leave out everything up to the `@`")]
    UserInfo,
    /// `/`, `?` or `#` and what follows.
    #[error("the domain has a path behind it; leave out the `/` and everything after it")]
    Path,
    /// `:443` behind, or an IPv6 address.
    #[error("the domain has a port or is an IP address; write the host name only, the port is always 443")]
    Port,
    /// An IPv4 address.
    #[error("the domain is an IP address; write the tenant's host name, such as example.eu.auth0.com")]
    IpAddress,
    /// A final dot.
    #[error("the domain ends in a dot; leave it out")]
    TrailingDot,
    /// Upper-case letters.
    #[error("the domain has upper-case letters; write it in lower case")]
    UpperCase,
    /// A single label, such as the name of a Service in a cluster.
    #[error("the domain has one label only; write the full host name, such as example.eu.auth0.com")]
    OneLabel,
    /// A label that is empty, longer than 63 bytes, starts or ends with `-`, or has other characters.
    #[error(
        "a part of the domain is not a host name's: between dots stand 1 to 63 of a-z, 0-9 and `-`, no `-` at either end; write international names in their xn-- form"
    )]
    BadLabel,
    /// A `*` that does not stand for the leading labels.
    #[error("a pattern of allowed domains has its `*` in the wrong place; write `*.` and the rest of the name, such as *.auth0.com")]
    Wildcard,
    /// No pattern at all, which would allow nothing.
    #[error("the list of allowed domains is empty; write at least one, such as *.auth0.com")]
    NoPattern,
    /// An audience of another shape than the Management API's.
    #[error(
        "the audience is not that of a Management API; write https://TENANT/api/v2/ with the tenant's default domain and the final slash"
    )]
    Audience,
}

/// The host name of a tenant: its default domain or one of its custom domains.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(String);

impl Domain {
    /// Takes a host name of at least two lower-case DNS labels, at most 253 bytes.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        foreign_parts(text)?;
        let labels: Vec<&str> = text.split('.').collect();
        if !labels.iter().copied().all(is_label) {
            return Err(DomainError::BadLabel);
        }
        // No top-level domain is a number: what ends in one is read as an IPv4 address by some part of the way.
        if labels.last().is_some_and(|label| looks_numeric(label)) {
            return Err(DomainError::IpAddress);
        }
        if labels.len() < 2 {
            return Err(DomainError::OneLabel);
        }
        // The parser that reads the address later has the last word, on xn-- labels for one.
        if Url::parse(&format!("https://{text}/")).ok().and_then(|url| url.domain().map(|host| host == text)) != Some(true) {
            return Err(DomainError::BadLabel);
        }
        Ok(Self(text.to_owned()))
    }

    /// The identity of the tenant whose default domain this is.
    pub(crate) fn identity(&self) -> TenantIdentity {
        TenantIdentity::from_status(self.as_str())
    }

    /// The host name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        Self::parse(text)
    }
}

/// Refuses what belongs to an address around a host name, each with its own remedy.
fn foreign_parts(text: &str) -> Result<(), DomainError> {
    match text {
        "" => Err(DomainError::Empty),
        _ if text.len() > MAX_DOMAIN => Err(DomainError::TooLong),
        _ if text.contains("://") => Err(DomainError::Scheme),
        _ if text.contains('@') => Err(DomainError::UserInfo),
        _ if text.contains(['/', '\\', '?', '#']) => Err(DomainError::Path),
        _ if text.contains([':', '[', ']']) => Err(DomainError::Port),
        _ if text.ends_with('.') => Err(DomainError::TrailingDot),
        _ if text.chars().any(|c| c.is_ascii_uppercase()) => Err(DomainError::UpperCase),
        _ => Ok(()),
    }
}

fn is_label(label: &str) -> bool {
    let shaped = label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    shaped && !label.is_empty() && label.len() <= MAX_LABEL && !label.starts_with('-') && !label.ends_with('-')
}

/// Whether an address parser would take the label for a number: decimal, octal or hexadecimal.
fn looks_numeric(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hexadecimal || label.bytes().all(|byte| byte.is_ascii_digit())
}

/// One pattern of [`AllowedDomains`].
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// This host name.
    Exact(Domain),
    /// One or more labels in front of this name. Not the name itself.
    Below(Domain),
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, DomainError> {
        match text.strip_prefix("*.") {
            Some(rest) if rest.contains('*') => Err(DomainError::Wildcard),
            Some(rest) => Domain::parse(rest).map(Self::Below),
            None if text.contains('*') => Err(DomainError::Wildcard),
            None => Domain::parse(text).map(Self::Exact),
        }
    }

    fn matches(&self, domain: &Domain) -> bool {
        match self {
            Self::Exact(name) => name == domain,
            Self::Below(name) => domain.0.strip_suffix(name.as_str()).is_some_and(|front| front.len() > 1 && front.ends_with('.')),
        }
    }
}

/// The domains that the operator's administrator lets any request go to, whatever an object in the cluster says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedDomains(Vec<Pattern>);

impl AllowedDomains {
    /// Takes exact host names and patterns such as `*.auth0.com`, where `*` stands for one or more labels. A pattern
    /// names at least two labels, so that a whole top-level domain can't be allowed.
    pub fn parse<T: AsRef<str>>(patterns: impl IntoIterator<Item = T>) -> Result<Self, DomainError> {
        let patterns = patterns.into_iter().map(|text| Pattern::parse(text.as_ref().trim())).collect::<Result<Vec<_>, _>>()?;
        if patterns.is_empty() {
            return Err(DomainError::NoPattern);
        }
        Ok(Self(patterns))
    }

    /// Whether requests may go to `domain`.
    pub fn permits(&self, domain: &Domain) -> bool {
        self.0.iter().any(|pattern| pattern.matches(domain))
    }
}

impl Default for AllowedDomains {
    /// `*.auth0.com`: every default domain of the public cloud.
    fn default() -> Self {
        Self(vec![Pattern::Below(Domain("auth0.com".to_owned()))])
    }
}

impl FromStr for AllowedDomains {
    type Err = DomainError;

    /// Takes the patterns separated by commas, as the command line has them.
    fn from_str(text: &str) -> Result<Self, DomainError> {
        Self::parse(text.split(',').map(str::trim).filter(|pattern| !pattern.is_empty()))
    }
}

impl fmt::Display for AllowedDomains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pattern) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match pattern {
                Pattern::Exact(name) => write!(f, "{comma}{name}")?,
                Pattern::Below(name) => write!(f, "{comma}*.{name}")?,
            }
        }
        Ok(())
    }
}

/// The `audience` that a token is asked for: `https://{host}/api/v2/`, where the host is the tenant's default domain
/// even when requests go to a custom domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Audience {
    identity: TenantIdentity,
    text: String,
}

impl Audience {
    /// The audience of a tenant that is reached by its default domain.
    pub fn of(domain: &Domain) -> Self {
        Self { identity: domain.identity(), text: format!("https://{domain}/api/v2/") }
    }

    /// Takes `https://{host}/api/v2/`, with the final slash.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        let host = text.strip_prefix("https://").and_then(|rest| rest.strip_suffix("/api/v2/")).ok_or(DomainError::Audience)?;
        Ok(Self::of(&Domain::parse(host)?))
    }

    /// The text that goes into a token request.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Which tenant this is, whatever domain it is reached by: the host of the audience.
    pub fn identity(&self) -> &TenantIdentity {
        &self.identity
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_host_name_is_a_domain() {
        for text in
            ["example.auth0.com", "example.eu.auth0.com", "login.example-shop.co.uk", "a.b", "1.example.com", "xn--bcher-kva.example"]
        {
            assert_eq!(Domain::parse(text).expect(text).as_str(), text);
        }
    }

    #[test]
    fn whatever_is_around_a_host_name_is_refused_with_its_own_remedy() {
        let long_label = format!("{}.com", "a".repeat(64));
        let long = "a.".repeat(130) + "com";
        for (text, error) in [
            ("", DomainError::Empty),
            ("https://example.auth0.com", DomainError::Scheme),
            ("user@example.auth0.com", DomainError::UserInfo),
            ("example.auth0.com/api", DomainError::Path),
            ("example.auth0.com\\api", DomainError::Path),
            ("example.auth0.com?x", DomainError::Path),
            ("example.auth0.com#x", DomainError::Path),
            ("example.auth0.com:443", DomainError::Port),
            ("[::1]", DomainError::Port),
            ("127.0.0.1", DomainError::IpAddress),
            ("169.254.169.254", DomainError::IpAddress),
            ("2130706433", DomainError::IpAddress),
            ("example.0x7f", DomainError::IpAddress),
            ("example.auth0.com.", DomainError::TrailingDot),
            ("Example.auth0.com", DomainError::UpperCase),
            ("localhost", DomainError::OneLabel),
            ("example..com", DomainError::BadLabel),
            (".example.com", DomainError::BadLabel),
            ("-a.example.com", DomainError::BadLabel),
            ("a-.example.com", DomainError::BadLabel),
            ("a_b.example.com", DomainError::BadLabel),
            ("ex ample.com", DomainError::BadLabel),
            ("bücher.example", DomainError::BadLabel),
            ("example.com\r\nhost: evil", DomainError::Port),
            ("example.com\n", DomainError::BadLabel),
            ("example%2ecom.evil", DomainError::BadLabel),
            ("xn--a.example.com", DomainError::BadLabel),
            (long_label.as_str(), DomainError::BadLabel),
            (long.as_str(), DomainError::TooLong),
        ] {
            assert_eq!(Domain::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_pattern_stands_for_one_or_more_leading_labels_and_nothing_else() {
        let allowed: AllowedDomains = "*.auth0.com, login.example.com".parse().expect("patterns");
        let permits = |text: &str| allowed.permits(&Domain::parse(text).expect(text));
        assert!(permits("example.auth0.com") && permits("example.eu.auth0.com") && permits("login.example.com"));
        assert!(!permits("auth0.com") && !permits("evilauth0.com") && !permits("auth0.com.evil.example"));
        assert!(!permits("a.login.example.com") && !permits("example.com"));
        assert_eq!(allowed.to_string(), "*.auth0.com,login.example.com");
        assert_eq!(AllowedDomains::default(), "*.auth0.com".parse().expect("the default"));
    }

    #[test]
    fn a_pattern_that_would_allow_too_much_is_refused() {
        for (text, error) in [
            ("", DomainError::NoPattern),
            ("*", DomainError::Wildcard),
            ("*.com", DomainError::OneLabel),
            ("*.*.com", DomainError::Wildcard),
            ("a*.auth0.com", DomainError::Wildcard),
            ("example.*", DomainError::Wildcard),
            ("https://*.auth0.com", DomainError::Wildcard),
        ] {
            assert_eq!(text.parse::<AllowedDomains>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn the_tenant_is_known_by_its_audience_not_by_its_custom_domain() {
        let domain = Domain::parse("example.eu.auth0.com").expect("domain");
        assert_eq!(Audience::of(&domain).as_str(), "https://example.eu.auth0.com/api/v2/");
        assert_eq!(Audience::parse("https://example.eu.auth0.com/api/v2/"), Ok(Audience::of(&domain)));
        assert_eq!(Audience::of(&domain).identity(), "example.eu.auth0.com");
        for text in ["https://example.eu.auth0.com/api/v2", "http://example.eu.auth0.com/api/v2/", "example.eu.auth0.com", ""] {
            assert_eq!(Audience::parse(text), Err(DomainError::Audience), "{text:?}");
        }
        assert_eq!(Audience::parse("https://evil.com/x/api/v2/"), Err(DomainError::Path));
    }

    proptest! {
        #![proptest_config(crate::tests::seeds::cases(256))]

        #[test]
        fn a_domain_is_the_host_of_the_address_it_is_put_into(text in "[a-z0-9.:/@#?%\\\\-]{0,30}|\\PC{0,20}") {
            if let Ok(domain) = Domain::parse(&text) {
                let url = Url::parse(&format!("https://{domain}/api/v2/connections")).expect("an address");
                prop_assert_eq!(url.host_str(), Some(domain.as_str()));
                prop_assert_eq!(url.path(), "/api/v2/connections");
                prop_assert!(url.port().is_none() && url.username().is_empty() && url.query().is_none());
            }
        }
    }
}
