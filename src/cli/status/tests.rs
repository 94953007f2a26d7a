//! What people and machines read of some objects.
