/* Removing what a test made in a folder of its own, without a shell.
 *
 *   char root[] = "/tmp/millrace-x-XXXXXX";
 *   assert_non_null(mkdtemp(root));
 *   …
 *   assert_int_equal(folder_remove(root), 0);
 */
#pragma once

#include <ftw.h>
#include <stdio.h>

static inline int folder_remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

/* The folder and all below it; links are not followed. 0, or what nftw(3) says. */
static inline int folder_remove(const char *path)
{
	return nftw(path, folder_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
