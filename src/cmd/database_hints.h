/* What is published on the bus, told to the other processes through the database, where it can tell (PostgreSQL) and there is no
 * Redis for it.
 *
 *   database_hints_start(db, bus, &hints, e);      // SQLite: *hints is NULL
 *   … database_hints_stop(hints);                  // before the bus and the database are closed
 *
 * Publishers don't wait: hints are gathered for a moment, each once, and sent together. What can't be sent is lost, as hints may
 * be.
 */
#pragma once

#include "bus/bus.h"
#include "db/db.h"

struct database_hints;
int database_hints_start(struct db *db, struct bus *bus, struct database_hints **ret, struct err *e) MR_MUST_USE;
/* NULL is fine. */
void database_hints_stop(struct database_hints *h);
