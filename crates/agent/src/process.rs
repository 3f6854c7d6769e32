//! Identity of a process: a number means nothing without the start of the process, and that nothing without the boot.

use std::io;

use crate::system::System;

/// Fields of `/proc/PID/stat` that decisions need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Name, up to 15 bytes. A process can give itself any name.
    pub name: String,
    /// State: `Z` for a process that has ended and is still listed.
    pub state: char,
    /// Controlling terminal, as major and minor number. Zero: none.
    pub terminal: (u32, u32),
    /// Start in clock ticks since boot.
    pub start: u64,
}

impl Stat {
    /// Reads the state of a process. `None` if there is none.
    ///
    /// # Errors
    /// Errors of the system, and text that cannot be understood.
    pub fn read(system: &System, pid: u32) -> io::Result<Option<Self>> {
        let bytes = match system.proc.read(format!("{pid}/stat")) {
            Ok(bytes) => bytes,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        match Self::parse(&bytes) {
            Some(stat) => Ok(Some(stat)),
            None => Err(io::Error::new(io::ErrorKind::InvalidData, format!("cannot understand {pid}/stat"))),
        }
    }

    /// Parses the text of the file. The name may hold spaces, brackets and line ends: it ends at the last bracket.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, fields) = text.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        // Numbers of the fields as proc(5) counts them; the first one after the name is 3.
        let field = |number: usize| fields.get(number - 3).copied();
        let terminal = field(7)?.parse::<i32>().ok()?.cast_unsigned();
        Some(Self {
            name: name.to_owned(),
            state: field(3)?.chars().next()?,
            terminal: ((terminal >> 8) & 0xfff, (terminal & 0xff) | ((terminal >> 12) & 0xf_ff00)),
            start: field(22)?.parse().ok()?,
        })
    }

    /// Tells whether the process has ended, and only its parent has not collected it yet.
    pub fn is_over(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// Tells whether the controlling terminal is a virtual console.
    pub fn is_on_console(&self) -> bool {
        const TTY_MAJOR: u32 = 4;
        self.terminal.0 == TTY_MAJOR && (1..64).contains(&self.terminal.1)
    }
}

/// Tells whether a process still is the one that had this start. Asked right before a signal is sent, and again once
/// there is a handle of the process.
///
/// # Errors
/// Errors of the system.
pub fn is_same(system: &System, pid: u32, start: u64) -> io::Result<bool> {
    Ok(Stat::read(system, pid)?.is_some_and(|stat| stat.start == start))
}

/// Tells whether an error of proc means that the process or thread has ended.
pub fn is_gone(error: &io::Error) -> bool {
    const ESRCH: i32 = rustix::io::Errno::SRCH.raw_os_error();
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}

/// Reads the identity of this boot.
///
/// # Errors
/// Errors of the system.
pub fn boot(system: &System) -> io::Result<String> {
    system.proc.text("sys/kernel/random/boot_id")
}

#[cfg(test)]
mod tests;
