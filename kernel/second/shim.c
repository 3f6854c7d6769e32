// SPDX-License-Identifier: GPL-2.0 OR MIT

/* The shims of the shell and of its scheduler, in an object of this module's own. */
#include "../shim/device.c"
#include "../shim/dump.c"
#include "../shim/gate.c"
#include "../shim/gem.c"
#include "../shim/sync.c"
#include "../jobqueue/shim.c"
