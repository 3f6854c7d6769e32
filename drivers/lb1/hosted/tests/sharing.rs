//! Buffers that two devices share, and the loss of either.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use lifeboat::core::errno::Errno;
use lifeboat::core::fence::FenceError;
use lifeboat::core::unplug::Loss;
use lifeboat::{Binding, CallError, Fence, Kind, Listeners, Module, WaitError};
use lifeboat_gpu::{Card, Config, Iommu};
use lifeboat_lb1_hosted::command::{Copy, Fill, GpuVa, Work};
use lifeboat_lb1_hosted::{Buffer, Device, DmaBuf, Placement};
use lifeboat_pci::{BusError, Function, HostMemory, Iova};
use machine::bound::{options, plugged};
use machine::forward::forward;
use machine::{BYTES, Client, LONG, Machine, assert_lint_is_silent, counts};

/// A client of another device, with a buffer that it has imported.
struct Importer {
    client: Client,
    buffer: Buffer,
    va: GpuVa,
}

impl Importer {
    fn new(device: &Device, dma_buf: &DmaBuf) -> Self {
        let client = Client::new(device);
        let buffer = client.handle.import(dma_buf).unwrap();
        let va = client.handle.map(&client.context, &buffer).unwrap();
        Self { client, buffer, va }
    }

    fn try_fill(&self, ring: usize, pattern: u32) -> Result<Fence, CallError> {
        self.client.try_submit(ring, &[Work::Fill(Fill { dst: self.va, bytes: BYTES.into(), pattern })], &[])
    }

    /// By a job.
    fn fill(&self, pattern: u32) {
        self.try_fill(0, pattern).unwrap().wait(LONG).unwrap();
    }

    /// What a job finds in the last word.
    fn word(&self) -> u32 {
        let copy = Work::Copy(Copy::linear(self.client.host_va, self.va, BYTES));
        self.client.submit(0, &[copy], &[]).wait(LONG).unwrap();
        self.client.host_word()
    }
}

fn word(buffer: &Buffer) -> u32 {
    let mut word = [0; 4];
    buffer.read(u64::from(BYTES) - 4, &mut word).unwrap();
    u32::from_le_bytes(word)
}

/// By a job of the exporter's.
fn fill(client: &Client, dst: GpuVa, pattern: u32) {
    client.submit(0, &[Work::Fill(Fill { dst, bytes: BYTES.into(), pattern })], &[]).wait(LONG).unwrap();
}

// Importers are finished first: their workers hold what jobs used until a moment after the fences.

#[test]
fn map_3_two_devices_and_the_cpu_reach_the_same_bytes() {
    let (exporters, importers) = (Machine::new(), Machine::new());
    let exporter = Client::new(&exporters.added());
    let device = importers.added();
    for (buffer, va) in [(&exporter.host, exporter.host_va), (&exporter.vram, exporter.vram_va)] {
        let dma_buf = exporter.handle.export(buffer).unwrap();
        assert_eq!((dma_buf.size(), dma_buf.placement()), (BYTES.into(), buffer.placement()));
        let importer = Importer::new(&device, &dma_buf);
        assert_eq!((importer.buffer.size(), importer.buffer.placement()), (BYTES.into(), Placement::Host));
        let map = importer.client.handle.mmap(&importer.buffer).unwrap();
        fill(&exporter, va, 0x0101_0101);
        assert_eq!((importer.word(), word(&importer.buffer), word(buffer)), (0x0101_0101, 0x0101_0101, 0x0101_0101));
        importer.fill(0x0202_0202);
        assert_eq!((word(buffer), importer.word()), (0x0202_0202, 0x0202_0202));
        map.write(u64::from(BYTES) - 4, &[3; 4]).unwrap();
        assert_eq!((importer.word(), word(buffer)), (0x0303_0303, 0x0303_0303));
    }
    drop((exporter, device));
    importers.finish();
    exporters.finish();
}

