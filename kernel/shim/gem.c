// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Inline functions of the kernel that the Rust side of buffers and maps needs. src/glue/shim.rs declares them.
 */
#include <linux/dma-buf.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/vmalloc.h>

#include <drm/drm_device.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_vma_manager.h>

#include "shim.h"

void lifeboat_shim_gem_get(struct drm_gem_object *object)
{
	drm_gem_object_get(object);
}

void lifeboat_shim_gem_put(struct drm_gem_object *object)
{
	drm_gem_object_put(object);
}

u64 lifeboat_shim_gem_offset(struct drm_gem_object *object)
{
	return drm_vma_node_offset_addr(&object->vma_node);
}

/* The object at exactly this offset, with a reference. Its user need not be allowed to map it. */
struct drm_gem_object *lifeboat_shim_gem_at(struct drm_device *drm, unsigned long start, unsigned long pages)
{
	struct drm_gem_object *object = NULL;
	struct drm_vma_offset_node *node;

	drm_vma_offset_lock_lookup(drm->vma_offset_manager);
	node = drm_vma_offset_exact_lookup_locked(drm->vma_offset_manager, start, pages);
	if (node) {
		object = container_of(node, struct drm_gem_object, vma_node);
		if (!kref_get_unless_zero(&object->refcount))
			object = NULL;
	}
	drm_vma_offset_unlock_lookup(drm->vma_offset_manager);
	return object;
}

void lifeboat_shim_dma_buf_get(struct dma_buf *buffer)
{
	get_dma_buf(buffer);
}

unsigned long lifeboat_shim_vma_pages(struct vm_area_struct *vma)
{
	return vma_pages(vma);
}

bool lifeboat_shim_vma_is_cow(struct vm_area_struct *vma)
{
	return vma_is_cow_mapping(vma);
}

/* A map of page frames that the fault handler inserts one by one. */
void lifeboat_shim_vma_of_frames(struct vm_area_struct *vma, bool write_combined)
{
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_page_prot = vm_get_page_prot(vma->vm_flags);
	if (write_combined)
		vma->vm_page_prot = pgprot_decrypted(pgprot_writecombine(vma->vm_page_prot));
}

void *lifeboat_shim_map_pages(struct page **pages, unsigned int count)
{
	return vmap(pages, count, VM_MAP, PAGE_KERNEL);
}

void lifeboat_shim_unmap_pages(void *pages)
{
	vunmap(pages);
}

unsigned long lifeboat_shim_page_frame(struct page *page)
{
	return page_to_pfn(page);
}

bool lifeboat_shim_is_being_killed(void)
{
	return fatal_signal_pending(current);
}
