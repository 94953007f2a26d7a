//! The runtime of a command that somebody waits for.

use std::future::Future;
use std::time::Duration;

use anyhow::Context;

use crate::auth0;
use crate::telemetry::{self, LogFormat};

/// A span such as `30s`, `10m` or `1h30m`; a number alone is of seconds. What bounds it has is for each flag to say.
pub(super) fn span(text: &str) -> Option<Duration> {
    let seconds = || text.parse().ok().map(Duration::from_secs);
    let spelled = || text.parse::<jiff::SignedDuration>().ok().and_then(|span| span.try_into().ok());
    seconds().or_else(spelled)
}

/// How long to wait at most, as [`span`] reads it.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    span(text).filter(|span| *span <= Duration::from_hours(24)).ok_or_else(|| "write a time such as 90s or 5m".to_owned())
}

/// What is logged beside the output of a command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Log")]
pub(super) struct LogArguments {
    /// What is logged to standard error, in the syntax of RUST_LOG.
    #[arg(long, env = "UPO_LOG", default_value = "warn", value_parser = telemetry::filter)]
    log: String,
}

impl LogArguments {
    /// Runs a command to its end.
    pub(super) fn block_on<T>(&self, command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        telemetry::init(LogFormat::Human, &self.log);
        auth0::install_crypto_provider();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("can't start the async runtime")?;
        let result = runtime.block_on(command);
        // A name that is looked up, which nothing can end, must not hold the process.
        runtime.shutdown_background();
        result
    }
}
