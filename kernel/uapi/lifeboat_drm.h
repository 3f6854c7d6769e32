/* SPDX-License-Identifier: MIT */
/*
 * User interface of lifeboat.ko, the DRM driver of a GPU that can vanish. docs/uapi.md explains it.
 *
 * Rules that hold for every ioctl:
 *
 * - Reserved fields and unknown flags must be 0; the kernel answers EINVAL if they are not.
 * - Structures grow at their end. The kernel takes a shorter one as if it ended in zeroes, and
 *   refuses a longer one with E2BIG unless its tail is zero.
 * - Pointers are 64-bit integers. Times are absolute, in nanoseconds of CLOCK_MONOTONIC; a time in
 *   the past asks without waiting.
 * - "Class" says what becomes of a call once the device is lost: Always never fails because of the
 *   loss; Device fails with ENODEV; Driver works on both sides of a loss, so that it fails with
 *   ENODEV where it needs the device. On a wedged device the errno tells the kind of failure
 *   instead of ENODEV: ETIME (hung), ECANCELED (not to be reset), EPROTO (answers nonsense).
 */
#ifndef _LIFEBOAT_DRM_H_
#define _LIFEBOAT_DRM_H_

#include "drm.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define DRM_LIFEBOAT_INFO		0x00
#define DRM_LIFEBOAT_CONTEXT_CREATE	0x01
#define DRM_LIFEBOAT_CONTEXT_DESTROY	0x02
#define DRM_LIFEBOAT_CONTEXT_STATUS	0x03
#define DRM_LIFEBOAT_BUFFER_CREATE	0x04
#define DRM_LIFEBOAT_BUFFER_MMAP	0x05
#define DRM_LIFEBOAT_BUFFER_WAIT	0x06
#define DRM_LIFEBOAT_BUFFER_ADVISE	0x07
#define DRM_LIFEBOAT_MAP		0x08
#define DRM_LIFEBOAT_UNMAP		0x09
#define DRM_LIFEBOAT_SUBMIT		0x0a
#define DRM_LIFEBOAT_WAIT		0x0b

/* Sizes and limits of the device, read at probe. Class: Always. */
struct drm_lifeboat_info {
	/* in: must be 0 */
	__u32 flags;
	/* out: number of rings; rings are counted from 0 */
	__u32 rings;
	/* out: contexts of the hardware, shared by all clients */
	__u32 contexts;
	/* out: stretches of memory, each contiguous for the device, that one context can map */
	__u32 segments;
	/* out: page of a context's address space, in bytes; a power of two */
	__u32 page_bytes;
	/* out: bytes of one command; their layout is in the reference of the device */
	__u32 command_bytes;
	/* out: most commands of a job */
	__u32 most_commands;
	/* out: serial number; 0 if the device has none */
	__u32 serial;
	/* out: video memory in bytes; 0 if the device has none */
	__u64 vram_bytes;
	/* out: first and last address that MAP accepts, in bytes */
	__u64 first_address;
	__u64 last_address;
};

/*
 * Creates a context: an address space, and a blame domain (its jobs are held responsible together).
 * Class: Device. ENOMEM if all contexts are in use, EDQUOT if this file has its share.
 */
struct drm_lifeboat_context_create {
	/* in: must be 0 */
	__u32 flags;
	/* out: number of the context in this file, never 0 */
	__u32 context;
};

/*
 * Destroys a context. Jobs that the device has not been given are cancelled; those that it has run to
 * their end, with the memory that they use. Class: Always. ENOENT if there is no such context.
 */
struct drm_lifeboat_context_destroy {
	/* in */
	__u32 context;
	/* in: must be 0 */
	__u32 pad;
};

/* No reset since the context was created. */
#define DRM_LIFEBOAT_RESET_NONE		0
/* The latest reset was caused by a job of this context. */
#define DRM_LIFEBOAT_RESET_GUILTY	1
/* The latest reset lost jobs of this context, which did not cause it. */
#define DRM_LIFEBOAT_RESET_INNOCENT	2
/* The latest reset lost jobs of this context; the cause is not known. */
#define DRM_LIFEBOAT_RESET_UNKNOWN	3

