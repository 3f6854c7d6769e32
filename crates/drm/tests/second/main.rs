//! The GPU subsystem over a GPU that is no LB1: other pages, no video memory, no screen, completions
//! in memory. Nothing of LB1 is used here, but where the two share a buffer.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on must fail

mod across;
mod driver;
mod model;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use lifeboat::core::errno::Errno;
use lifeboat::core::fence::FenceError;
use lifeboat::core::unplug::Loss;
use lifeboat::{Bus, CallError, Event, Fence, Kind, Minor, Module, Policy, Priority, Subscription, WaitError};
use lifeboat_driver::gpu::{Gpu, GpuVa, InvalidArgument};
use lifeboat_drm::{Capability, Commit, Drm, Options, Placement, kinds};
use lifeboat_pci_model::{Card, Slot};

use crate::driver::{Command, SecondGpu};
use crate::model::{PAGE, Second};

type Device = lifeboat_drm::Device<SecondGpu>;
type Handle = lifeboat_drm::Handle<SecondGpu>;
type Context = lifeboat_drm::Context<SecondGpu>;
type Buffer = lifeboat_drm::Buffer<SecondGpu>;
type Queue = lifeboat_drm::Queue<SecondGpu>;
type Submission<'a> = lifeboat_drm::Submission<'a, SecondGpu>;

/// Long enough for a busy machine.
const LONG: Duration = Duration::from_mins(1);
const LOST: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Lost));

struct Machine {
    slot: Arc<Slot>,
    card: Arc<Card<Second>>,
    bus: Bus,
    events: Subscription,
}

impl Machine {
    fn new(job_timeout: Duration) -> Self {
        let mut module = Module::new();
        module.register::<Drm<SecondGpu>>(Options::default());
        let mut bus = Bus::new(module, Policy { job_timeout, extensions: 0, ..Policy::default() });
        let (slot, events) = (Slot::new("0000:03:00.0"), bus.subscribe());
        bus.attach(&slot).unwrap();
        let card = slot.insert(Card::new(0x7e57, 2, 0x1000, Second::default()));
        Self { slot, card, bus, events }
    }

    fn client(&self) -> Client {
        match self.event() {
            Event::Added { minor, .. } => Client::new(self.bus.device(minor).unwrap()),
            other => panic!("expected a device, got {other:?}"),
        }
    }

    fn event(&self) -> Event {
        loop {
            match self.events.recv_timeout(LONG).expect("an event") {
                Event::Dumped { .. } => {}
                event => return event,
            }
        }
    }

    fn finish(self) {
        self.bus.shutdown().unwrap();
        assert_eq!(self.card.mistakes(), []);
    }
}

/// Dropped in this order.
struct Client {
    queue: Queue,
    context: Context,
    handle: Handle,
    device: Device,
}

impl Client {
    fn new(device: Device) -> Self {
        let handle = device.open().unwrap();
        let context = handle.create_context().unwrap();
        let queue = handle.create_queue(&context, 0, Priority::Normal).unwrap();
        Self { queue, context, handle, device }
    }

    fn buffer(&self, bytes: u64) -> Buffer {
        self.handle.create_buffer(Placement::Host, bytes).unwrap()
    }

    fn submit(&self, commands: &[Command]) -> Fence {
        self.handle.submit(&Submission::new(&self.queue, commands)).unwrap()
    }
}

fn first(buffer: &Buffer) -> u8 {
    let mut byte = [0];
    buffer.read(0, &mut byte).unwrap();
    byte[0]
}

#[test]
fn jobs_run_and_reach_what_is_mapped_in_its_pages() {
    let machine = Machine::new(LONG);
    let client = machine.client();
    let info = client.device.info().clone();
    assert_eq!((info.rings, info.vram_bytes, info.serial, info.max_commands), (1, 0, 0, 62));
    // One byte takes a page, and a byte more than a page takes two.
    let (small, large) = (client.buffer(1), client.buffer(PAGE + 1));
    let vas = [&large, &small].map(|buffer| client.handle.map(&client.context, buffer).unwrap().0);
    assert_eq!(vas, [PAGE, 3 * PAGE]);
    let fill = |va, value| Command::Fill { dst: lifeboat_driver::gpu::GpuVa(va), bytes: 1, value };
    // More jobs than the ring has entries.
    for value in 1..100 {
        client.submit(&[fill(vas[0], value), fill(vas[1], value + 1)]).wait(LONG).unwrap();
        assert_eq!((first(&large), first(&small)), (value, value + 1));
    }
    client.handle.unmap(&client.context, lifeboat_driver::gpu::GpuVa(vas[1])).unwrap();
    client.submit(&[fill(vas[1], 7)]).wait(LONG).unwrap();
    assert_eq!(first(&small), 100, "it is out of reach");
    let nothing = [Command::Fill { dst: lifeboat_driver::gpu::GpuVa(PAGE), bytes: 0, value: 0 }];
    let wrong = Submission::new(&client.queue, &nothing);
    assert_eq!(client.handle.submit(&wrong).unwrap_err().to_string(), "argument `bytes` is outside its stated range");
    drop((small, large, client));
    machine.finish();
}

