//! Makes the structure of a call: what was chosen by numbers becomes handles, addresses and sizes.

use std::sync::Arc;

use fastrand::Rng;
use lifeboat_client::arena::{Hole, MEMORY_BYTES, Place};
use lifeboat_uapi::{SYNC_FILE, Sync};
use rustix::time::{ClockId, clock_gettime};

use crate::fuzz::generator::{Call, Oddity};
use crate::fuzz::report::Options;
use crate::fuzz::resources::{Descriptor, Kind, Numbers, World, chosen};
use crate::fuzz::shape::{Element, Meaning, Shape};

/// Bytes of memory that one thread's arrays are in, and those of one field.
const REGION: usize = 64 << 10;
const ROOM: usize = 4 << 10;
/// Most elements of an array that are made; if there are more, what was there before.
const ELEMENTS: u64 = 16;
/// Slots of addresses in a context.
pub(super) const SLOTS: u64 = 16;
/// A buffer is either smaller than this, or so large that there is no such memory: what is between would take the guest's.
const LARGE: u64 = 8 << 20;
const TOO_LARGE: u64 = 1 << 36;
/// Longest wait that a core call is given, in nanoseconds: what it waits for may never come.
const LONGEST: i64 = 50_000_000;

/// What a structure is made of.
pub(super) struct Maker<'a> {
    /// Limits of the device, and its commands.
    pub(super) options: &'a Options,
    /// What there is.
    pub(super) world: &'a World,
    /// What the file has.
    pub(super) numbers: &'a Numbers,
    /// Number of the thread: its arrays are its own.
    pub(super) thread: usize,
}

/// A structure.
pub(super) struct Structure {
    /// Its bytes, but for addresses.
    pub(super) bytes: Vec<u8>,
    /// Its addresses.
    pub(super) places: Vec<Place>,
    /// Number of the call.
    pub(super) number: u32,
    /// Values of the fields.
    pub(super) values: Vec<u64>,
    /// Descriptors that are named in it: they stay open until the call is over.
    pub(super) kept: Vec<Arc<Descriptor>>,
}