#[test]
fn map_3_host_memory_outlives_whichever_device_is_lost_with_all_that_is_in_it() {
    for lose_exporter in [true, false] {
        let (exporters, importers) = (Machine::new(), Machine::new());
        let exporter = Client::new(&exporters.added());
        let dma_buf = exporter.handle.export(&exporter.host).unwrap();
        let importer = Importer::new(&importers.added(), &dma_buf);
        importer.fill(0x0404_0404);
        if lose_exporter {
            exporters.slot.remove();
            exporters.removed();
            assert_eq!((importer.word(), word(&exporter.host)), (0x0404_0404, 0x0404_0404));
            importer.fill(0x0505_0505);
        } else {
            importers.slot.remove();
            importers.removed();
            assert_eq!((word(&importer.buffer), word(&exporter.host)), (0x0404_0404, 0x0404_0404));
            fill(&exporter, exporter.host_va, 0x0505_0505);
        }
        assert_eq!((word(&importer.buffer), word(&exporter.host)), (0x0505_0505, 0x0505_0505));
        drop((exporter, importer, dma_buf));
        importers.finish();
        exporters.finish();
    }
}

/// A card whose VRAM can be looked into when the card is gone.
fn transparent_card() -> (Arc<Card>, HostMemory) {
    let config = Config::default();
    let vram = HostMemory::shared(config.vram_bytes).unwrap();
    let inside = HostMemory::from_file(vram.backing(0, config.vram_bytes).unwrap().0, config.vram_bytes).unwrap();
    (Card::with_shared(config, vram, Arc::new(Iommu::new(0))).unwrap(), inside)
}

fn holds(vram: &HostMemory, pattern: u8) -> bool {
    let mut bytes = vec![0; 1 << 20];
    vram.read(0, &mut bytes).unwrap();
    bytes.windows(64).any(|window| window == [pattern; 64])
}

#[test]
fn map_3_a_device_goes_on_with_vram_of_a_lost_one_and_reaches_nothing_of_it() {
    let (mut exporters, importers) = (Machine::new(), Machine::new());
    exporters.added();
    exporters.slot.remove();
    exporters.removed();
    let (card, inside) = transparent_card();
    exporters.insert(card);
    let exporter = Client::new(&exporters.added());
    let dma_buf = exporter.handle.export(&exporter.vram).unwrap();
    let importer = Importer::new(&importers.added(), &dma_buf);
    let map = importer.client.handle.mmap(&importer.buffer).unwrap();
    importer.fill(0x4141_4141);
    assert!(holds(&inside, 0x41), "peer to peer: in the exporter's own memory");
    exporters.slot.remove();
    let report = exporters.removed();
    assert_eq!((report.loss, report.maps_cut), (Loss::Unplugged, 1));
    assert_eq!(importer.word(), 0, "zeroes, as a map has them; nothing is promised but that it works");
    importer.fill(0x4242_4242);
    map.write(0, &[0x43; 64]).unwrap();
    assert!(!holds(&inside, 0x42) && !holds(&inside, 0x43));
    assert_eq!((importer.word(), word(&importer.buffer)), (0x4242_4242, 0x4242_4242));
    // Who imports it now has the same memory, which is nobody's.
    let late = importer.client.handle.import(&dma_buf).unwrap();
    assert_eq!(word(&late), 0x4242_4242);
    assert_eq!(exporter.vram.read(0, &mut [0]).map_err(CallError::errno), Err(Errno::ENODEV));
    drop((map, late, importer, dma_buf, exporter));
    importers.finish();
    exporters.finish();
}

#[test]
fn map_3_the_loss_of_the_importer_leaves_the_exporters_vram_as_it_was() {
    let (exporters, importers) = (Machine::new(), Machine::new());
    let exporter = Client::new(&exporters.added());
    let dma_buf = exporter.handle.export(&exporter.vram).unwrap();
    let importer = Importer::new(&importers.added(), &dma_buf);
    let map = importer.client.handle.mmap(&importer.buffer).unwrap();
    importer.fill(0x0606_0606);
    importers.slot.remove();
    importers.removed();
    assert_eq!((word(&exporter.vram), word(&importer.buffer)), (0x0606_0606, 0x0606_0606));
    fill(&exporter, exporter.vram_va, 0x0707_0707);
    let mut last = [0; 4];
    map.read(u64::from(BYTES) - 4, &mut last).unwrap();
    assert_eq!((last, word(&importer.buffer)), ([7; 4], 0x0707_0707), "a user of the lost device still reaches it");
    drop((map, importer, dma_buf, exporter));
    importers.finish();
    exporters.finish();
}

