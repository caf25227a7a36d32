/* Where credentials come from: private to net/aws_*.c. Each function blocks; its outputs are written on success only. */
#pragma once

#include "net/aws_credentials.h"

struct aws_place {
	const char *(*env)(const char *name); /* never an empty text: NULL */
	int64_t (*now_ms)(void);
	const char *region;
	const char *container_host;
};

#define AWS_NOT_HERE 1 /* this place isn't set up: the next one is asked */

/* aws_files.c: 0, AWS_NOT_HERE or an error. */
int aws_from_files(const struct aws_place *p, struct aws_keys *ret, struct err *e) MR_MUST_USE;

/* aws_remote.c */
int aws_from_web_identity(const struct aws_place *p, const char *token_file, const char *role_arn, const char *session_name,
			  struct aws_keys *ret, struct err *e) MR_MUST_USE;
int aws_from_container(const struct aws_place *p, struct aws_keys *ret, struct err *e) MR_MUST_USE;
int aws_from_instance(const struct aws_place *p, struct aws_keys *ret, struct err *e) MR_MUST_USE;
