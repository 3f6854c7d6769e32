// SPDX-License-Identifier: GPL-2.0 OR MIT

//! `lifeboat.ko`: a portable driver as a kernel module.
//!
//! The policy is `lifeboat-core`; the hardware is known to a driver, a crate over `lifeboat-driver`
//! that `registration` names. They are the crates that every other build has, compiled for the
//! kernel. This crate is the shell around them, as `crates/lifeboat` is in a process: it brings
//! memory, locks, time, interrupts and work queues.
//!
//! | file | concept |
//! |---|---|
//! | `registration` | the driver that this is the shell of; another one in its place makes another module |
//! | `driver`, `slot` | a function on the bus, from its probe to its removal: what comes of what happens to it |
//! | `bringup`, `selftest` | from a function on the bus to a device that works |
//! | `binding`, `teardown` | its one end |
//! | `device` | all that there is of a device |
//! | `node` | its nodes, which programs open and call |
//! | `opener` | the process that opened a file |
//! | `numbers` | the hardware's contexts, which clients share |
//! | `usage` | how long the rings have worked for a client |
//! | `client` | what an open file has: contexts, and their jobs |
//! | `gate` | calls of users that need the device |
//! | `bars`, `link` | the only way to the registers |
//! | `drive` | carries out the driver's sequences |
//! | `engine`, `hardware`, `interrupt` | the device and its scheduler, whose shell is `lifeboat_jobqueue` |
//! | `ring`, `workspace`, `job` | what a job consists of |
//! | `health`, `watcher` | is the device alive |
//! | `dump` | the state at a failure, kept for whoever explains it |
//! | `memory` | buffers, maps and address tables of programs |
//! | `load`, `background`, `exercise` | jobs whose results are known to the byte |
//! | `debugfs`, `counters`, `removals`, `holders` | what can be seen |
//! | `mistakes` | calls that kernels with lockdep must report |
//! | `refusals` | jobs that are not started, for tests |
//! | `linger` | a section that stays open, for tests |
//! | `glue` | all that is unsafe |
//!
//! Locks, outermost first: `place`, the turn of a slot; `watcher`; `rings`; `load` slots, then its queues; the scheduler's; a fence's. And `holders`,
//! then the `files` in it. The others (`enabled`, `interrupts`, `nodes`, `removal`, `blamed`, `owner`, `machine`, `slots`, `removals`) are leaves. A
//! register section takes none. A section of the gate may be around any but `place`. Those of `memory` and `client` are
//! stated there; `memory`'s come after `rings`.
#![deny(unsafe_code)] // but in `glue`

use kernel::{debugfs::File, driver::Registration, pci, prelude::*, sync::Arc, InPlaceModule};

mod background;
mod bars;
mod binding;
mod bringup;
mod client;
mod counters;
mod debugfs;
mod device;
mod drive;
mod driver;
mod dump;
mod engine;
mod errno;
mod exercise;
mod gate;
mod glue;
mod hardware;
mod health;
mod holders;
mod interrupt;
mod job;
mod linger;
mod link;
mod load;
mod memory;
mod mistakes;
mod node;
mod numbers;
mod opener;
mod programs;
mod refusals;
#[cfg_attr(lifeboat_second, path = "../second/registration.rs")]
mod registration;
mod removals;
mod ring;
mod selftest;
mod shared;
mod shown;
mod slot;
mod teardown;
mod usage;
mod watcher;
mod workspace;

use driver::PciDriver;
use glue::{lint, Devices, Registered};
use lifeboat_jobqueue::clock;
use shared::Shared;

/// The name of the module, in all places where it is seen.
pub(crate) const NAME: &CStr = <Lifeboat as kernel::ModuleMetadata>::NAME;

/// The module's state. Dropped in this order: first no device is bound, then nothing shows them, then none is referred to, then
/// nothing is shared.
#[pin_data]
struct Lifeboat {
    #[pin]
    driver: Registration<pci::Adapter<PciDriver>>,
    #[pin]
    removals: File<Arc<Shared>>,
    #[pin]
    holders: File<Arc<Shared>>,
    devices: Devices,
    registered: Registered,
    watch: lint::Watch,
}

impl InPlaceModule for Lifeboat {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(move || {
            let shared = Shared::new()?;
            Ok(try_pin_init!(Self {
                watch: lint::Watch::begin(),
                registered: Registered::new(shared.clone(), module),
                devices: Devices::new(module),
                removals <- debugfs::removals(&shared),
                holders <- debugfs::holders(&shared),
                driver <- Registration::new(NAME, module),
            }))
        })
    }
}

/// The module of this name.
macro_rules! module_of {
    ($name:tt) => {
        module! {
            type: Lifeboat,
            name: $name,
            authors: ["The Lifeboat developers"],
            description: "Driver of a GPU that can vanish",
            license: "Dual MIT/GPL",
            imports_ns: ["DMA_BUF"],
            params: {
                health_ms: u32 {
                    default: 1000,
                    description: "Milliseconds between two looks at a device's health, at least 5; 0: never (default 1000)",
                },
                guilty_limit: u32 {
                    default: 10,
                    description: "Resets that the jobs of a context may cause before no more are accepted (default 10)",
                },
                job_timeout_ms: u32 {
                    default: 2000,
                    description: "Milliseconds that the oldest job of a ring may take before the ring is reset (default 2000)",
                },
                recoveries: u32 {
                    default: 3,
                    description: "Recoveries in a row of a device that fails, before it is wedged or left alone; 0: none (default 3)",
                },
                load: bool {
                    default: false,
                    description: "Keep every ring busy with verified jobs (default 0)",
                },
                race: bool {
                    default: false,
                    description: "Test switch: let calls run past the check that the device is there (default 0)",
                },
            },
        }
    };
}
registration::with_name!(module_of);
