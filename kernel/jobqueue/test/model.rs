// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The hardware. Its rings keep jobs until the scenario completes them; its firmware lets go of queues
//! when the scenario says so, if ever.

use kernel::sync::Arc;
use lifeboat_core::fence::Seqno;
use lifeboat_core::sched::{Abort, Began, LetGo, QueueId, RingIndex};
use lifeboat_jobqueue::{Hardware, NotRun};

use crate::record::{Call, Record};

/// Most rings of a model.
pub(crate) const RINGS: usize = 3;

/// A job, or what a firmware holds of a queue.
pub(crate) struct Job {
    number: u32,
    cost: u32,
    record: Arc<Record>,
}

impl Job {
    pub(crate) fn new(number: u32, cost: u32, record: &Arc<Record>) -> Self {
        record.made_one();
        Self { number, cost, record: record.clone() }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.record.note(Call::Dropped(self.number));
    }
}

/// What the firmware says when it is to let go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Firmware {
    /// That it was told. It lets go when the scenario has it.
    IsTold,
    /// The same, and has let go when it is looked at once more: its message was lost.
    IsMute,
    /// Nothing: it cannot be asked.
    IsDead,
}

/// The hardware.
pub(crate) struct Model {
    pub(crate) record: Arc<Record>,
    pub(crate) firmware: Firmware,
}

impl Hardware for Model {
    type Job = Job;
    type Ledger = Record;

    fn run(self: &Arc<Self>, ring: RingIndex, job: &Arc<Job>, seqno: Seqno) -> Result<(), NotRun> {
        self.record.note(Call::Run(job.number));
        self.record.enters(job.number, job.cost, ring.0, seqno);
        Ok(())
    }

    fn collect(self: &Arc<Self>) {}

    fn attend(self: &Arc<Self>) {}

    fn progress(self: &Arc<Self>, _ring: RingIndex) -> Option<Seqno> {
        None
    }

    fn began(self: &Arc<Self>, _ring: RingIndex, _job: &Arc<Job>) -> Began {
        Began::Yes
    }

    fn abort(self: &Arc<Self>, _ring: RingIndex, job: &Arc<Job>, _seqno: Seqno) -> Abort {
        self.record.note(Call::Abort(job.number));
        self.record.leaves(job.number);
        Abort::Done
    }

    fn let_go(self: &Arc<Self>, _ring: RingIndex, _queue: QueueId, kept: &Arc<Job>, last_look: bool) -> LetGo {
        let (asked, looked) = (Call::LetGo(kept.number), Call::LastLook(kept.number));
        self.record.note(if last_look { looked } else { asked });
        match self.firmware {
            Firmware::IsDead => LetGo::Cannot,
            Firmware::IsMute if last_look => LetGo::Done,
            Firmware::IsTold | Firmware::IsMute => LetGo::Asked,
        }
    }

    fn reset_ring(self: &Arc<Self>, ring: RingIndex, _seqno: Seqno) -> Option<bool> {
        self.record.note(Call::ResetRing(ring.0));
        self.record.is_empty(Some(ring.0));
        Some(true)
    }

    fn reset_device(self: &Arc<Self>, _numbers: impl FnMut(RingIndex) -> Seqno) -> Option<bool> {
        self.record.note(Call::ResetDevice);
        self.record.is_empty(None);
        Some(true)
    }

    fn give_up(self: &Arc<Self>) {
        self.record.note(Call::GiveUp);
    }
}
