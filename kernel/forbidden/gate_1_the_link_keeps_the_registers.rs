// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The mapped registers are the link's, which counts who uses them, and gives them to nobody else.
//!
//! error[E0616]

use crate::glue::Section;
use crate::link::Link;

pub(crate) fn is_over(link: &Link) -> bool {
    link.is_ending()
}

#[cfg(mistake)]
pub(crate) fn uncounted(link: &Link) -> Section<'_> {
    link.bars.section()
}
