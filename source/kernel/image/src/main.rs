//! Kernel image.
fn main() {}
