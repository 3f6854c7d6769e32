//! The dump that shells write without an allocator (`lifeboat_driver::dump::write`) is what [`Dump::read`] reads, field by
//! field, in any size.
#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

use std::fmt::Display;
use std::time::{Duration, UNIX_EPOCH};

use lifeboat::Dump;
use lifeboat::dump::{self, Descriptor, Driver, LeftOut, PendingJob, Process, Reason, RegisterValue, RingState, Taken};
use lifeboat_driver::dump::{self as portable, Entry, Layout, Lossy, Register, State, Utc, entry_cost};
use proptest::prelude::*;

const DEVICE: [Register; 3] =
    [Register::number("ID", 0), Register::number("A_NAME_OF_24_CHARACTERS_", 4), Register::number("HEARTBEAT", 0x18)];
const RING: [Register; 4] = [
    Register::number("STATUS", 0),
    Register::number("HEAD", 4),
    Register::number("TAIL", 8),
    Register::number("SEQNO", 12),
];
const LAYOUT: Layout = Layout {
    device: &DEVICE,
    ring: &RING,
    ring_at: |ring| 0x1000 + 0x100 * u64::from(ring),
    head_tail_seqno: [1, 2, 3],
    entry_bytes: 8,
};
/// As the writer cuts names off.
const LONGEST_NAME: usize = 64;

/// A state as a test makes it up.
#[derive(Debug, Clone)]
struct Made {
    names: [String; 4],
    minor: u32,
    /// Not always UTF-8.
    location: Vec<u8>,
    utc: Duration,
    since_bind: Duration,
    reason: portable::Reason,
    /// Whether the first job is guilty.
    guilty: bool,
    /// The process that it is of, if that is known.
    process: Option<(u32, Vec<u8>)>,
    registers: Option<[Option<u32>; 3]>,
    rings: Vec<MadeRing>,
    jobs: Vec<MadeJob>,
    jobs_left_out: u64,
    /// Entries with these indices were not captured, or could not be read.
    gaps: [u32; 2],
}

#[derive(Debug, Clone)]
struct MadeRing {
    size: u32,
    numbers: Option<[u32; 2]>,
    registers: Option<[Option<u32>; 4]>,
}

#[derive(Debug, Clone)]
struct MadeJob {
    places: [u8; 2],
    numbers: [u32; 3],
    seqno: Option<u32>,
    fence: String,
    large: [u64; 2],
}

fn bytes_of(ring: u8, index: u32) -> [u8; 8] {
    (u64::from(index) << 8 | u64::from(ring)).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()
}

impl MadeJob {
    fn lend(&self) -> portable::Job<'_> {
        let ([ring, context], [queue, waits, commands], [number, age_us]) = (self.places, self.numbers, self.large);
        portable::Job { ring, queue, context, seqno: self.seqno, waits, commands, fence: &self.fence, number, age_us }
    }
}

/// The location and the name of a process, as the trait lends them.
struct Names<'a>(Lossy<'a>, Lossy<'a>);

struct Lent<'a>(&'a Made, Names<'a>);

impl<'a> Lent<'a> {
    fn new(made: &'a Made) -> Self {
        let process = made.process.as_ref().map_or(&[][..], |(_, name)| name);
        Self(made, Names(Lossy(&made.location), Lossy(process)))
    }
}

