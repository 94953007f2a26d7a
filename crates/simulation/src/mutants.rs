//! Faults put into the operator's code, each of which the simulation has to find.

use std::process::ExitCode;

/// Checks that each is found.
pub fn check(_names: &[String], _histories: u64, _seed: u64) -> ExitCode {
    ExitCode::FAILURE
}
