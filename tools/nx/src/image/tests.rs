//! The packer on made-up programs: layout, determinism, refusals.
