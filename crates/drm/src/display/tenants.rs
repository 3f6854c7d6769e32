//! Handles as the display knows them: who may program it, and who sees what.

use std::fmt;
use std::sync::Arc;

use lifeboat::CallError;
use lifeboat_core::kms::{ClientId, LeaseError, Leases, LesseeId, Objects};
use lifeboat_sync::lint::Mutex;

use crate::locks;

/// Which handles there are, and which of them has leased the display to which.
pub(crate) struct Tenancies(Mutex<Leases>);

impl Tenancies {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(&locks::LEASES, Leases::new()))
    }
}

/// A handle as the display knows it. Dropped, the lease that it holds ends, and so do those that it has granted.
pub(crate) struct Tenant {
    tenancies: Arc<Tenancies>,
    client: ClientId,
    /// The lease that it holds; `None` for a handle that was opened, which holds everything.
    lessee: Option<LesseeId>,
}

impl Tenant {
    pub(crate) fn new(tenancies: &Arc<Tenancies>, lessee: Option<LesseeId>) -> Self {
        let client = tenancies.0.lock().open();
        Self { tenancies: tenancies.clone(), client, lessee }
    }

    /// Whether it may program the display.
    pub(super) fn permit(&self) -> Result<(), CallError> {
        Ok(self.tenancies.0.lock().permit(self.lessee)?)
    }

    /// Grants a lease of these objects: the tenant that holds it, and the number that the lessor
    /// calls it by.
    ///
    /// # Errors
    /// [`LeaseError`], with the reason.
    pub(super) fn grant(&self, objects: Objects) -> Result<(Self, LesseeId), LeaseError> {
        let lessee = self.tenancies.0.lock().grant(self.client, self.lessee, objects)?;
        Ok((Self::new(&self.tenancies, Some(lessee)), lessee))
    }

    /// The leases that it has granted, and that are in force.
    pub(super) fn granted(&self) -> Vec<LesseeId> {
        self.tenancies.0.lock().granted(self.client).collect()
    }

    /// Ends a lease that it has granted.
    ///
    /// # Errors
    /// [`LeaseError`] if there is no such lease.
    pub(super) fn revoke(&self, lessee: LesseeId) -> Result<(), LeaseError> {
        self.tenancies.0.lock().revoke(self.client, lessee)
    }

    /// What it may see.
    pub(super) fn objects(&self) -> Objects {
        self.tenancies.0.lock().objects(self.lessee)
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        self.tenancies.0.lock().close(self.client, self.lessee);
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant").field("lessee", &self.lessee).finish_non_exhaustive()
    }
}
