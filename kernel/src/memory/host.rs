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
use super::unit::UNIT_ORDER;
use crate::glue::{Frame, Pages, Reached, SgTable, Window};

/// See the module documentation.
#[pin_data]
pub(crate) struct Host {
    /// Number of pages.
    count: usize,
    #[pin]
    state: Mutex<State>,
    /// The device's way to the pages. The end of the binding waits for the lock, so nothing is allocated under it.
    #[pin]
    reached: Mutex<Option<Reached>>,
    /// Bytes that are allocated.
    resident: Atomic<usize>,
    /// Those who use the pages and would not find them again: mappings of contexts, jobs, other devices.
    uses: Atomic<i32>,
    /// The contents are not needed.
    spare: Atomic<bool>,
}

#[derive(Default)]
struct State {
    pages: Option<Arc<Pages>>,
    /// A page that users see in every place if the device is lost and the pages are not to be had: a touch of their maps
    /// completes all the same (MAP-1). It is this buffer's own, since what they write there is only for those who share it.
    dummy: Option<Pages>,
    /// The contents have been given up, and nobody was told yet.
    given_up: bool,
}

impl Host {
    /// So many pages, which are allocated at the first use.
    pub(super) fn new(count: usize) -> Result<Arc<Self>> {
        let init = pin_init!(Self {
            count,
            state <- new_mutex!(State::default(), "lifeboat::host"),
            reached <- new_mutex!(None, "lifeboat::reached"),
            resident: Atomic::new(0),
            uses: Atomic::new(0),
            spare: Atomic::new(false),
        });
        Arc::pin_init(init, GFP_KERNEL)
    }

    fn pages<'a>(&self, state: &'a mut State) -> Result<&'a Arc<Pages>> {
        if state.pages.is_none() {
            let pages = Arc::new(Pages::zeroed(self.count, UNIT_ORDER)?, GFP_KERNEL)?;
            self.resident.store(pages.bytes(), Release);
            state.pages = Some(pages);
        }
        state.pages.as_ref().ok_or(ENOMEM)
    }

    /// Allocates the pages now.
    pub(super) fn allocate(&self) -> Result {
        self.pages(&mut self.state.lock()).map(drop)
    }

    /// Takes pages that are there, before anybody knows the buffer.
    pub(super) fn set_pages(&self, pages: Pages) -> Result {
        let pages = Arc::new(pages, GFP_KERNEL)?;
        self.resident.store(pages.bytes(), Release);
        self.state.lock().pages = Some(pages);
        Ok(())
    }

    /// For a buffer that may be without its pages later: sets the page aside that takes their place after a loss.
    pub(super) fn set_dummy_aside(&self) -> Result {
        let mut state = self.state.lock();
        if state.dummy.is_none() {
            state.dummy = Some(Pages::zeroed(1, 0)?);
        }
        Ok(())
    }

    /// Calls `insert` with the frame of a page. The page stays what it is until then. ENOMEM if the pages are not to be had
    /// and the device is not lost.
    pub(super) fn with_frame<T>(
        &self,
        page: usize,
        is_lost: impl FnOnce() -> bool,
        insert: impl FnOnce(Frame) -> T,
    ) -> Result<T> {
        let mut state = self.state.lock();
        let frame = match self.pages(&mut state) {
            Ok(pages) => pages.frame(page).ok_or(EINVAL)?,
            Err(error) if error == ENOMEM && is_lost() => {
                state.dummy.as_ref().and_then(|dummy| dummy.frame(0)).ok_or(ENOMEM)?
            }
            Err(error) => return Err(error),
        };
        Ok(insert(frame))
    }

    /// Whether the pages are still those that their program has from an address on. Call it with no lock held.
    pub(super) fn is_still_at(&self, address: usize) -> Result<bool> {
        let pages = self.state.lock().pages.clone();
        pages.map_or(Ok(false), |pages| pages.is_still_at(address))
    }

    /// Bytes that are allocated. Takes no lock.
    pub(super) fn resident(&self) -> usize {
        self.resident.load(Acquire)
    }

    /// A part of the memory as the device reaches it, for somebody who has [begun](Host::begin_use) to use it. Call it in no
    /// section of the gate: an unplug must not wait for an allocation. ENODEV if the binding is over, ENOSPC for too many
    /// stretches.
    pub(super) fn reach(self: &Arc<Self>, lending: &Lending, offset: u64, bytes: u64) -> Result<Stretches> {
        let (note, room) = (Note::new(self.key(), self.clone())?, Stretches::new()?);
        let mut state = self.state.lock();
        let pages = self.pages(&mut state)?;
        // A way that is there ends only with the binding.
        let list = if self.reached.lock().is_none() { Some(lending.list(pages)?) } else { None };
        let mut reached = self.reached.lock();
        if reached.is_none() {
            let list = list.ok_or(ENODEV)?;
            *reached = Some(lending.lend(note, |lent| lent.reach.map(list))?);
        }
        room.part(reached.as_ref().ok_or(ENODEV)?.stretches(), offset, bytes)
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
        let Some(mut reached) = self.reached.try_lock() else { return 0 };
        // Who begins to use them after this look finds the lock taken, and then no pages.
        if self.uses.load(Acquire) > 0 || state.pages.is_none() {
            return 0;
        }
        window.zap();
        self.resident.store(0, Release);
        // In this order: it is a way to the pages.
        *reached = None;
        state.pages = None;
        state.given_up = true;
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
        // In this order: until the way has ended, the end of the binding finds it and waits for its lock.
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
        *self.reached.lock() = None;
    }
}
