//! A GPU that is no LB1: pages of 16 KiB, no video memory, no screen, one ring, completions in host
//! memory.
//!
//! An entry of the ring has 32 bytes: operation, context, address (64 bits), length, value, number.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use lifeboat_pci::Iova;
use lifeboat_pci_model::{Model, Upstream};
use parking_lot::Mutex;

pub(crate) const PAGE: u64 = 16 << 10;
pub(crate) const ENTRY_BYTES: u32 = 32;

/// Registers, as offsets in BAR 0.
pub(crate) mod regs {
    pub(crate) const ID: u64 = 0x00;
    pub(crate) const ID_VALUE: u32 = 0x0200_7e57;
    /// Reads as what was written, inverted.
    pub(crate) const LIVENESS: u64 = 0x04;
    /// A ring that is switched off forgets where it is.
    pub(crate) const ON: u64 = 0x08;
    /// Pending, and acknowledged by a write.
    pub(crate) const DONE: u64 = 0x0c;
    /// Where the ring is (64 bits), how many entries it has, and where its completions are written.
    pub(crate) const BASE: u64 = 0x10;
    pub(crate) const ENTRIES: u64 = 0x18;
    pub(crate) const REPORT: u64 = 0x20;
    pub(crate) const HEAD: u64 = 0x28;
    pub(crate) const TAIL: u64 = 0x2c;
    /// A segment: first page, pages, memory (64 bits); put into effect by its place, context and slot.
    pub(crate) const VA_PAGE: u64 = 0x30;
    pub(crate) const PAGES: u64 = 0x34;
    pub(crate) const TARGET: u64 = 0x38;
    pub(crate) const SET: u64 = 0x40;
    pub(crate) const CLEAR: u64 = 0x44;
}

pub(crate) mod op {
    pub(crate) const FILL: u32 = 1;
    pub(crate) const HANG: u32 = 2;
    pub(crate) const REPORT: u32 = 3;
}

#[derive(Default)]
pub(crate) struct Second {
    state: Mutex<ModelState>,
    /// Its interrupts get lost.
    pub(crate) is_mute: AtomicBool,
}

#[derive(Default)]
struct ModelState {
    words: HashMap<u64, u32>,
    segments: HashMap<u32, Segment>,
    head: u32,
    hangs: bool,
    done: bool,
}

#[derive(Clone, Copy)]
struct Segment {
    va: u64,
    bytes: u64,
    target: u64,
}

impl ModelState {
    fn word(&self, register: u64) -> u32 {
        self.words.get(&register).copied().unwrap_or(0)
    }

    fn pair(&self, register: u64) -> u64 {
        u64::from(self.word(register)) | u64::from(self.word(register + 4)) << 32
    }

    /// Runs what is in the ring. Says whether something was reported.
    fn run(&mut self, upstream: &Upstream<'_>) -> bool {
        let mut reported = false;
        while self.word(regs::ON) == 1 && !self.hangs && self.head != self.word(regs::TAIL) {
            let mut entry = [0; ENTRY_BYTES as usize];
            let at = self.pair(regs::BASE) + u64::from(self.head * ENTRY_BYTES);
            if !upstream.read(Iova(at), &mut entry) {
                break;
            }
            let word = |index: usize| u32::from_le_bytes(entry[index * 4..][..4].try_into().unwrap());
            let va = u64::from(word(2)) | u64::from(word(3)) << 32;
            match word(0) {
                op::FILL => self.fill(word(1), va, word(4), word(5), upstream),
                op::HANG => {
                    self.hangs = true;
                    break;
                }
                _ => {
                    upstream.write(Iova(self.pair(regs::REPORT)), &word(6).to_le_bytes());
                    reported = true;
                }
            }
            self.head = (self.head + 1) % self.word(regs::ENTRIES);
        }
        self.done |= reported;
        reported
    }

    fn fill(&self, context: u32, va: u64, bytes: u32, value: u32, upstream: &Upstream<'_>) {
        let holds = |segment: &&Segment| (segment.va..segment.va + segment.bytes).contains(&va);
        let mine = self.segments.iter().filter(|(place, _)| *place >> 8 == context).map(|(_, segment)| segment);
        let Some(segment) = mine.into_iter().find(holds) else { return };
        let bytes = vec![value.to_le_bytes()[0]; bytes as usize];
        upstream.write(Iova(segment.target + (va - segment.va)), &bytes);
    }
}

impl Model for Second {
    fn read(&self, register: u64) -> u32 {
        let state = self.state.lock();
        match register {
            regs::ID => regs::ID_VALUE,
            regs::LIVENESS => !state.word(register),
            regs::DONE => state.done.into(),
            regs::HEAD => state.head,
            _ => state.word(register),
        }
    }

    fn write(&self, register: u64, value: u32, upstream: &Upstream<'_>) {
        let mut state = self.state.lock();
        state.words.insert(register, value);
        match register {
            regs::ON if value == 0 => {
                state.words.insert(regs::TAIL, 0);
                (state.head, state.hangs, state.done) = (0, false, false);
            }
            regs::DONE => state.done = false,
            regs::SET => {
                let (page, pages) = (state.word(regs::VA_PAGE), state.word(regs::PAGES));
                let (va, bytes) = (u64::from(page) * PAGE, u64::from(pages) * PAGE);
                let target = state.pair(regs::TARGET);
                state.segments.insert(value, Segment { va, bytes, target });
            }
            regs::CLEAR => {
                state.segments.remove(&value);
            }
            regs::TAIL => {
                let reported = state.run(upstream);
                drop(state);
                if reported && !self.is_mute.load(SeqCst) {
                    upstream.interrupt();
                }
            }
            _ => {}
        }
    }
}
