//! The walk from `/authorize` to the identity provider: where each answer leads.
//!
//! Guarantees: it stays on the tenant's own host, for at most [`MAX_STEPS`] answers, and ends at the first redirect elsewhere, which
//! is looked at and never followed. What it says holds no address, as that holds what is meant for the provider alone.
//!
//! Source: RFC 6749 section 4.1.2.1 (errors go to the callback); Auth0's documentation "Error pages" (and where there is no valid
//! callback, to a page of the tenant); reported traffic, such as `error_description=no connections enabled for the client`.

use reqwest::Url;

use crate::auth0::{Browser, Failure, Page};
use crate::model::domain::Domain;

/// How many answers of the tenant are taken on the way.
pub(super) const MAX_STEPS: usize = 10;

/// How much of what the tenant says of an error is said, in characters.
const LONGEST_MESSAGE: usize = 300;

/// Where a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At the redirect to the identity provider.
    Provider(Url),
    /// With an error, which the tenant says to the application or on a page of its own.
    Error {
        /// Such as `unauthorized_client`.
        code: String,
        /// What it says more.
        description: String,
    },
    /// Back at the application, without an error.
    Callback,
    /// At a page of the tenant.
    Page {
        /// Its status.
        status: u16,
        /// Its path.
        path: String,
        /// What it is about, where that is known.
        about: Option<&'static str>,
    },
    /// Nowhere.
    Endless,
}

/// Where an answer leads.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    On(Url),
    End(End),
}

/// Walks from the first address to the end.
pub(super) async fn walk(browser: &mut Browser, first: Url, domain: &Domain, callback: &Url) -> Result<(End, usize), Failure> {
    let mut at = first;
    for steps in 1..=MAX_STEPS {
        let page = browser.visit(&at).await?;
        match step(&at, &page, domain, callback) {
            Step::On(next) => at = next,
            Step::End(end) => return Ok((end, steps)),
        }
    }
    Ok((End::Endless, MAX_STEPS))
}

fn step(at: &Url, page: &Page, domain: &Domain, callback: &Url) -> Step {
    let target = page.location.as_deref().filter(|_| (300..400).contains(&page.status)).and_then(|location| at.join(location).ok());
    let Some(target) = target else {
        return Step::End(End::Page { status: page.status, path: at.path().to_owned(), about: about(at, page) });
    };
    if is_at(&target, callback) {
        return Step::End(error(&target).unwrap_or(End::Callback));
    }
    let is_own = target.scheme() == "https" && target.host_str() == Some(domain.as_str()) && target.port().is_none();
    if !is_own {
        return Step::End(End::Provider(target));
    }
    match error(&target) {
        Some(error) => Step::End(error),
        None => Step::On(target),
    }
}

/// Whether an address is the callback, with whatever parameters.
fn is_at(target: &Url, callback: &Url) -> bool {
    let place =
        |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default(), url.path().to_owned());
    place(target) == place(callback)
}

/// The error in an address: in its query, or in its fragment.
fn error(target: &Url) -> Option<End> {
    let fragment: Vec<(String, String)> = target
        .fragment()
        .and_then(|fragment| Url::parse(&format!("https://fragment.invalid/?{fragment}")).ok())
        .map(|url| url.query_pairs().into_owned().collect())
        .unwrap_or_default();
    let pairs: Vec<(String, String)> = target.query_pairs().into_owned().chain(fragment).collect();
    let text =
        |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.chars().take(LONGEST_MESSAGE).collect::<String>());
    Some(End::Error { code: text("error")?, description: text("error_description").unwrap_or_default() })
}

/// What a page without a redirect is about, by what is known of such pages.
fn about(at: &Url, page: &Page) -> Option<&'static str> {
    let text = page.text.to_ascii_lowercase();
    let says = |words: &str| text.contains(words);
    if says("callback url mismatch") || says("not in the list of allowed callback urls") {
        Some("the application does not allow this callback; use one of its Allowed Callback URLs as --redirect-uri")
    } else if says("unknown client") || says("client not found") {
        Some("the tenant has no application with this client id; check --client-id and --domain")
    } else if page.status == 200 && at.path().contains("login") {
        Some("it is the login page; check that the connection is enabled for the application and has an identity provider")
    } else if page.status == 429 {
        Some("the tenant's rate limit is reached; try again later")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "https://example.eu.auth0.com/authorize?client_id=app";

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn after(status: u16, location: Option<&str>, text: &str) -> Step {
        let page = Page { status, location: location.map(str::to_owned), text: text.to_owned() };
        let domain = Domain::parse("example.eu.auth0.com").unwrap();
        step(&url(AT), &page, &domain, &url("https://app.example.com/callback"))
    }

    fn error(code: &str, description: &str) -> Step {
        Step::End(End::Error { code: code.to_owned(), description: description.to_owned() })
    }

    #[test]
    fn a_redirect_is_followed_on_the_own_host_only() {
        assert_eq!(after(302, Some("/login?state=x"), ""), Step::On(url("https://example.eu.auth0.com/login?state=x")));
        assert_eq!(after(303, Some("https://EXAMPLE.eu.auth0.com:443/a"), ""), Step::On(url("https://example.eu.auth0.com/a")));
        for elsewhere in [
            "https://idp.example.com/authorize?a=b",
            "http://example.eu.auth0.com/a",
            "https://example.eu.auth0.com:8443/a",
            "https://example.eu.auth0.com.evil.example/a",
            "https://user@evil.example/https://example.eu.auth0.com",
            "//evil.example/a",
            "app://open",
        ] {
            let expected = url(AT).join(elsewhere).unwrap();
            assert_eq!(after(302, Some(elsewhere), ""), Step::End(End::Provider(expected)), "{elsewhere}");
        }
    }

    #[test]
    fn an_error_is_read_wherever_it_goes() {
        let back =
            "https://app.example.com/callback?error=unauthorized_client&error_description=the%20connection%20is%20not%20enabled&state=x";
        assert_eq!(after(302, Some(back), ""), error("unauthorized_client", "the connection is not enabled"));
        assert_eq!(after(302, Some("https://app.example.com/callback#error=x&state=y"), ""), error("x", ""));
        assert_eq!(after(302, Some("/error?error=access_denied&error_description=no"), ""), error("access_denied", "no"));
        assert_eq!(after(302, Some("https://app.example.com/callback?code=x"), ""), Step::End(End::Callback));
    }

    #[test]
    fn a_page_says_what_it_is_about_where_that_is_known() {
        let about = |status: u16, text: &str| match after(status, None, text) {
            Step::End(End::Page { about, .. }) => about.unwrap_or_default(),
            other @ (Step::On(_) | Step::End(_)) => panic!("{other:?}"),
        };
        assert!(about(403, "<h1>Callback URL mismatch.</h1>").contains("--redirect-uri"));
        assert!(about(400, "Unknown client: x").contains("--client-id"));
        assert_eq!(about(500, "x"), "");
        assert!(matches!(after(302, None, ""), Step::End(End::Page { status: 302, .. })));
        assert!(matches!(after(302, Some("https://["), ""), Step::End(End::Page { .. })));
        assert!(matches!(after(201, Some("https://idp.example.com/"), ""), Step::End(End::Page { .. })), "no redirect");
    }
}
