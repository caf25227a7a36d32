/* Listen addresses: "127.0.0.1:8080", "[::1]:0", "localhost:0", ":8080". Shared by the server and the authentication's
 * check. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct http_auth;

struct listen_address {
	char host[256]; /* without brackets; 127.0.0.1 for ":8080" */
	char port[6];
	bool loopback; /* by its text: no name but localhost is resolved for this */
};

/* ERR_INVALID for anything else. Pure. */
int listen_parse(const char *text, struct listen_address *ret, struct err *e) MR_MUST_USE;
/* A listening, non-blocking socket; *ret_port is the one that was picked. Resolves names. */
int listen_open(const struct listen_address *a, int *ret_fd, uint16_t *ret_port, struct err *e) MR_MUST_USE;
/* ERR_INVALID if the open door would be open to strangers. */
int auth_check_listen(const struct http_auth *auth, const struct listen_address *a, struct err *e) MR_MUST_USE;
