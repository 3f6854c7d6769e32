//! Leases: one client lets another program a part of the display, and only that (KMS-4).
//!
//! The rules are those of the kernel's DRM leases, with these differences: a lease of nothing is refused, a lease
//! that was revoked or is another handle's is not found (ENOENT), and every opened handle is a master. A lease has a CRTC, a connector and a plane at least; an object is in one
//! lease at a time; a lessee sees and programs what it was leased and grants no leases itself; who granted a lease keeps all of
//! its own rights, and can revoke it. A revoked lease leaves its lessee with nothing. A lease is software alone, so the
//! loss of the device changes none of this but that no new ones are granted.

use core::fmt;

/// A set of the display's objects. There is one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Objects {
    /// The CRTC.
    pub crtc: bool,
    /// The connector.
    pub connector: bool,
    /// The plane.
    pub plane: bool,
}

impl Objects {
    /// All there are.
    pub const ALL: Self = Self { crtc: true, connector: true, plane: true };
    /// None.
    pub const NONE: Self = Self { crtc: false, connector: false, plane: false };
}

/// A client of the display: an open handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientId(u64);

/// A lease, by the number of its lessee. Never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LesseeId(u64);

impl LesseeId {
    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for LesseeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a lease is not granted, not revoked or not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseError {
    /// It lacks an object without which nothing can be shown.
    Incomplete,
    /// One of the objects is in another lease.
    Leased,
    /// The caller is a lessee itself.
    Sublease,
    /// The caller has granted no such lease, or it has ended.
    NoSuchLessee,
    /// The caller's own lease was revoked: it has nothing to program.
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

/// Who has leased what to whom.
#[derive(Debug, Clone, Default)]
pub struct Leases {
    clients: u64,
    lessees: u64,
    /// The lease in force: there is one CRTC, and a lease has one.
    lease: Option<Lease>,
}

impl Leases {
    /// No client, no lease.
    pub const fn new() -> Self {
        Self { clients: 0, lessees: 0, lease: None }
    }

    /// A client was opened. The number is no other's.
    pub fn open(&mut self) -> ClientId {
        self.clients += 1;
        ClientId(self.clients)
    }

    /// Grants a lease. `lessee` says which one the caller holds itself, if it does. Whether there is still a device is the
    /// caller's to know.
    ///
    /// # Errors
    /// [`LeaseError::Sublease`], [`LeaseError::Incomplete`], [`LeaseError::Leased`]; then nothing has changed.
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

    /// What a client may see and program: everything, or what it was leased.
    pub fn objects(&self, lessee: Option<LesseeId>) -> Objects {
        let Some(lessee) = lessee else { return Objects::ALL };
        self.lease.filter(|lease| lease.lessee == lessee).map_or(Objects::NONE, |lease| lease.objects)
    }

    /// Whether a client may program the display.
    ///
    /// # Errors
    /// [`LeaseError::Revoked`].
    pub fn permit(&self, lessee: Option<LesseeId>) -> Result<(), LeaseError> {
        if self.objects(lessee) == Objects::ALL {
            Ok(())
        } else {
            Err(LeaseError::Revoked)
        }
    }

    /// The leases that a client has granted and that are in force.
    pub fn granted(&self, lessor: ClientId) -> impl Iterator<Item = LesseeId> {
        self.lease.filter(|lease| lease.lessor == lessor).map(|lease| lease.lessee).into_iter()
    }

    /// Takes back a lease that the caller has granted.
    ///
    /// # Errors
    /// [`LeaseError::NoSuchLessee`].
    pub fn revoke(&mut self, lessor: ClientId, lessee: LesseeId) -> Result<(), LeaseError> {
        let revoked = self.lease.take_if(|lease| lease.lessor == lessor && lease.lessee == lessee);
        revoked.map(drop).ok_or(LeaseError::NoSuchLessee)
    }

    /// A client was closed: the lease that it held ends, and so do those that it had granted.
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

    /// What a client of the model below does.
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
        /// Against a list of clients, each with the lease that it holds and by whom that was granted.
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
