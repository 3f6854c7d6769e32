//! Which addresses the [SIGBUS guard](crate::sigbus) answers for.
//!
//! Windows enter and leave at any moment, and a signal handler looks, possibly on a thread that is in the middle of
//! entering one. So whoever looks takes no lock, allocates nothing and waits for nobody: slots are never freed, and each
//! has a version that says whether it changed meanwhile.

use std::array;
use std::iter;
use std::sync::atomic::{fence, AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::OnceLock;

/// Slots that are allocated at once.
const SLOTS: usize = 64;

/// A set of ranges of addresses; no two overlap.
pub(crate) struct Guarded {
    first: Chunk,
}

struct Chunk {
    slots: [Slot; SLOTS],
    next: OnceLock<Box<Chunk>>,
}

/// Room for one range.
struct Slot {
    taken: AtomicBool,
    /// Odd while the range changes.
    version: AtomicU64,
    base: AtomicUsize,
    bytes: AtomicUsize,
}

/// A range in the set, until it is dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    slot: &'static Slot,
}

impl Guarded {
    pub(crate) const fn new() -> Self {
        Self { first: Chunk { slots: [const { Slot::new() }; SLOTS], next: OnceLock::new() } }
    }

    /// Adds a range. From when this returns until the entry is dropped, [`Guarded::find`] finds it.
    pub(crate) fn enter(&'static self, base: usize, bytes: usize) -> Entry {
        let mut chunk = &self.first;
        loop {
            if let Some(slot) = chunk.slots.iter().find(|slot| slot.take()) {
                slot.set(base, bytes);
                return Entry { slot };
            }
            let another = || Box::new(Chunk { slots: array::from_fn(|_| Slot::new()), next: OnceLock::new() });
            chunk = chunk.next.get_or_init(another);
        }
    }

    /// The range that holds an address: its base and length. For signal handlers: it neither locks, allocates nor waits.
    ///
    /// A range that enters or leaves meanwhile may be missed; one that does not is found, and nothing else ever is.
    pub(crate) fn find(&self, address: usize) -> Option<(usize, usize)> {
        let chunks = iter::successors(Some(&self.first), |chunk| chunk.next.get().map(|next| &**next));
        let mut ranges = chunks.flat_map(|chunk| &chunk.slots).filter_map(Slot::look);
        ranges.find(|(base, bytes)| address.wrapping_sub(*base) < *bytes)
    }
}

impl Slot {
    const fn new() -> Self {
        Self {
            taken: AtomicBool::new(false),
            version: AtomicU64::new(0),
            base: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    fn take(&self) -> bool {
        // Acquire: what the one before wrote here comes before what the next one writes.
        !self.taken.load(Ordering::Relaxed)
            && self.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// For who has taken the slot, and so alone.
    fn set(&self, base: usize, bytes: usize) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        // Whoever sees one of the new values also sees the odd version, with the fence in `look`.
        fence(Ordering::Release);
        self.base.store(base, Ordering::Relaxed);
        between();
        self.bytes.store(bytes, Ordering::Relaxed);
        // Whoever sees the even version also sees both values.
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// Base and length that were here together, or `None` if they changed during the look. Who looks for a range that
    /// he keeps from leaving need not look again: this slot is not the one.
    fn look(&self) -> Option<(usize, usize)> {
        let before = self.version.load(Ordering::Acquire);
        let base = self.base.load(Ordering::Relaxed);
        between();
        let range = (base, self.bytes.load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        let after = self.version.load(Ordering::Relaxed);
        (before == after && before % 2 == 0).then_some(range)
    }
}

/// In tests something happens here that another thread could do at this moment.
fn between() {
    #[cfg(test)]
    if let Some(happens) = tests::BETWEEN.take() {
        happens();
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Slot").field(&self.look()).finish()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.slot.set(0, 0);
        self.slot.taken.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        pub(super) static BETWEEN: Cell<Option<Box<dyn FnOnce()>>> = const { Cell::new(None) };
    }

    fn set() -> &'static Guarded {
        Box::leak(Box::new(Guarded::new()))
    }

    #[test]
    fn what_is_entered_is_found_until_it_leaves_and_nothing_else_is() {
        let set = set();
        let all: Vec<_> =
            (1..=5 * SLOTS).map(|index| (index * 0x1_0000, set.enter(index * 0x1_0000, 0x2000))).collect();
        for (base, _) in &all {
            assert_eq!(set.find(*base), Some((*base, 0x2000)));
            assert_eq!(set.find(base + 0x1fff), Some((*base, 0x2000)));
            assert_eq!((set.find(base - 1), set.find(base + 0x2000)), (None, None));
        }
        let (odd, even): (Vec<_>, Vec<_>) = all.into_iter().partition(|(base, _)| base % 0x2_0000 != 0);
        let odd: Vec<_> = odd.into_iter().map(|(base, _)| base).collect();
        assert!(odd.iter().all(|base| set.find(*base).is_none()));
        assert!(even.iter().all(|(base, _)| set.find(*base).is_some()));
        assert_eq!((set.find(0), set.find(usize::MAX)), (None, None), "free slots hold nothing");
    }

    /// In no range that is ever entered, but in one of the base of a free slot and this length.
    const LONG: (usize, usize) = (0x10_0000, 0x1_0000);
    const NOBODYS: usize = 0x8000;

    #[test]
    fn a_range_that_enters_during_a_look_is_not_found_with_the_base_from_before() {
        let set = set();
        let entry = std::rc::Rc::new(Cell::new(None));
        let enters = entry.clone();
        BETWEEN.set(Some(Box::new(move || enters.set(Some(set.enter(LONG.0, LONG.1))))));
        assert_eq!(set.find(NOBODYS), None);
        assert!(entry.take().is_some(), "it did enter meanwhile");
    }

    #[test]
    fn a_range_that_is_about_to_leave_is_not_found_with_half_of_what_comes_after() {
        let set = set();
        let (leaves, stays) = (set.enter(LONG.0, LONG.1), set.enter(0x100_0000, 0x1000));
        let looked = std::rc::Rc::new(Cell::new(false));
        let looks = looked.clone();
        BETWEEN.set(Some(Box::new(move || {
            assert_eq!(set.find(NOBODYS), None);
            assert_eq!(set.find(0x100_0fff), Some((0x100_0000, 0x1000)), "what stays is always found");
            looks.set(true);
        })));
        drop(leaves);
        assert!(looked.get());
        assert_eq!(set.find(LONG.0), None);
        drop(stays);
    }
}