impl State for Lent<'_> {
    fn about(&self) -> portable::About<'_> {
        let Self(made, names) = self;
        let guilty = made.jobs.first().filter(|_| made.guilty).map(|job| {
            let job = job.lend();
            let name: &dyn Display = &names.1;
            let process = made.process.as_ref().map(|(pid, _)| portable::Process { pid: *pid, name });
            portable::Guilty { ring: job.ring, context: job.context, fence: job.fence, number: job.number, process }
        });
        let [driver, version, model, _] = &made.names;
        portable::About {
            driver: (driver, version),
            model,
            minor: made.minor,
            location: &names.0,
            taken: Utc(made.utc),
            since_bind: made.since_bind,
            reason: made.reason,
            guilty,
        }
    }

    fn layout(&self) -> &Layout {
        &LAYOUT
    }

    fn registers(&self) -> Option<&[Option<u32>]> {
        self.0.registers.as_ref().map(|registers| &registers[..])
    }

    fn rings(&self) -> impl Iterator<Item = portable::Ring<'_>> {
        (0..).zip(&self.0.rings).map(|(number, ring)| portable::Ring {
            number,
            size: ring.size,
            issued: ring.numbers.map(|numbers| numbers[0]),
            completed: ring.numbers.map(|numbers| numbers[1]),
            registers: ring.registers.as_ref().map(|registers| &registers[..]),
        })
    }

    fn jobs(&self) -> impl Iterator<Item = portable::Job<'_>> {
        self.0.jobs.iter().map(MadeJob::lend)
    }

    fn jobs_left_out(&self) -> u64 {
        self.0.jobs_left_out
    }

    fn entry(&self, ring: u8, index: u32, bytes: &mut [u8]) -> Entry {
        match self.0.gaps {
            [missing, _] if index == missing => Entry::LeftOut,
            [_, unreadable] if index == unreadable => Entry::Unreadable,
            _ => {
                bytes.copy_from_slice(&bytes_of(ring, index));
                Entry::Read
            }
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST_NAME).collect()
}

fn lossy(bytes: &[u8]) -> String {
    cut(&String::from_utf8_lossy(bytes))
}

/// The dump of the state, without a limit.
fn whole(made: &Made) -> Dump {
    let job = |job: &MadeJob| PendingJob {
        ring: job.places[0],
        queue: job.numbers[0],
        context: job.places[1],
        seqno: job.seqno,
        waits: job.numbers[1],
        commands: job.numbers[2],
        fence: cut(&job.fence),
        number: job.large[0],
        age_us: job.large[1],
    };
    let jobs: Vec<_> = made.jobs.iter().map(job).collect();
    let guilty = jobs.first().filter(|_| made.guilty).map(|job| dump::Guilty {
        ring: job.ring,
        context: job.context,
        fence: job.fence.clone(),
        number: job.number,
        process: made.process.as_ref().map(|(pid, name)| Process { pid: *pid, name: lossy(name) }),
    });
    let mut left_out = LeftOut { registers: 0, descriptors: 0, jobs: made.jobs_left_out };
    let rings = (0..).zip(&made.rings).map(|(number, ring)| whole_ring(made, number, ring, &mut left_out)).collect();
    let [driver, version, model, _] = &made.names;
    Dump {
        driver: Driver { name: cut(driver), version: cut(version) },
        device: dump::About { model: cut(model), minor: made.minor, location: lossy(&made.location) },
        taken: Taken {
            utc: humantime::format_rfc3339_millis(UNIX_EPOCH + made.utc).to_string(),
            since_bind_ms: made.since_bind.as_millis().try_into().unwrap(),
        },
        reason: made.reason.into(),
        guilty,
        registers: made.registers.map_or_else(Vec::new, |read| values(&DEVICE, 0, &read)),
        rings,
        jobs,
        left_out,
    }
}

fn values(block: &[Register], base: u64, read: &[Option<u32>]) -> Vec<RegisterValue> {
    let value = |(register, value): (&Register, &Option<u32>)| RegisterValue {
        name: register.name.to_owned(),
        offset: base + register.offset,
        value: *value,
    };
    block.iter().zip(read).map(value).collect()
}

