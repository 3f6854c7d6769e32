//! What a driver is.

use core::fmt;

use lifeboat_core::fence::Seqno;
use lifeboat_core::health::{judge_identity, Verdict};
use lifeboat_core::sched::{Abort, Began, Firmware, LetGo};
use lifeboat_core::wedge::Methods;
use lifeboat_pci::DmaMemory;

use crate::dump::{is_plain, Layout};
use crate::{DriverError, InterruptUse, Io, Pending, Progress, Sequence, Unavailable};

/// A driver: all that is known of one kind of device, and nothing of who uses it.
///
/// What has a body here may be left out. A device without rings takes [`NoRing`](crate::NoRing) for `Ring`, `Work` and
/// `Fault`, and leaves out all that is about rings.
///
/// No function waits, blocks or allocates; each gets the hardware [lent](Io) for the section that
/// it is called in. What has to wait is a [`Sequence`]. A function that panics, or does not return, ends its device: a shell may
/// give it some seconds (DRV-3). The same source is compiled into processes
/// and into the kernel (DRV-1).
///
/// | called | functions |
/// |---|---|
/// | at probe | [`info`](Self::info), [`ring_shape`](Self::ring_shape), [`ring`](Self::ring), [`bring_up`](Self::bring_up) |
/// | by whoever schedules jobs | [`run`](Self::run), [`progress`](Self::progress), [`collect`](Self::collect), [`place`](Self::place), [`began`](Self::began), [`abort`](Self::abort), [`let_go`](Self::let_go), [`fault`](Self::fault), [`reset_ring`](Self::reset_ring), [`reset_device`](Self::reset_device) |
/// | by interrupts | [`pending`](Self::pending) |
/// | now and then | [`presence`](Self::presence), [`computes`](Self::computes), [`heartbeat`](Self::heartbeat), [`identify`](Self::identify) |
/// | by a dump | [`read`](Self::read) |
/// | at the end | [`presence`](Self::presence), [`shut_down`](Self::shut_down) |
pub trait Driver: Sized + 'static {
    /// What is true of every device of this kind.
    const FACTS: Facts;

    /// Properties of one device, read once at probe. They survive the loss of the device, and no
    /// reset changes them: a device that says otherwise is another one.
    type Info: Copy + Eq + fmt::Debug + Send + Sync + 'static;

    /// A ring as its owner holds it: its memory, and where the next job is written.
    type Ring<M: DmaMemory>: Send;

    /// A job, as it is given to a ring.
    type Work<'a>: Copy;

    /// Why a ring has stopped.
    type Fault: fmt::Debug;

    /// The interrupt sources that were pending.
    type Pending: Pending;

    /// Reads the properties of a device that nobody has brought up yet, and refuses what cannot be
    /// true.
    ///
    /// # Errors
    /// [`DriverError::Foreign`] for a device that this driver does not know,
    /// [`DriverError::Impossible`], [`DriverError::Gone`], [`DriverError::Bus`].
    fn info(io: &Io<'_>) -> Result<Self::Info, DriverError>;

    /// Rings of the device; as here, none.
    fn rings(info: &Self::Info) -> u8 {
        let _ = info;
        0
    }

    /// The shape of a ring for about so many `entries`, which the driver rounds to a number that
    /// the device can have.
    fn ring_shape(info: &Self::Info, ring: u8, entries: u32) -> RingShape {
        let _ = (info, ring, entries);
        RingShape { entries: 0, bytes: 0, credits: 0 }
    }

    /// Whether a ring executes jobs in the order in which it is given them, as here. One that does
    /// not is given one job of a queue at a time, since jobs of a queue run in order, and reports
    /// each by [`Progress::One`]; all its jobs count as begun, each with its whole time.
    fn in_order(info: &Self::Info, ring: u8) -> bool {
        let _ = (info, ring);
        true
    }

    /// A ring of that shape over its memory; `None` only for a ring that the device does not have.
    fn ring<M: DmaMemory>(info: &Self::Info, ring: u8, shape: RingShape, memory: M) -> Option<Self::Ring<M>> {
        let _ = (info, ring, shape, memory);
        None
    }

    /// From a device that answers to one whose rings have proved that they work. Each has nothing
    /// in it then, and 0 as its number. Asks for all duties.
    fn bring_up<M: DmaMemory>(info: Self::Info, rings: &mut [Self::Ring<M>]) -> impl Sequence<Output = ()> + '_;

    /// Resets one ring. Afterwards it has nothing in it, has `seqno` or the number after it as its
    /// own, and has proved that it works.
    fn reset_ring<M: DmaMemory>(
        info: Self::Info,
        ring: &mut Self::Ring<M>,
        seqno: Seqno,
    ) -> impl Sequence<Output = ()> + '_ {
        let _ = (info, ring, seqno);
        Unavailable(DriverError::ResetFailed)
    }

    /// Resets the device. Afterwards it is the one it was, and its rings are as after
    /// [`Driver::reset_ring`], each with the number that `numbers` gives for it. Asks for
    /// [`Duty::Restore`](crate::Duty::Restore). A device that cannot be reset is lost where others would
    /// be, as here.
    fn reset_device<'a, M: DmaMemory>(
        info: Self::Info,
        rings: &'a mut [Self::Ring<M>],
        numbers: impl FnMut(u8) -> Seqno + 'a,
    ) -> impl Sequence<Output = ()> + 'a {
        let _ = (info, rings, numbers);
        Unavailable(DriverError::ResetFailed)
    }

    /// Stops a device that answers: it raises no interrupt and starts no transfer then.
    fn shut_down() -> impl Sequence<Output = ()>;

    /// Credits of a ring that a job takes.
    fn cost(work: Self::Work<'_>) -> u32 {
        let _ = work;
        1
    }

    /// Writes a job into its ring and tells the device, to report `seqno` when it is done. Says
    /// where the job begins.
    ///
    /// # Errors
    /// Of scope [`Job`](lifeboat_core::sched::ErrorScope::Job): the device was given nothing of it.
    /// Others: see [`DriverError::scope`].
    fn run<M: DmaMemory>(
        io: &Io<'_>,
        ring: &mut Self::Ring<M>,
        work: Self::Work<'_>,
        seqno: Seqno,
    ) -> Result<Place, DriverError> {
        let _ = (io, ring, work, seqno);
        Err(DriverError::NoSuchThing)
    }

    /// The number up to which a ring has completed everything. A ring that is not
    /// [in order](Self::in_order) is asked for what is [pending](Self::pending), too.
    ///
    /// # Errors
    /// [`DriverError::Foreign`] for a number that none has, [`DriverError::Gone`],
    /// [`DriverError::Bus`].
    fn progress(io: &Io<'_>, ring: u8) -> Result<Seqno, DriverError> {
        let _ = (io, ring);
        Err(DriverError::NoSuchThing)
    }

    /// Gives `each` what the device has written into a ring's memory since this was asked last, for
    /// rings that report there ([`Progress::InMemory`]). As here, nothing.
    ///
    /// # Errors
    /// [`DriverError::Gone`], [`DriverError::Foreign`], [`DriverError::Bus`].
    fn collect<M: DmaMemory>(
        io: &Io<'_>,
        ring: &mut Self::Ring<M>,
        each: impl FnMut(Progress),
    ) -> Result<(), DriverError> {
        let _ = (io, ring, each);
        Ok(())
    }

    /// Where a ring is; `None` if it has stopped. While this changes, the ring gets on.
    ///
    /// # Errors
    /// [`DriverError::Gone`], [`DriverError::Bus`].
    fn place<M: DmaMemory>(io: &Io<'_>, ring: &Self::Ring<M>) -> Result<Option<Place>, DriverError> {
        let _ = (io, ring);
        Ok(None)
    }

    /// Whether a ring has begun a job and not ended it. `begins` is from [`Driver::run`]. Of a driver that
    /// cannot tell, as here, a job that is overdue counts as begun, and is to blame.
    ///
    /// # Errors
    /// [`DriverError::Gone`], [`DriverError::Bus`].
    fn began<M: DmaMemory>(
        io: &Io<'_>,
        ring: &Self::Ring<M>,
        work: Self::Work<'_>,
        begins: Place,
    ) -> Result<Began, DriverError> {
        let _ = (io, ring, work, begins);
        Ok(Began::Unknown)
    }

    /// Has a ring give up one overdue job, to which it was given this number, and go on with the
    /// others. [`Abort::Asked`] promises that the job's end is [reported](Progress): as aborted, or as
    /// completed. A ring that cannot do this, as here, is reset.
    ///
    /// # Errors
    /// [`DriverError::Gone`], [`DriverError::Bus`]; then the ring is reset.
    fn abort<M: DmaMemory>(
        io: &Io<'_>,
        ring: &mut Self::Ring<M>,
        work: Self::Work<'_>,
        seqno: Seqno,
    ) -> Result<Abort, DriverError> {
        let _ = (io, ring, work, seqno);
        Ok(Abort::Cannot)
    }

    /// Has a ring's firmware let go of a closed queue that it was told of, and that nothing runs in. `queue` is a number
    /// that no other queue has, `kept` what was kept alive for the firmware since it was told. [`LetGo::Asked`] promises
    /// that its answer is [reported](Progress::LetGo). In a `last_look` it was asked before, and did not answer in time:
    /// [`LetGo::Done`] if it has let go by now, else it is reset (SCHED-12). A device without such firmware leaves this
    /// out: as here, it holds nothing.
    ///
    /// # Errors
    /// [`DriverError::Gone`], [`DriverError::Bus`]; then the firmware is reset.
    fn let_go<M: DmaMemory>(
        io: &Io<'_>,
        ring: &mut Self::Ring<M>,
        queue: u64,
        kept: Self::Work<'_>,
        last_look: bool,
    ) -> Result<LetGo, DriverError> {
        let _ = (io, ring, queue, kept, last_look);
        Ok(LetGo::Done)
    }

    /// What must be reset so that no firmware holds anything: as here, the ring.
    fn firmware(info: &Self::Info) -> Firmware {
        let _ = info;
        Firmware::OfEachRing
    }

    /// Why a ring has stopped, if it has.
    ///
    /// # Errors
    /// [`DriverError::Gone`], [`DriverError::Bus`].
    fn fault(io: &Io<'_>, ring: u8) -> Result<Option<Self::Fault>, DriverError> {
        let _ = (io, ring);
        Ok(None)
    }

    /// Takes up and acknowledges what is pending. For interrupt handlers.
    ///
    /// # Errors
    /// [`DriverError::Gone`], [`DriverError::Foreign`], [`DriverError::Bus`].
    fn pending(io: &Io<'_>) -> Result<Self::Pending, DriverError>;

    /// Whether the device answers as only one of its kind can. One read.
    ///
    /// # Errors
    /// [`DriverError::Bus`].
    fn presence(io: &Io<'_>) -> Result<Verdict, DriverError>;

    /// Whether the device makes of `pattern` what only a living one does. `pattern` is neither
    /// all-ones nor zero. A device that computes nothing is alive if it [answers](Self::presence), as
    /// here.
    ///
    /// # Errors
    /// [`DriverError::Bus`]. A dead device is a verdict.
    fn computes(io: &Io<'_>, pattern: u32) -> Result<Verdict, DriverError> {
        let _ = pattern;
        Self::presence(io)
    }

    /// A counter that moves as long as the device gets on. `None`, as here, from a device that has
    /// none: it is watched by what it [computes](Self::computes) alone, and never found hung; the
    /// time limits of its jobs find that.
    ///
    /// # Errors
    /// [`DriverError::Gone`], [`DriverError::Bus`].
    fn heartbeat(io: &Io<'_>) -> Result<Option<u32>, DriverError> {
        let _ = io;
        Ok(None)
    }

    /// Compares the device that answers now with the one that `before` was read of (LIFE-8). A
    /// device that begins to answer nonsense is no replacement: another one gives the same answers
    /// twice, and [computes](Self::computes). As here: properties that are read twice, and differ from
    /// those of before.
    ///
    /// # Errors
    /// [`DriverError::Gone`], [`DriverError::Bus`].
    fn identify(io: &Io<'_>, before: &Self::Info, pattern: u32) -> Result<Identity, DriverError> {
        let (first, second) = (Self::info(io), Self::info(io));
        let is_alive = Self::computes(io, pattern)? == Verdict::Alive;
        Ok(match (first, second) {
            (Ok(first), Ok(second)) if first == second && is_alive => {
                if first == *before {
                    Identity::Same
                } else {
                    Identity::Other
                }
            }
            _ => Identity::Unknown,
        })
    }

    /// Reads a register for a dump, with a loss check. Changes nothing.
    ///
    /// # Errors
    /// [`DriverError::Gone`], [`DriverError::Bus`].
    fn read(io: &Io<'_>, register: u64) -> Result<u32, DriverError>;
}

/// What is true of every device of a kind.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// The driver's name.
    pub name: &'static str,
    /// The driver's version, as semantic versioning has it.
    pub version: &'static str,
    /// The device's name, as dumps have it: at most [`Facts::MOST_MODEL_BYTES`].
    pub model: &'static str,
    /// What the driver binds to.
    pub ids: &'static [PciId],
    /// BARs that the driver or its users reach.
    pub bars: &'static [BarUse],
    /// Interrupts that the driver can use. A function that offers too few is refused.
    pub interrupts: InterruptUse,
    /// What may help a device that has failed for good.
    pub methods: Methods,
    /// What a dump shows.
    pub dump: Layout,
}

/// Vendor and device, as configuration space has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PciId {
    /// Vendor.
    pub vendor: u16,
    /// Device.
    pub device: u16,
}

