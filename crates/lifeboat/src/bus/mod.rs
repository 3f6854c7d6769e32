//! The bus side: owns the bindings, as the kernel's driver core does. It probes what is plugged in, unplugs what
//! vanishes or what the driver finds dead, binds again what crashed, and tells subscribers.

mod farewell;
mod request;
mod slot_state;
mod subscribers;
mod visits;
mod watcher;

use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use lifeboat_core::minor::Minor;
use lifeboat_core::recovery::{GivenUp, Remedy};
use lifeboat_core::wedge::{self, Failure};
use lifeboat_pci::Slot;
use lifeboat_sync::lint::Mutex;

use crate::locks;
use crate::module::Holders;
use crate::{Binding, Counts, Dump, Module, Policy, ProbeError, RequestError, UnplugReport};

use request::Reply;
pub use request::Request;
pub use slot_state::SlotState;
use subscribers::Subscribers;
pub use subscribers::Subscription;
pub use visits::Visit;
use visits::Visits;
use watcher::{Message, Watcher};

/// What happened on the bus.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A device can be opened.
    Added {
        /// Its number.
        minor: Minor,
        /// Where it is plugged in.
        location: String,
    },
    /// A device is gone. If the driver found the loss, this event waits until the slot or the next probe has told
    /// whether the device was removed or [replaced](lifeboat_core::unplug::Loss::Replaced), at most
    /// [`Patience::silent`](lifeboat_core::recovery::Patience::silent) (1 s by default) and the time of a probe that is
    /// under way.
    Removed {
        /// How its unplug went.
        report: Arc<UnplugReport>,
    },
    /// A device has failed for good. It can be opened, to ask why, and refuses work until it is recovered: by
    /// [`Bus::rebind`], or by another one in its place.
    Wedged {
        /// Its number.
        minor: Minor,
        /// Where it is plugged in.
        location: String,
        /// What failed.
        failure: Failure,
        /// What a kernel would tell user space.
        event: wedge::WedgeEvent,
        /// How it was taken out of use.
        report: Arc<UnplugReport>,
    },
    /// Something went wrong with a device, and its state was kept before anything was reset: once per incident, and before
    /// whatever else comes of it is told. Or somebody has [asked](Bus::dump) for it.
    Dumped {
        /// Its number.
        minor: Minor,
        /// Where it is plugged in.
        location: String,
        /// The state.
        dump: Arc<Dump>,
    },
    /// A device that has failed is left alone: nothing more is tried by itself, and somebody has to help. Told once.
    LeftAlone {
        /// The number that the device had last, if it ever had one.
        minor: Option<Minor>,
        /// Where it is plugged in.
        location: String,
        /// Why.
        why: GivenUp,
        /// What may help, from the least to the most that it does to the machine. For [`Remedy::Rebind`] there is
        /// [`Bus::bind`].
        helps: &'static [Remedy],
    },
    /// What was plugged in could not be bound.
    ProbeFailed {
        /// Where it is plugged in.
        location: String,
        /// Why.
        error: ProbeError,
    },
}

/// A bus with hot-plug slots. Dropped, it unplugs everything.
pub struct Bus {
    shared: Arc<BusInner>,
    watchers: Vec<Watched>,
}

/// A slot, and the thread that watches it.
struct Watched {
    location: String,
    sender: Sender<Message>,
    state: SlotState,
    thread: JoinHandle<()>,
}

struct BusInner {
    /// `None` only while [`Bus::shutdown`] unloads it.
    module: Mutex<Option<Module>>,
    policy: Policy,
    bindings: Mutex<Vec<Arc<Binding>>>,
    subscribers: Arc<Subscribers>,
    visits: Visits,
}

impl Bus {
    /// A bus without slots, whose devices are driven as `policy` says. The bus itself listens for their losses and dumps.
    pub fn new(module: Module, policy: Policy) -> Self {
        let shared = BusInner {
            module: Mutex::sleeping(&locks::BUS_MODULE, Some(module)),
            policy,
            bindings: Mutex::new(&locks::BINDINGS, Vec::new()),
            subscribers: Arc::default(),
            visits: Visits::default(),
        };
        Self { shared: Arc::new(shared), watchers: Vec::new() }
    }

