//! What is done when: everything that a seed decides, before anything begins.
//!
//! Guarantees: the same seed and the same length give the same plan, on every machine; each kind of act has a stream of chance of its
//! own, so that a kind that is added leaves the dates of the others as they are.

use std::fmt;
use std::time::Duration;

/// Makes the enum and the table of all kinds of acts.
macro_rules! kinds {
    ($($group:literal { $($kind:ident: $says:literal, every $every:literal s, lasts $least:literal to $most:literal ms;)+ })+) => {
        /// A kind of act.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Kind { $($(#[doc = $says] $kind,)+)+ }

        impl Kind {
            /// All kinds, in the order of the report.
            pub(crate) const ALL: &'static [Row] = &[$($(Row {
                kind: Self::$kind,
                group: $group,
                says: $says,
                every: $every,
                lasts: ($least, $most),
            },)+)+];
        }
    };
}

/// What is known of a kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// The kind.
    pub(crate) kind: Kind,
    /// What it is done to.
    pub(crate) group: &'static str,
    /// What is done, for the report.
    pub(crate) says: &'static str,
    /// The mean time between two of its kind, in seconds.
    every: f64,
    /// How long it lasts, where it lasts, in milliseconds: the least and the most.
    lasts: (u64, u64),
}

kinds! {
    "operator" {
        Kill: "killed (SIGKILL), started again", every 43.0 s, lasts 0 to 6000 ms;
        Freeze: "frozen (SIGSTOP), thawed", every 59.0 s, lasts 300 to 26_000 ms;
        Terminate: "ended as in a roll-over (SIGTERM), started again", every 37.0 s, lasts 0 to 4000 ms;
        CutFromApi: "cut off from the API server, connections refused", every 79.0 s, lasts 1000 to 20_000 ms;
        FreezeApiLine: "cut off from the API server, connections open and silent", every 83.0 s, lasts 1000 to 20_000 ms;
    }
    "API server" {
        ApiRestart: "killed, started again at once", every 113.0 s, lasts 0 to 0 ms;
        ApiOutage: "killed, away for a while", every 191.0 s, lasts 3000 to 14_000 ms;
        ApiHang: "frozen, connections open and silent", every 151.0 s, lasts 2000 to 12_000 ms;
    }
    "connection at Auth0" {
        ForeignOption: "another option set by somebody else", every 0.4 s, lasts 0 to 0 ms;
        ForeignParam: "a parameter of somebody else set", every 1.1 s, lasts 0 to 0 ms;
        ForeignBetween: "another option set by somebody else right after a read of the operator", every 1.7 s, lasts 0 to 0 ms;
        ForeignBefore: "another option set by somebody else right before a write of the operator arrives", every 5.0 s, lasts 0 to 0 ms;
        OwnedReplaced: "a managed parameter set to another value by somebody else", every 7.0 s, lasts 0 to 0 ms;
        OwnedRemoved: "a managed parameter removed by somebody else", every 7.0 s, lasts 0 to 0 ms;
        ConnectionRemade: "deleted, made anew under the same name", every 41.0 s, lasts 0 to 5000 ms;
    }
    "call to Auth0" {
        Dropped: "closed before anything happened", every 13.0 s, lasts 0 to 0 ms;
        Hanging: "never answered, nothing happened", every 29.0 s, lasts 0 to 0 ms;
        AnswerLost: "a write took effect, its answer was lost", every 13.0 s, lasts 0 to 0 ms;
        HangingAfter: "a write took effect and was never answered", every 29.0 s, lasts 0 to 0 ms;
        AnswerCut: "half an answer", every 13.0 s, lasts 0 to 0 ms;
        SlowAnswer: "answered late", every 17.0 s, lasts 200 to 9000 ms;
        LateEffect: "carried out late, whether or not the caller still waited", every 17.0 s, lasts 200 to 9000 ms;
        ServerError: "500, 502 or 503", every 13.0 s, lasts 0 to 0 ms;
        RateLimited: "429", every 23.0 s, lasts 0 to 0 ms;
        NotJson: "200 with a page of HTML", every 29.0 s, lasts 0 to 0 ms;
        ErrorWith200: "200 with an error", every 29.0 s, lasts 0 to 0 ms;
        TooLarge: "200 with five megabytes", every 43.0 s, lasts 0 to 0 ms;
        Redirected: "redirected elsewhere", every 43.0 s, lasts 0 to 0 ms;
        Lagging: "404 for a connection that exists", every 19.0 s, lasts 0 to 0 ms;
        TokenRefused: "no token: 401, 429 or 503", every 23.0 s, lasts 0 to 0 ms;
    }
    "Auth0 tenant" {
        TokensRevoked: "all tokens revoked", every 29.0 s, lasts 0 to 0 ms;
        TokensExpired: "all tokens expired", every 31.0 s, lasts 0 to 0 ms;
        GrantTaken: "the application's grant taken, given back", every 61.0 s, lasts 500 to 6000 ms;
        ScopeTaken: "a scope taken, given back", every 61.0 s, lasts 500 to 6000 ms;
        SecretRotated: "the client secret rotated, the Secret changed later", every 67.0 s, lasts 0 to 5000 ms;
        Limited: "the rate limits of a small plan, for a while", every 59.0 s, lasts 3000 to 12_000 ms;
    }
    "UpstreamParams" {
        ValueEdited: "a value edited", every 0.9 s, lasts 0 to 0 ms;
        ParamAdded: "a parameter added", every 1.9 s, lasts 0 to 0 ms;
        ParamTaken: "a parameter taken out", every 2.3 s, lasts 0 to 0 ms;
        Moved: "moved to another connection", every 6.0 s, lasts 0 to 0 ms;
        Deleted: "deleted, made anew", every 7.0 s, lasts 0 to 5000 ms;
        StatusErased: "status erased", every 13.0 s, lasts 0 to 0 ms;
        FinalizerTaken: "finalizer taken", every 13.0 s, lasts 0 to 0 ms;
    }
    "ClusterAuth0Tenant and what it needs" {
        TenantDeleted: "deleted, made anew", every 61.0 s, lasts 500 to 6000 ms;
        TenantStatusErased: "status erased", every 31.0 s, lasts 0 to 0 ms;
        TenantObserves: "set to Observe, and back", every 59.0 s, lasts 1000 to 6000 ms;
        SecretDeleted: "its Secret deleted, made anew", every 53.0 s, lasts 500 to 20_000 ms;
        LabelTaken: "a namespace's label taken, so that it is not admitted, and given back", every 43.0 s, lasts 500 to 6000 ms;
    }
}

