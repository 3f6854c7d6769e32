//! Whatever a client asks, the handlers answer: random sequences of calls, hostile arguments among them.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

use std::fs::File;
use std::sync::Arc;

use lifeboat_gpu::{Config, Fault, Iommu};
use lifeboat_gpu_server::{Bay, ServedCard};
use proptest::prelude::*;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, memfd_create};
use vfio_user::{DmaMapFlags, DmaUnmapFlags, ServerBackend};

/// One call of a handler, or an event of the card.
#[derive(Debug, Clone)]
enum Call {
    Read { region: u32, offset: u64, len: usize },
    Write { region: u32, offset: u64, data: Vec<u8> },
    Map { flags: u32, offset: u64, address: u64, size: u64, fd: Descriptor },
    Unmap { flags: u32, address: u64, size: u64 },
    Reset,
    SetIrqs { index: u32, flags: u32, start: u32, count: u32, fds: Vec<Descriptor> },
    Gone,
    Replace,
    Reattach,
}

/// What a client may pass along.
#[derive(Debug, Clone, Copy)]
enum Descriptor {
    None,
    Memory,
    Empty,
    Directory,
    Eventfd,
    Socket,
}

impl Descriptor {
    fn open(self) -> Option<File> {
        match self {
            Self::None => None,
            Self::Memory | Self::Empty => {
                let file = File::from(memfd_create("hostile", MemfdFlags::CLOEXEC).unwrap());
                file.set_len(if matches!(self, Self::Memory) { 1 << 16 } else { 0 }).unwrap();
                Some(file)
            }
            Self::Directory => Some(File::open("/").unwrap()),
            Self::Eventfd => Some(File::from(eventfd(u32::MAX, EventfdFlags::CLOEXEC).unwrap())),
            Self::Socket => {
                let (socket, _) = std::os::unix::net::UnixStream::pair().unwrap();
                Some(File::from(std::os::fd::OwnedFd::from(socket)))
            }
        }
    }
}

fn descriptor() -> impl Strategy<Value = Descriptor> {
    use Descriptor::{Directory, Empty, Eventfd, Memory, None, Socket};

    prop_oneof![6 => Just(Memory), 3 => Just(Eventfd), 1 => Just(None), 1 => Just(Empty), 1 => Just(Directory), 1 => Just(Socket)]
}

/// Numbers that are likely to mean something, or to be just past it.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        (0..64_u64).prop_map(|page| page << 12),
        0..0x200_u64,
        (0..0x4_0010_u64).prop_map(|offset| offset & !3),
        (0..64_u32, -2..3_i64).prop_map(|(bit, by)| (1_u64 << bit).wrapping_add_signed(by)),
        any::<u64>(),
    ]
}

fn narrow() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0..12_u32, 2 => (0..32_u32).prop_map(|bit| 1 << bit), 1 => any::<u32>()]
}

fn call() -> impl Strategy<Value = Call> {
    let region = || prop_oneof![8 => prop_oneof![Just(0_u32), Just(2), Just(7)], 2 => narrow()];
    let data = || prop::collection::vec(any::<u8>(), 0..64);
    let fds = || prop::collection::vec(descriptor(), 0..6);
    prop_oneof![
        6 => (region(), number(), 0..600_usize).prop_map(|(region, offset, len)| Call::Read { region, offset, len }),
        8 => (region(), number(), data()).prop_map(|(region, offset, data)| Call::Write { region, offset, data }),
        // Words, so that registers are reached, too.
        8 => (number(), any::<u32>()).prop_map(|(offset, word)| {
            Call::Write { region: 0, offset: offset & 0x3_fffc, data: word.to_le_bytes().to_vec() }
        }),
        8 => (0..8_u32, number(), number(), number(), descriptor())
            .prop_map(|(flags, offset, address, size, fd)| Call::Map { flags, offset, address, size, fd }),
        6 => (narrow(), number(), number()).prop_map(|(flags, address, size)| Call::Unmap { flags, address, size }),
        4 => (narrow(), prop_oneof![Just(0x24_u32), Just(0x21), narrow()], narrow(), narrow(), fds())
            .prop_map(|(index, flags, start, count, fds)| Call::SetIrqs { index, flags, start, count, fds }),
        // What makes sense but for the descriptors.
        4 => (0..4_u32, fds()).prop_map(|(start, fds)| {
            Call::SetIrqs { index: 1, flags: 0x24, start, count: u32::try_from(fds.len()).unwrap(), fds }
        }),
        1 => Just(Call::Reset),
        1 => Just(Call::Gone),
        1 => Just(Call::Replace),
        1 => Just(Call::Reattach),
    ]
}

