// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Pages of host memory that a device can be given, and that users can map.

use core::ptr::NonNull;

use kernel::{
    bindings,
    error::to_result,
    ffi::{c_int, c_uint, c_ulong},
    mm::Mm,
    page::PAGE_SIZE,
    prelude::*,
    sync::aref::ARef,
};

use super::shim;

/// The largest power of two of pages that is asked for in one piece: larger ones are not to be had.
const MOST_ORDER: u32 = 10;

/// Pages that are compared in one piece: as many pointers as the stack has room for.
const AT_ONCE: usize = 64;

const RETRY_MAYFAIL: bindings::gfp_t = 1 << bindings::___GFP_RETRY_MAYFAIL_BIT;
const NORETRY: bindings::gfp_t = 1 << bindings::___GFP_NORETRY_BIT;
const ZEROED: bindings::gfp_t =
    bindings::GFP_KERNEL_ACCOUNT | bindings::__GFP_ZERO | bindings::__GFP_HIGHMEM | bindings::__GFP_NOWARN;

/// Number of a page of physical memory, in RAM or in a BAR.
#[derive(Clone, Copy)]
pub(crate) struct Frame(pub(super) c_ulong);

impl Frame {
    /// The frame so many pages further on.
    pub(crate) fn plus(self, pages: usize) -> Self {
        Self(self.0 + pages as c_ulong)
    }
}

/// Pages that stay where they are until this is dropped.
pub(crate) struct Pages {
    pages: KVVec<NonNull<bindings::page>>,
    origin: Origin,
}

/// Where pages are from.
enum Origin {
    /// They were allocated, in as few contiguous stretches as could be had, and are nobody else's.
    Allocated,
    /// They are a program's, and counted among the pages that it has locked.
    Pinned { of: ARef<Mm>, writable: bool },
}

// SAFETY: pages may be used and freed by any thread.
unsafe impl Send for Pages {}
// SAFETY: a shared reference only tells where the pages are.
unsafe impl Sync for Pages {}

impl Pages {
    /// Allocates so many zeroed pages, each 2^`least` of them in one piece; `count` is a multiple of that. ENOMEM, rather than
    /// that another process is killed for its memory; EINTR if the caller is being killed.
    pub(crate) fn zeroed(count: usize, least: u32) -> Result<Self> {
        if count > all_pages() {
            return Err(ENOMEM);
        }
        let mut pages = Self { pages: KVVec::with_capacity(count, GFP_KERNEL)?, origin: Origin::Allocated };
        let mut order = MOST_ORDER.max(least);
        while pages.pages.len() < count {
            // SAFETY: it only looks at the current task.
            if unsafe { shim::lifeboat_shim_is_being_killed() } {
                return Err(EINTR);
            }
            order = order.min((count - pages.pages.len()).ilog2());
            let patience = if order > least { NORETRY } else { RETRY_MAYFAIL };
            // SAFETY: any flags and any order may be asked for.
            let first = unsafe { bindings::alloc_pages(ZEROED | patience, order) };
            let Some(first) = NonNull::new(first) else {
                if order <= least {
                    return Err(ENOMEM);
                }
                order -= 1;
                continue;
            };
            if order > 0 {
                // SAFETY: the pages were just allocated, by this order and not as a compound page.
                unsafe { bindings::split_page(first.as_ptr(), order) };
            }
            for index in 0..1 << order {
                // SAFETY: the `struct page`s of an allocation are an array.
                let page = unsafe { first.add(index) };
                // There is room for `count` pages, so it cannot fail.
                let _ = pages.pages.push(page, GFP_KERNEL);
            }
        }
        Ok(pages)
    }

    /// Pins the caller's pages from `address` on. EFAULT if there are none, or none that may be written where they are to be;
    /// ENOMEM beyond the caller's limit of locked memory.
    pub(crate) fn pinned(address: usize, count: usize, writable: bool) -> Result<Self> {
        let current = kernel::current!();
        let of: &Mm = current.mm().ok_or(EFAULT)?;
        let counted = c_ulong::try_from(count)?;
        // First, since the caller's limit bounds what is allocated for the list as well.
        // SAFETY: the address space is the caller's.
        to_result(unsafe { bindings::account_locked_vm(of.as_raw(), counted, true) })?;
        let Ok(all) = KVVec::with_capacity(count, GFP_KERNEL) else {
            // SAFETY: as above; what was counted a moment ago is not any more.
            unsafe { bindings::account_locked_vm(of.as_raw(), counted, false) };
            return Err(ENOMEM);
        };
        let mut pages = Self { pages: all, origin: Origin::Pinned { of: of.into(), writable } };
        while pages.pages.len() < count {
            let (done, room) = (pages.pages.len(), pages.pages.spare_capacity_mut());
            let asked = c_int::try_from((count - done).min(room.len())).unwrap_or(c_int::MAX);
            let start = (address + done * PAGE_SIZE) as c_ulong;
            // SAFETY: there is room for so many pointers, which are not null.
            let pinned =
                unsafe { bindings::pin_user_pages_fast(start, asked, pin_flags(writable), room.as_mut_ptr().cast()) };
            if pinned <= 0 {
                // The drop of `pages` unpins what was pinned; the rest is taken off the count here.
                // SAFETY: as above.
                unsafe { bindings::account_locked_vm(of.as_raw(), counted - done as c_ulong, false) };
                return Err(if pinned == 0 { EFAULT } else { Error::from_errno(pinned) });
            }
            // SAFETY: the call has filled in so many.
            unsafe { pages.pages.inc_len(pinned as usize) };
        }
        Ok(pages)
    }

