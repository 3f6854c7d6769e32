//! What one item costs among few and among many: for everything that users can make more of
//! (SCHED-13). `cargo xtask bench growth` runs it.
//!
//! Each case is run with a number of items, twice, four times and eight times as many. A growth of
//! 1 means that an item costs the same among eight times as many; 8 would mean that each is
//! searched for among all.
//!
//! | module | cases |
//! |---|---|
//! | `fences` | tasks, callbacks and fences made of others, all on one fence |
//! | `jobs` | jobs, queues and contexts of one scheduler |
//! | `device` | handles, waits, events, buffers, maps and subscriptions of one device |
#![allow(clippy::unwrap_used)] // a benchmark that panicked has no figure

#[path = "../../../../../crates/lifeboat/tests/at_once/mod.rs"]
mod at_once;
mod case;
mod device;
mod fences;
mod jobs;

use std::process::ExitCode;

use case::{Case, Row};

/// How many items the smallest run has, unless something else is said: then the largest has 8,000,
/// and a cost that grows with their number is seen well above the noise.
const ITEMS: usize = 1000;
/// Times as many in each of the runs.
const TIMES: [usize; 4] = [1, 2, 4, 8];

const HELP: &str = "\
What one item costs among few and among many, for everything that users can make more of.

Usage: cargo bench --package lifeboat --bench growth -- [OPTIONS]

Options:
      --items N    Items of the smallest run; the others have 2, 4 and 8 times as many [default: 1000]
      --only TEXT  Only the cases whose name contains this
      --json       Print rows {name, items, ns, growth, left} as JSON: nanoseconds an item for each number of items, the
                   last of these divided by the first, and bytes an item that stayed (null where items are meant to stay)
      --help       Print this";

struct Args {
    items: usize,
    only: String,
    json: bool,
}

fn main() -> ExitCode {
    let args = match parse(std::env::args().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("error: {error}; --help says what there is");
            return ExitCode::from(2);
        }
    };
    let cases: Vec<&Case> = [fences::CASES, jobs::CASES, device::CASES]
        .concat()
        .into_iter()
        .filter(|case| case.name.contains(&args.only))
        .collect();
    if cases.is_empty() {
        eprintln!("error: no case has `{}` in its name", args.only);
        return ExitCode::from(2);
    }
    let counts = TIMES.map(|times| times * args.items);
    let mut rows = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        eprintln!("{} of {}: {}", number + 1, cases.len(), case.name);
        rows.push(case.measure(&counts));
    }
    if args.json {
        println!("{}", serde_json::Value::Array(rows.iter().map(Row::json).collect()));
    } else {
        print!("{}", case::table(&counts, &rows));
    }
    ExitCode::SUCCESS
}

/// `None` if help is asked for.
fn parse(mut given: impl Iterator<Item = String>) -> Result<Option<Args>, String> {
    let mut args = Args { items: ITEMS, only: String::new(), json: false };
    while let Some(option) = given.next() {
        match option.as_str() {
            "--items" => {
                let number =
                    given.next().and_then(|value| value.parse().ok()).filter(|items| (1..=5000).contains(items));
                args.items = number.ok_or("--items needs a number from 1 to 5000")?;
            }
            "--only" => args.only = given.next().ok_or("--only needs a part of a name")?,
            "--json" => args.json = true,
            "--help" | "-h" => return Ok(None),
            // Cargo gives it to every benchmark.
            "--bench" => {}
            other => return Err(format!("there is no option `{other}`")),
        }
    }
    Ok(Some(args))
}
