// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What lockdep is told of the gate, and mistakes that it must report. Only kernels with lockdep call any of this. */

#include <linux/dma-fence.h>
#include <linux/dma-resv.h>
#include <linux/lockdep.h>
#include <linux/mmap_lock.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <drm/drm_modeset_lock.h>

#include "shim.h"

#ifdef CONFIG_LOCKDEP

static struct lockdep_map gate = STATIC_LOCKDEP_MAP_INIT("lifeboat_gate", &gate);
static struct lockdep_map owner = STATIC_LOCKDEP_MAP_INIT("lifeboat_owner", &owner);

void lifeboat_shim_section_begins(void)
{
	lock_map_acquire_read(&gate);
}

void lifeboat_shim_section_ends(void)
{
	lock_map_release(&gate);
}

void lifeboat_shim_ownership_begins(void)
{
	lock_map_acquire_read(&owner);
}

void lifeboat_shim_ownership_ends(void)
{
	lock_map_release(&owner);
}

void lifeboat_shim_gate_drains(void)
{
	lock_map_acquire(&gate);
	lock_map_release(&gate);
}

void lifeboat_shim_assert_inside(void)
{
	lockdep_assert(lock_is_held(&gate) || lock_is_held(&owner));
}

/*
 * Makes the orders that are right once: the gate is inside of modeset locks, and of a program's address space, which every copy
 * from or to the program may lock for a fault. The first that has one of them the other way round closes a circle.
 */
void lifeboat_shim_teach_order(void)
{
	struct drm_modeset_lock modeset;

	drm_modeset_lock_init(&modeset);
	drm_modeset_lock(&modeset, NULL);
	lifeboat_shim_gate_drains();
	drm_modeset_unlock(&modeset);
	drm_modeset_lock_fini(&modeset);
	if (!current->mm)
		return;
	mmap_read_lock(current->mm);
	lifeboat_shim_gate_drains();
	mmap_read_unlock(current->mm);
}

static struct tracepoint *waits;

/* `dma_fence_wait_start`, which modules cannot name. */
static void find_waits(struct tracepoint *tracepoint, void *unused)
{
	if (!strcmp(tracepoint->name, "dma_fence_wait_start"))
		waits = tracepoint;
}

/* Somebody begins to wait for a fence, which may have signalled. */
static void lifeboat_shim_on_wait(void *unused, struct dma_fence *fence)
{
	lockdep_assert(!lock_is_held(&gate));
}

void lifeboat_shim_watch_waits(void)
{
	for_each_kernel_tracepoint(find_waits, NULL);
	if (waits && tracepoint_probe_register(waits, lifeboat_shim_on_wait, NULL))
		waits = NULL;
}

void lifeboat_shim_unwatch_waits(void)
{
	if (!waits)
		return;
	tracepoint_probe_unregister(waits, lifeboat_shim_on_wait, NULL);
	tracepoint_synchronize_unregister();
}

static const char *mistake_name(struct dma_fence *fence)
{
	return "lifeboat-mistake";
}

static const struct dma_fence_ops mistake_ops = {
	.get_driver_name = mistake_name,
	.get_timeline_name = mistake_name,
};

/* A fence that nobody has signalled, and its reservation. */
static struct dma_fence *mistake_fence(void)
{
	struct dma_fence *fence = kzalloc(sizeof(*fence), GFP_KERNEL);

	if (fence)
		dma_fence_init(fence, &mistake_ops, NULL, dma_fence_context_alloc(1), 1);
	return fence;
}

void lifeboat_shim_mistake_fence(void)
{
	struct dma_fence *fence = mistake_fence();

	if (!fence)
		return;
	dma_fence_wait_timeout(fence, false, 1);
	dma_fence_signal(fence);
	dma_fence_put(fence);
}

void lifeboat_shim_mistake_reservation(void)
{
	struct dma_fence *fence = mistake_fence();
	struct dma_resv resv;

	if (!fence)
		return;
	dma_resv_init(&resv);
	dma_resv_lock(&resv, NULL);
	if (!dma_resv_reserve_fences(&resv, 1))
		dma_resv_add_fence(&resv, fence, DMA_RESV_USAGE_WRITE);
	dma_resv_unlock(&resv);
	dma_resv_wait_timeout(&resv, DMA_RESV_USAGE_WRITE, false, 1);
	dma_fence_signal(fence);
	dma_resv_fini(&resv);
	dma_fence_put(fence);
}

void lifeboat_shim_mistake_modeset(void)
{
	struct drm_modeset_lock modeset;

	drm_modeset_lock_init(&modeset);
	drm_modeset_lock(&modeset, NULL);
	drm_modeset_unlock(&modeset);
	drm_modeset_lock_fini(&modeset);
}

/* As a copy from or to the caller's memory does first. */
void lifeboat_shim_mistake_user_memory(void)
{
	might_fault();
}

#endif
