//! What commands do, seen through memory.

mod rig;

use lifeboat_gpu::Fault;
use lifeboat_lb1::command::{Command, ContextId, Copy, Descriptor, Fill, MatMul, Work};
use lifeboat_lb1::regs::{self, fault, segment};
use rig::{Rig, bytes_of, host, va, wait_for};

const HOST_VA: u64 = 0x7_0000_0000;

#[test]
fn fill_writes_the_pattern_and_nothing_beyond() {
    let rig = Rig::new();
    rig.map_vram(1, 0, 0x1000, 1 << 20);
    rig.execute(1, Work::Fill(Fill { dst: va(0x1004), bytes: 200_000, pattern: 0x0403_0201 }));
    let mut bytes = vec![0; 200_012];
    rig.vram.read_bytes(0, &mut bytes).unwrap();
    assert_eq!(bytes[..4], [0; 4]);
    assert!(bytes[4..200_004].iter().zip([1, 2, 3, 4].iter().cycle()).all(|(a, b)| a == b));
    assert_eq!(bytes[200_004..], [0; 8]);
    rig.assert_no_violation();
}

#[test]
fn copy_moves_rows_between_host_and_vram() {
    let rig = Rig::new();
    let memory = host(1 << 20);
    rig.map_vram(0, 0, 0, 4 << 20);
    rig.map_host(0, 1, HOST_VA, &memory);
    let bytes: Vec<u8> = (0..memory.size()).map(|i| (i * 7 % 251) as u8).collect();
    memory.write(0, &bytes).unwrap();

    let copy = Copy { dst: va(5), src: va(HOST_VA + 3), dst_pitch: 300, src_pitch: 1000, row_bytes: 123, rows: 500 };
    rig.execute(0, Work::Copy(copy));
    let mut vram = vec![0; 300 * 500];
    rig.vram.read_bytes(5, &mut vram).unwrap();
    for row in 0..500 {
        assert_eq!(vram[row * 300..][..123], bytes[3 + row * 1000..][..123], "row {row}");
        assert!(vram[row * 300 + 123..][..177].iter().all(|byte| *byte == 0), "gap after row {row}");
    }

    // And back, in one piece larger than one transfer, and gapless rows.
    rig.execute(0, Work::Copy(Copy::linear(va(HOST_VA), va(5), 149_000)));
    assert_eq!(bytes_of(&memory)[..149_000], vram[..149_000]);
    let copy = Copy { dst: va(HOST_VA), src: va(5), dst_pitch: 100, src_pitch: 100, row_bytes: 100, rows: 1000 };
    memory.write(0, &vec![0; 200_000]).unwrap();
    rig.execute(0, Work::Copy(copy));
    assert_eq!(bytes_of(&memory)[..100_000], vram[..100_000]);
    assert_eq!(bytes_of(&memory)[100_000..100_100], [0; 100]);
    rig.assert_no_violation();
}

#[test]
fn a_copy_crosses_into_an_adjacent_segment() {
    let rig = Rig::new();
    rig.segment(0, 0, 0x1000, 4096, segment::WRITABLE, 0x5000);
    rig.segment(0, 9, 0x2000, 4096, segment::WRITABLE, 0x1000);
    rig.execute(0, Work::Fill(Fill { dst: va(0x1ffc), bytes: 8, pattern: 0x1111_1111 }));
    let mut bytes = [0; 4];
    rig.vram.read_bytes(0x5ffc, &mut bytes).unwrap();
    assert_eq!(bytes, [0x11; 4]);
    rig.vram.read_bytes(0x1000, &mut bytes).unwrap();
    assert_eq!(bytes, [0x11; 4]);
}

#[test]
fn the_matrix_product_is_exact_to_the_bit() {
    let rig = Rig::new();
    rig.map_vram(0, 0, 0, 4 << 20);
    let number = |i: u32| f32::from(u16::try_from(i.wrapping_mul(2_654_435_761) >> 16).unwrap()) / 13_000.0 - 2.5;
    for (m, n, k) in [(1, 1, 1), (33, 31, 65), (64, 40, 32), (5, 100, 7)] {
        let a: Vec<f32> = (0..m * k).map(number).collect();
        let b: Vec<f32> = (7..7 + k * n).map(number).collect();
        let bytes = |matrix: &[f32]| matrix.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        rig.vram.write_bytes(0, &bytes(&a)).unwrap();
        rig.vram.write_bytes(1 << 20, &bytes(&b)).unwrap();
        rig.execute(0, Work::MatMul(MatMul { c: va(2 << 20), a: va(0), b: va(1 << 20), m, n, k }));

        let mut expected = Vec::new();
        for i in 0..m {
            for j in 0..n {
                let mut sum = 0.0_f32;
                for p in 0..k {
                    sum += a[(i * k + p) as usize] * b[(p * n + j) as usize];
                }
                expected.push(sum);
            }
        }
        let mut got = vec![0; expected.len() * 4];
        rig.vram.read_bytes(2 << 20, &mut got).unwrap();
        assert_eq!(got, bytes(&expected), "{m}x{k} times {k}x{n}");

        let mut direct = vec![0.0; expected.len()];
        lifeboat_gpu::compute::matmul((m, n, k), &a, &b, &mut direct).unwrap();
        assert_eq!(bytes(&direct), bytes(&expected), "called directly");
    }
}

