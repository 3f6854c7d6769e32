//! A machine with the served card in it: `vfio_user`'s own client, memory, and a tiny driver written from docs/lb1.md.
#![allow(dead_code)] // every test file uses its own part
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lifeboat_gpu::Config;
use lifeboat_gpu_server::control::{self, Reply, Request, Status};
use lifeboat_gpu_server::{Options, Server};
use lifeboat_lb1::command::{Command, ContextId, DESCRIPTOR_BYTES, Descriptor, Fill, GpuVa, Work};
use lifeboat_lb1::regs::{self, device_ctrl, ring_ctrl, ring_status, segment};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use tempfile::TempDir;
use vfio_bindings::bindings::vfio::{VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD};
use vfio_user::Client;

/// How long anything may take. Generous: it is reached only when something is broken.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) const BAR0: u32 = 0;
pub(crate) const BAR2: u32 = 2;
pub(crate) const CONFIG: u32 = 7;
pub(crate) const MSI: u32 = 1;

/// VRAM of the cards here: no power of two, so that its BAR is larger.
pub(crate) const VRAM: u64 = 3 << 20;
/// Where the machine's memory lies on the bus, and how large it is.
pub(crate) const MEMORY: u64 = 0x1_0000_0000;
pub(crate) const MEMORY_BYTES: u64 = 1 << 20;
/// The ring is in the first page; what jobs write, here.
pub(crate) const BUFFER: u64 = 0x8000;
/// Where context 1 sees the buffer.
pub(crate) const BUFFER_VA: u64 = 0x7000_0000;

pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < TIMEOUT, "timed out waiting for {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// A server in a folder of its own.
pub(crate) struct Host {
    pub(crate) server: Server,
    pub(crate) socket: PathBuf,
    pub(crate) control_path: PathBuf,
    pub(crate) control: control::Client,
    _folder: TempDir,
}

