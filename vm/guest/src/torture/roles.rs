//! Kinds of clients. Each does one session of its work after the other, until the device is lost or the round is over.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use lifeboat_client::{Errno, Mapping, WaitFor, poll_sync_file, sync_file_status};
use lifeboat_uapi::{BUFFER_VRAM, Sync};

use crate::torture::client::{Client, Stop};

/// One session.
pub(super) type Session = fn(&mut Client<'_>) -> Result<(), Stop>;

/// Who works in a round.
pub(super) const CAST: [(&str, Session); 6] = [
    ("submitter", submitter),
    ("submitter", submitter),
    ("waiter", waiter),
    ("mapper", mapper),
    ("opener", opener),
    ("sharer", sharer),
];

/// Jobs of a submitter on one desk.
const JOBS: u32 = 32;
/// Jobs that a waiter has in flight.
const WAITED: u64 = 8;
const PAGE: usize = 4096;

/// Submits jobs, and looks whether their results are right.
fn submitter(client: &mut Client<'_>) -> Result<(), Stop> {
    let desk = client.desk()?;
    for _ in 0..JOBS {
        if !client.goes_on() {
            break;
        }
        let word = desk.work.word;
        desk.memory.words().iter().for_each(|at| at.store(!word, Ordering::Relaxed));
        let job = client.submit(&desk, &mut [])?;
        if client.end_of(&desk, job)? == 0 {
            let wrong = desk.memory.words().iter().filter(|at| at.load(Ordering::Relaxed) != word).count();
            // A result counts only if the device is there after it was read.
            if client.is_lost(&desk.node)? {
                return Err(Stop::Lost);
            }
            if wrong > 0 {
                return Err(Stop::Wrong(format!("a job completed, and {wrong} words are wrong")));
            }
        }
        client.step();
    }
    Ok(())
}

/// Waits for jobs in every way there is. Each must end, and all ways must say the same.
fn waiter(client: &mut Client<'_>) -> Result<(), Stop> {
    let desk = client.desk()?;
    let [timeline, binary] = [(), ()].map(|()| client.always("SYNCOBJ_CREATE", || desk.node.create_syncobj()));
    let (timeline, binary) = (timeline?, binary?);
    let mut jobs = Vec::new();
    let mut lost = None;
    for point in 1..=WAITED {
        let syncobj = |handle: u32, point| Sync { handle: handle.cast_signed(), flags: 0, point };
        match client.submit(&desk, &mut [syncobj(timeline, point), syncobj(binary, 0)]) {
            Ok(job) => {
                let export = || desk.node.syncobj_to_sync_file(binary);
                jobs.push((job, client.always("SYNCOBJ_HANDLE_TO_FD", export)?));
            }
            Err(stop) => {
                lost = Some(stop);
                break;
            }
        }
    }
    let limit = client.limit();
    let submitted = jobs.len() as u64;
    if client.random.bool() && submitted > 0 {
        let points = [(timeline, submitted)];
        client.always("SYNCOBJ_TIMELINE_WAIT", || desk.node.wait_for_points(&points, WaitFor::All, limit))?;
    } else {
        client.always("BUFFER_WAIT", || desk.node.wait_for_buffer(desk.copy, 0, limit))?;
    }
    for (job, file) in jobs {
        let result = match client.end_of(&desk, job) {
            Ok(result) => result,
            Err(Stop::Lost) => {
                lost = Some(Stop::Lost);
                -Errno::NODEV.raw_os_error()
            }
            Err(other) => return Err(other),
        };
        let woken = client.always("poll", || poll_sync_file(file.as_fd(), limit))?;
        let status = client.always("SYNC_IOC_FILE_INFO", || sync_file_status(file.as_fd()))?;
        if woken.is_none() || status != if result == 0 { 1 } else { result } {
            return Err(Stop::Wrong(format!("WAIT says {result} of a job, and its sync_file {status}")));
        }
        client.step();
    }
    lost.map_or(Ok(()), Err)
}

/// Writes and reads maps without a break, also of a device that is lost.
fn mapper(client: &mut Client<'_>) -> Result<(), Stop> {
    let node = client.open()?;
    let pages = 4;
    let mut maps = Vec::new();
    for flags in [0, BUFFER_VRAM] {
        let buffer = client.call("BUFFER_CREATE", || node.create_buffer((pages * PAGE) as u64, flags))?;
        let map = client.always("mmap", || node.map_memory(buffer.handle, pages * PAGE))?;
        maps.push((flags == BUFFER_VRAM, buffer.handle, map));
    }
    for round in 0..200 {
        if !client.goes_on() {
            break;
        }
        for (vram, _, map) in &maps {
            let word = &map.words()[client.random.usize(..map.words().len())];
            let value = client.random.u32(..);
            word.store(value, Ordering::Relaxed);
            let found = word.load(Ordering::Relaxed);
            let may_be_lost = *vram && client.options.loses_writes;
            if found != value && !may_be_lost && !client.is_lost(&node)? {
                return Err(Stop::Wrong(format!("{value:#x} was written to a map, and {found:#x} read")));
            }
        }
        if round % 16 == 0 {
            client.step();
        }
        if client.is_lost(&node)? {
            // Maps of before and after are memory.
            for (_, handle, map) in &maps {
                touch(map);
                touch(&client.always("mmap", || node.map_memory(*handle, pages * PAGE))?);
            }
            return Err(Stop::Lost);
        }
    }
    Ok(())
}

fn touch(map: &Mapping) {
    for word in map.words().iter().step_by(PAGE / 4) {
        word.store(word.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

/// Opens, creates, and closes with everything still there.
fn opener(client: &mut Client<'_>) -> Result<(), Stop> {
    let node = client.open()?;
    client.always("VERSION", || node.version())?;
    client.always("INFO", || node.info())?;
    let bytes = 1 + client.random.u64(..16 << 10);
    let flags = if client.random.bool() { BUFFER_VRAM } else { 0 };
    let buffer = client.call("BUFFER_CREATE", || node.create_buffer(bytes, flags))?;
    if client.random.bool() {
        let context = client.call("CONTEXT_CREATE", || node.create_context())?;
        let map = lifeboat_uapi::Map {
            context,
            handle: buffer.handle,
            address: client.options.info.first_address,
            size: buffer.size,
            ..Default::default()
        };
        client.call("MAP", || node.plain(map))?;
        if client.random.bool() {
            client.always("GEM_CLOSE", || node.close_buffer(buffer.handle))?;
            client.always("CONTEXT_DESTROY", || node.destroy_context(context))?;
        }
    }
    client.step();
    Ok(())
}

/// Shares a buffer between two files; the one that it was made in is closed.
fn sharer(client: &mut Client<'_>) -> Result<(), Stop> {
    let (exporter, importer) = (client.open()?, client.open()?);
    let buffer = client.call("BUFFER_CREATE", || exporter.create_buffer(PAGE as u64, 0))?;
    let value = client.random.u32(..);
    let map = client.always("mmap", || exporter.map_memory(buffer.handle, PAGE))?;
    map.words()[7].store(value, Ordering::Relaxed);
    let shared = client.always("PRIME_HANDLE_TO_FD", || exporter.export(buffer.handle))?;
    drop((map, exporter));
    let handle = client.call("PRIME_FD_TO_HANDLE", || importer.import(shared.as_fd()))?;
    drop(shared);
    let map = client.always("mmap", || importer.map_memory(handle, PAGE))?;
    let found = map.words()[7].load(Ordering::Relaxed);
    if client.is_lost(&importer)? {
        return Err(Stop::Lost);
    }
    if found != value {
        return Err(Stop::Wrong(format!("{value:#x} was written to a shared buffer, and {found:#x} read")));
    }
    client.step();
    Ok(())
}
