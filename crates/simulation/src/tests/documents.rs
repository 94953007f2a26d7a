//! What documents say of the laws and the mutants is what the code says.
//!
//! `UPDATE_EXPECT=1 cargo test -p simulation documents` writes the table of the laws.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use expect_test::expect_file;

use crate::laws::Law;
use crate::mutants;

/// A page of the documentation: where it is, and what it says before a table, in it, and after it.
fn page(name: &str, table: &str) -> (PathBuf, [String; 3]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name).canonicalize().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- begin: {table} -->\n"), format!("<!-- end: {table} -->"));
    let (before, rest) = text.split_once(&begin).unwrap();
    let (within, after) = rest.split_once(&end).unwrap();
    (path, [format!("{before}{begin}"), within.to_owned(), format!("{end}{after}")])
}

/// The table is written by a run that takes an hour, so new mutants may not be in it yet.
#[test]
fn the_documented_mutants_are_there_and_do_what_is_said() {
    let (_, [_, table, _]) = page("mutants.md", "mutants");
    let rows: Vec<&str> = table.lines().skip(2).collect();
    assert!(rows.len() >= 15, "{rows:?}");
    for row in rows {
        let is_of = |mutant: &&mutants::Mutant| row.contains(&format!("| {} | {} (`{}`) |", mutant.room, mutant.wrong, mutant.name));
        assert!(mutants::all().any(|mutant| is_of(&mutant)), "{row}");
        assert!(!row.contains("| not found |") && !row.contains("| not tried |"), "{row}");
    }
}

#[test]
fn the_documented_laws_are_those_that_are_checked() {
    let (path, [before, _, after]) = page("simulation.md", "laws");
    let mut table = String::from("| law | what has to hold |\n|---|---|\n");
    for law in Law::ALL {
        writeln!(table, "| `{law:?}` | {law} |").unwrap();
    }
    expect_file![path].assert_eq(&format!("{before}{table}{after}"));
}
