//! Any sequence of calls of the handlers behind vfio-user, by a client that means harm, while the card comes and goes.
//!
//! Run with `ASAN_OPTIONS=detect_leaks=0`: the threads of the card that is there in the end would be called a leak.
#![no_main]

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, LazyLock};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use lifeboat_gpu::{Config, Fault, Iommu};
use lifeboat_gpu_server::{Bay, ServedCard};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, memfd_create};
use vfio_user::{DmaMapFlags, DmaUnmapFlags, ServerBackend};

/// One call, or an event of the card.
#[derive(Debug, Arbitrary)]
enum Call {
    Read { region: Region, offset: u64, len: u16 },
    Write { region: Region, offset: u64, data: Vec<u8> },
    Register { offset: u32, value: u32 },
    Map { flags: u32, offset: u64, address: u64, size: u64, fd: Descriptor },
    MapPages { page: u8, address: u32, pages: u8 },
    Unmap { flags: u32, address: u64, size: u64 },
    UnmapPages { address: u32, pages: u16 },
    Reset,
    SetIrqs { index: u32, flags: u32, start: u32, count: u32, fds: Vec<Descriptor> },
    SetMsi { start: u8, fds: Vec<Descriptor> },
    Gone,
    Replace,
    Reattach,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Region {
    Registers,
    Vram,
    Config,
    Other(u32),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Descriptor {
    None,
    Memory,
    Eventfd,
    Socket,
}

impl Descriptor {
    fn open(self) -> Option<File> {
        static MEMORY: LazyLock<Option<File>> = LazyLock::new(|| {
            let file = File::from(memfd_create("hostile", MemfdFlags::CLOEXEC).ok()?);
            file.set_len(1 << 20).ok()?;
            Some(file)
        });
        match self {
            Self::None => None,
            Self::Memory => MEMORY.as_ref()?.try_clone().ok(),
            Self::Eventfd => eventfd(u32::MAX, EventfdFlags::CLOEXEC).ok().map(File::from),
            Self::Socket => UnixStream::pair().ok().map(|(socket, _)| File::from(OwnedFd::from(socket))),
        }
    }
}

fuzz_target!(|calls: Vec<Call>| {
    // One bay for all inputs: its card has threads, which are dear to start. Each input is a client of its own.
    static BAY: LazyLock<Arc<Bay>> = LazyLock::new(|| {
        let config = Config { vram_bytes: 64 << 10, ..Config::default() };
        Bay::new(config).expect("a card")
    });
    let bay = &*BAY;
    let attach = || ServedCard::attach(Arc::clone(bay));
    let mut card = Some(attach());
    for call in calls.into_iter().take(256) {
        let Some(served) = card.as_mut() else { break };
        // Refused or carried out: whichever, the next call is answered, too.
        let _ = match call {
            Call::Read { region, offset, len } => served.region_read(index(region), offset, &mut vec![0; len.into()]),
            Call::Write { region, offset, data } => served.region_write(index(region), offset, &data),
            Call::Register { offset, value } => {
                served.region_write(0, u64::from(offset & 0x3_fffc), &value.to_le_bytes())
            }
            Call::Map { flags, offset, address, size, fd } => {
                served.dma_map(DmaMapFlags::from_bits_retain(flags), offset, address, size, fd.open())
            }
            Call::MapPages { page, address, pages } => served.dma_map(
                DmaMapFlags::READ_WRITE,
                u64::from(page) << 12,
                u64::from(address) << 12,
                u64::from(pages) << 12,
                Descriptor::Memory.open(),
            ),
            Call::Unmap { flags, address, size } => {
                served.dma_unmap(DmaUnmapFlags::from_bits_retain(flags), address, size)
            }
            Call::UnmapPages { address, pages } => {
                served.dma_unmap(DmaUnmapFlags::empty(), u64::from(address) << 12, u64::from(pages) << 12)
            }
            Call::Reset => served.reset(),
            Call::SetIrqs { index, flags, start, count, fds } => {
                let fds = fds.into_iter().take(16).filter_map(Descriptor::open).collect();
                served.set_irqs(index, flags, start, count, fds)
            }
            Call::SetMsi { start, fds } => {
                let fds: Vec<File> = fds.into_iter().take(16).filter_map(Descriptor::open).collect();
                served.set_irqs(1, 0x24, start.into(), fds.len() as u32, fds)
            }
            Call::Gone => {
                bay.inject(Fault::Remove, None);
                Ok(())
            }
            Call::Replace => bay.replace(),
            Call::Reattach => {
                drop(card.take());
                card = Some(attach());
                Ok(())
            }
        };
        assert!(bay.mappings() <= Iommu::MAX_MAPPINGS && bay.connected_vectors() <= 4);
    }
    drop(card);
    assert_eq!((bay.mappings(), bay.connected_vectors(), bay.is_attached()), (0, 0, false));
    if !bay.card().is_present() {
        bay.replace().expect("a card");
    }
});

fn index(region: Region) -> u32 {
    match region {
        Region::Registers => 0,
        Region::Vram => 2,
        Region::Config => 7,
        Region::Other(index) => index,
    }
}