/// Use of a BAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BarUse {
    /// Number of the BAR, 0 to 5.
    pub number: u8,
    /// Length that the driver's own code needs, in bytes. A shell refuses a device whose BAR is
    /// shorter. 0 for memory that only users reach, through maps: a shell that has no maps leaves
    /// such a BAR unmapped.
    pub bytes: u64,
}

/// Shape of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingShape {
    /// Entries.
    pub entries: u32,
    /// Host memory that it needs, in bytes.
    pub bytes: u64,
    /// Credits: how much may be in it at once, in what [`Driver::cost`] counts.
    pub credits: u32,
}

/// A place in a ring, as its driver encodes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(pub u32);

/// Whether what answers is the device that was brought up (LIFE-8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// It is.
    Same,
    /// Another device of its kind is in its place.
    Other,
    /// Nothing answers, or not as such a device does: this says nothing.
    Unknown,
}

impl PciId {
    /// The value of the first register of configuration space.
    #[must_use]
    pub const fn register(self) -> u32 {
        self.vendor as u32 | (self.device as u32) << 16
    }
}

impl Facts {
    /// The most bytes of [`Facts::model`].
    pub const MOST_MODEL_BYTES: usize = 16;

    /// Checks what a shell relies on, at compile time in a constant.
    ///
    /// # Panics
    /// If the interrupts are not [sound](InterruptUse::assert_sound), or the model's name or what a dump shows is longer than a dump has room for, or has other
    /// characters than visible ASCII without quotes and backslashes.
    pub const fn assert_sound(&self) {
        assert!(is_plain(self.model, Self::MOST_MODEL_BYTES), "the model's name is too long, or not plain");
        self.interrupts.assert_sound();
        self.dump.assert_sound();
    }

