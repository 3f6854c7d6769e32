//! A fuzzer of the device's nodes: random calls, most of them good, by threads that share all they have.
//!
//! | file | concept |
//! |---|---|
//! | this one | a run: its threads, its end, and a call that has none |
//! | `shape`, `calls` | what is known of each call |
//! | `generator` | what a thread does, as its seed has it |
//! | `structure` | the structure of a call |
//! | `executor` | carries operations out and judges the answers |
//! | `resources` | what the threads have |
//! | `activity` | what a thread does at this moment |
//! | `background` | calls beside something else |
//! | `report` | what a run is given, and what comes of it |

pub(crate) mod activity;
mod background;
pub mod calls;
mod executor;
pub mod generator;
pub mod report;
pub mod resources;
pub mod shape;
mod structure;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use activity::Activity;
pub(crate) use background::Calls;
use executor::Executor;
use generator::Generator;
use report::{Options, Report};
use resources::World;

/// Makes this program the fuzzer. Its argument is [`Options`] in JSON; it prints a [`Report`].
pub const FUZZ: &str = "fuzz";

/// How often the main thread looks whether the others go on.
const LOOK: Duration = Duration::from_millis(100);
/// How often it says how far that is.
const TELL: Duration = Duration::from_secs(1);

/// Runs, and prints what came of it.
///
/// # Errors
/// Options that cannot be read, or no memory.
pub fn main(options: &str) -> io::Result<()> {
    let options: Options = serde_json::from_str(options)?;
    let report = run(&options)?;
    println!("{}", serde_json::to_string(&report)?);
    io::stdout().flush()
}

/// Runs until the time is over, or a call takes longer than the limit: then the report says so, and threads are left behind.
fn run(options: &Options) -> io::Result<Report> {
    let world: &World = Box::leak(Box::new(World::new()?));
    let options: &Options = Box::leak(Box::new(options.clone()));
    let activities: &[Activity] = Vec::leak((0..options.threads).map(|_| Activity::new()).collect());
    let reports: &Mutex<Report> = Box::leak(Box::default());
    let over: &AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
    let began = Instant::now();
    let threads: Vec<_> = (0..)
        .zip(activities)
        .map(|(number, activity)| {
            thread::spawn(move || {
                let mut generator = Generator::new(options.seed, number);
                let thread = usize::try_from(number).unwrap_or(0);
                let mut executor = Executor { options, world, thread, activity, report: Report::default() };
                while !over.load(Ordering::Relaxed) {
                    executor.perform(&generator.draw());
                }
                reports.lock().unwrap_or_else(PoisonError::into_inner).add(executor.report);
            })
        })
        .collect();
    let mut told = Instant::now();
    let limit = Duration::from_millis(options.limit_ms);
    while !threads.iter().all(thread::JoinHandle::is_finished) {
        thread::sleep(LOOK);
        if began.elapsed() >= Duration::from_millis(options.run_ms) {
            over.store(true, Ordering::Relaxed);
        }
        if told.elapsed() >= TELL {
            told = Instant::now();
            eprintln!("{} operations", activities.iter().map(Activity::begun).sum::<u64>());
        }
        let standing = (0..).zip(activities).find(|(_, activity)| activity.stands_since() > limit);
        if let Some((number, activity)) = standing {
            over.store(true, Ordering::Relaxed);
            let mut report = reports.lock().unwrap_or_else(PoisonError::into_inner).clone();
            report.find(hung(options, number, activity));
            return Ok(report);
        }
    }
    let panicked = threads.into_iter().filter_map(|thread| thread.join().err()).count();
    let mut report = reports.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if panicked > 0 {
        report.find(format!("{panicked} threads of the fuzzer panicked"));
    }
    Ok(report)
}

/// What is said of a call that does not end.
fn hung(options: &Options, thread: u32, activity: &Activity) -> String {
    format!(
        "{} of thread {thread} has not ended after {:?}, the call {} of that thread, seed {}",
        activity.name(),
        activity.stands_since(),
        activity.begun(),
        options.seed
    )
}
