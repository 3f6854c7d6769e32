//! Carries operations out, and judges what the kernel answers.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lifeboat_client::arena::{Change, Hole, PAGE, USER_PAGES};
use lifeboat_client::{Errno, Mapping, Node, Sharing, map_file, poll_sync_file};

use crate::fuzz::activity::Activity;
use crate::fuzz::calls::errno::{ECANCELED, ENODEV, ENOENT, ETIME};
use crate::fuzz::calls::{OF_ALL, OF_LOSS};
use crate::fuzz::generator::{Call, Oddity, Operation};
use crate::fuzz::report::{Options, Report};
use crate::fuzz::resources::{Descriptor, Kind, OpenFile, World, chosen, index, remember};
use crate::fuzz::shape::{Gives, Meaning, Shape, Target};
use crate::fuzz::structure::{Maker, SLOTS, Structure};

/// Where nodes are.
const NODES: &str = "/dev/dri";
/// A kernel without any device has none.
const NO_NODE: Duration = Duration::from_millis(1);

/// A thread that carries operations out.
pub(super) struct Executor<'a> {
    /// What the run was given.
    pub(super) options: &'a Options,
    /// What all threads have.
    pub(super) world: &'a World,
    /// Number of the thread.
    pub(super) thread: usize,
    /// What the thread does, for those who look whether it goes on.
    pub(super) activity: &'a Activity,
    /// What came of all.
    pub(super) report: Report,
}

