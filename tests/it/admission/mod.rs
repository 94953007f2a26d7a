//! What is taken and what is refused: by the API server, by the operator for the tenant's sake, and with kubectl alone.

mod examples;
mod fixtures;
mod refusals;
