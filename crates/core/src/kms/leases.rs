//! Leases: one client lets another client program the display (KMS-4).
//!
//! The rules are these:
//!
//! - A lease holds at least a CRTC, a connector and a plane.
//! - An object is in one lease at a time.
//! - A lessee sees and programs the leased objects, and cannot grant leases.
//! - The lessor keeps all of its rights, and can revoke the lease. A revoked lease leaves its
//!   lessee without objects.
//! - After a loss of the device no lease is granted. Existing leases stay, because a lease is only
//!   software.
//!
//! The kernel's DRM leases have the same rules, with three differences. Here a lease without
//! objects is refused. A lease that was revoked, or granted by another handle, is not found
//! (ENOENT). And every open handle is a master.

use core::fmt;

/// Set of display objects. The display has one object of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Objects {
    /// Whether the set holds the CRTC.
    pub crtc: bool,
    /// Whether the set holds the connector.
    pub connector: bool,
    /// Whether the set holds the plane.
    pub plane: bool,
}

impl Objects {
    /// The set of all objects.
    pub const ALL: Self = Self { crtc: true, connector: true, plane: true };
    /// The empty set.
    pub const NONE: Self = Self { crtc: false, connector: false, plane: false };
}

/// Client of the display, which is an open handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientId(u64);

/// Number of a lessee, which also names the lease. A number is never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LesseeId(u64);

impl LesseeId {
    /// Returns the number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for LesseeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Reason why a lease cannot be granted, revoked or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseError {
    /// The lease lacks an object, so the lessee could not show anything.
    Incomplete,
    /// An object is in another lease.
    Leased,
    /// The caller is a lessee itself.
    Sublease,
    /// The caller has granted no such lease, or the lease has ended.
    NoSuchLessee,
    /// The caller's own lease was revoked, so the caller has nothing to program.
    Revoked,
}

impl fmt::Display for LeaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Incomplete => "a lease needs a CRTC, a connector and a plane",
            Self::Leased => {
                "one of the objects is leased already; revoke that lease, or wait until its lessee has closed"
            }
            Self::Sublease => "a lessee grants no leases",
            Self::NoSuchLessee => "this handle has granted no such lease, or it has ended",
            Self::Revoked => "the lease of this handle was revoked; close it, and ask for another one",
        })
    }
}

impl core::error::Error for LeaseError {}

#[derive(Debug, Clone, Copy)]
struct Lease {
    lessee: LesseeId,
    lessor: ClientId,
    objects: Objects,
}

/// All leases of a display.
#[derive(Debug, Clone, Default)]
pub struct Leases {
    clients: u64,
    lessees: u64,
    /// The lease in force. There is at most one, because a lease needs the only CRTC.
    lease: Option<Lease>,
}

impl Leases {
    /// Creates a display without clients and leases.
    pub const fn new() -> Self {
        Self { clients: 0, lessees: 0, lease: None }
    }

    /// Registers a new client and returns its unique id.
    pub fn open(&mut self) -> ClientId {
        self.clients += 1;
        ClientId(self.clients)
    }

    /// Grants a lease. `lessee` is the lease that the caller holds itself, if any. The caller must
    /// have checked that the device is present.
    ///
    /// # Errors
    /// [`LeaseError::Sublease`], [`LeaseError::Incomplete`] or [`LeaseError::Leased`]. On an error
    /// nothing changes.
    pub fn grant(
        &mut self,
        lessor: ClientId,
        lessee: Option<LesseeId>,
        objects: Objects,
    ) -> Result<LesseeId, LeaseError> {
        if lessee.is_some() {
            return Err(LeaseError::Sublease);
        }
        if objects != Objects::ALL {
            return Err(LeaseError::Incomplete);
        }
        if self.lease.is_some() {
            return Err(LeaseError::Leased);
        }
        self.lessees += 1;
        let lessee = LesseeId(self.lessees);
        self.lease = Some(Lease { lessee, lessor, objects });
        Ok(lessee)
    }

    /// Returns the objects that a client may see and program: all objects for a master, the leased
    /// objects for a lessee.
    pub fn objects(&self, lessee: Option<LesseeId>) -> Objects {
        let Some(lessee) = lessee else { return Objects::ALL };
        self.lease.filter(|lease| lease.lessee == lessee).map_or(Objects::NONE, |lease| lease.objects)
    }

    /// Checks that a client may program the display.
    ///
    /// # Errors
    /// [`LeaseError::Revoked`] for a lessee whose lease was revoked.
    pub fn permit(&self, lessee: Option<LesseeId>) -> Result<(), LeaseError> {
        if self.objects(lessee) == Objects::ALL {
            Ok(())
        } else {
            Err(LeaseError::Revoked)
        }
    }

    /// Iterates over the leases in force that a client has granted.
    pub fn granted(&self, lessor: ClientId) -> impl Iterator<Item = LesseeId> {
        self.lease.filter(|lease| lease.lessor == lessor).map(|lease| lease.lessee).into_iter()
    }

    /// Revokes a lease that the caller has granted.
    ///
    /// # Errors
    /// [`LeaseError::NoSuchLessee`].
    pub fn revoke(&mut self, lessor: ClientId, lessee: LesseeId) -> Result<(), LeaseError> {
        let revoked = self.lease.take_if(|lease| lease.lessor == lessor && lease.lessee == lessee);
        revoked.map(drop).ok_or(LeaseError::NoSuchLessee)
    }

