//! The operator as whoever runs it sees it: what ends it, what it serves, logs, tells and counts, and what it shows nobody.

pub(crate) mod leaks;
mod metrics;
mod process;
mod requests;
mod says;
