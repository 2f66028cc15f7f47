//! ELF load plans.
