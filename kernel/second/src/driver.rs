//! The GPU, as a shell drives it.

use lifeboat_core::fence::Seqno;
use lifeboat_core::health::Verdict;
use lifeboat_core::wedge::{Method, Methods};
use lifeboat_driver::dump::{Layout, Register};
use lifeboat_driver::gpu::ContextId;
use lifeboat_driver::{
    BarUse, Driver, DriverError, Facts, InterruptUse, Io, NoRing, PciId, Pending, Place, Progress, RingReport,
    RingShape, Sequence,
};
use lifeboat_lb1::command::DESCRIPTOR_BYTES;
use lifeboat_lb1::regs::{self, irq};
use lifeboat_pci::{DmaMemory, IrqKind};

use crate::command::Command;
use crate::registers::{read_info, registers, Info, BAR_BYTES, RING};
use crate::restart::{Reset, Restart};
use crate::ring::{self, Ring};

/// The driver.
#[derive(Debug, Clone, Copy)]
pub enum SecondDriver {}

/// A job.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    pub(crate) context: ContextId,
    pub(crate) commands: &'a [Command],
}

/// Whether the ring has reported.
#[derive(Debug, Clone, Copy)]
pub struct Done(bool);

impl Pending for Done {
    fn rings(&self) -> impl Iterator<Item = RingReport> {
        self.0.then_some(RingReport { ring: RING, progress: Progress::InMemory }).into_iter()
    }
}

impl Driver for SecondDriver {
    const FACTS: Facts = Facts {
        name: "lifeboat-second",
        version: "0.1.0",
        model: "lesser LB1",
        ids: &[PciId { vendor: regs::VENDOR_ID, device: regs::DEVICE_ID }],
        bars: &[BarUse { number: regs::REGISTER_BAR, bytes: BAR_BYTES }],
        interrupts: InterruptUse { kinds: &[IrqKind::Msi], least: 1, most: 1 },
        methods: Methods::UNKNOWN.with(Method::Rebind),
        dump: Layout {
            device: &[Register::number("DEVICE_STATUS", regs::DEVICE_STATUS)],
            ring: &[
                Register::number("RING_HEAD", regs::RING_HEAD),
                Register::number("RING_TAIL", regs::RING_TAIL),
                Register::number("RING_SEQNO", regs::RING_SEQNO),
            ],
            ring_at: |ring| regs::ring(ring, 0),
            head_tail_seqno: [0, 1, 2],
            entry_bytes: DESCRIPTOR_BYTES,
        },
    };

    type Info = Info;
    type Ring<M: DmaMemory> = Ring<M>;
    type Work<'a> = Job<'a>;
    type Fault = NoRing;
    type Pending = Done;

    fn info(io: &Io<'_>) -> Result<Info, DriverError> {
        read_info(io)
    }

    fn rings(_: &Info) -> u8 {
        1
    }

    fn ring_shape(_: &Info, _: u8, _: u32) -> RingShape {
        ring::SHAPE
    }

    fn ring<M: DmaMemory>(_: &Info, number: u8, _: RingShape, memory: M) -> Option<Ring<M>> {
        (number == RING).then(|| Ring::new(memory))
    }

    fn bring_up<M: DmaMemory>(info: Info, rings: &mut [Ring<M>]) -> impl Sequence<Output = ()> + '_ {
        Restart::new(info, rings, Seqno::ZERO, true)
    }

    fn reset_device<'a, M: DmaMemory>(
        info: Info,
        rings: &'a mut [Ring<M>],
        mut numbers: impl FnMut(u8) -> Seqno + 'a,
    ) -> impl Sequence<Output = ()> + 'a {
        Restart::new(info, rings, numbers(RING), false)
    }

    fn shut_down() -> impl Sequence<Output = ()> {
        Reset::default()
    }

    fn cost(job: Job<'_>) -> u32 {
        u32::try_from(job.commands.len()).unwrap_or(u32::MAX).saturating_add(ring::BESIDE)
    }

    fn run<M: DmaMemory>(io: &Io<'_>, ring: &mut Ring<M>, job: Job<'_>, seqno: Seqno) -> Result<Place, DriverError> {
        ring.run(&registers(io)?, job.context, job.commands, seqno).map(|()| Place(0))
    }

    fn collect<M: DmaMemory>(
        _: &Io<'_>,
        ring: &mut Ring<M>,
        mut each: impl FnMut(Progress),
    ) -> Result<(), DriverError> {
        if let Some(seqno) = ring.news()? {
            each(Progress::UpTo(seqno));
        }
        Ok(())
    }

    fn pending(io: &Io<'_>) -> Result<Done, DriverError> {
        let registers = registers(io)?;
        let pending = registers.read(regs::IRQ_STATUS)? & irq::ALL;
        registers.write(regs::IRQ_STATUS, pending)?;
        Ok(Done(pending & irq::ring_done(RING) != 0))
    }

    fn presence(io: &Io<'_>) -> Result<Verdict, DriverError> {
        registers(io)?.identity()
    }

    fn read(io: &Io<'_>, register: u64) -> Result<u32, DriverError> {
        registers(io)?.read(register)
    }
}
