//! A bus that calls the interrupt handler on whatever thread it likes, also on the one that is in the middle of an access to a
//! register: a simulated bus does, or one that another process serves (HEALTH-5).
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on must fail

mod machine;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use lifeboat::core::fence::FenceError;
use lifeboat::core::unplug::Loss;
use lifeboat::{Listeners, WaitError};
use lifeboat_gpu::{Fault, Trigger};
use lifeboat_lb1_hosted::command::Work;
use lifeboat_lb1_hosted::{Commit, CommitKind};
use lifeboat_pci::{Bar, BusError, ConfigSpace, Function, HostMemory, Iova, IrqHandler};
use machine::bound::{options, plugged};
use machine::forward::forward;
use machine::{Client, LONG, assert_lint_is_silent};

/// During which accesses the handler is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum During {
    /// After the register was written.
    Writes,
    /// Before the register is written.
    BeforeWrites,
    /// After the register was read.
    Reads,
    /// All of these, and in configuration space.
    All,
}

thread_local! {
    /// A bus delivers no interrupt from within a handler that it has called.
    static DELIVERING: Cell<bool> = const { Cell::new(false) };
}

struct Line {
    during: During,
    /// Whether it also delivers from within accesses that a handler makes.
    nested: bool,
    handler: Mutex<Option<IrqHandler>>,
    /// Nothing is delivered by any other way.
    delivered: AtomicU32,
    off: AtomicBool,
}

impl Line {
    fn deliver(&self) {
        if self.off.load(SeqCst) || (!self.nested && DELIVERING.get()) {
            return;
        }
        let handler = self.handler.lock().unwrap().clone();
        if let Some(handler) = handler {
            let outer = DELIVERING.replace(true);
            self.delivered.fetch_add(1, SeqCst);
            handler(0);
            DELIVERING.set(outer);
        }
    }

    fn if_during(&self, during: During) {
        if self.during == during || self.during == During::All {
            self.deliver();
        }
    }
}

struct Synchronous {
    inner: Arc<dyn Function>,
    line: Arc<Line>,
}
struct SynchronousBar(Arc<dyn Bar + Send + Sync>, Arc<Line>);
struct SynchronousConfig(Arc<dyn ConfigSpace + Send + Sync>, Arc<Line>);

impl Bar for SynchronousBar {
    fn size(&self) -> u64 {
        self.0.size()
    }
    fn read32(&self, at: u64) -> Result<u32, BusError> {
        let value = self.0.read32(at)?;
        self.1.if_during(During::Reads);
        Ok(value)
    }
    fn write32(&self, at: u64, value: u32) -> Result<(), BusError> {
        self.1.if_during(During::BeforeWrites);
        self.0.write32(at, value)?;
        self.1.if_during(During::Writes);
        Ok(())
    }
    fn read_bytes(&self, at: u64, into: &mut [u8]) -> Result<(), BusError> {
        self.0.read_bytes(at, into)?;
        self.1.if_during(During::Reads);
        Ok(())
    }
    fn write_bytes(&self, at: u64, from: &[u8]) -> Result<(), BusError> {
        self.0.write_bytes(at, from)?;
        self.1.if_during(During::Writes);
        Ok(())
    }
}

impl ConfigSpace for SynchronousConfig {
    fn read32(&self, at: u16) -> Result<u32, BusError> {
        self.1.if_during(During::Reads);
        self.0.read32(at)
    }
    fn read16(&self, at: u16) -> Result<u16, BusError> {
        self.1.if_during(During::Reads);
        self.0.read16(at)
    }
    fn write16(&self, at: u16, value: u16) -> Result<(), BusError> {
        self.0.write16(at, value)?;
        self.1.if_during(During::Writes);
        Ok(())
    }
    fn write32(&self, at: u16, value: u32) -> Result<(), BusError> {
        self.0.write32(at, value)?;
        self.1.if_during(During::Writes);
        Ok(())
    }
}

impl Function for Synchronous {
    forward!(location release);

    fn config(&self) -> Arc<dyn ConfigSpace + Send + Sync> {
        Arc::new(SynchronousConfig(self.inner.config(), self.line.clone()))
    }
    fn bar(&self, index: u8) -> Result<Arc<dyn Bar + Send + Sync>, BusError> {
        Ok(Arc::new(SynchronousBar(self.inner.bar(index)?, self.line.clone())))
    }
    fn dma_map(&self, memory: &Arc<HostMemory>) -> Result<Iova, BusError> {
        let iova = self.inner.dma_map(memory)?;
        self.line.if_during(During::Writes);
        Ok(iova)
    }
    fn dma_unmap(&self, iova: Iova) -> Result<(), BusError> {
        self.line.if_during(During::Writes);
        self.inner.dma_unmap(iova)
    }
    fn irq_enable(&self, vectors: u8, handler: IrqHandler) -> Result<(), BusError> {
        *self.line.handler.lock().unwrap() = Some(handler.clone());
        self.line.if_during(During::Writes);
        self.inner.irq_enable(vectors, handler)
    }
    fn irq_disable(&self) {
        self.inner.irq_disable();
        self.line.if_during(During::Writes);
        *self.line.handler.lock().unwrap() = None;
    }
}

