// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Takes an ioctl from its number to its handler.
//!
//! The class decides before the handler runs, and in one place: a call of class Device runs in a section of the gate or not
//! at all. Its handler takes the section as an argument, so it cannot be called without one (GATE-1, CALL-1).

use kernel::prelude::*;
use lifeboat_core::class::{Class, Entry};
use lifeboat_core::errno::Errno;
use lifeboat_uapi::{Direction, Request, COMMAND_BASE};

use super::table::TABLE;
use super::Call;
use crate::errno::from_core;
use crate::gate::Section;
use crate::glue::{Arguments, Command, Plain};

/// An ioctl in the table.
pub(super) struct Row {
    /// Without the size, which is the caller's.
    word: u32,
    class: Class,
    handler: Handler,
}

/// Copies the structure in, calls, and copies back what came of it.
enum Handler {
    /// For the classes that get no hardware, or fetch it themselves.
    Free(fn(&Call<'_>, Command, usize) -> Result),
    /// For the class Device.
    InSection(fn(&Call<'_>, Enter, Command, usize) -> Result),
}

/// Opens the section that a handler of class Device needs.
type Enter = for<'a> fn(&Call<'a>) -> Result<Section<'a>>;

/// Bits of an ioctl's number that have the size.
const SIZE_SHIFT: u32 = 16;
const SIZE_MASK: u32 = (1 << 14) - 1;
/// Commands of drivers (`DRM_COMMAND_END`), and bits of the type and the command.
const COMMAND_END: u32 = 0xa0;
const COMMAND_MASK: u32 = 0xff;
const TYPE_MASK: u32 = 0xff << 8;
const TYPE: u32 = (b'd' as u32) << 8;

impl Row {
    pub(super) const fn free<T: Request>(class: Class, handler: fn(&Call<'_>, Command, usize) -> Result) -> Self {
        Self { word: without_size(T::NUMBER), class, handler: Handler::Free(handler) }
    }

    pub(super) const fn in_section<T: Request>(handler: fn(&Call<'_>, Enter, Command, usize) -> Result) -> Self {
        Self { word: without_size(T::NUMBER), class: Class::Device, handler: Handler::InSection(handler) }
    }
}

/// A row of class Always: `always!(Structure, handler)`.
macro_rules! always {
    ($request:ident, $handler:path) => {
        $crate::node::call::Row::free::<lifeboat_uapi::$request>(
            lifeboat_core::class::Class::Always,
            |call, command, size| {
                $crate::node::call::copied::<lifeboat_uapi::$request>(command, size, |arguments| {
                    $handler(call, arguments)
                })
            },
        )
    };
}
pub(super) use always;

/// A row of class Driver, whose handler enters the gate itself: `driver!(Structure, handler)`.
macro_rules! driver {
    ($request:ident, $handler:path) => {
        $crate::node::call::Row::free::<lifeboat_uapi::$request>(
            lifeboat_core::class::Class::Driver,
            |call, command, size| {
                $crate::node::call::copied::<lifeboat_uapi::$request>(command, size, |arguments| {
                    $handler(call, arguments)
                })
            },
        )
    };
}
pub(super) use driver;

/// A row of class Device: `device!(Structure, handler)`. The handler takes a section, too.
macro_rules! device {
    ($request:ident, $handler:path) => {
        $crate::node::call::Row::in_section::<lifeboat_uapi::$request>(|call, enter, command, size| {
            $crate::node::call::copied::<lifeboat_uapi::$request>(command, size, |arguments| {
                $handler(call, &enter(call)?, arguments)
            })
        })
    };
}
pub(super) use device;

/// Copies the structure of an ioctl in, lets `handle` have it, and copies it back if that succeeds and the ioctl has results.
pub(super) fn copied<T: Plain + Request>(
    command: Command,
    size: usize,
    handle: impl FnOnce(&mut T) -> Result,
) -> Result {
    let mut arguments = Arguments::<T>::read(command.user(size))?;
    handle(&mut arguments.0)?;
    match T::DIRECTION {
        Direction::In => Ok(()),
        Direction::InOut => arguments.write(command.user(size)),
    }
}

const fn without_size(word: u32) -> u32 {
    word & !(SIZE_MASK << SIZE_SHIFT)
}

/// Whether a number is one of drivers, known or not.
pub(super) fn is_ours(word: u32) -> bool {
    let command = word & COMMAND_MASK;
    word & TYPE_MASK == TYPE && (COMMAND_BASE..COMMAND_END).contains(&command)
}

/// Performs an ioctl. EINVAL for one that is not in the table.
pub(super) fn perform(call: &Call<'_>, command: Command) -> Result {
    let known = TABLE.iter().find(|row| row.word == without_size(command.word));
    known.ok_or(EINVAL).and_then(|row| run(call, row, command))
}

fn run(call: &Call<'_>, row: &Row, command: Command) -> Result {
    let size = ((command.word >> SIZE_SHIFT) & SIZE_MASK) as usize;
    match (call.device.gate.entry(row.class), &row.handler) {
        (Entry::Proceed, Handler::Free(handler)) => handler(call, command, size),
        // User memory is copied outside of the section: a page that does not come must not delay an
        // unplug. If the gate is shut by then, entering it is refused as here.
        (Entry::EnterGate, Handler::InSection(handler)) => handler(call, enter, command, size),
        (Entry::Refuse(refusal), _) => Err(from_core(Errno::from(refusal))),
        // No row has such a class: the constructors of `Row` allow none.
        _ => Err(EINVAL),
    }
}

/// A section for a call of class Device.
fn enter<'a>(call: &Call<'a>) -> Result<Section<'a>> {
    call.device.gate.call()
}
