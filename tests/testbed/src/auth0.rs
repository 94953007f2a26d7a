//! An emulated Auth0 tenant.
