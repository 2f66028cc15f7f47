//! RISC-V island.
