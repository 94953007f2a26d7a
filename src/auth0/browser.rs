//! A tenant's login as a browser sees it: pages of the tenant's own host, with their cookies, one at a time.
//!
//! Guarantees: what [`Transport`] guarantees: only an allowed host is asked, over verified TLS, and no redirect is followed here;
//! whoever visits decides about each. Cookies go to no other host, are kept no longer than the walk, and are never shown.

use std::collections::BTreeMap;
use std::fmt;

use reqwest::Url;
use reqwest::header::{self, HeaderMap};

use super::failure::Failure;
use super::transport::Transport;
use crate::model::domain::Domain;

/// How many cookies are kept, and how long each may be: what browsers take.
const MAX_COOKIES: usize = 50;
const MAX_COOKIE: usize = 4096;

/// How much of a page is looked at, in bytes: enough for what an error page says.
const MAX_TEXT: usize = 64 * 1024;

/// A browser that knows one host.
pub(crate) struct Browser {
    transport: Transport,
    domain: Domain,
    cookies: BTreeMap<String, String>,
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Browser").field("domain", &self.domain).finish_non_exhaustive()
    }
}

/// What came of a visit. Its text and address may hold what is meant for the user alone.
pub(crate) struct Page {
    /// The HTTP status.
    pub status: u16,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// The beginning of the page.
    pub text: String,
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Browser {
    /// A browser that has been nowhere.
    pub(crate) fn new(transport: Transport, domain: Domain) -> Self {
        Self { transport, domain, cookies: BTreeMap::new() }
    }

    /// Visits a page of the host. Of the address only path and query count.
    pub(crate) async fn visit(&mut self, page: &Url) -> Result<Page, Failure> {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = self.transport.visit(&self.domain, page, &cookies.join("; ")).await?;
        self.keep(answer.headers());
        let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = answer.body();
        let text = String::from_utf8_lossy(body.get(..MAX_TEXT).unwrap_or(body)).into_owned();
        tracing::debug!(domain = %self.domain, path = page.path(), status = answer.status().as_u16(), "visited");
        Ok(Page { status: answer.status().as_u16(), location, text })
    }

    /// Keeps the cookies of an answer, and forgets those that it takes back. All of them are for this walk, whatever their dates
    /// and paths say: it is over in seconds and goes from page to page of one login.
    fn keep(&mut self, headers: &HeaderMap) {
        for cookie in headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            let mut parts = cookie.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            let ends = |part: &str| part.split_once('=').is_some_and(|(key, age)| key.eq_ignore_ascii_case("max-age") && age.trim() == "0");
            if value.is_empty() || parts.any(ends) {
                self.cookies.remove(name);
            } else if cookie.len() <= MAX_COOKIE && (self.cookies.len() < MAX_COOKIES || self.cookies.contains_key(name)) {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth0::scripted::{Reply, Server};
    use crate::auth0::{TransportOptions, install_crypto_provider};

    fn browser(url: &str) -> Browser {
        install_crypto_provider();
        let options = TransportOptions { endpoint_override: Some(url.to_owned()), ..TransportOptions::default() };
        Browser::new(Transport::new(&options).expect("transport"), Domain::parse("example.eu.auth0.com").expect("domain"))
    }

    #[tokio::test]
    async fn cookies_go_from_page_to_page_and_no_redirect_is_followed() {
        let server = Server::start(|request| match request.line.as_str() {
            "GET /authorize?a=b" => {
                let headers = "set-cookie: did=s%3Aabc; Path=/; Secure\r\nset-cookie: gone=x\r\nlocation: /next?c=d\r\n";
                Reply::Whole(302, headers.to_owned(), String::new())
            }
            "GET /next?c=d" => Reply::Whole(200, "set-cookie: gone=; Max-Age=0\r\n".to_owned(), "hello".to_owned()),
            _ => Reply::Whole(404, String::new(), String::new()),
        })
        .await;
        let mut browser = browser(&server.url);
        let url = |text: &str| Url::parse(text).expect("an address");
        let first = browser.visit(&url("https://example.eu.auth0.com/authorize?a=b")).await.expect("an answer");
        assert_eq!((first.status, first.location.as_deref()), (302, Some("/next?c=d")));
        let second = browser.visit(&url("https://elsewhere.example.com/next?c=d")).await.expect("an answer");
        assert_eq!((second.status, second.text.as_str()), (200, "hello"));
        browser.visit(&url("https://example.eu.auth0.com/last")).await.expect("an answer");
        let received = server.received();
        let cookies: Vec<_> = received.iter().map(|request| request.header("cookie")).collect();
        assert_eq!(cookies, [None, Some("did=s%3Aabc; gone=x"), Some("did=s%3Aabc")]);
        assert!(received.iter().all(|request| request.header("host") == Some("example.eu.auth0.com")));
        assert!(received.iter().all(|request| request.header("authorization").is_none()));
        assert_eq!(received.len(), 3, "only what was asked for");
    }

    #[tokio::test]
    async fn a_host_that_is_not_allowed_is_not_visited() {
        install_crypto_provider();
        let transport = Transport::new(&TransportOptions::default()).expect("transport");
        let domain = Domain::parse("login.example.com").expect("domain");
        let mut browser = Browser::new(transport, domain.clone());
        let visited = browser.visit(&Url::parse("https://login.example.com/authorize").expect("an address")).await;
        assert_eq!(visited.map(|page| page.status), Err(Failure::DomainNotAllowed { domain }));
    }
}
