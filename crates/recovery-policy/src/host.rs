//! The machine: all its devices, their turns, and the breaker.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::device::Device;
use crate::event::{Action, Command, Denied, Event, Ground};
use crate::memory::Memory;
use crate::policy::{HostPolicy, Policy};
use crate::record::{DeviceId, Entry, Record, Trip};
use crate::stage::{Stage, Wait};
use crate::time::Timestamp;

/// Device with its rules.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Ruled {
    device: Device,
    policy: Policy,
}

/// Action about a device, or about the machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The device; `None` for records about the machine.
    pub device: Option<DeviceId>,
    /// The action.
    pub action: Action,
}

/// Everything that a journal must keep of the machine: the sum of all records so far.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Memories of all devices that records were about.
    pub memories: BTreeMap<DeviceId, Memory>,
    /// Reason for which the breaker has tripped, if it has.
    pub tripped: Option<Trip>,
}

impl Checkpoint {
    /// Takes an entry of the journal in.
    pub fn apply(&mut self, entry: &Entry) {
        match (&entry.record, &entry.device) {
            // The first reason is the one to look into.
            (Record::Tripped(trip), _) => {
                self.tripped.get_or_insert(*trip);
            }
            (Record::Reset { .. }, _) => self.tripped = None,
            (record, Some(device)) => self.memories.entry(device.clone()).or_default().apply(record, entry.at),
            (_, None) => {}
        }
    }
}

/// State of the machine.
///
/// One device is recovered at a time: a step may affect its neighbours, and two at once would hide what helped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Host {
    policy: HostPolicy,
    boot: Timestamp,
    devices: BTreeMap<DeviceId, Ruled>,
    /// Memories of devices that are not there now.
    absent: BTreeMap<DeviceId, Memory>,
    tripped: Option<Trip>,
    unrecorded: bool,
    wanted: VecDeque<Wanted>,
}

impl Host {
    /// Creates the machine that booted at `boot`, with what its journal kept.
    pub fn new(policy: HostPolicy, boot: Timestamp, checkpoint: Checkpoint) -> Self {
        let Checkpoint { memories, tripped } = checkpoint;
        // A device that a step is under way on may be missing for that very reason, and its step still holds up the others.
        let (flying, absent): (BTreeMap<_, _>, _) =
            memories.into_iter().partition(|(_, memory)| memory.flight.is_some());
        let ruled = |(id, memory)| (id, Ruled { device: Device::new(memory), policy: Policy::default() });
        let devices = flying.into_iter().map(ruled).collect();
        Self { policy, boot, devices, absent, tripped, unrecorded: false, wanted: VecDeque::new() }
    }

    /// Returns the sum of all records so far. Actions that were not polled yet are part of it.
    pub fn checkpoint(&self) -> Checkpoint {
        let present = self.devices.iter().map(|(id, ruled)| (id.clone(), ruled.device.memory().clone()));
        let memories = self.absent.iter().map(|(id, memory)| (id.clone(), memory.clone())).chain(present).collect();
        Checkpoint { memories, tripped: self.tripped }
    }

    /// Adds a device that is present, or gives one other rules. It does nothing before [`Host::resume`].
    pub fn add(&mut self, device: &DeviceId, policy: Policy) {
        if let Some(ruled) = self.devices.get_mut(device) {
            ruled.policy = policy;
            return;
        }
        let memory = self.absent.remove(device).unwrap_or_default();
        self.devices.insert(device.clone(), Ruled { device: Device::new(memory), policy });
    }

    /// Has the devices that were added go on where their records end. The shell adds all devices that it finds at its start
    /// before, because a step that is under way on one of them holds up the others.
    pub fn resume(&mut self, now: Timestamp) {
        let resuming = |(id, ruled): (&DeviceId, &Ruled)| (ruled.device.stage() == Stage::Resuming).then(|| id.clone());
        let ids: Vec<DeviceId> = self.devices.iter().filter_map(resuming).collect();
        for id in ids {
            // Only commands are denied.
            let _ = self.handle(&id, Event::Resumed, now);
        }
    }

    /// Returns the devices, with their rules.
    pub fn devices(&self) -> impl Iterator<Item = (&DeviceId, &Device, &Policy)> {
        self.devices.iter().map(|(id, ruled)| (id, &ruled.device, &ruled.policy))
    }

    /// Returns a device.
    pub fn device(&self, id: &DeviceId) -> Option<(&Device, &Policy)> {
        self.devices.get(id).map(|ruled| (&ruled.device, &ruled.policy))
    }

    /// Returns the rules of the machine.
    pub fn policy(&self) -> &HostPolicy {
        &self.policy
    }

