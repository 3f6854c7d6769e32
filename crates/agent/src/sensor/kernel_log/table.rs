//! Messages of drivers that tell of a fault, as data. Each begins with the driver's and the device's name, which the kernel also
//! gives apart from the text (`dev_printk`).
//!
//! The texts are those of Linux 7.3.4 in the file that `source` names, and older forms where an entry says so.

use super::class::Class::{self, Application, Device, Notice};
use super::pattern;

/// Messages that one driver, or one part of the kernel, writes.
#[derive(Debug)]
pub struct Family {
    /// Name, as in `LogFault::family` of the policy's crate.
    pub name: &'static str,
    /// Names of drivers whose messages count. Empty: all.
    pub drivers: &'static [&'static str],
    /// Patterns that may stand before the message, in this order.
    lead: &'static [&'static str],
    /// Messages. The first that matches counts.
    pub messages: &'static [Message],
}

/// Message that tells of a fault.
#[derive(Debug)]
pub struct Message {
    /// Code, as in `LogFault::code` of the policy's crate.
    pub code: &'static str,
    /// Class of the fault.
    pub class: Class,
    /// Pattern for the begin of the message: `#` for digits, `*` for characters without white space.
    pub pattern: &'static str,
    /// File of the kernel's source that writes the message.
    pub source: &'static str,
}

const fn message(code: &'static str, class: Class, pattern: &'static str, source: &'static str) -> Message {
    Message { code, class, pattern, source }
}

const DRM: &str = "drivers/gpu/drm/drm_drv.c";
const AMDGPU_DEVICE: &str = "drivers/gpu/drm/amd/amdgpu/amdgpu_device.c";
const AMDGPU_JOB: &str = "drivers/gpu/drm/amd/amdgpu/amdgpu_job.c";
const XE: &str = "drivers/gpu/drm/xe/xe_device.c";
const I915_RESET: &str = "drivers/gpu/drm/i915/gt/intel_reset.c";
const I915_ERROR: &str = "drivers/gpu/drm/i915/i915_gpu_error.c";
const IVPU: &str = "drivers/accel/ivpu/ivpu_pm.c";
const MLX5: &str = "drivers/net/ethernet/mellanox/mlx5/core/health.c";
const NVME: &str = "drivers/nvme/host/pci.c";
const NVME_CORE: &str = "drivers/nvme/host/core.c";
const PCIEHP: &str = "drivers/pci/hotplug/pciehp_ctrl.c";
const PCIEHP_HPC: &str = "drivers/pci/hotplug/pciehp_hpc.c";
const AER: &str = "drivers/pci/pcie/aer.c";
const RECOVERY: &str = "drivers/pci/pcie/err.c";
const DPC: &str = "drivers/pci/pcie/dpc.c";

/// Code of the message with which the core of DRM goes along with each wedged event.
pub(super) const WEDGED: &str = "wedged";
/// Code of the same message if the driver expects no recovery.
pub(super) const WEDGED_NONE: &str = "wedged-none";
/// Family of these messages.
pub(super) const DRM_FAMILY: &str = "drm";

