/* SPDX-License-Identifier: MIT */
/* Options: defaults, the caller's values, and environment variables. */
#ifndef SLUICE_SRC_ENGINE_OPTIONS_H
#define SLUICE_SRC_ENGINE_OPTIONS_H

struct sluice_options;

/* 0, -EINVAL, -E2BIG. The environment supplies options that are not set. */
int sluice__options_copy(struct sluice_options *own, const struct sluice_options *given);

#endif
