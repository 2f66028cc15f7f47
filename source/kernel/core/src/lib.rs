//! Pure kernel logic.