impl Maker<'_> {
    /// Makes it.
    pub(super) fn make(&self, call: &Call, shape: &Shape) -> Structure {
        let mut kept = Vec::new();
        let mut values = Vec::with_capacity(shape.fields.len());
        for (index, field) in shape.fields.iter().enumerate() {
            let odd = call.oddity == Oddity::Field(index);
            let random = call.values[if field.meaning == Meaning::Job { 0 } else { index }];
            let value = if odd { self.bad(field.meaning, random) } else { self.good(field.meaning, random, &mut kept) };
            let value = match call.oddity {
                Oddity::Flip(flipped, bit) if flipped == index => value ^ 1 << (bit as usize % (8 * field.bytes)),
                _ => value,
            };
            values.push(bounded(field.meaning, value, shape.is_own()));
        }
        let mut bytes = vec![0; shape.bytes()];
        let mut places = Vec::new();
        for (index, field) in shape.fields.iter().enumerate() {
            let odd = call.oddity == Oddity::Field(index);
            if let Some(place) = self.place(field.meaning, call.values[index], odd, index, &values, &mut kept) {
                places.push(place);
            } else {
                bytes[field.at..field.at + field.bytes].copy_from_slice(&values[index].to_le_bytes()[..field.bytes]);
            }
        }
        let number = resized(shape.number, call.oddity, &mut bytes);
        Structure { bytes, places, number, values, kept }
    }

    /// A value that the call can do something with, as far as there is one.
    fn good(&self, meaning: Meaning, random: u64, kept: &mut Vec<Arc<Descriptor>>) -> u64 {
        let info = &self.options.info;
        match meaning {
            Meaning::Pad | Meaning::NoAddress | Meaning::UserPages | Meaning::Array(..) => 0,
            Meaning::Flags(mask) => random & u64::from(mask),
            // The first one is the usual one.
            Meaning::OneOf(all) => {
                let at = if random & 3 > 0 { 0 } else { random >> 2 };
                u64::from(all[usize::try_from(at % all.len() as u64).unwrap_or(0)])
            }
            Meaning::Below(most) => random % u64::from(most),
            Meaning::Ring => random % u64::from(info.rings.max(1)),
            Meaning::Context => chosen(&self.numbers.contexts, random).map_or(0, |(context, _)| (*context).into()),
            Meaning::Buffer => chosen(&self.numbers.buffers, random).map_or(0, |handle| (*handle).into()),
            Meaning::Syncobj => chosen(&self.numbers.syncobjs, random).map_or(0, |handle| (*handle).into()),
            Meaning::ContextOfJob => chosen(&self.numbers.jobs, random).map_or(0, |(context, _)| (*context).into()),
            Meaning::Job => chosen(&self.numbers.jobs, random).map_or(0, |(_, job)| *job),
            Meaning::Bytes if random.is_multiple_of(64) => 1 + (random >> 8) % (LARGE / 2),
            Meaning::Bytes => 1 + (random >> 8) % (16 << 10),
            Meaning::UserBytes => (1 + random % 8) << 12,
            Meaning::GpuAddress => info.first_address + random % SLOTS * self.options.commands.slot_bytes,
            Meaning::PartOffset => {
                if random.is_multiple_of(8) {
                    4096
                } else {
                    0
                }
            }
            Meaning::PartBytes => (1 + if random.is_multiple_of(4) { random >> 2 & 3 } else { 0 }) << 12,
            Meaning::Time => later(i64::try_from(random % 20_000_000).unwrap_or(0) - 2_000_000),
            Meaning::Some(_) => 1 + random % 4,
            Meaning::Count(_) => {
                if random.is_multiple_of(4) {
                    1 + (random >> 2) % 3
                } else {
                    0
                }
            }
            Meaning::Descriptor(kind) => self.descriptor(kind, random, kept),
            Meaning::Point => random % 64,
            Meaning::Out => {
                if random.is_multiple_of(8) {
                    random
                } else {
                    0
                }
            }
        }
    }

    /// A value that no call may take, if its meaning has any.
    fn bad(&self, meaning: Meaning, random: u64) -> u64 {
        let info = &self.options.info;
        let part = 1 + random % 4095;
        let of = |values: &[u64]| values[usize::try_from((random >> 16) % values.len() as u64).unwrap_or(0)];
        match meaning {
            Meaning::Pad => 1 << (random % 32),
            Meaning::Flags(mask) => {
                let unknown: Vec<u32> = (0..32).filter(|bit| mask & 1 << bit == 0).collect();
                random & u64::from(mask) | 1 << unknown[usize::try_from(random % unknown.len() as u64).unwrap_or(0)]
            }
            Meaning::OneOf(_) => of(&[7, 0x80, u32::MAX.into()]),
            Meaning::Ring => of(&[info.rings.into(), u32::MAX.into(), 1 << 8, 1 << 16]),
            Meaning::Context | Meaning::Buffer | Meaning::Syncobj | Meaning::ContextOfJob => {
                of(&[0, u32::MAX.into(), 1 << 20 | random & 0xffff])
            }
            Meaning::Job => of(&[0, u64::MAX, 1 << 32, 1 << 63]),
            Meaning::Bytes => of(&[0, u64::MAX, u64::MAX - 4095, TOO_LARGE * 16 + part, 1 << 63, 1 << 62 | 1]),
            Meaning::UserBytes => of(&[0, part, u64::MAX - 4095, TOO_LARGE * 16, 1 << 63]),
            Meaning::GpuAddress => {
                let behind = info.last_address.wrapping_add(1);
                of(&[info.first_address + part, behind, info.first_address.wrapping_sub(4096), u64::MAX, 1 << 63])
            }
            Meaning::PartOffset => of(&[part, TOO_LARGE * 16, u64::MAX - 4095, u64::MAX, 1 << 63]),
            Meaning::PartBytes => of(&[0, part, TOO_LARGE * 16, u64::MAX - 4095, 1 << 63]),
            Meaning::Time => of(&[1 << 63, u64::MAX, i64::MAX.cast_unsigned()]),
            Meaning::Some(u32::MAX) => of(&[0, u64::from(info.most_commands) + 1, u32::MAX.into()]),
            Meaning::Count(most) => of(&[u64::from(most) + 1, u32::MAX.into(), 1 << 28]),
            Meaning::Descriptor(_) => of(&[u32::MAX.into(), random & 0xff, i32::MAX.cast_unsigned().into()]),
            Meaning::Some(_) | Meaning::NoAddress | Meaning::UserPages | Meaning::Array(..) => 0,
            Meaning::Below(_) | Meaning::Point | Meaning::Out => random,
        }
    }

    /// The place that a field is the address of, if it is one.
    fn place(
        &self,
        meaning: Meaning,
        random: u64,
        odd: bool,
        index: usize,
        values: &[u64],
        kept: &mut Vec<Arc<Descriptor>>,
    ) -> Option<Place> {
        // Whether it is 0 modulo 5 is what `Call::must_be_refused` asks.
        let hole = [Hole::ReadOnly, Hole::Null, Hole::Nothing, Hole::Kernel, Hole::Last][(random % 5) as usize];
        let at = usize::try_from(random >> 8).unwrap_or(0);
        match meaning {
            Meaning::NoAddress if odd => Some(Place::Pages(at)),
            Meaning::NoAddress => Some(Place::Hole(Hole::Null)),
            // Zeroes that can be read are memory for a device that only reads.
            Meaning::UserPages if odd && hole == Hole::ReadOnly => Some(Place::Memory(at | 1)),
            Meaning::UserPages | Meaning::Array(..) if odd => Some(Place::Hole(hole)),
            Meaning::UserPages => Some(Place::Pages(at)),
            // A field that reaches beyond the end.
            Meaning::Array(..) if random.is_multiple_of(64) => Some(Place::Memory(MEMORY_BYTES - 4)),
            Meaning::Array(element, count) => {
                let offset = self.thread * REGION + index * ROOM;
                let count = values.get(count).copied().unwrap_or(0).min(ELEMENTS);
                self.world.arena.write(offset, &self.elements(element, count, random, values, kept));
                Some(Place::Memory(offset))
            }
            _ => None,
        }
    }

    fn elements(
        &self,
        element: Element,
        count: u64,
        random: u64,
        values: &[u64],
        kept: &mut Vec<Arc<Descriptor>>,
    ) -> Vec<u8> {
        let random = &mut Rng::with_seed(random);
        let mut bytes = Vec::new();
        for _ in 0..count {
            match element {
                Element::Command => bytes.extend(self.command(values.first().copied().unwrap_or(0), random)),
                Element::Wait => add_sync(&mut bytes, self.wait(random, kept)),
                Element::Signal => add_sync(&mut bytes, self.signal(random)),
                Element::Syncobj => bytes.extend(self.syncobj(random).to_le_bytes()),
                Element::Point => bytes.extend((random.u64(..) % 64).to_le_bytes()),
                Element::Room => bytes.extend([0; 8]),
            }
        }
        bytes
    }

    /// A command; one that writes memory only where the context has some, nearly always.
    fn command(&self, context: u64, random: &mut Rng) -> Vec<u8> {
        let commands = &self.options.commands;
        let slots = self.numbers.contexts.iter().find(|(number, _)| u64::from(*number) == context);
        let slots = slots.map_or(0, |(_, slots)| *slots);
        let slot = random.usize(..commands.writes.len().max(1));
        let mapped = slots >> slot & 1 > 0;
        let command = match random.u32(..500) {
            0 => random.choice(&commands.hangs),
            1..5 => commands.writes.get(slot),
            _ if mapped => commands.writes.get(slot),
            _ => None,
        };
        let idle = || random.clone().choice(&commands.idle);
        let mut command = command.or_else(idle).cloned().unwrap_or_default();
        // Where nothing may hang, nothing unknown is tried.
        if !commands.hangs.is_empty() && !command.is_empty() && random.u32(..100) == 0 {
            let at = random.usize(..command.len());
            command[at] ^= 1 << random.u32(..8);
        }
        command
    }

    fn wait(&self, random: &mut Rng, kept: &mut Vec<Arc<Descriptor>>) -> Sync {
        if random.u32(..32) == 0 {
            return Sync { handle: random.i32(..), flags: random.u32(..4), point: random.u64(..) };
        }
        if random.bool() {
            let number = self.descriptor(Kind::SyncFile, random.u64(..), kept);
            let handle = u32::try_from(number).unwrap_or(u32::MAX).cast_signed();
            return Sync { handle, flags: SYNC_FILE, point: 0 };
        }
        let point = if random.bool() { 0 } else { random.u64(..8) };
        Sync { handle: self.syncobj(random).cast_signed(), flags: 0, point }
    }

    fn signal(&self, random: &mut Rng) -> Sync {
        if random.u32(..32) == 0 {
            return Sync { handle: random.i32(..), flags: random.u32(..4), point: random.u64(..) };
        }
        if random.u32(..3) == 0 {
            return Sync { handle: -1, flags: SYNC_FILE, point: 0 };
        }
        let point = if random.bool() { 0 } else { random.u64(..64) };
        Sync { handle: self.syncobj(random).cast_signed(), flags: 0, point }
    }

    fn syncobj(&self, random: &mut Rng) -> u32 {
        chosen(&self.numbers.syncobjs, random.u64(..)).copied().unwrap_or(0)
    }

    fn descriptor(&self, kind: Kind, random: u64, kept: &mut Vec<Arc<Descriptor>>) -> u64 {
        use std::os::fd::AsRawFd;
        // Now and then one of another kind.
        let fits = |descriptor: &Descriptor| descriptor.kind == kind || random.is_multiple_of(32);
        let Some(descriptor) = self.world.descriptors.choose_where(random, fits) else { return u32::MAX.into() };
        let number = descriptor.descriptor.as_raw_fd().cast_unsigned();
        kept.push(descriptor);
        number.into()
    }
}

