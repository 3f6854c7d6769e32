//! The calls of users, each with what is known of its arguments.

use std::time::Duration;

use lifeboat::core::fence::FenceError;
use lifeboat::core::sched::IfDependencyFails;
use lifeboat::{Fence, WaitError};
use lifeboat_lb1_hosted::{Capability, Placement, Submission};

use super::client::Client;
use super::command::{Address, Mapped};
use super::operation::{Keep, Operation};
use super::pool::Owned;
use super::rules::Arguments;
use super::values::{Number, Pick, Place};
use super::world::{Line, Mappings, Space, World};

/// Most bytes that are copied at once.
const COPY: u64 = 1 << 18;
/// Most bytes of a buffer in host memory, so that no job can make this process use all the memory there is. What no
/// context could reach is asked for all the same.
const HOST: u64 = 1 << 20;
const UNREACHABLE: u64 = 1 << 36;

impl World {
    pub(super) fn carry_out(&mut self, operation: &Operation) {
        // None: there is nothing to do it with.
        let _ = self.try_carry_out(operation);
    }

    #[allow(clippy::too_many_lines)] // one line or a few for each call
    fn try_carry_out(&mut self, operation: &Operation) -> Option<()> {
        match *operation {
            Operation::Open { device } => {
                let device = self.live(&self.devices, device)?;
                let of = device.of;
                let answer = device.it.open();
                self.judge("open", of, Arguments::Right, &answer);
                self.clients.put(of, Client::new(answer.ok()?));
            }
            Operation::Client { device } => {
                let device = self.live(&self.devices, device)?;
                let (of, device) = (device.of, device.it.clone());
                self.new_client(of, &device)?;
            }
            Operation::Query { handle } => self.query(handle)?,
            Operation::CreateContext { handle } => {
                let Owned { of, it: client } = self.live(&self.clients, handle)?;
                let answer = client.handle.create_context();
                self.judge("create-context", *of, Arguments::Right, &answer);
                let space = Space { context: answer.ok()?, mapped: Mappings::default() };
                self.spaces.put(*of, space);
            }
            Operation::ResetStats { context } => {
                self.live(&self.spaces, context)?.it.context.reset_stats();
            }
            Operation::CreateQueue { handle, context, ring, priority } => {
                let Owned { of, it: client } = self.live(&self.clients, handle)?;
                let space = self.spaces.get(context, |space| space.of == *of)?;
                let wrong = space.of != *of || ring.number() >= client.handle.info().rings;
                let answer = client.handle.create_queue(&space.it.context, ring.number(), priority.into());
                self.judge("create-queue", *of, Arguments::wrong_if(wrong), &answer);
                let line = Line { queue: answer.ok()?, mapped: space.it.mapped.clone() };
                self.lines.put(*of, line);
            }
            Operation::SetPriority { queue, priority } => {
                let line = self.live(&self.lines, queue)?;
                line.it.queue.set_priority(priority.into());
                self.judge("set-priority", line.of, Arguments::Right, &Ok(()));
            }
            Operation::MoveQueue { queue, ring } => {
                let line = self.live(&self.lines, queue)?;
                let answer = line.it.queue.move_to(ring.number());
                self.judge("move-queue", line.of, Arguments::wrong_if(ring.number() >= 2), &answer);
            }
            Operation::CreateBuffer { handle, place, size } => self.create_buffer(handle, place, size)?,
            Operation::ReadBuffer { buffer, offset, len } => self.copy(buffer, offset, len, false)?,
            Operation::WriteBuffer { buffer, offset, len } => self.copy(buffer, offset, len, true)?,
            Operation::Map { handle, context, buffer } => {
                let Owned { of, it: client } = self.live(&self.clients, handle)?;
                let space = self.spaces.get(context, |space| space.of == *of)?;
                let buffer = self.buffers.get(buffer, |buffer| buffer.of == *of)?;
                let answer = client.handle.map(&space.it.context, &buffer.it);
                let wrong = space.of != *of || buffer.of != *of;
                self.judge("map", *of, Arguments::wrong_if(wrong), &answer);
                space.it.mapped.borrow_mut().push(Mapped { va: answer.ok()?, bytes: buffer.it.size() });
            }
            Operation::Unmap { handle, context, va } => self.unmap(handle, context, va)?,
            Operation::Mmap { handle, buffer } => {
                let Owned { of, it: client } = self.live(&self.clients, handle)?;
                let buffer = self.buffers.get(buffer, |buffer| buffer.of == *of)?;
                let answer = client.handle.mmap(&buffer.it);
                self.judge("mmap", *of, Arguments::wrong_if(buffer.of != *of), &answer);
                self.maps.put(*of, answer.ok()?);
            }
            Operation::ReadMap { map, offset, len } => self.copy_map(map, offset, len, false)?,
            Operation::WriteMap { map, offset, len } => self.copy_map(map, offset, len, true)?,
            Operation::Export { handle, buffer } => {
                let Owned { of, it: client } = self.live(&self.clients, handle)?;
                let buffer = self.buffers.get(buffer, |buffer| buffer.of == *of)?;
                let answer = client.handle.export(&buffer.it);
                self.judge("export", *of, Arguments::wrong_if(buffer.of != *of), &answer);
                self.exports.put(*of, answer.ok()?);
            }
            Operation::Import { handle, export } => {
                let Owned { of, it: client } = self.live(&self.clients, handle)?;
                let export = self.exports.get(export, |export| export.of != *of)?;
                let answer = client.handle.import(&export.it);
                self.judge("import", *of, Arguments::Right, &answer);
                self.buffers.put(*of, answer.ok()?);
            }
            Operation::Submit { .. } => self.submit(operation)?,
            Operation::SetMode { handle, picture } => self.set_mode(handle, picture)?,
            Operation::Flip { handle, buffer, token } => self.flip(handle, buffer, token)?,
            Operation::Atomic(ref atomic) => self.atomic(atomic)?,
            Operation::QueueVblank { handle, token } => self.queue_vblank(handle, token)?,
            Operation::ReadEvents { handle } => self.clients.get_mut(handle, |_| true)?.it.read_events(),
            Operation::Wait { fence, milliseconds } => {
                let fence = self.fence(fence)?;
                let before = fence.status();
                let waited = fence.wait(Duration::from_millis((milliseconds % 16).into()));
                let after = fence.status().map_or(Err(WaitError::TimedOut), |outcome| Ok(outcome?));
                assert!(waited == Err(WaitError::TimedOut) || waited == after, "{fence:?}");
                assert!(before.is_none() || before == fence.status(), "{fence:?} changed its mind");
            }
            Operation::Combine { ref fences, any } => {
                let fences: Vec<Fence> = fences.0.iter().filter_map(|fence| self.fence(*fence)).collect();
                // Of none there is no first.
                let any = any && !fences.is_empty();
                self.promised.push(if any { Fence::any(fences) } else { Fence::all(fences) });
            }
            Operation::Promise => {
                let (fence, promise) = self.timeline.fence();
                self.promised.push(fence);
                self.promises.push(promise);
            }
            Operation::Keep { promise, how } => {
                let at = usize::from(promise).checked_rem(self.promises.len())?;
                let promise = self.promises.swap_remove(at);
                match how {
                    Keep::Signal => promise.signal(),
                    Keep::Fail => promise.fail(FenceError::Guilty),
                    Keep::Drop => drop(promise),
                }
            }
            Operation::Forget { device } => drop(self.devices.take(device, |_| true)),
            Operation::Close { handle } => drop(self.clients.take(handle, |_| true)),
            Operation::DropContext { context } => drop(self.spaces.take(context, |_| true)),
            Operation::DropQueue { queue } => drop(self.lines.take(queue, |_| true)),
            Operation::DropBuffer { buffer } => drop(self.buffers.take(buffer, |_| true)),
            Operation::DropMap { map } => drop(self.maps.take(map, |_| true)),
            Operation::DropExport { export } => drop(self.exports.take(export, |_| true)),
            _ => self.happen(operation)?,
        }
        Some(())
    }