    /// Closes a client. The lease that the client held ends, and so do the leases that it had
    /// granted.
    pub fn close(&mut self, client: ClientId, lessee: Option<LesseeId>) {
        self.lease = self.lease.filter(|lease| lease.lessor != client && Some(lease.lessee) != lessee);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn granted(leases: &Leases, lessor: ClientId) -> Vec<LesseeId> {
        leases.granted(lessor).collect()
    }

    #[test]
    fn kms_4_an_object_is_in_one_lease_at_a_time_and_a_lessee_grants_none() {
        let mut leases = Leases::new();
        let (owner, other) = (leases.open(), leases.open());
        for objects in [
            Objects::NONE,
            Objects { crtc: false, ..Objects::ALL },
            Objects { connector: false, ..Objects::ALL },
            Objects { plane: false, ..Objects::ALL },
        ] {
            assert_eq!(leases.grant(owner, None, objects), Err(LeaseError::Incomplete));
        }
        let lessee = leases.grant(owner, None, Objects::ALL).unwrap();
        assert_eq!(leases.grant(owner, None, Objects::ALL), Err(LeaseError::Leased));
        assert_eq!(leases.grant(other, None, Objects::ALL), Err(LeaseError::Leased));
        assert_eq!(leases.grant(other, Some(lessee), Objects::ALL), Err(LeaseError::Sublease));
        assert_eq!((leases.objects(Some(lessee)), leases.objects(None)), (Objects::ALL, Objects::ALL));
        assert_eq!((granted(&leases, owner), granted(&leases, other)), (Vec::from([lessee]), Vec::new()));
    }

    #[test]
    fn kms_4_a_revoked_lease_leaves_its_lessee_nothing_and_the_next_one_is_another() {
        let mut leases = Leases::new();
        let (owner, other) = (leases.open(), leases.open());
        let first = leases.grant(owner, None, Objects::ALL).unwrap();
        assert_eq!(leases.revoke(other, first), Err(LeaseError::NoSuchLessee), "it is not its own");
        assert_eq!(leases.permit(Some(first)), Ok(()));
        leases.revoke(owner, first).unwrap();
        assert_eq!(leases.revoke(owner, first), Err(LeaseError::NoSuchLessee));
        assert_eq!(
            (leases.objects(Some(first)), leases.permit(Some(first))),
            (Objects::NONE, Err(LeaseError::Revoked))
        );
        let second = leases.grant(other, None, Objects::ALL).unwrap();
        assert_ne!(first, second);
        assert_eq!(leases.permit(Some(first)), Err(LeaseError::Revoked), "what is leased anew is not given back to it");
        assert_eq!(leases.permit(None), Ok(()), "the lessor keeps its rights");
    }

    /// Step of a client in the model below.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Open,
        Grant(usize),
        Revoke(usize, usize),
        Close(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            Just(Step::Open),
            (0..8_usize).prop_map(Step::Grant),
            (0..8_usize, 0..8_usize).prop_map(|(lessor, lessee)| Step::Revoke(lessor, lessee)),
            (0..8_usize).prop_map(Step::Close),
        ]
    }

    proptest! {
        /// Compares with a model: a list of clients, each with the lease that it holds and the
        /// lessor of this lease.
        #[test]
        fn kms_4_there_is_one_lease_at_most_and_it_ends_with_its_lessor_its_lessee_or_its_revocation(
            steps in proptest::collection::vec(step(), 0..60),
        ) {
            let mut leases = Leases::new();
            let mut clients: Vec<(ClientId, Option<LesseeId>)> = Vec::new();
            let mut in_force: Option<(ClientId, LesseeId)> = None;
            for step in steps {
                match step {
                    Step::Open => clients.push((leases.open(), None)),
                    Step::Grant(at) => {
                        let Some(&(client, lessee)) = clients.get(at) else { continue };
                        let answer = leases.grant(client, lessee, Objects::ALL);
                        prop_assert_eq!(answer.is_ok(), lessee.is_none() && in_force.is_none());
                        if let Ok(lessee) = answer {
                            in_force = Some((client, lessee));
                            clients.push((leases.open(), Some(lessee)));
                        }
                    }
                    Step::Revoke(lessor, lessee) => {
                        let (Some(&(client, _)), Some(&(_, Some(lessee)))) = (clients.get(lessor), clients.get(lessee))
                        else {
                            continue;
                        };
                        let its_own = in_force == Some((client, lessee));
                        prop_assert_eq!(leases.revoke(client, lessee).is_ok(), its_own);
                        in_force = in_force.filter(|_| !its_own);
                    }
                    Step::Close(at) => {
                        if at >= clients.len() {
                            continue;
                        }
                        let (client, lessee) = clients.remove(at);
                        leases.close(client, lessee);
                        in_force = in_force.filter(|(lessor, leased)| *lessor != client && Some(*leased) != lessee);
                    }
                }
                for (client, lessee) in &clients {
                    let holds = lessee.is_none() || in_force.map(|(_, lessee)| lessee) == *lessee;
                    prop_assert_eq!(leases.permit(*lessee).is_ok(), holds);
                    let expected: Vec<_> =
                        in_force.iter().filter(|(lessor, _)| lessor == client).map(|(_, lessee)| *lessee).collect();
                    prop_assert_eq!(granted(&leases, *client), expected);
                }
            }
        }
    }
}
