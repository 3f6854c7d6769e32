//! Device memory that the kernel takes away while it is used. A file that becomes shorter does what VFIO does in a reset.
#![allow(unsafe_code)] // signal handlers, and accesses to addresses that nothing is behind
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use libc::{sigaction, siginfo_t, SIGBUS};
use lifeboat_pci::{HostMemory, Window, PAGE_SIZE};
use rustix::fs::{memfd_create, MemfdFlags};
use rustix::mm::{mmap, munmap, MapFlags, ProtFlags};

const PAGE: usize = 4096;
const PAGES: usize = 8;
const BYTES: u64 = PAGES as u64 * PAGE_SIZE;

/// Memory whose owner can take it away.
fn file(bytes: u64) -> File {
    let file = File::from(memfd_create(c"taken-away", MemfdFlags::CLOEXEC).unwrap());
    file.set_len(bytes).unwrap();
    file
}

fn byte(window: &Window, offset: u64) -> u8 {
    let mut byte = [0];
    window.read(offset, &mut byte).unwrap();
    byte[0]
}

#[test]
fn map_1_memory_that_is_taken_away_reads_as_zeroes_and_can_be_written() {
    let file = file(BYTES);
    let (window, other) = (Window::map(&file, 0, BYTES).unwrap(), Window::map(&file, PAGE_SIZE, PAGE_SIZE).unwrap());
    window.write(0, &vec![7; PAGES * PAGE]).unwrap();
    assert_eq!((byte(&window, 100), byte(&other, 100)), (7, 7));
    // A part is enough, and then all of the window goes; another window on what is left stays.
    file.set_len(2 * PAGE_SIZE).unwrap();
    assert_eq!(byte(&window, 100), 7, "nothing has been missed yet");
    // SAFETY: this thread's errno.
    unsafe { *libc::__errno_location() = 77 };
    let mut all = vec![1; PAGES * PAGE];
    window.read(0, &mut all).unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { *libc::__errno_location() }, 77, "nothing has happened");
    assert!(all[2 * PAGE..].iter().all(|byte| *byte == 0));
    assert_eq!((byte(&window, 100), byte(&other, 100)), (0, 7));
    window.write(100, &[9]).unwrap();
    assert_eq!((byte(&window, 100), byte(&other, 100)), (9, 7), "it can be used, and reaches nobody");
    file.set_len(0).unwrap();
    other.write(5, &[3]).unwrap();
    assert_eq!((byte(&other, 5), byte(&other, 100), byte(&window, 100)), (3, 0, 9));
    window.detach().unwrap();
    assert_eq!(byte(&window, 100), 0);
}

#[test]
fn map_1_host_memory_that_another_process_makes_shorter_goes_on() {
    let file = file(BYTES);
    let memory = HostMemory::from_file(file.try_clone().unwrap(), BYTES).unwrap();
    let (backing, at) = memory.backing(PAGE_SIZE, PAGE_SIZE).unwrap();
    let window = Window::map(&backing, at, PAGE_SIZE).unwrap();
    memory.write(PAGE_SIZE, &[6]).unwrap();
    assert_eq!(byte(&window, 0), 6);
    file.set_len(0).unwrap();
    let mut bytes = [1; 16];
    memory.read(PAGE_SIZE, &mut bytes).unwrap();
    assert_eq!((bytes, byte(&window, 0)), ([0; 16], 0));
}

#[test]
fn only_memory_that_can_be_taken_away_is_guarded() {
    let sealed = HostMemory::shared(BYTES).unwrap();
    let (sealed, _) = sealed.backing(0, BYTES).unwrap();
    assert!(!Window::map(&sealed, 0, BYTES).unwrap().is_guarded());
    assert!(!Window::dummy(BYTES).unwrap().is_guarded());
    assert!(Window::map(&file(BYTES), 0, BYTES).unwrap().is_guarded());
    // What was never there is like what is not there any more.
    let beyond = Window::map(&sealed, PAGE_SIZE, BYTES).unwrap();
    assert!(beyond.is_guarded());
    assert_eq!((byte(&beyond, 0), byte(&beyond, BYTES - 1)), (0, 0));
}

