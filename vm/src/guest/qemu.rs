//! One QEMU: its command line, and the namespace it runs in.
//!
//! QEMU is the image's, not the host's. It runs inside a chroot in a mount and a process namespace of its own, so that nothing
//! stays mounted and nothing goes on running whatever becomes of the runner; the host sees none of it.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::host::process::{Process, Processes};
use crate::setup::Environment;
use crate::setup::isolated;

/// Where the folder of one test is, seen from QEMU.
pub const FOLDER: &str = "/run/lifeboat";

/// Where the kernel is, seen from QEMU.
const KERNEL: &str = "/run/vmlinux";

/// `$1` is the image, `$2` the folder, `$3` the kernel; then the command.
const ENTER: &str = r#"set -e
image=$1 folder=$2 kernel=$3; shift 3
mount -t tmpfs none "$image/run"
mkdir "$image/run/lifeboat"; mount --bind "$folder" "$image/run/lifeboat"
touch "$image/run/vmlinux"; mount --bind "$kernel" "$image/run/vmlinux"
mount -t proc none "$image/proc"
exec chroot "$image" "$@""#;

/// On the kernel's command line, each for a reason:
/// everything into the log; no end of a crash but the end of QEMU; a task that hangs is reported well before a test gives up;
/// marks in the log are not rationed; a timer whose first interrupts are late, because the host is busy, is no reason not to boot.
const KERNEL_ARGUMENTS: &str = "console=ttyS0,115200 ignore_loglevel printk.devkmsg=on panic=1 \
    sysctl.kernel.hung_task_timeout_secs=20 sysctl.kernel.hung_task_check_interval_secs=5 \
    sysctl.kernel.hung_task_warnings=-1 sysctl.kernel.panic_on_oops=0 no_timer_check";

/// The root port that tests plug and unplug. Its place, device 1 on bus 0, is what
/// [`hotplug`](crate::card::hotplug) writes to.
const ROOT_PORT: &str = "pcie-root-port,id=rp1,bus=pcie.0,addr=1.0,slot=1,chassis=1";

/// A second one, in whose slot a card stays.
const SECOND_ROOT_PORT: &str = "pcie-root-port,id=rp2,bus=pcie.0,addr=2.0,slot=2,chassis=2";

/// Who unplugs, from the guest's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hotplug {
    /// The firmware's tables do: QEMU's default.
    Acpi,
    /// `pciehp` does, by the port's own registers.
    Native,
}

/// The three serial lines to a guest and its QEMU, as files in the folder.
pub const CONSOLE: &str = "console.sock";
/// The agent.
pub const AGENT: &str = "agent.sock";
/// The monitor.
pub const MONITOR: &str = "qmp.sock";
/// The guest's file system, in the folder.
pub const INITRAMFS: &str = "initramfs.cpio";

/// An IOMMU that translates, so that what the driver unmaps is really out of the device's reach. In front of all other devices.
const IOMMU: &str = "intel-iommu,intremap=on,caching-mode=on";
/// Unmapping reaches the device before it returns, as for a device that is not trusted.
const IOMMU_ARGUMENTS: &str = "intel_iommu=on iommu.passthrough=0 iommu.strict=1";

/// What differs from guest to guest.
#[derive(Debug, Clone)]
pub struct Arguments {
    /// Who unplugs.
    pub hotplug: Hotplug,
    /// Whether there is an IOMMU.
    pub iommu: bool,
    /// The device in the slot, with its properties as QEMU's `-device` takes them.
    pub card: Option<Value>,
    /// The device in a second slot, on the bus `rp2`; without one there is no such slot.
    pub second: Option<Value>,
    /// Additional words for the kernel.
    pub kernel: &'static str,
}

/// How the serial lines and the monitor are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// To sockets that the runner listens on.
    Sockets,
    /// The console and the monitor share the terminal.
    Terminal,
}

impl Arguments {
    /// QEMU's command line, program first.
    pub fn command_line(&self, lines: Lines) -> Vec<String> {
        let mut line: Vec<String> = [
            "qemu-system-x86_64",
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-display",
            "none",
            "-accel",
            "tcg,thread=multi",
            "-cpu",
            "max",
            "-smp",
            "2",
            // Shared, so that the GPU's server can reach it; backed only where it is used.
            "-object",
            "memory-backend-memfd,id=mem,size=1G,share=on",
            "-machine",
            "q35,memory-backend=mem",
            "-kernel",
            KERNEL,
        ]
        .map(str::to_owned)
        .into();
        let mut option = |name: &str, value: String| line.extend([name.to_owned(), value]);
        option("-initrd", format!("{FOLDER}/{INITRAMFS}"));
        option("-append", self.kernel_arguments());
        match lines {
            Lines::Sockets => {
                for (id, socket) in [("console", CONSOLE), ("agent", AGENT), ("monitor", MONITOR)] {
                    option("-chardev", format!("socket,id={id},path={FOLDER}/{socket}"));
                }
                option("-serial", "chardev:console".to_owned());
                option("-serial", "chardev:agent".to_owned());
                option("-qmp", "chardev:monitor".to_owned());
            }
            Lines::Terminal => option("-serial", "mon:stdio".to_owned()),
        }
        if self.iommu {
            option("-device", IOMMU.to_owned());
        }
        option("-device", ROOT_PORT.to_owned());
        if self.hotplug == Hotplug::Native {
            option("-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off".to_owned());
        }
        if let Some(card) = &self.card {
            option("-device", card.to_string());
        }
        if let Some(card) = &self.second {
            option("-device", SECOND_ROOT_PORT.to_owned());
            option("-device", card.to_string());
        }
        line
    }

    fn kernel_arguments(&self) -> String {
        let iommu = if self.iommu { IOMMU_ARGUMENTS } else { "" };
        [KERNEL_ARGUMENTS, iommu, self.kernel].join(" ").trim_end().to_owned()
    }
}

/// A command inside the image that sees the folder and the kernel.
fn inside(environment: &Environment, folder: &Path, command_line: &[String]) -> Command {
    let mut command = isolated();
    command.args(["/bin/sh", "-c", ENTER, "sh"]);
    command.arg(&environment.image).arg(folder).arg(&environment.kernel).args(command_line);
    command
}

/// Starts QEMU with its lines connected to the sockets in the folder. What it says goes into `qemu.log` there, how it was called
/// into `qemu.cmd`.
///
/// # Errors
/// It cannot be started, or the folder not be written.
pub fn start(
    environment: &Environment,
    folder: &Path,
    arguments: &Arguments,
    processes: &Processes,
) -> io::Result<Process> {
    let command_line = arguments.command_line(Lines::Sockets);
    fs::write(folder.join("qemu.cmd"), command_line.join("\n") + "\n")?;
    let log = File::create(folder.join("qemu.log"))?;
    let mut command = inside(environment, folder, &command_line);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    processes.spawn(&mut command)
}

/// Starts QEMU on this terminal.
///
/// # Errors
/// It cannot be started.
pub fn start_on_terminal(
    environment: &Environment,
    folder: &Path,
    arguments: &Arguments,
    processes: &Processes,
) -> io::Result<Process> {
    processes.spawn(&mut inside(environment, folder, &arguments.command_line(Lines::Terminal)))
}
