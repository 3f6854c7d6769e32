//! What there is: two machines, and what users hold of the devices that they had and have.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use lifeboat::{CallError, Fence, Module, Priority, Timeline, Unsignalled, WaitError};
use lifeboat_lb1_hosted::command::GpuVa;
use lifeboat_lb1_hosted::{Buffer, Context, CpuMap, Device, DmaBuf, Placement, Queue};

use super::LIMIT;
use super::client::Client;
use super::command::Mapped;
use super::machine::Machine;
use super::operation::Operation;
use super::pool::{DeviceId, Owned, Pool};
use super::rules::{self, Arguments};
use super::values::{PAGE, Pick};

/// Side of the usual picture in pixels: it fits in the buffers that every client begins with.
pub(super) const SIDE: u16 = 32;

/// Where a context has something mapped.
pub(super) type Mappings = Rc<RefCell<Vec<Mapped>>>;

pub(super) struct Space {
    pub(super) context: Context,
    pub(super) mapped: Mappings,
}

pub(super) struct Line {
    pub(super) queue: Queue,
    pub(super) mapped: Mappings,
}

pub(crate) struct World {
    pub(super) machines: [Machine; 2],
    /// Devices that have been there, and those whose loss has been announced.
    seen: HashSet<DeviceId>,
    gone: HashSet<DeviceId>,
    pub(super) devices: Pool<Device>,
    pub(super) clients: Pool<Client>,
    pub(super) spaces: Pool<Space>,
    pub(super) lines: Pool<Line>,
    pub(super) buffers: Pool<Buffer>,
    pub(super) maps: Pool<CpuMap>,
    pub(super) exports: Pool<DmaBuf>,
    /// Fences that calls have answered with: they signal when the device is lost, whatever they wait for.
    pub(super) owed: Vec<Fence>,
    /// Promises of users, and the fences that depend on them alone.
    pub(super) promises: Vec<Unsignalled>,
    pub(super) promised: Vec<Fence>,
    pub(super) timeline: Timeline,
    /// Theirs.
    module: Module,
}

impl World {
    /// With a client of each device.
    pub(crate) fn new() -> Self {
        let module = lifeboat_lb1_hosted::module();
        let mut world = Self {
            machines: [Machine::new(), Machine::new()],
            seen: HashSet::new(),
            gone: HashSet::new(),
            devices: Pool::default(),
            clients: Pool::default(),
            spaces: Pool::default(),
            lines: Pool::default(),
            buffers: Pool::default(),
            maps: Pool::default(),
            exports: Pool::default(),
            owed: Vec::new(),
            promises: Vec::new(),
            promised: Vec::new(),
            timeline: module.timeline("user", "promises"),
            module,
        };
        world.look();
        let devices: Vec<_> = world.devices.iter().map(|device| (device.of, device.it.clone())).collect();
        for (of, device) in devices {
            world.new_client(of, &device);
        }
        world
    }

    /// Does one thing.
    pub(crate) fn step(&mut self, operation: &Operation) {
        self.look();
        let began = Instant::now();
        self.carry_out(operation);
        let took = began.elapsed();
        assert!(took < LIMIT, "took {took:?}: {operation:?}");
    }

    /// Notices what has come and what has gone.
    fn look(&mut self) {
        for (number, machine) in self.machines.iter().enumerate() {
            for device in machine.devices() {
                let id = (number, device.info().minor.0);
                if self.seen.insert(id) {
                    self.devices.put(id, device);
                }
            }
        }
        let devices = self.devices.iter().map(|device| (device.of, device.it.is_live()));
        let clients = self.clients.iter().map(|client| (client.of, client.it.handle.is_live()));
        self.gone.extend(devices.chain(clients).filter(|(_, live)| !live).map(|(of, _)| of));
    }

    /// Whether the loss of a device is known to have been announced.
    pub(super) fn is_gone(&self, of: DeviceId) -> bool {
        self.gone.contains(&of)
    }

