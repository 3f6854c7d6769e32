//! Everything that the calls of the table need, and each of them by name.

use std::cell::RefCell;
use std::time::Duration;

use lifeboat::{CallError, Fence, Minor, Priority, WaitError};
use lifeboat_lb1_hosted::command::{Fill, GpuVa, Work};
use lifeboat_lb1_hosted::{
    Buffer, Capability, Change, Commit, CommitKind, Context, Device, DisplayEvent, DmaBuf, Handle, Lease, Objects,
    Placement, Queue, Submission,
};

use crate::subject::Wrong;

/// Side of the picture that is shown, in pixels.
const SIDE: u16 = 32;
/// Size of each buffer in bytes: the picture.
const BYTES: u64 = 4 * SIDE as u64 * SIDE as u64;

/// A user of a device, with one of everything.
pub struct World {
    device: Device,
    queue: Queue,
    context: Context,
    host: Buffer,
    vram: Buffer,
    picture: Buffer,
    vram_va: GpuVa,
    done: Fence,
    /// Another device's.
    foreign: DmaBuf,
    handle: Handle,
    stock: RefCell<Stock>,
}

/// What calls use up, and what they leave.
#[derive(Default)]
struct Stock {
    /// For `close`.
    handles: Vec<Handle>,
    /// For `unmap`.
    mapped: Vec<GpuVa>,
    /// Fences that are owed.
    owed: Vec<Fence>,
    /// Display events: how often each was asked for, and how often it has come. By token, which counts from 0.
    events: Vec<(bool, u32)>,
    /// How often the screen has gone.
    unplugged: u32,
    last_job: Option<Fence>,
    /// Granted, for `revoke-lease`.
    lease: Option<Lease>,
}

impl World {
    /// Prepares everything.
    ///
    /// # Errors
    /// That of the first call that failed.
    pub fn new(device: Device, foreign: DmaBuf) -> Result<Self, CallError> {
        let handle = device.open()?;
        let context = handle.create_context()?;
        let queue = handle.create_queue(&context, 0, Priority::Normal)?;
        let host = handle.create_buffer(Placement::Host, BYTES)?;
        let vram = handle.create_buffer(Placement::Vram, BYTES)?;
        let picture = handle.create_buffer(Placement::Vram, BYTES)?;
        let vram_va = handle.map(&context, &vram)?;
        let mode = handle.resources().mode(SIDE, SIDE);
        handle.set_mode(Some((&picture, mode)))?;
        // One that needs no device and has signalled.
        let done = handle.submit(&Submission::new(&queue, &[Work::Nop]))?;
        let world = Self {
            device,
            queue,
            context,
            host,
            vram,
            picture,
            vram_va,
            done,
            foreign,
            handle,
            stock: RefCell::default(),
        };
        world.restock()?;
        Ok(world)
    }

    /// Prepares what calls use up, enough for the calls of two rounds.
    fn restock(&self) -> Result<(), CallError> {
        let mut stock = self.stock.borrow_mut();
        for _ in 0..2 {
            stock.handles.push(self.device.open()?);
            stock.mapped.push(self.handle.map(&self.context, &self.host)?);
        }
        Ok(())
    }

    /// Makes a call that owes a display event, with a token of its own.
    fn owes_event(&self, call: impl FnOnce(u64) -> Result<Fence, CallError>) -> Result<(), CallError> {
        let token = self.stock.borrow().events.len();
        let answer = call(token as u64);
        let mut stock = self.stock.borrow_mut();
        stock.events.push((answer.is_ok(), 0));
        answer.map(|fence| stock.owed.push(fence))
    }

    fn read_events(&self) {
        let mut stock = self.stock.borrow_mut();
        while let Some(event) = self.handle.events().try_next() {
            match event {
                DisplayEvent::Hotplug { .. } => stock.unplugged += 1,
                DisplayEvent::Flip { token, .. } | DisplayEvent::Vblank { token, .. } => {
                    let token = usize::try_from(token).unwrap_or(usize::MAX);
                    if let Some((_, times)) = stock.events.get_mut(token) {
                        *times += 1;
                    }
                }
                other => unreachable!("an event that nothing is known of: {other:?}"),
            }
        }
    }

    /// Whose jobs they are.
    pub fn context(&self) -> &Context {
        &self.context
    }
}

