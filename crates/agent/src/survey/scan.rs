//! Scan of all processes for uses of functions: open files of every thread, and maps.
//!
//! Threads can have a table of files of their own, and the first thread can have ended while others run on, so each
//! thread's table is read. Descriptors on their way through sockets, files registered with `io_uring` and buffers
//! that were exported are in no table: nobody can see these.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;

use crate::address::Address;
use crate::process::{Stat, is_gone};
use crate::survey::membership::Membership;
use crate::survey::targets::{Answer, Kind, Number, Target, Targets, is_graphics};
use crate::system::System;

/// Process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Number.
    pub pid: u32,
    /// State at the moment of the look.
    pub stat: Stat,
    /// Unit, container and user.
    pub membership: Membership,
}

/// Times that a process is scanned again because its number was given to another process meanwhile.
const RESCANS: usize = 3;

/// Uses of one function by one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The process.
    pub process: Process,
    /// Places: `fd 7`, `thread 12 fd 7`, `map /dev/dri/renderD128`.
    pub places: BTreeSet<String>,
    /// Kinds of use.
    pub kinds: BTreeSet<Kind>,
}

/// Uses of all functions.
#[derive(Debug, Default)]
pub struct Scan {
    uses: BTreeMap<Address, Vec<Use>>,
    /// Processes with descriptors of graphics devices that are no longer there.
    pub stale: BTreeSet<u32>,
    /// Reason for which the scan is not complete.
    pub unreadable: Option<String>,
}

impl Scan {
    /// Scans all processes.
    pub fn read(system: &System, targets: &Targets) -> Self {
        let mut scan = Self { unreadable: blindness(system), ..Self::default() };
        let mut denied = Vec::new();
        match system.proc.list(".") {
            Ok(names) => {
                for pid in names.iter().filter_map(|name| name.parse().ok()) {
                    if let Err(error) = scan.add(system, targets, pid) {
                        denied.push((pid, error));
                    }
                }
            }
            Err(error) => scan.note(format!("the list of processes: {error}")),
        }
        if let Some((pid, error)) = denied.first() {
            scan.note(format!("open files of {} processes, the first is {pid}: {error}", denied.len()));
        }
        scan
    }

    /// Returns the uses of a function.
    pub fn uses(&self, address: Address) -> &[Use] {
        self.uses.get(&address).map_or(&[], Vec::as_slice)
    }

    fn note(&mut self, reason: String) {
        self.unreadable.get_or_insert(reason);
    }

    fn add(&mut self, system: &System, targets: &Targets, pid: u32) -> io::Result<()> {
        for _ in 0..RESCANS {
            let Some(stat) = Stat::read(system, pid)? else { return Ok(()) };
            let mut look = Look { system, targets, pid, places: BTreeMap::new(), stale: false };
            look.threads(&stat)?;
            match Stat::read(system, pid)? {
                None => return Ok(()),
                Some(after) if after.start == stat.start => {
                    let Look { places, stale, .. } = look;
                    return self.keep(system, Process { pid, stat, membership: Membership::default() }, places, stale);
                }
                Some(_) => {}
            }
        }
        Err(io::Error::other("the number of the process changes hands"))
    }

    fn keep(&mut self, system: &System, mut process: Process, places: Places, stale: bool) -> io::Result<()> {
        if stale {
            self.stale.insert(process.pid);
        }
        if !places.is_empty() {
            process.membership = Membership::read(system, process.pid)?;
        }
        for (address, (places, kinds)) in places {
            self.uses.entry(address).or_default().push(Use { process: process.clone(), places, kinds });
        }
        Ok(())
    }
}

/// Tells why not all processes of the machine can be seen, if so.
fn blindness(system: &System) -> Option<String> {
    // The kernel's first namespace of processes has a constant number.
    const FIRST: &str = "pid:[4026531836]";
    let own = system.proc.link("self/ns/pid").ok()?;
    (own.as_os_str() != FIRST).then(|| "processes outside of this PID namespace are invisible".to_owned())
}

type Places = BTreeMap<Address, (BTreeSet<String>, BTreeSet<Kind>)>;

/// Look at one process.
struct Look<'a> {
    system: &'a System,
    targets: &'a Targets,
    pid: u32,
    places: Places,
    stale: bool,
}

