// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A function on the bus, from its probe to its removal: what happens to it is told to `lifeboat_core::lifecycle`, and what
//! that answers is done here. So a device that fails is recovered, spaced and budgeted, within one binding of the bus; and then
//! wedged, or left alone.
//!
//! | file | concept |
//! |---|---|
//! | this one | events in, actions out, one at a time |
//! | `machine` | the lifecycle, its time, and what it has asked for |
//! | `probe` | binds the device |
//! | `refusal` | why it was not bound |
//! | `roster` | every slot, for callbacks of the bus that are given nothing but the function |
//! | `left_alone` | tells that a device is left alone |
//! | `on_bus` | errors of the bus, and resets by others |
//!
//! An action is carried out by whoever has the turn ([`Place::turn`]): the work item as a rule; or a callback of the bus or a
//! user's request, which return when all is done. Whoever waits for a turn that is a bring-up or a reset cuts it short first.

mod left_alone;
mod machine;
mod on_bus;
mod probe;
mod refusal;
pub(crate) mod roster;

use kernel::{
    new_spinlock, pci,
    prelude::*,
    sync::{aref::ARef, Arc, SpinLock},
    time::{delay::fsleep, Delta},
    workqueue::{impl_has_delayed_work, new_delayed_work, DelayedWork, WorkItem},
};
use lifeboat_core::health::Verdict;
use lifeboat_core::lifecycle::{Action, For, LifecycleEvent, LifecycleState};
use lifeboat_core::unplug::Loss;
use lifeboat_driver::Driver;

use crate::bars::Bars;
use crate::binding::{Binding, Ending};
use crate::clock::jiffies;
use crate::device::{Device, Owner};
use crate::dump::Outbox;
use crate::glue::{call_off, disable_delayed, handle_errors, lint::Ownership, Enabled, Place};
use crate::health;
use crate::registration::Driven;
use crate::removals::{Step, Stopwatch, Trigger};
use crate::shared::Shared;
use crate::shown::Shown;
use machine::Machine;
use on_bus::OnBus;
use refusal::Refusal;

/// Number of the work item that carries out what the machine asks for.
const SLOT: u64 = 0;

/// Pause between two looks at a device that is not ready yet, while somebody waits for it to be bound.
const READY_POLL: Delta = Delta::from_millis(5);

/// See the module documentation.
#[pin_data]
pub(crate) struct Slot {
    pub(crate) function: ARef<pci::Device>,
    shared: Arc<Shared>,
    /// The dumps of its devices.
    outbox: Arc<Outbox>,
    place: Arc<Place<Turn>>,
    #[pin]
    machine: SpinLock<Machine>,
    #[pin]
    work: DelayedWork<Slot, SLOT>,
}

/// The parts of a slot that only the thread that has the turn reaches.
struct Turn {
    enabled: Arc<Enabled>,
    bars: Arc<Bars>,
    binding: Option<Binding>,
    /// Properties of the device that was bound last.
    last: Option<<Driven as Driver>::Info>,
    /// Why the last probe has failed.
    refusal: Option<Refusal>,
    /// The end of the binding that the bus has asked for.
    removal: Option<Ending>,
}

impl_has_delayed_work! {
    impl HasDelayedWork<Self, SLOT> for Slot { self.work }
}

impl WorkItem<SLOT> for Slot {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.settle();
    }
}

impl Owner for Slot {
    fn failed(self: Arc<Self>, binding: u64, loss: Loss) {
        self.tell(LifecycleEvent::Failed { binding, loss });
    }
}

impl Slot {
    /// The slot of a function that has been given to this driver.
    pub(crate) fn new(function: &pci::Device<kernel::device::Core<'_>>, shared: Arc<Shared>) -> Result<Arc<Self>> {
        let enabled = Arc::new(Enabled::new(function)?, GFP_KERNEL)?;
        let bars = Bars::new(function)?;
        let turn = Turn { enabled, bars, binding: None, last: None, refusal: None, removal: None };
        let place = Place::new(function, turn)?;
        let slot = Arc::pin_init(
            try_pin_init!(Self {
                function: function.into(),
                outbox: Outbox::new(function, shared.clone())?,
                place,
                machine <- new_spinlock!(Machine::new(function.as_ref()), "lifeboat::machine"),
                work <- new_delayed_work!("lifeboat::slot"),
                shared,
            }),
            GFP_KERNEL,
        )?;
        handle_errors::<OnBus>(function);
        slot.shared.slots.add(slot.clone())?;
        Ok(slot)
    }

    /// Binds the device for the first time. Waits for one that is not ready yet, for as long as it may take.
    pub(crate) fn begin(self: &Arc<Self>) -> Result {
        self.bind_for(LifecycleEvent::Inserted)
    }

