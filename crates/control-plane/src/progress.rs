//! What whoever waits for a build is told.

use std::fmt;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Something to tell whoever waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Something began or ended.
    Step(String),
    /// How far it is by now. It comes about once a second, and each one replaces the one before.
    Running(String),
}

impl fmt::Display for Progress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Step(text) | Self::Running(text)) = self;
        out.write_str(text)
    }
}

/// Who is told.
pub type Listener = dyn Fn(&Progress) + Send + Sync;

/// How often a log is told how far it is.
const EVERY: Duration = Duration::from_secs(20);

/// Tells it as plain lines on standard error, for a log: each step, and how far it is every 20 seconds.
///
/// It writes rather than prints: the test harness hides what is printed until a test fails, and a build takes minutes.
pub fn on_standard_error() -> impl Fn(&Progress) + Send + Sync {
    let told = Mutex::new(None::<Instant>);
    move |progress| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if is_due(progress, told.map(|told| told.elapsed())) {
            *told = Some(Instant::now());
            let _ = writeln!(std::io::stderr(), "{progress}");
        }
    }
}

/// Whether a log wants it, so long after the last line.
fn is_due(progress: &Progress, since: Option<Duration>) -> bool {
    matches!(progress, Progress::Step(_)) || since.is_none_or(|since| since >= EVERY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_gets_each_step_and_now_and_then_how_far_it_is() {
        let (step, running) = (Progress::Step("begins".to_owned()), Progress::Running("1 %".to_owned()));
        assert!(is_due(&step, Some(Duration::ZERO)));
        assert!(is_due(&running, None));
        assert!(!is_due(&running, Some(Duration::from_secs(19))));
        assert!(is_due(&running, Some(EVERY)));
        assert_eq!(format!("{step}, {running}"), "begins, 1 %");
    }
}
