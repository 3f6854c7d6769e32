use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use super::*;

const GPU: &str = "0000:03:00.0";
const OTHER: &str = "0000:04:00.0";

/// System with a folder for evidence.
struct Place {
    folder: TempDir,
    system: System,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["sys/class/devcoredump", "proc", "dev"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let system = System::open(folder.path()).unwrap();
        Self { folder, system }
    }

    /// Adds a dump without data, in the shape of sysfs. Returns the path of its data.
    fn dump(&self, name: &str, device: &str) -> PathBuf {
        let sys = self.folder.path().join("sys");
        let dump = sys.join("devices/virtual/devcoredump").join(name);
        fs::create_dir_all(&dump).unwrap();
        fs::create_dir_all(sys.join("devices/pci0000:00/0000:00:01.0").join(device)).unwrap();
        symlink(format!("../../../pci0000:00/0000:00:01.0/{device}"), dump.join("failing_device")).unwrap();
        symlink(format!("../../devices/virtual/devcoredump/{name}"), sys.join("class/devcoredump").join(name)).unwrap();
        dump.join("data")
    }

    fn store(&self, limits: Limits) -> Store {
        Store::open(&self.folder.path().join("evidence"), limits).unwrap()
    }

    fn save(&self, limits: Limits, name: &str, at: u64) -> Saved {
        self.store(limits).save(&self.system, incident(name, at, &json!([{"pid": 7}]))).unwrap()
    }
}

type Lines = Vec<io::Result<Vec<u8>>>;

fn incident<'a>(
    name: &'a str,
    at: u64,
    clients: &'a serde_json::Value,
) -> Incident<'a, std::vec::IntoIter<io::Result<Vec<u8>>>> {
    let lines: Lines = (1..=5).map(|line| Ok(format!("line {line}").into_bytes())).collect();
    let (at, device) = (Timestamp::from_millis(at), GPU.parse().unwrap());
    Incident { name, at, device, log: lines.into_iter(), clients }
}

fn state<'a>(manifest: &'a Manifest, file: &str) -> &'a State {
    &manifest.parts.iter().find(|part| part.file == file).unwrap_or_else(|| panic!("{manifest:?}")).state
}

fn manifest(folder: &Path) -> Option<Manifest> {
    serde_json::from_slice(&fs::read(folder.join("manifest.json")).ok()?).ok()
}

