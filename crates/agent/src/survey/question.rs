//! Question that a survey answers, and the ways to look at the device.

use std::path::Path;

use lifeboat_recovery_policy::policy::StepKind;
use lifeboat_recovery_policy::survey::Health;

use crate::address::Address;
use crate::inventory::config::ReadConfig;
use crate::inventory::function::Function;

/// Question that a survey answers, and what the asker remembers of the device.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// Address of the device.
    pub device: Address,
    /// Step that may follow.
    pub step: StepKind,
    /// Program of a vendor's step.
    pub program: &'a Path,
    /// Driver that was bound before the incident, if it is known.
    pub driver: Option<&'a str>,
    /// Bridge above the device before the incident, if it is known: a device that is off the bus is looked for below.
    pub bridge: Option<Address>,
    /// Names of processes and units that the policy never ends.
    pub never_end: &'a [String],
    /// Functions through which the daemon is controlled.
    pub control: &'a [Address],
    /// Whether the kernel recovers the device now, by the events that were seen.
    pub kernel_recovers: bool,
}

/// Ways to look at a device itself. The daemon gives ones that wait no longer than it can.
pub struct Eyes<'a> {
    /// Reader of configuration space.
    pub config: ReadConfig<'a>,
    /// Look at a function whose configuration space answers: its driver, its node, a probe of the operator.
    pub probe: &'a dyn Fn(&Function) -> Health,
}
