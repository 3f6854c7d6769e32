//! A prompt in a guest, to look around.

use std::time::Duration;

use crate::card::gpu::GpuServer;
use crate::guest::initramfs::{Initramfs, module_path};
use crate::guest::machine::MachineError;
use crate::guest::qemu::{self, Arguments, Hotplug, INITRAMFS};
use crate::host::process::Processes;
use crate::pace;
use crate::setup::Environment;
use crate::suite::bench::{Card, Failure};

/// As long as the user likes; a wait needs a number.
const A_DAY: Duration = Duration::from_hours(24);

/// Boots a guest on this terminal, and returns when it has ended.
///
/// # Errors
/// It cannot be started.
pub fn run(environment: &Environment, processes: &Processes) -> Result<(), Failure> {
    let folder = tempfile::Builder::new().prefix("lifeboat-vm-").tempdir().map_err(MachineError::Qemu)?;
    let folder = folder.path();
    let mut initramfs = Initramfs::new(&environment.guest)?;
    initramfs.add_file(&environment.image.join("usr/bin/busybox"), "/bin/busybox")?;
    initramfs.add_file(&environment.lifeboat_ko, &module_path("lifeboat"))?;
    std::fs::write(folder.join(INITRAMFS), initramfs.finish()?).map_err(MachineError::Qemu)?;
    let _gpu = GpuServer::start(&environment.lifeboat, folder, processes, pace::COMMAND)?;
    println!(
        "the GPU's faults: {} gpu ctl --control {}/gpu.sock.ctl --help",
        environment.lifeboat.display(),
        folder.display()
    );
    let arguments =
        Arguments { hotplug: Hotplug::Native, iommu: false, card: Card::Gpu.as_device(), kernel: "lifeboat.shell" };
    let guest = qemu::start_on_terminal(environment, folder, &arguments, processes).map_err(MachineError::Qemu)?;
    guest.wait(A_DAY).map_err(MachineError::Qemu)?;
    Ok(())
}
