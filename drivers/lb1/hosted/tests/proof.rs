//! Rings that say that all is well and do nothing: each proves itself before it is given users'
//! jobs, nobody is guilty of a job that never began, and what does not help is not done again
//! (RECOV-5).
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};

use lifeboat::core::fence::FenceError;
use lifeboat::core::recovery::Budget;
use lifeboat::core::unplug::Loss;
use lifeboat::driver::{DriverError, Unproven};
use lifeboat::{Bus, Event, Fence, Listeners, Policy, ProbeError, WaitError};
use lifeboat_gpu::{Card, Config};
use lifeboat_lb1::regs::{self, device_ctrl, irq, ring_ctrl};
use lifeboat_lb1_hosted::command::Work;
use lifeboat_pci::{Bar, BusError, Function, HostMemory, Iova, Slot, SlotWatcher};
use machine::bound::{Bound, Hook, options, plugged};
use machine::forward::forward;
use machine::interposer::{Access, Interposer};
use machine::{Client, JOB_TIMEOUT, LONG};

const LOST: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Lost));
const GUILTY: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Guilty));

/// What a register of a ring reads, or is written with, instead.
type Lie = Arc<dyn Fn(&dyn Bar, u64, Access) -> Option<u32> + Send + Sync>;

/// A device that lies when it is told to.
struct Liar {
    bound: Bound,
    lies: Arc<AtomicBool>,
    losses: Receiver<Loss>,
    ring_resets: Arc<AtomicU32>,
    device_resets: Arc<AtomicU32>,
}

fn hook(lie: Lie, lies: &Arc<AtomicBool>, resets: [&Arc<AtomicU32>; 2]) -> Hook {
    let (lies, [of_ring, of_device]) = (lies.clone(), resets.map(Arc::clone));
    Box::new(move |bar, inner, at, access| {
        if bar != regs::REGISTER_BAR {
            return None;
        }
        match access {
            Access::Write(ring_ctrl::RESET) if (0..2).any(|ring| at == regs::ring(ring, regs::RING_CTRL)) => {
                of_ring.fetch_add(1, SeqCst);
            }
            Access::Write(device_ctrl::RESET) if at == regs::DEVICE_CTRL => {
                of_device.fetch_add(1, SeqCst);
            }
            _ => {}
        }
        if lies.load(SeqCst) { lie(inner, at, access) } else { None }
    })
}

impl Liar {
    fn new(lie: Lie) -> Self {
        let (lies, ring_resets, device_resets) = (Arc::default(), Arc::default(), Arc::default());
        let (told, losses) = mpsc::channel();
        let listeners = Listeners::none().on_loss(move |loss| told.send(loss).unwrap_or_default());
        let hook = hook(lie, &lies, [&ring_resets, &device_resets]);
        let bound = Bound::heard(options(), listeners, hook);
        device_resets.store(0, SeqCst);
        Self { bound, lies, losses, ring_resets, device_resets }
    }

    fn lie(&self) {
        self.lies.store(true, SeqCst);
    }

    fn resets(&self) -> (u32, u32) {
        (self.ring_resets.load(SeqCst), self.device_resets.load(SeqCst))
    }

    /// The device is given up, and nobody is to blame.
    fn assert_given_up(self, clients: Vec<Client>, fences: &[Fence], most: (u32, u32)) {
        assert_eq!(self.losses.recv_timeout(LONG), Ok(Loss::Crashed), "it is looped: {:?} resets", self.resets());
        let resets = self.resets();
        assert!(resets.0 <= most.0 && resets.1 <= most.1, "more resets than help: {resets:?}, not {most:?}");
        self.lies.store(false, SeqCst);
        self.bound.binding.unplug(Loss::Crashed);
        for fence in fences {
            assert_eq!(fence.wait(LONG), LOST);
        }
        for client in &clients {
            let stats = client.context.reset_stats();
            assert_eq!((stats.guilty, stats.banned), (0, false), "a context is charged for what it did not do");
        }
        drop(clients);
        self.bound.finish();
    }

    fn finish(self) {
        self.lies.store(false, SeqCst);
        self.bound.finish();
    }
}

fn lie(f: impl Fn(&dyn Bar, u64, Access) -> Option<u32> + Send + Sync + 'static) -> Lie {
    Arc::new(f)
}

