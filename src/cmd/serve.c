/* millrace serve: the front process with its worker threads. Assembles the layers, waits for a signal, takes them down
 * in the reverse order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "api/signer.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "cmd/backends.h"
#include "cmd/cmd.h"
#include "cmd/live.h"
#include "cmd/log_timed.h"
#include "cmd/options.h"
#include "cmd/process.h"
#include "cmd/worker_parts.h"
#include "http/auth.h"
#include "http/server.h"
#include "os/pool.h"

#define POOL_BACKLOG 4096
#define DRAIN_MS 20000
#define SESSION_KEY_BYTES 32

static const struct option_def defs[] = {
	{ "config", "FILE", NULL, "read options from FILE, a line each: NAME = VALUE" },
	BACKENDS_OPTION_DEFS,
	{ "listen", "HOST:PORT", "127.0.0.1:8080", "address to serve on; port 0 picks a free one" },
	WORKER_OPTION_DEFS,
	MONITOR_OPTION_DEFS,
	TIMED_OPTION_DEFS,
	{ "access-key", "ID:SECRET[:USER]", NULL, "an S3-style key that may sign /media URLs (of USER's objects)",
	  .repeats = true, .secret = true },
	{ "jwt-secret", "TEXT", NULL, "accept tokens signed HS256 with this secret (at least 32 bytes)",
	  .secret = true },
	{ "jwks-url", "URL", NULL, "accept tokens signed RS256 or ES256 with a key of this set" },
	{ "jwks-file", "FILE", NULL, "the same, from a file" },
	{ "jwt-issuer", "TEXT", NULL, "tokens must have this iss" },
	{ "jwt-audience", "TEXT", NULL, "tokens must have this aud (Cognito: client_id)" },
	{ "oidc-authorize-url", "URL", NULL, "where the page sends people to sign in (OpenID: authorization_endpoint)" },
	{ "oidc-token-url", "URL", NULL, "where it gets their token then (token_endpoint)" },
	{ "oidc-client-id", "TEXT", NULL, "as what: a public client, with this server's / as redirect URI" },
	{ "oidc-scope", "TEXT", "openid", "what it asks for" },
	{ "admin", "USER", NULL, "an administrator, whatever the token's role", .repeats = true },
	{ "metrics-token", "TEXT", NULL, "who shows it as a bearer token may read /metrics (at least 16 bytes)", .secret = true },
	{ "insecure", NULL, NULL, "listen beyond loopback although nobody has to show a token" },
	{ "public-url", "URL", NULL, "what clients see, where a proxy hides it" },
	{ "trust-proxy", NULL, NULL, "believe X-Forwarded-For, -Proto and -Host" },
	{ "cors-origin", "ORIGIN", NULL, "a web origin that may call the API, or *", .repeats = true },
	{ "max-upload-bytes", "N", "17179869184", "largest upload; of sound: see --max-audio-bytes" },
	{ "enable-hls-streaming", "true|false", NULL, "false: a narration's job carries its MP3 (also $ENABLE_HLS_STREAMING)" },
	{ "stream-grace", "SECONDS", NULL, "a narration's stream stays so long once its MP3 is made (default: its length)" },
	{ "http-threads", "N", "2", "threads that move HTTP bytes" },
	{ "io-threads", "N", "8", "threads on which store transfers and requests run" },
	{ "max-connections", "N", "1000", "HTTP connections at once" },
	{ "streams", "WHERE", "builtin", "where live sessions go: builtin, or kvs://REGION[?endpoint=URL] (AWS)" },
	{ "live-session-url", "URL", NULL, "asked before a live session is opened; {session} and {user} are put in" },
	{ "fragment-webhook", "URL", NULL, "told of each new fragment, signed; {stream} and {user} are put in" },
	{ "fragment-webhook-secret", "TEXT", NULL, "what that is signed with (at least 16 bytes)", .secret = true },
	{ "live-max-connections", "N", "2000", "speakers connected at once" },
	{ "live-leave", "SECONDS", "30", "a session whose speaker is away for so long is over" },
	{ "live-listen", "HOST:PORT", NULL, "address of PutMedia (default: --listen's host and a free port)" },
	{ "put-idle", "SECONDS", "30", "PutMedia without a byte for so long is cut" },
	{ "put-age", "SECONDS", "2700", "PutMedia is told to connect anew after so long" },
	{ "live-url", "URL", NULL, "what PutMedia's clients see, where a proxy hides it" },
	LOG_OPTION_DEFS,
};

struct server {
	struct options options;
	struct backends on;
	struct worker_parts work;
	struct pool *pool;
	struct live_parts live;
	struct http_auth *auth;
	struct signer *signer;
	struct api *api;
	struct http_server *http;
	char *session_key_hex;
	uint8_t session_key[SESSION_KEY_BYTES];
};

static struct http_auth_opts auth_opts(const struct server *s)
{
	const struct options *o = &s->options;
	const struct option_values *admins = options_all(o, "admin");
	return (struct http_auth_opts){ .hs256_secret = options_get(o, "jwt-secret"),
					 .jwks_url = options_get(o, "jwks-url"),
					 .jwks_file = options_get(o, "jwks-file"),
					 .issuer = options_get(o, "jwt-issuer"),
					 .audience = options_get(o, "jwt-audience"),
					 .session_key = s->session_key,
					 .session_key_len = sizeof(s->session_key),
					 .metrics_token = options_get(o, "metrics-token"),
					 .admins = (const char *const *)admins->v,
					 .admin_count = admins->count,
					 .insecure = options_flag(o, "insecure") };
}

static struct sign_in_opts sign_in_opts(const struct server *s)
{
	const struct options *o = &s->options;
	return (struct sign_in_opts){ .authorize_url = options_get(o, "oidc-authorize-url"),
				      .token_url = options_get(o, "oidc-token-url"),
				      .client_id = options_get(o, "oidc-client-id"),
				      .scope = options_get(o, "oidc-scope") };
}

static int load_keys(struct server *s, struct err *e)
{
	uint8_t fresh[SESSION_KEY_BYTES];
	char hex[2 * SESSION_KEY_BYTES + 1];
	random_bytes(fresh, sizeof(fresh));
	hex_encode(fresh, sizeof(fresh), hex);
	int r = repo_setting_init(s->on.repo, "session_key", hex, &s->session_key_hex, e);
	if (r == 0 &&
	    !hex_decode(s->session_key_hex, strlen(s->session_key_hex), s->session_key, sizeof(s->session_key)))
		r = err_set(e, ERR_INTERNAL, "the stored session key cannot be read");
	const struct option_values *keys = options_all(&s->options, "access-key");
	if (r == 0)
		r = signer_new(s->on.repo, (const char *const *)keys->v, keys->count, &s->signer, e);
	return r;
}

/* The variable without our prefix is what the system is set up with that the meditation routes come from. */
static int read_streaming(const struct options *o, bool *ret, struct err *e)
{
	const char *given = options_get(o, "enable-hls-streaming"), *value = given ? given : getenv("ENABLE_HLS_STREAMING");
	*ret = !value || !*value || strcasecmp(value, "true") == 0;
	if (*ret || strcasecmp(value, "false") == 0)
		return 0;
	return err_set(e, ERR_INVALID, "--enable-hls-streaming: expected true or false");
}

