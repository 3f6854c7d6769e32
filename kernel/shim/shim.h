/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What src/glue/shim.rs declares: kernel functions that are inline, or macros. No policy. */
#ifndef LIFEBOAT_SHIM_H
#define LIFEBOAT_SHIM_H

void lifeboat_shim_print(void *printer, const char *text);
void lifeboat_shim_wake_files(void *drm);

#ifdef CONFIG_LOCKDEP
void lifeboat_shim_section_begins(void);
void lifeboat_shim_section_ends(void);
void lifeboat_shim_ownership_begins(void);
void lifeboat_shim_ownership_ends(void);
void lifeboat_shim_gate_drains(void);
void lifeboat_shim_assert_inside(void);
void lifeboat_shim_teach_order(void);
void lifeboat_shim_mistake_fence(void);
void lifeboat_shim_mistake_reservation(void);
void lifeboat_shim_mistake_modeset(void);
#endif

#endif
