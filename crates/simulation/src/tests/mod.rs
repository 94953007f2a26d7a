//! Whole histories: those of fixed seeds, those that ever failed, and some that were written by hand.

mod comebacks;
mod documents;
mod scripts;
mod seeds;
mod troubles;

use std::sync::Once;

use crate::history::History;
use crate::laws::rest::Scene;
use crate::log;
use crate::run::{self, Report};
use crate::story::Line;
use crate::world::World;

/// Runs a history with all that the program listens to, and yields what is there in the end.
fn run(history: &History) -> (Report, Scene) {
    listen();
    run::run_and_look(history, false, World::rest_scene)
}

/// Lets the laws hear the operator's log.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(log::Listening).unwrap());
}

/// Fails with the whole story if a history breaks a law.
#[track_caller]
fn assert_holds(history: &History, report: &Report, what: &str) {
    assert!(report.violation.is_none(), "{what} breaks a law:\n{}", story(history));
}

/// A history, told.
fn story(history: &History) -> String {
    lines(history).iter().flat_map(|line| [line.to_string(), "\n".to_owned()]).collect()
}

fn lines(history: &History) -> Vec<Line> {
    listen();
    run::run(history, true).story
}
