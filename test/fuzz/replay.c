/* Runs a fuzz target over files that are kept, for builds without libFuzzer: each argument is a file or a directory of
 * files. An argument that gives no file is an error, so that a lost corpus does not pass for a clean one. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

#define INPUT_MAX ((size_t)64 << 20)
#define PATH_MAX_LEN 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t run_file(const char *path)
{
	struct buf input;
	struct err err;
	uint8_t *exact;

	buf_init(&input, INPUT_MAX);
	if (file_read(path, &input, &err)) {
		fprintf(stderr, "%s\n", err.text);
		buf_free(&input);
		return 0;
	}
	/* A block of exactly this size, so that AddressSanitizer sees the first byte behind it. */
	exact = xmalloc(input.len);
	if (input.len)
		memcpy(exact, input.data, input.len);
	LLVMFuzzerTestOneInput(exact, input.len);
	free(exact);
	buf_free(&input);
	return 1;
}

static size_t run_directory(const char *path)
{
	DIR *directory = opendir(path);
	size_t count = 0;

	if (!directory) {
		perror(path);
		return 0;
	}
	for (struct dirent *entry; (entry = readdir(directory));) {
		char file[PATH_MAX_LEN];
		struct stat status;
		int len = snprintf(file, sizeof file, "%s/%s", path, entry->d_name);

		if (len > 0 && (size_t)len < sizeof file && stat(file, &status) == 0 && S_ISREG(status.st_mode))
			count += run_file(file);
	}
	closedir(directory);
	return count;
}

int main(int argc, char **argv)
{
	size_t total = 0;
	bool complete = argc > 1;

	for (int i = 1; i < argc; i++) {
		struct stat status;
		size_t count = 0;

		if (stat(argv[i], &status) != 0)
			perror(argv[i]);
		else
			count = S_ISDIR(status.st_mode) ? run_directory(argv[i]) : run_file(argv[i]);
		if (count == 0) {
			fprintf(stderr, "%s: no input\n", argv[i]);
			complete = false;
		}
		total += count;
	}
	printf("%zu inputs replayed\n", total);
	return complete ? EXIT_SUCCESS : EXIT_FAILURE;
}
