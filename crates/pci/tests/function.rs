//! A function that implements no more of [`Function`] than it has to, and one with MSI-X.
#![allow(clippy::unwrap_used)] // an error here fails the test

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use lifeboat_pci::{
    Bar, BusError, ConfigSpace, Function, HostMemory, Iova, IrqHandler, IrqKind, LinkState, ResetKind, ResetKinds,
    VectorHandler,
};

/// Configuration space with MSI (8 vectors) and MSI-X (5 vectors).
struct Config;

impl ConfigSpace for Config {
    fn read16(&self, offset: u16) -> Result<u16, BusError> {
        Ok(match offset {
            0x34 => 0x50,
            0x50 => 0x7005,
            0x52 => 3 << 1,
            0x70 => 0x0011,
            0x72 => 4,
            _ => 0,
        })
    }
    fn read32(&self, _: u16) -> Result<u32, BusError> {
        Err(BusError::Unsupported)
    }
    fn write16(&self, _: u16, _: u16) -> Result<(), BusError> {
        Err(BusError::Unsupported)
    }
    fn write32(&self, _: u16, _: u32) -> Result<(), BusError> {
        Err(BusError::Unsupported)
    }
}

/// Takes interrupts by a thread for each vector of MSI-X.
#[derive(Default)]
struct Vectors {
    state: Mutex<FunctionState>,
    idle: Condvar,
}

#[derive(Default)]
struct FunctionState {
    simple: Option<(u8, IrqHandler)>,
    each: Vec<VectorHandler>,
    running: usize,
}

impl Vectors {
    /// A message of a vector arrives.
    fn deliver(&self, vector: usize) {
        let mut state = self.state.lock().unwrap();
        let Some(handler) = state.each.get(vector).cloned() else { return };
        state.running += 1;
        drop(state);
        handler();
        drop(handler);
        self.state.lock().unwrap().running -= 1;
        self.idle.notify_all();
    }

    fn off(&self) {
        let mut state = self.state.lock().unwrap();
        (state.simple, state.each) = (None, Vec::new());
        drop(self.idle.wait_while(state, |state| state.running > 0).unwrap());
    }
}

/// What a function of before these methods has: the methods without a default.
macro_rules! the_required {
    () => {
        fn location(&self) -> &str {
            "test"
        }
        fn config(&self) -> Arc<dyn ConfigSpace + Send + Sync> {
            Arc::new(Config)
        }
        fn bar(&self, index: u8) -> Result<Arc<dyn Bar + Send + Sync>, BusError> {
            Err(BusError::NoSuchBar(index))
        }
        fn dma_map(&self, _: &Arc<HostMemory>) -> Result<Iova, BusError> {
            Err(BusError::NoMemory)
        }
        fn dma_unmap(&self, _: Iova) -> Result<(), BusError> {
            Err(BusError::Unmapped)
        }
        fn irq_enable(&self, vectors: u8, handler: IrqHandler) -> Result<(), BusError> {
            if !vectors.is_power_of_two() || vectors > 8 {
                return Err(BusError::Unsupported);
            }
            self.0.off();
            self.0.state.lock().unwrap().simple = Some((vectors, handler));
            Ok(())
        }
        fn irq_disable(&self) {
            self.0.off();
        }
        fn release(&self) {
            self.0.off();
        }
    };
}

struct Minimal(Vectors);

impl Function for Minimal {
    the_required!();
}

struct WithMsiX(Vectors);

impl Function for WithMsiX {
    the_required!();

    fn irq_vectors(&self, kind: IrqKind) -> Result<u16, BusError> {
        lifeboat_pci::irq_vectors(&*self.config(), kind)
    }

    fn irq_enable_each(&self, kind: IrqKind, handlers: Vec<VectorHandler>) -> Result<(), BusError> {
        if kind != IrqKind::MsiX || handlers.is_empty() || handlers.len() > self.irq_vectors(kind)?.into() {
            return Err(BusError::Unsupported);
        }
        self.0.off();
        self.0.state.lock().unwrap().each = handlers;
        Ok(())
    }
}

/// As many handlers, each of which counts, and the counts.
fn counting(n: usize) -> (Vec<VectorHandler>, Arc<Vec<AtomicU64>>) {
    let counts: Arc<Vec<_>> = Arc::new((0..n).map(|_| AtomicU64::new(0)).collect());
    let handler = |index: usize| -> VectorHandler {
        let counts = Arc::clone(&counts);
        Arc::new(move || {
            counts[index].fetch_add(1, SeqCst);
        })
    };
    ((0..n).map(handler).collect(), counts)
}

