//! LB1, as a shell drives it.

use lifeboat_core::fence::Seqno;
use lifeboat_core::health::Verdict;
use lifeboat_core::sched::Began;
use lifeboat_core::wedge::{Method, Methods};
use lifeboat_driver::{
    BarUse, Driver, DriverError, Facts, Identity, InterruptUse, Io, PciId, Pending, Place, Progress, RingReport,
    RingShape, Sequence,
};
use lifeboat_pci::{Bar, DmaMemory, IrqKind};

use crate::bringup::Info;
use crate::command::{ContextId, Work};
use crate::interrupt::Interrupts;
use crate::regs;
use crate::ring::{Extent, Fault, Ring, RingWriter};
use crate::sequences::{Restart, RingReset, ShutDown};
use crate::{dump, Lb1};

/// The crate's version, written out: the kernel builds it without Cargo.
const VERSION: &str = "0.1.0";

/// The driver of LB1.
#[derive(Debug, Clone, Copy)]
pub enum Lb1Driver {}

/// A job for a ring: commands, and the context whose addresses they use.
#[derive(Debug, Clone, Copy)]
pub struct Commands<'a> {
    /// The context.
    pub context: ContextId,
    /// The commands.
    pub work: &'a [Work],
}

/// Sources that were pending, and what the rings among them have reported.
#[derive(Debug, Clone, Copy)]
pub struct Lb1Pending {
    interrupts: Interrupts,
    rings: [Option<RingReport>; regs::MAX_RINGS as usize],
}

impl Lb1Pending {
    /// Whether a flip took effect, or a vertical blank began.
    pub fn blanked(&self) -> bool {
        self.interrupts.flipped() || self.interrupts.blanked()
    }
}

impl Pending for Lb1Pending {
    fn rings(&self) -> impl Iterator<Item = RingReport> {
        self.rings.iter().copied().flatten()
    }
}

impl Driver for Lb1Driver {
    const FACTS: Facts = Facts {
        name: "lifeboat-lb1",
        version: VERSION,
        model: "LB1",
        ids: &[PciId { vendor: regs::VENDOR_ID, device: regs::DEVICE_ID }],
        bars: &[
            BarUse { number: regs::REGISTER_BAR, bytes: regs::REGISTER_BAR_SIZE },
            BarUse { number: regs::VRAM_BAR, bytes: 0 },
        ],
        // Not MSI-X: QEMU aborts when a served device that uses it is unplugged.
        interrupts: InterruptUse { kinds: &[IrqKind::Msi], least: 1, most: regs::VECTORS as u16 },
        // To bind it anew resets it; its bus may be reset before.
        methods: Methods::UNKNOWN.with(Method::Rebind).with(Method::BusReset),
        dump: dump::LAYOUT,
    };

    type Info = Info;
    type Ring<M: DmaMemory> = Ring<M>;
    type Work<'a> = Commands<'a>;
    type Fault = Fault;
    type Pending = Lb1Pending;

    fn info(io: &Io<'_>) -> Result<Info, DriverError> {
        let info = registers(io)?.info()?;
        info.check(io.size(regs::REGISTER_BAR)?, io.size(regs::VRAM_BAR)?)?;
        Ok(info)
    }

    fn rings(info: &Info) -> u8 {
        info.rings
    }

    fn ring_shape(_: &Info, _: u8, entries: u32) -> RingShape {
        RingWriter::of_entries(entries).shape()
    }

    fn ring<M: DmaMemory>(_: &Info, number: u8, shape: RingShape, memory: M) -> Option<Ring<M>> {
        Some(Ring { number, writer: RingWriter::of_entries(shape.entries), memory })
    }

