//! What the operator logs: looked through for secrets, and kept where a story is told.
//!
//! A subscriber of its own, as cheap as can be: it writes the fields of a line into one buffer. It is set for the thread, and
//! hands each line to the history that runs there.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

/// Who is told of lines.
pub trait Lines: Send + Sync {
    /// A line: its level, and its text.
    fn line(&self, level: Level, text: &str);
    /// The most that is wanted.
    fn level(&self) -> Level;
}

thread_local! {
    static LISTENER: RefCell<Option<Arc<dyn Lines>>> = const { RefCell::new(None) };
    static BUFFER: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Sets who is told of the lines of this thread from now on.
pub fn listen(listener: Option<Arc<dyn Lines>>) {
    LISTENER.with_borrow_mut(|slot| *slot = listener);
}

/// The subscriber.
#[derive(Debug, Default)]
pub struct Listening;

impl Listening {
    fn tell(level: Level, record: impl FnOnce(&mut Text<'_>)) {
        let Some(listener) = LISTENER.with_borrow(Clone::clone) else { return };
        let mut text = BUFFER.take();
        text.clear();
        record(&mut Text(&mut text));
        listener.line(level, &text);
        BUFFER.set(text);
    }
}

impl Subscriber for Listening {
    /// Asked once for each place in the code, maybe while nobody listens: so it does not depend on who does.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.target().starts_with("upstream_params_operator") { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("upstream_params_operator")
            && LISTENER.with_borrow(|listener| listener.as_ref().is_some_and(|listener| *metadata.level() <= listener.level()))
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        Self::tell(Level::TRACE, |text| attributes.record(text));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        Self::tell(Level::TRACE, |text| values.record(text));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        Self::tell(*event.metadata().level(), |text| event.record(text));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    /// The same as [`Self::record_debug`] adds, and most fields are text.
    fn record_str(&mut self, field: &Field, value: &str) {
        let name: &[&str] = if field.name() == "message" { &[] } else { &[field.name(), "="] };
        for part in name.iter().chain([&value, &" "]) {
            self.0.push_str(part);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}

impl Text<'_> {
    /// Adds a field; writing to a text does not fail.
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let _ = match field.name() {
            "message" => write!(self.0, "{value} "),
            name => write!(self.0, "{name}={value} "),
        };
    }
}
