// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/dma-fence-chain.h>
#include <linux/sync_file.h>
#include <drm/drm_syncobj.h>

#include "shim.h"

void lifeboat_shim_syncobj_put(void *syncobj)
{
	drm_syncobj_put(syncobj);
}

void *lifeboat_shim_chain_alloc(void)
{
	return dma_fence_chain_alloc();
}

void lifeboat_shim_chain_free(void *chain)
{
	dma_fence_chain_free(chain);
}

/* The file of a new sync_file, or NULL. */
void *lifeboat_shim_sync_file_create(void *fence)
{
	struct sync_file *sync_file = sync_file_create(fence);

	return sync_file ? sync_file->file : NULL;
}
