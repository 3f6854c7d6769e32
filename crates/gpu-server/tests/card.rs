//! The served card does what the model does: identity, memory, jobs, interrupts, resets.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use lifeboat_gpu_server::control::{Fault, Request, Trigger};
use lifeboat_lb1::regs::{self, device_status, fault, ring_ctrl};
use machine::{
    BAR0, BAR2, BUFFER, BUFFER_VA, CONFIG, Host, MEMORY, MEMORY_BYTES, MSI, Machine, TIMEOUT, VRAM, memfd, wait_for,
};
use vfio_bindings::bindings::vfio::{VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_NONE};

#[test]
fn a_client_sees_the_card() {
    let host = Host::new();
    let mut machine = Machine::cold(&host.socket);
    assert_eq!(machine.config_read(0), 0x0001_4c42);
    for bar in [0x10, 0x18, 0x1c] {
        machine.config_write(bar, &[0xff; 4]);
    }
    assert_eq!(machine.config_read(0x10), !0x3_ffff);
    assert_eq!((machine.config_read(0x18), machine.config_read(0x1c)), (!0x3f_ffff | 0xc, u32::MAX));

    // Memory decode is off after power-on.
    assert_eq!(machine.read(regs::ID), u32::MAX);
    machine.config_write(4, &[2]);
    assert_eq!(machine.read(regs::ID), regs::ID_VALUE);
    machine.write(regs::LIVENESS, 0x1234_5678);
    assert_eq!(machine.read(regs::LIVENESS), !0x1234_5678);

    let region = |index| machine.client.region(index).unwrap();
    assert_eq!((region(BAR0).size, region(BAR2).size, region(CONFIG).size), (0x4_0000, 4 << 20, 256));
    assert!((0..9).filter(|index| ![BAR0, BAR2, CONFIG].contains(index)).all(|index| region(index).size == 0));
    let areas = &region(BAR2).sparse_areas;
    assert_eq!(areas.iter().map(|area| (area.offset, area.size)).collect::<Vec<_>>(), [(0, VRAM)]);
    assert!(region(BAR0).sparse_areas.is_empty() && region(BAR0).file_offset.is_none());
    let counts: Vec<_> = (0..5).map(|index| machine.client.get_irq_info(index).unwrap().count).collect();
    assert_eq!(counts, [0, 4, 0, 0, 0]);
}

#[test]
fn vram_is_the_same_trapped_and_mapped() {
    let host = Host::new();
    let mut machine = Machine::cold(&host.socket);
    machine.config_write(4, &[2]);
    let mapped = machine.client.region(BAR2).unwrap().file_offset.as_ref().unwrap().file().try_clone().unwrap();
    assert_eq!(mapped.metadata().unwrap().len(), VRAM);
    machine.client.region_write(BAR2, VRAM - 4, &[1, 2, 3, 4]).unwrap();
    let mut bytes = [0; 4];
    mapped.read_exact_at(&mut bytes, VRAM - 4).unwrap();
    assert_eq!(bytes, [1, 2, 3, 4]);
    mapped.write_all_at(&[9; 4], 64).unwrap();
    assert_eq!(machine.vram(64), 0x0909_0909);
    assert_eq!(machine.vram(VRAM), u32::MAX, "past the VRAM, within its BAR");
    // Whoever could shorten it could end the server.
    assert!(mapped.set_len(0).is_err() && mapped.set_len(VRAM + 4096).is_err());
}

#[test]
fn jobs_write_the_machines_memory_and_interrupt() {
    let host = Host::new();
    let mut machine = Machine::new(&host.socket);
    machine.fill(0x10, 0x5000, 0xdead_beef);
    let expected = [vec![0; 0x10], 0xdead_beef_u32.to_le_bytes().repeat(0x1400), vec![0; 0x10]].concat();
    assert_eq!(machine.memory(BUFFER, 0x5020), expected);
    assert!(machine.interrupt(0, TIMEOUT));
    assert!(!machine.interrupt(0, Duration::ZERO), "one message");
    assert_eq!(host.violations(), [] as [&str; 0]);
    let status = host.status();
    assert!(status.present && status.attached);
    assert_eq!((status.mappings, status.vectors, status.counters.jobs), (1, 4, 1));
}

