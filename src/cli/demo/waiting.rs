//! What somebody sees who waits for the control plane: on a terminal one line that is rewritten, elsewhere a line now and then.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use control_plane::{Listener, Progress, on_standard_error};

/// Goes to the start of the line and empties it.
const CLEAR: &str = "\r\u{1b}[2K";

/// Tells on standard error. The last line goes when this does.
pub(super) struct Waiting {
    /// Whether a line stands there that the next one replaces.
    open: Arc<AtomicBool>,
}

impl Waiting {
    pub(super) fn new() -> Self {
        Self { open: Arc::default() }
    }

    /// Takes what there is to tell.
    pub(super) fn listener(&self) -> Arc<Listener> {
        if !std::io::stderr().is_terminal() {
            return Arc::new(on_standard_error());
        }
        let open = self.open.clone();
        Arc::new(move |progress: &Progress| {
            write(&rewritten(progress));
            open.store(matches!(progress, Progress::Running(_)), Ordering::Relaxed);
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.open.load(Ordering::Relaxed) {
            write(CLEAR);
        }
    }
}

/// A line in place of the one before. One that is too long for the terminal is cut off there, as it could not be rewritten else.
fn rewritten(progress: &Progress) -> String {
    match progress {
        Progress::Step(text) => format!("{CLEAR}{text}\n"),
        Progress::Running(text) => format!("{CLEAR}\u{1b}[?7l{text}\u{1b}[?7h"),
    }
}

/// Where standard error is closed there is nobody to tell.
fn write(text: &str) {
    let mut out = std::io::stderr().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_rewritten_and_a_step_stays() {
        assert_eq!(rewritten(&Progress::Step("built".to_owned())), "\r\u{1b}[2Kbuilt\n");
        let running = rewritten(&Progress::Running("41 %".to_owned()));
        assert!(running.starts_with(CLEAR) && running.contains("41 %") && !running.contains('\n'), "{running:?}");
    }
}
