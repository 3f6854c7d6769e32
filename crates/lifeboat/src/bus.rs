//! The bus side: owns the bindings, as the kernel's driver core does. It probes what is plugged in, unplugs what
//! vanishes or what the driver finds dead, binds again what crashed, and tells subscribers.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lifeboat_core::Timestamp;
use lifeboat_core::recovery::{Attempts, Next};
use lifeboat_core::unplug::Loss;
use lifeboat_core::wedge::{self, Failure, Method, Methods};
use lifeboat_pci::{ALL_ONES, Function, Slot, SlotEvent, offset};
use lifeboat_sync::lint::Mutex;

use crate::locks;
use crate::module::Holders;
use crate::{Binding, Device, Module, ProbeError, ProbeOptions, UnplugReport};

/// What may help a wedged device: to bind it anew, which resets it, or to reset its bus before.
const METHODS: Methods = Methods::UNKNOWN.with(Method::Rebind).with(Method::BusReset);

/// What happened on the bus.
#[derive(Debug, Clone)]
pub enum Event {
    /// A device can be opened.
    Added {
        /// Its number.
        minor: u32,
        /// Where it is plugged in.
        location: String,
    },
    /// A device is gone.
    Removed {
        /// How its unplug went.
        report: Arc<UnplugReport>,
    },
    /// A device has failed for good. It can be opened, to ask why, and refuses work until it is recovered: by
    /// [`Bus::rebind`], or by another one in its place.
    Wedged {
        /// Its number.
        minor: u32,
        /// Where it is plugged in.
        location: String,
        /// What failed.
        failure: Failure,
        /// What a kernel would tell user space.
        event: wedge::Event,
        /// How it was taken out of use.
        report: Arc<UnplugReport>,
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
    shared: Arc<Shared>,
    watchers: Vec<(Sender<Message>, JoinHandle<()>)>,
}

struct Shared {
    /// `None` only while [`Bus::shutdown`] unloads it.
    module: Mutex<Option<Module>>,
    /// How each device is to be driven.
    options: Box<dyn Fn() -> ProbeOptions + Send + Sync>,
    bindings: Mutex<Vec<Arc<Binding>>>,
    subscribers: Mutex<Vec<Sender<Event>>>,
}

/// What a slot's watcher is told.
enum Message {
    Slot(SlotEvent),
    /// The driver found its device lost.
    Lost {
        /// Which binding of this slot it speaks of; the report may come after that has ended.
        binding: u64,
        loss: Loss,
    },
    Unbind,
    /// The device of this number.
    Rebind(u32),
    Stop,
}

impl Bus {
    /// A bus without slots. `job_timeout` and `drain_limit` are as in [`ProbeOptions`].
    pub fn new(module: Module, job_timeout: Duration, drain_limit: Duration) -> Self {
        Self::with_options(module, move || ProbeOptions { job_timeout, drain_limit, ..ProbeOptions::default() })
    }

    /// A bus without slots, whose devices are driven as `options` says; it is asked for each. The bus itself listens for their
    /// losses ([`ProbeOptions::report_loss`]).
    pub fn with_options(module: Module, options: impl Fn() -> ProbeOptions + Send + Sync + 'static) -> Self {
        let shared = Shared {
            module: Mutex::sleeping(&locks::BUS_MODULE, Some(module)),
            options: Box::new(options),
            bindings: Mutex::new(&locks::BINDINGS, Vec::new()),
            subscribers: Mutex::new(&locks::SUBSCRIBERS, Vec::new()),
        };
        Self { shared: Arc::new(shared), watchers: Vec::new() }
    }

    /// Watches a slot from now on, and binds what is in it.
    ///
    /// # Errors
    /// If the system cannot start another thread.
    pub fn attach(&mut self, slot: &Arc<impl Slot + 'static>) -> std::io::Result<()> {
        let (sender, receiver) = mpsc::channel();
        let mut watcher = Watcher {
            shared: self.shared.clone(),
            slot: slot.clone(),
            sender: sender.clone(),
            binding: None,
            function: None,
            probes: 0,
            attempts: Attempts::new((self.shared.options)().recovery),
            epoch: Instant::now(),
        };
        let name = format!("slot {}", slot.location());
        let thread = std::thread::Builder::new().name(name).spawn(move || watcher.run(&receiver))?;
        let to_watcher = sender.clone();
        // A watcher that has stopped needs no events.
        slot.watch(Box::new(move |event| drop(to_watcher.send(Message::Slot(event)))));
        self.watchers.push((sender, thread));
        Ok(())
    }

