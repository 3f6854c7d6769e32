//! Processes that are outstanding: at most one for each function.
//!
//! Only a [`Vacancy`] can start a process, and there is one only while no outstanding plan touches a function of the new
//! one. Watching never waits: the caller polls the descriptors, at the latest until the next deadline, and collects.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, ChildStdin};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::confine::Wish;
use super::order::{END, Order};
use super::report::Reported;
use super::start::{Launcher, Started};
use super::{ChildMark, Found, find};
use crate::actor::holders::wait_one;
use crate::actor::outcome::Ending;
use crate::actor::plan::Plan;
use crate::address::Address;
use crate::system::System;

/// Bytes that a pipe takes without being made larger (16 pages of 4 KiB).
const PIPE: usize = 64 << 10;

/// All outstanding processes, by the device of their plan.
#[derive(Debug)]
pub struct Outstanding {
    launcher: Launcher,
    processes: BTreeMap<Address, Watched>,
}

/// Process that is watched.
#[derive(Debug)]
struct Watched {
    mark: ChildMark,
    /// Handle of a process that this daemon started. An adopted one has another parent.
    child: Option<Child>,
    process: OwnedFd,
    deadline: Instant,
    stuck: bool,
}

/// News of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The deadline has passed. The process remains outstanding. The end says how far it came.
    Stuck(Ending),
    /// The process has ended.
    Ended {
        /// End of the plan.
        ending: Ending,
        /// Whether the process had been reported as stuck.
        late: bool,
    },
}

/// Answer to the adoption of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adopted {
    /// The process runs and is outstanding now.
    Running,
    /// The process has ended meanwhile.
    Ended(Ending),
}

/// Outstanding process that touches a function of the plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{function} is in the hands of process {pid}, which carries out a step for {device}")]
pub struct Busy {
    /// Function that both plans touch.
    pub function: Address,
    /// Device of the outstanding plan.
    pub device: Address,
    /// Process of the outstanding plan.
    pub pid: u32,
}

/// Place for a new process. It borrows all places, so that no second one for the same function can be had meanwhile.
#[derive(Debug)]
pub struct Vacancy<'a> {
    outstanding: &'a mut Outstanding,
    plan: &'a Plan,
}

impl Outstanding {
    /// Creates the set without a process.
    pub fn new(launcher: Launcher) -> Self {
        Self { launcher, processes: BTreeMap::new() }
    }

    /// Returns the place for a plan.
    ///
    /// # Errors
    /// [`Busy`]: another plan touches one of its functions, or is for the same device.
    pub fn vacancy<'a>(&'a mut self, plan: &'a Plan) -> Result<Vacancy<'a>, Busy> {
        match self.busy(plan.device, &plan.functions) {
            Some(busy) => Err(busy),
            None => Ok(Vacancy { outstanding: self, plan }),
        }
    }

    fn busy(&self, device: Address, functions: &[Address]) -> Option<Busy> {
        self.processes.values().map(|watched| &watched.mark).find_map(|mark| {
            let touches = |function: &Address| mark.device == *function || mark.functions.contains(function);
            let function = functions.iter().copied().chain([device]).find(touches)?;
            Some(Busy { function, device: mark.device, pid: mark.pid })
        })
    }

    /// Takes over a process that an earlier daemon has started, with the time that is left to its deadline.
    ///
    /// # Errors
    /// Errors of the system: the process cannot be judged. The device must be left alone then.
    pub fn adopt(&mut self, system: &System, mark: &ChildMark, left: Duration) -> io::Result<Adopted> {
        // Open first, compare then: what was opened is what was compared.
        let number = i32::try_from(mark.pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        let process = match pidfd_open(number, PidfdFlags::NONBLOCK) {
            Ok(process) => Some(process),
            Err(Errno::SRCH) => None,
            Err(error) => return Err(error.into()),
        };
        let found = find(system, mark)?;
        match (found, process) {
            (Found::Running, Some(process)) => {
                let watched =
                    Watched { deadline: deadline(left), stuck: false, child: None, process, mark: mark.clone() };
                self.processes.insert(mark.device, watched);
                Ok(Adopted::Running)
            }
            _ if crate::process::boot(system)? != mark.boot => {
                Ok(Adopted::Ended(Ending::ambiguous("the machine was started again meanwhile")))
            }
            _ => Ok(Adopted::Ended(self.reported(mark).ending("ended while no daemon watched"))),
        }
    }

    /// Returns the descriptors to poll for reading: one becomes readable when its process ends.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.processes.values().map(|watched| watched.process.as_fd())
    }

