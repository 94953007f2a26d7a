//! Chaos: the operator's own binary, a real API server and emulated tenants, and everything that goes wrong around them.
//!
//! `cargo run --release -p chaos -- --seconds 120 --seed 7`

mod audit;
mod book;
mod document;
mod door;
mod ledger;
mod line;
mod loops;
mod plan;
mod replica;
mod report;
mod rest;
mod run;
mod shape;
mod stage;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use control_plane::supervise::Scratch;

/// Runs the operator's own binary on a real API server, against emulated Auth0 tenants, and does to all of them what goes wrong in the
/// world: processes are killed and frozen, lines are cut, answers are lost, other people edit the same connections and objects. Then
/// everything is mended, and everything has to be as declared, with nothing of anybody else lost.
///
/// A seed decides what is done, to what, in which order and when. The processes are real, so how they meet it is not exactly the same
/// twice: a seed that failed is worth several tries. Nothing is left running, and no cluster and no Auth0 tenant is needed.
///
/// Ends with 0 when all is well, with 1 when something was found, with 2 when it could not run.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long things go wrong, in seconds. Setting up, coming to rest and looking take two to five minutes more.
    #[arg(long, default_value_t = 120)]
    seconds: u64,

    /// What decides everything [default: a new one, which is printed].
    #[arg(long)]
    seed: Option<u64>,

    /// How many replicas of the operator run.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,

    /// The operator's binary [default: that of this workspace, built by cargo, which started this; else the one beside this program].
    #[arg(long)]
    operator: Option<PathBuf>,

    /// Puts the tables of this run into this page, between its marks `chaos`: docs/reliability.md.
    #[arg(long)]
    table: Option<PathBuf>,

    /// Where the logs are put at the end [default: into the temporary folder of the system, when something was found].
    #[arg(long)]
    logs: Option<PathBuf>,

    /// Prints what would be done when, and ends.
    #[arg(long)]
    plan: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match chaos(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            say(&format!("chaos: {error:#}"));
            ExitCode::from(2)
        }
    }
}

/// A line for whoever looks on. That nobody does is no failure.
fn say(line: &str) {
    drop(writeln!(std::io::stdout(), "{line}"));
}

/// Yields whether all was well.
fn chaos(arguments: &Arguments) -> anyhow::Result<bool> {
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    let course = run::Course { seed, length: Duration::from_secs(arguments.seconds), replicas: usize::from(arguments.replicas) };
    let plan = plan::plan(seed, course.length);
    if arguments.plan {
        for act in &plan {
            say(&act.to_string());
        }
        return Ok(true);
    }
    let again = format!("cargo run --release -p chaos -- --seconds {} --seed {seed} --replicas {}", arguments.seconds, course.replicas);
    say(&format!("seed {seed}: {} acts in {} s, replicas: {}; again with: {again}", plan.len(), arguments.seconds, course.replicas));
    let binary = operator(arguments.operator.as_deref())?;
    let scratch = Scratch::new("chaos")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(run::run(&course, &plan, &binary, scratch.path(), &say));
    let well = ended.as_ref().is_ok_and(|report| report.violations.is_empty());
    let logs =
        arguments.logs.clone().or_else(|| (!well).then(|| std::env::temp_dir().join(format!("chaos-{seed}-{}", std::process::id()))));
    if let Some(logs) = logs {
        keep_logs(scratch.path(), &logs).with_context(|| logs.display().to_string())?;
        say(&format!("the logs are in {}", logs.display()));
    }
    runtime.shutdown_background();
    let report = ended?;
    say(&report.text());
    if let Some(page) = &arguments.table {
        report::rewrite(page, &report)?;
    }
    if well {
        say("all is well");
    } else {
        say(&format!("{} violations; again with: {again}", report.violations.len()));
    }
    Ok(well)
}

/// The operator's binary. Under cargo it is built, so that it is never an old one.
fn operator(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("this program can't be found")?;
    let folder = this.parent().context("this program is in no folder")?;
    let beside = folder.join("upstream-params-operator");
    let binary = given.map_or(beside, Path::to_owned);
    if let (None, Some(cargo)) = (given, std::env::var_os("CARGO")) {
        let mut build = Command::new(cargo);
        build.args(["build", "--locked", "--package", "upstream-params-operator", "--bin", "upstream-params-operator"]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        // Where this program is, whatever said so.
        build.arg("--target-dir").arg(folder.parent().context("this program is in no folder of cargo")?);
        build.current_dir(test_support::repository::root());
        if !build.status().context("cargo can't be started")?.success() {
            anyhow::bail!("the operator can't be built, see above");
        }
    }
    if !binary.is_file() {
        let mend = "cargo build --release --bin upstream-params-operator";
        anyhow::bail!("there is no operator at {}; build it with: {mend}", binary.display());
    }
    Ok(binary)
}

/// Copies what the replicas and the API server wrote down.
fn keep_logs(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for folder in [from.to_owned(), from.join("control-plane")] {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                std::fs::copy(&path, to.join(entry.file_name()))?;
            }
        }
    }
    Ok(())
}