#[test]
fn map_3_jobs_on_shared_memory_go_on_while_its_device_is_pulled() {
    for round in 0..10 {
        let (exporters, importers) = (Machine::new(), Machine::new());
        let exporter = Client::new(&exporters.added());
        let buffer = if round % 2 == 0 { &exporter.vram } else { &exporter.host };
        let dma_buf = exporter.handle.export(buffer).unwrap();
        let importer = Importer::new(&importers.added(), &dma_buf);
        let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for ring in [0, 1] {
                let (importer, stop, done) = (&importer, &stop, &done);
                scope.spawn(move || {
                    while !stop.load(Relaxed) {
                        let fences = [0x11_u32, 0x22, 0x33].map(|pattern| importer.try_fill(ring, pattern).unwrap());
                        for fence in fences {
                            fence.wait(LONG).unwrap();
                            done.fetch_add(1, Relaxed);
                        }
                    }
                });
            }
            let more = |jobs| {
                let since = done.load(Relaxed);
                while done.load(Relaxed) < since + jobs {
                    std::thread::yield_now();
                }
            };
            more(20);
            exporters.slot.remove();
            exporters.removed();
            more(20);
            stop.store(true, Relaxed);
        });
        drop((importer, dma_buf, exporter));
        importers.finish();
        exporters.finish();
    }
}

#[test]
fn map_3_after_a_loss_export_does_what_it_did_and_import_is_for_live_devices() {
    let (exporters, importers) = (Machine::new(), Machine::new());
    let exporter = Client::new(&exporters.added());
    let importer = Client::new(&importers.added());
    exporter.host.write(0, &[8]).unwrap();
    exporter.vram.write(0, &[9]).unwrap();
    let foreign = importer.handle.export(&exporter.host).map(drop);
    assert_eq!(foreign.map_err(CallError::errno), Err(Errno::EINVAL), "a buffer of another device");
    exporters.slot.remove();
    exporters.removed();
    let (host, vram) =
        (exporter.handle.export(&exporter.host).unwrap(), exporter.handle.export(&exporter.vram).unwrap());
    let mut bytes = [1; 2];
    importer.handle.import(&host).unwrap().read(0, &mut bytes[..1]).unwrap();
    importer.handle.import(&vram).unwrap().read(0, &mut bytes[1..]).unwrap();
    assert_eq!(bytes, [8, 0]);
    let other = importer.handle.export(&importer.host).unwrap();
    for dma_buf in [&host, &vram, &other] {
        let refused = exporter.handle.import(dma_buf).map(drop).map_err(CallError::errno);
        assert_eq!(refused, Err(Errno::ENODEV));
    }
    drop((host, vram, other, exporter, importer));
    importers.finish();
    exporters.finish();
}

/// Devices of one module, and all the host memory that they have been given.
struct Fleet {
    module: Module,
    cards: Vec<Arc<Card>>,
    bindings: Vec<Binding>,
    given: Vec<Given>,
}

/// Host memory that a device has been given, and that still exists.
#[derive(Clone, Default)]
struct Given(Arc<Mutex<Vec<Weak<HostMemory>>>>);

/// Notes what is mapped.
struct Noting {
    inner: Arc<dyn Function>,
    given: Given,
    /// Whether its bus knows peer to peer.
    peers: bool,
}

impl Fleet {
    fn new<const DEVICES: usize>() -> (Self, [Client; DEVICES]) {
        let module = lifeboat_lb1_hosted::module();
        let mut fleet = Self { module, cards: vec![], bindings: vec![], given: vec![] };
        let clients = [(); DEVICES].map(|()| fleet.add(true));
        (fleet, clients)
    }

    fn add(&mut self, peers: bool) -> Client {
        let (card, slot) = plugged();
        let given = Given::default();
        let noting = Noting { inner: slot.function().unwrap(), given: given.clone(), peers };
        let function: Arc<dyn Function> = Arc::new(noting);
        let binding = self.module.probe(&function, &options(), Listeners::none()).unwrap();
        let client = Client::new(&binding.device().unwrap());
        self.cards.push(card);
        self.bindings.push(binding);
        self.given.push(given);
        client
    }

