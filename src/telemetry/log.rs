//! Log lines on standard error. No field holds a secret or a value of a parameter.

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, FilterFn, LevelFilter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry as Subscriber, fmt};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Checks what is to be logged, in the syntax of `RUST_LOG`. There a word alone may be a module too, so that a level that is
/// misspelt would silence everything; here it has to be a level.
pub(crate) fn filter(text: &str) -> Result<String, String> {
    let mut words = text.split(',').filter(|part| !part.is_empty() && !part.contains(['=', '[']));
    if let Some(word) = words.find(|word| word.parse::<LevelFilter>().is_err()) {
        return Err(format!(
            "{word:?} is not a level; use off, error, warn, info, debug or trace, and for one module such as kube: info,kube=debug"
        ));
    }
    EnvFilter::builder().parse(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// Sends logs to standard error. `filter` is one that [`filter()`] let pass.
pub(crate) fn init(format: LogFormat, filter: &str) {
    let layer = fmt::layer()
        .with_writer(std::io::stderr)
        // A line that can't be written would be reported on standard error, which fails as well, and with a panic.
        .log_internal_errors(false)
        .with_target(false);
    let layer: Box<dyn Layer<Subscriber> + Send + Sync> = match format {
        LogFormat::Human => layer.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    let discreet = FilterFn::new(|metadata| !quotes_answers(metadata)).with_max_level_hint(LevelFilter::TRACE);
    let layer = layer.with_filter(EnvFilter::new(filter).and(discreet));
    // A second subscriber in one process, as in tests, is not an error worth stopping for.
    drop(Subscriber::default().with(layer).try_init());
}

/// Whether an event of the Kubernetes client quotes what the API server, or a program that gives credentials, answered: the
/// whole of a list that can't be decoded, at WARN, and so the content of Secrets. No filter lets one pass.
fn quotes_answers(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    metadata.is_event()
        && (target == "kube_client::client"
            || target.starts_with("kube_runtime::watcher")
            // What a failed request is logged with; there is one for each try, too.
            || (target == "kube_client::client::builder" && *metadata.level() == Level::ERROR))
}

/// Makes a panic a line of the log. Its text is repeated only where it is a fixed one: any other may quote the data that
/// was at hand.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, text = fixed_text(panic.payload()), "a panic: a bug in the operator");
    }));
}

fn fixed_text(payload: &(dyn std::any::Any + Send)) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("(left out, as it may quote data)")
}

#[cfg(test)]
mod tests {
    use super::{filter, fixed_text};

    #[test]
    fn the_text_of_a_panic_is_repeated_only_where_it_is_fixed() {
        let text_of = |panic: fn()| fixed_text(&*std::panic::catch_unwind(panic).unwrap_err());
        assert_eq!(text_of(|| panic!("never")), "never");
        assert_eq!(text_of(|| panic!("{}", "marker".to_owned())), "(left out, as it may quote data)");
        assert_eq!(text_of(|| assert_eq!("marker", "other")), "(left out, as it may quote data)");
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_and_everything_else_that_can_be_read_is_taken() {
        for good in [
            "info",
            "WARN",
            "off",
            "info,kube=debug",
            "info,upstream_params_operator::reconcile::driver=trace",
            "[check{tenant}]=debug,warn",
            "",
        ] {
            assert_eq!(filter(good).as_deref(), Ok(good));
        }
        for bad in ["verbose", "info,kube", "kube=loud", "info, kube=debug"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
        assert!(filter("verbose").unwrap_err().starts_with("\"verbose\" is not a level; use off, error"));
    }
}
