/* A raw HTTP/1.1 client for the tests: writes exactly the bytes it is told, reads one response. Aborts the test on
 * surprises. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct answer {
	int status;
	char *head; /* status line and headers */
	char *body; /* de-chunked, NUL-terminated */
	size_t len;
	bool closed; /* the server closed before a whole answer came */
};

/* Connected to 127.0.0.1; the caller closes. */
int dial(uint16_t port);
/* All bytes; false when the peer has gone. */
bool send_all(int fd, const void *data, size_t len);
bool send_text(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* One answer; has_body is false for HEAD. */
struct answer read_answer(int fd, bool has_body);
/* The head alone, leaving the body in the socket. */
struct answer read_head(int fd);
/* A header of the answer, in one of this thread's eight buffers; NULL if absent. */
const char *header(const struct answer *a, const char *name);
void answer_free(struct answer *a);
/* Reads until `text` has been seen, into a static buffer that is returned; NULL at end of file. */
const char *read_until(int fd, const char *text);
/* Bytes until end of file; -1 on a reset. */
long read_to_end(int fd);

/* dial, request with Host and Content-Length, answer, close. `headers` are whole lines ("A: b\r\n") or "". */
struct answer request(uint16_t port, const char *method, const char *target, const char *headers, const char *body);
