//! `demo`: the operator at work on a real API server and an emulated tenant.
//!
//! Guarantees: what it prints was read back from the API server and the tenant; it fails unless every object and every
//! connection came out as expected; when it ends, nothing of it is left running.

mod connection;
mod examples;
mod picture;
mod stage;
mod story;
mod waiting;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::stage::Stage;
use self::story::Story;
use self::waiting::Waiting;
use super::output;
use crate::auth0;
use crate::telemetry::{self, LogFormat};

/// How a program ends that Ctrl-C kept from its end, as shells have it.
const INTERRUPTED: u8 = 130;

/// Flags of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// End after the story, and do not stay up. The exit code is 1 if anything was not as expected, with and without this flag.
    #[arg(long)]
    once: bool,

    /// Write a picture of what is shown to this file, as SVG.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// What the operator logs to standard error, in the syntax of RUST_LOG.
    #[arg(long, default_value = "warn", value_parser = telemetry::filter)]
    log: String,
}

/// Runs the demo.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    telemetry::init(LogFormat::Human, &arguments.log);
    auth0::install_crypto_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("can't start the async runtime")?;
    let code = runtime.block_on(play(arguments));
    // A blocked read of standard input must not hold the process.
    runtime.shutdown_background();
    code
}

/// Sets the stage, tells the story, and clears away, whenever somebody ends it.
async fn play(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut stops = Stops::new()?;
    let waiting = Waiting::new();
    let stage = tokio::select! {
        stage = Stage::set(waiting.listener()) => Some(stage),
        () = stops.next() => None,
    };
    drop(waiting);
    let Some(stage) = stage.transpose()? else {
        return Ok(interrupted());
    };
    let told = tokio::select! {
        told = tell(&stage, arguments) => Some(told),
        () = stops.next() => None,
    };
    let staying = matches!(told, Some(Ok(_))) && !arguments.once;
    let stayed = if staying { stay(&stage, &mut stops).await } else { Ok(()) };
    tokio::select! {
        struck = stage.strike() => struck?,
        // Whoever asks twice does not want to wait: what runs is killed as this ends.
        () = stops.next() => return Ok(interrupted()),
    }
    stayed?;
    match told.transpose()? {
        None => Ok(interrupted()),
        Some(true) => Ok(ExitCode::SUCCESS),
        Some(false) => Ok(ExitCode::FAILURE),
    }
}

fn interrupted() -> ExitCode {
    output::say("stopped before the end; nothing is left running");
    ExitCode::from(INTERRUPTED)
}

/// Tells the story. Yields whether all was as expected.
async fn tell(stage: &Stage, arguments: &Arguments) -> anyhow::Result<bool> {
    let mut story = Story::of(stage);
    story.tell().await?;
    if let Some(file) = &arguments.svg {
        std::fs::write(file, picture::of(story.told())).with_context(|| format!("--svg: can't write {}", file.display()))?;
    }
    Ok(story.is_good())
}

/// Stays up until somebody ends it, and plays the colleague in the Auth0 Dashboard on request.
async fn stay(stage: &Stage, stops: &mut Stops) -> anyhow::Result<()> {
    output::print(&story::invitation(stage))?;
    let mut lines = Some(BufReader::new(tokio::io::stdin()).lines());
    loop {
        let line = tokio::select! {
            () = stops.next() => return output::print("\nstopping\n"),
            line = next_line(&mut lines) => line,
        };
        match line.as_deref().map(str::trim) {
            None => lines = None,
            Some("") => {}
            Some(word @ ("drift" | "show")) => {
                let mut story = Story::of(stage);
                let told = async { if word == "drift" { story.drift().await } else { story.show().await } };
                tokio::select! {
                    () = stops.next() => return output::print("\nstopping\n"),
                    told = told => told?,
                }
            }
            Some(_) => output::print("type drift or show, or press Ctrl-C to stop\n")?,
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

/// What ends the demo: Ctrl-C and SIGTERM.
struct Stops([Signal; 2]);

impl Stops {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("can't listen for Ctrl-C and SIGTERM");
        Ok(Self([listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?]))
    }

    async fn next(&mut self) {
        let Self([pressed, terminated]) = self;
        tokio::select! {
            _ = pressed.recv() => {}
            _ = terminated.recv() => {}
        }
    }
}
