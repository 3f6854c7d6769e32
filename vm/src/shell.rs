//! A prompt in a guest, to look around.

use std::path::Path;
use std::time::Duration;

use crate::card::gpu::{self, GpuServer};
use crate::card::hotplug::SLOT;
use crate::driver::{self, DEBUGFS};
use crate::guest::initramfs::{Initramfs, module_path};
use crate::guest::machine::MachineError;
use crate::guest::modules::ModuleTree;
use crate::guest::qemu::{self, Arguments, Hotplug, INITRAMFS};
use crate::host::process::Processes;
use crate::pace;
use crate::setup::Environment;
use crate::suite::bench::Card;
use crate::suite::failure::Failure;

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
    let mut needs = String::new();
    for module in ModuleTree::open(&environment.modules_dir)?.with_dependencies(driver::NEEDS)? {
        initramfs.add_module(&module)?;
        needs = format!("{needs}insmod {}; ", module_path(&module.name));
    }
    initramfs.add_file(&environment.lifeboat_ko, &module_path("lifeboat"))?;
    let profile = folder.join("profile");
    std::fs::write(&profile, greeting(environment, folder, &needs)).map_err(MachineError::Qemu)?;
    initramfs.add_file(&profile, "/etc/profile")?;
    std::fs::write(folder.join(INITRAMFS), initramfs.finish()?).map_err(MachineError::Qemu)?;
    let _gpu = GpuServer::start(&environment.lifeboat, folder, gpu::SOCKET, processes, pace::COMMAND)?;
    let arguments = Arguments {
        hotplug: Hotplug::Native,
        iommu: false,
        card: Card::Gpu.as_device(),
        second: None,
        kernel: "lifeboat.shell",
    };
    let guest = qemu::start_on_terminal(environment, folder, &arguments, processes).map_err(MachineError::Qemu)?;
    guest.wait(A_DAY).map_err(MachineError::Qemu)?;
    Ok(())
}

/// What the guest's shell does first. Said there and not before the boot, whose log would push it off the screen.
fn greeting(environment: &Environment, folder: &Path, needs: &str) -> String {
    let module = module_path("lifeboat");
    let lifeboat = environment.lifeboat.display();
    let folder = folder.display();
    format!(
        "cat <<'END'

The GPU is {SLOT}. Its driver is not loaded yet:
    {needs}insmod {module} load=1        (or without load=1: no work of its own)
    cat {DEBUGFS}/{SLOT}/counters
Faults of the GPU, from another terminal of the host:
    {lifeboat} gpu ctl --control {folder}/gpu.sock.ctl --help
END
"
    )
}
