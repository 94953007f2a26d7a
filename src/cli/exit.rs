//! How a command ends, as scripts see it.
//!
//! The code 2 is of a command line that can't be understood; clap ends the process with it before any command runs.

use std::process::ExitCode;

/// How a command ended that did what it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// 0: all is as declared, or nothing was asked that could be otherwise.
    Fine,
    /// 1: what was looked at is in error, as a file that breaks a rule. An error of the command itself ends with 1 too.
    Wrong,
    /// 3: there are differences, and the command line asked to be told so.
    Differs,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Fine => Self::SUCCESS,
            Exit::Wrong => Self::FAILURE,
            Exit::Differs => Self::from(3),
        }
    }
}

/// What `--help` says of it.
pub(super) const HELP: &str = "Exit codes: 0 all is as declared, 1 an error, 2 a command line that can't be understood, 3 differences, where --exit-code or --wait asks for it.";
