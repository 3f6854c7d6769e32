//! LB1, on its model.

mod clients;
mod cycle;
mod world;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum as _;
use lifeboat::calls::CallInfo;
use lifeboat::core::class::Presence;
use lifeboat::{Bus, CallError, Fence, Minor, Module, Policy, Priority, ResetStats};
use lifeboat_gpu::{Config, Fault, Trigger};
use lifeboat_lb1_hosted::command::Work;
use lifeboat_lb1_hosted::{CALLS, Context, Device, DmaBuf, Handle, Options, Placement, Queue, Submission, module_with};

use crate::exhaust::Mode;
use crate::subject::{Card, Slot, Subject};
use crate::torture::{Blamed, Gust, Kind, Plan, Role, Tortured};
use crate::untidy::Untidy;

pub(crate) use world::World;

/// How long a fault lasts that ends by itself: some looks at the device.
const MOMENT: Duration = Duration::from_millis(20);
/// How long the link is down.
const DOWN: Duration = Duration::from_millis(10);
/// How long interrupts storm: it keeps a processor busy.
const STORM: Duration = Duration::from_millis(5);
/// How much longer each read takes where reads are slow.
const SLOW: Duration = Duration::from_micros(50);
/// Longer than a job takes.
const LIMIT: Duration = Duration::from_secs(10);
const VRAM: u64 = 1 << 20;

/// LB1.
#[derive(Debug, Clone, Copy)]
pub enum Lb1 {}

/// A device that has exported a buffer.
pub struct Peer {
    exported: DmaBuf,
    // Dropped after what is of them.
    _bus: Bus,
    _slot: Arc<lifeboat_gpu::Slot>,
}

const fn modes() -> [Mode; 3 + UNTIDY.len()] {
    let mut modes = [Mode::Unplug; 3 + UNTIDY.len()];
    modes[1] = Mode::Unchecked;
    modes[2] = Mode::Hang;
    let mut at = 0;
    while at < UNTIDY.len() {
        modes[3 + at] = Mode::Untidy(UNTIDY[at]);
        at += 1;
    }
    modes
}

/// All of them.
const UNTIDY: [Untidy; 13] = [
    Untidy::LinkDown,
    Untidy::Garbage,
    Untidy::SilentBars,
    Untidy::SilentConfig,
    Untidy::StuckScanout,
    Untidy::LyingReset,
    Untidy::SlowReads,
    Untidy::StalledRead,
    Untidy::NoInterrupts,
    Untidy::InterruptStorm,
    Untidy::DeadDoorbell,
    Untidy::SwapModel,
    Untidy::SwapSize,
];

impl Subject for Lb1 {
    const NAME: &'static str = "lb1";
    const CALLS: &'static [CallInfo] = CALLS;
    const WORK: &'static str = "submit";
    const MODES: &'static [Mode] = &modes();
    const ROUNDS: usize = 240;

    type Device = Device;
    type Slot = lifeboat_gpu::Slot;
    type Card = lifeboat_gpu::Card;
    type World = World;
    type Peer = Peer;

    fn module() -> Module {
        // The shortest limit there is: ten frames.
        module_with(Options { display_limit: Duration::ZERO, ..Options::default() })
    }

    fn slot(location: &str) -> Arc<lifeboat_gpu::Slot> {
        lifeboat_gpu::Slot::new(location)
    }

    fn card() -> io::Result<Arc<lifeboat_gpu::Card>> {
        lifeboat_gpu::Card::new(Config { vram_bytes: VRAM, ..Config::default() })
    }

    fn peer() -> Result<Peer, String> {
        let trouble = |error: io::Error| error.to_string();
        let mut bus = Bus::new(Self::module(), Policy { job_timeout: LIMIT, drain_limit: LIMIT, ..Policy::default() });
        let slot = Self::slot("0000:01:00.0");
        slot.insert(Self::card().map_err(trouble)?).map_err(|error| error.to_string())?;
        let events = bus.subscribe();
        bus.attach(&slot).map_err(trouble)?;
        let minor = match events.recv_timeout(LIMIT) {
            Ok(lifeboat::Event::Added { minor, .. }) => minor,
            other => return Err(format!("the other device could not be bound: {other:?}")),
        };
        let device: Device = bus.device(minor).ok_or("the other device is gone")?;
        let exported = device.open().and_then(|handle| {
            let buffer = handle.create_buffer(Placement::Host, 4096)?;
            handle.export(&buffer)
        });
        Ok(Peer { exported: exported.map_err(|error| error.to_string())?, _bus: bus, _slot: slot })
    }

    fn world(device: Device, peer: &Peer) -> Result<World, CallError> {
        World::new(device, peer.exported.clone())
    }

    fn strikes(mode: Mode, at: u64) -> Vec<(Trigger, Fault)> {
        let fault = match mode {
            Mode::Unplug | Mode::Unchecked => Fault::Remove,
            Mode::Hang => Fault::Hang,
            Mode::Untidy(untidy) => {
                let moment = match untidy {
                    Untidy::LinkDown => DOWN,
                    Untidy::InterruptStorm => STORM,
                    _ => MOMENT,
                };
                fault(untidy, moment, SLOW)
            }
            // Not among its modes.
            Mode::Mistake(_) => return Vec::new(),
        };
        let lies = mode == Mode::Untidy(Untidy::LyingReset);
        let reset = lies.then_some((Trigger::Reset(1), Fault::LyingReset));
        [(Trigger::Access(at), fault)].into_iter().chain(reset).collect()
    }

    fn minor(device: &Device) -> Minor {
        device.info().minor
    }

    fn presence(device: &Device) -> Presence {
        device.presence()
    }

