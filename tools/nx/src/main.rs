//! The host CLI.
fn main() {}
