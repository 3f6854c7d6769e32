//! The sequences of LB1's driver, one step at a time, without the framework: only a driver and its
//! device.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use lifeboat::core::fence::Seqno;
use lifeboat::driver::{Driver, DriverError, Duty, Io, Sequence, Step, Windows};
use lifeboat_gpu::Slot;
use lifeboat_lb1::{Info, Lb1Driver, Ring, regs};
use lifeboat_pci::{Bar, BusError, DmaMemory, Function, HostMemory, Iova, set_bus_master, set_memory_decode};
use machine::bound::plugged;

/// Accesses that a step may make: an unplug waits for one step. The most are those of a look at
/// whether the device is the same one.
const MOST_ACCESSES: usize = 16;
/// Steps that no procedure of a healthy device has, the looks at it included.
const MANY: usize = 100_000;

/// Pause at a wait.
const POLL: Duration = Duration::from_micros(200);

/// A shell that lends its windows to whoever asks, and does nothing else.
struct Shell {
    slot: Arc<Slot>,
    function: Arc<dyn Function>,
    registers: Counted,
    vram: Arc<dyn Bar + Send + Sync>,
}

struct Counted {
    bar: Arc<dyn Bar + Send + Sync>,
    accesses: AtomicUsize,
}

impl Bar for Counted {
    fn size(&self) -> u64 {
        self.bar.size()
    }

    fn read32(&self, offset: u64) -> Result<u32, BusError> {
        self.accesses.fetch_add(1, SeqCst);
        self.bar.read32(offset)
    }

    fn write32(&self, offset: u64, value: u32) -> Result<(), BusError> {
        self.accesses.fetch_add(1, SeqCst);
        self.bar.write32(offset, value)
    }

    fn read_bytes(&self, offset: u64, into: &mut [u8]) -> Result<(), BusError> {
        self.bar.read_bytes(offset, into)
    }

    fn write_bytes(&self, offset: u64, from: &[u8]) -> Result<(), BusError> {
        self.bar.write_bytes(offset, from)
    }
}

impl Windows for Shell {
    fn window(&self, bar: u8) -> Result<&dyn Bar, BusError> {
        match bar {
            regs::REGISTER_BAR => Ok(&self.registers),
            regs::VRAM_BAR => Ok(&*self.vram),
            other => Err(BusError::NoSuchBar(other)),
        }
    }
}

/// Host memory that the device reaches.
struct Mapped(Arc<HostMemory>, Iova);

impl DmaMemory for Mapped {
    fn iova(&self) -> Iova {
        self.1
    }

    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), BusError> {
        self.0.read(offset, into)
    }

    fn write(&self, offset: u64, from: &[u8]) -> Result<(), BusError> {
        self.0.write(offset, from)
    }
}

impl Shell {
    fn new() -> Self {
        let (_card, slot) = plugged();
        let function = slot.function().unwrap();
        set_memory_decode(&*function.config(), true).unwrap();
        let registers = Counted { bar: function.bar(regs::REGISTER_BAR).unwrap(), accesses: AtomicUsize::new(0) };
        let vram = function.bar(regs::VRAM_BAR).unwrap();
        Self { slot, function, registers, vram }
    }

    fn rings(&self) -> Vec<Ring<Mapped>> {
        let info = Lb1Driver::info(&Io::new(self)).unwrap();
        let make = |number| {
            let shape = Lb1Driver::ring_shape(&info, number, 64);
            let memory = Arc::new(HostMemory::new(shape.bytes).unwrap());
            let iova = self.function.dma_map(&memory).unwrap();
            Lb1Driver::ring(&info, number, shape, Mapped(memory, iova))
        };
        (0..Lb1Driver::rings(&info)).map(|number| make(number).unwrap()).collect()
    }

    /// One step, and how many accesses it made.
    fn step(&self, sequence: &mut impl Sequence<Output = ()>) -> (Result<Step<()>, DriverError>, usize) {
        let before = self.registers.accesses.load(SeqCst);
        let step = sequence.step(&Io::new(self));
        (step, self.registers.accesses.load(SeqCst) - before)
    }

