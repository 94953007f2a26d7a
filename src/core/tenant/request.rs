//! Who asked for a look at everything of a tenant, by which value of the annotation, and whether that was done.
//!
//! Guarantees: a value counts as carried out only when all that was due when its looks began is done; of those who ask again and
//! again a tenant gets one round of looks in [`PACE`], and the last value is never lost. Time is an argument.

use std::time::{Duration, Instant};

use crate::core::world::DeclaredTenant;
use crate::model::identity::Uid;

/// How long after a round of looks that somebody asked for began the next one begins that is asked for.
const PACE: Duration = Duration::from_secs(10);

/// What is known of the tenant object that stands under a name now.
#[derive(Debug, Default)]
pub(crate) struct EverythingRequest {
    uid: Option<Uid>,
    /// Asked for, and not begun.
    waiting: Option<String>,
    /// When the last round began, or is to begin.
    begins: Option<Instant>,
    /// Under way, and since when all of it is due.
    looking: Option<(String, Instant)>,
    /// Carried out last.
    handled: Option<String>,
}

impl EverythingRequest {
    /// A tenant object is met. One that is new takes what it asks by along, which is carried out with the looks that its coming
    /// causes. Yields whether there is anything to carry out.
    pub(crate) fn meet(&mut self, tenant: &DeclaredTenant, now: Instant) -> bool {
        if self.uid.as_ref() == Some(&tenant.uid) {
            return false;
        }
        let looking = tenant.reconcile_at.clone().map(|value| (value, now));
        let asks = looking.is_some();
        *self = Self { uid: Some(tenant.uid.clone()), waiting: None, begins: self.begins, looking, handled: None };
        asks
    }

    /// Somebody asks. Yields when the looks are to begin.
    pub(crate) fn ask(&mut self, tenant: &DeclaredTenant, now: Instant) -> Instant {
        self.meet(tenant, now);
        let waits = self.waiting.is_some();
        self.waiting.clone_from(&tenant.reconcile_at);
        let begins = match self.begins {
            Some(begins) if waits => begins,
            Some(before) => now.max(before + PACE),
            None => now,
        };
        self.begins = Some(begins);
        begins
    }

    /// The looks that were asked for begin. Yields whether anybody waits for them yet.
    pub(crate) fn begin(&mut self, now: Instant) -> bool {
        let Some(value) = self.waiting.take() else { return false };
        self.looking = Some((value, now));
        true
    }

    /// Everything is due now, for whatever reason: those who wait for everything wait for that.
    pub(crate) fn looks_are_due(&mut self, now: Instant) {
        if let Some((_, since)) = &mut self.looking {
            *since = now;
        }
    }

    /// Takes note of the first of all that is due. Yields whether what was asked for is carried out with that.
    pub(crate) fn is_through(&mut self, first_due: Option<Instant>) -> bool {
        match self.looking.take() {
            Some((value, since)) if first_due.is_none_or(|first| first > since) => {
                self.handled = Some(value);
                true
            }
            looking => {
                self.looking = looking;
                false
            }
        }
    }

    /// What this tenant object asked for that was carried out last.
    pub(crate) fn handled(&self, tenant: &Uid) -> Option<&str> {
        self.handled.as_deref().filter(|_| self.uid.as_ref() == Some(tenant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::builders::tenant;

    fn asking(value: &str) -> DeclaredTenant {
        DeclaredTenant { reconcile_at: Some(value.to_owned()), ..tenant("t") }
    }

    #[test]
    fn a_request_is_carried_out_when_all_that_was_due_with_it_is_done() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let (mut request, uid) = (EverythingRequest::default(), tenant("t").uid);
        assert!(!request.meet(&tenant("t"), start));
        assert!(!request.is_through(None) && !request.begin(start), "nobody asks");
        assert_eq!(request.ask(&asking("1"), start), start);
        assert!(!request.is_through(None), "it has not begun");
        assert!(request.begin(start));
        request.looks_are_due(start + second);
        assert!(!request.is_through(Some(start + second)));
        // The credentials were accepted meanwhile, so that everything is due once more.
        request.looks_are_due(start + 2 * second);
        assert!(!request.is_through(Some(start + 2 * second)));
        assert_eq!(request.handled(&uid), None);
        assert!(request.is_through(Some(start + 3 * second)));
        assert_eq!((request.handled(&uid), request.handled(&"another".into())), (Some("1"), None));
        assert!(!request.is_through(None), "said once");
    }

    #[test]
    fn who_asks_all_the_time_gets_one_round_in_ten_seconds_and_each_round_carries_out_the_last_value() {
        let start = Instant::now();
        let mut request = EverythingRequest::default();
        request.meet(&tenant("t"), start);
        let mut handled = Vec::new();
        for second in 0..25_u64 {
            let now = start + Duration::from_secs(second);
            if request.ask(&asking(&second.to_string()), now) <= now {
                assert!(request.begin(now));
                assert!(request.is_through(None));
                handled.push(request.handled(&tenant("t").uid).unwrap().to_owned());
            }
        }
        assert_eq!(handled, ["0", "10", "20"]);
    }

    #[test]
    fn what_stands_in_an_object_that_is_new_is_carried_out_with_the_looks_that_its_coming_causes() {
        let now = Instant::now();
        let mut request = EverythingRequest::default();
        assert!(request.meet(&asking("1"), now));
        assert!(!request.meet(&asking("2"), now), "what is new later is asked for");
        assert!(!request.is_through(Some(now)));
        assert!(request.is_through(Some(now + PACE)));
        assert_eq!(request.handled(&tenant("t").uid), Some("1"));
        let remade = DeclaredTenant { uid: "another".into(), ..asking("1") };
        assert!(request.meet(&remade, now));
        assert_eq!((request.handled(&tenant("t").uid), request.handled(&remade.uid)), (None, None));
    }
}