/// A doorbell that rings nobody: the tail stays where it is.
fn deaf(rings: &'static [u8]) -> Lie {
    lie(move |bar, at, access| match access {
        Access::Write(_) if rings.iter().any(|ring| at == regs::ring(*ring, regs::RING_TAIL)) => bar.read32(at).ok(),
        _ => None,
    })
}

/// Registers of ring 0 that read for ever what they read before the next doorbell.
fn frozen(registers: &'static [u64]) -> Lie {
    let before = Mutex::new(None);
    lie(move |bar, at, access| match access {
        Access::Write(_) if at == regs::ring(0, regs::RING_TAIL) => {
            let read = |register: &u64| bar.read32(regs::ring(0, *register)).unwrap();
            before.lock().unwrap().get_or_insert_with(|| registers.iter().map(read).collect::<Vec<_>>());
            None
        }
        Access::Read(_) => {
            let index = registers.iter().position(|register| at == regs::ring(0, *register))?;
            before.lock().unwrap().as_ref().map(|before| before[index])
        }
        _ => None,
    })
}

/// Two clients that have done something, and then each submit some jobs more to the rings.
fn two_clients_with_jobs(liar: &Liar, rings: &[usize]) -> (Vec<Client>, Vec<Fence>) {
    let clients = vec![liar.bound.client(), liar.bound.client()];
    for client in &clients {
        for ring in rings {
            client.submit(*ring, &[Work::Nop], &[]).wait(LONG).unwrap();
        }
    }
    liar.lie();
    let submit = |client: &Client, ring: &usize| [0; 3].map(|_| client.submit(*ring, &[Work::Nop; 3], &[]));
    let fences = clients.iter().flat_map(|client| rings.iter().flat_map(|ring| submit(client, ring))).collect();
    (clients, fences)
}

/// One ring reset that does not help, one of the device that does not help either.
const EACH_ONCE: (u32, u32) = (1, 1);

#[test]
fn recov_5_a_ring_whose_doorbell_is_dead_is_nobodys_fault() {
    let liar = Liar::new(deaf(&[0]));
    let (clients, fences) = two_clients_with_jobs(&liar, &[0]);
    liar.assert_given_up(clients, &fences, EACH_ONCE);
}

#[test]
fn recov_5_neither_is_it_if_all_doorbells_are_dead() {
    let liar = Liar::new(deaf(&[0, 1]));
    let (clients, fences) = two_clients_with_jobs(&liar, &[0, 1]);
    liar.assert_given_up(clients, &fences, (2, 1));
}

#[test]
fn recov_5_nor_if_the_ring_takes_the_doorbell_and_never_moves() {
    let liar = Liar::new(frozen(&[regs::RING_HEAD, regs::RING_SEQNO]));
    let (clients, fences) = two_clients_with_jobs(&liar, &[0]);
    liar.assert_given_up(clients, &fences, EACH_ONCE);
}

#[test]
fn recov_5_nor_if_the_ring_moves_and_never_says_what_is_done() {
    let liar = Liar::new(frozen(&[regs::RING_SEQNO]));
    let (clients, fences) = two_clients_with_jobs(&liar, &[0]);
    liar.assert_given_up(clients, &fences, EACH_ONCE);
}

/// The proof is done, and then nothing: what was reset in vain is not reset again.
#[test]
fn recov_5_a_doorbell_that_rings_once_after_each_reset_is_not_looped() {
    let rung = AtomicU32::new(1);
    let liar = Liar::new(lie(move |bar, at, access| match access {
        // The device's reset, too.
        Access::Write(ring_ctrl::RESET) if at == regs::ring(0, regs::RING_CTRL) || at == regs::DEVICE_CTRL => {
            rung.store(0, SeqCst);
            None
        }
        Access::Write(_) if at == regs::ring(0, regs::RING_TAIL) && rung.fetch_add(1, SeqCst) > 0 => {
            bar.read32(at).ok()
        }
        _ => None,
    }));
    let (clients, fences) = two_clients_with_jobs(&liar, &[0]);
    liar.assert_given_up(clients, &fences, EACH_ONCE);
}

