/* Who holds a claim: "{host}:{boot}:{pid}:{start time}", so that another process of the same machine can tell that its
 * holder is gone without waiting for the lease. The host is a digest of its name and its process ids' name space; the rest is the
 * kernel's. */
#pragma once

#include <stdbool.h>

#define WORKER_ID_SIZE 96

void worker_identity(char out[WORKER_ID_SIZE]);
/* True only if it is certain: this machine, this boot, and no such process any more. */
bool worker_identity_gone(const char *id);
