// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What a binding lends the device's buffers: ways for DMA to host memory, and for the processor to video memory. It takes
//! both back when it ends, whoever still has buffers.

use kernel::{
    device::Bound,
    new_mutex, pci,
    prelude::*,
    rbtree::{RBTree, RBTreeNode},
    sync::{Arc, Mutex},
};
use lifeboat_driver::gpu::Vram;
use lifeboat_pci::Iova;

use super::unit::UNIT;
use crate::glue::{Aperture, PageList, Pages, Reach, Stretch};

/// The place of what is lent, which is empty once the binding has ended.
#[pin_data]
pub(crate) struct Lending {
    #[pin]
    lent: Mutex<Option<Lent>>,
    /// The most bytes of an entry in a list for the device.
    longest: usize,
}

/// What is lent.
pub(super) struct Lent {
    /// Not to be kept longer than a borrower's lock that the end waits for.
    pub(super) reach: Arc<Reach>,
    aperture: Option<Arc<Aperture>>,
    borrowers: RBTree<usize, Arc<dyn Borrower>>,
}

/// Something that the device reaches until it is cut.
pub(super) trait Borrower: Send + Sync {
    /// Ends the device's way to it.
    fn cut(&self);
}

/// Room for the name of a borrower.
pub(super) struct Note(RBTreeNode<usize, Arc<dyn Borrower>>);

impl Note {
    pub(super) fn new(key: usize, borrower: Arc<dyn Borrower>) -> Result<Self> {
        RBTreeNode::new(key, borrower, GFP_KERNEL).map(Self)
    }
}

impl Lending {
    pub(super) fn new<'a>(function: &'a pci::Device<Bound>, vram: Option<Vram>) -> impl PinInit<Self, Error> + 'a {
        pin_init::pin_init_scope(move || {
            let aperture = match vram {
                Some(Vram { bar, bytes }) => Aperture::new(function, bar, bytes)?,
                None => None,
            };
            let aperture = aperture.map(|aperture| Arc::new(aperture, GFP_KERNEL)).transpose()?;
            let reach = Arc::new(Reach::new(function.as_ref()), GFP_KERNEL)?;
            // Whole units, lest an entry end within a page of the device.
            let longest = reach.longest() & !(UNIT as usize - 1);
            let lent = Lent { reach, aperture, borrowers: RBTree::new() };
            Ok(try_pin_init!(Self { lent <- new_mutex!(Some(lent), "lifeboat::lent"), longest }? Error))
        })
    }

    /// A list of pages that can be lent.
    pub(super) fn list(&self, pages: &Arc<Pages>) -> Result<PageList> {
        PageList::new(pages, self.longest)
    }

    /// Lends something, and takes a note of the borrower. The end of the binding waits until `lend` has returned: it should
    /// allocate nothing. ENODEV once the binding has ended.
    pub(super) fn lend<T>(&self, note: Note, lend: impl FnOnce(&Lent) -> Result<T>) -> Result<T> {
        let mut place = self.lent.lock();
        let lent = (*place).as_mut().ok_or(ENODEV)?;
        let borrowed = lend(lent)?;
        let before = lent.borrowers.insert(note.0);
        drop(place);
        // A borrower that was not forgotten after it had given everything back.
        drop(before);
        Ok(borrowed)
    }

    /// Forgets a borrower that has given back everything.
    pub(super) fn forget(&self, key: usize) {
        let note = (*self.lent.lock()).as_mut().and_then(|lent| lent.borrowers.remove_node(&key));
        drop(note);
    }

    /// The way to video memory. Not to be kept beyond a section of the gate.
    pub(super) fn aperture(&self) -> Result<Arc<Aperture>> {
        self.lent.lock().as_ref().ok_or(ENODEV)?.aperture.clone().ok_or(ENOSPC)
    }

    /// Ends every way. Those that give back meanwhile are waited for.
    pub(super) fn end(&self) {
        let Some(lent) = self.lent.lock().take() else { return };
        for borrower in lent.borrowers.values() {
            borrower.cut();
        }
    }
}

/// A part of a buffer's memory as the device reaches it, in as few contiguous stretches as there are.
pub(crate) struct Stretches(KVec<Stretch>);

impl Stretches {
    /// Room for as many stretches as any context has segments, and none yet.
    pub(super) fn new() -> Result<Self> {
        Ok(Self(KVec::with_capacity(u8::MAX.into(), GFP_KERNEL)?))
    }

    /// The part of the memory that is in `all`. Allocates nothing, so that it can be called under a lock that the end of the
    /// binding waits for. ENOSPC for more stretches than there is room for.
    pub(super) fn part(mut self, all: impl Iterator<Item = Stretch>, offset: u64, bytes: u64) -> Result<Self> {
        let (mut skip, mut left) = (offset, bytes);
        for stretch in all {
            let skipped = skip.min(stretch.bytes);
            skip -= skipped;
            let bytes = (stretch.bytes - skipped).min(left);
            left -= bytes;
            if bytes == 0 {
                continue;
            }
            let next = Stretch { iova: Iova(stretch.iova.0 + skipped), bytes };
            match self.0.last_mut() {
                Some(last) if last.iova.0 + last.bytes == next.iova.0 => last.bytes += next.bytes,
                _ => self.0.push_within_capacity(next).map_err(|_| ENOSPC)?,
            }
            if left == 0 {
                break;
            }
        }
        Ok(self)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Stretch> + '_ {
        self.0.iter().copied()
    }
}
