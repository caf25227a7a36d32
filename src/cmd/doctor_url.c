/* Fetching an object by its URL as a client would: from the bucket, or from an HTTP server that is made for it, on a
 * free port of loopback, over a database in memory: so that its key for signing leaves no row behind. In the doctor's
 * process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/signer.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/doctor.h"
#include "http/auth.h"
#include "http/server.h"
#include "net/post.h"
#include "os/pool.h"

#define URL_MAX 8192
#define ANSWER_MAX (1u << 20)
#define EXPIRES_S 60
#define FETCH_S 8
#define KEY_BYTES 32

/* ---- a GET ---- */

static int get(const char *url, const char *range, struct buf *body, int *ret_status, struct err *e)
{
	const struct sigv4_pair header = { "Range", range };
	const char *ca_file = getenv("AWS_CA_BUNDLE");
	struct net_client *client = net_client_new();
	struct net_answer a;
	int r = net_post(client,
			 &(struct net_post) { .url = url,
					      .method = "GET",
					      .headers = &header,
					      .header_count = 1,
					      .ca_file = ca_file && *ca_file ? ca_file : NULL,
					      .timeout_s = FETCH_S },
			 body, &a, e);
	net_client_free(client);
	if (r == 0)
		*ret_status = a.status;
	return r;
}

/* `url` is good, and without the end of its signature it isn't. */
static int fetch(char *url, bool is_signed, uint64_t offset, void *to, size_t len, struct err *e)
{
	_cleanup_buf_ struct buf body;
	char range[64];
	int status = 0;
	buf_init(&body, ANSWER_MAX);
	(void)snprintf(range, sizeof(range), "bytes=%llu-%llu", (unsigned long long)offset,
		       (unsigned long long)(offset + len - 1));
	int r = get(url, range, &body, &status, e);
	if (r < 0)
		return err_wrap(e, "the object's URL");
	if (status != 206 || body.len != len)
		return err_set(e, ERR_PROTOCOL, "the %s URL answers %d with %zu bytes, not 206 with %zu",
			       is_signed ? "signed" : "public", status, body.len, len);
	memcpy(to, body.data, len);
	if (!is_signed)
		return 0;
	char *last = &url[strlen(url) - 1];
	*last = *last == '0' ? '1' : '0';
	buf_clear(&body);
	r = get(url, range, &body, &status, e);
	if (r == 0 && status != 403)
		r = err_set(e, ERR_INTERNAL, "a URL with a wrong signature is answered with %d, not with 403", status);
	return r;
}

/* ---- a folder's server ---- */

struct front {
	struct db *db;
	struct repo *repo;
	struct bus *bus;
	struct pool *pool;
	struct http_auth *auth;
	struct signer *signer;
	struct api *api;
	struct http_server *http;
};

static void front_close(struct front *f)
{
	http_server_stop(f->http);
	pool_free(f->pool);
	api_free(f->api);
	http_auth_free(f->auth);
	signer_free(f->signer);
	bus_close(f->bus);
	if (f->repo)
		repo_close(f->repo);
	db_close(f->db);
}

static int front_open(struct front *f, struct store *store, struct err *e)
{
	static const uint8_t session_key[KEY_BYTES] = { 0 }; /* of a server that nobody else is told of */
	int r = db_open(&(struct db_opts) { .url = "sqlite::memory:" }, &f->db, e);
	if (r == 0)
		r = repo_open(f->db, &f->repo, e);
	if (r == 0)
		r = bus_open(&(struct bus_opts) { 0 }, &f->bus, e);
	if (r == 0)
		r = signer_new(f->repo, NULL, 0, &f->signer, e);
	if (r == 0)
		r = http_auth_new(&(struct http_auth_opts) { .session_key = session_key, .session_key_len = KEY_BYTES },
				  &f->auth, e);
	if (r == 0)
		r = pool_new("io", 2, 16, &f->pool, e);
	if (r == 0)
		r = api_new(
			&(struct api_opts) {
				.repo = f->repo, .store = store, .bus = f->bus, .auth = f->auth, .signer = f->signer },
			&f->api, e);
	if (r < 0)
		return r;
	return http_server_start(&(struct http_server_opts) { .listen = "127.0.0.1:0",
							      .threads = 1,
							      .max_connections = 8,
							      .pool = f->pool,
							      .auth = f->auth,
							      .key_lookup = signer_lookup,
							      .service_key_lookup = signer_lookup_service,
							      .key_lookup_ctx = f->signer,
							      .ctx = f->api },
				 api_routes, api_route_count, &f->http, e);
}

static int fetch_from_front(struct doctor *d, const char *key, uint64_t offset, void *to, size_t len, struct err *e)
{
	struct front f = { 0 };
	_cleanup_free_ char *path = mr_asprintf("/media/%s", key);
	_cleanup_buf_ struct buf url;
	buf_init(&url, URL_MAX);
	int r = front_open(&f, d->store, e);
	if (r == 0) {
		const char *base = http_server_url(f.http);
		buf_puts(&url, base);
		r = signer_presign(f.signer, "GET", strstr(base, "://") + 3, path, clock_wall_ms(), EXPIRES_S, &url, e);
	}
	if (r == 0)
		r = fetch(url.data, true, offset, to, len, e);
	front_close(&f);
	return r;
}

int doctor_fetch_by_url(struct doctor *d, const char *key, uint64_t offset, void *to, size_t len, bool *ret_signed,
			struct err *e)
{
	_cleanup_buf_ struct buf url;
	buf_init(&url, URL_MAX);
	*ret_signed = true;
	if (!store_has_urls(d->store))
		return fetch_from_front(d, key, offset, to, len, e);
	int r = store_url(
		d->store,
		&(struct store_url) {
			.method = "GET", .key = key, .signed_at_ms = clock_wall_ms(), .expires_s = EXPIRES_S },
		&url, e);
	if (r < 0)
		return r;
	*ret_signed = strstr(url.data, "X-Amz-Signature=") != NULL;
	return fetch(url.data, *ret_signed, offset, to, len, e);
}
