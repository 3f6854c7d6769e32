//! Machines that decisions are tested on.

use super::{Tree, port, serial};

/// Lays out one accelerator card behind a port with a slot that cuts power: bound to xe, alone on its bus.
pub fn card() -> Tree {
    let tree = Tree::new();
    tree.bridge("pci0000:00", "0000:00:01.0").attribute("config", port(true));
    let gpu = tree.function("pci0000:00/0000:00:01.0", "0000:03:00.0");
    gpu.ids("0x8086:0x56c0", "0x8086:0x4905", "0x038000").driver("xe").gpu(0, 128).group(14);
    gpu.attribute("reset_method", "flr bus\n").attribute("config", serial(0x1122_3344_5566_7788));
    tree.slot("3", "0000:03:00");
    tree
}

/// Lays out a laptop: the only GPU shows the console and a session of user 1000.
pub fn laptop() -> Tree {
    let tree = Tree::new();
    let gpu = tree.function("pci0000:00", "0000:00:02.0");
    gpu.ids("0x8086:0x46a6", "0x17aa:0x22e7", "0x030000").driver("i915").gpu(0, 128).group(0);
    gpu.attribute("boot_vga", "1\n").attribute("drm/card0/boot_display", "1\n").attribute("reset_method", "flr\n");
    gpu.node("graphics/fb0", "graphics", "29:0", "fb0");
    tree.write("sys/class/vtconsole/vtcon0/name", "(S) dummy device\n");
    tree.write("sys/class/vtconsole/vtcon0/bind", "0\n");
    tree.write("sys/class/vtconsole/vtcon1/name", "(M) frame buffer device\n");
    tree.write("sys/class/vtconsole/vtcon1/bind", "1\n");
    tree.write("run/systemd/sessions/2", "UID=1000\nUSER=ada\nACTIVE=1\nSEAT=seat0\nTYPE=wayland\n");
    let shell = tree.process(900, "gnome-shell");
    shell.cgroup("0::/user.slice/user-1000.slice/user@1000.service/session.slice/org.gnome.Shell@wayland.service\n");
    shell.fd(9, "/dev/dri/card0").fd(10, "/dev/dri/renderD128");
    let logind = tree.process(500, "systemd-logind");
    logind.cgroup("0::/system.slice/systemd-logind.service\n").fd(21, "/dev/dri/card0");
    tree
}

/// Lays out a desktop card: GPU and its audio function in one slot and one IOMMU group; a sound server plays.
pub fn with_audio() -> Tree {
    let tree = Tree::new();
    tree.bridge("pci0000:00", "0000:00:01.0").attribute("config", port(false));
    let above = "pci0000:00/0000:00:01.0";
    let gpu = tree.function(above, "0000:01:00.0");
    gpu.ids("0x1002:0x744c", "0x1da2:0xe471", "0x030000").driver("amdgpu").gpu(1, 129).group(12);
    gpu.attribute("reset_method", "bus\n");
    let audio = tree.function(above, "0000:01:00.1");
    audio.ids("0x1002:0xab30", "0x1da2:0xe471", "0x040300").driver("snd_hda_intel").group(12);
    audio.node("sound/card1/controlC1", "sound", "116:7", "snd/controlC1");
    tree.slot("1", "0000:01:00");
    let server = tree.process(700, "wireplumber");
    server.cgroup("0::/user.slice/user-1000.slice/user@1000.service/session.slice/wireplumber.service\n");
    server.fd(20, "/dev/snd/controlC1");
    tree
}

/// Lays out a server: 8 GPUs, 4 behind each of 2 switches, one switch in a slot; each used by a job in a container.
pub fn eight_gpus() -> Tree {
    let tree = Tree::new();
    for switch in 0..2_u32 {
        let root = format!("0000:00:0{}.0", switch + 1);
        let bus = 0x10 * (switch + 1);
        tree.bridge("pci0000:00", &root).attribute("config", port(true));
        let upstream = format!("0000:{bus:02x}:00.0");
        tree.bridge(&format!("pci0000:00/{root}"), &upstream);
        tree.slot(&format!("{}", switch + 1), &format!("0000:{bus:02x}:00"));
        for port in 0..4 {
            let downstream = format!("0000:{:02x}:0{port}.0", bus + 1);
            tree.bridge(&format!("pci0000:00/{root}/{upstream}"), &downstream);
            let address = format!("0000:{:02x}:00.0", bus + 2 + port);
            let index = switch * 4 + port;
            let gpu = tree.function(&format!("pci0000:00/{root}/{upstream}/{downstream}"), &address);
            gpu.ids("0x10de:0x2330", "0x10de:0x16c1", "0x030200").driver("nvidia").group(40 + index);
            gpu.attribute("reset_method", "flr bus\n");
            let information =
                format!("Model: \t NVIDIA H100\nGPU UUID: \t GPU-0000000{index}\nDevice Minor: \t {index}\n");
            tree.write(&format!("proc/driver/nvidia/gpus/{address}/information"), information);
            let pid = 3000 + index;
            let hex = format!("{pid:064x}");
            let job = tree.process(pid, "python3");
            job.cgroup(&format!("0::/system.slice/docker-{hex}.scope\n")).fd(40, &format!("/dev/nvidia{index}"));
        }
    }
    tree
}