#[test]
fn map_1_who_uses_memory_without_end_while_it_is_taken_away_is_never_stopped() {
    for _ in 0..100 {
        let file = file(BYTES);
        let window = Window::map(&file, 0, BYTES).unwrap();
        window.write(7 * PAGE_SIZE, &[5; 64]).unwrap();
        let (stop, touched) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                let (window, stop, touched) = (&window, &stop, &touched);
                scope.spawn(move || {
                    let mut bytes = [thread; 300];
                    while !stop.load(SeqCst) {
                        let at =
                            (usize::from(thread) + touched.fetch_add(1, SeqCst)) as u64 * 1000 % (7 * PAGE_SIZE - 300);
                        window.write(at, &bytes).unwrap();
                        window.read(at, &mut bytes).unwrap();
                        // SAFETY: the address is in the window, and used by volatile accesses alone.
                        unsafe { window.as_ptr().write_volatile(thread) };
                    }
                });
            }
            let more = |count| {
                let since = touched.load(SeqCst);
                while touched.load(SeqCst) < since + count {
                    std::thread::yield_now();
                }
            };
            more(50);
            file.set_len(0).unwrap();
            more(200);
            stop.store(true, SeqCst);
        });
        assert_eq!(byte(&window, 7 * PAGE_SIZE), 0);
    }
}

#[test]
fn map_1_windows_come_and_go_while_others_are_repaired() {
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            scope.spawn(move || {
                for round in 0..500 {
                    let pages = 1 + (u64::from(thread) + round) % 5;
                    let (taken, kept) = (file(pages * PAGE_SIZE), file(pages * PAGE_SIZE));
                    let windows = [&taken, &kept].map(|file| Window::map(file, 0, pages * PAGE_SIZE).unwrap());
                    windows[1].write(0, &[1 + thread]).unwrap();
                    taken.set_len(0).unwrap();
                    assert_eq!(byte(&windows[0], pages * PAGE_SIZE - 1), 0);
                    assert_eq!(byte(&windows[1], 0), 1 + thread, "somebody else's window was repaired");
                }
            });
        }
    });
}

// What follows is about faults that are not ours. Each test runs itself again as a child that sets what SIGBUS does.

