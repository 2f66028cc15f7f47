//! The whole run: every engine at every size, in processes of their own, then the verdict.
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::time::Instant;

use serde_json::Value;

use crate::list::{ENTRIES, Entry, Role, SIZES};
use crate::{plot, report};

/// Sizes of the quick run.
const QUICK: [usize; 2] = [10, 1_000];
/// Callgrind processes at once.
const WORKERS: usize = 2;

/// The entry that has an empty body.
pub const LOOP: &str = "loop";

/// What was measured, by engine and size.
#[derive(Default)]
pub struct Results {
    /// Sizes of this run.
    pub sizes: Vec<usize>,
    cells: BTreeMap<(&'static str, usize), Cell>,
}

/// One engine at one size.
#[derive(Default)]
pub struct Cell {
    /// The JSON line of `measure`.
    pub measured: Value,
    /// The JSON line of `bench_policy_heap`.
    pub heap: Value,
    /// Instructions per decision, the loop included.
    pub instructions: f64,
}

impl Results {
    /// What was measured for an engine at a size.
    pub fn get(&self, key: &'static str, size: usize) -> Option<&Cell> {
        self.cells.get(&(key, size))
    }

    /// Instructions per decision: the loop around it, counted with an empty body, is
    /// subtracted from every engine alike.
    pub fn instructions(&self, key: &'static str, size: usize) -> Option<f64> {
        let counted = self.get(key, size)?.instructions;
        Some(if key == LOOP { counted } else { counted - self.get(LOOP, size)?.instructions })
    }

    /// A number of the JSON lines.
    pub fn number(&self, key: &'static str, size: usize, field: &str) -> Option<f64> {
        let cell = self.get(key, size)?;
        cell.measured.get(field).or_else(|| cell.heap.get(field))?.as_f64()
    }
}

type Task = (&'static Entry, usize);

/// Measures, reports and judges. The quick run measures two sizes and leaves `docs/` alone.
pub fn run(quick: bool) -> ExitCode {
    let started = Instant::now();
    let mut results = match gather(quick) {
        Ok(results) => results,
        Err(error) => {
            eprintln!("bench-policy: {error}");
            return ExitCode::from(2);
        }
    };
    results.sizes.sort_unstable();
    let failures = report::judge(&results);
    println!("{}", report::summary(&results));
    if !quick {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        for (name, text) in [
            ("bench-policy.md", report::page(&results, &failures)),
            ("bench-policy.svg", plot::draw(&results)),
        ] {
            if let Err(error) = std::fs::write(docs.join(name), text) {
                eprintln!("bench-policy: docs/{name}: {error}");
                return ExitCode::from(2);
            }
            println!("wrote docs/{name}");
        }
    }
    for failure in &failures {
        println!("FAILED: {failure}");
    }
    println!("{} s", started.elapsed().as_secs());
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn gather(quick: bool) -> Result<Results, String> {
    let sizes: Vec<usize> = if quick { QUICK.to_vec() } else { SIZES.to_vec() };
    let mut tasks: Vec<Task> = Vec::new();
    for size in &sizes {
        let asked = ENTRIES.iter().filter(|entry| *size <= entry.up_to);
        tasks.extend(asked.filter(|entry| !quick || entry.role != Role::Other).map(|e| (e, *size)));
    }
    let progress = Progress { done: Mutex::new(0), total: tasks.len() * 2 };
    let mut results = Results { sizes, ..Results::default() };
    // Times first and one after another: nothing else of ours runs meanwhile.
    for (entry, size) in &tasks {
        let measured = measure(entry.key, *size)?;
        let ns = measured.get("ns").and_then(Value::as_f64).unwrap_or(f64::NAN);
        progress.step(&format!("{} at {size}: {}", entry.key, report::duration(ns)));
        let heap = heap(entry.key, *size)?;
        let cell = Cell { measured, heap, instructions: f64::NAN };
        results.cells.insert((entry.key, *size), cell);
    }
    for ((key, size), instructions) in count_all(&tasks, &progress)? {
        if let Some(cell) = results.cells.get_mut(&(key, size)) {
            cell.instructions = instructions;
        }
    }
    Ok(results)
}

struct Progress {
    done: Mutex<usize>,
    total: usize,
}

impl Progress {
    fn step(&self, what: &str) {
        let mut done = self.done.lock().expect("no holder panics");
        *done += 1;
        eprintln!("[{:>2}/{}] {what}", *done, self.total);
    }
}

type Counted = ((&'static str, usize), f64);

fn count_all(tasks: &[Task], progress: &Progress) -> Result<Vec<Counted>, String> {
    // The largest last through the queue's other end: they take longest, so they start first.
    let queue: Mutex<VecDeque<Task>> = Mutex::new(tasks.iter().copied().collect());
    let worker = || -> Result<Vec<Counted>, String> {
        let mut counted = Vec::new();
        loop {
            let next = queue.lock().expect("no holder panics").pop_back();
            let Some((entry, size)) = next else { return Ok(counted) };
            let instructions = count(entry, size)?;
            let text = report::number(instructions);
            progress.step(&format!("{} at {size}: {text} instructions", entry.key));
            counted.push(((entry.key, size), instructions));
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.join().map_err(|_| "a worker panicked".to_owned())??);
        }
        Ok(all)
    })
}

fn own() -> Result<std::path::PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("own path: {error}"))
}

fn measure(key: &str, size: usize) -> Result<Value, String> {
    let mut command = Command::new(own()?);
    command.args(["measure", key, &size.to_string()]);
    json_line(&mut command, key, size)
}

fn heap(key: &str, size: usize) -> Result<Value, String> {
    let mut command = Command::new(own()?.with_file_name("bench_policy_heap"));
    command.args([key, &size.to_string()]);
    json_line(&mut command, key, size)
}

fn json_line(command: &mut Command, key: &str, size: usize) -> Result<Value, String> {
    let (out, _) = output(command, key, size)?;
    let line = out.lines().rev().find(|line| line.starts_with('{')).unwrap_or("");
    serde_json::from_str(line).map_err(|error| format!("{key} at {size}: {error}"))
}

/// Instructions of the decision loop alone, by callgrind.
fn count(entry: &Entry, size: usize) -> Result<f64, String> {
    let rounds = entry.counted(size);
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg("--toggle-collect=*decision_loop*")
        .arg(own()?)
        .args(["count", entry.key, &size.to_string(), &rounds.to_string()]);
    let (_, err) = output(&mut command, entry.key, size)?;
    let total = err.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    let total: f64 = total.ok_or_else(|| format!("callgrind counted nothing:\n{err}"))?;
    Ok(total / rounds as f64)
}

fn output(command: &mut Command, key: &str, size: usize) -> Result<(String, String), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| match program.as_str() {
        "valgrind" => format!("valgrind: {error} (apt-get install valgrind)"),
        _ => format!("{program}: {error}"),
    })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok((text(&output.stdout), text(&output.stderr)))
    } else {
        Err(format!("{key} at {size} failed:\n{}", text(&output.stderr)))
    }
}
