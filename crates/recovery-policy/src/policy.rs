//! Policy: the rules an operator gives for a kind of device, and for the machine.
//!
//! The text form is the daemon's matter; these are the rules after they have been read and checked.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sign::{Advice, KernelRecovery, Sign, SignKind};
use crate::survey::Protection;

/// Kind of step. The order of the first five is by side effects on the machine, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// Unbind the driver and bind it again.
    Rebind,
    /// Reset the function by one of the methods that the kernel offers for it alone.
    FunctionReset,
    /// Unbind the driver, reset the bus below the parent bridge, and bind the driver again.
    BusReset,
    /// Remove the function from the bus and rescan below its parent bridge.
    RemoveRescan,
    /// Cut the power of the slot and give it back.
    PowerCycle,
    /// Run a program of the vendor or of the operator.
    Vendor,
}

impl StepKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Rebind, Self::FunctionReset, Self::BusReset, Self::RemoveRescan, Self::PowerCycle, Self::Vendor];

    /// Returns the name in policies and in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rebind => "rebind",
            Self::FunctionReset => "function-reset",
            Self::BusReset => "bus-reset",
            Self::RemoveRescan => "remove-rescan",
            Self::PowerCycle => "power-cycle",
            Self::Vendor => "vendor",
        }
    }

    /// Tells whether the step may help, by the advice of the signs. Advice that the driver does not give
    /// is not guessed: without a vendor's step there is none for [`Advice::Vendor`].
    pub fn may_help(self, advice: Advice, unknown: Unknown) -> bool {
        match advice {
            Advice::Any | Advice::Nothing => true,
            Advice::BusReset => self >= Self::BusReset,
            Advice::Vendor => self == Self::Vendor,
            Advice::Unknown => unknown == Unknown::Ladder,
        }
    }
}

/// Step of a ladder.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Step {
    /// Kind of the step.
    pub kind: StepKind,
    /// Number of tries before the next step, at least 1.
    pub tries: u32,
    /// Time after which the step is reported as stuck.
    pub deadline: Duration,
    /// Whether an operator must approve the step each time.
    pub confirm: bool,
    /// Name of the case, for a vendor's step: part of the contract with its program.
    pub case: String,
    /// Path of the program, for a vendor's step.
    pub run: String,
}

/// Rule for signs whose advice is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// Do nothing and ask an operator.
    #[default]
    Hold,
    /// Climb the ladder as for any other sign.
    Ladder,
}

/// Number of sightings that count as one sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Threshold {
    /// Number of sightings, at least 1. Zero: the sign never counts.
    pub times: u32,
    /// Time within which they must lie.
    pub within: Duration,
}

impl Threshold {
    /// The first sighting counts.
    pub const FIRST: Self = Self { times: 1, within: Duration::from_secs(1) };
    /// The sign never counts.
    pub const NEVER: Self = Self { times: 0, within: Duration::from_secs(1) };
}

/// Signs that count. A fault of an application is no sign unless a rule names its code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Signals {
    /// Threshold of wedged events.
    pub wedged: Threshold,
    /// Threshold of failed recoveries of the kernel.
    pub pci_failed: Threshold,
    /// Threshold of reads of all-ones.
    pub all_ones: Threshold,
    /// Threshold of states that are not health.
    pub state: Threshold,
    /// Faults of the kernel's log that count at the first line: family and code.
    pub log: Vec<(String, String)>,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            wedged: Threshold::FIRST,
            pci_failed: Threshold::FIRST,
            all_ones: Threshold { times: 3, within: Duration::from_secs(10) },
            state: Threshold { times: 3, within: Duration::from_mins(1) },
            log: Vec::new(),
        }
    }
}

impl Signals {
    /// Returns the threshold of a sign.
    pub fn threshold(&self, sign: &Sign) -> Threshold {
        match &sign.kind {
            SignKind::Wedged { .. } => self.wedged,
            SignKind::Pci(KernelRecovery::Failed) => self.pci_failed,
            SignKind::Pci(_) => Threshold::NEVER,
            SignKind::AllOnes => self.all_ones,
            SignKind::State { .. } => self.state,
            SignKind::Log(fault) => {
                let named = self.log.iter().any(|(family, code)| *family == fault.family && *code == fault.code);
                if named { Threshold::FIRST } else { Threshold::NEVER }
            }
        }
    }
}