/* The context caused too many resets: no more jobs are accepted. */
#define DRM_LIFEBOAT_CONTEXT_BANNED	(1 << 0)
/* The device is lost: create a context on the device that returns. */
#define DRM_LIFEBOAT_CONTEXT_LOST	(1 << 1)
/*
 * With CONTEXT_LOST: the device has failed for good and waits for help. What needs the device fails with
 * ETIME if it hangs, ECANCELED if it cannot be reset, EPROTO if it answers nonsense; instead of ENODEV.
 */
#define DRM_LIFEBOAT_CONTEXT_HUNG		(1 << 2)
#define DRM_LIFEBOAT_CONTEXT_RESET_FAILED	(1 << 3)
#define DRM_LIFEBOAT_CONTEXT_NONSENSE		(1 << 4)

/* Resets that a context went through. Class: Always. ENOENT if there is no such context. */
struct drm_lifeboat_context_status {
	/* in */
	__u32 context;
	/* in: must be 0 */
	__u32 pad;
	/* out: DRM_LIFEBOAT_RESET_* */
	__u32 status;
	/* out: DRM_LIFEBOAT_CONTEXT_* */
	__u32 flags;
	/* out: resets that a job of this context caused */
	__u64 guilty;
	/* out: resets that lost jobs of this context, and that another context caused */
	__u64 innocent;
	/* out: resets that lost jobs of this context, for a cause that is not known */
	__u64 unknown;
};

/* Memory of the device instead of the host's. */
#define DRM_LIFEBOAT_BUFFER_VRAM	(1 << 0)
/*
 * Pages of the caller, at `address`, until it unmaps or replaces them. The buffer cannot be exported.
 */
#define DRM_LIFEBOAT_BUFFER_USER	(1 << 1)
/* With BUFFER_USER: the device only reads. */
#define DRM_LIFEBOAT_BUFFER_READ_ONLY	(1 << 2)

/*
 * Creates a buffer, zeroed. Class: Device. EINVAL for a size of 0, and with
 * DRM_LIFEBOAT_BUFFER_USER for an address or size that is no multiple of the host's page; ENOSPC if
 * there is no room in video memory; ENOMEM; EFAULT if the caller has no such pages; EINTR if
 * the caller is being killed; EOPNOTSUPP for DRM_LIFEBOAT_BUFFER_USER in a kernel that cannot watch a
 * program's addresses.
 */
struct drm_lifeboat_buffer_create {
	/* in: bytes; out: bytes, rounded up to pages */
	__u64 size;
	/* in: with DRM_LIFEBOAT_BUFFER_USER the address of the first byte; else 0 */
	__u64 address;
	/* in: DRM_LIFEBOAT_BUFFER_* */
	__u32 flags;
	/* out: GEM handle */
	__u32 handle;
};

/*
 * Tells the offset at which mmap() of this file maps the buffer. Maps must be MAP_SHARED. Class:
 * Always. After a loss, maps of before and after work, and show undefined data. ENOENT if there is
 * no such buffer.
 */
struct drm_lifeboat_buffer_mmap {
	/* in */
	__u32 handle;
	/* in: must be 0 */
	__u32 pad;
	/* out */
	__u64 offset;
};

/* Waits for writers only, so that the buffer can be read. */
#define DRM_LIFEBOAT_WAIT_WRITERS	(1 << 0)

/*
 * Waits until no job uses the buffer. Class: Always: a loss ends every job. ETIME at the timeout,
 * EINTR, ENOENT if there is no such buffer.
 */
struct drm_lifeboat_buffer_wait {
	/* in */
	__u32 handle;
	/* in: DRM_LIFEBOAT_WAIT_* */
	__u32 flags;
	/* in */
	__s64 timeout_ns;
};

