//! QEMU's educational device, on its model behind an [interposer](crate::interposer).

mod card;
mod clients;
mod world;

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lifeboat::calls::CallInfo;
use lifeboat::core::class::Presence;
use lifeboat::{CallError, Fence, Minor, Module};
use lifeboat_edu_hosted::{CALLS, Device, Service};

use crate::exhaust::Mode;
use crate::interposer::Disturbance;
use crate::mistake::Mistake;
use crate::subject::Subject;
use crate::torture::{Gust, Kind, Nobody, Plain, Plan, Role, Tortured};
use crate::untidy::Untidy;

use card::{EduCard, EduSlot, Plugged};
use world::World;

/// How long a fault lasts that ends by itself: some looks at the device.
const MOMENT: Duration = Duration::from_millis(20);
/// How much longer each read takes where reads are slow.
const SLOW: Duration = Duration::from_micros(50);
/// How long the driver stands still: long after it has been found.
const STUCK: Duration = Duration::from_millis(1200);
/// Longer than the device takes.
const LIMIT: Duration = Duration::from_secs(10);

/// QEMU's educational device.
#[derive(Debug, Clone, Copy)]
pub enum Edu {}

impl Subject for Edu {
    const NAME: &'static str = "edu";
    const CALLS: &'static [CallInfo] = CALLS;
    const WORK: &'static str = "factorial";
    const MODES: &'static [Mode] = &[
        Mode::Unplug,
        Mode::Unchecked,
        Mode::Hang,
        Mode::Untidy(Untidy::Garbage),
        Mode::Untidy(Untidy::SilentBars),
        Mode::Untidy(Untidy::SilentConfig),
        Mode::Untidy(Untidy::SlowReads),
        Mode::Untidy(Untidy::StalledRead),
        Mode::Untidy(Untidy::NoInterrupts),
        Mode::Mistake(Mistake::DriverPanics),
        Mode::Mistake(Mistake::DriverStuck),
    ];
    // Each call is over before the next begins.
    const ROUNDS: usize = 20;

    type Device = Device;
    type Slot = EduSlot;
    type Card = EduCard;
    type World = World;
    type Peer = ();

    fn module() -> Module {
        let mut module = Module::new();
        module.register::<Service>(());
        module
    }

    fn slot(location: &str) -> Arc<EduSlot> {
        EduSlot::new(location)
    }

    fn card() -> io::Result<Arc<EduCard>> {
        Ok(EduCard::new())
    }

    fn peer() -> Result<(), String> {
        Ok(())
    }

    fn world(device: Device, (): &()) -> Result<World, CallError> {
        World::new(device)
    }

    fn strikes(mode: Mode, at: u64) -> Vec<(u64, Disturbance<Plugged>)> {
        let what = match mode {
            Mode::Unplug | Mode::Unchecked => Disturbance::Device(Plugged::pull),
            Mode::Hang => Disturbance::Device(Plugged::hang),
            Mode::Untidy(Untidy::Garbage) => Disturbance::Garbage(MOMENT),
            Mode::Untidy(Untidy::SilentBars) => Disturbance::SilentBars(MOMENT),
            Mode::Untidy(Untidy::SilentConfig) => Disturbance::SilentConfig(MOMENT),
            Mode::Untidy(Untidy::SlowReads) => Disturbance::SlowReads(SLOW),
            Mode::Untidy(Untidy::StalledRead) => Disturbance::Stalls(MOMENT),
            Mode::Untidy(Untidy::NoInterrupts) => Disturbance::NoInterrupts(MOMENT),
            Mode::Mistake(Mistake::DriverPanics) => Disturbance::DriverPanics,
            Mode::Mistake(Mistake::DriverStuck) => Disturbance::DriverStuck(STUCK),
            // Not among its modes.
            Mode::Untidy(_) => return Vec::new(),
        };
        vec![(at, what)]
    }

    fn minor(device: &Device) -> Minor {
        device.minor()
    }

    fn presence(device: &Device) -> Presence {
        device.presence()
    }

    fn is_live(device: &Device) -> bool {
        device.presence() == Presence::Live
    }

    fn works(device: &Device) -> bool {
        let answer = device.factorial(4);
        answer.is_ok_and(|answer| answer.fence.wait(LIMIT).is_ok() && answer.value.get() == Some(&24))
    }
}

