// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/devcoredump.h>
#include <linux/kernfs.h>

#include "shim.h"

/* Whether the kernel has a dump of the device: the device links to it. */
bool lifeboat_shim_has_dump(void *device)
{
	struct device *dev = device;
	struct kernfs_node *link = kernfs_find_and_get(dev->kobj.sd, "devcoredump");

	kernfs_put(link);
	return link;
}

void lifeboat_shim_hand_dump_over(void *device, void *data, size_t bytes)
{
	dev_coredumpv(device, data, bytes, GFP_KERNEL);
}