    /// Whether pinned pages are still what their program has from `address` on. `false` if it has ended. Call it with no lock
    /// held. ENOMEM, EINTR.
    pub(crate) fn is_still_at(&self, address: usize) -> Result<bool> {
        let Origin::Pinned { of, writable } = &self.origin else { return Ok(false) };
        let Some(space) = of.mmget_not_zero() else { return Ok(false) };
        let mut found = [core::ptr::null_mut(); AT_ONCE];
        let mut done = 0;
        while done < self.len() {
            let asked = AT_ONCE.min(self.len() - done);
            let start = (address + done * PAGE_SIZE) as c_ulong;
            let locked = space.mmap_read_lock();
            // SAFETY: the address space is locked, and there is room for so many pointers.
            let pinned = unsafe {
                bindings::pin_user_pages_remote(
                    space.as_raw(),
                    start,
                    asked as c_ulong,
                    pin_flags(*writable),
                    found.as_mut_ptr(),
                    core::ptr::null_mut(),
                )
            };
            drop(locked);
            let pinned = match pinned {
                pinned if pinned > 0 => pinned as usize,
                pinned if pinned == 0 || pinned as c_int == EFAULT.to_errno() => return Ok(false),
                error => return Err(Error::from_errno(error as c_int)),
            };
            let same = found.iter().zip(&self.pages[done..]).take(pinned).all(|(found, page)| *found == page.as_ptr());
            // SAFETY: so many were pinned a moment ago.
            unsafe { bindings::unpin_user_pages(found.as_mut_ptr(), pinned as c_ulong) };
            if !same {
                return Ok(false);
            }
            done += pinned;
        }
        Ok(true)
    }

    /// Whether a device may write to them.
    pub(crate) fn is_writable(&self) -> bool {
        !matches!(self.origin, Origin::Pinned { writable: false, .. })
    }

    pub(crate) fn len(&self) -> usize {
        self.pages.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.pages.len() * PAGE_SIZE
    }

    /// Where a page is. `None` past the end.
    pub(crate) fn frame(&self, index: usize) -> Option<Frame> {
        let page = self.pages.get(index)?;
        // SAFETY: the page stays as long as `self`.
        Some(Frame(unsafe { shim::lifeboat_shim_page_frame(page.as_ptr()) }))
    }

    /// All pages as an array that C functions read.
    pub(super) fn as_array(&self) -> *mut *mut bindings::page {
        // `NonNull` has the layout of a pointer.
        self.pages.as_ptr().cast_mut().cast()
    }
}

/// How a program's pages are pinned: for longer than a call.
fn pin_flags(writable: bool) -> c_uint {
    bindings::FOLL_LONGTERM | if writable { bindings::FOLL_WRITE } else { 0 }
}

/// Pages of memory that the kernel manages, taken or not.
fn all_pages() -> usize {
    let mut memory = bindings::sysinfo::default();
    // SAFETY: it fills the structure in.
    unsafe { bindings::si_meminfo(&mut memory) };
    memory.totalram as usize
}

impl Drop for Pages {
    fn drop(&mut self) {
        match &self.origin {
            Origin::Allocated => {
                for page in &self.pages {
                    // SAFETY: each page is owned by `self`, and was split from its neighbours.
                    unsafe { bindings::__free_pages(page.as_ptr(), 0) };
                }
            }
            Origin::Pinned { of, writable } => {
                let count = self.pages.len() as c_ulong;
                // SAFETY: the pages are pinned, and as many are counted; the counter lives as long as there is a reference.
                unsafe {
                    bindings::unpin_user_pages_dirty_lock(self.as_array(), count, *writable);
                    bindings::account_locked_vm(of.as_raw(), count, false);
                }
            }
        }
    }
}
