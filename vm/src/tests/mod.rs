//! The tests themselves, by what they are about.

pub mod dkms;
pub mod drm;
pub mod dump;
pub mod exhaust;
pub mod fuzz;
pub mod hangs;
pub mod jobqueue;
pub mod lifecycle;
pub mod lint;
pub mod loss;
pub mod orderly;
pub mod races;
pub mod recovery;
pub mod runner;
pub mod second;
pub mod sick;
pub mod torture;
pub mod types;
pub mod wedge;
pub mod wedge_allocations;

use crate::guest::qemu::Hotplug;
use crate::suite::bench::{Card, PLAIN, Plan, Removals};

/// Native hotplug, which sees surprises; an empty slot.
const NATIVE: Plan = Plan { hotplug: Hotplug::Native, ..PLAIN };

/// Our GPU in the slot, ACPI hotplug.
const ACPI_GPU: Plan = Plan { card: Card::Gpu, gpu: true, ..PLAIN };

/// The same, for what is not about the time that a loss takes: others may compete for the processors meanwhile.
const UNTIMED_GPU: Plan = Plan { removals: Removals::Untimed, ..ACPI_GPU };

/// Our GPU in the slot, native hotplug.
const NATIVE_GPU: Plan = Plan { hotplug: Hotplug::Native, ..ACPI_GPU };