    /// What never fails (CALL-2).
    fn query(&self, handle: Pick) -> Option<()> {
        let Owned { of, it: client } = self.live(&self.clients, handle)?;
        let handle = &client.handle;
        self.judge("version", *of, Arguments::Right, &Ok(handle.version()));
        self.judge("capability", *of, Arguments::Right, &Ok(handle.capability(Capability::MapVram)));
        self.judge("resources", *of, Arguments::Right, &Ok(handle.resources()));
        self.judge("get-connector", *of, Arguments::Right, &handle.connector());
        assert_eq!((handle.info().minor.0, handle.info().rings), (of.1, 2));
        Some(())
    }

    fn create_buffer(&mut self, handle: Pick, place: Place, size: Number) -> Option<()> {
        let Owned { of, it: client } = self.live(&self.clients, handle)?;
        let mut size = size.near(client.handle.info().vram_bytes);
        if matches!(place, Place::Host) && (HOST + 1..=UNREACHABLE).contains(&size) {
            size %= HOST;
        }
        let answer = client.handle.create_buffer(place.into(), size);
        self.judge("create-buffer", *of, Arguments::wrong_if(size == 0), &answer);
        let buffer = answer.ok()?;
        assert_eq!(buffer.size(), size);
        self.buffers.put(*of, buffer);
        Some(())
    }

