//! Every call of the table, before and after the loss: its class is what it does.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::sync::Mutex;

use lifeboat::core::class::Class;
use lifeboat::core::errno::Errno;
use lifeboat::{CallError, Fence, Priority};
use lifeboat_lb1_hosted::command::Work;
use lifeboat_lb1_hosted::{
    Buffer, CALLS, Capability, Change, Commit, ConnectorStatus, Device, DisplayEvent, DmaBuf, Handle, Lease, Objects,
    Placement,
};
use machine::{BYTES, Client, LONG, Machine};

/// What a call may need, made while the device was there.
struct World {
    device: Device,
    client: Client,
    picture: Buffer,
    spare: Mutex<Vec<Handle>>,
    /// Granted by the client.
    lease: Mutex<Option<Lease>>,
    done: Fence,
    /// Another machine's device, and a buffer of it.
    foreign: (DmaBuf, Machine),
}

impl World {
    fn new(device: Device) -> Self {
        let client = Client::new(&device);
        let picture = client.handle.create_buffer(Placement::Vram, BYTES.into()).unwrap();
        client.show(&picture).unwrap();
        let spare = Mutex::new((0..2).map(|_| device.open().unwrap()).collect());
        let lease = Mutex::new(Some(client.handle.create_lease(Objects::ALL).unwrap()));
        let done = client.submit(0, &[Work::Nop], &[]);
        done.wait(LONG).unwrap();
        let machine = Machine::new();
        let other = machine.added().open().unwrap();
        let dma_buf = other.export(&other.create_buffer(Placement::Host, 4096).unwrap()).unwrap();
        Self { device, client, picture, spare, lease, done, foreign: (dma_buf, machine) }
    }

    /// Makes the call of this name. One that is missing here is not tested: that is a failure.
    fn call(&self, name: &str) -> Result<(), CallError> {
        let Client { handle, context, queues, host, vram, vram_va, .. } = &self.client;
        match name {
            "open" => self.device.open().map(drop),
            // There is one to be closed for each call before.
            "close" => {
                drop(self.spare.lock().unwrap().pop().unwrap());
                Ok(())
            }
            "version" => {
                assert_eq!(handle.version().driver, "lifeboat-lb1");
                Ok(())
            }
            "capability" => {
                assert_eq!(handle.capability(Capability::MapVram), 1);
                Ok(())
            }
            "parameters" => {
                assert_eq!(handle.info().rings, 2);
                Ok(())
            }
            "wait" => {
                self.done.wait(LONG).unwrap();
                Ok(())
            }
            "reset-stats" => {
                assert_eq!(context.reset_stats().guilty, 0);
                Ok(())
            }
            "create-context" => handle.create_context().map(drop),
            "create-queue" => handle.create_queue(context, 0, Priority::Normal).map(drop),
            "set-priority" => {
                queues[0].set_priority(Priority::High);
                Ok(())
            }
            "move-queue" => queues[0].move_to(1),
            "create-buffer" => handle.create_buffer(Placement::Vram, 4096).map(drop),
            "read-host-buffer" => host.read(0, &mut [0]),
            "write-host-buffer" => host.write(0, &[0]),
            "read-vram-buffer" => vram.read(0, &mut [0]),
            "write-vram-buffer" => vram.write(0, &[0]),
            "mmap" => handle.mmap(vram).and_then(|map| map.write(0, &[0])),
            "export" => handle.export(vram).map(|dma_buf| assert_eq!(dma_buf.size(), u64::from(BYTES))),
            "import" => handle.import(&self.foreign.0).map(drop),
            "map" => handle.map(context, &self.picture).map(drop),
            "unmap" => handle.unmap(context, *vram_va),
            "submit" => self.client.try_submit(0, &[Work::Nop], &[]).map(drop),
            "mode-set" => self.client.show(&self.picture),
            "page-flip" => {
                // Its event is owed in any case.
                let flip = handle.flip(&self.picture, Some(1));
                flip.map(|fence| self.flip_is_answered(&fence, 1))
            }
            "atomic" => {
                let commit = Commit { plane: Change::To(&self.picture), event: Some(2), ..Commit::default() };
                handle.atomic(&commit).map(|fence| self.flip_is_answered(&fence, 2))
            }
            "queue-vblank" => {
                handle.queue_vblank(3)?.wait(LONG).unwrap();
                let event = handle.events().wait(LONG);
                assert!(matches!(event, Some(DisplayEvent::Vblank { token: 3, .. })), "{event:?}");
                Ok(())
            }
            "resources" => {
                assert_eq!(handle.resources().crtcs, 1);
                Ok(())
            }
            "get-connector" => handle.connector().map(|connector| {
                let connected = connector.status == ConnectorStatus::Connected;
                assert_eq!(connected, self.device.is_live(), "KMS-1");
            }),
            "create-lease" => {
                let mut lease = self.lease.lock().unwrap();
                if self.device.is_live() {
                    // A lease in force would refuse the next one.
                    drop(lease.take());
                }
                handle.create_lease(Objects::ALL).map(|granted| *lease = Some(granted))
            }
            "list-lessees" => {
                let lessee = self.lease.lock().unwrap().as_ref().unwrap().lessee;
                handle.lessees().map(|lessees| assert_eq!(lessees, [lessee]))
            }
            "get-lease" => {
                let lease = self.lease.lock().unwrap();
                let leased = [handle, &lease.as_ref().unwrap().handle].map(Handle::leased);
                assert_eq!(leased, [Objects::ALL; 2]);
                Ok(())
            }
            "revoke-lease" => {
                let lease = self.lease.lock().unwrap().take().unwrap();
                handle.revoke_lease(lease.lessee).map(|()| assert_eq!(lease.handle.leased(), Objects::NONE))
            }
            "read-events" => {
                // The one event that nobody asked for is the loss's.
                assert_eq!(handle.events().try_next(), None);
                Ok(())
            }
            other => panic!("{other} is in the table and not in this test"),
        }
    }
}

impl World {
    fn flip_is_answered(&self, fence: &Fence, wanted: u64) {
        fence.wait(LONG).unwrap();
        let event = self.client.handle.events().wait(LONG);
        assert!(matches!(event, Some(DisplayEvent::Flip { token, .. }) if token == wanted), "{event:?}");
    }
}

#[test]
fn call_1_call_2_and_call_3_every_call_does_before_and_after_loss_what_its_class_says() {
    let machine = Machine::new();
    let world = World::new(machine.added());
    for call in CALLS {
        assert_eq!(world.call(call.name), Ok(()), "{} before the loss", call.name);
    }
    drop(world);
    machine.finish();

    let machine = Machine::new();
    let world = World::new(machine.added());
    machine.slot.remove();
    machine.removed();
    assert_eq!(world.client.handle.events().try_next(), Some(DisplayEvent::Hotplug { connected: false }), "KMS-1");
    for call in CALLS {
        let answer = world.call(call.name).map_err(CallError::errno);
        let fits = match call.class {
            Class::Device => answer == Err(Errno::ENODEV),
            // New work is refused; what needs no device is done.
            Class::Driver if call.name == "submit" => answer == Err(Errno::ENODEV),
            Class::Always | Class::Complete | Class::Driver => answer == Ok(()),
            Class::Open => answer == Err(Errno::ENXIO),
        };
        assert!(fits, "{} of class {:?} after the loss: {answer:?}", call.name, call.class);
    }
    drop(world);
    machine.finish();
}
