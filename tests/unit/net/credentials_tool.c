/* net/aws_credentials.h for tests/scenario/test_aws_credentials.py: its environment is its own, its clock and questions come line
 * by line.
 *
 *   get           →  ID SECRET TOKEN|- EXPIRES_MS|never      or   error CODE MESSAGE
 *   peek          →  ID|- due|fresh
 *   at MS         the clock stands there from now on
 *   reject ID
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/aws_credentials.h"

static int64_t clock_ms;

static int64_t now_ms(void)
{
	return clock_ms ? clock_ms : clock_wall_ms();
}

static void get(struct aws_credentials *c)
{
	struct aws_keys k;
	struct err e = { 0 };
	if (aws_credentials_get(c, &k, &e) < 0) {
		printf("error %s %s\n", err_code(&e), e.message);
		return;
	}
	printf("%s %s %s ", k.access_key_id, k.secret, k.session_token ? k.session_token : "-");
	if (k.expires_ms == INT64_MAX)
		printf("never\n");
	else
		printf("%" PRId64 "\n", k.expires_ms);
	aws_keys_release(&k);
}

static void peek(struct aws_credentials *c)
{
	struct aws_keys k = { 0 };
	bool due = false;
	(void)aws_credentials_peek(c, &k, &due);
	printf("%s %s\n", k.access_key_id ? k.access_key_id : "-", due ? "due" : "fresh");
	aws_keys_release(&k);
}

int main(int argc, char **argv)
{
	struct aws_credentials *c = aws_credentials_new(&(struct aws_credentials_opts){
		.region = "eu-west-1", .now_ms = now_ms, .container_host = argc > 1 ? argv[1] : NULL });
	char line[256];
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, "get") == 0)
			get(c);
		else if (strcmp(line, "peek") == 0)
			peek(c);
		else if (strncmp(line, "at ", 3) == 0)
			clock_ms = strtoll(line + 3, NULL, 10);
		else if (strncmp(line, "reject ", 7) == 0)
			aws_credentials_reject(c, line + 7);
		(void)fflush(stdout);
	}
	aws_credentials_free(c);
	return 0;
}
