//! A list that comes in pages, put together.
//!
//! Guarantees: each connection is there once, as it was read last: one that is created while pages are read may shift others from
//! page to page. It ends, whatever a server says: pages that lead back, or that bring nothing new, are an error and no wait.
//! Fails: with [`Failure`].

use std::collections::{BTreeMap, BTreeSet};

use super::call::Route;
use super::failure::Failure;
use crate::model::document::{Document, Page, Unreadable};
use crate::model::identity::ConnectionId;

/// How many pages in a row may bring nothing new.
const IDLE_PAGES: usize = 3;

/// How many pages a list has at most: twenty times as many connections as the largest tenants that are known.
const MAX_PAGES: usize = 4_000;

/// All connections of a tenant, as far as their pages have come in.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    documents: BTreeMap<ConnectionId, Document>,
    unreadable: Vec<Unreadable>,
    begun: BTreeSet<String>,
    pages: usize,
    idle: usize,
}

impl Listing {
    /// Takes a page in. Yields where the next one begins; `None` when the list is complete.
    pub(crate) fn take_in(&mut self, page: Page) -> Result<Option<String>, Failure> {
        let malformed = |what| Err(Failure::Malformed { route: Route::ListConnections, what });
        let known = self.documents.len() + self.unreadable.len();
        for connection in page.connections {
            match connection {
                Ok(document) => drop(self.documents.insert(document.id.clone(), document.reduced())),
                Err(unreadable) if unreadable.called.is_some() && self.unreadable.contains(&unreadable) => {}
                Err(unreadable) => self.unreadable.push(unreadable),
            }
        }
        self.pages += 1;
        self.idle = if self.documents.len() + self.unreadable.len() > known { 0 } else { self.idle + 1 };
        let Some(next) = page.next else { return Ok(None) };
        if !self.begun.insert(next.clone()) {
            return malformed("a page that leads back to one before it");
        }
        if self.idle >= IDLE_PAGES || self.pages >= MAX_PAGES {
            return malformed("pages without an end");
        }
        Ok(Some(next))
    }

    /// How many pages have come in.
    pub(crate) fn pages(&self) -> usize {
        self.pages
    }

    /// The connections, by name, and those that can't be read.
    pub(crate) fn finish(self) -> (Vec<Document>, Vec<Unreadable>) {
        let mut documents: Vec<Document> = self.documents.into_values().collect();
        documents.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        (documents, self.unreadable)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(ids: &[u32], next: Option<&str>) -> Page {
        let connections: Vec<_> = ids
            .iter()
            .map(|id| json!({"id": format!("con_{id}"), "name": format!("shop-{id:02}"), "strategy": "oidc", "options": {"client_secret": "s"}}))
            .collect();
        Document::parse_page(&json!({"connections": connections, "next": next}).to_string()).unwrap()
    }

    fn names(listing: Listing) -> Vec<String> {
        listing.finish().0.into_iter().map(|document| document.name.to_string()).collect()
    }

    #[test]
    fn pages_make_one_list_by_name_with_each_connection_once() {
        let mut listing = Listing::default();
        assert_eq!(listing.take_in(page(&[3, 1], Some("a"))), Ok(Some("a".to_owned())));
        assert_eq!(listing.take_in(page(&[1, 2], None)), Ok(None));
        assert_eq!((listing.pages(), names(listing)), (2, vec!["shop-01".to_owned(), "shop-02".to_owned(), "shop-03".to_owned()]));
    }

    #[test]
    fn what_is_kept_of_the_options_is_no_secret() {
        let mut listing = Listing::default();
        assert_eq!(listing.take_in(page(&[1], None)), Ok(None));
        let (documents, _) = listing.finish();
        assert!(documents[0].option_text("client_secret").is_none());
        assert!(documents[0].patch_body(&BTreeMap::new()).is_err(), "a write would lose what is not kept");
    }

    #[test]
    fn pages_that_never_end_are_an_error() {
        let mut back = Listing::default();
        assert!(back.take_in(page(&[1], Some("a"))).is_ok() && back.take_in(page(&[2], Some("b"))).is_ok());
        assert!(back.take_in(page(&[3], Some("a"))).is_err());
        let mut idle = Listing::default();
        let ends: Vec<bool> = (0..=IDLE_PAGES).map(|nth| idle.take_in(page(&[1], Some(&nth.to_string()))).is_ok()).collect();
        assert_eq!(ends, [true, true, true, false]);
        let mut long = Listing::default();
        let ended = (0..1_000_000).find(|nth| long.take_in(page(&[*nth], Some(&nth.to_string()))).is_err());
        assert_eq!(ended, Some(u32::try_from(MAX_PAGES).unwrap() - 1));
    }

    #[test]
    fn a_connection_that_cannot_be_read_hides_no_other() {
        let text = r#"{"connections":[7,{"name":"odd"},{"id":"x/y","name":"bad","strategy":"oidc"},
            {"id":"con_1","name":"good","strategy":"oidc","options":{}}]}"#;
        let mut listing = Listing::default();
        assert_eq!(listing.take_in(Document::parse_page(text).unwrap()), Ok(None));
        let (documents, unreadable) = listing.finish();
        assert_eq!(documents.iter().map(|document| document.name.as_str()).collect::<Vec<_>>(), ["good"]);
        assert_eq!(unreadable.iter().map(|one| one.called.as_deref()).collect::<Vec<_>>(), [None, Some("odd"), Some("bad")]);
    }
}