#[test]
fn a_ring_waits_for_another_rings_sequence_number() {
    let rig = Rig::new();
    let waits = rig.submit(1, 0, &[Command::WaitSeqno { ring: 0, value: 3 }]);
    for expected in 1..=2 {
        let seqno = rig.submit(0, 0, &[]);
        assert_eq!(seqno, expected);
        rig.wait(0, seqno);
    }
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(rig.ring(1, regs::RING_SEQNO), 0, "ring 1 must still wait");
    rig.submit(0, 0, &[]);
    rig.wait(1, waits);
}

#[test]
fn waiting_compares_modulo_2_to_the_32() {
    let rig = Rig::cold(lifeboat_gpu::Config { vram_bytes: 4096, ..Default::default() });
    rig.config.write16(lifeboat_pci::offset::COMMAND, 6).unwrap();
    rig.write(regs::DEVICE_CTRL, 1);
    rig.write(regs::ring(0, regs::RING_SEQNO), u32::MAX - 1);
    rig.enable_ring(0);
    rig.enable_ring(1);
    assert_eq!(rig.ring(0, regs::RING_SEQNO), u32::MAX - 1);
    // 1 is three ahead of 2^32 - 2, not far behind it.
    let waits = rig.submit(1, 0, &[Command::WaitSeqno { ring: 0, value: 1 }]);
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(rig.ring(1, regs::RING_SEQNO), 0);
    rig.put(0, Descriptor::encode(ContextId(0), &Command::WriteSeqno { value: 2, interrupt: false }));
    rig.doorbell(0);
    rig.wait(1, waits);
}

#[test]
fn a_ring_goes_round_many_times() {
    let rig = Rig::new();
    rig.write(regs::IRQ_MASK, regs::irq::ALL);
    for _ in 0..500 {
        let seqno = rig.submit(0, 0, &[Command::Work(Work::Nop); 5]);
        rig.wait(0, seqno);
    }
    assert_eq!(rig.ring(0, regs::RING_HEAD), 3000 % 64);
    assert_eq!(rig.card.counters().commands, 3000);
    assert_eq!(rig.card.counters().jobs, 500);
    wait_for("the last interrupt", || rig.interrupts.count(0) > 0);
}

#[test]
fn a_bad_job_faults_and_names_its_context() {
    let rig = Rig::new();
    rig.map_vram(9, 0, 0, 4096);
    rig.segment(9, 1, 0x10_0000, 4096, 0, 0); // read-only
    rig.segment(9, 2, 0x20_0000, 4096, segment::WRITABLE, 64 << 20); // beyond VRAM
    let fill = |dst, bytes| Work::Fill(Fill { dst: va(dst), bytes, pattern: 0 });
    let cases = [
        (fill(0, 8192), fault::UNMAPPED, 4096),
        (fill(u64::MAX - 3, 8), fault::UNMAPPED, u64::MAX - 3),
        (fill(0x10_0000, 4), fault::READ_ONLY, 0x10_0000),
        (fill(0x20_0000, 4), fault::UNMAPPED, 0x20_0000),
        (fill(2, 4), fault::BAD_ARGUMENT, 0),
        (Work::Copy(Copy::linear(va(0), va(0x30_0000), 4)), fault::UNMAPPED, 0x30_0000),
    ];
    rig.write(regs::IRQ_MASK, regs::irq::RING_FAULT);
    for (faults, (work, code, address)) in (1..).zip(cases) {
        let done = rig.submit(0, 9, &[Command::Work(Work::Nop), Command::Work(work)]);
        let opcode = if matches!(work, Work::Copy(_)) { 2 } else { 1 };
        assert_eq!(rig.wait_fault(0), (code, 9, opcode), "{work:?}");
        assert_eq!(rig.fault_address(0), address, "{work:?}");
        assert_eq!(rig.ring(0, regs::RING_FAULT_INDEX), 1);
        assert!(rig.ring(0, regs::RING_SEQNO) < done);
        wait_for("the fault interrupt", || rig.interrupts.count(1) == faults);
        rig.write(regs::IRQ_STATUS, regs::irq::ALL);
        rig.reset_ring(0);
        assert_eq!(rig.ring(0, regs::RING_FAULT), 0);
        rig.enable_ring(0);
    }
    let seqno = rig.submit(0, 9, &[]);
    rig.wait(0, seqno);
    rig.assert_no_violation();
}

