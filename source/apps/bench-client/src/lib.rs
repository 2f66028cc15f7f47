//! Bench client.
