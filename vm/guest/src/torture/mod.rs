//! Clients of every kind on one device, for one round: something happens to the device meanwhile.
//!
//! A client goes on until it has seen the device lost, or until it is told that the round is over.

mod client;
pub mod report;
mod roles;

use std::fs;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use fastrand::Rng;

use crate::fuzz::Calls;
use crate::fuzz::activity::Activity;
use client::{Client, Stop};
use report::{Options, Report};
use roles::{CAST, Session};

/// Makes this program the clients of a round. Its argument is [`Options`] in JSON; it prints a [`Report`].
pub const TORTURE: &str = "torture";
/// A file that is made at the beginning. As soon as there is something in it, the round is over.
pub const OVER: &str = "/tmp/torture.over";
/// What is said, with the seed behind it, when every client has made some steps.
pub const WORKING: &str = "all clients work";

/// How often the main thread looks around.
const LOOK: Duration = Duration::from_millis(10);
/// Steps of each client until the round may go on.
const STEPS: u64 = 2;

/// Runs a round, and prints what came of it.
///
/// # Errors
/// Options that cannot be read, or no memory.
pub fn main(options: &str) -> io::Result<()> {
    let options: Options = serde_json::from_str(options)?;
    fs::write(OVER, "")?;
    let report = run(options)?;
    println!("{}", serde_json::to_string(&report)?);
    io::stdout().flush()
}

/// What a client shows of itself.
#[derive(Default)]
struct Shown {
    activity: Activity,
    steps: AtomicU64,
}

fn run(options: Options) -> io::Result<Report> {
    // Threads that do not end are left behind.
    let options: &Options = Box::leak(Box::new(options));
    let shown: &[Shown] = Vec::leak(CAST.iter().map(|_| Shown::default()).collect());
    let reports: &Mutex<Report> = Box::leak(Box::default());
    let over: &AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
    let caller = Calls::begin(options.seed, options.info, options.commands.clone())?;
    let clients: Vec<_> = (0..)
        .zip(CAST)
        .zip(shown)
        .map(|((number, (name, session)), shown)| {
            thread::spawn(move || {
                let random = Rng::with_seed(options.seed.wrapping_add(number));
                let Shown { activity, steps } = shown;
                let client = Client { options, random, activity, steps, over, report: Report::default() };
                let report = work(client, name, session);
                reports.lock().unwrap_or_else(PoisonError::into_inner).add(report);
            })
        })
        .collect();
    let limit = 2 * Duration::from_millis(options.limit_ms);
    let mut working = false;
    while !clients.iter().all(thread::JoinHandle::is_finished) {
        thread::sleep(LOOK);
        if !working && shown.iter().all(|shown| shown.steps.load(Ordering::Relaxed) >= STEPS) {
            working = true;
            eprintln!("{WORKING} {}", options.seed);
        }
        if fs::metadata(OVER).is_ok_and(|over| over.len() > 0) {
            over.store(true, Ordering::Relaxed);
        }
        let standing = CAST.iter().zip(shown).find(|(_, shown)| shown.activity.stands_since() > limit);
        if let Some(((name, _), shown)) = standing {
            let mut report = reports.lock().unwrap_or_else(PoisonError::into_inner).clone();
            report.findings.push(format!("{name}: {} does not end", shown.activity.name()));
            return Ok(report);
        }
    }
    let panicked = clients.into_iter().filter_map(|client| client.join().err()).count();
    let mut report = reports.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if panicked > 0 {
        report.findings.push(format!("{panicked} clients panicked"));
    }
    let calls = caller.end(limit);
    report.calls = calls.operations;
    report.findings.extend(calls.findings.into_iter().map(|finding| format!("caller: {finding}")));
    Ok(report)
}

/// One session after the other.
fn work(mut client: Client<'_>, name: &str, session: Session) -> Report {
    client.report.clients = 1;
    while client.goes_on() {
        match session(&mut client) {
            Ok(()) => {}
            Err(Stop::Busy) => thread::yield_now(),
            Err(Stop::Lost) => {
                client.report.lost = 1;
                break;
            }
            Err(Stop::Wrong(wrong)) => {
                client.report.findings.push(format!("{name}: {wrong}"));
                break;
            }
        }
    }
    client.report.steps.insert(name.to_owned(), client.steps.load(Ordering::Relaxed));
    client.report
}