/* Nobody could sign for it without an access key. */
static int start_live(struct server *s, struct err *e)
{
	struct options *o = &s->options;
	const char *listen = options_get(o, "listen"), *port = strrchr(listen, ':');
	_cleanup_free_ char *beside = mr_asprintf("%.*s:0", port ? (int)(port - listen) : 0, listen);
	const char *put = options_get(o, "live-listen") ? options_get(o, "live-listen") : beside;
	uint64_t max_live = 0, leave_s = 0, idle_s = 0, age_s = 0;
	int r = options_number(o, "live-max-connections", 1, 100000, &max_live, e);
	if (r == 0)
		r = options_number(o, "live-leave", 1, 86400, &leave_s, e);
	if (r == 0)
		r = options_number(o, "put-idle", 1, 86400, &idle_s, e);
	if (r == 0)
		r = options_number(o, "put-age", 1, 86400, &age_s, e);
	if (r == 0)
		r = live_parts_start(&s->live,
				     &(struct live_parts_opts){ .on = &s->on,
								.zygote = worker_zygote(s->work.worker),
								.pool = s->pool,
								.streams_url = options_get(o, "streams"),
								.session_url = options_get(o, "live-session-url"),
								.webhook_url = options_get(o, "fragment-webhook"),
								.webhook_secret = options_get(o, "fragment-webhook-secret"),
								.max_connections = (uint32_t)max_live,
								.leave_ms = (uint32_t)leave_s * 1000,
								.put_idle_ms = (uint32_t)idle_s * 1000,
								.put_age_ms = (uint32_t)age_s * 1000,
								.signer = s->signer,
								.put_listen = options_all(o, "access-key")->count ? put : NULL },
				     e);
	if (r == 0 && s->live.put)
		log_info("put_media_listening", LOG_I("port", put_server_port(s->live.put)));
	return r;
}

