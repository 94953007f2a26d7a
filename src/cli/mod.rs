//! The command line: the only reader of flags and of settings in the environment, and the only writer of standard output.

#![allow(clippy::doc_markdown, reason = "what stands above a flag is what --help prints, as plain text")]

mod auth0;
mod cluster;
mod connections;
mod controller;
#[cfg(feature = "testbed")]
mod demo;
#[cfg(feature = "testbed")]
mod emulator;
mod exit;
mod export;
mod files;
mod lint;
mod output;
mod plan;
mod reconcile;
mod runtime;
mod shell;
mod source;
mod status;
mod tenants;
mod verify;
mod world;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use self::exit::Exit;
use self::output::print;

/// Manages the upstream parameters of Auth0 connections from Kubernetes, and nothing else.
#[derive(Debug, Parser)]
#[command(version = shell::VERSION, about, arg_required_else_help = true, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check manifests offline.
    Lint(lint::Arguments),
    /// Show what the operator would change at Auth0 if you applied manifests. Writes nothing.
    Plan(Box<plan::Arguments>),
    /// Print manifests for the upstream parameters that a tenant has already.
    Export(Box<export::Arguments>),
    /// List the connections of a tenant, their upstream parameters and who owns them.
    Connections(Box<connections::Arguments>),
    /// Show the status of objects and tenants, and what to do.
    Status(Box<status::Arguments>),
    /// Reconcile objects now, wait, and show the result.
    Reconcile(Box<reconcile::Arguments>),
    /// Check that declared parameters reach the identity provider. Nobody logs in.
    Verify(Box<verify::Arguments>),
    /// Run the operator.
    Controller(Box<controller::Arguments>),
    /// Print the CustomResourceDefinitions, for `kubectl apply --server-side -f -`.
    Crds,
    /// Write JSON schemas of both kinds, for editors and other tools.
    Schemas(shell::SchemasArguments),
    /// Print completions for a shell.
    Completions(shell::CompletionsArguments),
    /// Print the manual page, or write one page for each command.
    Man(shell::ManArguments),
    /// Print the version and the commit of the build.
    Version(shell::VersionArguments),
    /// Show it all at work: a real API server, an emulated tenant, the operator, the examples.
    #[cfg(feature = "testbed")]
    Demo(demo::Arguments),
    /// Serve an emulated Auth0 tenant to play with.
    #[cfg(feature = "testbed")]
    Emulator(emulator::Arguments),
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let matches = named(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let result = match cli.command {
        Command::Controller(arguments) => controller::run(*arguments),
        Command::Completions(arguments) => shell::completions(&arguments).map(ExitCode::from),
        Command::Connections(arguments) => connections::run(&arguments).map(ExitCode::from),
        Command::Crds => crds().map(ExitCode::from),
        Command::Lint(arguments) => lint::run(&arguments).map(ExitCode::from),
        Command::Export(arguments) => export::run(&arguments).map(ExitCode::from),
        Command::Man(arguments) => shell::man(&arguments).map(ExitCode::from),
        Command::Plan(arguments) => plan::run(&arguments).map(ExitCode::from),
        Command::Schemas(arguments) => shell::schemas(&arguments).map(ExitCode::from),
        Command::Verify(arguments) => verify::run(&arguments).map(ExitCode::from),
        Command::Reconcile(arguments) => reconcile::run(&arguments).map(ExitCode::from),
        Command::Status(arguments) => status::run(&arguments).map(ExitCode::from),
        Command::Version(arguments) => shell::version(&arguments).map(ExitCode::from),
        #[cfg(feature = "testbed")]
        Command::Demo(arguments) => demo::run(&arguments),
        #[cfg(feature = "testbed")]
        Command::Emulator(arguments) => emulator::run(&arguments).map(ExitCode::from),
    };
    result.unwrap_or_else(|error| {
        say_error(&error);
        ExitCode::FAILURE
    })
}

/// The command line under the name by which it was called: kubectl runs `kubectl-uparams` for `kubectl uparams`.
fn named(command: clap::Command) -> clap::Command {
    let called = std::env::args_os().next().map(std::path::PathBuf::from);
    let is_plugin = called.as_deref().and_then(std::path::Path::file_stem).is_some_and(|stem| stem == "kubectl-uparams");
    if is_plugin { command.name("kubectl-uparams").bin_name("kubectl uparams") } else { command }
}

fn crds() -> anyhow::Result<Exit> {
    print(&crate::api::crd::crds_yaml()?)?;
    Ok(Exit::Fine)
}

fn say_error(error: &anyhow::Error) {
    output::say(&format!("{} {}", output::paint(output::style::BAD, "error:"), whole(error)));
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
