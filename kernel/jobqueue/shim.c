// SPDX-License-Identifier: GPL-2.0 OR MIT

/* Inlines and macros of the kernel's headers that Rust cannot reach. No policy. */

#include <linux/dma-fence.h>
#include <linux/dma-fence-chain.h>
#include <linux/module.h>
#include <linux/workqueue.h>

bool lifeboat_jobqueue_shim_module_get(void);
void lifeboat_jobqueue_shim_module_put(void);
void lifeboat_jobqueue_shim_fence_get(struct dma_fence *fence);
void lifeboat_jobqueue_shim_fence_put(struct dma_fence *fence);
int lifeboat_jobqueue_shim_fence_status(struct dma_fence *fence);
bool lifeboat_jobqueue_shim_begin_signalling(void);
void lifeboat_jobqueue_shim_end_signalling(bool cookie);
void lifeboat_jobqueue_shim_flush_workqueue(struct workqueue_struct *queue);

/* The module that this file is linked into. */
bool lifeboat_jobqueue_shim_module_get(void)
{
	return try_module_get(THIS_MODULE);
}

void lifeboat_jobqueue_shim_module_put(void)
{
	module_put(THIS_MODULE);
}

void lifeboat_jobqueue_shim_fence_get(struct dma_fence *fence)
{
	dma_fence_get(fence);
}

void lifeboat_jobqueue_shim_fence_put(struct dma_fence *fence)
{
	dma_fence_put(fence);
}

/* A chain's node has no error of its own: the fence in it has. */
int lifeboat_jobqueue_shim_fence_status(struct dma_fence *fence)
{
	int status = dma_fence_get_status(fence);

	return status > 0 ? dma_fence_get_status(dma_fence_chain_contained(fence)) : status;
}

/* Inline and empty in kernels without lockdep. */
bool lifeboat_jobqueue_shim_begin_signalling(void)
{
	return dma_fence_begin_signalling();
}

void lifeboat_jobqueue_shim_end_signalling(bool cookie)
{
	dma_fence_end_signalling(cookie);
}

/* flush_workqueue() is a macro that warns about the system's queues. */
void lifeboat_jobqueue_shim_flush_workqueue(struct workqueue_struct *queue)
{
	flush_workqueue(queue);
}