impl Host {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (socket, control_path) = (folder.path().join("gpu"), folder.path().join("gpu.ctl"));
        let config = Config { vram_bytes: VRAM, ..Config::default() };
        let options = Options { socket: socket.clone(), control: control_path.clone(), config };
        let server = Server::start(&options).unwrap();
        let control = control::Client::connect(&control_path, TIMEOUT).unwrap();
        Self { server, socket, control_path, control, _folder: folder }
    }

    pub(crate) fn call(&self, request: Request) {
        assert_eq!(self.control.call(&request).unwrap(), Reply::Done);
    }

    pub(crate) fn inject(&self, fault: control::Fault) {
        self.call(Request::Inject { fault, at: None });
    }

    pub(crate) fn status(&self) -> Status {
        match self.control.call(&Request::Status).unwrap() {
            Reply::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        match self.control.call(&Request::Witness).unwrap() {
            Reply::Witness(report) => {
                assert_eq!(report.count, report.violations.len() as u64);
                report.violations
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A client with memory, and a driver's half of the card.
pub(crate) struct Machine {
    pub(crate) client: Client,
    pub(crate) memory: File,
    pub(crate) eventfds: Vec<File>,
    tail: u32,
    seqno: u32,
}

pub(crate) fn memfd(bytes: u64) -> File {
    let file = File::from(memfd_create("machine", MemfdFlags::CLOEXEC).unwrap());
    file.set_len(bytes).unwrap();
    file
}

impl Machine {
    /// A machine whose memory is mapped, with a card that nobody has touched.
    pub(crate) fn cold(socket: &Path) -> Self {
        let mut client = Client::new(socket).unwrap();
        let memory = memfd(MEMORY_BYTES);
        client.dma_map(0, MEMORY, MEMORY_BYTES, memory.as_raw_fd()).unwrap();
        Self { client, memory, eventfds: Vec::new(), tail: 0, seqno: 0 }
    }

    /// A machine whose card is up, with the buffer in context 1.
    pub(crate) fn new(socket: &Path) -> Self {
        let mut machine = Self::cold(socket);
        machine.bring_up();
        machine
    }

    pub(crate) fn bring_up(&mut self) {
        (self.tail, self.seqno) = (0, 0);
        self.config_write(4, &[6, 0]);
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        self.eventfds = (0..4).map(|_| File::from(eventfd(0, flags).unwrap())).collect();
        let fds: Vec<_> = self.eventfds.iter().map(AsRawFd::as_raw_fd).collect();
        let flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
        self.client.set_irqs(MSI, flags, 0, 4, &fds).unwrap();
        self.config_write(0x82, &[2 << 4 | 1]);
        self.write(regs::IRQ_MASK, regs::irq::ALL);
        self.write(regs::DEVICE_CTRL, device_ctrl::ENABLE);
        self.enable_ring();
        self.map_segment(MEMORY + BUFFER, 16);
    }

    pub(crate) fn enable_ring(&mut self) {
        self.write(regs::ring(0, regs::RING_BASE_LO), low(MEMORY));
        self.write(regs::ring(0, regs::RING_BASE_HI), high(MEMORY));
        self.write(regs::ring(0, regs::RING_ORDER), 6);
        self.write(regs::ring(0, regs::RING_CTRL), ring_ctrl::ENABLE);
        self.tail = 0;
    }

    /// Lets context 1 reach pages at a bus address.
    pub(crate) fn map_segment(&mut self, target: u64, pages: u32) {
        let mut field = |field, value| self.write(regs::segment_field(1, 0, field), value);
        field(regs::SEG_FLAGS, 0);
        field(regs::SEG_VA_LO, low(BUFFER_VA));
        field(regs::SEG_VA_HI, high(BUFFER_VA));
        field(regs::SEG_PAGES, pages);
        field(regs::SEG_TARGET_LO, low(target));
        field(regs::SEG_TARGET_HI, high(target));
        field(regs::SEG_FLAGS, segment::VALID | segment::WRITABLE | segment::HOST);
    }

    pub(crate) fn read(&mut self, register: u64) -> u32 {
        let mut bytes = [0; 4];
        self.client.region_read(BAR0, register, &mut bytes).unwrap();
        u32::from_le_bytes(bytes)
    }

    pub(crate) fn write(&mut self, register: u64, value: u32) {
        self.client.region_write(BAR0, register, &value.to_le_bytes()).unwrap();
    }

    pub(crate) fn config_read(&mut self, offset: u64) -> u32 {
        let mut bytes = [0; 4];
        self.client.region_read(CONFIG, offset, &mut bytes).unwrap();
        u32::from_le_bytes(bytes)
    }

    pub(crate) fn config_write(&mut self, offset: u64, bytes: &[u8]) {
        self.client.region_write(CONFIG, offset, bytes).unwrap();
    }

    pub(crate) fn vram(&mut self, offset: u64) -> u32 {
        let mut bytes = [0; 4];
        self.client.region_read(BAR2, offset, &mut bytes).unwrap();
        u32::from_le_bytes(bytes)
    }

    pub(crate) fn memory(&self, offset: u64, bytes: usize) -> Vec<u8> {
        let mut data = vec![0; bytes];
        self.memory.read_exact_at(&mut data, offset).unwrap();
        data
    }

    /// Sends a fill of context 1's buffer, and its sequence number.
    pub(crate) fn submit_fill(&mut self, offset: u64, bytes: u64, pattern: u32) -> u32 {
        self.submit(&[Command::Work(Work::Fill(Fill { dst: GpuVa(BUFFER_VA + offset), bytes, pattern }))])
    }

    /// Sends commands of context 1, and a sequence number with an interrupt, which it returns.
    pub(crate) fn submit(&mut self, commands: &[Command]) -> u32 {
        self.seqno += 1;
        let value = self.seqno;
        for command in commands.iter().chain(&[Command::WriteSeqno { value, interrupt: true }]) {
            let descriptor = Descriptor::encode(ContextId(1), command).to_bytes();
            self.memory.write_all_at(&descriptor, u64::from(self.tail) * DESCRIPTOR_BYTES as u64).unwrap();
            self.tail = (self.tail + 1) % 64;
        }
        let tail = self.tail;
        self.write(regs::ring(0, regs::RING_TAIL), tail);
        value
    }

    pub(crate) fn ring(&mut self, register: u64) -> u32 {
        self.read(regs::ring(0, register))
    }

    #[track_caller]
    pub(crate) fn wait(&mut self, seqno: u32) {
        wait_for("a sequence number", || {
            let fault = self.ring(regs::RING_FAULT);
            assert_eq!(self.ring(regs::RING_STATUS) & ring_status::FAULTED, 0, "the ring faulted: {fault:#x}");
            self.ring(regs::RING_SEQNO) == seqno
        });
    }

    #[track_caller]
    pub(crate) fn fill(&mut self, offset: u64, bytes: u64, pattern: u32) {
        let seqno = self.submit_fill(offset, bytes, pattern);
        self.wait(seqno);
    }

    #[track_caller]
    pub(crate) fn wait_fault(&mut self) -> u8 {
        wait_for("a fault", || self.ring(regs::RING_STATUS) & ring_status::FAULTED != 0);
        self.ring(regs::RING_FAULT).to_le_bytes()[0]
    }

    /// Takes a vector's signal; waits for it no longer than `limit`.
    pub(crate) fn interrupt(&mut self, vector: usize, limit: Duration) -> bool {
        let mut eventfd = &self.eventfds[vector];
        let limit = Timespec::try_from(limit).unwrap();
        let ready = poll(&mut [PollFd::new(eventfd, PollFlags::IN)], Some(&limit)).unwrap();
        ready == 1 && eventfd.read_exact(&mut [0; 8]).is_ok()
    }
}

pub(crate) fn low(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap()
}

pub(crate) fn high(value: u64) -> u32 {
    u32::try_from(value >> 32).unwrap()
}
