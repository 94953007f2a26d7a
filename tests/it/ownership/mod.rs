//! Whose a parameter is, from the apply of an object to its end: taken over, shared, moved, handed on, corrected, observed, removed.

mod adoption;
mod cases;
mod deletion;
mod drift;
mod histories;
mod holes;
mod lifecycle;
mod moves;
mod observe;
mod sharing;
