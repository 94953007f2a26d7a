//! The values that every room shares. They are parsed once, and say by their type what was checked.

pub mod document;
pub mod domain;
pub mod identity;
