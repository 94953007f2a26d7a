//! What the command `emulator` prints, run as it stands.
