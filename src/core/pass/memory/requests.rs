//! Who asked for a look at an object, by which value of the annotation, and when the next such look may be.
//!
//! Guarantees: a value counts as carried out only by what began after it was taken in, as nothing is taken in while a pass
//! runs; of those who ask again and again each object gets one look in [`PACE`], and the last value is never lost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::core::world::Declared;
use crate::model::identity::Uid;

/// How long after a look that somebody asked for the next one begins that is asked for.
const PACE: Duration = Duration::from_secs(5);

/// The values that are known, by object.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    by_object: BTreeMap<Uid, Known>,
}

#[derive(Debug, Default)]
struct Known {
    value: Option<String>,
    /// When the last look that was asked for began, or is to begin.
    begins: Option<Instant>,
}

impl Requests {
    /// An object is met: what it asks by counts where nothing is known of it yet. Whatever is new later is taken in.
    pub(crate) fn meet(&mut self, object: &Declared) {
        let met = || Known { value: object.reconcile_at.clone(), begins: None };
        self.by_object.entry(object.uid.clone()).or_insert_with(met);
    }

    /// What an object asks by is taken in. Only between passes.
    pub(crate) fn take_in(&mut self, object: &Declared) {
        self.by_object.entry(object.uid.clone()).or_default().value.clone_from(&object.reconcile_at);
    }

    /// Somebody asks for a look at an object. Yields when it is to begin.
    pub(crate) fn ask(&mut self, object: &Declared, now: Instant) -> Instant {
        self.take_in(object);
        let known = self.by_object.entry(object.uid.clone()).or_default();
        let begins = match known.begins {
            // It waits already.
            Some(begins) if begins > now => begins,
            Some(before) => now.max(before + PACE),
            None => now,
        };
        known.begins = Some(begins);
        begins
    }

    /// By what a look at this object that ends now was asked for, as far as anybody asked.
    pub(crate) fn known(&self, object: &Uid) -> Option<&str> {
        self.by_object.get(object)?.value.as_deref()
    }

    pub(super) fn retain(&mut self, is_there: impl Fn(&Uid) -> bool) {
        self.by_object.retain(|object, _| is_there(object));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::builders::object;

    fn asking(value: &str) -> Declared {
        Declared { reconcile_at: Some(value.to_owned()), ..object("a") }
    }

    #[test]
    fn who_asks_all_the_time_gets_one_look_in_five_seconds_and_the_last_value_is_the_one_that_is_known() {
        let start = Instant::now();
        let mut requests = Requests::default();
        let begins: Vec<u64> = (0..12_u64)
            .map(|second| (requests.ask(&asking(&second.to_string()), start + Duration::from_secs(second)) - start).as_secs())
            .collect();
        assert_eq!(begins, [0, 5, 5, 5, 5, 10, 10, 10, 10, 10, 15, 15]);
        assert_eq!(requests.known(&asking("").uid), Some("11"));
        let later = start + Duration::from_mins(10);
        assert_eq!(requests.ask(&asking("x"), later), later, "who has waited waits no more");
    }

    #[test]
    fn what_is_new_of_an_object_that_is_known_counts_only_once_it_is_taken_in() {
        let mut requests = Requests::default();
        let uid = asking("1").uid;
        requests.meet(&asking("1"));
        requests.meet(&asking("2"));
        assert_eq!(requests.known(&uid), Some("1"));
        requests.take_in(&asking("2"));
        assert_eq!(requests.known(&uid), Some("2"));
        requests.take_in(&object("a"));
        assert_eq!(requests.known(&uid), None, "it is asked for no more");
        requests.retain(|_| false);
        requests.meet(&asking("3"));
        assert_eq!(requests.known(&uid), Some("3"));
    }
}
