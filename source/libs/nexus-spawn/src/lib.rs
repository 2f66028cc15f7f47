//! Spawning.
