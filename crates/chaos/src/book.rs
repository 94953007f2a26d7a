//! What the run itself took from the operator, without which it can't know whose a parameter is: only there it may leave something.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::shape::{self, Object};

/// How long a move may take that is cut short by what is taken away meanwhile.
const MOVE: Duration = Duration::from_mins(2);

/// What was taken from whom.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    /// Objects from which something was taken that proves what is theirs, with what it was.
    excused: BTreeMap<usize, &'static str>,
    /// Objects that are deleted and not seen gone.
    dying: BTreeSet<usize>,
    /// When objects were last moved.
    moved: BTreeMap<usize, Duration>,
    /// Namespaces that are not admitted now.
    refused: BTreeSet<String>,
    /// Tenants whose object is gone or only observes now.
    suspended: BTreeSet<usize>,
}

impl Book {
    /// The object's record or finalizer was taken.
    pub(crate) fn robbed(&mut self, object: usize, why: &'static str) {
        self.excused.entry(object).or_insert(why);
    }

    /// The object is being deleted.
    pub(crate) fn deleted(&mut self, object: usize) {
        self.dying.insert(object);
        self.excuse_if_refused(object);
    }

    /// The object is gone, or made anew.
    pub(crate) fn gone(&mut self, object: usize) {
        self.dying.remove(&object);
        self.moved.remove(&object);
    }

    /// The object was moved.
    pub(crate) fn moved(&mut self, object: usize, now: Duration) {
        self.moved.insert(object, now);
        self.excuse_if_refused(object);
    }

    /// The namespace is not admitted from now on, or is again.
    pub(crate) fn refuse(&mut self, namespace: &str, refuse: bool, now: Duration) {
        if !refuse {
            self.refused.remove(namespace);
            return;
        }
        self.refused.insert(namespace.to_owned());
        let affected = |object: &Object| object.namespace == namespace;
        self.excuse_dying(affected);
        let recent: Vec<usize> = self.moved.iter().filter(|(_, at)| now < **at + MOVE).map(|(object, _)| *object).collect();
        for object in recent.into_iter().filter(|object| affected(&shape::object(*object))) {
            self.robbed(object, "its namespace was not admitted while it moved");
        }
    }

    /// Nothing is removed at the tenant from now on, or is again.
    pub(crate) fn suspend(&mut self, site: usize, suspend: bool) {
        if suspend {
            self.suspended.insert(site);
            self.excuse_dying(|object| object.site == site);
        } else {
            self.suspended.remove(&site);
        }
    }

    fn excuse_dying(&mut self, affected: impl Fn(&Object) -> bool) {
        for object in self.dying.clone().into_iter().filter(|object| affected(&shape::object(*object))) {
            self.robbed(object, "it was deleted while its tenant or its namespace's label was not there");
        }
    }

    fn excuse_if_refused(&mut self, object: usize) {
        let Object { namespace, site, .. } = shape::object(object);
        if self.refused.contains(&namespace) || self.suspended.contains(&site) {
            self.robbed(object, "it was deleted or moved while its tenant or its namespace's label was not there");
        }
    }

    /// Why the object may have left something, if it may.
    pub(crate) fn excuse(&self, object: usize) -> Option<&'static str> {
        self.excused.get(&object).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_taken_at_the_time_excuses() {
        let now = Duration::from_secs(10);
        let b = (0..shape::OBJECTS).find(|object| shape::object(*object).namespace == "alpha-b").unwrap();
        let mut book = Book::default();
        book.deleted(b);
        book.gone(b);
        book.refuse("alpha-b", true, now);
        assert_eq!(book.excuse(b), None, "it was gone before");
        book.refuse("alpha-b", false, now);
        book.deleted(b);
        assert_eq!(book.excuse(b), None);
        book.refuse("alpha-b", true, now);
        assert!(book.excuse(b).is_some());

        let other = (0..shape::OBJECTS).find(|object| shape::object(*object).site == 1).unwrap();
        book.suspend(1, true);
        assert_eq!(book.excuse(other), None);
        book.moved(other, now);
        assert!(book.excuse(other).is_some());
    }
}