    /// One if possible of a device that is there.
    pub(super) fn live<'a, T>(&'a self, pool: &'a Pool<T>, pick: Pick) -> Option<&'a Owned<T>> {
        pool.get(pick, |object| !self.is_gone(object.of))
    }

    pub(super) fn fence(&self, pick: Pick) -> Option<Fence> {
        let fences: Vec<&Fence> = self.owed.iter().chain(&self.promised).collect();
        let at = pick.among(&fences.iter().map(|fence| fence.status().is_none()).collect::<Vec<_>>())?;
        Some(fences[at].clone())
    }

    /// Holds an answer to the rules. `live` asks the device of the call whether it is there.
    pub(super) fn judge<T>(&self, call: &str, of: DeviceId, arguments: Arguments, answer: &Result<T, CallError>) {
        rules::judge(call, arguments, self.is_gone(of), answer);
        if !answer.as_ref().is_err_and(|error| error.is_loss()) {
            return;
        }
        // A call that failed for loss must have been right about that.
        let devices = self.devices.iter().filter(|device| device.of == of).map(|device| device.it.clone());
        for device in devices {
            let deadline = Instant::now() + LIMIT / 2;
            while device.is_live() {
                assert!(Instant::now() < deadline, "{call} failed for loss, and nothing is lost");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Opens a device and makes one of everything, as far as there still is a device.
    pub(super) fn new_client(&mut self, of: DeviceId, device: &Device) -> Option<()> {
        let handle = device.open().ok()?;
        let context = handle.create_context().ok()?;
        let mapped = Mappings::default();
        for ring in 0..2 {
            let queue = handle.create_queue(&context, ring, Priority::Normal).ok()?;
            self.lines.put(of, Line { queue, mapped: mapped.clone() });
        }
        for placement in [Placement::Vram, Placement::Host, Placement::Vram] {
            let buffer = handle.create_buffer(placement, 4 * PAGE).ok()?;
            let va: GpuVa = handle.map(&context, &buffer).ok()?;
            mapped.borrow_mut().push(Mapped { va, bytes: buffer.size() });
            if placement == Placement::Vram {
                // Another client's flip may be under way.
                let _ = handle.set_mode(Some((&buffer, handle.resources().mode(SIDE, SIDE))));
            }
            self.buffers.put(of, buffer);
        }
        self.spaces.put(of, Space { context, mapped });
        self.clients.put(of, Client::new(handle));
        Some(())
    }

    /// Loses both devices, sees that nothing is owed to anybody, and lets everything go.
    pub(crate) fn finish(mut self, pulled: [bool; 2], order: u64) {
        for (machine, _) in self.machines.iter().zip(pulled).filter(|(_, pulled)| *pulled) {
            machine.pull();
        }
        if !pulled[0] {
            // Whatever is under way ends by itself, too.
            self.promises.clear();
            expect_signals(&self.owed);
        }
        self.machines.iter().for_each(Machine::unbind);
        expect_signals(&self.owed);
        self.promises.clear();
        expect_signals(&self.promised);
        for client in self.clients.iter_mut() {
            client.it.expect_all();
        }
        let Self { machines, devices, clients, spaces, lines, buffers, maps, exports, module, .. } = self;
        let mut objects: Vec<Box<dyn Any>> = Vec::new();
        objects.extend(devices.into_boxes());
        objects.extend(clients.into_boxes());
        objects.extend(spaces.into_boxes());
        objects.extend(lines.into_boxes());
        objects.extend(buffers.into_boxes());
        objects.extend(maps.into_boxes());
        objects.extend(exports.into_boxes());
        let mut chance = order;
        while !objects.is_empty() {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = usize::try_from(chance >> 33).unwrap_or(0) % objects.len();
            drop(objects.swap_remove(at));
        }
        Machine::finish(machines);
        module.unload().expect("every promise has been kept or broken");
    }
}

fn expect_signals(fences: &[Fence]) {
    for fence in fences {
        assert_ne!(fence.wait(LIMIT), Err(WaitError::TimedOut), "{fence:?} never signals");
    }
}