    /// Watches a slot from now on, and binds what is in it.
    ///
    /// # Errors
    /// [`AlreadyExists`](std::io::ErrorKind::AlreadyExists) if a slot of that name is watched already: a second driver of one
    /// function would be one too many. [`InvalidInput`](std::io::ErrorKind::InvalidInput) if its name has a NUL. Otherwise if
    /// the system cannot start another thread.
    pub fn attach(&mut self, slot: &Arc<impl Slot + 'static>) -> std::io::Result<()> {
        if slot.location().contains('\0') {
            let text = format!("the slot's name has a NUL: {:?}", slot.location());
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, text));
        }
        if self.watchers.iter().any(|watcher| watcher.location == slot.location()) {
            let text = format!("slot {} is attached already", slot.location());
            return Err(std::io::Error::new(std::io::ErrorKind::AlreadyExists, text));
        }
        let (sender, receiver) = mpsc::channel();
        let watcher = Watcher::new(self.shared.clone(), slot.clone(), sender.clone());
        let state = watcher.state();
        let name = format!("slot {}", slot.location());
        let thread = std::thread::Builder::new().name(name).spawn(move || watcher.run(&receiver))?;
        let to_watcher = sender.clone();
        // A watcher that has stopped needs no events.
        slot.watch(Box::new(move |event| drop(to_watcher.send(Message::Slot(event)))));
        self.watchers.push(Watched { location: slot.location().to_owned(), sender, state, thread });
        Ok(())
    }

    /// Tells of everything that happens from now on.
    pub fn subscribe(&self) -> Subscription {
        self.shared.subscribers.add()
    }

    /// The devices of one kind that can be opened now, wedged ones included. Each subsystem has a
    /// type `D` of its own.
    pub fn devices<D: 'static>(&self) -> Vec<D> {
        self.shared.devices()
    }

    /// The device with a number, if it can be opened now and is a `D`.
    pub fn device<D: 'static>(&self, minor: Minor) -> Option<D> {
        self.shared.binding(minor)?.device()
    }

    /// What of the module exists: how many objects of each kind. Waits for a probe that is under way.
    pub fn counts(&self) -> Counts {
        self.shared.module.lock().as_ref().map(Module::counts).unwrap_or_default()
    }

    /// A way to the bus for those who must not keep it: it finds no devices once the bus is gone.
    pub fn weak(&self) -> WeakBus {
        WeakBus(Arc::downgrade(&self.shared))
    }

    /// Unbinds every device while it is still there. Returns at once; [`Event::Removed`] reports each.
    pub fn unbind_all(&self) {
        for Watched { sender, .. } in &self.watchers {
            let _ = sender.send(Message::UnbindAll);
        }
    }

    /// Unbinds the device of this number while it is still there, as the kernel does when asked in sysfs. The device
    /// stays unbound until it is [bound](Self::bind) or plugged in again. The answer is how the unplug went;
    /// [`Event::Removed`] comes, too.
    pub fn unbind(&self, minor: Minor) -> Request<Arc<UnplugReport>> {
        self.ask_about(minor, |reply| Message::Unbind { minor, reply })
    }

    /// Unbinds the device of this number and binds it again, as a new device: this recovers a wedged device, if anything
    /// of the driver's does. The answer is the number of the new device; [`Event::Removed`] and [`Event::Added`] come,
    /// too.
    pub fn rebind(&self, minor: Minor) -> Request<Minor> {
        self.ask_about(minor, |reply| Message::Rebind { minor, reply })
    }

    /// Binds what is in the slot of this name: after [`unbind`](Self::unbind), or after it was left alone because it
    /// failed too often. A device that waits for its recovery is bound at once. The answer is the number of the device;
    /// [`Event::Added`] or [`Event::ProbeFailed`] comes, too.
    pub fn bind(&self, location: &str) -> Request<Minor> {
        self.ask(location, RequestError::NoSuchSlot, Message::Bind)
    }

    /// Asks the watcher of the slot that a device is in.
    fn ask_about<T>(&self, minor: Minor, message: impl FnOnce(Reply<T>) -> Message) -> Request<T> {
        let gone = RequestError::NoSuchDevice(minor);
        match self.shared.binding(minor) {
            Some(binding) => self.ask(&binding.report().location, gone, message),
            None => Request::refused(gone),
        }
    }

    /// Asks the watcher of a slot; `unknown` is the answer if there is none.
    fn ask<T>(&self, location: &str, unknown: RequestError, message: impl FnOnce(Reply<T>) -> Message) -> Request<T> {
        let Some(watched) = self.watchers.iter().find(|watched| watched.location == location) else {
            return Request::refused(unknown);
        };
        let (request, reply) = Request::new();
        // A watcher that has stopped drops the reply, which says so.
        let _ = watched.sender.send(message(reply));
        request
    }

    /// What has happened to the slots so far, and where they were then: each pair that is possible.
    pub fn visits(&self) -> Vec<Visit> {
        self.shared.visits.list()
    }

    /// Tells where the slot of this name is in its lifecycle, if it is watched; also when the bus is gone.
    pub fn slot_state(&self, location: &str) -> Option<SlotState> {
        self.watchers.iter().find(|watched| watched.location == location).map(|watched| watched.state.clone())
    }

    /// Takes a dump of the device of this number as it is now, and tells the subscribers too. `None` if there is no such
    /// device, or it is wedged: then there is the [last](Bus::last_dump).
    pub fn dump(&self, minor: Minor) -> Option<Arc<Dump>> {
        let dump = self.shared.binding(minor)?.dump()?;
        self.shared.tell_dump(&dump);
        Some(dump)
    }

    /// The last dump of the device of this number, if there is such a device and it was ever dumped.
    pub fn last_dump(&self, minor: Minor) -> Option<Arc<Dump>> {
        self.shared.binding(minor)?.last_dump()
    }

    /// Unplugs everything and unloads the module.
    ///
    /// # Errors
    /// [`Holders`] if something of it is still held; the module stays loaded in there.
    pub fn shutdown(mut self) -> Result<(), Box<Holders>> {
        self.stop();
        self.shared.module.lock().take().map_or(Ok(()), Module::unload)
    }

    /// Unplugs everything and watches nothing any more, as [`Bus::shutdown`] and a drop do first. The module stays loaded.
    pub fn stop(&mut self) {
        for Watched { sender, .. } in &self.watchers {
            let _ = sender.send(Message::Stop);
        }
        for Watched { thread, .. } in self.watchers.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a slot's watcher panicked; its device was unplugged on the way");
            }
        }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.stop();
    }
}

/// See [`Bus::weak`].
#[derive(Clone)]
pub struct WeakBus(Weak<BusInner>);

impl WeakBus {
    /// As [`Bus::devices`].
    pub fn devices<D: 'static>(&self) -> Vec<D> {
        self.0.upgrade().map(|shared| shared.devices()).unwrap_or_default()
    }
}

impl BusInner {
    fn devices<D: 'static>(&self) -> Vec<D> {
        self.bindings.lock().iter().filter_map(|binding| binding.device()).collect()
    }

    fn binding(&self, minor: Minor) -> Option<Arc<Binding>> {
        let bindings = self.bindings.lock();
        let is_it = |binding: &&Arc<Binding>| binding.any().minor() == Some(minor);
        bindings.iter().find(is_it).cloned()
    }

    fn tell_dump(&self, dump: &Arc<Dump>) {
        let (minor, location) = (Minor(dump.device.minor), dump.device.location.clone());
        self.tell(&Event::Dumped { minor, location, dump: dump.clone() });
    }

    fn tell(&self, event: &Event) {
        self.subscribers.tell(event);
    }
}
