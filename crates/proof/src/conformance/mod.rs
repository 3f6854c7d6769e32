//! `cargo xtask conformance`: the table of promises, made true or false by tests.
//!
//! `table` reads docs/conformance.md, `claim` a row's kinds of proof, `select` takes what the user wants. `checkout` finds the project, `discover` builds
//! its tests and asks them for their names, `name` reads the promises out of those. `execute` runs each suite once, in a `process`,
//! `outcome` understands what it says of each test, and `report` and `listing` show it. `guest` does the same for the tests in the guest.

mod checkout;
mod claim;
mod discover;
mod error;
mod execute;
mod guest;
mod listing;
mod name;
mod outcome;
mod process;
mod progress;
mod report;
mod rustdoc;
mod select;
mod table;

use std::time::Instant;

use serde::Serialize;

pub use error::ConformanceError;
pub use select::Wanted;

use crate::args::ConformanceArgs;
use checkout::Checkout;
use discover::{GuestKernel, Test};
use execute::Choice;
use lifeboat_cli::exit::Exit;
use lifeboat_cli::interrupt::Interrupt;
use listing::Listing;
use progress::Progress;
use report::ConformanceReport;
use table::{Columns, Promise, Table};

/// Output to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// For standard output.
    pub text: String,
    /// For standard error, after it; may be empty.
    pub remarks: String,
    /// The code to exit with.
    pub exit: Exit,
}

/// Runs the tests of the promises that `args` asks for, in the checkout around the working directory; or lists them.
///
/// # Errors
/// [`ConformanceError`], if there are no results. A failing test is a result.
pub fn conformance(args: &ConformanceArgs, interrupt: &Interrupt) -> Result<Answer, ConformanceError> {
    let table = Table::built_in()?;
    let promises = select::select(&table, &args.id, args.columns())?;
    let checkout = Checkout::around(&std::env::current_dir()?, &table);
    let progress = Progress::new(args.quiet);
    let result = match checkout {
        Err(ConformanceError::NoCheckout(_)) if args.list => {
            let remarks = "lifeboat: no tests are listed, because this folder is in no checkout of Lifeboat\n";
            let listing = Listing::new(&promises, None);
            Ok(Answer {
                text: render(args.json, &listing, Listing::text)?,
                remarks: remarks.to_owned(),
                exit: Exit::Success,
            })
        }
        Err(error) => Err(error),
        Ok(checkout) => in_checkout(args, &checkout, &table, &promises, &progress, interrupt),
    };
    progress.clear();
    result
}

fn in_checkout(
    args: &ConformanceArgs,
    checkout: &Checkout,
    table: &Table,
    promises: &[&Promise],
    progress: &Progress,
    interrupt: &Interrupt,
) -> Result<Answer, ConformanceError> {
    let mut tests = discover::discover(checkout, table, progress, args.quiet, interrupt)?;
    if let Some(kernel) = args.guest_kernel() {
        tests.extend(guest::list(checkout, table, kernel, interrupt)?);
    }
    if args.list {
        let listing = Listing::new(promises, Some(&tests));
        return Ok(Answer {
            text: render(args.json, &listing, Listing::text)?,
            remarks: String::new(),
            exit: Exit::Success,
        });
    }
    let is_asked_for = |test: &&Test| args.all || promises.iter().any(|promise| test.ids.contains(&promise.id));
    let tests: Vec<_> = tests.iter().filter(is_asked_for).collect();
    let choice = if args.all { Choice::Whole } else { Choice::Given };
    let began = Instant::now();
    let results = execute::execute(checkout, &tests, choice, args.timeout, progress, interrupt)?;
    if interrupt.is_requested() {
        return Err(ConformanceError::Interrupted);
    }
    let ran: Vec<_> = tests.into_iter().zip(results).collect();
    let report = ConformanceReport::new(promises, args.columns(), &ran, began.elapsed());
    Ok(Answer {
        text: render(args.json, &report, ConformanceReport::text)?,
        remarks: report.failures(),
        exit: report.exit(),
    })
}

impl ConformanceArgs {
    fn columns(&self) -> Columns {
        if self.kernel { Columns::InProcessAndGuest } else { Columns::InProcess }
    }

    /// The kernel that guests boot, if any does.
    fn guest_kernel(&self) -> Option<GuestKernel> {
        self.kernel.then_some(if self.debug_kernel { GuestKernel::Debug } else { GuestKernel::Stock })
    }
}

fn render<T: Serialize>(json: bool, shown: &T, text: impl Fn(&T) -> String) -> Result<String, ConformanceError> {
    if json { Ok(serde_json::to_string_pretty(shown)? + "\n") } else { Ok(text(shown)) }
}
