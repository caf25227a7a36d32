/* Identities: tokens made here with OpenSSL's keys, a JWKS server that rotates, Cognito's shape, cookies with CSRF. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cjose/cjose.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/encode.h"
#include "client.h"
#include "fixture.h"
#include "http/jwt.h"

#define SECRET "0123456789abcdef0123456789abcdef"

static cjose_jwk_t *rsa, *rsa2, *ec, *ec384;

static int make_keys(void **state)
{
	(void)state;
	cjose_err e;
	rsa = cjose_jwk_create_RSA_random(2048, (const uint8_t *)"\x01\x00\x01", 3, &e);
	rsa2 = cjose_jwk_create_RSA_random(2048, (const uint8_t *)"\x01\x00\x01", 3, &e);
	ec = cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, &e);
	ec384 = cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_384, &e);
	return rsa && rsa2 && ec && ec384 && cjose_jwk_set_kid(rsa, "r1", 2, &e) &&
			       cjose_jwk_set_kid(rsa2, "r2", 2, &e) && cjose_jwk_set_kid(ec, "e1", 2, &e) &&
			       cjose_jwk_set_kid(ec384, "e3", 2, &e)
		       ? 0
		       : -1;
}

static int free_keys(void **state)
{
	(void)state;
	(void)cjose_jwk_release(rsa);
	(void)cjose_jwk_release(rsa2);
	(void)cjose_jwk_release(ec);
	(void)cjose_jwk_release(ec384);
	return 0;
}

static char *jwks_of(const cjose_jwk_t *const *keys, size_t count)
{
	json_t *list = json_array();
	cjose_err e;
	for (size_t i = 0; i < count; i++) {
		char *text = cjose_jwk_to_json(keys[i], false, &e);
		json_error_t why;
		(void)json_array_append_new(list, json_loads(text, 0, &why));
		free(text);
	}
	json_t *set = json_pack("{s:o}", "keys", list);
	char *out = json_dumps(set, JSON_COMPACT);
	json_decref(set);
	return out;
}

/* A token of `claims` (taken) by `key`, with this alg and kid. */
static char *sign(const cjose_jwk_t *key, const char *alg, const char *kid, json_t *claims)
{
	cjose_err e;
	const char *compact;
	char *text = json_dumps(claims, JSON_COMPACT);
	cjose_header_t *h = cjose_header_new(&e);
	(void)cjose_header_set(h, "alg", alg, &e);
	if (kid)
		(void)cjose_header_set(h, "kid", kid, &e);
	cjose_jws_t *jws = cjose_jws_sign(key, h, (const uint8_t *)text, strlen(text), &e);
	assert_non_null(jws);
	assert_true(cjose_jws_export(jws, &compact, &e));
	char *out = mr_strdup(compact);
	cjose_jws_release(jws);
	cjose_header_release(h);
	json_decref(claims);
	free(text);
	return out;
}

static json_t *claims_for(const char *user, int64_t expires_in_s)
{
	json_int_t now = (json_int_t)(clock_wall_ms() / 1000);
	return json_pack("{s:s,s:s,s:s,s:I,s:I}", "sub", user, "iss", "https://issuer", "aud", "web", "iat", now, "exp",
			 now + (json_int_t)expires_in_s);
}

static json_t *with(json_t *claims, const char *name, json_t *value)
{
	(void)(value ? json_object_set_new(claims, name, value) : json_object_del(claims, name));
	return claims;
}

static char *hs256(json_t *claims)
{
	struct buf b;
	struct err e;
	buf_init(&b, 8192);
	assert_int_equal(jwt_sign(SECRET, strlen(SECRET), claims, &b, &e), 0);
	json_decref(claims);
	return buf_steal(&b);
}

static struct http_auth *new_auth(struct http_auth_opts o)
{
	struct http_auth *a;
	struct err e;
	o.issuer = "https://issuer";
	o.audience = "web";
	if (http_auth_new(&o, &a, &e) < 0)
		fail_msg("%s", e.message);
	return a;
}