/// An act with its date. Which of the things that are there then it is done to follows from the chance in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Act {
    /// When, from the beginning.
    pub(crate) at: Duration,
    /// What.
    pub(crate) kind: Kind,
    /// To which of them: a number to be divided by how many there are.
    pub(crate) target: usize,
    /// A second choice.
    pub(crate) pick: usize,
    /// How long it lasts, where it lasts.
    pub(crate) lasts: Duration,
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, lasts) = (self.at.as_secs_f64(), self.lasts.as_secs_f64());
        write!(f, "{at:>9.3} s  {:<18}  target {:>3}  pick {:>3}  lasts {lasts:.3} s", format!("{:?}", self.kind), self.target, self.pick)
    }
}

/// The acts of a run of this length, in order.
pub(crate) fn plan(seed: u64, length: Duration) -> Vec<Act> {
    let mut acts = Vec::new();
    for (nth, row) in (0u64..).zip(Kind::ALL) {
        let mut chance = fastrand::Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(nth));
        let mut at = 0.0;
        loop {
            // The time to the next of acts that do not know of each other.
            at += -row.every * (1.0 - chance.f64()).ln();
            let (target, pick) = (chance.usize(..1000), chance.usize(..1000));
            let lasts = Duration::from_millis(chance.u64(row.lasts.0..=row.lasts.1));
            let at = Duration::from_secs_f64(at.min(1e9));
            if at >= length {
                break;
            }
            acts.push(Act { at, kind: row.kind, target, pick, lasts });
        }
    }
    acts.sort_by_key(|act| (act.at, act.kind));
    acts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_everything_and_another_one_something_else() {
        let length = Duration::from_mins(2);
        assert_eq!(plan(1, length), plan(1, length));
        assert_ne!(plan(1, length), plan(2, length));
    }

    #[test]
    fn a_longer_run_begins_as_a_shorter_one() {
        let (short, long) = (plan(7, Duration::from_mins(1)), plan(7, Duration::from_mins(5)));
        assert_eq!(long[..short.len()], short);
    }

    #[test]
    fn half_an_hour_has_every_kind_at_about_its_rate() {
        let acts = plan(3, Duration::from_mins(30));
        for row in Kind::ALL {
            let count = acts.iter().filter(|act| act.kind == row.kind).count();
            let expected = 1800.0 / row.every;
            let part = u32::try_from(count).map(f64::from).unwrap_or_default() / expected;
            assert!((0.4..2.0).contains(&part), "{:?}: {count} of about {expected}", row.kind);
        }
        assert!(acts.is_sorted_by_key(|act| act.at));
    }
}
