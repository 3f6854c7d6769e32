//! Leases of the display (KMS-4). Who may lease what to whom is [`lifeboat_core::kms::Leases`]'s to say; a lease is
//! software alone, so after a loss it stays, and calls of the lessee answer as those of any other handle.

use std::fmt;

use lifeboat::calls::{Arguments, Bound};
use lifeboat::{CallError, Kind};
use lifeboat_core::kms::{LeaseError, LesseeId, Objects};
use lifeboat_driver::gpu::Gpu;

use super::tenants::Tenant;
use crate::Handle;
use crate::device::{Device, Users};

/// A lease that was granted.
pub struct Lease<G: Gpu> {
    /// By which its lessor calls it.
    pub lessee: LesseeId,
    /// For the lessee: an open handle, which may program what was leased. The lease ends when it is closed.
    pub handle: Handle<G>,
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

impl<G: Gpu> Arguments<Device<G>> for CreateLease<'_> {
    fn check(&self, users: &Users<G>) -> Result<(), CallError> {
        users.gpu.display()?;
        if self.objects == Objects::ALL { Ok(()) } else { Err(LeaseError::Incomplete.into()) }
    }
}

impl<G: Gpu> Arguments<Device<G>> for ListLessees<'_> {
    fn check(&self, _: &Users<G>) -> Result<(), CallError> {
        Ok(())
    }
}

impl<G: Gpu> Arguments<Device<G>> for RevokeLease<'_> {
    fn check(&self, _: &Users<G>) -> Result<(), CallError> {
        Ok(())
    }
}

pub(crate) fn create_lease<G: Gpu>(
    bound: &Bound<'_, Device<G>>,
    CreateLease { tenant, objects }: CreateLease<'_>,
) -> Result<Lease<G>, CallError> {
    let device = bound.device();
    let (tenant, lessee) = tenant.grant(objects)?;
    let handle = Handle::new(device.clone(), tenant, device.0.ledger.enlist(Kind::HANDLE));
    Ok(Lease { lessee, handle })
}

pub(crate) fn list_lessees<G: Gpu>(
    _: &Bound<'_, Device<G>>,
    ListLessees(tenant): ListLessees<'_>,
) -> Result<Vec<LesseeId>, CallError> {
    Ok(tenant.granted())
}

pub(crate) fn get_lease<G: Gpu>(_: &Users<G>, GetLease(tenant): GetLease<'_>) -> Objects {
    tenant.objects()
}

pub(crate) fn revoke_lease<G: Gpu>(
    _: &Users<G>,
    RevokeLease { tenant, lessee }: RevokeLease<'_>,
) -> Result<(), CallError> {
    Ok(tenant.revoke(lessee)?)
}

impl<G: Gpu> fmt::Debug for Lease<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("lessee", &self.lessee).field("handle", &self.handle).finish()
    }
}