    fn unmap(&self, handle: Pick, context: Pick, va: Address) -> Option<()> {
        let Owned { of, it: client } = self.live(&self.clients, handle)?;
        let space = self.spaces.get(context, |space| space.of == *of)?;
        let mut mapped = space.it.mapped.borrow_mut();
        let va = va.va(&mapped);
        let found = mapped.iter().position(|mapped| mapped.va == va);
        let answer = client.handle.unmap(&space.it.context, va);
        self.judge("unmap", *of, Arguments::wrong_if(space.of != *of || found.is_none()), &answer);
        answer.ok()?;
        mapped.swap_remove(found?);
        Some(())
    }

    /// Copies bytes into a buffer, or out of it.
    fn copy(&self, buffer: Pick, offset: Number, len: Number, write: bool) -> Option<()> {
        let Owned { of, it: buffer } = self.live(&self.buffers, buffer)?;
        let (offset, mut bytes, wrong) = range(buffer.size(), offset, len);
        let answer = if write { buffer.write(offset, &bytes) } else { buffer.read(offset, &mut bytes) };
        let call = match (buffer.placement(), write) {
            (Placement::Host, false) => "read-host-buffer",
            (Placement::Host, true) => "write-host-buffer",
            (Placement::Vram, false) => "read-vram-buffer",
            (Placement::Vram, true) => "write-vram-buffer",
        };
        self.judge(call, *of, Arguments::wrong_if(wrong), &answer);
        Some(())
    }

    fn copy_map(&self, map: Pick, offset: Number, len: Number, write: bool) -> Option<()> {
        let map = &self.maps.get(map, |_| true)?.it;
        let (offset, mut bytes, wrong) = range(map.size(), offset, len);
        let answer = if write { map.write(offset, &bytes) } else { map.read(offset, &mut bytes) };
        assert_eq!(answer.is_err(), wrong, "{offset} + {} of {map:?}", bytes.len());
        Some(())
    }

    fn submit(&mut self, operation: &Operation) -> Option<()> {
        let Operation::Submit { handle, queue, commands, after, restartable, run_anyway } = operation else {
            return None;
        };
        let Owned { of, it: client } = self.live(&self.clients, *handle)?;
        let line = self.lines.get(*queue, |line| line.of == *of)?;
        let mapped = line.it.mapped.borrow().clone();
        let commands = commands.work(&mapped);
        let after: Vec<Fence> = after.0.iter().filter_map(|fence| self.fence(*fence)).collect();
        let submission = Submission {
            queue: &line.it.queue,
            commands: &commands,
            after: &after,
            restartable: *restartable,
            if_dependency_fails: if *run_anyway { IfDependencyFails::Run } else { IfDependencyFails::Cancel },
        };
        let wrong = line.of != *of || commands.is_empty() || commands.iter().any(|work| work.check().is_err());
        let answer = client.handle.submit(&submission);
        self.judge("submit", *of, Arguments::wrong_if(wrong), &answer);
        self.owed.extend(answer);
        Some(())
    }
}

/// Where to copy, bytes for it, and whether that reaches past the end.
fn range(size: u64, offset: Number, len: Number) -> (u64, Vec<u8>, bool) {
    let offset = offset.near(size);
    let len = len.near(size.saturating_sub(offset)).min(COPY);
    let wrong = offset.checked_add(len).is_none_or(|end| end > size);
    (offset, vec![0xa5; usize::try_from(len).expect("a small number")], wrong)
}
