//! The command line: the only reader of flags and of settings in the environment, and the only writer of standard output.

mod controller;
#[cfg(feature = "testbed")]
mod demo;
#[cfg(feature = "testbed")]
mod emulator;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Manages the upstream parameters of Auth0 connections from Kubernetes, and nothing else of them.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator against a cluster: the kubeconfig's, or the one it runs in.
    Controller(Box<controller::Arguments>),
    /// Print the CustomResourceDefinitions, to be piped into `kubectl apply --server-side -f -`.
    Crds,
    /// Show it all at work: a real API server, an emulated tenant, the operator, the examples.
    #[cfg(feature = "testbed")]
    Demo(demo::Arguments),
    /// Serve an emulated Auth0 tenant to play with.
    #[cfg(feature = "testbed")]
    Emulator(emulator::Arguments),
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Controller(arguments) => controller::run(*arguments),
        Command::Crds => crds().map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "testbed")]
        Command::Demo(arguments) => demo::run(&arguments),
        #[cfg(feature = "testbed")]
        Command::Emulator(arguments) => emulator::run(&arguments).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        say_error(&error);
        ExitCode::FAILURE
    })
}

fn crds() -> anyhow::Result<()> {
    print(&crate::api::crd::crds_yaml()?)
}

/// Writes to standard output. A reader that went away, as `head` does, is no error.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

fn say_error(error: &anyhow::Error) {
    // Where standard error is closed there is nobody to tell.
    drop(writeln!(std::io::stderr(), "error: {}", whole(error)));
}

/// An error and its causes. What a text already quotes of its cause is not said again.
fn whole(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::whole;

    #[test]
    fn a_cause_is_said_once_and_one_that_adds_something_is_said() {
        let quoted = anyhow!("os error 2").context("can't read it: os error 2; try another").context("--file");
        assert_eq!(whole(&quoted), "--file: can't read it: os error 2; try another");
        assert_eq!(whole(&anyhow!("os error 2").context("can't read it")), "can't read it: os error 2");
        assert_eq!(whole(&anyhow!("only this")), "only this");
    }
}