/// Runs `child` in a process of its own that makes no core dump, and says how that ended.
fn in_child(test: &str, child: fn()) -> ExitStatus {
    const CHILD: &str = "LIFEBOAT_PCI_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: a limit of this process.
        unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
        // SAFETY: a signal that ends this process, also when its parent has ended before.
        unsafe { libc::alarm(20) };
        child();
        std::process::exit(0);
    }
    let mut process = Command::new(std::env::current_exe().unwrap());
    let mut process = process.args([test, "--exact", "--nocapture"]).env(CHILD, "1").spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(status) = process.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > until {
            process.kill().unwrap();
            panic!("the child of {test} has not ended: {:?}", process.wait());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn set(handler: usize, flags: c_int) -> sigaction {
    // SAFETY: plain data of C.
    let (mut new, mut old): (sigaction, sigaction) = unsafe { std::mem::zeroed() };
    (new.sa_sigaction, new.sa_flags) = (handler, flags);
    // SAFETY: the handlers in here do what handlers may, and have the signature that the flags say.
    assert_eq!(unsafe { libc::sigaction(SIGBUS, &raw const new, &raw mut old) }, 0);
    old
}

/// Installs the guard, has it work once, and keeps a window.
fn guard() -> Window {
    let taken = file(BYTES);
    let window = Window::map(&taken, 0, BYTES).unwrap();
    taken.set_len(0).unwrap();
    assert_eq!(byte(&window, 0), 0);
    window
}

/// Memory that is not guarded and not there.
struct Bare(*mut c_void);

impl Bare {
    /// At an address, or anywhere.
    fn new(at: *mut c_void) -> Self {
        let flags = if at.is_null() { MapFlags::SHARED } else { MapFlags::SHARED | MapFlags::FIXED_NOREPLACE };
        // SAFETY: at addresses that nobody uses.
        Self(unsafe { mmap(at, 4096, ProtFlags::READ | ProtFlags::WRITE, flags, file(0), 0).unwrap() })
    }

    fn touch(&self) -> u8 {
        // SAFETY: mapped; what the fault does is the test.
        unsafe { self.0.cast::<u8>().read_volatile() }
    }
}

static CALLED: AtomicUsize = AtomicUsize::new(0);
static FAULT: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// A program's own handler, which repairs what it knows: a zero page at the fault.
extern "C" fn own(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: given by the kernel.
    let (code, at) = unsafe { ((*info).si_code, (*info).si_addr()) };
    if signal != SIGBUS || context.is_null() {
        std::process::abort();
    }
    CALLED.fetch_add(1, SeqCst);
    if code == libc::BUS_ADRERR {
        FAULT.store(at, SeqCst);
        repair(at);
    }
}

extern "C" fn own_plain(signal: c_int) {
    if signal != SIGBUS {
        std::process::abort();
    }
    CALLED.fetch_add(1, SeqCst);
    repair(FAULT.load(SeqCst));
}

fn repair(at: *mut c_void) {
    let page = (at as usize & !4095) as *mut c_void;
    let flags = MapFlags::PRIVATE | MapFlags::FIXED;
    // SAFETY: a page of `Bare`.
    let page = unsafe { rustix::mm::mmap_anonymous(page, 4096, ProtFlags::READ | ProtFlags::WRITE, flags) };
    if page.is_err() {
        std::process::abort();
    }
}

fn own_handler() -> usize {
    own as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize
}

fn own_plain_handler() -> usize {
    own_plain as extern "C" fn(c_int) as usize
}

#[test]
fn a_fault_elsewhere_ends_a_process_that_has_no_handler() {
    let status = in_child("a_fault_elsewhere_ends_a_process_that_has_no_handler", || {
        set(libc::SIG_DFL, 0);
        let _window = guard();
        Bare::new(ptr::null_mut()).touch();
    });
    assert_eq!(status.signal(), Some(SIGBUS), "{status}");
}

#[test]
fn a_fault_elsewhere_ends_a_process_with_the_standard_librarys_handler() {
    let status = in_child("a_fault_elsewhere_ends_a_process_with_the_standard_librarys_handler", || {
        let _window = guard();
        Bare::new(ptr::null_mut()).touch();
    });
    assert_eq!(status.signal(), Some(SIGBUS), "{status}");
}

#[test]
fn a_signal_that_was_sent_does_what_it_did_before() {
    let status = in_child("a_signal_that_was_sent_does_what_it_did_before", || {
        set(libc::SIG_DFL, 0);
        let _window = guard();
        // SAFETY: sends this thread a signal.
        unsafe { libc::raise(SIGBUS) };
    });
    assert_eq!(status.signal(), Some(SIGBUS), "{status}");
}

#[test]
fn a_signal_that_was_ignored_stays_ignored() {
    let status = in_child("a_signal_that_was_ignored_stays_ignored", || {
        set(libc::SIG_IGN, 0);
        let _window = guard();
        // SAFETY: sends this thread a signal.
        unsafe { libc::raise(SIGBUS) };
    });
    assert!(status.success(), "{status}");
}

#[test]
fn a_fault_elsewhere_cannot_be_ignored() {
    let status = in_child("a_fault_elsewhere_cannot_be_ignored", || {
        set(libc::SIG_IGN, 0);
        let _window = guard();
        Bare::new(ptr::null_mut()).touch();
    });
    assert_eq!(status.signal(), Some(SIGBUS), "{status}");
}

#[test]
fn an_earlier_handler_gets_what_is_not_ours_as_if_we_were_not_there() {
    let status = in_child("an_earlier_handler_gets_what_is_not_ours_as_if_we_were_not_there", || {
        set(own_handler(), libc::SA_SIGINFO);
        let window = guard();
        assert_eq!(CALLED.load(SeqCst), 0, "what is ours is none of its business");
        let bare = Bare::new(ptr::null_mut());
        assert_eq!((bare.touch(), CALLED.load(SeqCst)), (0, 1));
        assert_eq!(FAULT.load(SeqCst), bare.0);
        // SAFETY: sends this thread a signal.
        unsafe { libc::raise(SIGBUS) };
        assert_eq!(CALLED.load(SeqCst), 2);
        assert_eq!(byte(&guard(), 0) + byte(&window, 0), 0);
        assert_eq!(CALLED.load(SeqCst), 2);
    });
    assert!(status.success(), "{status}");
}

#[test]
fn an_earlier_handler_without_siginfo_is_called_too() {
    let status = in_child("an_earlier_handler_without_siginfo_is_called_too", || {
        set(own_plain_handler(), 0);
        let _window = guard();
        let bare = Bare::new(ptr::null_mut());
        FAULT.store(bare.0, SeqCst);
        assert_eq!((bare.touch(), CALLED.load(SeqCst)), (0, 1));
    });
    assert!(status.success(), "{status}");
}

#[test]
fn an_earlier_handler_that_wants_to_be_called_once_is() {
    let status = in_child("an_earlier_handler_that_wants_to_be_called_once_is", || {
        set(own_handler(), libc::SA_SIGINFO | libc::SA_RESETHAND);
        let _window = guard();
        let bare = [Bare::new(ptr::null_mut()), Bare::new(ptr::null_mut())];
        assert_eq!((bare[0].touch(), CALLED.load(SeqCst)), (0, 1));
        bare[1].touch();
    });
    assert_eq!(status.signal(), Some(SIGBUS), "{status}");
}

static LATER: AtomicUsize = AtomicUsize::new(0);
static BEFORE_LATER: AtomicUsize = AtomicUsize::new(0);

/// A handler that was installed after ours and hands on, as it must.
extern "C" fn later(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    LATER.fetch_add(1, SeqCst);
    let before = BEFORE_LATER.load(SeqCst);
    // SAFETY: what `sigaction` said was there, with SA_SIGINFO.
    let before: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = unsafe { std::mem::transmute(before) };
    before(signal, info, context);
}

#[test]
fn a_later_handler_that_hands_on_does_no_harm() {
    let status = in_child("a_later_handler_that_hands_on_does_no_harm", || {
        set(own_handler(), libc::SA_SIGINFO);
        let _window = guard();
        let handler = later as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize;
        BEFORE_LATER.store(set(handler, libc::SA_SIGINFO).sa_sigaction, SeqCst);
        guard();
        assert_eq!((LATER.load(SeqCst), CALLED.load(SeqCst)), (1, 0));
        assert_eq!(Bare::new(ptr::null_mut()).touch(), 0);
        assert_eq!((LATER.load(SeqCst), CALLED.load(SeqCst)), (2, 1));
    });
    assert!(status.success(), "{status}");
}

#[test]
fn the_addresses_of_a_window_that_has_gone_are_not_ours_any_more() {
    let status = in_child("the_addresses_of_a_window_that_has_gone_are_not_ours_any_more", || {
        set(own_handler(), libc::SA_SIGINFO);
        let window = guard();
        let at = window.as_ptr().cast();
        drop(window);
        let bare = Bare::new(at);
        assert_eq!((bare.touch(), CALLED.load(SeqCst), FAULT.load(SeqCst)), (0, 1, at));
        // SAFETY: it is this test's own.
        unsafe { munmap(at, 4096).unwrap() };
    });
    assert!(status.success(), "{status}");
}