    /// Whether the driver binds to a function whose configuration space begins with `register`.
    #[must_use]
    pub fn binds_to(&self, register: u32) -> bool {
        self.ids.iter().any(|id| id.register() == register)
    }

    /// Judges the first register of configuration space: whether a device of this kind answers
    /// there.
    #[must_use]
    pub fn judge(&self, register: u32) -> Verdict {
        // No value is its own complement.
        judge_identity(register, if self.binds_to(register) { register } else { !register })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::boxed::Box;

    use super::*;
    use crate::dump::Register;

    #[test]
    fn an_id_is_read_as_configuration_space_has_it() {
        let id = PciId { vendor: 0x4c42, device: 1 };
        assert_eq!(id.register(), 0x0001_4c42);
    }

    /// Facts of a model with one register, of these names.
    fn facts(model: &'static str, register: &'static str) -> Facts {
        let registers = Box::leak(Box::new([Register::number(register, 0)]));
        let dump = Layout::of(registers);
        Facts {
            name: "a",
            version: "1.0.0",
            model,
            ids: &[],
            bars: &[],
            interrupts: InterruptUse::NONE,
            methods: Methods::UNKNOWN,
            dump,
        }
    }

    #[test]
    fn what_a_dump_has_room_for_is_sound() {
        facts("0123456789abcdef", "0123456789_0123456789_XY").assert_sound();
    }

    #[test]
    #[should_panic(expected = "a register's name")]
    fn wedge_4_a_name_that_a_dump_has_no_room_for_is_refused() {
        facts("a", "0123456789_0123456789_XYZ").assert_sound();
    }

    #[test]
    #[should_panic(expected = "a register's name")]
    fn a_name_that_a_dump_would_have_to_escape_is_refused() {
        facts("a", "a \"register\"").assert_sound();
    }

    #[test]
    #[should_panic(expected = "the model's name")]
    fn a_model_that_a_dump_has_no_room_for_is_refused() {
        facts("0123456789abcdefg", "A").assert_sound();
    }

    #[test]
    fn configuration_space_says_whether_a_device_of_the_kind_is_there() {
        const IDS: &[PciId] = &[PciId { vendor: 0x4c42, device: 1 }, PciId { vendor: 0x4c42, device: 2 }];
        let dump = Layout { device: &[], ring: &[], ring_at: |_| 0, head_tail_seqno: [0; 3], entry_bytes: 0 };
        let facts = Facts {
            name: "a",
            version: "1.0.0",
            model: "A",
            ids: IDS,
            bars: &[],
            interrupts: InterruptUse::NONE,
            methods: Methods::UNKNOWN,
            dump,
        };
        let verdicts = [0x0002_4c42, 0x0003_4c42, u32::MAX, 0].map(|register| facts.judge(register));
        assert_eq!(verdicts, [Verdict::Alive, Verdict::Unsure, Verdict::Dead, Verdict::Dead]);
    }
}
