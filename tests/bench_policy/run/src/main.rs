//! Runs every engine at every size in processes of its own, holds the figures against what is
//! promised, and writes `docs/bench-policy.md` and `docs/bench-policy.svg`.
//!
//! `run` measures anew, `resume` what is missing from a run that was broken off, `render`
//! nothing; `--quick` measures two sizes and leaves `docs/` alone.
#![forbid(unsafe_code)]
// The same list that the engines are built with; a crate of its own would tie their builds.
#[path = "../../src/list.rs"]
#[allow(dead_code, reason = "the engines use the rest")]
mod list;
mod machine;
mod measured;
mod plot;
mod report;
mod results;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use results::Results;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["run"] => run(Results::new(&list::SIZES, false)),
        ["run", "--quick"] => run(Results::new(&list::QUICK, true)),
        ["resume"] => Results::read(&kept()).and_then(run),
        ["render"] => Results::read(&kept()).and_then(|results| render(&results)),
        _ => {
            eprintln!("usage: bench_policy_run run [--quick] | resume | render");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench-policy: {error}");
            ExitCode::from(2)
        }
    }
}

/// Where the figures are kept: beside the engines.
fn kept() -> PathBuf {
    measured::beside("results.json")
}

fn run(mut results: Results) -> Result<bool, String> {
    let started = Instant::now();
    measured::gather(&mut results, &kept())?;
    results.write(&kept())?;
    let sound = render(&results)?;
    println!("{} s", started.elapsed().as_secs());
    Ok(sound)
}

/// Shows and judges; writes the page of a whole run. True if every promise holds.
fn render(results: &Results) -> Result<bool, String> {
    let failures = report::judge(results);
    println!("{}", report::summary(results));
    if !results.quick {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs");
        for (name, text) in [
            ("bench-policy.md", report::page(results, &failures)),
            ("bench-policy.svg", plot::draw(results)),
        ] {
            std::fs::write(docs.join(name), text).map_err(|e| format!("docs/{name}: {e}"))?;
            println!("wrote docs/{name}");
        }
    }
    for failure in &failures {
        println!("FAILED: {failure}");
    }
    Ok(failures.is_empty())
}