/// Rules for those who hold the device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HolderRules {
    /// Whether holders are told before anything else.
    pub notify: bool,
    /// Time that holders have to leave by themselves.
    pub wait: Duration,
    /// Time that a holder has after SIGTERM. `None`: no holder is ended.
    pub term: Option<Duration>,
    /// Time that a holder has after SIGKILL. `None`: no holder is killed.
    pub kill: Option<Duration>,
}

impl Default for HolderRules {
    fn default() -> Self {
        Self { notify: true, wait: Duration::from_mins(1), term: None, kill: None }
    }
}

/// Proof that a device works again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VerifyRules {
    /// Time that a verification may take.
    pub deadline: Duration,
    /// Time that the device must go on working after the first verification.
    pub alive_for: Duration,
}

impl Default for VerifyRules {
    fn default() -> Self {
        Self { deadline: Duration::from_mins(1), alive_for: Duration::from_mins(1) }
    }
}

/// Number and spacing of recoveries. A recovery is one climb of the ladder, with all its steps.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Budget {
    /// Number of recoveries within `per`. The next one is not begun: the device is quarantined.
    pub attempts: u32,
    /// Time over which recoveries are counted.
    pub per: Duration,
    /// Time between the begin of the last recovery and the next one: the first entry after one
    /// recovery within `per`, the second after two; the last entry holds from there on.
    pub backoff: Vec<Duration>,
}

impl Default for Budget {
    fn default() -> Self {
        let backoff = [1, 10, 60].map(Duration::from_mins).to_vec();
        Self { attempts: 3, per: Duration::from_hours(24), backoff }
    }
}

/// Rules for one device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Policy {
    /// Name of the rule, for people.
    pub name: String,
    /// Signs that count.
    pub signals: Signals,
    /// Time after boot in which nothing is done: links train, firmware starts.
    pub boot_grace: Duration,
    /// Protections that are waived for the device.
    pub waived: Vec<Protection>,
    /// Rules for holders.
    pub holders: HolderRules,
    /// Steps, from the least to the most side effects.
    pub steps: Vec<Step>,
    /// Rule for signs whose advice is unknown.
    pub unknown: Unknown,
    /// Proof that the device works again.
    pub verify: VerifyRules,
    /// Number and spacing of recoveries.
    pub budget: Budget,
    /// Time that saving evidence may take.
    pub evidence: Duration,
    /// Time that the kernel's own recovery may take.
    pub kernel: Duration,
    /// Time that an operator has to approve a step.
    pub approval: Duration,
    /// Time between looks at a device that was left alone.
    pub recheck: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            name: String::new(),
            signals: Signals::default(),
            boot_grace: Duration::from_mins(5),
            waived: Vec::new(),
            holders: HolderRules::default(),
            steps: Vec::new(),
            unknown: Unknown::default(),
            verify: VerifyRules::default(),
            budget: Budget::default(),
            evidence: Duration::from_secs(30),
            kernel: Duration::from_mins(5),
            approval: Duration::from_hours(24),
            recheck: Duration::from_mins(5),
        }
    }
}

/// Consent of the operator to writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Watch and decide, and write nothing. The daemon ships like this.
    #[default]
    Observe,
    /// Carry steps out.
    Act,
}

/// Rules for the machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HostPolicy {
    /// Consent to writes.
    pub mode: Mode,
    /// Number of devices that may be recovered within `breaker_per`. One more trips the breaker.
    pub breaker_devices: u32,
    /// Time over which the breaker counts devices.
    pub breaker_per: Duration,
    /// Whether a lock of the fleet is taken before a recovery.
    pub fleet_lock: bool,
    /// Time after which an unanswered or refused request for the lock is made again.
    pub fleet_lock_retry: Duration,
}

impl Default for HostPolicy {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            breaker_devices: 2,
            breaker_per: Duration::from_mins(10),
            fleet_lock: false,
            fleet_lock_retry: Duration::from_secs(30),
        }
    }
}
