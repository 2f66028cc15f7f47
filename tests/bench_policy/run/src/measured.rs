//! The measuring processes: one per engine, size and kind of figure.
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::list::{ENTRIES, Entry, Role};
use crate::results::Results;
use crate::{machine, report};

/// Callgrind processes at once.
const WORKERS: usize = 2;
/// Seconds one process may take. What takes longer is missing from the page, and the run fails.
const LONGEST_S: u32 = 300;

type Task = (&'static Entry, usize);

/// A file in the folder of this program; the engines are built there.
pub fn beside(name: &str) -> PathBuf {
    std::env::current_exe().unwrap_or_default().with_file_name(name)
}

/// Measures what `results` does not have yet, and keeps every figure in `kept` at once.
pub fn gather(results: &mut Results, kept: &Path) -> Result<(), String> {
    let mut tasks: Vec<Task> = Vec::new();
    for size in &results.sizes {
        let asked = ENTRIES.iter().filter(|entry| *size <= entry.up_to);
        let asked = asked.filter(|entry| !results.quick || entry.role != Role::Other);
        tasks.extend(asked.map(|entry| (entry, *size)));
    }
    let lacks = |results: &Results, field: &str| -> Vec<Task> {
        let has = |task: &&Task| results.number(task.0.key, task.1, field).is_none();
        tasks.iter().filter(has).copied().collect()
    };
    let (times, counts) = (lacks(results, "ns"), lacks(results, "instructions"));
    let total = times.len() + counts.len();
    let mut done = 0;
    let mut step = |what: String| {
        done += 1;
        eprintln!("[{done:>3}/{total}] {what}");
    };
    // Times first and one after another: nothing else of ours runs meanwhile.
    for (entry, size) in times {
        let found = measure(entry.key, size)?;
        let ns = found.get("ns").and_then(Value::as_f64).unwrap_or(f64::NAN);
        step(format!("{} at {size}: {}", entry.key, report::duration(ns)));
        results.add(entry.key, size, found);
        results.add(entry.key, size, json!({ "load": machine::load() }));
        results.add(entry.key, size, heap(entry.key, size)?);
        results.write(kept)?;
    }
    count_all(counts, |(entry, size), instructions| {
        step(format!("{} at {size}: {} instructions", entry.key, report::number(instructions)));
        results.add(entry.key, size, json!({ "instructions": instructions }));
        results.write(kept)
    })
}

/// Counts with several processes; `found` is told one after another.
fn count_all(
    tasks: Vec<Task>,
    found: impl FnMut(Task, f64) -> Result<(), String> + Send,
) -> Result<(), String> {
    let queue: Mutex<VecDeque<Task>> = Mutex::new(tasks.into());
    let found = Mutex::new(found);
    let worker = || -> Result<(), String> {
        loop {
            let next = queue.lock().expect("no holder panics").pop_front();
            let Some((entry, size)) = next else { return Ok(()) };
            let instructions = count(entry, size)?;
            let mut found = found.lock().expect("no holder panics");
            found((entry, size), instructions)?;
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(&worker)).collect();
        for worker in workers {
            worker.join().map_err(|_| "a worker panicked".to_owned())??;
        }
        Ok(())
    })
}

fn measure(key: &str, size: usize) -> Result<Value, String> {
    json_line(limited(&beside("bench_policy"), &["measure", key, &size.to_string()]), key, size)
}

fn heap(key: &str, size: usize) -> Result<Value, String> {
    json_line(limited(&beside("bench_policy_heap"), &[key, &size.to_string()]), key, size)
}

fn limited(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", &LONGEST_S.to_string()]).arg(program).args(args);
    command
}

fn json_line(command: Command, key: &str, size: usize) -> Result<Value, String> {
    let (out, _) = output(command, key, size)?;
    let line = out.lines().rev().find(|line| line.starts_with('{')).unwrap_or("");
    serde_json::from_str(line).map_err(|error| format!("{key} at {size}: {error}"))
}

/// Instructions of the decision loop alone, by callgrind.
fn count(entry: &Entry, size: usize) -> Result<f64, String> {
    let rounds = entry.counted(size);
    let mut command = limited(
        Path::new("valgrind"),
        &[
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--collect-atstart=no",
            "--toggle-collect=*decision_loop*",
        ],
    );
    command.arg(beside("bench_policy"));
    command.args(["count", entry.key, &size.to_string(), &rounds.to_string()]);
    let (_, err) = output(command, entry.key, size)?;
    let total = err.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    let total: f64 = total.ok_or_else(|| format!("callgrind counted nothing:\n{err}"))?;
    Ok(total / rounds as f64)
}

fn output(mut command: Command, key: &str, size: usize) -> Result<(String, String), String> {
    let output = command.output().map_err(|error| format!("timeout: {error} (coreutils)"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.code() {
        Some(0) => Ok((text(&output.stdout), text(&output.stderr))),
        Some(127) => Err("valgrind is not installed (apt-get install valgrind)".to_owned()),
        Some(137) | None => Err(format!("{key} at {size} took more than {LONGEST_S} s")),
        Some(_) => Err(format!("{key} at {size} failed:\n{}", text(&output.stderr))),
    }
}
