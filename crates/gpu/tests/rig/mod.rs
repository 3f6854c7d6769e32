//! A tiny driver written by hand from docs/lb1.md, and waits that end.
//!
//! It reaches the card through the [`Function`] traits only.
#![allow(dead_code)] // every test file uses its own part
#![allow(clippy::unwrap_used)] // an error here fails the test

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lifeboat_gpu::{Card, Config, Slot};
use lifeboat_lb1::command::{Command, ContextId, DESCRIPTOR_BYTES, Descriptor, GpuVa, Work};
use lifeboat_lb1::regs::{self, device_ctrl, device_status, ring_ctrl, ring_status, segment};
use lifeboat_pci::{Bar, ConfigSpace, Function, HostMemory, Iova, command, offset};

/// How long anything may take. Generous: it is reached only when something is broken.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// log2 of the descriptors in a ring.
pub(crate) const ORDER: u8 = 6;

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < TIMEOUT, "timed out waiting for {what}");
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// A card in its slot, and the driver's half of it.
pub(crate) struct Rig {
    pub(crate) slot: Arc<Slot>,
    pub(crate) card: Arc<Card>,
    pub(crate) function: Arc<dyn Function>,
    pub(crate) config: Arc<dyn ConfigSpace + Send + Sync>,
    pub(crate) registers: Arc<dyn Bar + Send + Sync>,
    pub(crate) vram: Arc<dyn Bar + Send + Sync>,
    pub(crate) rings: Vec<RingMemory>,
    pub(crate) interrupts: Arc<Interrupts>,
}

/// The memory of one ring.
pub(crate) struct RingMemory {
    pub(crate) memory: Arc<HostMemory>,
    pub(crate) iova: Iova,
    tail: AtomicU32,
    seqno: AtomicU32,
}

/// What the handler has seen.
#[derive(Default)]
pub(crate) struct Interrupts {
    pub(crate) by_vector: [AtomicU64; 4],
}

impl Interrupts {
    pub(crate) fn count(&self, vector: usize) -> u64 {
        self.by_vector[vector].load(Ordering::SeqCst)
    }
}

impl Rig {
    /// A card that is up and running.
    pub(crate) fn new() -> Self {
        let rig = Self::cold(Config { vram_bytes: 8 << 20, ..Config::default() });
        rig.bring_up();
        rig
    }

    /// A card that nobody has touched.
    pub(crate) fn cold(config: Config) -> Self {
        let slot = Slot::new("0000:01:00.0");
        let rings = config.rings;
        let card = Card::new(config).unwrap();
        slot.insert(Arc::clone(&card)).unwrap();
        let function = slot.function().unwrap();
        let rings = (0..rings).map(|_| {
            let memory = host(u64::from(1_u32 << ORDER) * DESCRIPTOR_BYTES as u64);
            let iova = function.dma_map(&memory).unwrap();
            RingMemory { memory, iova, tail: AtomicU32::new(0), seqno: AtomicU32::new(0) }
        });
        Self {
            rings: rings.collect(),
            config: function.config(),
            registers: function.bar(regs::REGISTER_BAR).unwrap(),
            vram: function.bar(regs::VRAM_BAR).unwrap(),
            slot,
            card,
            function,
            interrupts: Arc::default(),
        }
    }

    pub(crate) fn bring_up(&self) {
        self.config.write16(offset::COMMAND, command::MEMORY | command::BUS_MASTER).unwrap();
        let interrupts = Arc::clone(&self.interrupts);
        let handler = Arc::new(move |vector: u8| {
            interrupts.by_vector[usize::from(vector)].fetch_add(1, Ordering::SeqCst);
        });
        self.function.irq_enable(4, handler).unwrap();
        self.write(regs::DEVICE_CTRL, device_ctrl::ENABLE);
        for ring in 0..self.rings.len() {
            self.enable_ring(ring.try_into().unwrap());
        }
    }

    /// Sets a ring up and enables it.
    pub(crate) fn enable_ring(&self, ring: u8) {
        let memory = &self.rings[usize::from(ring)];
        let [low, high] = halves(memory.iova.0);
        self.write(regs::ring(ring, regs::RING_BASE_LO), low);
        self.write(regs::ring(ring, regs::RING_BASE_HI), high);
        self.write(regs::ring(ring, regs::RING_ORDER), ORDER.into());
        self.write(regs::ring(ring, regs::RING_CTRL), ring_ctrl::ENABLE);
        memory.tail.store(0, Ordering::SeqCst);
    }

    pub(crate) fn read(&self, register: u64) -> u32 {
        self.registers.read32(register).unwrap()
    }

    pub(crate) fn write(&self, register: u64, value: u32) {
        self.registers.write32(register, value).unwrap();
    }

    pub(crate) fn ring(&self, ring: u8, register: u64) -> u32 {
        self.read(regs::ring(ring, register))
    }

    /// Maps a run of pages into a context.
    pub(crate) fn segment(&self, context: u8, index: u8, va: u64, bytes: u64, flags: u32, target: u64) {
        let field = |field, value| self.write(regs::segment_field(context, index, field), value);
        field(regs::SEG_FLAGS, 0);
        let ([va_low, va_high], [low, high]) = (halves(va), halves(target));
        field(regs::SEG_VA_LO, va_low);
        field(regs::SEG_VA_HI, va_high);
        field(regs::SEG_PAGES, u32::try_from(bytes.div_ceil(regs::PAGE)).unwrap());
        field(regs::SEG_TARGET_LO, low);
        field(regs::SEG_TARGET_HI, high);
        field(regs::SEG_FLAGS, flags | segment::VALID);
    }

