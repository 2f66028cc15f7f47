//! Keys, what they sign and who vouches for them: preimages, certificates, quotes, sealed records.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