    /// Returns why the breaker has tripped, if it has.
    pub fn tripped(&self) -> Option<Trip> {
        self.tripped
    }

    /// Takes an event of a device in.
    ///
    /// # Errors
    /// [`Denied`], for commands and unknown devices.
    pub fn handle(&mut self, id: &DeviceId, event: Event, now: Timestamp) -> Result<(), Denied> {
        let (busy, crowded, forbidden) = (self.is_busy(id), self.is_crowded(id, now), self.forbidden());
        let ruled = self.devices.get_mut(id).ok_or(Denied::NoDevice)?;
        let ground =
            Ground { policy: &ruled.policy, host: &self.policy, now, boot: self.boot, busy, forbidden, crowded };
        let mut actions = Vec::new();
        let answer = ruled.device.handle(event, &ground, &mut actions);
        for action in actions {
            let action = match action {
                Action::Trip(trip) => {
                    self.tripped.get_or_insert(trip);
                    Action::Record(Record::Tripped(trip))
                }
                action => action,
            };
            self.wanted.push_back(Wanted { device: Some(id.clone()), action });
        }
        self.pass_the_turn(now);
        answer
    }

    /// Reports that time has passed, or that something that devices wait for may be free.
    pub fn tick(&mut self, now: Timestamp) {
        let ids: Vec<DeviceId> = self.devices.keys().cloned().collect();
        for id in ids {
            // A tick is never denied.
            let _ = self.handle(&id, Event::Tick, now);
        }
    }

    /// Reports whether the journal takes records.
    pub fn journal(&mut self, works: bool, now: Timestamp) {
        self.unrecorded = !works;
        self.tick(now);
    }

    /// Closes the breaker again.
    ///
    /// # Errors
    /// [`Denied::UnderWay`] while a write that does not return is outstanding.
    pub fn reset(&mut self, by: String, now: Timestamp) -> Result<(), Denied> {
        let stuck = |ruled: &Ruled| {
            ruled.device.memory().flight.is_some() && matches!(ruled.device.stage(), Stage::Left { .. })
        };
        if self.devices.values().any(stuck) {
            return Err(Denied::UnderWay);
        }
        self.tripped = None;
        self.wanted.push_back(Wanted { device: None, action: Action::Record(Record::Reset { by }) });
        self.tick(now);
        Ok(())
    }

    /// Takes a command of an operator in.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn command(&mut self, id: &DeviceId, by: String, command: Command, now: Timestamp) -> Result<(), Denied> {
        self.handle(id, Event::Command { by, command }, now)
    }

    /// Returns the next action. Actions are carried out in this order; a record is durable before the next action begins.
    pub fn poll_action(&mut self) -> Option<Wanted> {
        self.wanted.pop_front()
    }

    /// Returns the time at which [`Host::tick`] is due, if nothing happens before.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.devices.values().filter_map(|ruled| ruled.device.next_deadline()).min()
    }

    /// Has a device go on that waits for its turn, if no other one is being recovered.
    fn pass_the_turn(&mut self, now: Timestamp) {
        if self.devices.values().any(|ruled| ruled.device.is_recovering()) {
            return;
        }
        let waits = |ruled: &Ruled| matches!(ruled.device.stage(), Stage::Waiting { why: Wait::Turn, .. });
        let next = self.devices.iter().find(|(_, ruled)| waits(ruled)).map(|(id, _)| id.clone());
        if let Some(id) = next {
            // A tick is never denied. The device takes the turn or waits for something else, so this ends.
            let _ = self.handle(&id, Event::Tick, now);
        }
    }

    fn others<'a>(&'a self, id: &'a DeviceId) -> impl Iterator<Item = &'a Device> {
        self.devices.iter().filter(move |(other, _)| *other != id).map(|(_, ruled)| &ruled.device)
    }

    /// Returns the reason for which no device may be recovered now.
    fn forbidden(&self) -> Option<Wait> {
        if self.unrecorded { Some(Wait::Journal) } else { self.tripped.map(|_| Wait::Breaker) }
    }

    fn is_busy(&self, id: &DeviceId) -> bool {
        self.others(id).any(Device::is_recovering)
    }

    /// Tells whether as many others were recovered lately as the breaker permits.
    fn is_crowded(&self, id: &DeviceId, now: Timestamp) -> bool {
        let per = self.policy.breaker_per;
        let others = self.others(id).map(Device::memory).chain(self.absent.values());
        others.filter(|memory| memory.climbs_within(per, now) > 0).count() >= self.policy.breaker_devices as usize
    }
}