    /// Returns the time at which [`collect`](Self::collect) has news even if no descriptor has.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.processes.values().filter(|watched| !watched.stuck).map(|watched| watched.deadline).min()
    }

    /// Collects what is new. Never waits.
    pub fn collect(&mut self, now: Instant) -> Vec<(Address, News)> {
        let mut news = Vec::new();
        let devices: Vec<Address> = self.processes.keys().copied().collect();
        for device in devices {
            let Some(watched) = self.processes.get_mut(&device) else { continue };
            if wait_one(watched.process.as_fd(), Duration::ZERO) {
                if let Some(watched) = self.processes.remove(&device) {
                    let late = watched.stuck;
                    news.push((device, News::Ended { ending: self.end(watched), late }));
                }
            } else if !watched.stuck && now >= watched.deadline {
                watched.stuck = true;
                let mark = watched.mark.clone();
                let ending = self.reported(&mark).ending(&format!("process {} does not return", mark.pid));
                news.push((device, News::Stuck(stuck(ending))));
            }
        }
        news
    }

    /// Returns the processes that were reported as stuck and have not ended.
    pub fn stuck(&self) -> impl Iterator<Item = &ChildMark> {
        self.processes.values().filter(|watched| watched.stuck).map(|watched| &watched.mark)
    }

    /// Returns the progress of the device's plan, if one is outstanding.
    pub fn progress(&self, device: Address) -> Option<Reported> {
        self.processes.get(&device).map(|watched| self.reported(&watched.mark))
    }

    /// Reads the report of a process. A report that cannot be read is damaged.
    fn reported(&self, mark: &ChildMark) -> Reported {
        match fs::read(self.launcher.reports(mark)) {
            Ok(text) => Reported::parse(&text),
            Err(_) => Reported { damaged: true, ..Reported::default() },
        }
    }

    fn end(&self, mut watched: Watched) -> Ending {
        // The process has ended, so this does not wait.
        let status = match watched.child.as_mut().map(Child::try_wait) {
            Some(Ok(Some(status))) => status.to_string(),
            Some(Ok(None)) => "ended".to_owned(),
            Some(Err(error)) => format!("its status cannot be read: {error}"),
            None => "ended; an earlier daemon had started it".to_owned(),
        };
        self.reported(&watched.mark).ending(&status)
    }
}

/// Time `left` from now. A deadline beyond what the clock can tell is a day from now.
fn deadline(left: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(left).unwrap_or(now + Duration::from_hours(24))
}

/// Returns the end of a step that is stuck: ambiguous, whatever the report says.
fn stuck(ending: Ending) -> Ending {
    use crate::actor::outcome::Outcome::{Ambiguous, Failed, Refused, Succeeded, Undone};
    match ending.outcome {
        Ambiguous(_) => ending,
        Failed(text) | Refused(text) | Undone(text) => Ending::ambiguous(text),
        Succeeded => Ending::ambiguous("the plan has ended, and its process does not"),
    }
}

impl<'a> Vacancy<'a> {
    /// Starts the process for the plan. It waits for its order: store its mark, and then give the order.
    ///
    /// After `limit` from now the process is reported as stuck; a limit below the plan's [`patience`](Plan::patience) is
    /// raised to it.
    ///
    /// # Errors
    /// Errors of the system. Nothing is done then.
    pub fn start(self, system: &System, wish: Wish, limit: Duration) -> io::Result<Ready<'a>> {
        let order = Order { sys: fs::canonicalize(system.sys.path())?, plan: self.plan.clone(), wish };
        let Started { mark, child, process, order: pipe } = self.outstanding.launcher.start(system, self.plan)?;
        let deadline = deadline(limit.max(self.plan.patience()));
        let watched = Watched { mark: mark.clone(), child: Some(child), process, deadline, stuck: false };
        self.outstanding.processes.insert(mark.device, watched);
        Ok(Ready { mark, order, pipe, places: PhantomData })
    }
}

/// Process that waits for its order. Dropped, it ends and reports that the step was refused.
#[derive(Debug)]
pub struct Ready<'a> {
    mark: ChildMark,
    order: Order,
    pipe: ChildStdin,
    places: PhantomData<&'a mut Outstanding>,
}

impl Ready<'_> {
    /// Returns the mark of the process. Store it before the order is given: a daemon that is killed in between leaves
    /// a process that does nothing, and one that is killed later leaves a process that is recognised.
    pub fn mark(&self) -> &ChildMark {
        &self.mark
    }

    /// Gives the order. Never waits for the process.
    ///
    /// # Errors
    /// Errors of the system. The process has an order that is not whole, does nothing and ends.
    pub fn give(mut self) -> io::Result<ChildMark> {
        let mut text = serde_json::to_vec(&self.order)?;
        text.push(END);
        // The pipe takes the whole order at once, or the order is none.
        if text.len() > PIPE {
            rustix::pipe::fcntl_setpipe_size(&self.pipe, text.len())?;
        }
        rustix::io::ioctl_fionbio(&self.pipe, true)?;
        self.pipe.write_all(&text)?;
        Ok(self.mark)
    }
}
