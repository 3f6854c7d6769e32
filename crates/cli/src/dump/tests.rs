use lifeboat::dump::{
    About, Descriptor, Driver, Guilty, LeftOut, PendingJob, Process, Reason, RegisterValue, RingState, Taken,
};
use proptest::prelude::*;

use super::*;

fn register(name: &str, offset: u64, value: Option<u32>) -> RegisterValue {
    RegisterValue { name: name.to_owned(), offset, value }
}

fn descriptor(index: u32, words: &[u32]) -> Descriptor {
    let all = (0..32).flat_map(|at| words.get(at).copied().unwrap_or(0).to_le_bytes());
    Descriptor { index, bytes: Some(all.map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()) }
}

/// A hang on ring 0.
fn sample() -> Dump {
    let job = PendingJob {
        ring: 0,
        queue: 3,
        context: 1,
        seqno: Some(9),
        waits: 0,
        commands: 1,
        fence: "lifeboat0/ring0.queue3".to_owned(),
        number: 4,
        age_us: 501_234,
    };
    Dump {
        driver: Driver { name: "lifeboat".to_owned(), version: "0.1.0".to_owned() },
        device: About { model: "LB1".to_owned(), minor: 0, location: "0000:01:00.0".to_owned() },
        taken: Taken { utc: "2026-01-02T03:04:05.678Z".to_owned(), since_bind_ms: 12_034 },
        reason: Reason::JobTimeout { ring: 0 },
        guilty: Some(Guilty { ring: 0, context: 1, fence: job.fence.clone(), number: 4, process: None }),
        registers: vec![
            register("ID", 0, Some(0x0031_424c)),
            register("VERSION", 4, Some(0x0001_0000)),
            register("DEVICE_STATUS", 0x14, Some(1)),
            register("HEARTBEAT", 0x18, None),
            register("UNHEARD_OF", 0x1c, Some(3)),
        ],
        rings: vec![RingState {
            ring: 0,
            size: 1024,
            head: Some(17),
            tail: Some(19),
            seqno: Some(8),
            issued: Some(10),
            completed: Some(8),
            registers: vec![
                register("RING_STATUS", 0x1004, Some(3)),
                register("RING_FAULT", 0x1020, Some(0x0002_0103)),
            ],
            descriptors: vec![
                descriptor(16, &[0x0001_0105, 0, 8]),
                descriptor(17, &[0x0001_0007]),
                descriptor(18, &[0x0002_0001, 0, 0x1000, 0, 64, 0, 7]),
                descriptor(19, &[99]),
                descriptor(20, &[2]),
                Descriptor { index: 21, bytes: None },
                Descriptor { index: 22, bytes: Some("zz".to_owned()) },
            ],
        }],
        jobs: vec![
            job.clone(),
            PendingJob { seqno: None, number: 5, waits: 2, commands: 3, age_us: 1_500, ..job.clone() },
            PendingJob { seqno: None, number: 6, ..job },
        ],
        left_out: LeftOut { registers: 0, descriptors: 2, jobs: 5 },
    }
}

fn bytes(dump: &Dump) -> Vec<u8> {
    let mut bytes = Vec::new();
    dump.write(&mut bytes).unwrap();
    bytes
}

#[test]
fn the_text_in_full() {
    let expected = "\
Reason    a job on ring 0 has had its time
Guilty    context 1, by lifeboat0/ring0.queue3 number 4 on ring 0
Device    LB1 0 at 0000:01:00.0
Taken     2026-01-02T03:04:05.678Z, 12.034 s after it was bound
Driver    lifeboat 0.1.0

Registers
  0x00000  ID                    0x0031424c
  0x00004  VERSION               0x00010000  major 1, minor 0
  0x00014  DEVICE_STATUS         0x00000001  READY
  0x00018  HEARTBEAT             could not be read
  0x0001c  UNHEARD_OF            0x00000003

Ring 0 of 1024 descriptors: head 17, tail 19
  sequence number: 8 written by the device; 10 given and 8 seen by the driver
  0x01004  RING_STATUS           0x00000003  ENABLED, BUSY
  0x01020  RING_FAULT            0x00020103  code UNMAPPED, context 1, opcode 2
          16  context 1   write-seqno 8, interrupt
  head    17  context 1   hang
          18  context 2   fill 0x1000, 64 bytes, with 0x00000007
          19  context 0   no command: opcode 99
          20  context 0   opcode 2: argument `row_bytes` is outside its stated range
          21  could not be read
          22  not 128 bytes in hexadecimal

Pending jobs: 3
  ring 0, queue 3, context 1: lifeboat0/ring0.queue3 number 4, on the ring as 9; 1 command, 0.501 s old
  ring 0, queue 3, context 1: lifeboat0/ring0.queue3 number 5, waits for 2 fences; 3 commands, 0.001 s old
  ring 0, queue 3, context 1: lifeboat0/ring0.queue3 number 6, waits for its turn; 1 command, 0.501 s old

Left out for want of room: 2 descriptors, 5 jobs
";
    assert_eq!(text::of(&sample()), expected);
}

