/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What src/glue/shim.rs declares: kernel functions that are inline, or macros. No policy. */
#ifndef LIFEBOAT_SHIM_H
#define LIFEBOAT_SHIM_H

#include <linux/types.h>

struct dma_buf;
struct drm_device;
struct drm_gem_object;
struct page;
struct vm_area_struct;

void lifeboat_shim_print(void *printer, const char *text);
void lifeboat_shim_wake_files(void *drm);
void lifeboat_shim_syncobj_put(void *syncobj);
void *lifeboat_shim_chain_alloc(void);
void lifeboat_shim_chain_free(void *chain);
void *lifeboat_shim_sync_file_create(void *fence);

void lifeboat_shim_gem_get(struct drm_gem_object *object);
void lifeboat_shim_gem_put(struct drm_gem_object *object);
u64 lifeboat_shim_gem_offset(struct drm_gem_object *object);
struct drm_gem_object *lifeboat_shim_gem_at(struct drm_device *drm, unsigned long start, unsigned long pages);
void lifeboat_shim_dma_buf_get(struct dma_buf *buffer);
unsigned long lifeboat_shim_vma_pages(struct vm_area_struct *vma);
bool lifeboat_shim_vma_is_cow(struct vm_area_struct *vma);
void lifeboat_shim_vma_of_frames(struct vm_area_struct *vma, bool write_combined);
void *lifeboat_shim_map_pages(struct page **pages, unsigned int count);
void lifeboat_shim_unmap_pages(void *pages);
unsigned long lifeboat_shim_page_frame(struct page *page);
bool lifeboat_shim_is_being_killed(void);

bool lifeboat_shim_has_dump(void *device);
void lifeboat_shim_hand_dump_over(void *device, void *data, size_t bytes);

#ifdef CONFIG_LOCKDEP
void lifeboat_shim_section_begins(void);
void lifeboat_shim_section_ends(void);
void lifeboat_shim_ownership_begins(void);
void lifeboat_shim_ownership_ends(void);
void lifeboat_shim_gate_drains(void);
void lifeboat_shim_assert_inside(void);
void lifeboat_shim_teach_order(void);
void lifeboat_shim_watch_waits(void);
void lifeboat_shim_unwatch_waits(void);
void lifeboat_shim_mistake_fence(void);
void lifeboat_shim_mistake_reservation(void);
void lifeboat_shim_mistake_modeset(void);
void lifeboat_shim_mistake_user_memory(void);
#endif

#endif
