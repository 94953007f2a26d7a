//! What a shell wants of a command: completions, manual pages, the version.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;
use serde::Serialize;

use super::exit::Exit;
use super::output::{self, Format};
use super::{Cli, named};
use crate::api::crd::json_schema;
use crate::telemetry;
pub(super) use crate::telemetry::VERSION;

/// Flags of `completions`.
#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArguments {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the completions.
pub(super) fn completions(arguments: &CompletionsArguments) -> anyhow::Result<Exit> {
    let mut command = named(Cli::command());
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    output::print(&String::from_utf8(script).context("the completions are no text")?)?;
    Ok(Exit::Fine)
}

/// Flags of `man`.
#[derive(Debug, clap::Args)]
pub(super) struct ManArguments {
    /// Write a page for each command into this folder, which is made if it is not there.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Prints the manual page, or writes all.
pub(super) fn man(arguments: &ManArguments) -> anyhow::Result<Exit> {
    let command = named(Cli::command());
    if let Some(dir) = &arguments.dir {
        std::fs::create_dir_all(dir).with_context(|| format!("--dir: can't make {}", dir.display()))?;
        clap_mangen::generate_to(command, dir).with_context(|| format!("--dir: can't write into {}", dir.display()))?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page).context("the page can't be made")?;
        // The page is troff, whose own escapes are no terminal's.
        match std::io::stdout().lock().write_all(&page) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            result => result?,
        }
    }
    Ok(Exit::Fine)
}

/// Flags of `schemas`.
#[derive(Debug, clap::Args)]
pub(super) struct SchemasArguments {
    /// The folder to write them into, which is made if it is not there.
    #[arg(long)]
    dir: PathBuf,
}

/// Writes the schemas, and prints the line by which an editor finds each.
pub(super) fn schemas(arguments: &SchemasArguments) -> anyhow::Result<Exit> {
    for schema in json_schema::editor_schemas()? {
        let path = arguments.dir.join(&schema.path);
        let folder = path.parent().unwrap_or(&arguments.dir);
        std::fs::create_dir_all(folder).with_context(|| format!("--dir: can't make {}", folder.display()))?;
        std::fs::write(&path, json_schema::text(&schema)?).with_context(|| format!("--dir: can't write {}", path.display()))?;
        output::print(&format!("# yaml-language-server: $schema={}\n", output::printable(&path.display().to_string())))?;
    }
    Ok(Exit::Fine)
}

/// Flags of `version`.
#[derive(Debug, clap::Args)]
pub(super) struct VersionArguments {
    /// How it is printed.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[allow(clippy::struct_field_names, reason = "these are the names in the output")]
#[derive(Serialize)]
struct Version {
    version: &'static str,
    commit: Option<&'static str>,
    api: String,
}

/// Prints the version.
pub(super) fn version(arguments: &VersionArguments) -> anyhow::Result<Exit> {
    let api = format!("{}/{}", crate::api::GROUP, crate::api::VERSION);
    let version = Version { version: VERSION, commit: telemetry::revision(), api };
    if let Some(machine) = arguments.output.machine() {
        output::print_value(&version, machine)?;
    } else {
        let commit = version.commit.unwrap_or("not known: the build was not told");
        output::print(&format!("{VERSION}\ncommit: {commit}\nAPI: {}\n", version.api))?;
    }
    Ok(Exit::Fine)
}
