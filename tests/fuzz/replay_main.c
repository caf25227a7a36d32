/* Runs a fuzz target over its corpus without a fuzzer, with any compiler: replay_x [FILE|FOLDER]...
 *
 * Every file is fed whole and, up to PREFIX_MAX bytes, cut at each of its lengths: a parser meets truncated input more often than
 * any other. Each input has an allocation of exactly its size, so that a sanitizer sees a read past its end. A folder that
 * is not there is an empty corpus. Prints how many inputs ran; a failure is the target's own abort.
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PREFIX_MAX 2048

static size_t inputs;

static void feed(const uint8_t *data, size_t size)
{
	uint8_t *exact = calloc(1, size ? size : 1);
	if (!exact)
		abort();
	if (size)
		memcpy(exact, data, size);
	(void)LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	inputs++;
}

static int replay_file(const char *path, size_t size)
{
	FILE *f = fopen(path, "rbe");
	uint8_t *data = malloc(size ? size : 1);
	size_t got = f && data ? fread(data, 1, size, f) : 0;
	if (f)
		(void)fclose(f);
	if (got != size || !data) {
		fprintf(stderr, "%s: cannot be read\n", path);
		free(data);
		return -1;
	}
	for (size_t cut = 0; cut < size && cut <= PREFIX_MAX; cut++)
		feed(data, cut);
	feed(data, size);
	free(data);
	return 0;
}

static int replay(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : -1;
	if (S_ISREG(st.st_mode))
		return replay_file(path, (size_t)st.st_size);
	DIR *dir = opendir(path);
	if (!dir)
		return -1;
	int r = 0;
	for (struct dirent *d; (d = readdir(dir));) {
		char inner[PATH_MAX];
		if (d->d_name[0] == '.')
			continue;
		if (snprintf(inner, sizeof(inner), "%s/%s", path, d->d_name) >= (int)sizeof(inner) || replay(inner) < 0)
			r = -1;
	}
	(void)closedir(dir);
	return r;
}

int main(int argc, char **argv)
{
	int r = 0;
	feed((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++)
		r |= replay(argv[i]);
	printf("%zu inputs\n", inputs);
	return r ? 1 : 0;
}
