//! What commands print: colour where somebody looks at it, tables, and JSON or YAML for machines.
//!
//! Guarantees: colour only on a terminal, and not where `NO_COLOR` is set (<https://no-color.org>); a reader that went away,
//! as `head` does, is no error; what stands in a table or a line holds no control character, whatever a server sent.

use std::fmt::Display;
use std::io::Write;

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// How a command prints what it found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Text for people.
    #[default]
    Human,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// The colours, each for what it says.
pub(super) mod style {
    use super::{AnsiColor, Style};

    /// What is well, or is added.
    pub(in crate::cli) const GOOD: Style = AnsiColor::Green.on_default();
    /// What is wrong, or is removed.
    pub(in crate::cli) const BAD: Style = AnsiColor::Red.on_default().bold();
    /// What deserves a look, or is changed.
    pub(in crate::cli) const WARN: Style = AnsiColor::Yellow.on_default();
    /// What matters less.
    pub(in crate::cli) const DIM: Style = Style::new().dimmed();
    /// A title.
    pub(in crate::cli) const TITLE: Style = Style::new().bold();
}

/// A text in a style. The escape codes go where nobody wants colour.
pub(super) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Writes to standard output, with colour only for a terminal. A reader that went away is no error.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::AutoStream::auto(std::io::stdout()).lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Writes to standard error, with colour only for a terminal. Where that is closed there is nobody to tell.
pub(super) fn say(text: &str) {
    drop(writeln!(anstream::AutoStream::auto(std::io::stderr()), "{text}"));
}

/// Prints a value for machines.
pub(super) fn print_value(value: &impl Serialize, format: MachineFormat) -> anyhow::Result<()> {
    match format {
        MachineFormat::Json => print(&format!("{}\n", serde_json::to_string_pretty(value)?)),
        MachineFormat::Yaml => print(&yaml(value)?),
    }
}

/// A format for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MachineFormat {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

impl Format {
    /// Whether it is for machines.
    pub(super) fn machine(self) -> Option<MachineFormat> {
        match self {
            Self::Human => None,
            Self::Json => Some(MachineFormat::Json),
            Self::Yaml => Some(MachineFormat::Yaml),
        }
    }
}

/// A value as YAML, in the style of the CRDs.
pub(super) fn yaml(value: &impl Serialize) -> anyhow::Result<String> {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    Ok(serde_saphyr::to_string_with_options(value, options)?)
}

/// A table as `kubectl get` prints them: no lines, columns as wide as what is in them.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(|title| title.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().flat_map(|line| [line.trim_end().to_owned(), "\n".to_owned()]).collect()
}

/// A text on one line: what a server or a file sent may hold line breaks and escape codes, which a terminal would obey.
pub(super) fn printable(text: &str) -> String {
    let sober = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(sober).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_as_wide_as_what_is_in_it_and_ends_no_line_with_blanks() {
        let rows = [vec!["shop".to_owned(), "oidc".to_owned()], vec!["a-long-name".to_owned(), String::new()]];
        assert_eq!(table(&["name", "type"], rows), "NAME         TYPE\nshop         oidc\na-long-name\n");
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown_and_not_sent() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{9b}d"), r"a\u{1b}[2Jb\nc\u{9b}d");
        assert_eq!(printable("Größe"), "Größe");
    }
}