fn whole_ring(made: &Made, number: u8, ring: &MadeRing, left_out: &mut LeftOut) -> RingState {
    let [head, tail, seqno] = [1, 2, 3].map(|at: usize| ring.registers.and_then(|read| read[at]));
    let mut descriptors = Vec::new();
    if let (Some(head), Some(tail), 1..) = (head, tail, ring.size) {
        let between =
            (u64::from(tail % ring.size) + u64::from(ring.size) - u64::from(head % ring.size)) % u64::from(ring.size);
        let passed = 2.min(u64::from(ring.size) - 1 - between);
        for step in 0..between + passed {
            let index = (u64::from(head % ring.size) + u64::from(ring.size) - passed + step) % u64::from(ring.size);
            let index = u32::try_from(index).unwrap();
            let hex = || bytes_of(number, index).map(|byte| format!("{byte:02x}")).concat();
            match made.gaps {
                [missing, _] if missing == index => left_out.descriptors += u64::from(step >= passed),
                [_, unreadable] => {
                    descriptors.push(Descriptor { index, bytes: (index != unreadable).then(hex) });
                }
            }
        }
    }
    RingState {
        ring: number,
        size: ring.size,
        head,
        tail,
        seqno,
        issued: ring.numbers.map(|numbers| numbers[0]),
        completed: ring.numbers.map(|numbers| numbers[1]),
        registers: ring.registers.map_or_else(Vec::new, |read| values(&RING, (LAYOUT.ring_at)(number), &read)),
        descriptors,
    }
}

/// What is written into so many bytes, behind which nothing is touched.
fn written(made: &Made, bytes: usize) -> Option<(Dump, usize)> {
    const UNTOUCHED: u8 = 0xa5;
    let mut memory = vec![UNTOUCHED; bytes];
    let length = portable::write(&Lent::new(made), &mut memory).ok()?;
    assert!(memory[length..].iter().all(|byte| *byte == UNTOUCHED), "something was written behind the end");
    let text = &memory[..length];
    assert!(text.iter().position(|byte| *byte == b'\n') == Some(length - 1), "one line");
    Some((Dump::read(text).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(text))), length))
}

/// What is in a dump that has less than the whole one: a part of each list, and the rest is counted.
fn is_part_of(part: &Dump, whole: &Dump, about: Option<u8>) {
    let lists = |dump: &Dump| Dump {
        registers: vec![],
        jobs: vec![],
        left_out: LeftOut::default(),
        rings: dump
            .rings
            .iter()
            .map(|ring| RingState { registers: vec![], descriptors: vec![], ..ring.clone() })
            .collect(),
        ..dump.clone()
    };
    assert_eq!(lists(part), lists(whole), "all that is there once is there");
    assert!(whole.jobs.starts_with(&part.jobs), "the most important jobs are there");
    let all_or_nothing = |part: &[RegisterValue], whole: &[RegisterValue]| assert!(part.is_empty() || part == whole);
    all_or_nothing(&part.registers, &whole.registers);
    for (part, whole) in part.rings.iter().zip(&whole.rings) {
        all_or_nothing(&part.registers, &whole.registers);
        let wanted: Vec<_> = whole.descriptors.iter().filter(|each| part.descriptors.contains(each)).collect();
        assert_eq!(part.descriptors.iter().collect::<Vec<_>>(), wanted, "some, in their order");
    }
    let registers =
        |dump: &Dump| dump.registers.len() + dump.rings.iter().map(|ring| ring.registers.len()).sum::<usize>();
    assert_eq!(registers(part) as u64 + part.left_out.registers, registers(whole) as u64);
    assert_eq!(part.jobs.len() as u64 + part.left_out.jobs, whole.jobs.len() as u64 + whole.left_out.jobs);
    // Descriptors that a ring has passed are shown if there is room, and not counted.
    let ahead = |dump: &Dump| -> usize { dump.rings.iter().map(ahead_of).sum() };
    assert_eq!(ahead(part) as u64 + part.left_out.descriptors, ahead(whole) as u64 + whole.left_out.descriptors);
    let shown = |ring: &RingState| !ring.registers.is_empty();
    if let Some(about) = about.and_then(|about| part.rings.iter().find(|ring| ring.ring == about)) {
        let whole_about = &whole.rings[usize::from(about.ring)];
        assert!(shown(about) || !shown(whole_about) || !part.rings.iter().any(shown), "another ring comes first");
    }
}