fn add_sync(bytes: &mut Vec<u8>, sync: Sync) {
    bytes.extend(sync.handle.to_le_bytes());
    bytes.extend(sync.flags.to_le_bytes());
    bytes.extend(sync.point.to_le_bytes());
}

/// A value as it may be: it takes neither all memory nor all time.
fn bounded(meaning: Meaning, value: u64, own: bool) -> u64 {
    match meaning {
        Meaning::Bytes if (LARGE..TOO_LARGE).contains(&value) => value % LARGE,
        // Sides of a picture, whose product is its size.
        Meaning::Below(_) if !own => value & 0x1ff,
        // The kernel's own calls take memory for any number of elements, and complain of themselves if that is too much.
        Meaning::Some(_) | Meaning::Count(_) if !own => value & 0xff,
        // A wait for a job ends by itself.
        Meaning::Time if !own => value.cast_signed().min(later(LONGEST).cast_signed()).cast_unsigned(),
        _ => value,
    }
}

/// Applies what is wrong with the number or the size.
fn resized(number: u32, oddity: Oddity, bytes: &mut Vec<u8>) -> u32 {
    let sized = |size: usize| number & !(0x3fff << 16) | u32::try_from(size).unwrap_or(0) << 16;
    match oddity {
        Oddity::Shorter(by) => {
            bytes.truncate(bytes.len().saturating_sub(by));
            sized(bytes.len())
        }
        Oddity::Longer(by, with) => {
            // The last byte, so that all before it has to be looked at.
            bytes.resize(bytes.len() + by, 0);
            if let Some(last) = bytes.last_mut() {
                *last = with;
            }
            sized(bytes.len())
        }
        Oddity::Direction(by) => number ^ by << 30,
        Oddity::Command(command) => number & !0xff | command,
        _ => number,
    }
}

/// A time of the monotonic clock, in nanoseconds from now.
fn later(nanoseconds: i64) -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let now = now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec);
    now.saturating_add(nanoseconds).cast_unsigned()
}
