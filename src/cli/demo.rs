//! `demo`: everything at work on an embedded tenant.

/// Flags of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Exit when everything has settled, with an error if anything is not as expected.
    #[arg(long)]
    once: bool,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let _ = arguments.once;
    anyhow::bail!("not built yet")
}