/// Descriptors from the head on.
fn ahead_of(ring: &RingState) -> usize {
    let (Some(head), Some(tail), 1..) = (ring.head, ring.tail, ring.size) else { return 0 };
    let (head, tail) = (head % ring.size, tail % ring.size);
    let is_ahead =
        |index: u32| if head <= tail { (head..tail).contains(&index) } else { index >= head || index < tail };
    ring.descriptors.iter().filter(|descriptor| is_ahead(descriptor.index)).count()
}

fn check(made: &Made, sizes: impl IntoIterator<Item = usize>) {
    let expected = whole(made);
    let (all, length) = written(made, 1 << 20).unwrap();
    assert_eq!(all, expected);
    let mut least = None;
    for size in sizes {
        match written(made, size) {
            Some((part, used)) => {
                assert!(used <= size);
                is_part_of(&part, &expected, made.reason.ring());
                least.get_or_insert(size);
            }
            None => assert!(least.is_none_or(|least| size < least), "{size} bytes hold nothing, and fewer did"),
        }
    }
    // The plan takes counts, indices and bytes for as long as they can be.
    let entries = made.rings.iter().map(|ring| ring.size.min(64) as usize).sum::<usize>();
    let slack = 60 + 24 * entries + entry_cost(&LAYOUT) * made.rings.len();
    assert_eq!(written(made, length + slack).unwrap().0, expected, "nothing is left out that has room");
}

/// Five rings with full registers, jobs with long names, the third ring to blame.
fn sample() -> Made {
    let job = |index: u8| MadeJob {
        places: [index % 5, index],
        numbers: [u32::from(index) * 1000, 0, 1],
        seqno: (index < 9).then_some(u32::from(index)),
        fence: format!("lb1-queue{index}"),
        large: [u64::from(index), u64::MAX - u64::from(index)],
    };
    let ring = |number: u32| MadeRing {
        size: 16,
        numbers: Some([number, number + 1]),
        registers: Some([Some(3), Some(14 + number), Some(4 + number), None]),
    };
    Made {
        names: ["lifeboat", "0.1.0", "LB1", ""].map(str::to_owned),
        minor: 1,
        location: b"0000:01:00.0".to_vec(),
        utc: Duration::from_millis(1_800_000_000_123),
        since_bind: Duration::from_secs(5),
        reason: portable::Reason::JobTimeout { ring: 2 },
        guilty: true,
        process: Some((1234, b"a desk".to_vec())),
        registers: Some([Some(0x0031_424c), None, Some(7)]),
        rings: (0..5).map(ring).collect(),
        jobs: (0..20).map(job).collect(),
        jobs_left_out: 0,
        gaps: [u32::MAX; 2],
    }
}

#[test]
fn wedge_4_a_dump_of_any_size_is_what_a_reader_reads() {
    let made = sample();
    assert_eq!(whole(&made).reason, Reason::JobTimeout { ring: 2 });
    check(&made, 0..9000);
}

#[test]
fn wedge_4_the_ring_that_a_dump_is_about_comes_first() {
    let made = sample();
    let parts: Vec<_> = (0..9000).filter_map(|size| written(&made, size)).map(|(dump, _)| dump).collect();
    let shown = |dump: &Dump| dump.rings.iter().map(|ring| !ring.registers.is_empty()).collect::<Vec<_>>();
    assert!(parts.iter().any(|dump| shown(dump) == [false, false, true, false, false]));
    let entries = |dump: &Dump| dump.rings.iter().map(|ring| ring.descriptors.len()).collect::<Vec<_>>();
    assert!(parts.iter().any(|dump| entries(dump) == [1, 1, 8, 1, 1]), "one of each other ring is left");
    for (less, more) in parts.iter().zip(&parts[1..]) {
        assert!(less.left_out.registers >= more.left_out.registers, "registers come before all else");
    }
}

#[test]
fn wedge_4_what_was_not_captured_is_counted() {
    let made = Made { jobs_left_out: 7, gaps: [1, 15], ..sample() };
    let (dump, _) = written(&made, 1 << 20).unwrap();
    assert_eq!((dump.left_out.jobs, dump.left_out.descriptors), (7, 4), "the fifth ring has passed it");
    assert_eq!(dump, whole(&made));
}

