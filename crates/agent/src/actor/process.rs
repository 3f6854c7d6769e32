//! Identity of a process: a number means nothing without the start of the process, and that nothing without the boot.

use std::io;

use crate::system::System;

/// State and start of a process, from `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Whether the process has ended and waits for its parent (`Z`, `X`).
    pub over: bool,
    /// Start in clock ticks since boot.
    pub start: u64,
}

/// Number of fields from the state, the first after the name, to the start.
const START: usize = 19;

/// Parses `/proc/PID/stat`. The name of a process may hold spaces, parentheses and line breaks, so the fields are counted
/// from the last parenthesis.
pub fn parse(text: &[u8]) -> Option<Stat> {
    let end = text.iter().rposition(|&byte| byte == b')')?;
    let fields = std::str::from_utf8(text.get(end + 1..)?).ok()?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    let start = fields.nth(START - 1)?.parse().ok()?;
    Some(Stat { over: matches!(state, "Z" | "X" | "x"), start })
}

/// Reads the state and the start of the process; `None` if there is no such process.
///
/// # Errors
/// The file is there and cannot be read, or says something else than expected.
pub fn stat(system: &System, pid: u32) -> io::Result<Option<Stat>> {
    match system.proc.read(format!("{pid}/stat")) {
        Ok(bytes) => parse(&bytes).map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into()),
        // A process that ends during the read gives the second error.
        Err(error) if error.kind() == io::ErrorKind::NotFound || is_no_process(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_no_process(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// Reads the identity of this boot.
///
/// # Errors
/// Errors of the system.
pub fn boot(system: &System) -> io::Result<String> {
    system.proc.text("sys/kernel/random/boot_id")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_start() {
        let stat = b"7 (a) Z 9 (b\n) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 1 1";
        assert_eq!(parse(stat), Some(Stat { over: false, start: 4711 }));
    }

    #[test]
    fn this_process_has_a_start() -> io::Result<()> {
        let system = System::open(std::path::Path::new("/"))?;
        let stat = stat(&system, std::process::id())?;
        assert!(stat.is_some_and(|stat| stat.start > 0 && !stat.over));
        Ok(())
    }

    proptest! {
        #[test]
        fn any_text_is_survived(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn any_name_is_passed_over(name: Vec<u8>, start: u64) {
            let mut stat = b"7 (".to_vec();
            stat.extend(name);
            stat.extend(format!(") Z 1 7 7 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 {start} 1 1").bytes());
            prop_assert_eq!(parse(&stat), Some(Stat { over: true, start }));
        }
    }
}