    fn exports(&self) -> usize {
        self.module.counts().get(&lifeboat_lb1_hosted::kinds::EXPORT).copied().unwrap_or(0)
    }

    fn finish(self) {
        drop(self.bindings);
        self.module.unload().unwrap();
        for card in self.cards {
            assert!(card.witness().is_empty(), "{:?}", card.witness().violations());
        }
        assert_lint_is_silent();
    }
}

impl Given {
    /// The last one that it was given.
    fn last(&self) -> Weak<HostMemory> {
        self.0.lock().unwrap().last().unwrap().clone()
    }
}

impl Function for Noting {
    forward!(location config bar dma_unmap irq_enable irq_disable release);

    fn dma_map(&self, memory: &Arc<HostMemory>) -> Result<Iova, BusError> {
        if memory.is_peers() && !self.peers {
            return Err(BusError::Unsupported);
        }
        self.given.0.lock().unwrap().push(Arc::downgrade(memory));
        self.inner.dma_map(memory)
    }
}

#[test]
fn what_comes_home_is_the_buffer_itself_and_what_is_handed_on_is_the_first_exporters() {
    let (mut fleet, [first, second, third]) = Fleet::new();
    let dma_buf = first.handle.export(&first.vram).unwrap();
    let home = first.handle.import(&dma_buf).unwrap();
    assert_eq!(home.placement(), Placement::Vram);
    let imported = second.handle.import(&dma_buf).unwrap();
    let again = second.handle.export(&imported).unwrap();
    assert_eq!(fleet.exports(), 1);
    assert_eq!(first.handle.import(&again).unwrap().placement(), Placement::Vram);
    let far = third.handle.import(&again).unwrap();
    drop((imported, second));
    drop(fleet.bindings.remove(1));
    far.write(0, &[7]).unwrap();
    let mut byte = [0];
    home.read(0, &mut byte).unwrap();
    assert_eq!(byte, [7], "the one between has no part in it");
    drop((dma_buf, home, again, far, first, third));
    fleet.finish();
}

/// One of those who hold shared memory lets go.
type LetGo = Box<dyn FnOnce()>;

#[test]
fn life_3_shared_host_memory_is_freed_with_the_last_who_has_it_whoever_that_is() {
    // Four have it, and each is the last one once; the device of each of both sides is lost on the way, or is not.
    for (last, lost) in (0..4).flat_map(|last| [None, Some(0), Some(1)].map(|lost| (last, lost))) {
        let (mut fleet, [exporter, importer]) = Fleet::new();
        let mut others = fleet.module.counts();
        let buffer = exporter.handle.create_buffer(Placement::Host, 1 << 20).unwrap();
        let memory = fleet.given[0].last();
        let dma_buf = exporter.handle.export(&buffer).unwrap();
        let theirs = importer.handle.import(&dma_buf).unwrap();
        assert!(memory.ptr_eq(&fleet.given[1].last()), "the same memory, not a copy");
        let map = importer.handle.mmap(&theirs).unwrap();
        let holders: [LetGo; 4] =
            [Box::new(|| drop(buffer)), Box::new(|| drop(dma_buf)), Box::new(|| drop(theirs)), Box::new(|| drop(map))];
        let mut holders = Vec::from(holders);
        if let Some(lost) = lost {
            drop(fleet.bindings.remove(lost));
            *others.get_mut(&Kind::BINDING).unwrap() -= 1;
        }
        let last = holders.remove(last);
        for let_go in holders {
            let_go();
            assert!(memory.upgrade().is_some());
        }
        assert_ne!(fleet.module.counts(), others);
        last();
        assert_eq!(fleet.module.counts(), others);
        assert!(memory.upgrade().is_none(), "it is still held, lost: {lost:?}");
        drop((exporter, importer));
        fleet.finish();
    }
}

