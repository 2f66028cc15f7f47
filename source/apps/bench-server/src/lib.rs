//! Bench server.
