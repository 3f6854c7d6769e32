// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/mutex.h>
#include <linux/poll.h>
#include <drm/drm_device.h>
#include <drm/drm_file.h>
#include <drm/drm_print.h>

#include "shim.h"

/* A `struct drm_printer` calls a function that it names; that of fdinfo is not exported. */
void lifeboat_shim_print(void *printer, const char *text)
{
	drm_puts(printer, text);
}

/* Wakes pollers and readers of every open file. */
void lifeboat_shim_wake_files(void *drm)
{
	struct drm_device *dev = drm;
	struct drm_file *file;

	mutex_lock(&dev->filelist_mutex);
	list_for_each_entry(file, &dev->filelist, lhead)
		wake_up_interruptible_poll(&file->event_wait, EPOLLHUP | EPOLLERR);
	mutex_unlock(&dev->filelist_mutex);
}
