//! Calls of one thread beside something else, for as long as that takes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lifeboat_uapi::Info;

use crate::fuzz::activity::Activity;
use crate::fuzz::executor::Executor;
use crate::fuzz::generator::Generator;
use crate::fuzz::report::{Commands, Options, Report};
use crate::fuzz::resources::World;

/// A thread that makes calls.
pub(crate) struct Calls {
    over: Arc<AtomicBool>,
    activity: Arc<Activity>,
    thread: JoinHandle<Report>,
}

/// How often to look whether it has ended.
const LOOK: Duration = Duration::from_millis(5);

impl Calls {
    /// Begins.
    ///
    /// # Errors
    /// No memory.
    pub(crate) fn begin(seed: u64, info: Info, commands: Commands) -> io::Result<Self> {
        let world = World::new()?;
        let (over, activity) = (Arc::new(AtomicBool::new(false)), Arc::new(Activity::new()));
        let options = Options { seed, run_ms: 0, threads: 1, limit_ms: 0, info, commands };
        let thread = thread::spawn({
            let (over, activity) = (Arc::clone(&over), Arc::clone(&activity));
            move || {
                let mut generator = Generator::new(seed, 0);
                let report = Report::default();
                let mut executor =
                    Executor { options: &options, world: &world, thread: 0, activity: &activity, report };
                while !over.load(Ordering::Relaxed) {
                    executor.perform(&generator.draw());
                }
                executor.report
            }
        });
        Ok(Self { over, activity, thread })
    }

    /// Ends, and gives what came of it. A call that takes longer than the limit is a finding, and left behind.
    pub(crate) fn end(self, limit: Duration) -> Report {
        self.over.store(true, Ordering::Relaxed);
        while !self.thread.is_finished() {
            if self.activity.stands_since() > limit {
                let finding = format!("{} does not end", self.activity.name());
                return Report { findings: vec![finding], ..Report::default() };
            }
            thread::sleep(LOOK);
        }
        let panicked = |_| Report { findings: vec!["it panicked".to_owned()], ..Report::default() };
        self.thread.join().unwrap_or_else(panicked)
    }
}
