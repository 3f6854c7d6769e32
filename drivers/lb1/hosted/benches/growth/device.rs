//! One device: its handles, waits for vertical blanks, events, buffers and maps; and the bus's
//! subscriptions.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use lifeboat::{Binding, Bus, Fence, Listeners, Policy};
use lifeboat_gpu::{Card, Config, Slot};
use lifeboat_lb1_hosted::{Device, Handle, Placement};
use lifeboat_pci::{Bar, BusError, ConfigSpace, Function, HostMemory, Iova, IrqHandler, PAGE_SIZE};

use crate::case::{Case, Sample};

pub(crate) const CASES: &[&Case] = &[
    &Case { name: "handles: opened, closed oldest first", run: |count| handles(count, false) },
    &Case { name: "handles: opened, closed newest first", run: |count| handles(count, true) },
    &Case { name: "waits for a blank: asked for", run: |count| Waiting::new(count).asked },
    &Case { name: "waits for a blank: answered", run: |count| Waiting::new(count).answered() },
    &Case { name: "events: read", run: |count| Waiting::new(count).read() },
    &Case { name: "VRAM in pieces: freed and taken", run: vram },
    &Case { name: "maps of VRAM: made, ended", run: maps },
    &Case { name: "subscriptions: made, ended", run: subscriptions },
];

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_mins(1);
/// Events that one handle may be promised.
const EVENTS: usize = 128;

/// A bound card.
struct Rig {
    device: Device,
    _binding: Binding,
    _slot: Arc<Slot>,
}

impl Rig {
    fn new() -> Self {
        Self::with(Config::default(), |function| function)
    }

    fn with(config: Config, wrap: impl FnOnce(Arc<dyn Function>) -> Arc<dyn Function>) -> Self {
        let slot = Slot::new("0000:01:00.0");
        slot.insert(Card::new(config).unwrap()).unwrap();
        let function = wrap(slot.function().unwrap());
        let binding = lifeboat_lb1_hosted::module().probe(&function, &Policy::default(), Listeners::none()).unwrap();
        Self { device: binding.device().unwrap(), _binding: binding, _slot: slot }
    }
}

fn handles(count: usize, newest_first: bool) -> Sample {
    let rig = Rig::new();
    Sample::withdrawn(|| {
        let mut open: Vec<_> = (0..count).map(|_| Some(rig.device.open().unwrap())).collect();
        if newest_first {
            open.reverse();
        }
        for handle in &mut open {
            drop(handle.take());
        }
    })
}

/// A function without interrupts. So nobody but the driver's worker asks whether a blank has come,
/// a tenth of a second after it was waited for: by then all are due, and they are answered
/// together.
struct Silent(Arc<dyn Function>);

impl Function for Silent {
    fn location(&self) -> &str {
        self.0.location()
    }

    fn config(&self) -> Arc<dyn ConfigSpace + Send + Sync> {
        self.0.config()
    }

    fn bar(&self, index: u8) -> Result<Arc<dyn Bar + Send + Sync>, BusError> {
        self.0.bar(index)
    }

    fn dma_map(&self, memory: &Arc<HostMemory>) -> Result<Iova, BusError> {
        self.0.dma_map(memory)
    }

    fn dma_unmap(&self, iova: Iova) -> Result<(), BusError> {
        self.0.dma_unmap(iova)
    }

    fn irq_enable(&self, _: u8, _: IrqHandler) -> Result<(), BusError> {
        Ok(())
    }

    fn irq_disable(&self) {}

    fn release(&self) {
        self.0.release();
    }
}

/// Handles that wait for the next vertical blank, many times each.
struct Waiting {
    asked: Sample,
    /// When the first was answered, and when the last was.
    answers: Receiver<Instant>,
    handles: Vec<Handle>,
    _rig: Rig,
}

impl Waiting {
    fn new(count: usize) -> Self {
        let rig = Rig::with(Config::default(), |function| Arc::new(Silent(function)));
        let handles: Vec<_> = (0..count.div_ceil(EVENTS)).map(|_| rig.device.open().unwrap()).collect();
        let screen = handles[0].create_buffer(Placement::Vram, 64 * 64 * 4).unwrap();
        handles[0].set_mode(Some((&screen, handles[0].resources().mode(64, 64)))).unwrap();
        let mut fences: Vec<Fence> = Vec::with_capacity(count);
        let asked = Sample::of(|| {
            fences.extend((0..count).map(|at| handles[at / EVENTS].queue_vblank(at as u64).unwrap()));
        });
        let (sender, answers) = mpsc::channel();
        for fence in [fences.first(), fences.last()] {
            let sender = sender.clone();
            fence.unwrap().on_signal(move |_| sender.send(Instant::now()).unwrap());
        }
        Self { asked, answers, handles, _rig: rig }
    }

    /// From the first answer to the last.
    fn answered(&self) -> Sample {
        let [first, last] = [(); 2].map(|()| self.answers.recv_timeout(LIMIT).unwrap());
        Sample::took(last.duration_since(first))
    }

    fn read(&self) -> Sample {
        self.answered();
        Sample::of(|| {
            for handle in &self.handles {
                while let Some(event) = handle.events().try_next() {
                    black_box(event);
                }
            }
        })
    }
}

/// All of VRAM in buffers of one page, of which every other one goes and comes back.
fn vram(count: usize) -> Sample {
    let pages = 2 * count;
    let rig = Rig::with(Config { vram_bytes: pages as u64 * PAGE_SIZE, ..Config::default() }, |function| function);
    let handle = rig.device.open().unwrap();
    let page = || Some(handle.create_buffer(Placement::Vram, PAGE_SIZE).unwrap());
    let mut pieces: Vec<_> = (0..pages).map(|_| page()).collect();
    Sample::of(|| {
        for piece in pieces.iter_mut().step_by(2).rev() {
            drop(piece.take());
        }
        for piece in pieces.iter_mut().step_by(2) {
            *piece = page();
        }
    })
}

fn maps(count: usize) -> Sample {
    let rig = Rig::new();
    let handle = rig.device.open().unwrap();
    let buffer = handle.create_buffer(Placement::Vram, 1).unwrap();
    Sample::withdrawn(|| drop((0..count).map(|_| handle.mmap(&buffer).unwrap()).collect::<Vec<_>>()))
}

fn subscriptions(count: usize) -> Sample {
    let bus =
        Bus::new(lifeboat_lb1_hosted::module(), Policy { job_timeout: LIMIT, drain_limit: LIMIT, ..Policy::default() });
    Sample::withdrawn(|| drop((0..count).map(|_| bus.subscribe()).collect::<Vec<_>>()))
}
