// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Pages of host memory that a device can be given, and that users can map.

use core::ptr::NonNull;

use kernel::{bindings, page::PAGE_SIZE, prelude::*};

use super::shim;

/// The largest power of two of pages that is asked for in one piece: larger ones are not to be had.
const MOST_ORDER: u32 = 10;

const RETRY_MAYFAIL: bindings::gfp_t = 1 << bindings::___GFP_RETRY_MAYFAIL_BIT;
const NORETRY: bindings::gfp_t = 1 << bindings::___GFP_NORETRY_BIT;
const ZEROED: bindings::gfp_t =
    bindings::GFP_KERNEL_ACCOUNT | bindings::__GFP_ZERO | bindings::__GFP_HIGHMEM | bindings::__GFP_NOWARN;

/// Number of a page of physical memory, in RAM or in a BAR.
#[derive(Clone, Copy)]
pub(crate) struct Frame(pub(super) kernel::ffi::c_ulong);

impl Frame {
    /// The frame so many pages further on.
    pub(crate) fn plus(self, pages: usize) -> Self {
        Self(self.0 + pages as kernel::ffi::c_ulong)
    }
}

/// Zeroed pages, in as few contiguous stretches as could be had. Each is the only owner's until it is dropped.
pub(crate) struct Pages(KVVec<NonNull<bindings::page>>);

// SAFETY: pages may be used and freed by any thread.
unsafe impl Send for Pages {}
// SAFETY: a shared reference only tells where the pages are.
unsafe impl Sync for Pages {}

impl Pages {
    /// Allocates so many pages. ENOMEM, rather than that another process is killed for its memory; EINTR if the caller
    /// is being killed.
    pub(crate) fn zeroed(count: usize) -> Result<Self> {
        let mut pages = Self(KVVec::with_capacity(count, GFP_KERNEL)?);
        let mut order = MOST_ORDER;
        while pages.0.len() < count {
            // SAFETY: it only looks at the current task.
            if unsafe { shim::lifeboat_shim_is_being_killed() } {
                return Err(EINTR);
            }
            order = order.min((count - pages.0.len()).ilog2());
            let patience = if order > 0 { NORETRY } else { RETRY_MAYFAIL };
            // SAFETY: any flags and any order may be asked for.
            let first = unsafe { bindings::alloc_pages_noprof(ZEROED | patience, order) };
            let Some(first) = NonNull::new(first) else {
                order = order.checked_sub(1).ok_or(ENOMEM)?;
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
                let _ = pages.0.push(page, GFP_KERNEL);
            }
        }
        Ok(pages)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.len() * PAGE_SIZE
    }

    /// Where a page is. `None` past the end.
    pub(crate) fn frame(&self, index: usize) -> Option<Frame> {
        let page = self.0.get(index)?;
        // SAFETY: the page is owned by `self`.
        Some(Frame(unsafe { shim::lifeboat_shim_page_frame(page.as_ptr()) }))
    }

    /// All pages as an array that C functions read.
    pub(super) fn as_array(&self) -> *mut *mut bindings::page {
        // `NonNull` has the layout of a pointer.
        self.0.as_ptr().cast_mut().cast()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        for page in &self.0 {
            // SAFETY: each page is owned by `self`, and was split from its neighbours.
            unsafe { bindings::__free_pages(page.as_ptr(), 0) };
        }
    }
}