#[test]
fn reasons_have_the_same_names() {
    use portable::Reason::{ByHand, Fault, GivenUp, Hung, JobTimeout, Lost, Nonsense, ResetFailed};
    for reason in [JobTimeout { ring: 1 }, Fault { ring: 4 }, Hung, ResetFailed, Nonsense, GivenUp, Lost, ByHand] {
        check(&Made { reason, ..sample() }, []);
    }
}

#[test]
fn an_entry_takes_no_more_than_is_set_aside() {
    let descriptor = Descriptor { index: u32::MAX, bytes: Some("ff".repeat(LAYOUT.entry_bytes)) };
    assert_eq!(serde_json::to_vec(&descriptor).unwrap().len() + 1, entry_cost(&LAYOUT));
}

/// Text with all that JSON has an escape for.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[\\x00-\\x7f\"\\\\]{0,80}", any::<String>()]
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![text().prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..80)]
}

fn ring() -> impl Strategy<Value = MadeRing> {
    let size = prop_oneof![0..20u32, Just(64)];
    // Large indices are no indices of such a ring.
    let place = || prop::option::of(prop_oneof![0..20u32, any::<u32>()]);
    (size, any::<Option<[u32; 2]>>(), prop::option::of((any::<[Option<u32>; 2]>(), place(), place()))).prop_map(
        |(size, numbers, read)| MadeRing {
            size,
            numbers,
            registers: read.map(|([status, seqno], head, tail)| [status, head, tail, seqno]),
        },
    )
}

fn made_job() -> impl Strategy<Value = MadeJob> {
    (any::<[u8; 2]>(), any::<[u32; 3]>(), any::<Option<u32>>(), text(), any::<[u64; 2]>())
        .prop_map(|(places, numbers, seqno, fence, large)| MadeJob { places, numbers, seqno, fence, large })
}

fn reason() -> impl Strategy<Value = portable::Reason> {
    use portable::Reason::{Fault, Hung, JobTimeout, Lost};
    prop_oneof![
        (0..9u8).prop_map(|ring| JobTimeout { ring }),
        (0..9u8).prop_map(|ring| Fault { ring }),
        Just(Hung),
        Just(Lost)
    ]
}

/// Up to the last moment that RFC 3339 can write.
fn utc() -> impl Strategy<Value = Duration> {
    (0..253_402_300_800_000u64).prop_map(Duration::from_millis)
}

prop_compose! {
    fn any_state()(
        names in [text(), text(), text(), text()],
        minor in any::<u32>(),
        location in name(),
        utc in utc(),
        since_bind in (0..u64::MAX / 1000).prop_map(Duration::from_millis),
        reason in reason(),
        guilty in any::<bool>(),
        process in prop::option::of((any::<u32>(), name())),
        registers in any::<Option<[Option<u32>; 3]>>(),
    )(
        rings in prop::collection::vec(ring(), 0..7),
        jobs in prop::collection::vec(made_job(), 0..30),
        jobs_left_out in any::<u32>(),
        gaps in [0..40u32, 0..40u32],
        names in Just(names), minor in Just(minor), location in Just(location), utc in Just(utc),
        since_bind in Just(since_bind), reason in Just(reason), guilty in Just(guilty), process in Just(process), registers in Just(registers),
    ) -> Made {
        let jobs_left_out = jobs_left_out.into();
        Made { names, minor, location, utc, since_bind, reason, guilty, process, registers, rings, jobs, jobs_left_out, gaps }
    }
}

proptest! {
    #[test]
    fn wedge_4_any_state_in_any_room_is_read_as_it_was_written(
        made in any_state(),
        sizes in prop::collection::vec(0..12_000usize, 8),
    ) {
        let mut sizes = sizes;
        sizes.sort_unstable();
        check(&made, sizes);
    }
}