/// Accesses of a probe, at least.
const PROBE: u64 = 12;
/// How often a user asks a device that is busy with what another one has asked for, and how long it waits in between.
const TRIES: u32 = 1000;
const PAUSE: Duration = Duration::from_micros(50);

impl Tortured for Edu {
    const CAST: &'static [Role<Self>] = clients::CAST;
    const JOBS: usize = 1;

    type Context = Nobody;
    type User = Device;

    fn kinds() -> Vec<Kind> {
        let plain = [
            Plain::Removal,
            Plain::RemovalAtAccess,
            Plain::RemovalInProbe,
            Plain::RemovalOfBoth,
            Plain::Hang,
            Plain::Rebind,
            Plain::RebindInRemoval,
            Plain::ForcedUnbind,
            Plain::Unload,
        ];
        let untidy =
            [Untidy::Garbage, Untidy::SilentBars, Untidy::SilentConfig, Untidy::StalledRead, Untidy::NoInterrupts];
        let mistakes = [Mistake::DriverPanics, Mistake::DriverStuck];
        let plain = plain.into_iter().map(Kind::Plain);
        plain.chain(untidy.map(Kind::Untidy)).chain(mistakes.map(Kind::Mistake)).collect()
    }

    fn users_module() -> Module {
        Self::module()
    }

    fn armed(plan: &Plan) -> Vec<(u64, Disturbance<Plugged>)> {
        let moment = plan.moment();
        let what = match plan.kind {
            Kind::Plain(Plain::RemovalInProbe) => {
                return vec![(1 + plan.at % PROBE, Disturbance::Device(Plugged::pull))];
            }
            Kind::Plain(Plain::RemovalAtAccess) => Disturbance::Device(Plugged::pull),
            Kind::Plain(Plain::Hang) => Disturbance::Device(Plugged::hang),
            Kind::Untidy(Untidy::Garbage) => Disturbance::Garbage(moment),
            Kind::Untidy(Untidy::SilentBars) => Disturbance::SilentBars(moment),
            Kind::Untidy(Untidy::SilentConfig) => Disturbance::SilentConfig(moment),
            Kind::Untidy(Untidy::StalledRead) => Disturbance::Stalls(moment),
            Kind::Untidy(Untidy::NoInterrupts) => Disturbance::NoInterrupts(moment),
            // Nothing is armed for these, or they are not among its kinds.
            Kind::Plain(_) | Kind::Untidy(_) => return Vec::new(),
            Kind::Mistake(Mistake::DriverPanics) => Disturbance::DriverPanics,
            Kind::Mistake(Mistake::DriverStuck) => Disturbance::DriverStuck(STUCK),
        };
        vec![(plan.at, what)]
    }

    /// Its storms are those of the lifecycle alone.
    fn storm(plan: &Plan) -> Vec<Gust<Self>> {
        if !plan.has_storm() {
            return Vec::new();
        }
        let mut random = plan.storm_generator();
        let gust = |_| match random.u8(..7) {
            0 => Gust::Remove,
            1 => Gust::Plug(Some((random.u64(1..40), Disturbance::Device(Plugged::pull)))),
            2 => Gust::Plug(None),
            3 => Gust::Rebind,
            4 => Gust::Unbind,
            5 => Gust::Bind,
            _ => Gust::Dump,
        };
        (0..10).map(gust).collect()
    }

    fn location(device: &Device) -> &str {
        device.location()
    }

    fn may_time_out(kind: Kind) -> bool {
        kind == Kind::Plain(Plain::Hang)
    }

    fn user(device: &Device) -> Option<Device> {
        Some(device.clone())
    }

    fn jobs(device: &Device) -> Vec<Fence> {
        for _ in 0..TRIES {
            match device.factorial(4) {
                Err(CallError::Busy(_)) => thread::sleep(PAUSE),
                Ok(answer) => {
                    // A device that still answers nonsense does not work yet.
                    let right = answer.fence.wait(LIMIT).is_ok() && answer.value.get() == Some(&24);
                    return right.then_some(answer.fence).into_iter().collect();
                }
                Err(_) => return Vec::new(),
            }
        }
        Vec::new()
    }
}
