//! Users' maps of buffers, while the device is there and after it has gone.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use lifeboat::CallError;
use lifeboat::core::errno::Errno;
use lifeboat::core::unplug::Loss;
use lifeboat_gpu::{Card, Config, Iommu};
use lifeboat_lb1_hosted::{Buffer, CpuMap, Handle, Placement};
use lifeboat_pci::HostMemory;
use machine::{BYTES, Client, JOB_TIMEOUT, LONG, Machine};

fn byte(map: &CpuMap, offset: u64) -> u8 {
    let mut byte = [0];
    map.read(offset, &mut byte).unwrap();
    byte[0]
}

#[test]
fn a_map_is_the_buffer_for_jobs_and_for_calls() {
    let machine = Machine::new();
    let client = Client::new(&machine.added());
    let (vram, host) = (client.handle.mmap(&client.vram).unwrap(), client.handle.mmap(&client.host).unwrap());
    assert_eq!(vram.size(), u64::from(BYTES));
    client.submit(0, &[client.fill(0x0101_0101)], &[]).wait(LONG).unwrap();
    assert_eq!(byte(&vram, 77), 1);
    vram.write(u64::from(BYTES) - 4, &[1, 2, 3, 4]).unwrap();
    client.submit(0, &[client.download()], &[]).wait(LONG).unwrap();
    assert_eq!(client.host_word(), 0x0403_0201);
    assert_eq!(byte(&host, u64::from(BYTES) - 1), 4);
    assert!(vram.read(u64::from(BYTES), &mut [0]).is_err() && vram.write(u64::from(BYTES) - 1, &[1, 2]).is_err());
    drop((vram, host, client));
    machine.finish();
}

#[test]
fn map_1_and_map_2_maps_of_a_lost_device_go_on_and_reach_nobody() {
    let mut machine = Machine::new();
    let device = machine.added();
    let client = Client::new(&device);
    let (vram, host) = (client.handle.mmap(&client.vram).unwrap(), client.handle.mmap(&client.host).unwrap());
    vram.write(0, &[5]).unwrap();
    host.write(0, &[6]).unwrap();
    machine.slot.remove();
    let report = machine.removed();
    assert_eq!((report.loss, report.maps_cut), (Loss::Unplugged, 1));
    // Host memory keeps what it has; of VRAM nothing is promised but that it can be used.
    assert_eq!(byte(&host, 0), 6);
    vram.write(9, &[8]).unwrap();
    assert_eq!(byte(&vram, 9), 8);
    let late = client.handle.mmap(&client.vram).unwrap();
    assert_eq!(byte(&late, 9), 0, "a map of its own");
    late.write(9, &[3]).unwrap();
    assert_eq!((byte(&vram, 9), byte(&late, 9)), (8, 3));
    assert_eq!(client.vram.read(0, &mut [0]).map_err(CallError::errno), Err(Errno::ENODEV));
    // LIFE-4: the next device is another one, and nothing of this reaches it.
    machine.plug();
    let next = Client::new(&machine.added());
    let map = next.handle.mmap(&next.vram).unwrap();
    vram.write(0, &[0xee; 64]).unwrap();
    assert_eq!(byte(&map, 0), 0);
    let refused = next.handle.mmap(&client.vram).map(drop);
    assert_eq!(refused.map_err(CallError::errno), Err(Errno::EINVAL), "a buffer of another device");
    drop((vram, host, late, map, next, client, device));
    machine.finish();
}

#[test]
fn map_1_what_is_written_after_a_loss_is_not_in_what_was_the_devices_memory() {
    let config = Config::default();
    let vram = HostMemory::shared(config.vram_bytes).unwrap();
    let witness = HostMemory::from_file(vram.backing(0, config.vram_bytes).unwrap().0, config.vram_bytes).unwrap();
    let card = Card::with_shared(config, vram, Arc::new(Iommu::new(0))).unwrap();
    let mut machine = Machine::new();
    machine.added();
    machine.slot.remove();
    machine.removed();
    machine.insert(card);
    let client = Client::new(&machine.added());
    let map = client.handle.mmap(&client.vram).unwrap();
    let marked = |pattern: &[u8]| {
        let mut bytes = vec![0; 1 << 20];
        witness.read(0, &mut bytes).unwrap();
        bytes.windows(pattern.len()).any(|window| window == pattern)
    };
    map.write(100, b"while it is there").unwrap();
    assert!(marked(b"while it is there"), "the buffer is somewhere else");
    machine.slot.remove();
    machine.removed();
    map.write(100, b"after it has gone").unwrap();
    assert!(!marked(b"after it has gone"));
    drop((map, client));
    machine.finish();
}

#[test]
fn map_1_who_touches_maps_without_end_is_not_stopped_by_any_loss() {
    let mut machine = Machine::new();
    for round in 0..10 {
        let device = machine.added();
        let (stop, touched) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let client = Client::new(&device);
                let maps = [0; 20].map(|_| client.handle.mmap(&client.vram).unwrap());
                let (stop, touched) = (&stop, &touched);
                scope.spawn(move || {
                    let (mut bytes, _client) = ([0; 256], client);
                    while !stop.load(Relaxed) {
                        for map in &maps {
                            map.write(touched.fetch_add(1, Relaxed) as u64 % 60_000, &bytes).unwrap();
                            map.read(touched.load(Relaxed) as u64 % 60_000, &mut bytes).unwrap();
                        }
                    }
                });
            }
            while touched.load(Relaxed) < 1000 {
                std::thread::yield_now();
            }
            machine.slot.remove();
            assert_eq!(machine.removed().maps_cut, 40);
            let since = touched.load(Relaxed);
            while touched.load(Relaxed) < since + 1000 {
                std::thread::yield_now();
            }
            stop.store(true, Relaxed);
        });
        drop(device);
        if round < 9 {
            machine.plug();
        }
    }
    machine.finish();
}

#[test]
fn life_3_a_map_keeps_its_buffer_and_the_module_and_nothing_after_it() {
    let machine = Machine::new();
    let client = Client::new(&machine.added());
    let map = client.handle.mmap(&client.vram).unwrap();
    drop(client);
    map.write(0, &[1]).unwrap();
    assert_eq!(byte(&map, 0), 1);
    let holders = machine.into_bus().shutdown().unwrap_err();
    assert!(holders.to_string().contains("map"), "{holders}");
    assert_eq!(byte(&map, 0), 0, "its device was unbound");
    drop(map);
    holders.module.unload().unwrap();
}

/// The figure is for who measures; that no time depends on it is for the others.
#[test]
fn map_1_a_map_of_a_gigabyte_is_cut_like_any_other() {
    let machine = Machine::with(Config { vram_bytes: 1 << 30, ..Config::default() }, JOB_TIMEOUT);
    let device = machine.added();
    let handle: Handle = device.open().unwrap();
    let buffer: Buffer = handle.create_buffer(Placement::Vram, (1 << 30) - 8192).unwrap();
    let map = handle.mmap(&buffer).unwrap();
    for at in (0..map.size()).step_by(1 << 20) {
        map.write(at, &[1]).unwrap();
    }
    let began = Instant::now();
    machine.slot.remove();
    let report = machine.removed();
    println!("{:?} from the removal to its end; the cut took {:?}", began.elapsed(), report.steps[4].took);
    assert_eq!((byte(&map, 0), byte(&map, 1 << 29)), (0, 0));
    drop((map, buffer, handle, device));
    machine.finish();
}