/// Carries out a call; whether it was refused is checked only where that is clear.
fn carry_out(bay: &Arc<Bay>, card: &mut Option<ServedCard>, call: Call) {
    let served = card.as_mut().unwrap();
    match call {
        Call::Read { region, offset, len } => {
            let mut data = vec![0x55; len];
            let fits = |size: u64| offset.checked_add(len as u64).is_some_and(|end| end <= size);
            let answered = served.region_read(region, offset, &mut data).is_ok();
            match region {
                7 => assert_eq!(answered, fits(256)),
                2 => assert_eq!(answered, fits(1 << 20)),
                0 => assert_eq!(answered, fits(0x4_0000) && offset.is_multiple_of(4) && len.is_multiple_of(4)),
                _ => assert!(!answered, "region {region}"),
            }
            if answered && !bay.card().is_present() {
                assert!(data.iter().all(|byte| *byte == 0xff));
            }
        }
        Call::Write { region, offset, data } => drop(served.region_write(region, offset, &data)),
        Call::Map { flags, offset, address, size, fd } => {
            let before = bay.mappings();
            let flags = DmaMapFlags::from_bits_retain(flags);
            let mapped = served.dma_map(flags, offset, address, size, fd.open()).is_ok();
            assert_eq!(bay.mappings(), before + usize::from(mapped));
            let within = offset.checked_add(size).is_some_and(|end| end <= 1 << 16);
            match fd {
                Descriptor::None => {}
                Descriptor::Memory => assert!(!mapped || within && (offset | size | address).is_multiple_of(4096)),
                _ => assert!(!mapped, "{fd:?}"),
            }
        }
        Call::Unmap { flags, address, size } => {
            let before = bay.mappings();
            let unmapped = served.dma_unmap(DmaUnmapFlags::from_bits_retain(flags), address, size);
            assert!(unmapped.is_ok() || bay.mappings() == before);
        }
        Call::Reset => served.reset().unwrap(),
        Call::SetIrqs { index, flags, start, count, fds } => {
            let honest = fds.iter().all(|fd| matches!(fd, Descriptor::Eventfd));
            let set = served.set_irqs(index, flags, start, count, fds.iter().filter_map(|fd| fd.open()).collect());
            if index == 1
                && flags == 0x24
                && !fds.is_empty()
                && !honest
                && !fds.iter().any(|fd| matches!(fd, Descriptor::None))
            {
                assert!(set.is_err(), "{fds:?}");
            }
        }
        Call::Gone => bay.inject(Fault::Remove, None),
        Call::Replace => bay.replace().unwrap(),
        Call::Reattach => {
            *card = None;
            assert_eq!((bay.mappings(), bay.connected_vectors(), bay.is_attached()), (0, 0, false));
            *card = Some(ServedCard::attach(Arc::clone(bay)));
        }
    }
    assert!(bay.mappings() <= Iommu::MAX_MAPPINGS && bay.connected_vectors() <= 4);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_call_is_answered(calls in prop::collection::vec(call(), 1..80)) {
        let bay = Bay::new(Config { vram_bytes: 1 << 20, ..Config::default() }).unwrap();
        let mut card = Some(ServedCard::attach(Arc::clone(&bay)));
        for call in calls {
            carry_out(&bay, &mut card, call);
        }
    }
}

#[test]
fn a_client_maps_no_more_than_there_may_be() {
    let bay = Bay::new(Config { vram_bytes: 1 << 20, ..Config::default() }).unwrap();
    let mut card = ServedCard::attach(Arc::clone(&bay));
    let file = Descriptor::Memory.open().unwrap();
    for page in 0..Iommu::MAX_MAPPINGS as u64 {
        let fd = Some(file.try_clone().unwrap());
        card.dma_map(DmaMapFlags::READ_WRITE, 0, page << 12, 4096, fd).unwrap();
    }
    // As many mappings, but one file: else this process would have run out of descriptors.
    let fd = Some(file.try_clone().unwrap());
    assert!(card.dma_map(DmaMapFlags::READ_WRITE, 0, 1 << 40, 4096, fd).is_err());
    card.dma_unmap(DmaUnmapFlags::empty(), 0, 1 << 40).unwrap();
    assert_eq!(bay.mappings(), 0);
}

#[test]
fn only_eventfds_are_interrupts() {
    let bay = Bay::new(Config { vram_bytes: 1 << 20, ..Config::default() }).unwrap();
    let mut card = ServedCard::attach(Arc::clone(&bay));
    for fd in [Descriptor::Memory, Descriptor::Directory, Descriptor::Socket] {
        assert!(card.set_irqs(1, 0x24, 0, 2, vec![Descriptor::Eventfd.open().unwrap(), fd.open().unwrap()]).is_err());
        assert_eq!(bay.connected_vectors(), 0, "{fd:?}");
    }
    card.set_irqs(1, 0x24, 1, 1, vec![Descriptor::Eventfd.open().unwrap()]).unwrap();
    // The counter of that eventfd can take no more than a few signals; they do not block.
    for _ in 0..3 {
        card.set_irqs(1, 0x21, 1, 1, vec![]).unwrap();
    }
    assert_eq!(bay.connected_vectors(), 1);
    drop(card);
    assert_eq!(bay.connected_vectors(), 0);
}

#[test]
fn a_client_uses_up_no_descriptors() {
    let bay = Bay::new(Config { vram_bytes: 1 << 20, ..Config::default() }).unwrap();
    let mut card = ServedCard::attach(Arc::clone(&bay));
    let map = |card: &mut ServedCard, page: u64| {
        card.dma_map(DmaMapFlags::READ_WRITE, 0, page << 12, 4096, Descriptor::Memory.open())
    };
    let mapped = (0..1000).take_while(|page| map(&mut card, *page).is_ok()).count();
    assert_eq!(mapped, 64);
    card.dma_unmap(DmaUnmapFlags::UNMAP_ALL, 0, 0).unwrap();
    map(&mut card, 0).unwrap();
}