impl Look<'_> {
    fn threads(&mut self, stat: &Stat) -> io::Result<()> {
        let pid = self.pid;
        let threads = alive(self.system.proc.list(format!("{pid}/task")))?;
        let mut leader = Vec::new();
        if let Some(files) = alive(self.system.proc.links(format!("{pid}/task/{pid}/fd")))? {
            self.files(pid, &files, "")?;
            leader = files;
        }
        let others = threads.unwrap_or_default();
        let others: Vec<u32> = others.iter().filter_map(|name| name.parse().ok()).filter(|&tid| tid != pid).collect();
        for &tid in &others {
            if let Some(mut files) = alive(self.system.proc.links(format!("{pid}/task/{tid}/fd")))? {
                // The table is the leader's, nearly always.
                files.retain(|file| leader.binary_search(file).is_err());
                self.files(tid, &files, &format!("thread {tid} "))?;
            }
        }
        // Memory is common to all threads, but a leader that has ended shows none.
        let memory = if stat.state == 'Z' { others.first().copied() } else { Some(pid) };
        memory.map_or(Ok(()), |tid| self.maps(tid))
    }

    fn files(&mut self, tid: u32, files: &[(String, PathBuf)], prefix: &str) -> io::Result<()> {
        for (fd, path) in files {
            let path = path.to_string_lossy();
            if path.starts_with("socket:") || path.starts_with("pipe:") {
                continue;
            }
            let folder = format!("{}/task/{tid}", self.pid);
            let number = self.number(&format!("{folder}/fd/{fd}"))?;
            match self.targets.of_file(number, &path) {
                Answer::Functions(found) => {
                    for target in found {
                        self.place(*target, format!("{prefix}fd {fd}"));
                    }
                }
                Answer::AskKernel => {
                    let notes = self.system.proc.text(format!("{folder}/fdinfo/{fd}")).unwrap_or_default();
                    match self.targets.of_notes(&notes) {
                        Some(target) => self.place(target, format!("{prefix}fd {fd}")),
                        None => self.stale |= matches!(number, Number::Device(number) if is_graphics(number)),
                    }
                }
            }
        }
        Ok(())
    }

    fn maps(&mut self, tid: u32) -> io::Result<()> {
        let maps = alive(self.system.proc.text(format!("{}/task/{tid}/maps", self.pid)))?.unwrap_or_default();
        // The numbers in the text are those of the file system, but two maps with the same ones are of one file.
        let mut known: HashMap<(&str, &str), Number> = HashMap::new();
        for map in maps.lines().filter_map(Map::parse) {
            let number = match known.get(&(map.device, map.inode)) {
                Some(number) => *number,
                None => self.number(&format!("{tid}/map_files/{}", map.range))?,
            };
            known.insert((map.device, map.inode), number);
            if let Answer::Functions(found) = self.targets.of_file(number, map.path) {
                for target in found {
                    self.place(*target, format!("map {}", map.path));
                }
            }
        }
        Ok(())
    }

    /// Reads the number of an open file. A path alone does not do where the kernel denies the number.
    fn number(&self, path: &str) -> io::Result<Number> {
        match self.system.proc.device(path) {
            Ok(Some(number)) => Ok(Number::Device(number)),
            Ok(None) => Ok(Number::None),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
            Err(_) => Ok(Number::Untold),
        }
    }

    fn place(&mut self, target: Target, place: String) {
        let (places, kinds) = self.places.entry(target.address).or_default();
        places.insert(place);
        kinds.insert(target.kind);
    }
}

/// Line of `/proc/PID/maps` for a map of a file.
struct Map<'a> {
    range: &'a str,
    device: &'a str,
    inode: &'a str,
    path: &'a str,
}

impl<'a> Map<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut rest = line;
        let mut field = || {
            let (field, tail) = rest.trim_start_matches(' ').split_once(' ')?;
            rest = tail;
            Some(field)
        };
        let (range, _permissions, _offset, device, inode) = (field()?, field()?, field()?, field()?, field()?);
        let path = rest.trim_start_matches(' ');
        (path.starts_with('/') || path.starts_with("anon_inode:")).then_some(Self { range, device, inode, path })
    }
}

/// Takes an error that means the end of a process or thread for `None`.
fn alive<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
