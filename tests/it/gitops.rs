//! What GitOps tools make of the two kinds: their verdicts on every state, and that nothing they applied looks changed.

mod consumers;
mod documents;
mod round_trip;
mod states;
mod verdicts;
