//! What the handler of a call is given, by the call's class. It is all that it can reach of the hardware.

use lifeboat_core::class::{Class, Entry, Refusal};
use lifeboat_sync::Section;

use super::reach::{Entered, Reach};
use super::{Call, Callee};
use crate::{CallError, Fence};

/// Opens a device's [way to its hardware](Callee::reach). Nobody else can make one.
pub struct Key(());

/// A live device inside a section of its gate: the unplug waits until this is dropped.
///
/// The hardware may fall silent all the same, at any access: only its owner's promise to wait is in this.
pub struct Bound<'a, D: Callee> {
    driver: &'a D,
    _section: Option<Section<'a>>,
}

/// A device that may be there or not: a handler of class `Driver` enters its gate when it needs to.
pub struct Doorway<'a, D: Callee> {
    driver: &'a D,
}

/// Lets calls in, each as its class says. Made for the code that [`calls!`](crate::calls!) writes.
pub struct Entrance<'a, D: Callee> {
    driver: &'a D,
}

impl<'a, D: Callee> Bound<'a, D> {
    /// The users' side of the device.
    pub fn users(&self) -> &'a D::Users {
        self.driver.users()
    }

    /// Runs `f` on the hardware, in a section that must not block. `None` if it has been cut off meanwhile, which can be
    /// only if the unplug gave up waiting.
    #[track_caller]
    pub fn hardware<R>(&self, f: impl FnOnce(&D::Hardware) -> R) -> Option<R> {
        self.driver.reach(Key(())).access(f)
    }

    /// The device, for objects that are made of it.
    pub fn device(&self) -> &'a D {
        self.driver
    }
}

impl<'a, D: Callee> Doorway<'a, D> {
    /// The users' side of the device.
    pub fn users(&self) -> &'a D::Users {
        self.driver.users()
    }

    /// Why a call that needs the device is refused now.
    pub fn refusal(&self) -> Refusal {
        match Class::Device.entry(self.driver.reach(Key(())).presence()) {
            Entry::Refuse(refusal) => refusal,
            Entry::Proceed | Entry::EnterGate | Entry::Pretend => Refusal::Gone,
        }
    }

    /// Begins a section of the gate. `None` once the loss of the device has been announced. Keep it short.
    #[track_caller]
    pub fn enter(&self) -> Option<Bound<'a, D>> {
        let section = self.driver.reach(Key(())).section()?;
        Some(Bound { driver: self.driver, _section: section })
    }
}

impl<'a, D: Callee> Entrance<'a, D> {
    /// For who makes a call on a device.
    pub fn new(driver: &'a D) -> Self {
        Self { driver }
    }

    /// Lets in a call that gets no hardware.
    ///
    /// # Errors
    /// Those of its arguments and of its handler.
    pub fn always<C: Call<D>>(
        &self,
        call: C,
        handler: impl FnOnce(&D::Users, C) -> Result<C::Reply, CallError>,
    ) -> Result<C::Reply, CallError> {
        self.admit(Class::Always, &call)?;
        handler(self.driver.users(), call)
    }

    /// Lets in a call that needs the device.
    ///
    /// # Errors
    /// ENODEV after loss; then those of its arguments and of its handler.
    #[track_caller]
    pub fn device<C: Call<D>>(
        &self,
        call: C,
        handler: impl FnOnce(&Bound<'_, D>, C) -> Result<C::Reply, CallError>,
    ) -> Result<C::Reply, CallError> {
        let reach = self.admit(Class::Device, &call)?;
        match self.bound(reach.enter(Class::Device)?) {
            Some(bound) => handler(&bound, call),
            None => Err(Refusal::Gone.into()),
        }
    }

    /// Lets in a call that owes an event in any case: the reply is the fence that stands for it.
    ///
    /// # Errors
    /// Those of its arguments and of its handler.
    #[track_caller]
    pub fn complete<C: Call<D, Reply = Fence>>(
        &self,
        call: C,
        handler: impl FnOnce(Option<&Bound<'_, D>>, &D::Users, C) -> Result<Fence, CallError>,
    ) -> Result<Fence, CallError> {
        let reach = self.admit(Class::Complete, &call)?;
        handler(self.bound(reach.enter(Class::Complete)?).as_ref(), self.driver.users(), call)
    }

    /// Lets in a call that enters the gate itself.
    ///
    /// # Errors
    /// Those of its arguments and of its handler.
    pub fn driver<C: Call<D>>(
        &self,
        call: C,
        handler: impl FnOnce(&Doorway<'_, D>, C) -> Result<C::Reply, CallError>,
    ) -> Result<C::Reply, CallError> {
        self.admit(Class::Driver, &call)?;
        handler(&Doorway { driver: self.driver }, call)
    }

    /// Whether there is a device for it, and then whether its arguments make sense. Handlers see no others.
    fn admit<C: Call<D>>(&self, class: Class, call: &C) -> Result<&'a Reach<D::Hardware>, CallError> {
        let reach = self.driver.reach(Key(()));
        if let Entry::Refuse(refusal) = reach.entry(class) {
            return Err(refusal.into());
        }
        call.check(self.driver.users())?;
        Ok(reach)
    }

    fn bound(&self, entered: Entered<'a>) -> Option<Bound<'a, D>> {
        match entered {
            Entered::Section(section) => Some(Bound { driver: self.driver, _section: section }),
            Entered::Without | Entered::Pretend => None,
        }
    }
}
