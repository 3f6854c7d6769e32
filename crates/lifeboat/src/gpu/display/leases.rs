//! Leases of the display (KMS-4). Who may lease what to whom is [`lifeboat_core::kms::Leases`]'s to say; a lease is
//! software alone, so after a loss it stays, and calls of the lessee answer as those of any other handle.

use std::fmt;
use std::sync::Arc;

use lifeboat_core::kms::{ClientId, LeaseError, LesseeId, Objects};

use super::Display;
use crate::calls::{Arguments, Bound};
use crate::gpu::device::{Device, Users};
use crate::ledger::Kind;
use crate::{CallError, Handle};

/// A lease that was granted.
#[derive(Debug)]
pub struct Lease {
    /// By which its lessor calls it.
    pub lessee: LesseeId,
    /// For the lessee: an open handle, which may program what was leased. The lease ends when it is closed.
    pub handle: Handle,
}

/// A handle as the display knows it. Dropped, the lease that it holds ends, and so do those that it has granted.
pub(crate) struct Tenant {
    display: Arc<Display>,
    client: ClientId,
    /// The lease that it holds; `None` for a handle that was opened, which holds everything.
    lessee: Option<LesseeId>,
}

impl Tenant {
    pub(crate) fn new(display: &Arc<Display>, lessee: Option<LesseeId>) -> Self {
        let client = display.leases.lock().open();
        Self { display: display.clone(), client, lessee }
    }

    /// Whether it may program the display.
    pub(super) fn permit(&self) -> Result<(), CallError> {
        Ok(self.display.leases.lock().permit(self.lessee)?)
    }

    /// What it may see.
    pub(super) fn objects(&self) -> Objects {
        self.display.leases.lock().objects(self.lessee)
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        self.display.leases.lock().close(self.client, self.lessee);
    }
}

/// Arguments of `create-lease`.
pub(crate) struct CreateLease<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) objects: Objects,
}

/// Arguments of `list-lessees`.
pub(crate) struct ListLessees<'a>(pub(crate) &'a Tenant);

/// Arguments of `get-lease`.
pub(crate) struct GetLease<'a>(pub(crate) &'a Tenant);

/// Arguments of `revoke-lease`.
pub(crate) struct RevokeLease<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) lessee: LesseeId,
}

impl Arguments<Device> for CreateLease<'_> {
    fn check(&self, _: &Users) -> Result<(), CallError> {
        if self.objects == Objects::ALL { Ok(()) } else { Err(LeaseError::Incomplete.into()) }
    }
}

impl Arguments<Device> for ListLessees<'_> {
    fn check(&self, _: &Users) -> Result<(), CallError> {
        Ok(())
    }
}

impl Arguments<Device> for GetLease<'_> {
    fn check(&self, _: &Users) -> Result<(), CallError> {
        Ok(())
    }
}

impl Arguments<Device> for RevokeLease<'_> {
    fn check(&self, _: &Users) -> Result<(), CallError> {
        Ok(())
    }
}

pub(crate) fn create_lease(
    bound: &Bound<'_, Device>,
    CreateLease { tenant, objects }: CreateLease<'_>,
) -> Result<Lease, CallError> {
    let device = bound.device();
    let lessee = tenant.display.leases.lock().grant(tenant.client, tenant.lessee, objects)?;
    let tenant = Tenant::new(&tenant.display, Some(lessee));
    let handle = Handle::new(device.clone(), tenant, device.0.ledger.enlist(Kind::Handle));
    Ok(Lease { lessee, handle })
}

pub(crate) fn list_lessees(
    _: &Bound<'_, Device>,
    ListLessees(tenant): ListLessees<'_>,
) -> Result<Vec<LesseeId>, CallError> {
    Ok(tenant.display.leases.lock().granted(tenant.client).collect())
}

pub(crate) fn get_lease(_: &Users, GetLease(tenant): GetLease<'_>) -> Result<Objects, CallError> {
    Ok(tenant.objects())
}

pub(crate) fn revoke_lease(_: &Users, RevokeLease { tenant, lessee }: RevokeLease<'_>) -> Result<(), CallError> {
    Ok(tenant.display.leases.lock().revoke(tenant.client, lessee)?)
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant").field("lessee", &self.lessee).finish_non_exhaustive()
    }
}
