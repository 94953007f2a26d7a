//! The pure middle.