#[test]
fn drv_2_what_the_gpu_lacks_is_not_supported() {
    let machine = Machine::new(LONG);
    let client = machine.client();
    let handle = &client.handle;
    let lacks = |result: Result<(), CallError>| assert_eq!(result.map_err(CallError::errno), Err(Errno::EOPNOTSUPP));
    lacks(handle.create_buffer(Placement::Vram, 1).map(drop));
    let buffer = client.buffer(1);
    lacks(handle.connector().map(drop));
    lacks(handle.set_mode(None));
    lacks(handle.flip(&buffer, None).map(drop));
    lacks(handle.atomic(&Commit::default()).map(drop));
    lacks(handle.queue_vblank(1).map(drop));
    lacks(handle.create_lease(lifeboat_drm::Objects::ALL).map(drop));
    assert_eq!(handle.resources().connectors, 0);
    assert_eq!(handle.capability(Capability::MapVram), 0);
    let version = handle.version();
    assert_eq!((version.driver, version.version), ("second", "2.0.0"));
    drop((buffer, client));
    machine.finish();
}

#[test]
fn drv_2_life_2_fence_2_it_is_pulled_out_with_a_job_on_it() {
    let machine = Machine::new(LONG);
    let client = machine.client();
    let buffer = client.buffer(1);
    let map = client.handle.mmap(&buffer).unwrap();
    buffer.write(0, &[9]).unwrap();
    let fences = [client.submit(&[Command::Hang]), client.submit(&[Command::Hang])];
    machine.slot.remove();
    assert_eq!(fences.map(|fence| fence.wait(LONG)), [LOST, LOST]);
    assert!(matches!(machine.event(), Event::Removed { report } if report.loss == Loss::Unplugged));
    assert_eq!(first(&buffer), 9, "host memory keeps its contents");
    assert!(client.handle.create_context().is_err_and(CallError::is_loss));
    assert_eq!(client.handle.events().try_next(), None, "no screen was there that could go");
    let held = machine.bus.shutdown().unwrap_err();
    for kind in [kinds::BUFFER, kinds::CONTEXT, kinds::MAP, kinds::QUEUE, Kind::DEVICE, Kind::HANDLE] {
        assert_eq!(held.counts.get(&kind), Some(&1), "{kind}");
    }
    drop((map, buffer, client));
    held.module.unload().unwrap();
    assert_eq!(machine.card.mistakes(), []);
}

#[test]
fn drv_2_sched_4_sched_7_a_job_that_hangs_is_reset_and_the_next_one_runs() {
    let machine = Machine::new(Duration::from_millis(50));
    let client = machine.client();
    let buffer = client.buffer(1);
    let dst = client.handle.map(&client.context, &buffer).unwrap();
    let hung = client.submit(&[Command::Hang]);
    assert_eq!(hung.wait(LONG), Err(WaitError::Failed(FenceError::Guilty)));
    client.submit(&[Command::Fill { dst, bytes: 1, value: 3 }]).wait(LONG).unwrap();
    assert_eq!((first(&buffer), client.context.reset_stats().guilty), (3, 1));
    drop((buffer, client));
    machine.finish();
}

#[test]
fn drv_3_a_panic_in_the_check_of_a_command_ends_the_device_and_not_its_caller() {
    let machine = Machine::new(LONG);
    let client = machine.client();
    let hung = client.submit(&[Command::Hang]);
    let refused = client.handle.submit(&Submission::new(&client.queue, &[Command::Mistaken])).unwrap_err();
    assert!(refused.is_loss(), "{refused}");
    assert_eq!(hung.wait(LONG), LOST);
    assert!(matches!(machine.event(), Event::Removed { report } if report.loss == Loss::Crashed));
    // The driver is asked nothing more of that device; the next one works.
    let again = client.handle.submit(&Submission::new(&client.queue, &[Command::Hang])).unwrap_err();
    assert_eq!(again.errno(), Errno::ENODEV);
    let next = machine.client();
    let buffer = next.buffer(1);
    let dst = next.handle.map(&next.context, &buffer).unwrap();
    next.submit(&[Command::Fill { dst, bytes: 1, value: 3 }]).wait(LONG).unwrap();
    drop((buffer, client, next));
    machine.finish();
}

#[test]
fn a_completion_whose_interrupt_is_lost_is_collected_before_the_job_is_judged() {
    let machine = Machine::new(Duration::from_millis(50));
    let client = machine.client();
    machine.card.model().is_mute.store(true, SeqCst);
    let buffer = client.buffer(1);
    let dst = client.handle.map(&client.context, &buffer).unwrap();
    client.submit(&[Command::Fill { dst, bytes: 1, value: 5 }]).wait(LONG).unwrap();
    assert_eq!((first(&buffer), client.context.reset_stats().guilty), (5, 0));
    drop((buffer, client));
    machine.finish();
}

#[test]
fn drv_2_its_commands_have_one_encoding_each() {
    let words = |words: [u32; 8]| words.map(u32::to_le_bytes).concat();
    let fill = words([1, 0, 0x3000, 0, 64, 7, 0, 0]);
    assert_eq!(SecondGpu::decode(&fill), Ok(Command::Fill { dst: GpuVa(0x3000), bytes: 64, value: 7 }));
    assert_eq!(SecondGpu::decode(&words([2, 0, 0, 0, 0, 0, 0, 0])), Ok(Command::Hang));
    let refused = [
        (words([3, 0, 0, 0, 0, 0, 9, 0]), "opcode"),
        (words([1, 1, 0x3000, 0, 64, 7, 0, 0]), "reserved"),
        (words([1, 0, 0x3000, 0, 64, 256, 0, 0]), "value"),
        (words([1, 0, 0x3000, 0, 0, 7, 0, 0]), "bytes"),
        (fill[1..].to_vec(), "length"),
    ];
    for (bytes, argument) in refused {
        assert_eq!(SecondGpu::decode(&bytes), Err(InvalidArgument(argument)));
    }
}
