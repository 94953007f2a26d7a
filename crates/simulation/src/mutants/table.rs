//! The mutants as a table of a document.

use std::fmt::Write;
use std::path::Path;

use super::{Tried, Verdict};

/// Between these lines the table stands.
const BEGIN: &str = "<!-- begin: mutants -->";
const END: &str = "<!-- end: mutants -->";

/// Writes the table into a file, in place of the one that is there. A file without the two lines gets them at its end.
pub(super) fn write(file: &Path, tried: &[Tried]) -> Result<(), String> {
    let at = |error: std::io::Error| format!("{}: {error}", file.display());
    let old = if file.exists() { std::fs::read_to_string(file).map_err(at)? } else { String::new() };
    std::fs::write(file, put_into(&old, &rows(tried))).map_err(at)
}

fn put_into(text: &str, table: &str) -> String {
    let whole = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = whole.unwrap_or((text, "\n"));
    format!("{before}{BEGIN}\n{table}{END}{after}")
}

fn rows(tried: &[Tried]) -> String {
    let mut text = String::from("| room | what is wrong | found after | as it breaks the law |\n|---|---|---|---|\n");
    for Tried { mutant, verdict, .. } in tried {
        let (after, law) = match verdict {
            Verdict::Found { histories, law } => (histories.to_string(), law.map_or("", |law| law.sentence())),
            Verdict::Missed => ("not found".to_owned(), ""),
            Verdict::Broken(_) => ("not tried".to_owned(), ""),
        };
        // Writing to a text does not fail.
        let _ = writeln!(text, "| {} | {} (`{}`) | {after} | {law} |", mutant.room, mutant.wrong, mutant.name);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_takes_the_place_of_the_one_that_is_there() {
        let first = put_into("# Title\n", "a\n");
        assert_eq!(first, format!("# Title\n{BEGIN}\na\n{END}\n"));
        assert_eq!(put_into(&format!("{first}more\n"), "b\n"), format!("# Title\n{BEGIN}\nb\n{END}\nmore\n"));
    }
}