impl crate::subject::World for World {
    fn call(&self, name: &str) -> Result<Result<(), CallError>, Wrong> {
        let Self { device, queue, context, host, vram, picture, vram_va, done, foreign, handle, stock } = self;
        let right = |holds, name| if holds { Ok(Ok(())) } else { Err(Wrong::WrongAnswer(name)) };
        Ok(match name {
            "open" => device.open().map(drop),
            "close" => {
                let handle = stock.borrow_mut().handles.pop();
                drop(handle);
                Ok(())
            }
            "version" => return right(handle.version().driver == "lifeboat-lb1", "version"),
            "capability" => return right(handle.capability(Capability::MapVram) == 1, "capability"),
            "parameters" => return right(handle.info().rings > 0, "parameters"),
            "wait" => return right(!matches!(done.wait(Duration::ZERO), Err(WaitError::TimedOut)), "wait"),
            "mmap" => handle.mmap(vram).and_then(|map| map.write(0, &[1])),
            "export" => handle.export(vram).map(drop),
            "import" => handle.import(foreign).map(drop),
            "resources" => return right(handle.resources().crtcs == 1, "resources"),
            "get-connector" => handle.connector().map(drop),
            "mode-set" => handle.set_mode(Some((picture, handle.resources().mode(SIDE, SIDE)))),
            "page-flip" => self.owes_event(|token| handle.flip(picture, Some(token))),
            "atomic" => self.owes_event(|token| {
                let test = Commit { plane: Change::To(picture), kind: CommitKind::TestOnly, ..Commit::default() };
                handle.atomic(&test)?;
                handle.atomic(&Commit { event: Some(token), kind: CommitKind::NonBlocking, ..test })
            }),
            "queue-vblank" => self.owes_event(|token| handle.queue_vblank(token)),
            "create-lease" => {
                // Ended before: it would be in the way.
                drop(stock.borrow_mut().lease.take());
                handle.create_lease(Objects::ALL).map(|lease| stock.borrow_mut().lease = Some(lease))
            }
            "list-lessees" => handle.lessees().map(drop),
            "get-lease" => return right(handle.leased() == Objects::ALL, "get-lease"),
            "revoke-lease" => {
                let lease = stock.borrow_mut().lease.take();
                lease.map_or(Ok(()), |lease| handle.revoke_lease(lease.lessee))
            }
            "read-events" => {
                self.read_events();
                Ok(())
            }
            "create-context" => handle.create_context().map(drop),
            "reset-stats" => {
                context.reset_stats();
                Ok(())
            }
            "create-queue" => handle.create_queue(context, 1, Priority::Low).map(drop),
            "set-priority" => {
                queue.set_priority(Priority::High);
                Ok(())
            }
            "move-queue" => queue.move_to(1).and_then(|()| queue.move_to(0)),
            "create-buffer" => handle.create_buffer(Placement::Vram, BYTES).map(drop),
            "read-host-buffer" => host.read(0, &mut [0; 16]),
            "write-host-buffer" => host.write(0, &[1; 16]),
            "read-vram-buffer" => vram.read(0, &mut [0; 16]),
            "write-vram-buffer" => vram.write(0, &[1; 16]),
            "map" => handle.map(context, picture).map(|va| stock.borrow_mut().mapped.push(va)),
            "unmap" => {
                let va = stock.borrow_mut().mapped.pop();
                va.map_or(Ok(()), |va| handle.unmap(context, va))
            }
            "submit" => {
                let commands = [Work::Fill(Fill { dst: *vram_va, bytes: BYTES, pattern: 7 })];
                let submission = Submission { restartable: true, ..Submission::new(queue, &commands) };
                handle.submit(&submission).map(|job| {
                    let mut stock = stock.borrow_mut();
                    stock.owed.push(job.clone());
                    stock.last_job = Some(job);
                })
            }
            unknown => return Err(Wrong::UnknownCall(unknown.to_owned())),
        })
    }

    fn miscounted(&self, lost: bool) -> Option<String> {
        self.read_events();
        let stock = self.stock.borrow();
        let wrong = stock.events.iter().position(|(asked, times)| *times != u32::from(*asked));
        if let Some(token) = wrong {
            let (asked, times) = stock.events[token];
            return Some(format!("display event {token} came {times} times; it was asked for: {asked}"));
        }
        let unplugged = stock.unplugged;
        (unplugged != u32::from(lost)).then(|| format!("the screen went {unplugged} times"))
    }

    fn minor(&self) -> Minor {
        self.device.info().minor
    }

    fn done(&self) -> &Fence {
        &self.done
    }

    fn last_job(&self) -> Option<Fence> {
        self.stock.borrow_mut().last_job.take()
    }

    fn owed(&self) -> Vec<Fence> {
        self.stock.borrow().owed.clone()
    }

    fn take_owed(&self) -> Vec<Fence> {
        std::mem::take(&mut self.stock.borrow_mut().owed)
    }
}