impl Executor<'_> {
    /// Carries one out.
    pub(super) fn perform(&mut self, operation: &Operation) {
        match *operation {
            Operation::Call(ref call) => self.call(call),
            Operation::Open(random) => self.open(random),
            Operation::Close(random) => {
                let file = self.world.files.take(random);
                self.timed("close", || {
                    drop(file);
                    Ok(())
                });
            }
            Operation::Reopen(random) => {
                let Some(file) = self.world.files.choose(random) else { return };
                let path = format!("/proc/self/fd/{}", file.node.as_fd().as_raw_fd());
                self.open_path("open again", &path);
            }
            Operation::Map(random) => self.map(random),
            Operation::Unmap(random) => {
                let map = self.world.maps.take(random);
                self.timed("munmap", || {
                    drop(map);
                    Ok(())
                });
            }
            Operation::Touch(random) => self.touch(random),
            Operation::Poll(random) => {
                let Some(file) = self.world.files.choose(random) else { return };
                self.timed("poll", || file.node.poll(Duration::from_millis(random >> 32 & 1)).map(drop));
                let path = format!("/proc/self/fdinfo/{}", file.node.as_fd().as_raw_fd());
                self.timed("fdinfo", || fs::read(path).map(drop).map_err(|error| errno_of(&error)));
            }
            Operation::Descriptor(random) => self.descriptor(random),
            Operation::Pages(random) => {
                let change = if random.is_multiple_of(4) { Change::Remove } else { Change::Replace };
                let (first, pages) = (index(random >> 8, USER_PAGES), index(random >> 16, 8));
                let arena = &self.world.arena;
                self.timed("pages", || arena.change(first, pages, change));
            }
        }
    }

    /// Does something that has a name, within a limit that somebody else looks at.
    fn timed<T>(&mut self, name: &'static str, work: impl FnOnce() -> Result<T, Errno>) -> Option<T> {
        self.activity.begin(name);
        let began = Instant::now();
        let result = work();
        let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.activity.end();
        if took > self.report.longest.0 {
            self.report.longest = (took, name.to_owned());
        }
        self.report.count(name, result.as_ref().err().map_or(0, |errno| errno.raw_os_error()));
        result.ok()
    }

    fn open(&mut self, random: u64) {
        let names = fs::read_dir(NODES).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut nodes: Vec<_> = names.filter(|path| path.is_file() || !path.is_dir()).collect();
        nodes.sort();
        if nodes.is_empty() {
            self.report.count("open", ENOENT);
            std::thread::sleep(NO_NODE);
            return;
        }
        let node = &nodes[index(random, nodes.len())];
        self.open_path("open", &node.to_string_lossy());
    }

    fn open_path(&mut self, name: &'static str, path: &str) {
        if let Some(node) = self.timed(name, || Node::open(path).map_err(|error| errno_of(&error))) {
            self.world.files.add(OpenFile::new(node));
        }
    }

    fn map(&mut self, random: u64) {
        let length = (1 + index(random >> 8, 4)) * PAGE;
        let odd = random >> 16 & 15;
        let sharing = if odd == 0 { Sharing::Private } else { Sharing::Shared };
        let buffer = self.world.descriptors.choose_where(random, |descriptor| descriptor.kind == Kind::Buffer);
        let map: Option<Mapping> = match buffer {
            Some(buffer) if random.is_multiple_of(4) => {
                self.timed("mmap (dma-buf)", || map_file(buffer.descriptor.as_fd(), 0, length, sharing))
            }
            _ => {
                let Some(file) = self.world.files.choose(random) else { return };
                // No buffer has an offset that is so small.
                let offset = match odd {
                    1 => Some(random >> 32 << 12 & 0xff_ffff),
                    _ => chosen(&file.numbers().offsets, random >> 4).copied(),
                };
                let Some(offset) = offset else { return };
                self.timed("mmap", || map_file(file.node.as_fd(), offset, length, sharing))
            }
        };
        if map.is_some() && sharing == Sharing::Private {
            self.report.find(format!("a buffer was mapped privately ({random:#x})"));
        }
        if let Some(map) = map {
            self.world.maps.add(map);
        }
    }

    fn touch(&mut self, random: u64) {
        let Some(map) = self.world.maps.choose(random) else { return };
        self.timed("touch", || {
            let words = map.words();
            let word = &words[index(random >> 8, words.len())];
            word.store(word.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
            Ok(())
        });
    }

    fn descriptor(&mut self, random: u64) {
        if random & 1 == 0 {
            let descriptor = self.world.descriptors.take(random >> 1);
            self.timed("close (descriptor)", || {
                drop(descriptor);
                Ok(())
            });
        } else if let Some(descriptor) = self.world.descriptors.choose(random >> 1) {
            self.timed("poll (descriptor)", || poll_sync_file(descriptor.descriptor.as_fd(), Duration::ZERO).map(drop));
        }
    }

    fn call(&mut self, call: &Call) {
        let Some(shape) = call.shape() else { return };
        match shape.target {
            Target::Node => {
                if let Some(file) = self.world.files.choose(call.target) {
                    self.call_on(call, shape, &file);
                } else {
                    self.open(call.target);
                }
            }
            Target::Descriptor(kind) => {
                let fits = |descriptor: &Descriptor| descriptor.kind == kind;
                let Some(on) = self.world.descriptors.choose_where(call.target, fits) else { return };
                let numbers = crate::fuzz::resources::Numbers::default();
                let maker = Maker { options: self.options, world: self.world, numbers: &numbers, thread: self.thread };
                let structure = maker.make(call, shape);
                let made = self.make(call, shape, on.descriptor.as_fd(), structure);
                if let (Some((_, descriptors)), Gives::Descriptor(kind)) = (made, shape.gives) {
                    self.add_descriptors(descriptors, kind);
                }
            }
        }
    }

    fn call_on(&mut self, call: &Call, shape: &'static Shape, file: &Arc<OpenFile>) {
        let structure = {
            let numbers = file.numbers();
            let maker = Maker { options: self.options, world: self.world, numbers: &numbers, thread: self.thread };
            maker.make(call, shape)
        };
        let values = structure.values.clone();
        let Some((bytes, descriptors)) = self.make(call, shape, file.node.as_fd(), structure) else {
            // The file of a lost device is of little interest.
            let lost = self.report.counts.get(shape.name).is_some_and(|counts| counts.contains_key(&ENODEV));
            if lost && shape.own.is_some_and(|own| own.device) && call.target & 0x300 == 0 && is_lost(file) {
                self.world.files.forget(file);
            }
            return;
        };
        self.keep(call, shape, file, &values, &bytes);
        let kind = if let Gives::Descriptor(kind) = shape.gives { kind } else { Kind::SyncFile };
        self.add_descriptors(descriptors, kind);
    }

    fn add_descriptors(&self, descriptors: Vec<std::os::fd::OwnedFd>, kind: Kind) {
        for descriptor in descriptors {
            self.world.descriptors.add(Descriptor { descriptor, kind });
        }
    }

    /// Makes the call, and judges the answer. Gives the structure and new descriptors if it succeeded.
    fn make(
        &mut self,
        call: &Call,
        shape: &'static Shape,
        on: std::os::fd::BorrowedFd<'_>,
        structure: Structure,
    ) -> Option<(Vec<u8>, Vec<std::os::fd::OwnedFd>)> {
        let Structure { mut bytes, places, number, values, kept } = structure;
        let given = bytes.clone();
        let arena = &self.world.arena;
        // A number that was written into a hole is known to nobody.
        let name = if matches!(call.oddity, Oddity::Command(_)) { "no call" } else { shape.name };
        let mut answer = 0;
        let made = self.timed(name, || {
            let made = match call.oddity {
                Oddity::Hole(random) => {
                    let holes = [Hole::Null, Hole::ReadOnly, Hole::Nothing, Hole::Kernel, Hole::Last];
                    arena.call_in_hole(on, number, holes[index(random, holes.len())]).map(|()| Vec::new())
                }
                _ => arena.call(on, number, &mut bytes, &places),
            };
            answer = made.as_ref().err().map_or(0, |errno| errno.raw_os_error());
            made
        });
        drop(kept);
        let refused = call.must_be_refused(shape, |field| values.get(field).copied().unwrap_or(0));
        let known = shape.own.is_none_or(|own| {
            answer == 0
                || OF_ALL.contains(&answer)
                || own.each.contains(&answer)
                || own.device && OF_LOSS.contains(&answer)
        });
        let never_fails = shape.name == "INFO" && call.oddity == Oddity::None;
        let wrong = if answer == 0 && refused {
            Some("was not refused".to_owned())
        } else if !known {
            Some(format!("failed with errno {answer}, which it does not have"))
        } else if never_fails && answer != 0 {
            Some(format!("failed with errno {answer}"))
        } else if answer == 0 {
            wrong_result(shape, call, &bytes)
        } else {
            None
        };
        if let Some(wrong) = wrong {
            self.report.find(format!("{name} {wrong}: {call:?}, given {given:02x?} {places:?}, left {bytes:02x?}"));
        }
        made.map(|descriptors| (bytes, descriptors))
    }

    /// Remembers what a success has given or taken.
    fn keep(&self, call: &Call, shape: &Shape, file: &OpenFile, values: &[u64], bytes: &[u8]) {
        if !matches!(call.oddity, Oddity::None | Oddity::Field(_) | Oddity::Flip(..) | Oddity::Longer(..)) {
            return;
        }
        let mut numbers = file.numbers();
        let small =
            |at: usize| bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes);
        let large = |at: usize| bytes.get(at..at + 8).and_then(|all| all.try_into().ok()).map_or(0, u64::from_le_bytes);
        let first = u32::try_from(values.first().copied().unwrap_or(0)).unwrap_or(0);
        match shape.gives {
            Gives::Nothing | Gives::Descriptor(_) => {}
            Gives::Context(at) => remember(&mut numbers.contexts, (small(at), 0)),
            Gives::Buffer(at) => remember(&mut numbers.buffers, small(at)),
            Gives::Offset(at) => remember(&mut numbers.offsets, large(at)),
            Gives::Syncobj(at) => remember(&mut numbers.syncobjs, small(at)),
            Gives::Job(at) => remember(&mut numbers.jobs, (first, large(at))),
            Gives::Map => {
                let slot = values[2].wrapping_sub(self.options.info.first_address) / self.options.commands.slot_bytes;
                let context = numbers.contexts.iter_mut().find(|(context, _)| *context == first);
                if let Some((_, slots)) = context.filter(|_| slot < SLOTS && values[5] & 1 > 0) {
                    *slots |= 1 << slot;
                }
            }
            // Now and then it is remembered still: a number of something that is not there any more.
            Gives::Less if (call.target >> 32).is_multiple_of(4) => {}
            Gives::Less => match shape.fields.first().map(|field| field.meaning) {
                Some(Meaning::Context) => numbers.contexts.retain(|(context, _)| *context != first),
                Some(Meaning::Buffer) => numbers.buffers.retain(|handle| *handle != first),
                Some(Meaning::Syncobj) => numbers.syncobjs.retain(|handle| *handle != first),
                _ => {}
            },
        }
    }
}

/// What is wrong with the result of a call that has succeeded.
fn wrong_result(shape: &Shape, call: &Call, bytes: &[u8]) -> Option<String> {
    let small = |at: usize| bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_le_bytes);
    if matches!(call.oddity, Oddity::Hole(_)) {
        return None;
    }
    match shape.name {
        "CONTEXT_CREATE" => (small(4) == Some(0)).then(|| "gave no context".to_owned()),
        "BUFFER_CREATE" | "BUFFER_CREATE (user)" => (small(20) == Some(0)).then(|| "gave no handle".to_owned()),
        "WAIT" => {
            let result = small(24).map(u32::cast_signed);
            let known = [0, -ENODEV, -ETIME, -ECANCELED];
            result.filter(|result| !known.contains(result)).map(|result| format!("said that a job ended with {result}"))
        }
        _ => None,
    }
}

fn is_lost(file: &OpenFile) -> bool {
    matches!(file.node.poll(Duration::ZERO), Ok(Some(woken)) if woken.hangup)
}

fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
