//! The mutants fit the code as it is.

use std::collections::BTreeSet;

use super::*;
use crate::mutants::workshop::root;

#[test]
fn each_mutant_changes_a_text_that_occurs_exactly_once() {
    let mut wrong = Vec::new();
    for mutant in all() {
        for Edit(file, find, instead) in mutant.edits {
            let text = std::fs::read_to_string(root().join(file)).unwrap_or_default();
            let times = text.matches(find).count();
            if times != 1 || find == instead {
                wrong.push(format!("{}: {file} holds its text {times} times: {find}", mutant.name));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "the code moved on, and these mutants did not: bring the text to be found in crates/simulation/src/mutants up to date, then see \
         that the fault is still found, with: cargo run --release -p simulation -- --mutants NAME\n{}",
        wrong.join("\n")
    );
}

#[test]
fn each_mutant_has_a_name_of_its_own_a_sentence_and_something_to_change() {
    let names: BTreeSet<&str> = all().map(|mutant| mutant.name).collect();
    assert_eq!(names.len(), all().count());
    assert!(names.len() >= 30);
    for mutant in all() {
        assert!(!mutant.edits.is_empty() && !mutant.wrong.is_empty() && !mutant.wrong.ends_with('.'), "{}", mutant.name);
        assert!(mutant.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", mutant.name);
        assert!(mutant.edits.iter().all(|Edit(file, ..)| file.starts_with("src/")), "{}: only the operator itself has faults", mutant.name);
    }
}
