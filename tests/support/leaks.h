/* SPDX-License-Identifier: MIT */
#ifndef LEAKS_H
#define LEAKS_H

/*
 * Before a search for leaks that does not follow from exit(): names the variables that are to be looked
 * at. exit() does so itself.
 */
void leaks_name_variables(void);

#endif
