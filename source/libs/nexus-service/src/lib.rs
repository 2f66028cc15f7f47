//! Service loop.