    fn bring_up<M: DmaMemory>(info: Info, rings: &mut [Ring<M>]) -> impl Sequence<Output = ()> + '_ {
        // Their proofs make that 0.
        Restart::bring_up(info, rings, |_| Seqno::BEFORE_ZERO)
    }

    fn reset_ring<M: DmaMemory>(_: Info, ring: &mut Ring<M>, seqno: Seqno) -> impl Sequence<Output = ()> + '_ {
        RingReset::new(ring, seqno)
    }

    fn reset_device<'a, M: DmaMemory>(
        info: Info,
        rings: &'a mut [Ring<M>],
        numbers: impl FnMut(u8) -> Seqno + 'a,
    ) -> impl Sequence<Output = ()> + 'a {
        Restart::reset(info, rings, numbers)
    }

    fn shut_down() -> impl Sequence<Output = ()> {
        ShutDown::Mask
    }

    fn cost(work: Commands<'_>) -> u32 {
        RingWriter::cost(work.work.len())
    }

    fn run<M: DmaMemory>(
        io: &Io<'_>,
        ring: &mut Ring<M>,
        work: Commands<'_>,
        seqno: Seqno,
    ) -> Result<Place, DriverError> {
        let Commands { context, work } = work;
        let begins = Place(ring.writer.next_descriptor());
        let lb1 = registers(io)?;
        let tail = ring.writer.write_job(&ring.memory, context, work, seqno)?;
        lb1.doorbell(ring.number, tail)?;
        Ok(begins)
    }

    fn progress(io: &Io<'_>, ring: u8) -> Result<Seqno, DriverError> {
        registers(io)?.seqno(ring)
    }

    fn place<M: DmaMemory>(io: &Io<'_>, ring: &Ring<M>) -> Result<Option<Place>, DriverError> {
        let lb1 = registers(io)?;
        let has_stopped = lb1.ring_fault(ring.number)?.is_some();
        Ok((!has_stopped).then_some(Place(lb1.ring_head(ring.number)?)))
    }

    fn began<M: DmaMemory>(
        io: &Io<'_>,
        ring: &Ring<M>,
        work: Commands<'_>,
        begins: Place,
    ) -> Result<Began, DriverError> {
        // The sequence number behind the commands is the driver's.
        let extent = Extent { first: begins.0, commands: Self::cost(work) - 1 };
        let is_in_job = registers(io)?.is_in_job(ring.number, &ring.writer, extent, work.context)?;
        Ok(if is_in_job { Began::Yes } else { Began::No })
    }

    fn fault(io: &Io<'_>, ring: u8) -> Result<Option<Fault>, DriverError> {
        registers(io)?.ring_fault(ring)
    }

    fn pending(io: &Io<'_>) -> Result<Lb1Pending, DriverError> {
        let lb1 = registers(io)?;
        let interrupts = lb1.take_interrupts()?;
        let mut rings = [None; regs::MAX_RINGS as usize];
        for ring in interrupts.done().chain(interrupts.faulted()) {
            // The status bit may be from before a reset: the ring itself says whether it is stopped
            // now.
            let (completed, faulted) = lb1.ring_report(ring)?;
            let progress = if faulted { Progress::Stopped(completed) } else { Progress::UpTo(completed) };
            rings[usize::from(ring)] = Some(RingReport { ring, progress });
        }
        Ok(Lb1Pending { interrupts, rings })
    }

    fn presence(io: &Io<'_>) -> Result<Verdict, DriverError> {
        registers(io)?.identity()
    }

    fn computes(io: &Io<'_>, pattern: u32) -> Result<Verdict, DriverError> {
        registers(io)?.liveness(pattern)
    }

    fn heartbeat(io: &Io<'_>) -> Result<Option<u32>, DriverError> {
        registers(io)?.heartbeat().map(Some)
    }

    fn identify(io: &Io<'_>, before: &Info, pattern: u32) -> Result<Identity, DriverError> {
        registers(io)?.identify(before, pattern)
    }

    fn read(io: &Io<'_>, register: u64) -> Result<u32, DriverError> {
        registers(io)?.read(register)
    }
}

pub(crate) fn registers<'a>(io: &Io<'a>) -> Result<Lb1<'a, dyn Bar + 'a>, DriverError> {
    Ok(Lb1::new(io.bar(regs::REGISTER_BAR)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_crates() {
        assert_eq!(Lb1Driver::FACTS.version, env!("CARGO_PKG_VERSION"));
    }
}
