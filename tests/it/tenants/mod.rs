//! The tenant object and its Secret: what makes a tenant unusable, what its objects say meanwhile, and whose trouble a trouble is.

mod blame;
mod secrets;
mod unusable;
