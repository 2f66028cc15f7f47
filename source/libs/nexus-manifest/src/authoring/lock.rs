//! `recipes/system.lock`: an id once given to a name is never given to another.

use toml::de::DeTable;

use super::{
    diag::{Diagnostics, Sink, Source},
    model::System,
    read::Table,
};

/// Names and their ids, in file order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock(Vec<(String, u64)>);

const HEADER: &str =
    "# Ids once given to a name are never given to another. Append-only; written by `nx gen`.\n";

impl Lock {
    /// Reads the file.
    ///
    /// # Errors
    /// With the place of every entry that is no `name = id`.
    pub fn parse(source: &Source) -> Result<Lock, Diagnostics> {
        let sink = Sink::new(source);
        let (root, faults) = DeTable::parse_recoverable(&source.text);
        for fault in faults {
            sink.error(&fault.span().unwrap_or(0..0), fault.message());
        }
        let entries = Table::new(&sink, root.get_ref(), 0..0, String::new()).own_numbers();
        sink.finish(Some(Lock(entries)))
    }

    /// The file with every id of `system` added.
    #[must_use]
    pub fn updated(&self, system: &System) -> String {
        let mut entries = self.0.clone();
        for service in &system.services {
            let entry = (service.name.value.clone(), service.id.value);
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
        entries.sort_by_key(|(_, id)| *id);
        let lines: String = entries.iter().map(|(name, id)| format!("{name} = {id}\n")).collect();
        format!("{HEADER}{lines}")
    }

    /// Every id ever given, retired and reserved ones included.
    #[must_use]
    pub fn entries(&self) -> &[(String, u64)] {
        &self.0
    }
}

/// No service has changed its id or taken another's.
pub(crate) fn check(system: &System, lock: &Lock, sink: &Sink<'_>) {
    for service in &system.services {
        let (name, id) = (&service.name.value, service.id.value);
        for (locked_name, locked_id) in lock.0.iter() {
            if id != 0 && locked_name == name && *locked_id != id {
                let message = format!("`{name}` has had id {locked_id}, and ids do not change");
                let help = format!("write `id = {locked_id}`: recipes/system.lock remembers");
                sink.help(&service.id.span, message, help);
            }
            // While the other service is there too, this is reported as a duplicate.
            if locked_name != name && *locked_id == id && system.service(locked_name).is_none() {
                let message = format!("id {id} was given to `{locked_name}`");
                let help = "recipes/system.lock remembers every id; take a new one";
                sink.help(&service.id.span, message, help);
            }
        }
    }
}