/// Jobs, hangs, faults, resets of a ring and of the device, flips, blanks, mode sets, maps, an unplug.
fn everything_works(during: During, nested: bool) {
    let (card, slot) = plugged();
    let line = Arc::new(Line {
        during,
        nested,
        handler: Mutex::default(),
        delivered: AtomicU32::new(0),
        off: AtomicBool::new(false),
    });
    let function: Arc<dyn Function> = Arc::new(Synchronous { inner: slot.function().unwrap(), line: line.clone() });
    let module = lifeboat_lb1_hosted::module();
    let binding = module.probe(&function, &options(), Listeners::none()).unwrap();
    let device = binding.device().unwrap();
    let client = Client::new(&device);
    client.submit(0, &[client.fill(5), client.download()], &[]).wait(LONG).unwrap();
    assert_eq!(client.host_word(), 5);
    client.vram.write(0, &[1; 64]).unwrap();
    client.show(&client.vram).unwrap();
    for token in 0..3 {
        client.handle.queue_vblank(token).unwrap().wait(LONG).unwrap();
        client.handle.flip(&client.vram, Some(token)).unwrap().wait(LONG).unwrap();
    }
    let paints = client.submit(0, &[client.fill(6)], &[]);
    let commit = Commit {
        plane: lifeboat_lb1_hosted::Change::To(&client.vram),
        in_fence: Some(&paints),
        kind: CommitKind::Blocking,
        ..Commit::default()
    };
    client.handle.atomic(&commit).unwrap();
    let guilty = Err(WaitError::Failed(FenceError::Guilty));
    // A reset of the ring, then one of the device: the display and all that is mapped comes back.
    assert_eq!(client.submit(0, &[Work::Hang], &[]).wait(LONG), guilty);
    card.schedule(Trigger::Reset(1), Fault::FailedReset);
    assert_eq!(client.submit(1, &[Work::Hang], &[]).wait(LONG), guilty);
    client.submit(0, &[client.fill(7), client.download()], &[]).wait(LONG).unwrap();
    assert_eq!(client.host_word(), 7);
    client.handle.flip(&client.vram, None).unwrap().wait(LONG).unwrap();
    client.handle.unmap(&client.context, client.host_va).unwrap();
    client.handle.set_mode(None).unwrap();
    client.show(&client.vram).unwrap();
    // A callback that commits, on whatever thread the flip is answered.
    let (told, hears) = std::sync::mpsc::channel();
    let handle = device.open().unwrap();
    let picture = Client::new(&device);
    client.handle.flip(&client.vram, None).unwrap().on_signal(move |_| {
        let flipped = handle.flip(&picture.vram, None);
        drop(told.send((flipped, picture, handle)));
    });
    let (flipped, picture, handle) = hears.recv_timeout(LONG).unwrap();
    flipped.unwrap().wait(LONG).unwrap();
    let hung = client.submit(0, &[Work::Hang], &[]);
    let report = binding.unplug(Loss::Unbound).unwrap();
    assert!(report.device_alive && report.holdouts.is_none() && report.registers_held.is_none(), "{report:?}");
    assert!(report.threads_held.is_none(), "{report:?}");
    assert_eq!(hung.wait(LONG), Err(WaitError::Failed(FenceError::Lost)));
    assert!(line.delivered.load(SeqCst) > 100, "{during:?}: {:?}", line.delivered);
    drop((picture, handle, client, device, binding));
    module.unload().unwrap();
    assert!(card.witness().is_empty(), "{during:?}: {:?}", card.witness().violations());
    assert_lint_is_silent();
    line.off.store(true, SeqCst);
}

#[test]
fn health_5_an_interrupt_on_the_thread_that_writes_a_register_is_handled() {
    everything_works(During::Writes, false);
    everything_works(During::BeforeWrites, false);
}

#[test]
fn health_5_an_interrupt_on_the_thread_that_reads_a_register_is_handled() {
    everything_works(During::Reads, false);
}

#[test]
fn health_5_an_interrupt_from_within_every_access_also_of_its_own_handler_ends() {
    for during in [During::Writes, During::Reads, During::All] {
        everything_works(during, true);
    }
}