    /// Tells of everything that happens from now on.
    pub fn subscribe(&self) -> Receiver<Event> {
        let (sender, receiver) = mpsc::channel();
        self.shared.subscribers.lock().push(sender);
        receiver
    }

    /// The devices that can be opened now, wedged ones included: ask [`Device::is_live`].
    pub fn devices(&self) -> Vec<Device> {
        self.shared.devices()
    }

    /// The device with a number, if it can be opened now.
    pub fn device(&self, minor: u32) -> Option<Device> {
        self.devices().into_iter().find(|device| device.info().minor == minor)
    }

    /// A way to the bus for those who must not keep it: it finds no devices once the bus is gone.
    pub fn weak(&self) -> WeakBus {
        WeakBus(Arc::downgrade(&self.shared))
    }

    /// Unbinds every device while it is still there. Returns at once; [`Event::Removed`] reports each.
    pub fn unbind_all(&self) {
        for (sender, _) in &self.watchers {
            let _ = sender.send(Message::Unbind);
        }
    }

    /// Unbinds the device of this number and binds it again, as a new one: what recovers a wedged device, if anything of the
    /// driver's does. Returns at once; [`Event::Removed`] and [`Event::Added`] report.
    pub fn rebind(&self, minor: u32) {
        for (sender, _) in &self.watchers {
            let _ = sender.send(Message::Rebind(minor));
        }
    }

    /// Unplugs everything and unloads the module.
    ///
    /// # Errors
    /// [`Holders`] if something of it is still held; the module stays loaded in there.
    pub fn shutdown(mut self) -> Result<(), Box<Holders>> {
        self.stop();
        self.shared.module.lock().take().map_or(Ok(()), Module::unload)
    }

