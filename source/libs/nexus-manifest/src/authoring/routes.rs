//! The manifest and the policy must agree about who may call whom.

use super::{
    diag::{Diagnostics, Sink},
    model::System,
};

impl System {
    /// Compares declared routes with the policy: `permits(from, to)` says whether the service
    /// with id `from` holds the right to connect to the service named `to`. The supervisor is
    /// left out: its one channel is wired at start and never asked for.
    ///
    /// # Errors
    /// A declared route that the policy refuses (the service would fail at its first connect)
    /// and a permitted one that nobody declared (a dead rule, or a forgotten call).
    pub fn check_routes(&self, permits: &dyn Fn(u64, &str) -> bool) -> Result<(), Diagnostics> {
        let sink = Sink::new(&self.source);
        for (from_at, from) in self.services.iter().enumerate() {
            if from_at == self.supervisor {
                continue;
            }
            for (to_at, to) in self.services.iter().enumerate() {
                if to.provides.is_none() || to_at == from_at {
                    continue;
                }
                let declared = from.calls.iter().find(|c| c.value == to_at);
                let permitted = permits(from.id.value, &to.name.value);
                let (from_name, to_name) = (&from.name.value, &to.name.value);
                match (declared, permitted) {
                    (Some(call), false) => sink.help(
                        &call.span,
                        format!("the policy does not let `{from_name}` connect to `{to_name}`"),
                        format!("allow `route.{to_name}` for `{from_name}` in recipes/policy, or drop the call"),
                    ),
                    (None, true) => sink.help(
                        &from.name.span,
                        format!("the policy permits `route.{to_name}`, which `{from_name}` does not declare"),
                        format!("add \"{to_name}\" to `calls`, or drop the rule from recipes/policy"),
                    ),
                    _ => {}
                }
            }
        }
        sink.finish(Some(()))
    }
}
