//! A device of any driver, as far as its calls go.

use std::time::Duration;

use lifeboat_sync::lint::Class;
use lifeboat_sync::{Holdouts, Revocable};

use super::reach::Reach;
use super::{Call, Callee, Entrance, InfallibleCall, Key};
use crate::CallError;

static GATE: Class = Class::new("served.gate");
static HARDWARE: Class = Class::new("served.hardware");

/// A device that serves the calls of a table: `U` is what its users keep when it is lost, `H` what they lose.
///
/// For drivers of other hardware than this crate's. See [`calls!`](crate::calls!) for an example.
pub struct Served<U, H> {
    users: U,
    reach: Reach<H>,
}

impl<U: 'static, H: Send + Sync + 'static> Callee for Served<U, H> {
    type Users = U;
    type Hardware = H;

    fn users(&self) -> &U {
        &self.users
    }

    fn reach(&self, _: Key) -> &Reach<H> {
        &self.reach
    }
}

impl<U: 'static, H: Send + Sync + 'static> Served<U, H> {
    /// A live device.
    pub fn new(users: U, hardware: H) -> Self {
        Self { users, reach: Reach::new(&GATE, Revocable::with_class(&HARDWARE, hardware), true) }
    }

    /// Makes a call.
    ///
    /// # Errors
    /// As its class and its handler say.
    #[track_caller]
    pub fn call<C: Call<Self>>(&self, call: C) -> Result<C::Reply, CallError> {
        call.make(&Entrance::new(self))
    }

    /// Makes a call that cannot fail.
    pub fn ask<C: InfallibleCall<Self>>(&self, call: C) -> C::Reply {
        call.make(&self.users)
    }

    /// The device is lost: waits for the sections of calls, `limit` at most, and drops the hardware. What owes an event
    /// is the driver's to complete, before this.
    ///
    /// # Errors
    /// [`Holdouts`] if sections are still open; then the hardware is dropped at their end.
    pub fn lose(&self, limit: Duration) -> Result<(), Holdouts> {
        self.reach.announce(None);
        let drained = self.reach.gate.drain(limit);
        drained.and(self.reach.hardware.revoke(limit))
    }
}
