//! QEMU's educational device, on its model behind an [interposer](crate::interposer).

mod card;
mod world;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use lifeboat::calls::CallInfo;
use lifeboat::{CallError, Minor, Module};
use lifeboat_edu_hosted::{CALLS, Device, Service};

use crate::exhaust::Mode;
use crate::interposer::Disturbance;
use crate::mistake::Mistake;
use crate::subject::Subject;
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

    fn is_live(device: &Device) -> bool {
        device.presence() == lifeboat::core::class::Presence::Live
    }

    fn works(device: &Device) -> bool {
        let answer = device.factorial(4);
        answer.is_ok_and(|answer| answer.fence.wait(LIMIT).is_ok() && answer.value.get() == Some(&24))
    }
}
