//! One engine, one size, one process.
use std::time::{Duration, Instant};

use criterion::Criterion;
use serde_json::json;

use crate::engine::{Engine, Fresh, decision_loop};
use crate::engines::{
    Array, Cached, Cedar, Hash, Interned, Linear, Lines, Links, Long, Nothing, Numbered, Object,
    Packed, Rego, Sel, Sorted, Text,
};
use crate::list::{Entry, Role, entry_of};
use crate::workload::{QUESTIONS, Question, World};

/// Everything random derives from this.
const SEED: u64 = 0x6e65_7875_7320_7365;
/// Time criterion may spend on one engine and size, beside its warm-up.
const TIME: Duration = Duration::from_millis(900);

/// What is done with one engine at one size.
pub trait Job {
    /// Does it.
    fn run<E: Engine>(&self, entry: &Entry, world: &World, questions: &[Question]);
}

/// Does a job with the engine of that name.
pub fn with(engine: &str, size: usize, job: &impl Job) {
    let entry = entry_of(engine);
    let world = World::generate(size, SEED);
    let questions = world.questions(QUESTIONS, SEED);
    macro_rules! run {
        ($engine:ty) => {
            job.run::<$engine>(entry, &world, &questions)
        };
    }
    match engine {
        "loop" => run!(Nothing),
        "interned" => run!(Interned),
        "packed" => run!(Packed),
        "sel" => run!(Sel),
        "long" => run!(Long),
        "hash" => run!(Hash),
        "sorted" => run!(Sorted),
        "linear" => run!(Linear),
        "cedar" => run!(Fresh<Cedar>),
        "cedar-ready" => run!(Cedar),
        "rego" => run!(Fresh<Rego<Object>>),
        "rego-number" => run!(Fresh<Rego<Numbered>>),
        "rego-array" => run!(Fresh<Rego<Array>>),
        "rego-text" => run!(Fresh<Rego<Text>>),
        "rego-ready" => run!(Rego<Object>),
        "rego-number-ready" => run!(Rego<Numbered>),
        "rego-array-ready" => run!(Rego<Array>),
        "casbin" => run!(Fresh<Links>),
        "casbin-ready" => run!(Links),
        "casbin-lines" => run!(Lines),
        "casbin-cached" => run!(Cached),
        _ => panic!("no engine `{engine}`"),
    }
}

/// Checks the answers, then measures time and load; one JSON line.
pub fn measure(engine: &str, size: usize) {
    with(engine, size, &Measure { size });
}

/// Runs the decision loop for callgrind.
pub fn count(engine: &str, size: usize, rounds: usize) {
    with(engine, size, &Count { rounds });
}

struct Measure {
    size: usize,
}

impl Job for Measure {
    fn run<E: Engine>(&self, entry: &Entry, world: &World, questions: &[Question]) {
        let source = E::source(world);
        let before = peak_kib(true);
        let started = Instant::now();
        let mut engine = E::load(&source);
        let load = started.elapsed();
        let peak = peak_kib(false).saturating_sub(before);
        let checked = entry.checked(self.size);
        let asked = questions.get(..checked).unwrap_or(questions);
        let queries: Vec<E::Query> = asked.iter().map(|q| engine.query(q)).collect();
        if entry.role != Role::Loop {
            check(&mut engine, &queries, asked, entry.key);
        }
        let ns = time(&mut engine, &queries, &format!("{}-{}", entry.key, self.size));
        let result = json!({
            "ns": ns,
            "load_ms": load.as_secs_f64() * 1e3,
            "peak_kib": peak,
            "image_bytes": E::image_bytes(&source),
            "rules": world.rule_count(),
            "checked": checked,
        });
        println!("{result}");
    }
}

struct Count {
    rounds: usize,
}

impl Job for Count {
    fn run<E: Engine>(&self, _: &Entry, world: &World, questions: &[Question]) {
        let mut engine = E::load(&E::source(world));
        let asked = questions.get(..self.rounds).unwrap_or(questions);
        let queries: Vec<E::Query> = asked.iter().map(|q| engine.query(q)).collect();
        println!("{}", decision_loop(&mut engine, &queries, self.rounds));
    }
}

/// Nothing is timed that answers wrongly.
fn check<E: Engine>(engine: &mut E, queries: &[E::Query], asked: &[Question], name: &str) {
    for (query, question) in queries.iter().zip(asked) {
        let (subject, capability) = (question.subject, &question.name);
        let (answer, right) = (engine.decide(query), question.allowed);
        assert!(answer == right, "{name}: {subject} {capability}: {answer}, not {right}");
    }
}

/// The median time of one decision in nanoseconds, by criterion.
fn time<E: Engine>(engine: &mut E, queries: &[E::Query], id: &str) -> f64 {
    let dir = std::env::temp_dir().join(format!("bench-policy-{}", std::process::id()));
    let mut criterion = Criterion::default()
        .output_directory(&dir)
        .without_plots()
        .with_output_color(false)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(TIME)
        .nresamples(2_000)
        .sample_size(20);
    let mut group = criterion.benchmark_group("policy");
    group.sampling_mode(criterion::SamplingMode::Flat);
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|rounds| {
            let started = Instant::now();
            std::hint::black_box(decision_loop(engine, queries, rounds as usize));
            started.elapsed()
        });
    });
    group.finish();
    let path = dir.join("policy").join(id).join("new/estimates.json");
    let text = std::fs::read_to_string(&path).expect("criterion wrote its estimates");
    let estimates: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let _ = std::fs::remove_dir_all(&dir);
    estimates["median"]["point_estimate"].as_f64().expect("an estimate")
}

/// The resident peak so far; `reset` starts a new peak at what is resident now.
fn peak_kib(reset: bool) -> u64 {
    if reset {
        // Where this is not permitted the peak includes the generation of the policy.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