#[test]
fn jobs_cross_page_by_page_mappings() {
    let host = Host::new();
    let mut machine = Machine::new(&host.socket);
    // As behind the guest's IOMMU: pages of the file in reverse order.
    let pages = 8;
    let at = 0x2_0000_0000;
    for page in 0..pages {
        let offset = BUFFER + (pages - 1 - page) * 4096;
        machine.client.dma_map(offset, at + page * 4096, 4096, machine.memory.as_raw_fd()).unwrap();
    }
    machine.map_segment(at, 8);
    machine.fill(4096 - 8, 16, 0x0101_0101);
    assert_eq!(machine.memory(BUFFER + 8 * 4096 - 8, 8), [1; 8], "the end of the first page");
    assert_eq!(machine.memory(BUFFER + 6 * 4096, 8), [1; 8], "the begin of the second");
    assert_eq!(host.status().mappings, 9);
    machine.client.dma_unmap(at, pages * 4096).unwrap();
    assert_eq!(host.status().mappings, 1);
}

#[test]
fn without_bus_mastering_nothing_leaves_the_card() {
    let host = Host::new();
    let mut machine = Machine::new(&host.socket);
    machine.config_write(4, &[2, 0]);
    machine.submit_fill(0, 64, 7);
    assert_eq!(machine.wait_fault(), fault::DMA);
    assert_eq!(machine.memory(BUFFER, 64), [0; 64]);
    assert_ne!(machine.read(regs::IRQ_STATUS), 0);
    assert!((0..4).all(|vector| !machine.interrupt(vector, Duration::ZERO)));
    assert_eq!(host.status().counters.interrupts_sent, 0);
    let violations = host.violations();
    assert!(violations.len() == 1 && violations[0].contains("bus mastering is off"), "{violations:?}");
}

#[test]
fn dma_to_what_was_unmapped_is_a_violation() {
    let host = Host::new();
    let mut machine = Machine::new(&host.socket);
    let at = 0x2_0000_0000;
    machine.client.dma_map(BUFFER, at, 4096, machine.memory.as_raw_fd()).unwrap();
    machine.map_segment(at, 1);
    machine.fill(0, 64, 5);
    machine.client.dma_unmap(at, 4096).unwrap();
    machine.submit_fill(0, 64, 6);
    assert_eq!(machine.wait_fault(), fault::DMA);
    assert_eq!(machine.memory(BUFFER, 4), [5, 0, 0, 0]);
    let violations = host.violations();
    assert!(violations.len() == 1 && violations[0].contains("unmapped bus address 0x200000000"), "{violations:?}");
}

#[test]
fn a_doorbell_to_a_reset_ring_is_a_violation() {
    let host = Host::new();
    let mut machine = Machine::new(&host.socket);
    machine.write(regs::ring(0, regs::RING_CTRL), ring_ctrl::RESET);
    machine.write(regs::ring(0, regs::RING_TAIL), 1);
    let violations = host.violations();
    assert!(violations.len() == 1 && violations[0].contains("doorbell to ring 0"), "{violations:?}");
}

#[test]
fn memory_that_its_owner_truncates_faults_and_does_not_kill() {
    let host = Host::new();
    let mut machine = Machine::new(&host.socket);
    let memory = memfd(4096);
    let at = 0x2_0000_0000;
    machine.client.dma_map(0, at, 4096, memory.as_raw_fd()).unwrap();
    machine.map_segment(at, 1);
    memory.set_len(0).unwrap();
    let copy = lifeboat_lb1::command::Copy {
        src: lifeboat_lb1::command::GpuVa(BUFFER_VA),
        dst: lifeboat_lb1::command::GpuVa(BUFFER_VA + 64),
        src_pitch: 64,
        dst_pitch: 64,
        row_bytes: 64,
        rows: 1,
    };
    machine.submit(&[lifeboat_lb1::command::Command::Work(lifeboat_lb1::command::Work::Copy(copy))]);
    assert_eq!(machine.wait_fault(), fault::DMA);
    assert!(host.status().present);
}

#[test]
fn a_function_level_reset_clears_the_card_and_keeps_the_clients_interrupts() {
    let host = Host::new();
    let mut machine = Machine::new(&host.socket);
    machine.fill(0, 64, 5);
    machine.config_write(0x48, &[0, 0x80]);
    assert_eq!(machine.config_read(4) & 0xffff, 0);
    machine.config_write(4, &[6]);
    wait_for("the reset", || machine.read(regs::DEVICE_STATUS) == device_status::READY);
    assert_eq!((machine.ring(regs::RING_SEQNO), machine.read(regs::SCRATCH)), (0, u32::MAX));
    assert_eq!((host.status().vectors, host.status().counters.resets), (4, 1));
}

