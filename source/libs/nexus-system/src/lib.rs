//! Generated constants.
