//! How an answer reads.
