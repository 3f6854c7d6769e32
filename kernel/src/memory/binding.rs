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

use crate::glue::{Aperture, Reach, Stretch};

/// The place of what is lent, which is empty once the binding has ended.
#[pin_data]
pub(crate) struct Lending {
    #[pin]
    lent: Mutex<Option<Lent>>,
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
            let lent = Lent {
                reach: Arc::new(Reach::new(function.as_ref()), GFP_KERNEL)?,
                aperture,
                borrowers: RBTree::new(),
            };
            Ok(try_pin_init!(Self { lent <- new_mutex!(Some(lent), "lifeboat::lent") }? Error))
        })
    }

    /// Lends something, and takes a note of the borrower. ENODEV once the binding has ended.
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

/// Memory as the device reaches it, in as few contiguous stretches as there are.
pub(crate) struct Stretches(KVec<Stretch>);

impl Stretches {
    pub(super) fn of(all: impl Iterator<Item = Stretch>) -> Result<Self> {
        let mut stretches = KVec::<Stretch>::new();
        for next in all {
            match stretches.last_mut() {
                Some(last) if last.iova.0 + last.bytes == next.iova.0 => last.bytes += next.bytes,
                _ => stretches.push(next, GFP_KERNEL)?,
            }
        }
        Ok(Self(stretches))
    }

    /// A part of it.
    pub(crate) fn part(&self, offset: u64, bytes: u64) -> impl Iterator<Item = Stretch> + '_ {
        let mut skip = offset;
        let mut left = bytes;
        self.0.iter().filter_map(move |stretch| {
            let skipped = skip.min(stretch.bytes);
            skip -= skipped;
            let bytes = (stretch.bytes - skipped).min(left);
            left -= bytes;
            (bytes > 0).then(|| Stretch { iova: Iova(stretch.iova.0 + skipped), bytes })
        })
    }
}
