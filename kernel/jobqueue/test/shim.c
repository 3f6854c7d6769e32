// SPDX-License-Identifier: GPL-2.0 OR MIT

/* The scheduler's shim, in an object of this module's own. */
#include "../shim.c"