/// Lays out a server whose root file system and swap are on encrypted volumes of an `NVMe` device: the mount is in the
/// namespace of a container only.
pub fn nvme() -> Tree {
    let tree = Tree::new();
    tree.bridge("pci0000:00", "0000:00:1d.0");
    let disk = tree.function("pci0000:00/0000:00:1d.0", "0000:04:00.0");
    disk.ids("0x144d:0xa80a", "0x144d:0xa801", "0x010802").driver("nvme").attribute("reset_method", "flr bus\n");
    disk.node("nvme/nvme0", "nvme", "240:0", "nvme0").attribute("nvme/nvme0/serial", "S64ANS0T000001 \n");
    disk.node("nvme/nvme0/nvme0n1", "block", "259:0", "nvme0n1");
    disk.node("nvme/nvme0/nvme0n1/nvme0n1p2", "block", "259:2", "nvme0n1p2");
    for (index, name) in ["luks", "vg-root", "vg-swap"].into_iter().enumerate() {
        let path = format!("devices/virtual/block/dm-{index}");
        tree.write(&format!("sys/{path}/dev"), format!("252:{index}\n"));
        tree.write(&format!("sys/{path}/dm/name"), format!("{name}\n"));
        tree.link_sys(&format!("class/block/dm-{index}"), &path);
    }
    tree.link_sys(&format!("{}/nvme/nvme0/nvme0n1/nvme0n1p2/holders/dm-0", disk.path), "devices/virtual/block/dm-0");
    tree.link_sys("devices/virtual/block/dm-0/holders/dm-1", "devices/virtual/block/dm-1");
    tree.link_sys("devices/virtual/block/dm-0/holders/dm-2", "devices/virtual/block/dm-2");
    tree.write("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/dm-2 partition 8388604 0 -2\n");
    let contained = tree.process(4000, "postgres");
    contained.mounts("mnt:[4026532999]", "36 35 252:1 /data /var/lib/data rw,relatime - ext4 /dev/mapper/vg-root rw\n");
    tree
}

/// Lays out a network card with RDMA and two virtual functions: the default route leads through a VLAN on a bond of
/// the physical one, a virtual machine has the first virtual one.
pub fn network() -> Tree {
    let tree = Tree::new();
    tree.bridge("pci0000:00", "0000:00:03.0");
    let above = "pci0000:00/0000:00:03.0";
    let card = tree.function(above, "0000:05:00.0");
    card.ids("0x15b3:0x101d", "0x15b3:0x0016", "0x020000").driver("mlx5_core").net("ens5", true).group(20);
    card.attribute("reset_method", "flr bus\n").attribute("config", serial(0xb8ce_f603_00aa_bbcc));
    card.node("infiniband_verbs/uverbs0", "infiniband_verbs", "231:192", "infiniband/uverbs0");
    tree.create("sys/module/mlx5_ib");
    tree.link_sys("bus/auxiliary/drivers/mlx5_ib.rdma/module", "module/mlx5_ib");
    tree.link_sys("module/mlx5_ib/drivers/auxiliary:mlx5_ib.rdma", "bus/auxiliary/drivers/mlx5_ib.rdma");
    tree.link_sys(&format!("{}/mlx5_core.rdma.0/driver", card.path), "bus/auxiliary/drivers/mlx5_ib.rdma");
    tree.link_sys("module/mlx5_core/holders/mlx5_ib", "module/mlx5_ib");
    for index in 0..2 {
        let virtual_function = tree.function(above, &format!("0000:05:00.{}", index + 2));
        virtual_function.ids("0x15b3:0x101e", "0x15b3:0x0016", "0x020000").group(21 + index);
        virtual_function.virtual_of(&card, index);
        if index == 0 {
            virtual_function.driver("vfio-pci");
        }
    }
    for (name, lower) in [("bond0", "ens5"), ("bond0.7", "bond0")] {
        tree.write(&format!("sys/devices/virtual/net/{name}/flags"), "0x1003\n");
        tree.link_sys(&format!("class/net/{name}"), &format!("devices/virtual/net/{name}"));
        tree.link_sys(&format!("devices/virtual/net/{name}/lower_{lower}"), &format!("class/net/{lower}"));
    }
    let routes = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                  bond0.7\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
    tree.write("proc/1/net/route", routes);
    tree
}

/// Lays out a GPU that is given to a virtual machine, with its audio function in the same IOMMU group; the group's
/// other function is driven by nobody.
pub fn vfio() -> Tree {
    let tree = Tree::new();
    tree.bridge("pci0000:00", "0000:00:01.0");
    let above = "pci0000:00/0000:00:01.0";
    let gpu = tree.function(above, "0000:02:00.0");
    gpu.ids("0x10de:0x2684", "0x1043:0x889a", "0x030000").driver("vfio-pci").group(17);
    gpu.attribute("driver_override", "vfio-pci\n").attribute("reset_method", "bus\n");
    let audio = tree.function(above, "0000:02:00.1");
    audio.ids("0x10de:0x22ba", "0x1043:0x889a", "0x040300").driver("snd_hda_intel").group(17);
    tree.write("sys/class/vfio/17/dev", "511:0\n");
    let machine = tree.process(5000, "qemu-system-x86");
    machine.cgroup("0::/machine.slice/machine-qemu-1.scope\n").fd(30, "/dev/vfio/17").fd(31, "/dev/vfio/vfio");
    tree
}
