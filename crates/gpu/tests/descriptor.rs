//! Every command survives the way through a ring: encode, bytes, decode.

use lifeboat_lb1::command::{
    Command, ContextId, Convolve, Copy, DESCRIPTOR_BYTES, Descriptor, Edge, Fill, GpuVa, Kernel, MatMul, Work,
};
use proptest::prelude::*;

fn address() -> impl Strategy<Value = GpuVa> {
    any::<u64>().prop_map(|address| GpuVa(address & !3))
}

fn kernel() -> impl Strategy<Value = Kernel> {
    let nine = || prop::array::uniform9(-255..=255_i16);
    prop_oneof![
        nine().prop_map(Kernel::Full),
        (nine(), nine()).prop_map(|(a, b)| Kernel::Gradient(a, b)),
        (0..5_u8, nine(), nine()).prop_map(|(half, horizontal, vertical)| Kernel::Separable {
            taps: 2 * half + 1,
            horizontal,
            vertical
        }),
    ]
}

fn convolve() -> impl Strategy<Value = Convolve> {
    let part = || {
        (1..=16_384_u16)
            .prop_flat_map(|side| (Just(side), 0..side))
            .prop_flat_map(|(side, from)| (Just(side), Just(from), 1..=side - from))
    };
    let pitch = || (16_384..=u32::MAX / 4).prop_map(|pixels| pixels * 4);
    let placed = (address(), address(), pitch(), pitch());
    (placed, part(), part(), kernel(), 0..=16_u8, -255..=255_i16, any::<bool>()).prop_map(
        |((dst, src, dst_pitch, src_pitch), x, y, kernel, shift, bias, zero)| Convolve {
            dst,
            src,
            dst_pitch,
            src_pitch,
            src_size: (x.0, y.0),
            origin: (x.1, y.1),
            size: (x.2, y.2),
            kernel,
            shift,
            bias,
            edge: if zero { Edge::Zero } else { Edge::Clamp },
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    let work = prop_oneof![
        Just(Work::Nop),
        Just(Work::Hang),
        (address(), any::<u64>(), any::<u32>()).prop_map(|(dst, bytes, pattern)| Work::Fill(Fill {
            dst,
            bytes: bytes & !3,
            pattern
        })),
        (any::<[u64; 2]>(), 1..=u32::MAX, any::<[u32; 2]>(), 1..=u32::MAX).prop_map(
            |([dst, src], row_bytes, [dst_more, src_more], rows)| Work::Copy(Copy {
                dst: GpuVa(dst),
                src: GpuVa(src),
                dst_pitch: row_bytes.saturating_add(dst_more),
                src_pitch: row_bytes.saturating_add(src_more),
                row_bytes,
                rows,
            })
        ),
        convolve().prop_map(Work::Convolve),
        (address(), address(), address(), prop::array::uniform3(1..=4096_u32))
            .prop_map(|(c, a, b, [m, n, k])| Work::MatMul(MatMul { c, a, b, m, n, k })),
    ];
    prop_oneof![
        5 => work.prop_map(Command::Work),
        1 => (any::<u32>(), any::<bool>()).prop_map(|(value, interrupt)| Command::WriteSeqno { value, interrupt }),
        1 => (any::<u8>(), any::<u32>()).prop_map(|(ring, value)| Command::WaitSeqno { ring, value }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn round_trip(context in any::<u8>(), command in command()) {
        let encoded = Descriptor::encode(ContextId(context), &command);
        let descriptor = Descriptor::from_bytes(&encoded.to_bytes());
        prop_assert_eq!(descriptor, encoded);
        prop_assert_eq!(descriptor.context(), ContextId(context));
        prop_assert_eq!(descriptor.decode(), Ok(command));
    }

    #[test]
    fn decoding_anything_does_not_panic_and_is_stable(
        bytes in prop::collection::vec(any::<u8>(), DESCRIPTOR_BYTES),
        opcode in 0..9_u8,
    ) {
        let mut bytes: [u8; DESCRIPTOR_BYTES] = bytes.try_into().unwrap();
        bytes[0] = opcode;
        let descriptor = Descriptor::from_bytes(&bytes);
        if let Ok(command) = descriptor.decode() {
            // What decodes passes the check and encodes to something that decodes to the same.
            if let Command::Work(work) = &command {
                prop_assert_eq!(work.check(), Ok(()));
            }
            prop_assert_eq!(Descriptor::encode(descriptor.context(), &command).decode(), Ok(command));
        }
    }
}
