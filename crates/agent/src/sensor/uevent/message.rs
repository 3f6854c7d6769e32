//! Form of an event: `ACTION@DEVPATH`, then variables, each ended by a zero byte (`lib/kobject_uevent.c`).
//!
//! The bytes come from others. Values may be no UTF-8 (a process chooses its name), and a variable may stand there twice.

use std::borrow::Cow;

/// Bytes that are no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedMessage {
    /// The first line is no `ACTION@DEVPATH`. Messages of udev begin in another way.
    #[error("the message does not begin with ACTION@DEVPATH")]
    NoHeader,
    /// `ACTION` or `DEVPATH` is missing, or says something else than the first line.
    #[error("the message has no {0}, or {0} contradicts the first line")]
    Contradiction(&'static str),
}

/// Event, as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    action: &'a str,
    path: &'a str,
    variables: &'a [u8],
}

impl<'a> Message<'a> {
    /// Parses a message.
    ///
    /// # Errors
    /// [`MalformedMessage`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MalformedMessage> {
        let end = bytes.iter().position(|byte| *byte == 0).ok_or(MalformedMessage::NoHeader)?;
        let (header, variables) = (&bytes[..end], &bytes[end + 1..]);
        let header = std::str::from_utf8(header).map_err(|_| MalformedMessage::NoHeader)?;
        let (action, path) = header.split_once('@').ok_or(MalformedMessage::NoHeader)?;
        let message = Self { action, path, variables };
        for (name, said) in [("ACTION", action), ("DEVPATH", path)] {
            if message.bytes(name) != Some(said.as_bytes()) {
                return Err(MalformedMessage::Contradiction(name));
            }
        }
        Ok(message)
    }

    /// Returns the action, such as `change`.
    pub fn action(&self) -> &'a str {
        self.action
    }

    /// Returns the path of the device below `/sys`.
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// Returns the value of a variable. Bytes that are no UTF-8 are replaced. If the variable stands there several times, the first
    /// counts: the kernel writes its own variables before those of drivers.
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        self.bytes(name).map(String::from_utf8_lossy)
    }

    /// Returns the value of a variable as a decimal number.
    pub fn number(&self, name: &str) -> Option<u32> {
        let digits = std::str::from_utf8(self.bytes(name)?).ok()?;
        // `parse` takes a sign, the kernel writes none.
        digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())?
    }

    /// Tells whether a process had the kernel send the event, by a write to a `uevent` file (`kobject_synth_uevent`). Such an event
    /// carries the kernel's credentials and tells nothing of the device.
    pub fn is_synthetic(&self) -> bool {
        self.bytes("SYNTH_UUID").is_some()
    }

    fn bytes(&self, name: &str) -> Option<&'a [u8]> {
        let mut variables = self.variables.split(|byte| *byte == 0);
        variables.find_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_reads_as_the_kernel_writes_it() {
        let message =
            Message::parse(b"change@/devices/x\0ACTION=change\0DEVPATH=/devices/x\0PID=42\0TASK=\xff=\0").unwrap();
        assert_eq!((message.action(), message.path()), ("change", "/devices/x"));
        assert_eq!(message.number("PID"), Some(42));
        assert_eq!(message.get("TASK").as_deref(), Some("\u{fffd}="));
        assert_eq!((message.get("TAS"), message.number("TASK")), (None, None));
    }

    #[test]
    fn the_first_of_repeated_variables_counts() {
        let message = Message::parse(b"add@/d\0ACTION=add\0DEVPATH=/d\0ACTION=remove\0A=1\0A=2\0").unwrap();
        assert_eq!((message.action(), message.number("A")), ("add", Some(1)));
    }

    #[test]
    fn other_bytes_are_no_event() {
        use MalformedMessage::{Contradiction, NoHeader};
        for (bytes, error) in [
            (&b""[..], NoHeader),
            (b"add@/d", NoHeader),
            (b"libudev\0\xfe\xed\xca\xfe", NoHeader),
            (b"\xff@/d\0ACTION=\xff\0DEVPATH=/d\0", NoHeader),
            (b"add@/d\0", Contradiction("ACTION")),
            (b"add@/d\0ACTION=remove\0DEVPATH=/d\0", Contradiction("ACTION")),
            (b"add@/d\0ACTION=add\0DEVPATH=/e\0", Contradiction("DEVPATH")),
            (b"add@/d\0ACTION=add\0DEVPA", Contradiction("DEVPATH")),
        ] {
            assert_eq!(Message::parse(bytes), Err(error), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..256), name in "[A-Z_]{0,8}") {
            if let Ok(message) = Message::parse(&bytes) {
                let _ = (message.get(&name), message.number(&name), message.is_synthetic());
            }
        }

        #[test]
        fn every_variable_is_found(values in prop::collection::vec("[^\0]{0,40}", 0..20)) {
            let mut bytes = b"add@/d\0ACTION=add\0DEVPATH=/d\0".to_vec();
            for (number, value) in values.iter().enumerate() {
                bytes.extend(format!("V{number}={value}\0").into_bytes());
            }
            let message = Message::parse(&bytes).unwrap();
            for (number, value) in values.iter().enumerate() {
                let found = message.get(&format!("V{number}"));
                prop_assert_eq!(found.as_deref(), Some(value.as_str()));
            }
        }
    }
}