#[test]
fn a_bus_reset_is_done_when_it_returns_and_cannot_fail() {
    let host = Host::new();
    let mut machine = Machine::new(&host.socket);
    host.inject(Fault::Hang);
    host.inject(Fault::FailReset);
    machine.submit_fill(0, 64, 5);
    wait_for("a busy ring", || machine.ring(regs::RING_STATUS) & regs::ring_status::BUSY != 0);
    machine.write(regs::SCRATCH, 1);
    machine.client.region_write(BAR2, 0, &[7; 4]).unwrap();
    machine.client.reset().unwrap();
    assert_eq!(machine.read(regs::ID), u32::MAX, "configuration space is reset, too");
    machine.config_write(4, &[6]);
    assert_eq!(machine.read(regs::DEVICE_STATUS), device_status::READY);
    assert_eq!((machine.read(regs::SCRATCH), machine.ring(regs::RING_STATUS)), (u32::MAX, 0));
    assert_eq!(machine.vram(0), 0x0707_0707);
    assert_eq!(host.status().counters.resets, 0);
    // The fault waits for a reset that counts.
    machine.write(regs::DEVICE_CTRL, regs::device_ctrl::RESET);
    wait_for("the reset", || machine.read(regs::DEVICE_STATUS) != device_status::RESETTING);
    assert_eq!(machine.read(regs::DEVICE_STATUS), device_status::RESET_FAILED);
    // And what failed, a bus reset brings back.
    machine.client.reset().unwrap();
    machine.config_write(4, &[6]);
    assert_eq!(machine.read(regs::DEVICE_STATUS), device_status::READY);
    machine.bring_up();
    machine.fill(0, 64, 9);
}

#[test]
fn every_fault_can_be_injected() {
    let host = Host::new();
    let mut machine = Machine::new(&host.socket);
    host.inject(Fault::SpuriousInterrupt);
    assert!(machine.interrupt(0, TIMEOUT));
    assert_eq!(machine.read(regs::IRQ_STATUS), 0);

    host.inject(Fault::LoseInterrupt);
    machine.fill(0, 64, 1);
    assert!(!machine.interrupt(0, Duration::ZERO));
    machine.fill(0, 64, 2);
    assert!(machine.interrupt(0, TIMEOUT));

    host.inject(Fault::StickHeartbeat);
    let beat = machine.read(regs::HEARTBEAT);
    std::thread::sleep(Duration::from_millis(5)); // five beats
    assert_eq!(machine.read(regs::HEARTBEAT), beat);
    assert_eq!(host.status().heartbeat, Some(beat));

    host.inject(Fault::Slow { micros: 20_000 });
    let begin = std::time::Instant::now();
    machine.fill(0, 64, 3);
    assert!(begin.elapsed() >= Duration::from_millis(20));

    host.call(Request::Inject { fault: Fault::JobFault, at: Some(Trigger::Job(2)) });
    machine.fill(0, 64, 4);
    machine.submit_fill(0, 64, 5);
    assert_eq!(machine.wait_fault(), fault::INJECTED);
}

#[test]
fn interrupts_can_be_turned_off_and_tried() {
    let host = Host::new();
    let mut machine = Machine::new(&host.socket);
    let flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
    machine.client.set_irqs(MSI, flags, 2, 1, &[]).unwrap();
    assert!(machine.interrupt(2, TIMEOUT) && !machine.interrupt(0, Duration::ZERO));
    machine.client.set_irqs(MSI, flags, 0, 0, &[]).unwrap();
    assert_eq!(host.status().vectors, 0);
    machine.fill(0, 64, 4);
    assert!(!machine.interrupt(0, Duration::ZERO));
    assert_eq!(machine.memory(BUFFER, 4), [4, 0, 0, 0]);
}

#[test]
fn the_memory_may_have_holes() {
    let host = Host::new();
    let mut machine = Machine::new(&host.socket);
    // The last segment page lies past the mapped memory.
    machine.map_segment(MEMORY + MEMORY_BYTES - 4096, 2);
    machine.submit_fill(0, 8192, 3);
    assert_eq!(machine.wait_fault(), fault::DMA);
    assert_eq!(machine.memory(MEMORY_BYTES - 4096, 4), [3, 0, 0, 0], "it happened up to the fault");
}
