//! Policy authority.
