//! Which build this is.

/// The version of the crate.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, where the build was told.
pub(crate) fn revision() -> Option<&'static str> {
    option_env!("UPO_COMMIT").filter(|commit| !commit.is_empty())
}
