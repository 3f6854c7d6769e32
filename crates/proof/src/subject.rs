//! What a driver provides to be put to the proof: a model of its device, what users do with it, and what may happen to it.
//!
//! [`exhaust`](crate::exhaust) and [`torture`](crate::torture) know no device; the drivers that they know are in
//! [`drivers`](crate::drivers).

use std::io;
use std::sync::Arc;

use lifeboat::calls::CallInfo;
use lifeboat::core::class::Presence;
use lifeboat::{Bus, CallError, Fence, Minor, Module};

use crate::exhaust::Mode;

/// A driver that is put to the proof.
pub trait Subject: Sized + 'static {
    /// Name of the driver, as `--driver` has it.
    const NAME: &'static str;
    /// Calls that users can make.
    const CALLS: &'static [CallInfo];
    /// A call that has the device work: after every fault after which the device is there, one succeeds.
    const WORK: &'static str;
    /// What may happen to the device at an access.
    const MODES: &'static [Mode];
    /// Times that a session makes every call: so many that it has some thousand accesses.
    const ROUNDS: usize;

    /// A device, as its users have it.
    type Device: Clone + Send + Sync + 'static;
    /// A slot for cards.
    type Slot: Slot<Card = Self::Card> + 'static;
    /// The model of the device.
    type Card: Card;
    /// A user with all that the calls need.
    type World: World;
    /// Something of another device that calls need. Nothing happens to that device.
    type Peer: Send + Sync;

    /// A module with the driver, with the shortest limits that it may have.
    fn module() -> Module;

    /// A slot with nothing in it.
    fn slot(location: &str) -> Arc<Self::Slot>;

    /// A card.
    ///
    /// # Errors
    /// The system does not give what it needs.
    fn card() -> io::Result<Arc<Self::Card>>;

    /// Another device.
    ///
    /// # Errors
    /// In words, what of it went wrong.
    fn peer() -> Result<Self::Peer, String>;

    /// A user of a device.
    ///
    /// # Errors
    /// That of the first call that failed.
    fn world(device: Self::Device, peer: &Self::Peer) -> Result<Self::World, CallError>;

    /// What is armed on a card for a mode, at access `at` from now on. That of the access itself comes first.
    fn strikes(mode: Mode, at: u64) -> Vec<<Self::Card as Card>::Strike>;

    /// Number of a device.
    fn minor(device: &Self::Device) -> Minor;

    /// How it stands with a device.
    fn presence(device: &Self::Device) -> Presence;

    /// Whether nobody has found the device lost.
    fn is_live(device: &Self::Device) -> bool;

    /// Whether the device does what it is asked for. Waits for that.
    fn works(device: &Self::Device) -> bool;
}

/// A model of a device, as a bus can have it.
pub trait Card: Send + Sync + 'static {
    /// A fault.
    type Fault: Copy + Send + Sync + 'static;
    /// A fault, and when it comes.
    type Strike: Copy + Send + Sync + 'static;

    /// Has something happen, and calls `tell` when it does.
    fn strike(&self, strike: Self::Strike, tell: Box<dyn Fn() + Send + Sync>);

    /// Has a fault happen now, or at the next access.
    fn inject(&self, fault: Self::Fault);

    /// Whether it is plugged in.
    fn is_present(&self) -> bool;

    /// Accesses of the driver so far.
    fn accesses(&self) -> u64;

    /// What the driver has done wrong so far.
    fn mistakes(&self) -> Vec<String>;
}

/// A place on a bus.
pub trait Slot: lifeboat_pci::Slot {
    /// What is plugged in.
    type Card;

    /// Plugs in a card.
    ///
    /// # Errors
    /// In words, why not.
    fn insert(&self, card: &Arc<Self::Card>) -> Result<(), String>;

    /// Pulls out what is there, if anything is.
    fn remove(&self);

    /// Has a bus watch the slot.
    ///
    /// # Errors
    /// As [`Bus::attach`].
    fn attach(self: &Arc<Self>, bus: &mut Bus) -> io::Result<()>;
}

/// A user of a device, with one of everything that the calls need.
pub trait World {
    /// Makes the call of this name. What it creates is dropped at once; what it owes is [owed](World::owed).
    ///
    /// # Errors
    /// [`Wrong`]; the call's own error is in the result.
    fn call(&self, name: &str) -> Result<Result<(), CallError>, Wrong>;

    /// The number of its device.
    fn minor(&self) -> Minor;

    /// Signals soon after the world was made: what preparing it has asked of the device.
    fn done(&self) -> &Fence;

    /// What was given to the device last, if anything since this was asked last.
    fn last_job(&self) -> Option<Fence>;

    /// The events that calls since [`World::take_owed`] owe.
    fn owed(&self) -> Vec<Fence>;

    /// The same, and from now on they are no longer owed.
    fn take_owed(&self) -> Vec<Fence>;

    /// Events that have come too often, or not often enough, or answers that were wrong. To be asked when everything owed
    /// has signalled; `lost` says whether the loss of the device has been announced.
    fn miscounted(&self, lost: bool) -> Option<String>;
}

/// Why a [`World`] is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// The table has a call that nothing here makes.
    #[error("{0} is in the table, and nobody knows how to make it")]
    UnknownCall(String),
    /// A call answered with something that is not true.
    #[error("{0} answered wrongly")]
    WrongAnswer(&'static str),
}