    /// Carries a sequence through, or until the device is removed before a step. Says what duties
    /// it asked for, how many steps it made, and how it ended.
    fn drive(
        &self,
        mut sequence: impl Sequence<Output = ()>,
        removed_before: usize,
    ) -> (Vec<Duty>, usize, Result<(), DriverError>) {
        let mut duties = Vec::new();
        for steps in 0..MANY {
            let removed = steps == removed_before;
            if removed {
                self.slot.remove();
            }
            let (step, accesses) = self.step(&mut sequence);
            assert!(accesses <= MOST_ACCESSES, "step {steps} makes {accesses} accesses");
            match step {
                Ok(Step::Done(())) => return (duties, steps + 1, Ok(())),
                Err(error) => return (duties, steps + 1, Err(error)),
                Ok(Step::First(duty)) => {
                    duties.push(duty);
                    if duty == Duty::BusMaster {
                        set_bus_master(&*self.function.config(), true).ok();
                    }
                }
                Ok(Step::Next) => {}
                // Shorter than it asks for: there are enough steps to remove the device before.
                Ok(Step::Again { after, .. }) => std::thread::sleep(after.min(POLL)),
            }
        }
        panic!("it does not end");
    }
}

const NEVER: usize = usize::MAX;

fn identified() -> (Shell, Vec<Ring<Mapped>>, Info) {
    let shell = Shell::new();
    let (info, rings) = (Lb1Driver::info(&Io::new(&shell)).unwrap(), shell.rings());
    (shell, rings, info)
}

fn brought_up() -> (Shell, Vec<Ring<Mapped>>, Info) {
    let (shell, mut rings, info) = identified();
    let (duties, _, result) = shell.drive(Lb1Driver::bring_up(info, &mut rings), NEVER);
    assert_eq!((duties, result), (vec![Duty::BusMaster, Duty::Interrupts, Duty::Restore], Ok(())));
    (shell, rings, info)
}

#[test]
fn drv_1_each_procedure_is_short_steps_and_asks_the_shell_for_what_it_cannot_do() {
    let (shell, mut rings, info) = brought_up();
    let number = Seqno::ZERO.next();
    assert_eq!(shell.drive(Lb1Driver::reset_ring(info, &mut rings[0], number), NEVER).2, Ok(()));
    let (duties, _, result) = shell.drive(Lb1Driver::reset_device(info, &mut rings, |_| number), NEVER);
    assert_eq!((duties, result), (vec![Duty::Restore], Ok(())));
    for ring in 0..Lb1Driver::rings(&info) {
        assert_eq!(Lb1Driver::progress(&Io::new(&shell), ring), Ok(number.next()), "the proof's number");
    }
    assert_eq!(shell.drive(Lb1Driver::shut_down(), NEVER).2, Ok(()));
}

#[test]
fn drv_1_no_ring_runs_before_the_shell_has_given_back_what_users_have_set_up() {
    let (shell, mut rings, info) = identified();
    let enabled =
        || (0..info.rings).any(|ring| shell.registers.bar.read32(regs::ring(ring, regs::RING_CTRL)).unwrap() != 0);
    let mut sequence = Lb1Driver::bring_up(info, &mut rings);
    for _ in 0..MANY {
        match shell.step(&mut sequence).0.unwrap() {
            Step::First(Duty::Restore) => return assert!(!enabled()),
            Step::First(Duty::BusMaster) => set_bus_master(&*shell.function.config(), true).unwrap(),
            Step::Done(()) => break,
            _ => assert!(!enabled()),
        }
    }
    panic!("it never asks for that");
}

#[test]
fn drv_1_a_device_that_goes_between_two_steps_ends_the_procedure_within_two() {
    // A step that only writes, or only asks for a duty, cannot know.
    const MOST: usize = 2;
    let run = |what: usize, removed_before: usize| {
        let (shell, mut rings, info) = if what == 0 { identified() } else { brought_up() };
        let number = Seqno::ZERO.next();
        match what {
            0 => shell.drive(Lb1Driver::bring_up(info, &mut rings), removed_before),
            1 => shell.drive(Lb1Driver::reset_ring(info, &mut rings[0], number), removed_before),
            2 => shell.drive(Lb1Driver::reset_device(info, &mut rings, |_| number), removed_before),
            _ => shell.drive(Lb1Driver::shut_down(), removed_before),
        }
    };
    for what in 0..4 {
        for removed_before in 0..MANY {
            let (_, steps, result) = run(what, removed_before);
            if steps <= removed_before {
                // It has ended before.
                assert_eq!(result, Ok(()), "procedure {what}");
                break;
            }
            // The last step may only say that it is the last.
            let is_last = steps == removed_before + 1;
            assert!(result.is_err() || is_last, "procedure {what}, gone before step {removed_before}: {result:?}");
            assert!(
                steps <= removed_before + MOST + 1,
                "procedure {what}, gone before {removed_before}: {steps} steps"
            );
        }
    }
}
