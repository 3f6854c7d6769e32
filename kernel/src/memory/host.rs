// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A buffer's pages in host memory. They come when they are needed first, and may be given up while nobody needs them. The
//! device's way to them comes when a context maps them first, and ends with the binding; the pages stay.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Full, Release},
        Arc, Mutex,
    },
};

use super::binding::{Borrower, Lending, Note, Stretches};
use crate::glue::{Frame, Pages, Reached, SgTable, Window};

/// See the module documentation.
#[pin_data]
pub(crate) struct Host {
    /// Number of pages.
    count: usize,
    #[pin]
    state: Mutex<State>,
    /// Bytes that are allocated.
    resident: Atomic<usize>,
    /// Those who use the pages and would not find them again: mappings of contexts, jobs, other devices.
    uses: Atomic<i32>,
    /// The contents are not needed.
    spare: Atomic<bool>,
}

#[derive(Default)]
struct State {
    /// Dropped first: it is a way to the pages.
    reached: Option<Reached>,
    pages: Option<Arc<Pages>>,
    /// The contents have been given up, and nobody was told yet.
    given_up: bool,
}

impl Host {
    /// So many pages, which are allocated at the first use.
    pub(super) fn new(count: usize) -> Result<Arc<Self>> {
        Self::of(count, State::default())
    }

    /// Pages that are there.
    pub(super) fn with(pages: Pages) -> Result<Arc<Self>> {
        let count = pages.len();
        let pages = Some(Arc::new(pages, GFP_KERNEL)?);
        Self::of(count, State { pages, ..State::default() })
    }

    fn of(count: usize, state: State) -> Result<Arc<Self>> {
        let resident = Atomic::new(state.pages.as_ref().map_or(0, |pages| pages.bytes()));
        let state = new_mutex!(state, "lifeboat::host");
        let init = pin_init!(Self {
            count,
            state <- state,
            resident,
            uses: Atomic::new(0),
            spare: Atomic::new(false),
        });
        Arc::pin_init(init, GFP_KERNEL)
    }

    fn pages<'a>(&self, state: &'a mut State) -> Result<&'a Arc<Pages>> {
        if state.pages.is_none() {
            let pages = Arc::new(Pages::zeroed(self.count)?, GFP_KERNEL)?;
            self.resident.store(pages.bytes(), Release);
            state.pages = Some(pages);
        }
        state.pages.as_ref().ok_or(ENOMEM)
    }

    /// Allocates the pages now.
    pub(super) fn allocate(&self) -> Result {
        self.pages(&mut self.state.lock()).map(drop)
    }

    /// Calls `insert` with the frame of a page. The page stays what it is until then.
    pub(super) fn with_frame<T>(&self, page: usize, insert: impl FnOnce(Frame) -> T) -> Result<T> {
        let mut state = self.state.lock();
        let frame = self.pages(&mut state)?.frame(page).ok_or(EINVAL)?;
        Ok(insert(frame))
    }

    /// Bytes that are allocated. Takes no lock.
    pub(super) fn resident(&self) -> usize {
        self.resident.load(Acquire)
    }

    /// The memory as the device reaches it. ENODEV if the binding is over.
    pub(super) fn reach(self: &Arc<Self>, lending: &Lending) -> Result<Stretches> {
        let note = Note::new(self.key(), self.clone())?;
        let mut state = self.state.lock();
        let pages = self.pages(&mut state)?.clone();
        if state.reached.is_none() {
            state.reached = Some(lending.lend(note, |lent| lent.reach.map(&pages))?);
        }
        Stretches::of(state.reached.as_ref().ok_or(ENODEV)?.stretches())
    }

    /// The pages as a table for another device's driver, which has [begun](Host::begin_use) to use them.
    pub(super) fn table(&self) -> Result<SgTable> {
        let mut state = self.state.lock();
        SgTable::new(self.pages(&mut state)?)
    }

    /// All pages, for somebody who has [begun](Host::begin_use) to use them.
    pub(super) fn all_pages(&self) -> Result<Arc<Pages>> {
        self.pages(&mut self.state.lock()).cloned()
    }

    pub(super) fn begin_use(&self) {
        self.uses.fetch_add(1, Full);
    }

    pub(super) fn end_use(&self) {
        self.uses.fetch_sub(1, Full);
    }

    /// Gives the pages up if nobody uses them and they are not being handled just now. How many there were. Called while
    /// memory is short: allocates nothing, and waits for nobody.
    pub(super) fn give_up(&self, window: &Window) -> usize {
        let Some(mut state) = self.state.try_lock() else { return 0 };
        // Who begins to use them after this look finds the lock taken, and then no pages.
        if self.uses.load(Acquire) > 0 || state.pages.is_none() {
            return 0;
        }
        window.zap();
        self.resident.store(0, Release);
        *state = State { given_up: true, ..State::default() };
        self.count
    }

    /// Number of pages, allocated or not.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether the contents are not needed. Takes no lock.
    pub(super) fn is_spare(&self) -> bool {
        self.spare.load(Acquire)
    }

    pub(super) fn set_spare(&self, spare: bool) {
        self.spare.store(spare, Release);
    }

    /// Whether the contents are still there. They are asked for, so they are taken for known to be lost from now on.
    pub(super) fn is_retained(&self) -> bool {
        !core::mem::take(&mut self.state.lock().given_up)
    }

    /// Ends the device's way for a buffer that goes before the binding does.
    pub(super) fn leave(&self, lending: &Lending) {
        // In this order: until the way has ended, the end of the binding finds it and waits for the lock of its state.
        self.cut();
        lending.forget(self.key());
    }

    /// What it is known by.
    pub(super) fn key(&self) -> usize {
        core::ptr::from_ref(self) as usize
    }
}

impl Borrower for Host {
    fn cut(&self) {
        self.state.lock().reached = None;
    }
}