    /// Maps the first `bytes` of VRAM writable into a context, at GPU address `va`.
    pub(crate) fn map_vram(&self, context: u8, index: u8, va: u64, bytes: u64) {
        self.segment(context, index, va, bytes, segment::WRITABLE, 0);
    }

    /// Maps host memory writable into a context, at GPU address `va`. Returns its bus address.
    pub(crate) fn map_host(&self, context: u8, index: u8, va: u64, memory: &Arc<HostMemory>) -> Iova {
        let iova = self.function.dma_map(memory).unwrap();
        self.segment(context, index, va, memory.size(), segment::WRITABLE | segment::HOST, iova.0);
        iova
    }

    /// Puts a descriptor into a ring, without the doorbell.
    pub(crate) fn put(&self, ring: u8, descriptor: Descriptor) {
        let memory = &self.rings[usize::from(ring)];
        let tail = memory.tail.load(Ordering::SeqCst);
        memory.memory.write(u64::from(tail) * DESCRIPTOR_BYTES as u64, &descriptor.to_bytes()).unwrap();
        memory.tail.store((tail + 1) % (1 << ORDER), Ordering::SeqCst);
    }

    pub(crate) fn doorbell(&self, ring: u8) {
        self.write(regs::ring(ring, regs::RING_TAIL), self.rings[usize::from(ring)].tail.load(Ordering::SeqCst));
    }

    /// Sends commands, and a sequence number with an interrupt, which it returns.
    pub(crate) fn submit(&self, ring: u8, context: u8, commands: &[Command]) -> u32 {
        for command in commands {
            self.put(ring, Descriptor::encode(ContextId(context), command));
        }
        let value = self.rings[usize::from(ring)].seqno.fetch_add(1, Ordering::SeqCst) + 1;
        self.put(ring, Descriptor::encode(ContextId(context), &Command::WriteSeqno { value, interrupt: true }));
        self.doorbell(ring);
        value
    }

    /// Waits for a ring to reach a sequence number.
    #[track_caller]
    pub(crate) fn wait(&self, ring: u8, seqno: u32) {
        wait_for("a sequence number", || {
            let status = self.ring(ring, regs::RING_STATUS);
            let fault = self.ring(ring, regs::RING_FAULT);
            assert_eq!(status & ring_status::FAULTED, 0, "ring {ring} faulted: {fault:#x}");
            self.ring(ring, regs::RING_SEQNO).wrapping_sub(seqno) < 1 << 31
        });
    }

    /// Executes work on ring 0 and waits for it.
    #[track_caller]
    pub(crate) fn execute(&self, context: u8, work: Work) {
        let seqno = self.submit(0, context, &[Command::Work(work)]);
        self.wait(0, seqno);
    }

    /// Waits for a ring to fault; returns the code, context and opcode.
    #[track_caller]
    pub(crate) fn wait_fault(&self, ring: u8) -> (u8, u8, u8) {
        wait_for("a fault", || self.ring(ring, regs::RING_STATUS) & ring_status::FAULTED != 0);
        let [code, context, opcode, _] = self.ring(ring, regs::RING_FAULT).to_le_bytes();
        (code, context, opcode)
    }

    /// The address registers of a fault.
    pub(crate) fn fault_address(&self, ring: u8) -> u64 {
        let half = |register| u64::from(self.ring(ring, register));
        half(regs::RING_FAULT_ADDR_LO) | half(regs::RING_FAULT_ADDR_HI) << 32
    }

    /// Resets a ring and waits for it.
    #[track_caller]
    pub(crate) fn reset_ring(&self, ring: u8) {
        self.write(regs::ring(ring, regs::RING_CTRL), ring_ctrl::RESET);
        wait_for("a ring reset", || self.ring(ring, regs::RING_CTRL) & ring_ctrl::RESET == 0);
    }

    /// Resets the device and waits for it.
    #[track_caller]
    pub(crate) fn reset_device(&self) {
        self.write(regs::DEVICE_CTRL, device_ctrl::RESET);
        wait_for("a device reset", || self.read(regs::DEVICE_STATUS) & device_status::RESETTING == 0);
    }

    /// Waits until a ring is executing.
    #[track_caller]
    pub(crate) fn wait_busy(&self, ring: u8) {
        wait_for("a busy ring", || self.ring(ring, regs::RING_STATUS) & ring_status::BUSY != 0);
    }

    /// Gives the function back as a good driver does.
    pub(crate) fn shut_down(&self) {
        if self.card.is_present() {
            self.reset_device();
            self.config.write16(offset::COMMAND, 0).unwrap();
        }
        for ring in &self.rings {
            self.function.dma_unmap(ring.iova).unwrap();
        }
        self.function.irq_disable();
        self.function.release();
    }

    /// Asserts that the driver has made no mistake.
    #[track_caller]
    pub(crate) fn assert_no_violation(&self) {
        assert_eq!(self.card.witness().violations(), []);
    }
}

/// Zeroed host memory.
pub(crate) fn host(bytes: u64) -> Arc<HostMemory> {
    Arc::new(HostMemory::new(bytes).unwrap())
}

/// All of some host memory.
pub(crate) fn bytes_of(memory: &HostMemory) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(memory.size()).unwrap()];
    memory.read(0, &mut bytes).unwrap();
    bytes
}

/// A value as two registers.
pub(crate) fn halves(value: u64) -> [u32; 2] {
    [u32::try_from(value & 0xffff_ffff).unwrap(), u32::try_from(value >> 32).unwrap()]
}

pub(crate) fn va(address: u64) -> GpuVa {
    GpuVa(address)
}
