//! The console: every process has one line; the kernel prints it with the stamp of its origin.

use nexus_abi::layout::FRAME_MAX;

use crate::{
    Kernel, Machine,
    limits::{CONSOLE_LINE, MAX_PROCESSES},
    table::Table,
    types::ProcIndex,
};

#[derive(Clone, Copy)]
struct Line {
    bytes: [u8; CONSOLE_LINE],
    len: usize,
}

/// Unfinished lines of all processes.
pub(crate) struct Console(Table<Line, MAX_PROCESSES>);

impl Console {
    pub(crate) const fn new() -> Self {
        Console(Table::new(Line { bytes: [0; CONSOLE_LINE], len: 0 }))
    }
}

impl Kernel {
    pub(crate) fn console_write<M: Machine>(&mut self, m: &mut M, cur: ProcIndex, len: usize) {
        let mut frame = [0u8; FRAME_MAX];
        let Some(text) = frame.get_mut(..len) else { return };
        m.read_frame(cur, text);
        for byte in text {
            if *byte == b'\n' {
                self.print_line(m, cur);
                continue;
            }
            if self.console.0.at(cur.index()).len == CONSOLE_LINE {
                self.print_line(m, cur);
            }
            let line = self.console.0.at_mut(cur.index());
            if let Some(place) = line.bytes.get_mut(line.len) {
                *place = printable(*byte);
                line.len = line.len.saturating_add(1);
            }
        }
    }

    fn print_line<M: Machine>(&mut self, m: &mut M, origin: ProcIndex) {
        let line = self.console.0.at_mut(origin.index());
        let len = core::mem::take(&mut line.len);
        if let Some(text) = line.bytes.get(..len) {
            m.console_line(self.procs.get(origin).service, text);
        }
    }

    /// The process ended: what it had begun to write is still printed.
    pub(crate) fn flush_line<M: Machine>(&mut self, m: &mut M, origin: ProcIndex) {
        if self.console.0.at(origin.index()).len != 0 {
            self.print_line(m, origin);
        }
    }
}

/// No control byte reaches the terminal, so no process can overwrite another's stamp.
fn printable(byte: u8) -> u8 {
    if byte == b' ' || byte.is_ascii_graphic() { byte } else { b'?' }
}
