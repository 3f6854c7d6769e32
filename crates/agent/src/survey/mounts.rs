//! File systems in every mount namespace, and swap.

use std::collections::BTreeSet;
use std::io;

use crate::inventory::block::Stack;
use crate::process::is_gone;
use crate::system::System;

/// Mounted file system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mount {
    /// Number of the file system's device. Some file systems have one of their own.
    pub device: (u32, u32),
    /// Mount point in its namespace.
    pub point: String,
    /// Source, as it was given at the mount.
    pub source: String,
}

impl Mount {
    /// Parses a line of `mountinfo`.
    pub fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(' ');
        let device = fields.nth(2)?;
        let point = fields.nth(1)?;
        let mut rest = fields.skip_while(|field| *field != "-");
        let source = rest.nth(2)?;
        let device = crate::inventory::node::parse_number(device)?;
        Some(Self { device, point: unescape(point), source: unescape(source) })
    }

    fn is_on(&self, stack: &Stack) -> bool {
        // A file system on several devices can name all of them as its source.
        let names = self.source.split(':').filter_map(|source| source.strip_prefix("/dev/"));
        stack.has_number(self.device.0, self.device.1) || names.into_iter().any(|name| stack.has_name(name))
    }
}

/// Mounts and swap of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mounts {
    list: BTreeSet<Mount>,
    /// Names below `/dev` of block devices with swap.
    partitions: BTreeSet<String>,
    /// Files with swap.
    files: BTreeSet<String>,
    /// Names of the block devices of mounted btrfs: their mounts name only one of them.
    btrfs: BTreeSet<String>,
    /// Reason for which the above is not complete.
    pub unreadable: Option<String>,
}

impl Mounts {
    /// Reads the mounts of every namespace, and swap.
    pub fn read(system: &System) -> Self {
        let mut mounts = Self::default();
        for result in [mounts.namespaces(system), mounts.swap(system), mounts.btrfs(system)] {
            if let Err(error) = result {
                mounts.unreadable.get_or_insert(format!("mounts: {error}"));
            }
        }
        mounts
    }

    fn namespaces(&mut self, system: &System) -> io::Result<()> {
        let mut seen = BTreeSet::new();
        let names = system.proc.list(".")?;
        for pid in names.iter().filter(|name| name.parse::<u32>().is_ok()) {
            let threads = match system.proc.list(format!("{pid}/task")) {
                Err(error) if is_gone(&error) => continue,
                threads => threads?,
            };
            for thread in threads {
                let folder = format!("{pid}/task/{thread}");
                // The name of the namespace saves reads; without it, each file is read.
                if system.proc.link(format!("{folder}/ns/mnt")).is_ok_and(|space| !seen.insert(space)) {
                    continue;
                }
                match system.proc.text(format!("{folder}/mountinfo")) {
                    Ok(text) => self.list.extend(text.lines().filter_map(Mount::parse)),
                    // A thread that has ended is in no namespace any more: EINVAL.
                    Err(error) if is_gone(&error) || error.kind() == io::ErrorKind::InvalidInput => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn swap(&mut self, system: &System) -> io::Result<()> {
        let text = match system.proc.text("swaps") {
            // A kernel without swap.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text?,
        };
        for line in text.lines().skip(1) {
            let Some(path) = line.split_ascii_whitespace().next().map(unescape) else { continue };
            match path.strip_prefix("/dev/") {
                Some(name) => self.partitions.insert(name.to_owned()),
                None => self.files.insert(path),
            };
        }
        Ok(())
    }

    fn btrfs(&mut self, system: &System) -> io::Result<()> {
        let systems = match system.sys.list("fs/btrfs") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            systems => systems?,
        };
        for identifier in systems {
            match system.sys.list(format!("fs/btrfs/{identifier}/devices")) {
                Ok(names) => self.btrfs.extend(names),
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound || error.kind() == io::ErrorKind::NotADirectory => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Returns the mount points of file systems on these block devices.
    pub fn points(&self, stack: &Stack) -> Vec<&str> {
        let mut points: Vec<&str> =
            self.list.iter().filter(|mount| mount.is_on(stack)).map(|mount| mount.point.as_str()).collect();
        points.extend(self.btrfs.iter().filter(|name| stack.has_name(name)).map(|_| "btrfs"));
        points.sort_unstable();
        points.dedup();
        points
    }

    /// Tells whether swap is on these block devices.
    pub fn has_swap(&self, stack: &Stack) -> bool {
        let in_file = |path: &String| {
            let depth = |mount: &&Mount| mount.point.trim_end_matches('/').len();
            let above = || self.list.iter().filter(|mount| is_below(path, &mount.point));
            // The innermost mount holds the file. Several namespaces can have one of the same name.
            let innermost = above().map(|mount| depth(&mount)).max();
            above().filter(|mount| Some(depth(mount)) == innermost).any(|mount| mount.is_on(stack))
        };
        self.partitions.iter().any(|name| stack.has_name(name)) || self.files.iter().any(in_file)
    }
}

/// Tells whether `path` is at `folder` or below.
fn is_below(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Replaces the octal escapes of proc: `\040` is a space.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits =
            tail.get(..3).filter(|digits| byte == b'\\' && digits.iter().all(|digit| (b'0'..b'8').contains(digit)));
        let value = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(value.unwrap_or(byte));
        rest = if value.is_some() { tail.get(3..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