    fn is_live(device: &Device) -> bool {
        device.is_live()
    }

    /// On both rings.
    fn works(device: &Device) -> bool {
        let ends = || {
            let handle = device.open()?;
            let context = handle.create_context()?;
            let queue = |ring| handle.create_queue(&context, ring, Priority::Normal);
            let queues = [queue(0)?, queue(1)?];
            let job = |queue| handle.submit(&Submission::new(queue, &[Work::Nop]));
            let jobs = [job(&queues[0])?, job(&queues[1])?];
            // The queues stay until both have ended.
            Ok::<_, CallError>(jobs.iter().all(|job| job.wait(LIMIT).is_ok()))
        };
        ends() == Ok(true)
    }
}

impl Tortured for Lb1 {
    const CAST: &'static [Role<Self>] = clients::CAST;
    const JOBS: usize = 2;

    type Context = Context;
    type User = User;

    fn kinds() -> Vec<Kind> {
        Kind::value_variants().iter().copied().filter(|kind| !matches!(kind, Kind::Mistake(_))).collect()
    }

    fn users_module() -> Module {
        lifeboat_lb1_hosted::module()
    }

    fn armed(plan: &Plan) -> Vec<(Trigger, Fault)> {
        cycle::armed(plan)
    }

    fn storm(plan: &Plan) -> Vec<Gust<Self>> {
        cycle::storm(plan)
    }

    fn location(device: &Device) -> &str {
        &device.info().location
    }

    /// No job ends so.
    fn may_time_out(kind: Kind) -> bool {
        kind.disturbs_display()
    }

    /// Switches the display off: what is shown is kept.
    fn let_go(device: &Device) {
        // A lost device shows nothing.
        let _ = device.open().and_then(|handle| handle.set_mode(None));
    }

    fn user(device: &Device) -> Option<User> {
        let handle = device.open().ok()?;
        let context = handle.create_context().ok()?;
        let queue = |ring| handle.create_queue(&context, ring, Priority::High).ok();
        Some(User { queues: [queue(0)?, queue(1)?], _context: context, handle })
    }

    /// One on each ring.
    fn jobs(user: &User) -> Vec<Fence> {
        let job = |queue| user.handle.submit(&Submission::new(queue, &[Work::Nop])).ok();
        user.queues.iter().filter_map(job).collect()
    }
}

/// Asks whether a device works.
pub struct User {
    queues: [Queue; 2],
    _context: Context,
    handle: Handle,
}

impl Blamed for Context {
    fn reset_stats(&self) -> ResetStats {
        Self::reset_stats(self)
    }
}

/// The fault in the model. `moment` is the length of one that ends by itself, `slower` what is added to each slow read. The
/// reset that lies is armed apart: here is the hang before it.
pub(crate) fn fault(untidy: Untidy, moment: Duration, slower: Duration) -> Fault {
    use lifeboat_gpu::{Lasts, Swap};
    let lasts = Lasts::For(moment);
    match untidy {
        Untidy::LinkDown => Fault::LinkDown(moment),
        Untidy::Garbage => Fault::Garbage(lasts),
        Untidy::SilentBars => Fault::SilentBars(lasts),
        Untidy::SilentConfig => Fault::SilentConfig(lasts),
        Untidy::StuckScanout => Fault::StuckScanout(Lasts::UntilReset),
        Untidy::LyingReset => Fault::Hang,
        Untidy::SlowReads => Fault::SlowReads(slower),
        Untidy::StalledRead => Fault::StalledRead(moment),
        Untidy::NoInterrupts => Fault::NoInterrupts(lasts),
        Untidy::InterruptStorm => Fault::InterruptStorm(lasts),
        Untidy::DeadDoorbell => Fault::DeadDoorbell(Lasts::UntilReset),
        Untidy::SwapModel => Fault::Swap(Swap::Model),
        Untidy::SwapSize => Fault::Swap(Swap::Size),
    }
}

impl Card for lifeboat_gpu::Card {
    type Fault = Fault;
    type Strike = (Trigger, Fault);

    fn inject(&self, fault: Fault) {
        Self::inject(self, fault);
    }

    fn is_present(&self) -> bool {
        Self::is_present(self)
    }

    fn strike(&self, (when, fault): (Trigger, Fault), tell: Box<dyn Fn() + Send + Sync>) {
        self.schedule_and_tell(when, fault, tell);
    }

    fn accesses(&self) -> u64 {
        self.counters().accesses
    }

    fn mistakes(&self) -> Vec<String> {
        self.witness().violations().iter().map(ToString::to_string).collect()
    }
}

impl Slot for lifeboat_gpu::Slot {
    type Card = lifeboat_gpu::Card;

    fn insert(&self, card: &Arc<lifeboat_gpu::Card>) -> Result<(), String> {
        Self::insert(self, card.clone()).map_err(|error| error.to_string())
    }

    fn remove(&self) {
        Self::remove(self);
    }

    fn attach(self: &Arc<Self>, bus: &mut Bus) -> io::Result<()> {
        bus.attach(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_has_a_fault_at_its_access_and_no_two_have_the_same() {
        let mut seen = Vec::new();
        for mode in Lb1::MODES.iter().filter(|mode| **mode != Mode::Unchecked) {
            let strikes = Lb1::strikes(*mode, 7);
            assert_eq!(strikes[0].0, Trigger::Access(7));
            assert!(!seen.contains(&strikes), "{mode:?}");
            seen.push(strikes);
        }
    }

    #[test]
    fn every_untidy_fault_is_among_its_modes() {
        assert_eq!(UNTIDY, Untidy::value_variants());
    }
}
