//! Nothing here: the tests are in `tests/`, each boots the whole system in `nexus-sim`.
#![forbid(unsafe_code)]
