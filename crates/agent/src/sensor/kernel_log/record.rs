//! Record of `/dev/kmsg`: `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,...];TEXT`, then lines of the form ` KEY=VALUE`
//! (`Documentation/ABI/testing/dev-kmsg`).

use std::time::Duration;

use crate::address::Address;

/// Bytes that are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no record of /dev/kmsg")]
pub struct MalformedRecord;

/// Record of the kernel's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Facility and level, as in syslog.
    priority: u32,
    /// Number of the record in this boot's log.
    pub sequence: u64,
    /// Uptime at which the record was written.
    pub uptime: Duration,
    /// Text. The kernel escapes characters that do not print; they are here as they were, and bytes that are no UTF-8 are
    /// replaced.
    pub text: String,
    /// Subsystem of the device that the record is about, such as `pci`.
    pub subsystem: Option<String>,
    /// Device that the record is about, such as `+pci:0000:03:00.0`.
    pub device: Option<String>,
}

impl Record {
    /// Parses a record.
    ///
    /// # Errors
    /// [`MalformedRecord`].
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedRecord> {
        parse(bytes).ok_or(MalformedRecord)
    }

    /// Tells whether the kernel wrote the record. The kernel gives a record that a process writes another facility than its own,
    /// which is 0, whatever the process asks for (`devkmsg_write` in `kernel/printk/printk.c`).
    pub fn is_kernels(&self) -> bool {
        self.priority >> 3 == 0
    }

    /// Returns the PCI function that the kernel names as the device of the record.
    pub fn function(&self) -> Option<Address> {
        self.device.as_deref()?.strip_prefix("+pci:")?.parse().ok()
    }
}

fn parse(bytes: &[u8]) -> Option<Record> {
    let semicolon = bytes.iter().position(|byte| *byte == b';')?;
    let mut fields = std::str::from_utf8(&bytes[..semicolon]).ok()?.split(',');
    let priority = number(fields.next()?)?.try_into().ok()?;
    let sequence = number(fields.next()?)?;
    let uptime = Duration::from_micros(number(fields.next()?)?);
    let mut lines = bytes[semicolon + 1..].split(|byte| *byte == b'\n');
    let text = unescaped(lines.next()?);
    let (mut subsystem, mut device) = (None, None);
    for line in lines {
        // Lines of a later version that do not begin with a space are ignored, as the document asks.
        let Some(pair) = line.strip_prefix(b" ") else { continue };
        if let Some(value) = pair.strip_prefix(b"SUBSYSTEM=") {
            subsystem.get_or_insert_with(|| unescaped(value));
        } else if let Some(value) = pair.strip_prefix(b"DEVICE=") {
            device.get_or_insert_with(|| unescaped(value));
        }
    }
    Some(Record { priority, sequence, uptime, text, subsystem, device })
}

fn number(digits: &str) -> Option<u64> {
    // `parse` takes a sign, the kernel writes none.
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Undoes the kernel's escapes: `\x` and two digits (`msg_add_ext_text` in `kernel/printk/printk.c`).
fn unescaped(bytes: &[u8]) -> String {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        let escape = (first == b'\\').then(|| escape(tail)).flatten();
        let (byte, tail) = escape.unwrap_or((first, tail));
        plain.push(byte);
        rest = tail;
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// Reads the end of an escape, after its backslash.
fn escape(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = bytes.strip_prefix(b"x")?.split_at_checked(2)?;
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(digits[0])? << 4 | digit(digits[1])?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_reads_as_the_kernel_writes_it() {
        let bytes = b"3,1234,5678901,-,caller=T42;amdgpu 0000:03:00.0: a\\x0ab \\\\ \\xzz \\xc3\\xa9\n SUBSYSTEM=pci\n DEVICE=+pci:0000:03:00.0\n";
        let record = Record::parse(bytes).unwrap();
        assert!(record.is_kernels());
        assert_eq!((record.sequence, record.uptime), (1234, Duration::from_micros(5_678_901)));
        assert_eq!(record.text, "amdgpu 0000:03:00.0: a\nb \\\\ \\xzz é");
        assert_eq!(record.subsystem.as_deref(), Some("pci"));
        assert_eq!(record.function(), "0000:03:00.0".parse().ok());
    }

    #[test]
    fn the_first_device_counts_and_unknown_lines_are_ignored() {
        let record =
            Record::parse(b"6,1,2,c;text\nDEVICE=+pci:0000:00:00.0\n X=1\n DEVICE=n8\n DEVICE=+pci:0000:01:00.0")
                .unwrap();
        assert_eq!((record.device.as_deref(), record.function()), (Some("n8"), None));
    }

    #[test]
    fn only_facility_0_is_the_kernels() {
        for (priority, kernels) in [(0, true), (7, true), (8, false), (14, false), (191, false), (2048, false)] {
            let record = Record::parse(format!("{priority},1,2,-;text\n").as_bytes()).unwrap();
            assert_eq!(record.is_kernels(), kernels, "{priority}");
        }
    }

    #[test]
    fn other_bytes_are_no_record() {
        for bytes in [
            &b""[..],
            b"6,1,2,-",
            b"6,1;text",
            b"-6,1,2,-;text",
            b"6,+1,2,-;text",
            b"6,1,x,-;text",
            b"99999999999,1,2,-;t",
        ] {
            assert_eq!(Record::parse(bytes), Err(MalformedRecord), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), tail in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Record::parse(&bytes);
            let _ = Record::parse(&[b"6,1,2,-;", &tail[..]].concat());
        }

        #[test]
        fn every_text_comes_back(text in "\\PC{0,60}", odd in prop::collection::vec(any::<char>(), 0..8)) {
            let text: String = text.chars().chain(odd).collect();
            let escaped: String = text
                .bytes()
                .map(|byte| match byte {
                    b'\\' | 0..=31 | 127..=255 => format!("\\x{byte:02x}"),
                    plain => char::from(plain).to_string(),
                })
                .collect();
            let record = Record::parse(format!("6,1,2,-;{escaped}\n").as_bytes()).unwrap();
            prop_assert_eq!(record.text, text);
        }
    }
}
