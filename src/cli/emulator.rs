//! `emulator`: an Auth0 tenant to play with.

use anyhow::Context;

use super::exit::Exit;

/// Flags of `emulator`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The port on 127.0.0.1; 0 takes any.
    #[arg(long, default_value_t = 8080)]
    port: u16,

    /// How many connections it has.
    #[arg(long, default_value_t = 5)]
    connections: usize,
}

/// Serves until Ctrl-C.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let play = auth0_emulator::play(arguments.port, arguments.connections)
        .with_context(|| format!("can't serve on port {}; choose another --port", arguments.port))?;
    super::output::print(&play.recipe)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("can't start the async runtime")?;
    runtime.block_on(tokio::signal::ctrl_c()).context("can't listen for Ctrl-C")?;
    play.emulator.stop();
    Ok(Exit::Fine)
}
