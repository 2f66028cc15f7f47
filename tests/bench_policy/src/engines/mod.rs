//! The engines, each in the form that suits this workload best.
mod baseline;
mod casbin;
mod cedar;
mod regorus;
mod sel;

pub use baseline::{Hash, Linear, Nothing, Sorted};
pub use casbin::{Cached, Lines, Links};
pub use cedar::Cedar;
pub use regorus::{Array, Numbered, Object, Rego, Text};
pub use sel::{Interned, Long, Packed, Sel};