fn bytes_in(folder: &Path) -> u64 {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

fn limits() -> Limits {
    Limits { reserve: 0, ..Limits::default() }
}

#[test]
fn agent_3_dump_log_and_clients_are_saved() {
    let place = Place::new();
    let data = place.dump("devcd3", GPU);
    let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(&data, &bytes).unwrap();
    fs::write(place.dump("devcd4", OTHER), "another device's").unwrap();
    let saved = place.save(Limits { log_lines: 3, ..limits() }, "incident 1/../x", 1000);
    assert!(saved.manifest.is_complete(), "{:?}", saved.manifest);
    let read = |name: &str| fs::read(saved.folder.join(name)).unwrap();
    assert!(read("dump-devcd3.bin") == bytes);
    assert_eq!(read("log.txt"), b"line 3\nline 4\nline 5\n");
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&read("clients.json")).unwrap(), json!([{"pid": 7}]));
    assert_eq!(manifest(&saved.folder).as_ref(), Some(&saved.manifest));
    assert_eq!((saved.manifest.device.as_str(), saved.manifest.at.as_millis()), (GPU, 1000));
    let mut names: Vec<_> = fs::read_dir(&saved.folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort_unstable();
    assert_eq!(names, ["clients.json", "dump-devcd3.bin", "log.txt", "manifest.json"]);
    assert!(saved.folder.ends_with("evidence/00000000000000001000-incident_1_.._x"));
    // The dump is the kernel's: it is read, and never written to.
    assert!(fs::read(&data).unwrap() == bytes);
    assert_eq!(fs::metadata(saved.folder.join("dump-devcd3.bin")).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&saved.folder).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_dump_is_deleted_only_when_told() {
    let place = Place::new();
    let data = place.dump("devcd3", GPU);
    fs::write(&data, "dump").unwrap();
    let dumps = dumps_of(&place.system, GPU.parse().unwrap()).unwrap();
    assert_eq!(dumps, [Dump { name: "devcd3".into(), unknown: None }]);
    delete_dump(&place.system, &dumps[0]).unwrap();
    assert_eq!(fs::read(&data).unwrap(), b"1ump");
}

#[test]
fn the_dump_of_a_part_of_the_device_is_its_dump() {
    let place = Place::new();
    fs::write(place.dump("devcd1", &format!("{GPU}/drm/card7")), "dump").unwrap();
    // The bridge above the device has no dump.
    assert_eq!(dumps_of(&place.system, "0000:00:01.0".parse().unwrap()).unwrap(), []);
    assert_eq!(dumps_of(&place.system, GPU.parse().unwrap()).unwrap().len(), 1);
}

#[test]
fn what_is_not_there_is_absent_and_what_cannot_be_read_has_failed() {
    let place = Place::new();
    let saved = place.save(limits(), "none", 1);
    assert_eq!(state(&saved.manifest, "dump"), &State::Absent);
    assert!(saved.manifest.is_complete());
    // A read that fails for any user, and a dump without its link.
    fs::create_dir(place.dump("devcd1", GPU)).unwrap();
    place.dump("devcd2", GPU);
    fs::remove_file(place.folder.path().join("sys/class/devcoredump/devcd2/failing_device")).unwrap();
    place.dump("devcd3", GPU);
    let saved = place.save(limits(), "failing", 2);
    for name in ["dump-devcd1.bin", "dump-devcd2.bin", "dump-devcd3.bin"] {
        assert!(matches!(state(&saved.manifest, name), State::Failed(_)), "{:?}", saved.manifest);
        assert!(!saved.folder.join(name).exists() && !saved.folder.join(format!("{name}.part")).exists());
    }
    assert_eq!(state(&saved.manifest, "log.txt"), &State::Saved);
    assert!(!saved.manifest.is_complete());
    // A folder that cannot be listed.
    let class = place.folder.path().join("sys/class/devcoredump");
    fs::remove_dir_all(&class).unwrap();
    fs::write(&class, "").unwrap();
    assert!(matches!(state(&place.save(limits(), "class", 3).manifest, "dump"), State::Failed(_)));
}

#[test]
fn a_log_that_ends_in_an_error_is_cut() {
    let place = Place::new();
    let clients = json!(null);
    let lines: Lines = vec![Ok(b"one".to_vec()), Err(io::Error::other("overrun")), Ok(b"two".to_vec())];
    let incident = Incident { name: "log", log: lines.into_iter(), ..incident("", 1, &clients) };
    let saved = place.store(limits()).save(&place.system, incident).unwrap();
    assert_eq!(state(&saved.manifest, "log.txt"), &State::Cut("overrun".into()));
    assert_eq!(fs::read(saved.folder.join("log.txt")).unwrap(), b"one\n");
}

#[test]
fn agent_3_a_long_dump_is_cut_at_its_limit() {
    let place = Place::new();
    let data = place.dump("devcd1", GPU);
    fs::write(&data, vec![7; 300_000]).unwrap();
    let saved = place.save(Limits { dump: 100_001, ..limits() }, "long", 1);
    assert_eq!(state(&saved.manifest, "dump-devcd1.bin"), &State::Cut("only 100001 bytes are kept".into()));
    assert_eq!(fs::metadata(saved.folder.join("dump-devcd1.bin")).unwrap().len(), 100_001);
    // A dump that just fits is whole.
    let saved = place.save(Limits { dump: 300_000, ..limits() }, "fits", 2);
    assert_eq!(state(&saved.manifest, "dump-devcd1.bin"), &State::Saved);
}

#[test]
fn a_save_that_is_made_again_keeps_what_it_has() {
    let place = Place::new();
    let data = place.dump("devcd1", GPU);
    fs::write(&data, "dump").unwrap();
    let first = place.save(limits(), "again", 1);
    // The daemon died before the last manifest.
    let mut torn = first.manifest.clone();
    torn.set(Part::new("clients.json", State::Pending));
    torn.write(&first.folder).unwrap();
    fs::write(first.folder.join("dump-devcd2.bin.part"), "du").unwrap();
    fs::write(&data, "what the driver answers after a step").unwrap();
    let again = place.save(limits(), "again", 1);
    assert_eq!(fs::read(again.folder.join("dump-devcd1.bin")).unwrap(), b"dump");
    // The kernel has dropped the dump.
    fs::remove_dir_all(place.folder.path().join("sys/class/devcoredump")).unwrap();
    let second = place.save(limits(), "again", 1);
    assert_eq!(second.folder, first.folder);
    assert_eq!(state(&second.manifest, "dump-devcd1.bin"), &State::Saved);
    assert_eq!(fs::read(second.folder.join("dump-devcd1.bin")).unwrap(), b"dump");
    assert!(second.manifest.is_complete(), "{:?}", second.manifest);
    assert!(!second.folder.join("dump-devcd2.bin.part").exists());
}

#[test]
fn the_oldest_incidents_go_when_the_quota_is_full() {
    let place = Place::new();
    fs::write(place.dump("devcd1", GPU), vec![7; 10_000]).unwrap();
    let quota = Limits { dump: 10_000, text: 1000, total: 40_000, ..limits() };
    let evidence = place.folder.path().join("evidence");
    fs::create_dir(&evidence).unwrap();
    fs::create_dir(evidence.join("notes")).unwrap();
    fs::write(evidence.join("notes/long"), vec![0; 100_000]).unwrap();
    for at in 1..=10 {
        let saved = place.save(quota, "incident", at);
        assert!(saved.manifest.is_complete(), "{:?}", saved.manifest);
        let folders =
            fs::read_dir(&evidence).unwrap().map(|entry| entry.unwrap().path()).filter(|path| !path.ends_with("notes"));
        let mut folders: Vec<PathBuf> = folders.collect();
        folders.sort_unstable();
        assert!(folders.iter().map(|folder| bytes_in(folder)).sum::<u64>() <= quota.total);
        let kept: Vec<u64> = (1..=at).rev().take(3).collect();
        let names = folders.iter().rev().map(|folder| manifest(folder).unwrap().at.as_millis());
        assert_eq!(names.collect::<Vec<_>>(), kept);
    }
    assert!(evidence.join("notes/long").exists(), "what is not an incident is left alone");
}

#[test]
fn a_disk_without_space_for_others_gets_no_evidence() {
    let place = Place::new();
    fs::write(place.dump("devcd1", GPU), "dump").unwrap();
    let saved = place.save(Limits { reserve: u64::MAX, ..Limits::default() }, "full", 1);
    for name in ["log.txt", "clients.json", "dump-devcd1.bin"] {
        assert_eq!(state(&saved.manifest, name), &State::Failed("there is no space for it".into()));
    }
    assert_eq!(fs::read_dir(&saved.folder).unwrap().count(), 1);
}

/// Dump whose read does not return: a FIFO without a writer.
#[test]
fn agent_3_agent_11_what_cannot_block_is_saved_before_a_dump_that_blocks() {
    let place = Place::new();
    let data = place.dump("devcd1", GPU);
    rustix::fs::mkfifoat(rustix::fs::CWD, &data, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    thread::scope(|scope| {
        let saving = scope.spawn(|| place.save(limits(), "hangs", 1));
        let folder = place.folder.path().join("evidence/00000000000000000001-hangs");
        let hangs = |manifest: &Manifest| {
            manifest.parts.iter().any(|part| part.file == "clients.json" && part.state == State::Saved)
                && manifest.parts.iter().any(|part| part.file == "dump-devcd1.bin" && part.state == State::Pending)
        };
        let deadline = Instant::now() + Duration::from_mins(1);
        while !manifest(&folder).as_ref().is_some_and(hangs) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let seen = manifest(&folder);
        let saved_before = [folder.join("log.txt"), folder.join("clients.json")].map(|path| path.exists());
        let finished = saving.is_finished();
        // The driver comes back.
        // Without waiting for a reader: the save may have failed.
        let open = || rustix::fs::open(&data, OFlags::WRONLY | OFlags::NONBLOCK, rustix::fs::Mode::empty());
        let mut driver = open();
        while driver.is_err() && !saving.is_finished() {
            thread::sleep(Duration::from_millis(5));
            driver = open();
        }
        let mut driver = File::from(driver.unwrap());
        driver.write_all(b"late").unwrap();
        drop(driver);
        assert!(seen.as_ref().is_some_and(hangs), "{seen:?}");
        assert!(!finished && saved_before == [true, true]);
        assert_eq!(state(&saving.join().unwrap().manifest, "dump-devcd1.bin"), &State::Saved);
        assert_eq!(fs::read(folder.join("dump-devcd1.bin")).unwrap(), b"late");
    });
}
