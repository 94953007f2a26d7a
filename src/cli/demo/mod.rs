//! `demo`: the operator at work on a real API server and an emulated tenant.
//!
//! Guarantees: what it prints was read back from the API server and the tenant; with `--once` it fails unless every
//! object and every connection came out as expected; when it ends, nothing of it is left running.

mod report;
mod stage;

use std::process::ExitCode;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};

use crate::auth0;
use crate::telemetry::{self, LogFormat};
use stage::Stage;

/// Flags of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Exit when everything has settled, with an error if anything is not as expected.
    #[arg(long)]
    once: bool,

    /// What the operator logs to standard error, in the syntax of RUST_LOG.
    #[arg(long, default_value = "warn", value_parser = telemetry::filter)]
    log: String,
}

/// Runs the demo.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    telemetry::init(LogFormat::Human, &arguments.log);
    auth0::install_crypto_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("can't start the async runtime")?;
    let code = runtime.block_on(play(arguments.once));
    // A blocked read of standard input must not hold the process.
    runtime.shutdown_background();
    code
}

async fn play(once: bool) -> anyhow::Result<ExitCode> {
    let stage = tokio::select! {
        stage = Stage::set() => stage?,
        _ = tokio::signal::ctrl_c() => return Ok(ExitCode::FAILURE),
    };
    let shown = show(&stage, once).await;
    stage.strike().await?;
    Ok(if shown? || !once { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what came of it, and stays up unless it is to be shown once. Yields whether all is as expected.
async fn show(stage: &Stage, once: bool) -> anyhow::Result<bool> {
    let unsettled = stage.settle().await;
    let good = report::everything(stage, unsettled).await?;
    if !once {
        super::print(&report::invitation(stage))?;
        stay(stage).await?;
    }
    Ok(good)
}

/// Stays up until Ctrl-C, and plays the colleague in the Auth0 dashboard on request.
async fn stay(stage: &Stage) -> anyhow::Result<()> {
    let mut lines = Some(BufReader::new(tokio::io::stdin()).lines());
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return super::print("\nstopping\n"),
            line = next_line(&mut lines) => match line.as_deref().map(str::trim) {
                Some("drift") => super::print(&stage.drift())?,
                Some("show") => super::print(&report::connections(stage).0)?,
                Some("") => {}
                Some(_) => super::print("type drift or show, or Ctrl-C to stop\n")?,
                None => lines = None,
            },
        }
    }
}

/// The next line typed; waits for ever where nobody types.
async fn next_line(lines: &mut Option<Lines<BufReader<Stdin>>>) -> Option<String> {
    match lines {
        Some(lines) => lines.next_line().await.ok().flatten(),
        None => std::future::pending().await,
    }
}
