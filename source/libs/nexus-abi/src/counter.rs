//! Counting instructions, on the host, where there is nothing to count.

/// Instructions retired: always 0 here.
#[must_use]
pub fn instret() -> u64 {
    0
}

/// Ten instructions that do nothing.
pub fn nop10() {}
