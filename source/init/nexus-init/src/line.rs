//! One console line at a time, without allocation.

use core::fmt::{self, Write};

use nexus_abi::Sys;

/// Longest line: a 48-byte name and what is said about it.
const LINE_MAX: usize = 160;

/// Prints a line; what does not fit is cut.
pub(crate) fn say<S: Sys>(sys: &mut S, text: fmt::Arguments<'_>) {
    let mut line = heapless::String::<LINE_MAX>::new();
    let _cut = line.write_fmt(text);
    sys.console(&line);
    sys.console("\n");
}
