//! Leases of the display: who may program it, before and after its loss (KMS-4).

use super::*;

/// What each call on the display answers.
fn answers(handle: &Handle, picture: &Buffer) -> [(&'static str, Option<Errno>); 6] {
    let mode = lifeboat_lb1_hosted::Mode { width: 64, height: 64, refresh_millihertz: RATE };
    let wait = |fence: Result<Fence, CallError>| fence.map(|fence| assert_eq!(fence.wait(LONG), Ok(())));
    [
        ("mode-set", errno(handle.set_mode(Some((picture, mode))))),
        ("page-flip", errno(wait(handle.flip(picture, Some(1))))),
        ("test", errno(handle.atomic(&Commit { kind: CommitKind::TestOnly, ..of(picture) }))),
        ("atomic", errno(wait(handle.atomic(&Commit { event: Some(2), ..of(picture) })))),
        ("queue-vblank", errno(wait(handle.queue_vblank(3)))),
        ("get-connector", errno(handle.connector())),
    ]
}

const RATE: u32 = lifeboat_lb1::REFRESH_MILLIHERTZ;

fn all(answer: Option<Errno>) -> [(&'static str, Option<Errno>); 6] {
    ["mode-set", "page-flip", "test", "atomic", "queue-vblank", "get-connector"].map(|call| (call, answer))
}

#[test]
fn kms_4_a_lessee_programs_what_it_was_leased_and_its_lessor_goes_on() {
    let machine = Machine::new();
    let device = machine.added();
    let client = Client::new(&device);
    let other = device.open().unwrap();
    let [first, second] = [painted(&client, 3), painted(&client, 9)];
    let Lease { lessee, handle } = client.handle.create_lease(Objects::ALL).unwrap();
    assert_eq!(answers(&handle, &first), all(None));
    assert_eq!(shade(machine.card()), Some(3));
    assert_eq!(tally(&handle).0, Answers::from([(1, 1), (2, 1), (3, 1)]), "its events are its own");
    assert_eq!(answers(&client.handle, &second), all(None));
    assert_eq!(shade(machine.card()), Some(9));
    // Exclusive, and not to be leased on.
    for handle in [&client.handle, &other] {
        assert_eq!(errno(handle.create_lease(Objects::ALL)), Some(Errno::EBUSY));
    }
    assert_eq!(errno(handle.create_lease(Objects::ALL)), Some(Errno::EINVAL));
    assert_eq!(errno(other.create_lease(Objects { plane: false, ..Objects::ALL })), Some(Errno::EINVAL));
    assert_eq!((client.handle.lessees().unwrap(), other.lessees().unwrap()), (vec![lessee], vec![]));
    assert_eq!([&handle, &other].map(Handle::leased), [Objects::ALL; 2]);
    assert_eq!(errno(other.revoke_lease(lessee)), Some(Errno::ENOENT), "it is not its own");
    drop((first, second, handle, other, client, device));
    machine.finish();
}

#[test]
fn kms_4_a_revoked_lease_leaves_its_lessee_nothing_of_the_display_and_all_else() {
    let machine = Machine::new();
    let device = machine.added();
    let client = Client::new(&device);
    let picture = painted(&client, 3);
    client.show(&picture).unwrap();
    let Lease { lessee, handle } = client.handle.create_lease(Objects::ALL).unwrap();
    let flip = handle.flip(&picture, Some(7)).unwrap();
    client.handle.revoke_lease(lessee).unwrap();
    assert_eq!(errno(client.handle.revoke_lease(lessee)), Some(Errno::ENOENT));
    assert_eq!((flip.wait(LONG), is_flip(handle.events().wait(LONG), 7)), (Ok(()), true), "it was accepted");
    assert_eq!(answers(&handle, &picture), all(Some(Errno::ENOENT)));
    let resources = handle.resources();
    assert_eq!((resources.connectors, resources.crtcs, resources.planes), (0, 0, 0));
    assert_eq!((handle.leased(), client.handle.lessees()), (Objects::NONE, Ok(vec![])));
    handle.create_buffer(Placement::Host, 4096).unwrap();
    // The next lease is another.
    let next = client.handle.create_lease(Objects::ALL).unwrap();
    assert_ne!(next.lessee, lessee);
    assert_eq!((answers(&next.handle, &picture), handle.leased()), (all(None), Objects::NONE));
    // A lease ends when its lessee closes, and when its lessor does.
    drop(next);
    let lessor = device.open().unwrap();
    let last = lessor.create_lease(Objects::ALL).unwrap();
    drop(lessor);
    assert_eq!(last.handle.leased(), Objects::NONE);
    drop(client.handle.create_lease(Objects::ALL).unwrap());
    drop((picture, handle, last, client, device));
    machine.finish();
}

#[test]
fn kms_4_a_lease_of_a_display_that_vanished_is_refused_and_one_there_is_answers_as_any_handle() {
    for revoked in [false, true] {
        let machine = Machine::new();
        let device = machine.added();
        let client = Client::new(&device);
        let picture = painted(&client, 3);
        client.show(&picture).unwrap();
        let Lease { lessee, handle } = client.handle.create_lease(Objects::ALL).unwrap();
        let flip = handle.flip(&picture, Some(7)).unwrap();
        machine.slot.remove();
        machine.removed();
        assert_eq!(flip.wait(LONG), Ok(()));
        let (mut told, hotplugs) = tally(&handle);
        assert_eq!((told.remove(&7), hotplugs), (Some(1), 1), "KMS-1 and KMS-3 hold for a lessee");
        if revoked {
            client.handle.revoke_lease(lessee).unwrap();
        }
        for handle in [&client.handle, &handle] {
            assert_eq!(errno(handle.create_lease(Objects::ALL)), Some(Errno::ENODEV));
            assert_eq!(errno(handle.lessees()), Some(Errno::ENODEV));
        }
        // The mode set needs the device, and says so first.
        let expected = |other| {
            let mut expected = all(other);
            expected[0].1 = Some(Errno::ENODEV);
            expected
        };
        assert_eq!(answers(&client.handle, &picture), expected(None));
        let of_lessee = if revoked { Some(Errno::ENOENT) } else { None };
        assert_eq!(answers(&handle, &picture), expected(of_lessee));
        let owed = if revoked { Answers::new() } else { Answers::from([(1, 1), (2, 1), (3, 1)]) };
        assert_eq!(tally(&handle).0, owed);
        let leased = if revoked { Objects::NONE } else { Objects::ALL };
        assert_eq!(handle.leased(), leased, "a loss ends no lease");
        if !revoked {
            // Nor does it keep one from being ended.
            client.handle.revoke_lease(lessee).unwrap();
            assert_eq!(handle.leased(), Objects::NONE);
        }
        drop((picture, handle, client, device));
        machine.finish();
    }
}

#[test]
fn kms_4_leases_that_race_with_the_loss_are_granted_or_refused_and_leave_nothing() {
    for _ in 0..20 {
        let mut machine = Machine::new();
        let device = plugged(&mut machine);
        let client = device.open().unwrap();
        std::thread::scope(|scope| {
            let leases = scope.spawn(|| {
                loop {
                    match client.create_lease(Objects::ALL) {
                        Ok(lease) => client.revoke_lease(lease.lessee).unwrap(),
                        Err(error) => return error.errno(),
                    }
                }
            });
            machine.slot.remove();
            machine.removed();
            assert_eq!(leases.join().unwrap(), Errno::ENODEV);
        });
        drop((client, device));
        machine.finish();
    }
}
