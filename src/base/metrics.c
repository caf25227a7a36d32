/* Metrics: a list of metrics, each with a small table of its series that only ever grows, so that readers need no lock. In every
 * process that counts. */
#include "base/metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct metric_series {
	struct metric_series *next; /* in its slot; never changes */
	const struct metric *metric;
	char *values[METRIC_LABELS_MAX];
	_Atomic int64_t value; /* of a histogram: the sum */
	_Atomic int64_t buckets[]; /* of a histogram: bound_count + 1 */
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct metric *) registry; /* newest first; written under registry_lock */

static size_t label_count(const struct metric *m)
{
	size_t n = 0;
	while (n < METRIC_LABELS_MAX && m->labels[n])
		n++;
	return n;
}

/* FNV-1a */
static size_t slot_of(const char *const *values, size_t count)
{
	uint64_t h = 14695981039346656037u;
	for (size_t i = 0; i < count; i++)
		for (const char *p = values[i]; *p; p++)
			h = (h ^ (unsigned char)*p) * 1099511628211u;
	return (size_t)(h ^ h >> 32) % METRIC_SLOTS;
}

static struct metric_series *find(struct metric *m, size_t slot, const char *const *values, size_t count)
{
	struct metric_series *s = atomic_load_explicit(&m->series[slot], memory_order_acquire);
	for (; s; s = s->next) {
		size_t i = 0;
		while (i < count && strcmp(s->values[i], values[i]) == 0)
			i++;
		if (i == count)
			return s;
	}
	return NULL;
}

static struct metric_series *add_locked(struct metric *m, size_t slot, const char *const *values, size_t count)
{
	struct metric_series *s = find(m, slot, values, count); /* another may have made it meanwhile */
	if (s)
		return s;
	size_t buckets = m->type == METRIC_TYPE_HISTOGRAM ? m->bound_count + 1 : 0;
	s = mr_calloc(1, sizeof(*s) + buckets * sizeof(s->buckets[0]));
	s->metric = m;
	for (size_t i = 0; i < count; i++)
		s->values[i] = mr_strdup(values[i]);
	s->next = atomic_load_explicit(&m->series[slot], memory_order_relaxed);
	if (m->count++ == 0) {
		m->next = atomic_load_explicit(&registry, memory_order_relaxed);
		atomic_store_explicit(&registry, m, memory_order_release);
	}
	atomic_store_explicit(&m->series[slot], s, memory_order_release);
	return s;
}

struct metric_series *metric_series_of(struct metric *m, const char *const values[METRIC_LABELS_MAX])
{
	static const char *const others[METRIC_LABELS_MAX] = { "other", "other", "other" };
	size_t count = label_count(m), slot = slot_of(values, count);
	struct metric_series *s = find(m, slot, values, count);
	if (s)
		return s;
	(void)pthread_mutex_lock(&registry_lock);
	if (m->count < METRIC_SERIES_MAX - 1)
		s = add_locked(m, slot, values, count);
	else
		s = add_locked(m, slot_of(others, count), others, count);
	(void)pthread_mutex_unlock(&registry_lock);
	return s;
}

void metric_add(struct metric_series *s, int64_t n)
{
	(void)atomic_fetch_add_explicit(&s->value, n, memory_order_relaxed);
}

void metric_set(struct metric_series *s, int64_t value)
{
	atomic_store_explicit(&s->value, value, memory_order_relaxed);
}

void metric_observe(struct metric_series *s, int64_t value)
{
	const struct metric *m = s->metric;
	size_t i = 0;
	while (i < m->bound_count && value > m->bounds[i])
		i++;
	(void)atomic_fetch_add_explicit(&s->buckets[i], 1, memory_order_relaxed);
	metric_add(s, value);
}

int64_t metric_value(const struct metric_series *s)
{
	return atomic_load_explicit(&s->value, memory_order_relaxed);
}