#[test]
fn life_3_shared_vram_is_free_again_with_the_last_who_has_it() {
    let (fleet, [exporter, importer]) = Fleet::new();
    let all = exporter.handle.info().vram_bytes - u64::from(BYTES);
    let buffer = exporter.handle.create_buffer(Placement::Vram, all).unwrap();
    let dma_buf = exporter.handle.export(&buffer).unwrap();
    let theirs = importer.handle.import(&dma_buf).unwrap();
    let window = fleet.given[1].last();
    let va = importer.handle.map(&importer.context, &theirs).unwrap();
    let again = || exporter.handle.create_buffer(Placement::Vram, all).map(drop).map_err(CallError::errno);
    drop(buffer);
    assert_eq!(again(), Err(Errno::ENOMEM));
    drop(dma_buf);
    drop(theirs);
    assert_eq!(again(), Err(Errno::ENOMEM), "a context of another device has it mapped");
    importer.handle.unmap(&importer.context, va).unwrap();
    assert!(window.upgrade().is_none());
    assert_eq!((again(), fleet.exports()), (Ok(()), 0));
    drop((exporter, importer));
    fleet.finish();
}

#[test]
fn life_3_the_last_who_holds_a_lost_device_may_be_a_job_of_another() {
    let (mut fleet, [exporter]) = Fleet::new();
    let dma_buf = exporter.handle.export(&exporter.vram).unwrap();
    drop(fleet.add(true));
    let rest = fleet.bindings[1].device().unwrap();
    let importer = Importer::new(&rest, &dma_buf);
    let memory = fleet.given[1].last();
    drop((dma_buf, exporter));
    drop(fleet.bindings.remove(0));
    let fences: Vec<_> = (0..50).map(|index| importer.try_fill(index % 2, 1).unwrap()).collect();
    drop(importer);
    for fence in fences {
        // Its queue has gone: what had not begun is cancelled.
        assert!(matches!(fence.wait(LONG), Ok(()) | Err(WaitError::Failed(FenceError::Canceled))), "{fence:?}");
    }
    let until = Instant::now() + LONG;
    while counts(&fleet.module.counts()) != [("binding", 1), ("device", 1)].map(|(kind, n)| (kind.to_owned(), n)) {
        assert!(Instant::now() < until, "{:?}", fleet.module.counts());
        std::thread::yield_now();
    }
    assert!(memory.upgrade().is_none());
    drop(rest);
    fleet.finish();
}

#[test]
fn vram_is_not_shared_over_a_bus_that_would_lead_to_a_lost_device() {
    let (mut fleet, [exporter]) = Fleet::new();
    let importer = fleet.add(false);
    let vram = exporter.handle.export(&exporter.vram).unwrap();
    let refused = importer.handle.import(&vram).map(drop).map_err(CallError::errno);
    assert_eq!(refused, Err(Errno::EINVAL));
    let host = exporter.handle.export(&exporter.host).unwrap();
    importer.handle.import(&host).unwrap().write(0, &[1]).unwrap();
    drop((vram, host, exporter, importer));
    fleet.finish();
}

#[test]
fn life_2_an_export_keeps_its_module_and_an_import_the_modules_of_both() {
    let (exporters, importers) = (Machine::new(), Machine::new());
    let exporter = Client::new(&exporters.added());
    let dma_buf = exporter.handle.export(&exporter.host).unwrap();
    let device = importers.added();
    let theirs = device.open().unwrap().import(&dma_buf).unwrap();
    drop((exporter, device));
    let refused = exporters.into_bus().shutdown().unwrap_err();
    assert!(refused.to_string().contains("1 export"), "{refused}");
    drop(dma_buf);
    let refused = refused.module.unload().unwrap_err();
    assert_eq!(
        counts(&refused.counts),
        [("buffer", 1), ("device", 1), ("export", 1)].map(|(kind, n)| (kind.to_owned(), n))
    );
    let held = importers.into_bus().shutdown().unwrap_err();
    assert_eq!(counts(&held.counts), [("buffer", 1), ("device", 1)].map(|(kind, n)| (kind.to_owned(), n)));
    theirs.write(0, &[1]).unwrap();
    drop(theirs);
    held.module.unload().unwrap();
    refused.module.unload().unwrap();
    assert_lint_is_silent();
}