/* Takes the token. */
static void expect_token(struct http_auth *a, char *token, const char *user, const char *code)
{
	struct http_identity who;
	struct err e = { 0 };
	int r = http_auth_verify_token(a, token, &who, &e);
	if (user) {
		if (r < 0)
			fail_msg("%s: %s", token, e.message);
		assert_string_equal(who.user, user);
		assert_int_equal(who.by, HTTP_BY_TOKEN);
	} else {
		if (r >= 0)
			fail_msg("passed: %s", token);
		assert_string_equal(err_code(&e), code);
	}
	free(token);
}

static void test_claims(void **state)
{
	(void)state;
	struct http_auth *a = new_auth((struct http_auth_opts) { .hs256_secret = SECRET });
	json_int_t now = (json_int_t)(clock_wall_ms() / 1000);
	static const char bad[] = "INVALID_TOKEN";
	expect_token(a, hs256(claims_for("u1", 60)), "u1", NULL);
	expect_token(a, hs256(claims_for("u1", -30)), "u1", NULL); /* leeway */
	expect_token(a, hs256(claims_for("u1", -90)), NULL, "TOKEN_EXPIRED");
	expect_token(a, hs256(with(claims_for("u1", 60), "exp", NULL)), NULL, bad);
	expect_token(a, hs256(with(claims_for("u1", 60), "exp", json_string("9999999999"))), NULL, bad);
	expect_token(a, hs256(with(claims_for("u1", 60), "exp", json_real((double)now + 0.5))), "u1", NULL);
	expect_token(a, hs256(with(claims_for("u1", 60), "nbf", json_integer(now + 30))), "u1", NULL);
	expect_token(a, hs256(with(claims_for("u1", 60), "nbf", json_integer(now + 90))), NULL, bad);
	expect_token(a, hs256(with(claims_for("u1", 60), "iat", json_integer(now + 90))), NULL, bad);
	expect_token(a, hs256(with(claims_for("u1", 60), "iss", json_string("https://other"))), NULL, bad);
	expect_token(a, hs256(with(claims_for("u1", 60), "iss", NULL)), NULL, bad);
	expect_token(a, hs256(with(claims_for("u1", 60), "aud", json_string("app"))), NULL, bad);
	expect_token(a, hs256(with(claims_for("u1", 60), "aud", json_pack("[s,s]", "app", "web"))), "u1", NULL);
	expect_token(a, hs256(with(claims_for("u1", 60), "aud", NULL)), NULL, bad);
	/* Cognito's access token has client_id; its client_id counts for nothing else. */
	expect_token(a,
		     hs256(with(with(with(claims_for("u1", 60), "aud", NULL), "client_id", json_string("web")),
				"token_use", json_string("access"))),
		     "u1", NULL);
	expect_token(a, hs256(with(with(claims_for("u1", 60), "aud", NULL), "client_id", json_string("web"))), NULL,
		     bad);
	expect_token(a, hs256(with(claims_for("u1", 60), "sub", NULL)), NULL, bad);
	expect_token(a, hs256(claims_for("", 60)), NULL, bad);
	expect_token(a, hs256(claims_for("a\nb", 60)), NULL, bad);
	char name[258];
	memset(name, 'x', 257);
	name[257] = '\0';
	expect_token(a, hs256(claims_for(name, 60)), NULL, bad);
	name[256] = '\0';
	expect_token(a, hs256(claims_for(name, 60)), name, NULL);
	static const char *const garbage[] = { "", ".", "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "\xFF" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(garbage); i++)
		expect_token(a, mr_strdup(garbage[i]), NULL, bad);
	http_auth_free(a);
}

/* header.payload.signature of our own making. */
static char *forge(const char *header_json, const char *payload_json, const char *hmac_key, size_t key_len)
{
	struct buf b;
	uint8_t mac[SHA256_BYTES];
	buf_init(&b, 8192);
	(void)base64_encode(&b, header_json, strlen(header_json), true);
	(void)buf_puts(&b, ".");
	(void)base64_encode(&b, payload_json, strlen(payload_json), true);
	hmac_sha256(hmac_key, key_len, b.data, b.len, mac);
	(void)buf_puts(&b, ".");
	if (key_len)
		(void)base64_encode(&b, mac, sizeof(mac), true);
	return buf_steal(&b);
}

static void write_file(const char *path, const char *text)
{
	char *tmp = mr_asprintf("%s.new", path);
	FILE *f = fopen(tmp, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(rename(tmp, path), 0);
	free(tmp);
}

static void test_confusion(void **state)
{
	(void)state;
	char path[] = "/tmp/http-jwks-XXXXXX";
	int fd = mkstemp(path);
	const cjose_jwk_t *const keys[] = { rsa, ec, ec384 };
	char *jwks = jwks_of(keys, 3);
	write_file(path, jwks);
	struct http_auth *a = new_auth((struct http_auth_opts) { .hs256_secret = SECRET, .jwks_file = path });
	char *claims = mr_asprintf("{\"sub\":\"u\",\"iss\":\"https://issuer\",\"aud\":\"web\",\"exp\":%lld}",
				   (long long)(clock_wall_ms() / 1000 + 60));
	static const char bad[] = "INVALID_TOKEN";
	expect_token(a, hs256(claims_for("h", 60)), "h", NULL);
	expect_token(a, sign(rsa, "RS256", "r1", claims_for("r", 60)), "r", NULL);
	expect_token(a, sign(rsa, "RS256", NULL, claims_for("r", 60)), "r", NULL);
	expect_token(a, sign(ec, "ES256", "e1", claims_for("e", 60)), "e", NULL);
	expect_token(a, sign(rsa, "RS512", "r1", claims_for("r", 60)), NULL, bad);
	expect_token(a, sign(rsa, "PS256", "r1", claims_for("r", 60)), NULL, bad);
	expect_token(a, sign(ec384, "ES384", "e3", claims_for("e", 60)), NULL, bad);
	expect_token(a, sign(rsa2, "RS256", "r1", claims_for("r", 60)), NULL, bad);
	expect_token(a, sign(rsa, "RS256", "e1", claims_for("r", 60)), NULL, bad);
	expect_token(a, forge("{\"alg\":\"none\"}", claims, "", 0), NULL, bad);
	expect_token(a, forge("{\"alg\":\"HS256\"}", claims, SECRET, strlen(SECRET)), "u", NULL);
	expect_token(a, forge("{\"alg\":\"HS256\",\"crit\":[\"x\"]}", claims, SECRET, strlen(SECRET)), NULL, bad);
	/* The public key as an HMAC secret. */
	expect_token(a, forge("{\"alg\":\"HS256\",\"kid\":\"r1\"}", claims, jwks, strlen(jwks)), NULL, bad);
	char *token = hs256(claims_for("u", 60));
	token[strlen(token) / 2] ^= 1;
	expect_token(a, token, NULL, bad);
	/* A rotated file is seen at once. */
	const cjose_jwk_t *const next[] = { rsa2 };
	char *jwks2 = jwks_of(next, 1);
	write_file(path, jwks2);
	expect_token(a, sign(rsa2, "RS256", "r2", claims_for("r", 60)), "r", NULL);
	expect_token(a, sign(rsa, "RS256", "r1", claims_for("r", 60)), NULL, bad);
	/* A broken one is not. */
	write_file(path, "{\"keys\":[]}");
	expect_token(a, sign(rsa2, "RS256", "r2", claims_for("r", 60)), "r", NULL);
	http_auth_free(a);
	free(claims);
	free(jwks);
	free(jwks2);
	close(fd);
	(void)unlink(path);
}

/* ---- a JWKS server ---- */

struct jwks_server {
	int fd;
	uint16_t port;
	pthread_t thread;
	pthread_mutex_t lock;
	char *body; /* NULL: 500 */
	atomic_uint hits;
	atomic_bool end;
};

static void *serve(void *arg)
{
	struct jwks_server *s = arg;
	while (!atomic_load(&s->end)) {
		int c = accept(s->fd, NULL, NULL);
		if (c < 0)
			break;
		(void)read_until(c, "\r\n\r\n");
		atomic_fetch_add(&s->hits, 1);
		(void)pthread_mutex_lock(&s->lock);
		if (s->body)
			(void)send_text(c, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
					strlen(s->body), s->body);
		else
			(void)send_text(c, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
		(void)pthread_mutex_unlock(&s->lock);
		close(c);
	}
	return NULL;
}

static void jwks_server_set(struct jwks_server *s, char *take_body)
{
	(void)pthread_mutex_lock(&s->lock);
	free(s->body);
	s->body = take_body;
	(void)pthread_mutex_unlock(&s->lock);
}

static void jwks_server_start(struct jwks_server *s)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	memset(s, 0, sizeof(*s));
	(void)pthread_mutex_init(&s->lock, NULL);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(s->fd, 8), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&sa, &len), 0);
	s->port = ntohs(sa.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void jwks_server_stop(struct jwks_server *s)
{
	atomic_store(&s->end, true);
	(void)shutdown(s->fd, SHUT_RDWR);
	(void)pthread_join(s->thread, NULL);
	close(s->fd);
	free(s->body);
}

static void test_rotation(void **state)
{
	(void)state;
	struct jwks_server s;
	jwks_server_start(&s);
	char *url = mr_asprintf("http://127.0.0.1:%u/jwks.json", s.port);
	/* Away at first: not the token's fault. */
	struct http_auth *a = new_auth((struct http_auth_opts) { .jwks_url = url });
	expect_token(a, sign(rsa, "RS256", "r1", claims_for("r", 60)), NULL, "UNAVAILABLE");
	http_auth_free(a);

	const cjose_jwk_t *const first[] = { rsa }, *const second[] = { rsa2, ec };
	jwks_server_set(&s, jwks_of(first, 1));
	a = new_auth((struct http_auth_opts) { .jwks_url = url, .jwks_unknown_kid_ms = 1 });
	unsigned hits = atomic_load(&s.hits);
	for (int i = 0; i < 5; i++)
		expect_token(a, sign(rsa, "RS256", "r1", claims_for("r", 60)), "r", NULL);
	assert_int_equal(atomic_load(&s.hits) - hits, 1); /* cached */
	jwks_server_set(&s, jwks_of(second, 2));
	expect_token(a, sign(rsa2, "RS256", "r2", claims_for("r", 60)), "r", NULL); /* unknown id: fetched again */
	expect_token(a, sign(ec, "ES256", "e1", claims_for("e", 60)), "e", NULL);
	expect_token(a, sign(rsa, "RS256", "r1", claims_for("r", 60)), NULL, "INVALID_TOKEN");
	jwks_server_set(&s, NULL); /* away: the old keys stay */
	expect_token(a, sign(rsa, "RS256", "r1", claims_for("r", 60)), NULL, "INVALID_TOKEN");
	expect_token(a, sign(rsa2, "RS256", "r2", claims_for("r", 60)), "r", NULL);
	http_auth_free(a);

	/* Unknown ids by the dozen make one fetch a minute. */
	jwks_server_set(&s, jwks_of(first, 1));
	a = new_auth((struct http_auth_opts) { .jwks_url = url });
	hits = atomic_load(&s.hits);
	for (int i = 0; i < 10; i++)
		expect_token(a, sign(rsa2, "RS256", "r2", claims_for("r", 60)), NULL, "INVALID_TOKEN");
	assert_int_equal(atomic_load(&s.hits) - hits, 1);
	http_auth_free(a);
	jwks_server_stop(&s);
	free(url);
}

/* ---- over the wire ---- */

static int whoami(void *ctx, struct http_request *req, struct err *e)
{
	(void)ctx;
	(void)e;
	const struct http_identity *who = http_request_identity(req);
	return http_respond_text(req, 200, "text/plain", who ? who->user : "nobody");
}

static int session_start(void *ctx, struct http_request *req, struct err *e)
{
	(void)ctx;
	char csrf[HTTP_CSRF_SIZE];
	int r = http_session_start(req, csrf, e);
	return r < 0 ? r : http_respond_json(req, 201, json_pack("{s:s}", "csrf_token", csrf));
}

static int session_end(void *ctx, struct http_request *req, struct err *e)
{
	(void)ctx;
	(void)e;
	http_session_end(req);
	return http_respond_empty(req, 204);
}

static const struct http_route routes[] = {
	{ "GET", "/who", whoami, .access = HTTP_ACCESS_USER },
	{ "POST", "/who", whoami, .access = HTTP_ACCESS_USER, .body = HTTP_BODY_JSON },
	{ "GET", "/public", whoami, .access = HTTP_ACCESS_PUBLIC },
	{ "POST", "/session", session_start, .access = HTTP_ACCESS_USER, .body = HTTP_BODY_JSON },
	{ "DELETE", "/session", session_end, .access = HTTP_ACCESS_USER },
};

static void expect(const struct fixture *f, const char *method, const char *target, const char *headers, int status,
		   const char *text)
{
	struct answer a = request(f->port, method, target, headers, strcmp(method, "POST") == 0 ? "{}" : NULL);
	if (a.status != status || !strstr(a.body, text))
		fail_msg("%s %s %s: %s%s", method, target, headers, a.head, a.body);
	if (status == 401)
		assert_non_null(header(&a, "WWW-Authenticate"));
	answer_free(&a);
}

static void test_wire(void **state)
{
	(void)state;
	struct fixture f;
	fixture_start(&f, (struct http_server_opts) { 0 },
		      &(struct http_auth_opts) {
			      .hs256_secret = SECRET, .session_key = "0123456789abcdef", .session_key_len = 16 },
		      routes, MR_ARRAY_SIZE(routes));
	char *token = hs256(claims_for("alice", 600));
	char *bearer = mr_asprintf("Authorization: Bearer %s\r\n", token);
	expect(&f, "GET", "/who", "", 401, "UNAUTHORIZED");
	expect(&f, "GET", "/who", "Authorization: Basic eDp5\r\n", 401, "UNAUTHORIZED");
	expect(&f, "GET", "/who", "Authorization: Bearer x\r\n", 401, "INVALID_TOKEN");
	expect(&f, "GET", "/who", bearer, 200, "alice");
	expect(&f, "GET", "/who?user_id=alice", bearer, 200, "alice");
	expect(&f, "GET", "/who?user_id=bob", bearer, 403, "FORBIDDEN");
	expect(&f, "POST", "/who", bearer, 200, "alice");
	struct answer a = request(f.port, "POST", "/who", bearer, "{\"user_id\":\"bob\"}");
	assert_int_equal(a.status, 403);
	answer_free(&a);
	expect(&f, "GET", "/public", "", 200, "nobody");
	expect(&f, "GET", "/public", bearer, 200, "alice");
	expect(&f, "GET", "/public", "Authorization: Bearer x\r\n", 200, "nobody");

	/* The cookie. */
	a = request(f.port, "POST", "/session", bearer, "{}");
	assert_int_equal(a.status, 201);
	const char *set = header(&a, "Set-Cookie");
	assert_non_null(strstr(set, "; HttpOnly; SameSite=Strict"));
	assert_null(strstr(set, "Secure"));
	char *cookie = mr_asprintf("Cookie: other=1; %.*s\r\n", (int)strcspn(set, ";"), set);
	json_error_t why;
	json_t *body = json_loads(a.body, 0, &why);
	const char *csrf = json_string_value(json_object_get(body, "csrf_token"));
	assert_int_equal(strlen(csrf), HTTP_CSRF_SIZE - 1);
	char *good = mr_asprintf("%sX-CSRF-Token: %s\r\n", cookie, csrf);
	char *wrong = mr_asprintf("%sX-CSRF-Token: %.42sX\r\n", cookie, csrf);
	char *foreign = mr_asprintf("%sOrigin: https://evil.example\r\n", good);
	answer_free(&a);
	expect(&f, "GET", "/who", cookie, 200, "alice");
	expect(&f, "GET", "/who?user_id=bob", cookie, 403, "FORBIDDEN");
	expect(&f, "POST", "/who", cookie, 403, "CSRF");
	expect(&f, "POST", "/who", wrong, 403, "CSRF");
	expect(&f, "POST", "/who", foreign, 403, "CROSS_ORIGIN");
	expect(&f, "POST", "/who", good, 200, "alice");
	expect(&f, "GET", "/who", "Cookie: millrace_session=x.y.z\r\n", 401, "INVALID_SESSION");
	/* A token is no session, a session no token. */
	char *swapped = mr_asprintf("Cookie: millrace_session=%s\r\n", token);
	expect(&f, "GET", "/who", swapped, 401, "INVALID_SESSION");
	free(swapped);
	swapped = mr_asprintf("Authorization: Bearer %s\r\n", strstr(cookie, "millrace_session=") + 17);
	expect(&f, "GET", "/who", swapped, 401, "INVALID_TOKEN");
	a = request(f.port, "DELETE", "/session", good, NULL);
	assert_int_equal(a.status, 204);
	assert_non_null(strstr(header(&a, "Set-Cookie"), "millrace_session=; Path=/; Max-Age=0"));
	answer_free(&a);
	json_decref(body);
	free(swapped);
	free(cookie);
	free(good);
	free(wrong);
	free(foreign);
	free(bearer);
	free(token);
	fixture_stop(&f);
}

static void test_sessions(void **state)
{
	(void)state;
	struct err e;
	struct http_identity who = { .user = "u", .by = HTTP_BY_TOKEN, .expires_ms = clock_wall_ms() + 5000 }, got;
	char jwt[HTTP_SESSION_MAX], csrf[HTTP_CSRF_SIZE];
	struct http_auth *a = new_auth(
		(struct http_auth_opts) { .hs256_secret = SECRET, .session_key = SECRET, .session_key_len = 32 });
	assert_int_equal(http_session_mint(a, &who, jwt, csrf, &e), 0);
	assert_int_equal(http_session_verify(a, jwt, &got, &e), 0);
	assert_string_equal(got.user, "u");
	assert_string_equal(got.csrf, csrf);
	assert_int_equal(got.by, HTTP_BY_COOKIE);
	assert_true(got.expires_ms <= who.expires_ms); /* never longer than its token */
	/* The longest user, of what JSON makes longest. */
	memset(who.user, '"', HTTP_USER_MAX);
	who.user[HTTP_USER_MAX] = '\0';
	assert_int_equal(http_session_mint(a, &who, jwt, csrf, &e), 0);
	assert_int_equal(http_session_verify(a, jwt, &got, &e), 0);
	assert_string_equal(got.user, who.user);
	/* Another front with another key. */
	struct http_auth *b = new_auth((struct http_auth_opts) {
		.hs256_secret = SECRET, .session_key = "another key of ours", .session_key_len = 19 });
	assert_int_equal(http_session_verify(b, jwt, &got, &e), -ERR_AUTH);
	http_auth_free(a);
	http_auth_free(b);
	a = new_auth((struct http_auth_opts) { .hs256_secret = SECRET });
	assert_int_equal(http_session_mint(a, &who, jwt, csrf, &e), -ERR_UNSUPPORTED);
	http_auth_free(a);
}

static void test_check(void **state)
{
	(void)state;
	static const struct {
		struct http_auth_opts o;
		const char *listen;
		bool ok;
	} t[] = {
		{ { 0 }, "127.0.0.1:80", true },
		{ { 0 }, "[::1]:80", true },
		{ { 0 }, ":80", true },
		{ { 0 }, "localhost:80", true },
		{ { 0 }, "0.0.0.0:80", false },
		{ { 0 }, "*:80", false },
		{ { 0 }, "[::]:80", false },
		{ { 0 }, "localhost.evil.example:80", false },
		{ { 0 }, "127.0.0.1.nip.io:80", false },
		{ { .insecure = true }, "0.0.0.0:80", true },
		{ { .hs256_secret = SECRET }, "0.0.0.0:80", true },
		{ { .jwks_url = "https://x" }, "0.0.0.0:80", true },
		{ { .hs256_secret = "short" }, ":80", false },
		{ { .jwks_url = "https://x", .jwks_file = "y" }, ":80", false },
		{ { .session_key = "x", .session_key_len = 1 }, ":80", false },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(t); i++)
		if ((http_auth_check(&t[i].o, t[i].listen, NULL) == 0) != t[i].ok)
			fail_msg("%zu: %s", i, t[i].listen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claims), cmocka_unit_test(test_confusion), cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_wire),   cmocka_unit_test(test_sessions),  cmocka_unit_test(test_check),
	};
	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