void metric_total(struct metric *m, int64_t *ret_count, int64_t *ret_sum)
{
	*ret_count = *ret_sum = 0;
	for (size_t slot = 0; slot < METRIC_SLOTS; slot++)
		for (struct metric_series *s = atomic_load_explicit(&m->series[slot], memory_order_acquire); s; s = s->next) {
			*ret_sum += metric_value(s);
			for (size_t i = 0; i <= m->bound_count; i++)
				*ret_count += atomic_load_explicit(&s->buckets[i], memory_order_relaxed);
		}
}

void metric_reset(struct metric *m)
{
	for (size_t slot = 0; slot < METRIC_SLOTS; slot++)
		for (struct metric_series *s = atomic_load_explicit(&m->series[slot], memory_order_acquire); s; s = s->next)
			metric_set(s, 0);
}

void metric_hide(struct metric *m, bool hidden)
{
	atomic_store(&m->hidden, hidden);
}

/* ---- text ---- */

static void put_number(struct buf *out, int64_t value, double unit)
{
	if (unit == 1.0)
		(void)buf_printf(out, " %" PRId64 "\n", value);
	else
		(void)buf_printf(out, " %.9g\n", (double)value * unit);
}

/* Backslash, quote and line feed are escaped ("Text format details"). */
static void put_value(struct buf *out, const char *value)
{
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			(void)buf_printf(out, "\\%c", *value);
		else if (*value == '\n')
			(void)buf_puts(out, "\\n");
		else
			(void)buf_append(out, value, 1);
	}
}

/* `le`: the bucket's bound, or NULL. */
static void put_labels(struct buf *out, const struct metric_series *s, const char *le)
{
	size_t count = label_count(s->metric);
	if (!count && !le)
		return;
	for (size_t i = 0; i < count; i++) {
		(void)buf_printf(out, "%s%s=\"", i ? "," : "{", s->metric->labels[i]);
		put_value(out, s->values[i]);
		(void)buf_puts(out, "\"");
	}
	if (le)
		(void)buf_printf(out, "%sle=\"%s\"", count ? "," : "{", le);
	(void)buf_puts(out, "}");
}

static void put_histogram(struct buf *out, const struct metric_series *s)
{
	const struct metric *m = s->metric;
	int64_t sum = metric_value(s), total = 0;
	for (size_t i = 0; i <= m->bound_count; i++) {
		char le[32] = "+Inf";
		if (i < m->bound_count)
			(void)snprintf(le, sizeof(le), "%g", (double)m->bounds[i] * m->unit);
		total += atomic_load_explicit(&s->buckets[i], memory_order_relaxed);
		(void)buf_printf(out, "%s_bucket", m->name);
		put_labels(out, s, le);
		put_number(out, total, 1);
	}
	(void)buf_printf(out, "%s_sum", m->name);
	put_labels(out, s, NULL);
	put_number(out, sum, m->unit);
	(void)buf_printf(out, "%s_count", m->name);
	put_labels(out, s, NULL);
	put_number(out, total, 1);
}

static void put_series(struct buf *out, const struct metric_series *s)
{
	if (s->metric->type == METRIC_TYPE_HISTOGRAM) {
		put_histogram(out, s);
		return;
	}
	(void)buf_puts(out, s->metric->name);
	put_labels(out, s, NULL);
	put_number(out, metric_value(s), s->metric->unit);
}

void metrics_format(struct buf *out)
{
	static const char *const types[] = { "counter", "gauge", "histogram" };
	for (struct metric *m = atomic_load_explicit(&registry, memory_order_acquire); m; m = m->next) {
		if (atomic_load(&m->hidden))
			continue;
		(void)buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, types[m->type]);
		for (size_t slot = 0; slot < METRIC_SLOTS; slot++)
			for (struct metric_series *s = atomic_load_explicit(&m->series[slot], memory_order_acquire); s; s = s->next)
				put_series(out, s);
	}
}