#[test]
fn descriptors_that_are_no_commands_fault() {
    let rig = Rig::new();
    let mut unknown = Descriptor::encode(ContextId(3), &Command::Work(Work::Nop)).to_bytes();
    unknown[0] = 0x77;
    let no_context = Descriptor::encode(ContextId(64), &Command::Work(Work::Nop)).to_bytes();
    let itself = Descriptor::encode(ContextId(1), &Command::WaitSeqno { ring: 0, value: 9 }).to_bytes();
    let nobody = Descriptor::encode(ContextId(1), &Command::WaitSeqno { ring: 2, value: 9 }).to_bytes();
    let cases = [
        (unknown, (fault::BAD_OPCODE, 3, 0x77)),
        (no_context, (fault::BAD_CONTEXT, 64, 0)),
        (itself, (fault::BAD_ARGUMENT, 1, 6)),
        (nobody, (fault::BAD_ARGUMENT, 1, 6)),
    ];
    for (bytes, expected) in cases {
        rig.put(0, Descriptor::from_bytes(&bytes));
        rig.doorbell(0);
        assert_eq!(rig.wait_fault(0), expected);
        rig.reset_ring(0);
        rig.enable_ring(0);
    }
}

#[test]
fn unmapping_ends_the_devices_access() {
    let rig = Rig::new();
    let memory = host(4096);
    let iova = rig.map_host(0, 0, 0, &memory);
    rig.execute(0, Work::Fill(Fill { dst: va(0), bytes: 4096, pattern: 1 }));
    rig.function.dma_unmap(iova).unwrap();
    memory.write(0, &[9; 4096]).unwrap();
    rig.submit(0, 0, &[Command::Work(Work::Fill(Fill { dst: va(0), bytes: 4096, pattern: 2 }))]);
    assert_eq!(rig.wait_fault(0), (fault::DMA, 0, 1));
    assert_eq!(rig.fault_address(0), iova.0);
    assert_eq!(bytes_of(&memory), [9; 4096]);
}

#[test]
fn spans_are_recorded() {
    let rig = Rig::new();
    let (sender, spans) = std::sync::mpsc::channel();
    rig.card.set_recorder(Some(std::sync::Arc::new(move |span| {
        let _ = sender.send(span);
    })));
    let seqno = rig.submit(1, 5, &[Command::Work(Work::Nop)]);
    rig.wait(1, seqno);
    let nop = spans.recv_timeout(rig::TIMEOUT).unwrap();
    assert_eq!((nop.ring, nop.context, nop.opcode), (1, 5, 0));
    assert!(nop.start <= nop.end);
    assert_eq!(spans.recv_timeout(rig::TIMEOUT).unwrap().opcode, 5);
    rig.card.set_recorder(None);
}

/// An own command has bus addresses, needs no context, and is part of no job: neither is it
/// counted, nor hit by what is to hit a job.
#[test]
fn recov_5_an_own_command_copies_by_bus_addresses_and_is_no_job() {
    let rig = Rig::new();
    let memory = host(4096);
    let iova = rig.function.dma_map(&memory).unwrap();
    memory.write(0, &[7; 64]).unwrap();
    rig.card.inject(Fault::Hang);
    let copy = Copy::linear(va(iova.0 + 64), va(iova.0), 64);
    let number = Command::WriteSeqno { value: 1000, interrupt: false };
    for command in [Command::Work(Work::Copy(copy)), number] {
        rig.put(0, Descriptor::encode_own(&command));
    }
    rig.doorbell(0);
    rig.wait(0, 1000);
    assert_eq!(bytes_of(&memory)[..130], [[7; 64].as_slice(), &[7; 64], &[0; 2]].concat());
    assert_eq!(rig.card.counters().jobs, 0);
    rig.submit(0, 0, &[Command::Work(Work::Nop)]);
    rig.wait_busy(0);
    assert_eq!(rig.card.counters().jobs, 1);
    rig.assert_no_violation();
}
