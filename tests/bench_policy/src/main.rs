//! One engine at one size, asked about one kind of figure: `measure` or `count`. The program
//! in `run/` starts these processes, so that no engine warms another's caches or heap.
#![forbid(unsafe_code)]
use bench_policy::measure;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["measure", engine, size] => measure::measure(engine, number(size)),
        ["count", engine, size, rounds] => measure::count(engine, number(size), number(rounds)),
        _ => {
            eprintln!("usage: bench_policy measure ENGINE SIZE | count ENGINE SIZE ROUNDS");
            std::process::exit(2);
        }
    }
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is not a number"))
}