/// As long as jobs complete in between, there is no need for more than a reset of the ring.
#[test]
fn recov_5_a_doorbell_that_is_lost_now_and_then_costs_time_and_no_job() {
    let rung = AtomicU32::new(0);
    let liar = Liar::new(lie(move |bar, at, access| match access {
        Access::Write(_) if at == regs::ring(0, regs::RING_TAIL) && rung.fetch_add(1, SeqCst).is_multiple_of(3) => {
            bar.read32(at).ok()
        }
        _ => None,
    }));
    let client = liar.bound.client();
    liar.lie();
    for _ in 0..4 {
        // One after the other: the doorbell of a later job rings for the earlier as well.
        client.submit(0, &[Work::Nop], &[]).wait(LONG).unwrap();
    }
    let stats = client.context.reset_stats();
    assert_eq!((stats.guilty, stats.innocent, liar.resets().1), (0, 0, 0));
    assert!(liar.resets().0 > 0, "no doorbell was lost");
    drop(client);
    liar.finish();
}

/// What hangs it began; but after it the ring does not work, and that is no fault of those who come
/// later.
#[test]
fn recov_5_a_ring_that_cannot_be_enabled_after_its_reset_is_given_up_with_its_device() {
    let liar = Liar::new(lie(|_, at, access| match access {
        Access::Write(ring_ctrl::ENABLE) if at == regs::ring(0, regs::RING_CTRL) => Some(0),
        _ => None,
    }));
    let (bad, good) = (liar.bound.client(), liar.bound.client());
    liar.lie();
    let mut fences = vec![bad.submit(0, &[Work::Hang], &[])];
    fences.extend([0; 4].map(|_| good.submit(0, &[Work::Nop], &[])));
    assert_eq!(liar.losses.recv_timeout(LONG), Ok(Loss::Crashed));
    assert_eq!(liar.resets(), EACH_ONCE);
    liar.bound.binding.unplug(Loss::Crashed);
    assert!(fences.iter().all(|fence| fence.wait(LONG) == LOST));
    assert_eq!((good.context.reset_stats().guilty, bad.context.reset_stats().banned), (0, false));
    drop((bad, good));
    // Above all no doorbell was rung of a ring that is not enabled: the witness looks.
    liar.finish();
}

/// The write that is to reset the ring has no effect.
#[test]
fn recov_5_a_ring_that_runs_on_after_its_reset_is_reset_with_the_device() {
    let liar = Liar::new(lie(|_, at, access| match access {
        Access::Write(ring_ctrl::RESET) if at == regs::ring(0, regs::RING_CTRL) => Some(ring_ctrl::ENABLE),
        _ => None,
    }));
    let (bad, good) = (liar.bound.client(), liar.bound.client());
    liar.lie();
    let hung = bad.submit(0, &[Work::Nop, Work::Hang], &[]);
    let behind = good.submit(0, &[good.fill(7), good.download()], &[]);
    assert_eq!(hung.wait(LONG), GUILTY);
    behind.wait(LONG).unwrap();
    assert_eq!((good.host_word(), liar.resets()), (7, EACH_ONCE));
    assert!(liar.losses.try_recv().is_err(), "the device works");
    drop((bad, good));
    liar.finish();
}

/// The same, and all that it says of its state is as after a reset.
#[test]
fn recov_5_a_ring_that_lies_about_its_reset_is_written_no_descriptors() {
    let liar = Liar::new(lie(|_, at, access| match access {
        Access::Write(ring_ctrl::RESET) if at == regs::ring(0, regs::RING_CTRL) => Some(ring_ctrl::ENABLE),
        Access::Read(_) if [regs::RING_STATUS, regs::RING_CTRL].iter().any(|of| at == regs::ring(0, *of)) => Some(0),
        _ => None,
    }));
    let (bad, good) = (liar.bound.client(), liar.bound.client());
    good.submit(0, &[Work::Nop; 5], &[]).wait(LONG).unwrap();
    liar.lie();
    let fences = [bad.submit(0, &[Work::Hang], &[]), good.submit(0, &[Work::Nop], &[])];
    liar.assert_given_up(vec![bad, good], &fences, EACH_ONCE);
}

#[test]
fn recov_5_completions_that_are_never_told_are_found_without_a_reset() {
    let liar = Liar::new(lie(|_, at, access| match access {
        Access::Read(_) if at == regs::IRQ_STATUS => Some(0),
        Access::Write(value) if at == regs::IRQ_MASK => Some(value & !irq::RING_DONE),
        _ => None,
    }));
    let client = liar.bound.client();
    liar.lie();
    for ring in [0, 1, 0] {
        client.submit(ring, &[Work::Nop], &[]).wait(LONG).unwrap();
    }
    assert_eq!((client.context.reset_stats().guilty, liar.resets()), (0, (0, 0)));
    drop(client);
    liar.finish();
}

