//! `emulator`: an Auth0 tenant to play with.

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

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let _ = (arguments.port, arguments.connections);
    anyhow::bail!("not built yet")
}
