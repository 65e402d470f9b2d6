/* SPDX-License-Identifier: MIT */
#include "harness/conditions.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void conditions_add(struct conditions *conditions, const char *name, const char *format, ...)
{
	struct condition *condition = &conditions->all[conditions->count];
	va_list arguments;

	if (conditions->count == CONDITIONS_MAX)
		return;
	conditions->count++;
	snprintf(condition->name, sizeof(condition->name), "%s", name);
	va_start(arguments, format);
	vsnprintf(condition->value, sizeof(condition->value), format, arguments);
	va_end(arguments);
}

const char *conditions_value(const struct conditions *conditions, const char *name)
{
	for (size_t i = 0; i < conditions->count; i++) {
		if (strcmp(conditions->all[i].name, name) == 0)
			return conditions->all[i].value;
	}
	return "";
}