/// Families of messages about a PCI function.
pub static FAMILIES: &[Family] = &[
    Family {
        name: DRM_FAMILY,
        drivers: &[],
        lead: &["[drm] "],
        messages: &[
            message(WEDGED, Device, "device wedged, needs recovery", DRM),
            message(WEDGED_NONE, Notice, "device wedged, but no recovery needed", DRM),
        ],
    },
    Family {
        name: "amdgpu",
        drivers: &["amdgpu"],
        // The second is of kernels before 7.0.
        lead: &["[drm] ", "amdgpu: ", "*ERROR* "],
        messages: &[
            message("reset-failed", Device, "GPU reset end with ret = ", AMDGPU_DEVICE),
            message("reset-failed", Device, "GPU reset(#) failed", AMDGPU_DEVICE),
            message("reset-succeeded", Notice, "GPU reset(#) succeeded!", AMDGPU_DEVICE),
            message("vram-lost", Notice, "VRAM is lost due to GPU reset!", AMDGPU_DEVICE),
            message("ring-soft-recovered", Application, "ring * timeout, but soft recovered", AMDGPU_JOB),
            message("ring-timeout", Application, "ring * timeout, signaled seq=", AMDGPU_JOB),
            message("ring-reset-failed", Notice, "Ring * reset failed", AMDGPU_JOB),
            message("ring-reset-succeeded", Application, "Ring * reset succeeded", AMDGPU_JOB),
        ],
    },
    Family {
        name: "xe",
        drivers: &["xe"],
        lead: &["[drm] ", "*ERROR* "],
        messages: &[message("wedged", Device, "CRITICAL: Xe has declared device ", XE)],
    },
    Family {
        name: "i915",
        drivers: &["i915"],
        lead: &["[drm] ", "*ERROR* ", "GT#: "],
        messages: &[
            message("reset-failed", Device, "Failed to reset chip", I915_RESET),
            message("reset-failed", Device, "Failed to initialise HW following reset ", I915_RESET),
            message("hang", Application, "GPU HANG: ecode ", I915_ERROR),
        ],
    },
    Family {
        name: "ivpu",
        drivers: &["intel_vpu"],
        lead: &["[drm] ", "*ERROR* ", "*(): "],
        messages: &[message("recovering", Notice, "Recovering the NPU (reset ", IVPU)],
    },
    Family {
        name: "mlx5",
        drivers: &["mlx5_core"],
        lead: &["*:#:(pid #): "],
        messages: &[
            message("fatal", Device, "Fatal error # detected", MLX5),
            message("heartbeat-lost", Device, "device's health compromised - reached miss count", MLX5),
            message("recovery-failed", Device, "health recovery failed", MLX5),
            message("recovery-failed", Device, "health recovery flow aborted, PCI reads still not working", MLX5),
            message("slot-unavailable", Device, "PCI slot is unavailable", MLX5),
            message("cold-reset", Device, "Cold reset is required", MLX5),
            message("health-issue", Notice, "Health issue observed, ", MLX5),
        ],
    },
    Family {
        name: "pciehp",
        drivers: &["pcieport"],
        lead: &["pciehp: "],
        messages: &[
            message("link-down", Notice, "Slot(*): Link Down", PCIEHP),
            message("not-present", Notice, "Slot(*): Card not present", PCIEHP),
            message("no-link", Notice, "Slot(*): No link", PCIEHP_HPC),
            message("no-link", Notice, "Slot(*): Cannot train link: status ", PCIEHP_HPC),
            message("power-fault", Notice, "Slot(*): Power fault", PCIEHP_HPC),
        ],
    },
    Family {
        name: "aer",
        drivers: &[],
        lead: &["AER: "],
        messages: &[
            message("correctable", Notice, "PCIe Bus Error: severity=Correct", AER),
            // Kernels before 6.11 say "Uncorrected".
            message("nonfatal", Notice, "PCIe Bus Error: severity=Uncorrectable (Non-Fatal)", AER),
            message("nonfatal", Notice, "PCIe Bus Error: severity=Uncorrected (Non-Fatal)", AER),
            message("fatal", Notice, "PCIe Bus Error: severity=Uncorrectable (Fatal)", AER),
            message("fatal", Notice, "PCIe Bus Error: severity=Uncorrected (Fatal)", AER),
            message("recovery-failed", Notice, "device recovery failed", RECOVERY),
            message("recovery-succeeded", Notice, "device recovery successful", RECOVERY),
        ],
    },
    Family {
        name: "dpc",
        drivers: &["pcieport"],
        lead: &["DPC: "],
        messages: &[message("contained", Notice, "containment event, status:", DPC)],
    },
];

/// Family of messages about NVMe controllers, which the kernel names by their own name instead of their function.
pub static NVME_FAMILY: Family = Family {
    name: "nvme",
    drivers: &["nvme"],
    lead: &[],
    messages: &[
        message("down", Device, "controller is down; will reset", NVME),
        message("disabled", Device, "Disabling device after reset failure", NVME),
        message("not-ready", Device, "Device not ready; aborting ", NVME_CORE),
        // Kernels before 6.9 say "I/O 12 QID 4 timeout".
        message("timeout", Notice, "I/O # QID # timeout, ", NVME),
        message("timeout", Notice, "I/O # (*) QID # timeout, ", NVME),
        message("timeout", Notice, "I/O tag # (*) QID # timeout, ", NVME),
        message("timeout", Notice, "I/O tag # (*) opcode ", NVME),
    ],
};

impl Family {
    /// Finds the message that a driver has written about a device.
    pub(super) fn find(&self, driver: &str, text: &str) -> Option<&'static Message> {
        if !self.drivers.is_empty() && !self.drivers.contains(&driver) {
            return None;
        }
        let text = self.lead.iter().fold(text, |text, lead| pattern::strip(text, lead).unwrap_or(text));
        self.messages.iter().find(|message| pattern::strip(text, message.pattern).is_some())
    }
}