fn seen(counts: &[AtomicU64]) -> Vec<u64> {
    counts.iter().map(|count| count.load(SeqCst)).collect()
}

#[test]
fn what_a_function_does_not_implement_it_honestly_lacks() {
    let function = Minimal(Vectors::default());
    assert_eq!(function.resets(), ResetKinds::NONE);
    for kind in [ResetKind::Function, ResetKind::Bus] {
        assert_eq!(function.reset(kind), Err(BusError::Unsupported));
    }
    assert_eq!(function.link(), LinkState::Unknown);
    assert_eq!(function.irq_vectors(IrqKind::MsiX), Err(BusError::Unsupported));
    assert_eq!(function.irq_enable_each(IrqKind::MsiX, counting(1).0), Err(BusError::Unsupported));
}

#[test]
fn handlers_of_vectors_go_by_the_simple_form_where_there_is_no_other() {
    let function = Minimal(Vectors::default());
    assert_eq!(function.irq_vectors(IrqKind::Msi), Ok(8));
    for n in [0, 3, 16, 256, 257] {
        assert_eq!(function.irq_enable_each(IrqKind::Msi, counting(n).0), Err(BusError::Unsupported), "{n}");
    }
    let (handlers, counts) = counting(4);
    function.irq_enable_each(IrqKind::Msi, handlers).unwrap();
    let (vectors, handler) = function.0.state.lock().unwrap().simple.clone().unwrap();
    assert_eq!(vectors, 4);
    for vector in [3, 0, 3, 7] {
        handler(vector); // the last is none of theirs
    }
    assert_eq!(seen(&counts), [1, 0, 0, 2]);
    drop(handler);
    function.irq_disable();
    assert_eq!(Arc::strong_count(&counts), 1, "the handlers are gone");
}

#[test]
fn msi_x_has_any_number_of_vectors_each_with_its_handler() {
    let function = WithMsiX(Vectors::default());
    assert_eq!((function.irq_vectors(IrqKind::Msi), function.irq_vectors(IrqKind::MsiX)), (Ok(8), Ok(5)));
    assert_eq!(function.irq_enable_each(IrqKind::MsiX, counting(6).0), Err(BusError::Unsupported));
    let (handlers, counts) = counting(5);
    function.irq_enable_each(IrqKind::MsiX, handlers).unwrap();
    for vector in [4, 4, 1] {
        function.0.deliver(vector);
    }
    assert_eq!(seen(&counts), [0, 1, 0, 0, 2]);
    // Fewer take their place.
    let (handlers, others) = counting(3);
    function.irq_enable_each(IrqKind::MsiX, handlers).unwrap();
    assert_eq!(Arc::strong_count(&counts), 1, "replaced");
    function.0.deliver(4);
    function.0.deliver(1);
    assert_eq!((seen(&counts), seen(&others)), (vec![0, 1, 0, 0, 2], vec![0, 1, 0]));
}

#[test]
fn interrupts_of_several_vectors_are_off_when_the_last_handler_has_ended() {
    let function = WithMsiX(Vectors::default());
    let (inside, entered): (Sender<()>, Receiver<()>) = mpsc::channel();
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let waiting = || -> VectorHandler {
        let (inside, gate) = (inside.clone(), Arc::clone(&gate));
        Arc::new(move || {
            inside.send(()).unwrap();
            let open = gate.0.lock().unwrap();
            drop(gate.1.wait_while(open, |open| !*open).unwrap());
        })
    };
    function.irq_enable_each(IrqKind::MsiX, (0..3).map(|_| waiting()).collect()).unwrap();
    thread::scope(|scope| {
        for vector in 0..3 {
            let function = &function;
            scope.spawn(move || function.0.deliver(vector));
        }
        for _ in 0..3 {
            entered.recv().unwrap();
        }
        let (off, is_off) = mpsc::channel();
        let function = &function;
        scope.spawn(move || {
            function.irq_disable();
            off.send(()).unwrap();
        });
        assert!(is_off.try_recv().is_err(), "three handlers run");
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        is_off.recv().unwrap();
        assert_eq!(Arc::strong_count(&gate), 1, "no handler runs and none is left");
    });
}
