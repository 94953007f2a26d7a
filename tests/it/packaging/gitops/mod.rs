//! What deployment tools (Argo CD, Flux, Helm, kubectl) make of the two kinds: their verdicts on every state, and that
//! nothing they applied looks changed.

mod consumers;
mod documents;
mod round_trip;
mod states;
mod verdicts;