/* The contents are needed: keep them (again). */
#define DRM_LIFEBOAT_WILL_NEED		0
/* The contents are not needed: they may be given up while memory is short. */
#define DRM_LIFEBOAT_DONT_NEED		1

/* Says whether the contents of a buffer are needed. Class: Always. ENOENT if there is none; ENOMEM. */
struct drm_lifeboat_buffer_advise {
	/* in */
	__u32 handle;
	/* in: DRM_LIFEBOAT_WILL_NEED or DRM_LIFEBOAT_DONT_NEED */
	__u32 advice;
	/* out: 0 if the contents were given up before, and are undefined */
	__u32 retained;
	/* in: must be 0 */
	__u32 pad;
};

/* Commands may write there. */
#define DRM_LIFEBOAT_MAP_WRITE		(1 << 0)

/*
 * Maps a part of a buffer into a context. Offset, size and address are multiples of the page; the
 * addresses must be free. Class: Device. ENOENT if there is no such context or buffer; EINVAL for a
 * range that is not the buffer's or not the device's, or for memory of the program or of another
 * device that is not contiguous by whole pages of this one; EEXIST if an address is taken; ENOSPC if
 * the context has too few segments left; EFAULT if the caller has unmapped or replaced memory of
 * DRM_LIFEBOAT_BUFFER_USER; ENOMEM; EINTR if the caller is being killed.
 */
struct drm_lifeboat_map {
	/* in */
	__u32 context;
	/* in: GEM handle */
	__u32 handle;
	/* in: address in the context, in bytes */
	__u64 address;
	/* in: part of the buffer, in bytes */
	__u64 offset;
	__u64 size;
	/* in: DRM_LIFEBOAT_MAP_* */
	__u32 flags;
	/* in: must be 0 */
	__u32 pad;
};

/*
 * Unmaps what one MAP mapped at this address. Jobs that use it afterwards fault. Class: Always: a
 * lost device has no map. ENOENT if there is no such context, or nothing begins there.
 */
struct drm_lifeboat_unmap {
	/* in */
	__u32 context;
	/* in: must be 0 */
	__u32 pad;
	/* in: the address that MAP was given */
	__u64 address;
};

/* `handle` is a descriptor of a sync_file instead of a handle of a syncobj. */
#define DRM_LIFEBOAT_SYNC_FILE		(1 << 0)

/* A fence that a job waits for, or that it is to signal. */
struct drm_lifeboat_sync {
	/*
	 * Handle of a syncobj. With DRM_LIFEBOAT_SYNC_FILE a descriptor: in for a fence to wait for;
	 * out for one to signal.
	 */
	__s32 handle;
	/* in: DRM_LIFEBOAT_SYNC_* */
	__u32 flags;
	/* in: point of a timeline syncobj; 0 for a binary one */
	__u64 point;
};

/* Begins after jobs of the other priorities. */
#define DRM_LIFEBOAT_PRIORITY_LOW	0
#define DRM_LIFEBOAT_PRIORITY_NORMAL	1
/* Begins before jobs of the other priorities. Needs CAP_SYS_NICE, else EACCES. */
#define DRM_LIFEBOAT_PRIORITY_HIGH	2

/* If a fence that the job waits for ends with an error, the job runs all the same. */
#define DRM_LIFEBOAT_SUBMIT_IGNORE_ERRORS	(1 << 0)
/* The job may be run once more if a reset for another's sake ends it. */
#define DRM_LIFEBOAT_SUBMIT_RESTARTABLE		(1 << 1)

/*
 * Submits a job: commands that one ring executes in order, once every fence of `waits` has
 * signalled. Jobs of one context, ring and priority begin in the order of their submission.
 * All or nothing: after an error nothing was submitted. Class: Driver.
 *
 * ENOENT (context, syncobj, point without a fence), EINVAL (ring, priority, more than 256 fences of
 * a kind, command: the device's ranges), EACCES (priority), ECANCELED (context banned), EDQUOT (this
 * client's share), EAGAIN (too many jobs in flight), EFAULT, ENOMEM, ENODEV.
 *
 * How a job ended is the error of its fences: 0, ENODEV (device lost), ETIME (the job hung, or
 * faulted), ECANCELED (reset for another's sake, context destroyed, or a fence that the job waited
 * for ended with an error).
 */
