//! What the unit tests share: builders, the seeds of drawn cases, and ports of what reads a status.

pub(crate) mod builders;
pub(crate) mod kstatus;
pub(crate) mod seeds;
