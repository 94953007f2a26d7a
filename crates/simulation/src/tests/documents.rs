//! What documents say of the laws is what the code says.
//!
//! `UPDATE_EXPECT=1 cargo test -p simulation documents` writes the table.

use std::fmt::Write as _;
use std::path::Path;

use expect_test::expect_file;

use crate::laws::Law;

#[test]
fn the_documented_laws_are_those_that_are_checked() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/simulation.md").canonicalize().unwrap();
    let old = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- begin: laws -->\n", "<!-- end: laws -->");
    let (before, rest) = old.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let mut table = String::from("| law | what has to hold |\n|---|---|\n");
    for law in Law::ALL {
        writeln!(table, "| `{law:?}` | {law} |").unwrap();
    }
    expect_file![path].assert_eq(&format!("{before}{begin}{table}{end}{after}"));
}
