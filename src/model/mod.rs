//! The values that every room shares. They are parsed once, and say by their type what was checked.

pub(crate) mod document;
pub(crate) mod domain;
pub(crate) mod identity;
