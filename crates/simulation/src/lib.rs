//! The operator under simulation: its own code runs, unchanged, in simulated time against a simulated API server and an
//! emulated tenant in the same process. One seed is one history, the same on every machine.

pub mod network;
pub mod noise;
pub mod tenant;