static int start_http(struct server *s, struct err *e)
{
	struct options *o = &s->options;
	uint64_t io_threads = 0, http_threads = 0, max_upload = 0, max_connections = 0, grace = 0;
	if (options_number(o, "io-threads", 1, 256, &io_threads, e) < 0 ||
	    options_number(o, "http-threads", 1, 64, &http_threads, e) < 0 ||
	    options_number(o, "max-upload-bytes", 1, UINT64_MAX / 2, &max_upload, e) < 0 ||
	    (options_get(o, "stream-grace") && options_number(o, "stream-grace", 0, 7 * 24 * 3600, &grace, e) < 0) ||
	    options_number(o, "max-connections", 8, 100000, &max_connections, e) < 0)
		return -ERR_INVALID;
	bool streaming = true;
	struct http_auth_opts auth = auth_opts(s);
	int r = read_streaming(o, &streaming, e);
	if (r == 0)
		r = http_auth_new(&auth, &s->auth, e);
	if (r == 0)
		r = pool_new("io", io_threads, POOL_BACKLOG, &s->pool, e);
	if (r == 0)
		r = start_live(s, e);
	if (r == 0)
		r = api_new(&(struct api_opts){ .repo = s->on.repo,
						 .store = s->on.store,
						 .worker = s->work.worker,
						 .monitor = s->work.monitor,
						 .bus = s->on.bus,
						 .auth = s->auth,
						 .signer = s->signer,
						 .live = s->live.service,
						 .listener = s->live.listener,
						 .sign_in = sign_in_opts(s),
						 .put_media_port = s->live.put ? put_server_port(s->live.put) : 0,
						 .put_media_url = options_get(o, "live-url"),
						 .max_upload_bytes = max_upload,
						 .stream_grace_s = options_get(o, "stream-grace") ? (int64_t)grace : -1,
						 .hls_streaming = streaming,
						 .waiting_max = (unsigned)(io_threads + 1) / 2 },
			    &s->api, e);
	if (r < 0)
		return r;
	const struct option_values *origins = options_all(o, "cors-origin");
	struct http_server_opts opts = { .listen = options_get(o, "listen"),
					 .threads = (unsigned)http_threads,
					 .max_connections = (unsigned)max_connections,
					 .max_upload_bytes = max_upload,
					 .cors_origins = origins->count ? (const char *const *)origins->v : NULL,
					 .public_url = options_get(o, "public-url"),
					 .trust_proxy = options_flag(o, "trust-proxy"),
					 .access_log = true,
					 .pool = s->pool,
					 .auth = s->auth,
					 .key_lookup = signer_lookup,
					 .service_key_lookup = signer_lookup_service,
					 .key_lookup_ctx = s->signer,
					 .ctx = s->api };
	return http_server_start(&opts, api_routes, api_route_count, &s->http, e);
}

static void stop(struct server *s)
{
	live_parts_drain(&s->live);
	if (s->http && http_server_drain(s->http, DRAIN_MS) < 0)
		log_warn("drain_incomplete", LOG_I("ms", DRAIN_MS));
	/* The HTTP server waits for handlers: they must not wait for tasks or join uploads any longer. */
	if (s->work.worker)
		worker_interrupt(s->work.worker);
	if (s->http)
		http_server_stop(s->http);
	live_parts_stop(&s->live);
	worker_parts_stop(&s->work);
	pool_free(s->pool);
	api_free(s->api);
	http_auth_free(s->auth);
	signer_free(s->signer);
	backends_close(&s->on);
	free(s->session_key_hex);
	options_release(&s->options);
}

static int start(struct server *s, struct err *e)
{
	struct http_auth_opts auth = auth_opts(s);
	struct sign_in_opts sign_in = sign_in_opts(s);
	int r = setup_log(&s->options, options_flag(&s->options, "log-json"), e);
	if (r == 0 && auth.jwks_file && access(auth.jwks_file, R_OK) < 0)
		r = err_set(e, ERR_INVALID, "--jwks-file: %s cannot be read", auth.jwks_file);
	if (r == 0)
		r = http_auth_check(&auth, options_get(&s->options, "listen"), e);
	if (r == 0)
		r = sign_in_check(&sign_in, http_auth_opts_configured(&auth), e);
	if (r == 0)
		r = log_timed_start(&s->options, e);
	if (r == 0)
		r = backends_from_options(&s->on, &s->options, e);
	if (r == 0)
		r = load_keys(s, e);
	if (r == 0)
		r = worker_parts_start(&s->work, "serve", &s->options, &s->on, e);
	if (r == 0)
		r = start_http(s, e);
	return r;
}

static int help(void)
{
	puts("usage: millrace serve [OPTIONS]\n\n"
	     "Serves the page, the API and the streams, and runs jobs. Every option is also an environment variable\n"
	     "(--http-threads: MILLRACE_HTTP_THREADS) and a line of the configuration file (http-threads = 4).\n");
	options_print_help(stdout, defs, MR_ARRAY_SIZE(defs));
	return 0;
}

int cmd_serve(int argc, char **argv)
{
	struct server *s = mr_calloc(1, sizeof(*s));
	struct err e = { 0 };
	sigset_t signals;
	process_prepare(&signals);
	int code = 0;
	int r = options_parse(&s->options, defs, MR_ARRAY_SIZE(defs), argc, argv, &e);
	if (r == 0 && s->options.help) {
		code = help();
	} else if (r == 0 && s->options.argument_count) {
		r = err_set(&e, ERR_INVALID, "\"%s\": serve takes options only (see --help)", s->options.arguments[0]);
	} else if (r == 0) {
		r = start(s, &e);
		if (r == 0) {
			log_info("listening", LOG_S("url", http_server_url(s->http)), LOG_I("pid", getpid()));
			process_wait(&signals);
		}
	}
	if (r < 0) {
		fprintf(stderr, "millrace serve: %s\n", e.message);
		code = r == -ERR_INVALID ? EXIT_USAGE : 1;
	}
	stop(s);
	free(s);
	return code;
}