    fn stop(&mut self) {
        for (sender, _) in &self.watchers {
            let _ = sender.send(Message::Stop);
        }
        for (_, thread) in self.watchers.drain(..) {
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
pub struct WeakBus(Weak<Shared>);

impl WeakBus {
    /// The devices that can be opened now, wedged ones included: ask [`Device::is_live`].
    pub fn devices(&self) -> Vec<Device> {
        self.0.upgrade().map(|shared| shared.devices()).unwrap_or_default()
    }
}

impl Shared {
    fn devices(&self) -> Vec<Device> {
        self.bindings.lock().iter().filter_map(|binding| binding.device()).collect()
    }

    fn tell(&self, event: &Event) {
        self.subscribers.lock().retain(|subscriber| subscriber.send(event.clone()).is_ok());
    }
}

/// One slot's share of the bus, on a thread of its own: one slot's slow unplug never delays another's.
struct Watcher {
    shared: Arc<Shared>,
    slot: Arc<dyn Slot>,
    /// Given to the driver, to report a loss.
    sender: Sender<Message>,
    binding: Option<Arc<Binding>>,
    /// What `binding` is to.
    function: Option<Arc<dyn Function>>,
    /// Counts this slot's bindings, so that each has a number.
    probes: u64,
    /// How often what the driver gave up has been bound again since it was plugged in.
    attempts: Attempts,
    /// What time is counted from.
    epoch: Instant,
}

impl Watcher {
    fn run(&mut self, messages: &Receiver<Message>) {
        // `self.sender` keeps the channel open: this ends by `Stop`.
        for message in messages {
            match message {
                Message::Slot(SlotEvent::Present) => {
                    self.attempts.renewed();
                    self.probe();
                }
                // The news may be old: by now another device may be there, and bound after the driver found the first
                // dead.
                Message::Slot(SlotEvent::Absent) if self.is_there() => {}
                Message::Slot(SlotEvent::Absent) => self.unplug(Loss::Unplugged),
                Message::Lost { binding, .. } if binding != self.probes || self.binding.is_none() => {}
                Message::Lost { loss, .. } => match (self.attempts.failed(self.now()), loss.failure()) {
                    (Next::Wedge, Some(failure)) => self.wedge(failure),
                    (next, _) => {
                        self.unplug(loss);
                        self.recover(next);
                    }
                },
                Message::Rebind(minor) if self.minor() == Some(minor) => {
                    self.unplug(Loss::Unbound);
                    self.attempts.renewed();
                    self.probe();
                }
                Message::Rebind(_) => {}
                Message::Unbind => self.unplug(Loss::Unbound),
                Message::Stop => break,
            }
        }
        self.unplug(Loss::Unbound);
    }

    /// Binds again what the driver gave up, as often as its budget allows. What has been pulled out comes back by being
    /// plugged in.
    fn recover(&mut self, mut next: Next) {
        while let (None, Some(function)) = (&self.binding, self.slot.function()) {
            let location = self.slot.location();
            match next {
                Next::Recover(attempt) => {
                    tracing::warn!(location, attempt, "the device is bound again");
                    self.bind(function);
                    if self.binding.is_some() {
                        self.attempts.recovered(self.now());
                    }
                }
                Next::Wedge => {
                    tracing::error!(
                        location,
                        "the device cannot be bound any more, and is left alone until it is replaced"
                    );
                    return;
                }
            }
            if self.binding.is_none() {
                next = self.attempts.failed(self.now());
            }
        }
    }

    /// The driver has done what it could.
    fn wedge(&mut self, failure: Failure) {
        let Some((event, report)) = self.binding.as_ref().and_then(|binding| binding.wedge(failure, METHODS)) else {
            return;
        };
        let location = self.slot.location().to_owned();
        self.shared.tell(&Event::Wedged { minor: report.minor, location, failure, event, report });
    }

    fn minor(&self) -> Option<u32> {
        Some(self.binding.as_ref()?.device()?.info().minor)
    }

    fn now(&self) -> Timestamp {
        Timestamp::new(self.epoch.elapsed())
    }

    /// Whether the bound device still answers in configuration space.
    fn is_there(&self) -> bool {
        let id = self.function.as_ref().map(|function| function.config().read32(offset::ID));
        matches!(id, Some(Ok(id)) if id != ALL_ONES && id != 0)
    }

    fn probe(&mut self) {
        if let (None, Some(function)) = (&self.binding, self.slot.function()) {
            self.bind(function);
        }
    }

    fn bind(&mut self, function: Arc<dyn Function>) {
        self.probes += 1;
        let binding = self.probes;
        let sender = self.sender.clone();
        let options = ProbeOptions {
            // A watcher that has stopped has unplugged the device already.
            report_loss: Box::new(move |loss| drop(sender.send(Message::Lost { binding, loss }))),
            ..(self.shared.options)()
        };
        let probed = match &*self.shared.module.lock() {
            Some(module) => module.probe(&function, options),
            None => Err(ProbeError::Unloading),
        };
        let location = self.slot.location().to_owned();
        match probed {
            Ok(binding) => {
                let binding = Arc::new(binding);
                let minor = binding.device().map(|device| device.info().minor);
                self.binding = Some(binding.clone());
                self.function = Some(function);
                self.shared.bindings.lock().push(binding);
                if let Some(minor) = minor {
                    self.shared.tell(&Event::Added { minor, location });
                }
            }
            Err(error) => {
                tracing::warn!(location, %error, "probe failed");
                self.shared.tell(&Event::ProbeFailed { location, error });
            }
        }
    }

    fn unplug(&mut self, loss: Loss) {
        let Some(binding) = self.binding.take() else { return };
        self.function = None;
        // Out of the list first: whoever asks for devices finds only what can be opened.
        self.shared.bindings.lock().retain(|other| !Arc::ptr_eq(other, &binding));
        if let Some(report) = binding.unplug(loss) {
            self.shared.tell(&Event::Removed { report });
        }
    }
}