struct drm_lifeboat_submit {
	/* in */
	__u32 context;
	/* in: from 0 */
	__u32 ring;
	/* in: DRM_LIFEBOAT_PRIORITY_* */
	__u32 priority;
	/* in: DRM_LIFEBOAT_SUBMIT_* */
	__u32 flags;
	/* in: array of commands, each of command_bytes */
	__u64 commands;
	/* in: array of struct drm_lifeboat_sync to wait for */
	__u64 waits;
	/* in and out: array of struct drm_lifeboat_sync to signal */
	__u64 signals;
	/* in: elements of the three arrays */
	__u32 command_count;
	__u32 wait_count;
	__u32 signal_count;
	/* in: time that the job may take, in milliseconds; 0, or more than the device's limit: that */
	__u32 timeout_ms;
	/* out: number of the job, for WAIT; counted by context, never 0 */
	__u64 job;
};

/*
 * Waits for the end of a job. Class: Always. ETIME at the timeout, EINTR, ENOENT if the context or
 * the job was never there, or is not among the last 1024 jobs of the context.
 */
struct drm_lifeboat_wait {
	/* in */
	__u32 context;
	/* in: must be 0 */
	__u32 flags;
	/* in: from SUBMIT */
	__u64 job;
	/* in */
	__s64 timeout_ns;
	/* out: 0 or the negative error of the job's fence */
	__s32 result;
	/* in: must be 0 */
	__u32 pad;
};

#define DRM_IOCTL_LIFEBOAT_INFO \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_LIFEBOAT_INFO, struct drm_lifeboat_info)
#define DRM_IOCTL_LIFEBOAT_CONTEXT_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_LIFEBOAT_CONTEXT_CREATE, struct drm_lifeboat_context_create)
#define DRM_IOCTL_LIFEBOAT_CONTEXT_DESTROY \
	DRM_IOW(DRM_COMMAND_BASE + DRM_LIFEBOAT_CONTEXT_DESTROY, struct drm_lifeboat_context_destroy)
#define DRM_IOCTL_LIFEBOAT_CONTEXT_STATUS \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_LIFEBOAT_CONTEXT_STATUS, struct drm_lifeboat_context_status)
#define DRM_IOCTL_LIFEBOAT_BUFFER_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_LIFEBOAT_BUFFER_CREATE, struct drm_lifeboat_buffer_create)
#define DRM_IOCTL_LIFEBOAT_BUFFER_MMAP \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_LIFEBOAT_BUFFER_MMAP, struct drm_lifeboat_buffer_mmap)
#define DRM_IOCTL_LIFEBOAT_BUFFER_WAIT \
	DRM_IOW(DRM_COMMAND_BASE + DRM_LIFEBOAT_BUFFER_WAIT, struct drm_lifeboat_buffer_wait)
#define DRM_IOCTL_LIFEBOAT_BUFFER_ADVISE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_LIFEBOAT_BUFFER_ADVISE, struct drm_lifeboat_buffer_advise)
#define DRM_IOCTL_LIFEBOAT_MAP \
	DRM_IOW(DRM_COMMAND_BASE + DRM_LIFEBOAT_MAP, struct drm_lifeboat_map)
#define DRM_IOCTL_LIFEBOAT_UNMAP \
	DRM_IOW(DRM_COMMAND_BASE + DRM_LIFEBOAT_UNMAP, struct drm_lifeboat_unmap)
#define DRM_IOCTL_LIFEBOAT_SUBMIT \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_LIFEBOAT_SUBMIT, struct drm_lifeboat_submit)
#define DRM_IOCTL_LIFEBOAT_WAIT \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_LIFEBOAT_WAIT, struct drm_lifeboat_wait)

#if defined(__cplusplus)
}
#endif

#endif