    /// The bus takes the function back: ends everything.
    pub(crate) fn end(self: &Arc<Self>, trigger: Trigger) {
        let mut ending = Ending::now(trigger);
        let mut stopwatch = Stopwatch::start();
        self.machine.lock().close();
        self.place.turn(|function, turn| {
            if let Some(binding) = turn.binding.as_ref().filter(|binding| !binding.is_wedged()) {
                let device = binding.device();
                stopwatch.lap(Step::Turn, &mut device.removal.lock());
                let _owner = Ownership::begin();
                ending.verdict = Some(health::verdict(device));
                stopwatch.lap(Step::Verdict, &mut device.removal.lock());
            }
            turn.removal = Some(ending);
            if ending.verdict.is_some_and(|verdict| verdict != Verdict::Alive) {
                self.handle(LifecycleEvent::Removed);
            }
            self.handle(LifecycleEvent::Stop);
            self.carry_out_all(function, turn);
        });
        // Whoever reports a loss now is told by `tell` that nothing is to be done.
        disable_delayed::<Self, SLOT>(self);
        self.outbox.close();
        self.shared.slots.remove(self);
    }

    /// Binds the device again, whatever has become of it: a request by hand, or after a reset. The error of the probe if it cannot
    /// be bound.
    pub(crate) fn rebind(self: &Arc<Self>) -> Result {
        self.bind_for(LifecycleEvent::Rebind)
    }

    /// Binds the device, since this has happened. A device that is not ready yet, as after a reset, is waited for, for as long as
    /// the machine waits. The error of the probe if the device cannot be bound.
    fn bind_for(self: &Arc<Self>, event: LifecycleEvent) -> Result {
        self.tell(event);
        loop {
            self.settle();
            match self.state() {
                LifecycleState::Waiting(For::Ready) => fsleep(READY_POLL),
                LifecycleState::Idle | LifecycleState::Empty | LifecycleState::Stopped => return Err(self.refused()),
                // Bound; or bound before, and failed since.
                _ => return Ok(()),
            }
        }
    }

    /// The device that was probed last.
    pub(crate) fn device(&self) -> Option<Arc<Device>> {
        self.machine.lock().device()
    }

    pub(crate) fn state(&self) -> LifecycleState {
        self.machine.lock().state()
    }

    fn refused(&self) -> Error {
        self.place.turn(|_, turn| turn.refusal.as_ref().map(Refusal::errno)).flatten().unwrap_or(ENODEV)
    }

    /// Tells the machine of an event. The work item carries out what comes of it, unless somebody else is there first.
    fn tell(self: &Arc<Self>, event: LifecycleEvent) {
        self.handle(event);
        self.arm();
    }

    /// Tells the machine of an event, for the thread that has the turn and carries out what comes of it.
    fn handle(&self, event: LifecycleEvent) {
        let (before, after, left_alone) = self.machine.lock().handle(event);
        if before != after {
            dev_dbg!(self.function, "{}: {} -> {}\n", event.kind().name(), Shown(before), Shown(after));
        }
        if let Some(why) = left_alone {
            left_alone::tell(&self.function, why);
        }
    }

    /// Has the work item run when there is something to do.
    fn arm(self: &Arc<Self>) {
        // Locked, so that the last to arm has seen all that is asked for.
        let machine = self.machine.lock();
        if let Some(wait) = machine.due_in() {
            call_off::<Self, SLOT>(self);
            // An error says that the function is being taken back.
            let _ = self.shared.queue.enqueue_delayed::<_, SLOT>(self.clone(), jiffies(wait));
        }
    }

    /// Carries out all that the machine asks for now.
    fn settle(self: &Arc<Self>) {
        self.place.turn(|function, turn| {
            if self.machine.lock().is_overdue() {
                self.handle(LifecycleEvent::Tick);
            }
            self.carry_out_all(function, turn);
        });
        self.arm();
    }

    fn carry_out_all(self: &Arc<Self>, function: &pci::Device<kernel::device::Bound>, turn: &mut Turn) {
        loop {
            let asked = self.machine.lock().take();
            let Some(action) = asked else { return };
            let completion = self.carry_out(function, turn, action);
            self.handle(completion);
        }
    }

    fn carry_out(
        self: &Arc<Self>,
        function: &pci::Device<kernel::device::Bound>,
        turn: &mut Turn,
        action: Action,
    ) -> LifecycleEvent {
        let _owner = Ownership::begin();
        match action {
            Action::Probe { binding } => self.probe(function, turn, binding),
            Action::Unplug(loss) => {
                if let Some(binding) = turn.binding.take() {
                    binding.end(loss, turn.removal.unwrap_or_else(|| Ending::now(Trigger::Health)));
                }
                LifecycleEvent::Ended
            }
            Action::Wedge(failure) => {
                turn.binding = turn.binding.take().map(|binding| binding.wedge(failure));
                LifecycleEvent::Cut
            }
        }
    }
}
