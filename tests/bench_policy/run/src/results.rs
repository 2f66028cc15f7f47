//! What was measured, kept in a file so that a run that is broken off is not lost.
use std::path::Path;

use serde_json::{Map, Value, json};

/// The entry that has an empty body.
pub const LOOP: &str = "loop";

/// What was measured, by engine and size.
pub struct Results {
    /// Sizes of this run.
    pub sizes: Vec<usize>,
    /// Two sizes, no page.
    pub quick: bool,
    cells: Map<String, Value>,
}

fn key_of(engine: &str, size: usize) -> String {
    format!("{engine} at {size}")
}

impl Results {
    /// Nothing measured yet.
    pub fn new(sizes: &[usize], quick: bool) -> Self {
        Self { sizes: sizes.to_vec(), quick, cells: Map::new() }
    }

    /// What an earlier run left.
    pub fn read(path: &Path) -> Result<Self, String> {
        let at = |error: String| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|e| at(e.to_string()))?;
        let whole: Value = serde_json::from_str(&text).map_err(|e| at(e.to_string()))?;
        let sizes = whole["sizes"].as_array().ok_or_else(|| at("no sizes".into()))?;
        Ok(Self {
            sizes: sizes.iter().filter_map(|size| Some(size.as_u64()? as usize)).collect(),
            quick: whole["quick"] == true,
            cells: whole["cells"].as_object().cloned().unwrap_or_default(),
        })
    }

    /// Keeps it.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let whole = json!({
            "sizes": self.sizes, "quick": self.quick, "cells": self.cells,
        });
        std::fs::write(path, whole.to_string()).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Adds the fields of `found`.
    pub fn add(&mut self, engine: &str, size: usize, found: Value) {
        let cell = self.cells.entry(key_of(engine, size)).or_insert_with(|| json!({}));
        if let (Some(cell), Value::Object(found)) = (cell.as_object_mut(), found) {
            cell.extend(found);
        }
    }

    /// A number that was measured for an engine at a size.
    pub fn number(&self, engine: &str, size: usize, field: &str) -> Option<f64> {
        self.cells.get(&key_of(engine, size))?.get(field)?.as_f64()
    }

    /// Instructions per decision: the loop around it, counted with an empty body, is
    /// subtracted from every engine alike.
    pub fn instructions(&self, engine: &str, size: usize) -> Option<f64> {
        let counted = self.number(engine, size, "instructions")?;
        Some(if engine == LOOP {
            counted
        } else {
            counted - self.number(LOOP, size, "instructions")?
        })
    }

    /// Least and most of a number over all engines and sizes.
    pub fn range(&self, field: &str) -> Option<(f64, f64)> {
        let all = self.cells.values().filter_map(|cell| cell.get(field)?.as_f64());
        all.fold(None, |range, value| {
            let (least, most) = range.unwrap_or((value, value));
            Some((least.min(value), most.max(value)))
        })
    }
}
