//! What each thread is doing, and since when: kept by the thread itself, read by the watchdog.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat::Fence;
use parking_lot::Mutex;

/// The record of one thread. Clones share it.
#[derive(Clone)]
pub(super) struct Activity(Arc<Record>);

struct Record {
    thread: String,
    doing: Mutex<Doing>,
}

struct Doing {
    what: Cow<'static, str>,
    fence: Option<Fence>,
    /// `None` while nothing is expected of the thread.
    since: Option<Instant>,
}

/// All records of a run. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Activities(Arc<Mutex<Vec<Activity>>>);

/// What a thread was doing when somebody looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// The thread.
    pub(super) thread: String,
    /// What it was doing.
    pub(super) what: String,
    /// The fence that it was waiting for, if it was one.
    pub(super) fence: Option<String>,
    /// For how long; `None` if nothing was expected of it.
    pub(super) since: Option<Duration>,
}

impl Activity {
    /// It begins with something; an earlier one has ended.
    pub(super) fn does(&self, what: impl Into<Cow<'static, str>>) {
        self.set(what.into(), None, Some(Instant::now()));
    }

    /// It waits for a fence.
    pub(super) fn waits_for(&self, what: &'static str, fence: &Fence) {
        self.set(what.into(), Some(fence.clone()), Some(Instant::now()));
    }

    /// Nothing is expected of it.
    pub(super) fn rests(&self) {
        self.set("rests".into(), None, None);
    }

    fn set(&self, what: Cow<'static, str>, fence: Option<Fence>, since: Option<Instant>) {
        let before = std::mem::replace(&mut *self.0.doing.lock(), Doing { what, fence, since });
        drop(before); // Perhaps the last of its fence; not under the lock.
    }

    fn see(&self, now: Instant) -> Seen {
        let doing = self.0.doing.lock();
        Seen {
            thread: self.0.thread.clone(),
            what: doing.what.to_string(),
            fence: doing.fence.as_ref().map(|fence| format!("{fence:?}")),
            since: doing.since.map(|since| now.saturating_duration_since(since)),
        }
    }
}

impl Activities {
    /// A record for a thread of this name, at rest.
    pub(super) fn register(&self, thread: impl Into<String>) -> Activity {
        let doing = Doing { what: "has not begun".into(), fence: None, since: None };
        let activity = Activity(Arc::new(Record { thread: thread.into(), doing: Mutex::new(doing) }));
        self.0.lock().push(activity.clone());
        activity
    }

    /// What all threads are doing.
    pub(super) fn all(&self) -> Vec<Seen> {
        let now = Instant::now();
        self.0.lock().iter().map(|activity| activity.see(now)).collect()
    }

    /// Those that have been doing the same thing for longer than `limit`.
    pub(super) fn stalled(&self, limit: Duration) -> Vec<Seen> {
        let mut seen = self.all();
        seen.retain(|seen| seen.since.is_some_and(|since| since > limit));
        seen
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { thread, what, fence, since } = self;
        write!(f, "{thread}: {what}")?;
        if let Some(fence) = fence {
            write!(f, " {fence}")?;
        }
        since.map_or(Ok(()), |since| write!(f, ", for {:.1} s", since.as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use lifeboat::Module;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);

    #[test]
    fn a_thread_that_is_stuck_is_found_and_named() {
        let activities = Activities::default();
        let (fence, promise) = Module::new().timeline("torture", "test").fence();
        let activity = activities.register("waiter of lane 3");
        let idle = activities.register("idle");
        idle.rests();
        let stuck = thread::spawn(move || {
            activity.waits_for("waits for", &fence);
            fence.wait(Duration::from_secs(20)).unwrap();
            activity.does("something else");
        });
        while activities.stalled(LIMIT).is_empty() {
            thread::sleep(Duration::from_millis(5));
        }
        let stalled = activities.stalled(LIMIT);
        assert_eq!((stalled.len(), stalled[0].thread.as_str()), (1, "waiter of lane 3"));
        let text = stalled[0].to_string();
        assert!(text.contains("waits for Fence") && text.contains("torture/test") && text.contains("for 0."), "{text}");
        promise.signal();
        stuck.join().unwrap();
        assert_eq!(activities.all()[0].what, "something else");
    }

    #[test]
    fn a_thread_that_goes_on_is_not_stuck() {
        let activities = Activities::default();
        let activity = activities.register("busy");
        let (stop, stopped) = mpsc::channel::<()>();
        let busy = thread::spawn(move || {
            while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                activity.does("calls open");
                thread::sleep(Duration::from_millis(1));
            }
            activity.rests();
        });
        let began = Instant::now();
        while began.elapsed() < 4 * LIMIT {
            // A machine that runs nothing for so long is no stall of ours.
            assert!(activities.stalled(Duration::from_secs(10)).is_empty());
            thread::sleep(Duration::from_millis(1));
        }
        drop(stop);
        busy.join().unwrap();
        assert_eq!(activities.all()[0].since, None);
    }
}
