//! The command that runs histories.

fn main() {}