/// A job that began is its owner's to answer for, however often: no client has the device taken
/// away from the others.
#[test]
fn recov_5_a_client_that_only_hangs_is_banned_and_the_device_goes_on() {
    let liar = Liar::new(lie(|_, _, _| None));
    let (bad, good) = (liar.bound.client(), liar.bound.client());
    let mut hangs = 0;
    loop {
        match bad.try_submit(0, &[Work::Hang], &[]) {
            Ok(fence) => assert_eq!(fence.wait(LONG), GUILTY),
            Err(error) => break assert!(error.is_banned(), "{error}"),
        }
        hangs += 1;
    }
    assert_eq!((hangs, liar.resets()), (10, (10, 0)));
    good.submit(0, &[Work::Nop], &[]).wait(LONG).unwrap();
    drop((bad, good));
    liar.finish();
}

/// Why a device is not bound whose ring 0 lies from the beginning.
fn refused(lie: Lie) -> Unproven {
    let (card, slot) = plugged();
    let (lies, resets) = (Arc::new(AtomicBool::new(true)), [Arc::default(), Arc::default()]);
    let module = lifeboat_lb1_hosted::module();
    let function = Interposer::on(slot.function().unwrap(), hook(lie, &lies, resets.each_ref()));
    let error = module.probe(&function, &options(), Listeners::none()).unwrap_err();
    assert!(error.to_string().contains("ring 0 does not work: "), "{error}");
    let ProbeError::Driver(DriverError::Unproven { ring: 0, what }) = error else { panic!("{error}") };
    // It is at rest, and may work for whoever comes next.
    lies.store(false, SeqCst);
    drop(module.probe(&slot.function().unwrap(), &options(), Listeners::none()).unwrap());
    module.unload().unwrap();
    assert!(card.witness().is_empty(), "{:?}", card.witness().violations());
    what
}

#[test]
fn recov_5_a_device_that_cannot_do_one_job_is_not_bound() {
    assert_eq!(refused(deaf(&[0])), Unproven::Silent);
    let disabled = refused(lie(|_, at, access| match access {
        Access::Write(ring_ctrl::ENABLE) if at == regs::ring(0, regs::RING_CTRL) => Some(0),
        _ => None,
    }));
    assert_eq!(disabled, Unproven::NotEnabled { control: 0 });
    // It reads the ring's descriptors from elsewhere.
    let elsewhere = refused(lie(|_, at, access| match access {
        Access::Write(order) if at == regs::ring(0, regs::RING_ORDER) => Some(order),
        Access::Read(_) if at == regs::ring(0, regs::RING_SEQNO) => Some(77),
        _ => None,
    }));
    assert_eq!(elsewhere, Unproven::Silent);
}

/// A bus that carries what the device reads, and not what it writes: the device has memory of its
/// own.
struct OneWay {
    inner: Arc<dyn Function>,
    memories: Memories,
    drops_writes: Arc<AtomicBool>,
}

/// The driver's, and the device's.
type Memories = Arc<Mutex<Vec<[Arc<HostMemory>; 2]>>>;

fn carry([from, to]: [&HostMemory; 2]) {
    let mut bytes = vec![0; usize::try_from(from.size()).unwrap()];
    from.read(0, &mut bytes).unwrap();
    to.write(0, &bytes).unwrap();
}

impl Function for OneWay {
    forward!(location config dma_unmap irq_enable irq_disable release);

    fn bar(&self, index: u8) -> Result<Arc<dyn Bar + Send + Sync>, BusError> {
        let (memories, drops) = (self.memories.clone(), self.drops_writes.clone());
        let carrying = Interposer::on(self.inner.clone(), move |_, _, at, access| {
            match access {
                Access::Write(_) if (0..2).any(|ring| at == regs::ring(ring, regs::RING_TAIL)) => {
                    memories.lock().unwrap().iter().for_each(|[ours, its]| carry([ours, its]));
                }
                Access::Read(_)
                    if !drops.load(SeqCst) && (0..2).any(|ring| at == regs::ring(ring, regs::RING_SEQNO)) =>
                {
                    memories.lock().unwrap().iter().for_each(|[ours, its]| carry([its, ours]));
                }
                _ => {}
            }
            None
        });
        carrying.bar(index)
    }