#[test]
fn the_file_says_what_it_is_and_a_later_version_is_refused_as_such() {
    let text = String::from_utf8(bytes(&sample())).unwrap();
    assert!(text.starts_with(r#"{"format":"lifeboat-dump","version":1,"driver":{"#), "{text}");
    assert_eq!(text.lines().count(), 1);
    let read = |text: &str| Dump::read(text.as_bytes());
    assert_eq!(read(&text).unwrap(), sample());
    // What a later version may look like is not known, but for its beginning.
    let later = read(r#"{"format":"lifeboat-dump","version":2,"device":7}"#).unwrap_err();
    assert!(later.to_string().contains("version 2"), "{later}");
    for (other, says) in [
        (text.replace("lifeboat-dump", "core"), "its format is \"core\""),
        (text.replace("\"version\":1,", "\"version\":0,"), "there is no version 0"),
        (text.replace("\"version\":1,", ""), "missing field `version`"),
        (text.replace("\"jobs\"", "\"job\""), "missing field `jobs`"),
        (String::new(), "EOF"),
        ("[".repeat(100_000), "no dump"),
    ] {
        let error = read(&other).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    // A field that this version does not know does no harm.
    assert_eq!(read(&text.replacen("\"jobs\"", "\"weather\":[1],\"jobs\"", 1)).unwrap(), sample());
}

#[test]
fn each_reason_is_a_sentence_and_has_a_name_in_the_file() {
    for (reason, name) in [
        (Reason::JobTimeout { ring: 1 }, "job-timeout"),
        (Reason::Fault { ring: 1 }, "fault"),
        (Reason::Hung, "hung"),
        (Reason::ResetFailed, "reset-failed"),
        (Reason::GivenUp, "given-up"),
        (Reason::Lost, "lost"),
        (Reason::ByHand, "by-hand"),
    ] {
        let dump = Dump { reason, guilty: None, registers: vec![], rings: vec![], jobs: vec![], ..sample() };
        let json: serde_json::Value = serde_json::from_slice(&bytes(&dump)).unwrap();
        assert_eq!(json["reason"]["kind"], name);
        let text = text::of(&dump);
        assert!(text.starts_with(&format!("Reason    {reason}\nGuilty    nobody in particular\n")), "{text}");
        assert_eq!(text.contains("did not answer"), reason == Reason::Lost);
    }
}

#[test]
fn the_process_of_the_guilty_job_is_named() {
    let mut dump = sample();
    let guilty = dump.guilty.as_mut().unwrap();
    guilty.process = Some(Process { pid: 42, name: "a \"desk\"\x1b[m".to_owned() });
    let text = text::of(&dump);
    assert!(
        text.contains(
            "\nGuilty    context 1 of process 42 (a \"desk\"?[m), by lifeboat0/ring0.queue3 number 4 on ring 0\n"
        ),
        "{text}"
    );
    assert_eq!(Dump::read(&bytes(&dump)).unwrap(), dump);
}

#[test]
fn a_file_that_is_not_there_too_large_or_something_else_is_an_error_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| ShowArgs { file: directory.path().join(name), json: false };
    let large = File::create(directory.path().join("large")).unwrap();
    large.set_len(MOST + 1).unwrap();
    std::fs::write(directory.path().join("text"), "hello").unwrap();
    std::fs::write(directory.path().join("good"), bytes(&sample())).unwrap();
    for (name, says) in [("none", "cannot be read"), ("large", "16 MiB"), ("text", "no dump"), (".", "cannot be read")]
    {
        let error = show(&file(name)).unwrap_err().to_string();
        assert!(error.contains(says) && error.lines().count() == 1, "{error}");
    }
    assert_eq!(show(&file("good")).unwrap(), text::of(&sample()));
    let json = show(&ShowArgs { json: true, ..file("good") }).unwrap();
    assert!(json.lines().count() > 100 && Dump::read(json.as_bytes()).unwrap() == sample());
}

#[test]
fn a_truncated_file_is_an_error() {
    let all = bytes(&sample());
    // The last byte ends the line.
    for end in 0..all.len() - 1 {
        assert!(Dump::read(&all[..end]).is_err(), "{end}");
    }
}

/// Whatever a file says, its text does nothing to a terminal.
fn check(dump: &Dump) {
    let text = text::of(dump);
    let mut json = Vec::new();
    dump.write_pretty(&mut json).unwrap();
    let json = as_ascii(std::str::from_utf8(&json).unwrap());
    for text in [&text, &json] {
        assert!(text.chars().all(|c| c == '\n' || c.is_ascii() && !c.is_ascii_control()), "{text:?}");
    }
    assert_eq!(Dump::read(json.as_bytes()).unwrap(), *dump, "the same in other characters");
}

proptest! {
    #[test]
    fn a_file_with_any_bytes_in_it_is_an_error_or_a_text(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = bytes(&sample());
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(dump) = Dump::read(&bytes) {
            check(&dump);
        }
    }

    #[test]
    fn any_text_and_any_number_can_be_shown(
        text in any::<String>(),
        numbers in any::<[u32; 4]>(),
        large in any::<u64>(),
        value in any::<Option<u32>>(),
        words in any::<[u32; 32]>(),
    ) {
        let [a, b, c, d] = numbers;
        let mut dump = sample();
        dump.device.location.clone_from(&text);
        dump.taken = Taken { utc: text.clone(), since_bind_ms: large };
        dump.registers.extend(["RING_FAULT", "CAPS", &text].map(|name| register(name, large, value)));
        dump.rings[0].descriptors.push(descriptor(a, &words));
        dump.rings[0].descriptors.push(Descriptor { index: b, bytes: Some(text.clone()) });
        dump.rings[0].size = c;
        dump.rings[0].head = value;
        dump.jobs[0] = PendingJob { fence: text, number: large, age_us: large, waits: d, seqno: None, ..dump.jobs[0].clone() };
        dump.left_out = LeftOut { registers: large, descriptors: large, jobs: large };
        check(&dump);
        prop_assert_eq!(Dump::read(&bytes(&dump)).unwrap(), dump);
    }
}
