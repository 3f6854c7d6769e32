//! A kernel on the other end of FIFOs: writes come from processes, and one that nobody reads blocks as a sick driver does.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};

/// Replaces a file by a FIFO.
pub(crate) fn fifo(path: &Path) {
    let _ = std::fs::remove_file(path);
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// Reads `bind` and `unbind` of a driver, and does as they say.
pub(crate) struct Driver {
    stop: Arc<AtomicBool>,
    log: Arc<Mutex<Vec<(&'static str, String)>>>,
    thread: Option<JoinHandle<()>>,
}

impl Driver {
    /// Serves the driver below `sys`. The FIFOs are there already.
    pub(crate) fn serve(sys: PathBuf, driver: &'static str) -> Self {
        let (stop, log) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let thread = {
            let (stop, log) = (stop.clone(), log.clone());
            std::thread::spawn(move || serve(&sys, driver, &stop, &log))
        };
        Self { stop, log, thread: Some(thread) }
    }

    pub(crate) fn log(&self) -> Vec<(&'static str, String)> {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Length of an address with a domain of four digits. Writes that meet in a FIFO are told apart by it.
const ADDRESS: usize = 12;

fn serve(sys: &Path, driver: &'static str, stop: &AtomicBool, log: &Mutex<Vec<(&'static str, String)>>) {
    let folder = sys.join("bus/pci/drivers").join(driver);
    // Open for writing, too: the end of one writer is not the end of the file.
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut ends =
        ["unbind", "bind"].map(|name| (name, File::from(open(folder.join(name), flags, Mode::empty()).unwrap())));
    while !stop.load(Ordering::Relaxed) {
        let mut polled: Vec<_> =
            ends.iter().map(|(_, file)| PollFd::from_borrowed_fd(file.as_fd(), PollFlags::IN)).collect();
        poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 20_000_000 })).unwrap();
        drop(polled);
        for (name, file) in &mut ends {
            let mut text = [0; ADDRESS];
            while let Ok(ADDRESS) = file.read(&mut text) {
                let function = String::from_utf8(text.to_vec()).unwrap();
                let link = sys.join("bus/pci/devices").join(&function).join("driver");
                log.lock().unwrap().push((*name, function));
                if *name == "bind" {
                    symlink(format!("/bus/pci/drivers/{driver}"), link).unwrap();
                } else {
                    std::fs::remove_file(link).unwrap();
                }
            }
        }
    }
}