    fn dma_map(&self, memory: &Arc<HostMemory>) -> Result<Iova, BusError> {
        let its = Arc::new(HostMemory::new(memory.size()).unwrap());
        self.memories.lock().unwrap().push([memory.clone(), its.clone()]);
        self.inner.dma_map(&its)
    }
}

/// Numbers are written, memory is not.
#[test]
fn recov_5_a_device_whose_writes_are_lost_is_found_out_by_what_it_was_to_write() {
    let (card, slot) = plugged();
    let drops_writes = Arc::new(AtomicBool::new(true));
    let one_way = || -> Arc<dyn Function> {
        let (inner, drops_writes) = (slot.function().unwrap(), drops_writes.clone());
        Arc::new(OneWay { inner, memories: Arc::default(), drops_writes })
    };
    let module = lifeboat_lb1_hosted::module();
    let refused = module.probe(&one_way(), &options(), Listeners::none()).unwrap_err();
    assert_eq!(refused, ProbeError::Driver(DriverError::Unproven { ring: 0, what: Unproven::NotWritten }));

    // Later, too.
    drops_writes.store(false, SeqCst);
    let (told, losses) = mpsc::channel();
    let listeners = Listeners::none().on_loss(move |loss| told.send(loss).unwrap_or_default());
    let binding = module.probe(&one_way(), &options(), listeners).unwrap();
    let client = Client::new(&binding.device().unwrap());
    client.submit(0, &[Work::Nop], &[]).wait(LONG).unwrap();
    drops_writes.store(true, SeqCst);
    let hung = client.submit(0, &[Work::Hang], &[]);
    assert_eq!(losses.recv_timeout(LONG), Ok(Loss::Crashed));
    binding.unplug(Loss::Crashed);
    assert_eq!(hung.wait(LONG), LOST);
    drop((client, binding));
    module.unload().unwrap();
    assert!(card.witness().is_empty(), "{:?}", card.witness().violations());
}

/// A slot whose device stops hearing its doorbells, for good.
struct Deafened {
    slot: Arc<lifeboat_gpu::Slot>,
    is_deaf: Arc<AtomicBool>,
}

impl Slot for Deafened {
    fn location(&self) -> &str {
        self.slot.location()
    }

    fn function(&self) -> Option<Arc<dyn Function>> {
        Some(Interposer::on(self.slot.function()?, hook(deaf(&[0]), &self.is_deaf, [&Arc::default(), &Arc::default()])))
    }

    fn watch(&self, watcher: SlotWatcher) {
        self.slot.watch(watcher);
    }
}

/// Ring, device, recovery: and then it is said why it stays unbound.
#[test]
fn recov_5_a_device_that_never_works_again_is_told_with_its_reason() {
    let gpu = lifeboat_gpu::Slot::new("0000:01:00.0");
    gpu.insert(Card::new(Config::default()).unwrap()).unwrap();
    let slot = Arc::new(Deafened { slot: gpu, is_deaf: Arc::default() });
    let recovery = Budget { attempts: 1, ..Budget::default() };
    let options = Policy { job_timeout: JOB_TIMEOUT, recovery, ..Policy::default() };
    let mut bus = Bus::new(lifeboat_lb1_hosted::module(), options);
    let events = bus.subscribe();
    bus.attach(&slot).unwrap();
    let Event::Added { minor, .. } = machine::next_event(&events) else { panic!("no device") };
    let client = Client::new(&bus.device(minor).unwrap());
    slot.is_deaf.store(true, SeqCst);
    let fence = client.submit(0, &[Work::Nop], &[]);
    assert_eq!(fence.wait(LONG), LOST);
    assert!(!client.context.reset_stats().banned);
    drop((fence, client));
    let why = loop {
        match machine::next_event(&events) {
            Event::ProbeFailed { error, .. } => break error.to_string(),
            Event::Removed { report } => assert_eq!(report.loss, Loss::Crashed),
            other => panic!("{other:?}"),
        }
    };
    assert!(why.contains("ring 0 does not work"), "{why}");
    slot.is_deaf.store(false, SeqCst);
    drop(bus);
}
