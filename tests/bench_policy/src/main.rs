//! Measures nexus-sel beside cedar-policy, regorus, casbin and the obvious tables on the same
//! generated policies, and fails where a promised figure is missed.
//!
//! `run [--quick]` is what `just bench-policy` calls; `measure` and `count` are the processes
//! it starts, one per engine and size, so that none warms another's caches or heap.
#![forbid(unsafe_code)]
use std::process::ExitCode;

use bench_policy::{measure, run};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["measure", engine, size] => measure::measure(engine, number(size)),
        ["count", engine, size, rounds] => measure::count(engine, number(size), number(rounds)),
        ["run"] => return run::run(false),
        ["run", "--quick"] => return run::run(true),
        _ => {
            eprintln!("usage: bench_policy run [--quick]");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is not a number"))
}
