/* Signing keys. In the server process. */
#include "api/signer.h"

#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/id.h"
#include "base/mem.h"
#include "job/keys.h"

struct access_key {
	char *id, *secret;
	char *user;
	char *user_folder; /* the user encoded as in keys; NULL both: every object */
};

struct signer {
	struct access_key *keys; /* the server's own first */
	size_t count;
};

static int parse_key(const char *text, struct access_key *ret, struct err *e)
{
	const char *colon = strchr(text, ':');
	const char *user = colon ? strchr(colon + 1, ':') : NULL;
	/* The text is not repeated: it may be a secret. An empty USER is a variable that was not set, and must not mean
	 * everybody. */
	if (!colon || colon == text || !colon[1] || colon[1] == ':' || (user && !user[1]))
		return err_set(e, ERR_INVALID, "access key: expected ID:SECRET or ID:SECRET:USER");
	ret->id = mr_strndup(text, (size_t)(colon - text));
	ret->secret = user ? mr_strndup(colon + 1, (size_t)(user - colon - 1)) : mr_strdup(colon + 1);
	ret->user = user ? mr_strdup(user + 1) : NULL;
	ret->user_folder = user ? key_user(user + 1) : NULL;
	return 0;
}

static int own_key(struct repo *repo, struct access_key *ret, struct err *e)
{
	uint8_t id[8], secret[32];
	char id_hex[2 * sizeof(id) + 1], secret_hex[2 * sizeof(secret) + 1];
	random_bytes(id, sizeof(id));
	random_bytes(secret, sizeof(secret));
	hex_encode(id, sizeof(id), id_hex);
	hex_encode(secret, sizeof(secret), secret_hex);
	_cleanup_free_ char *initial = mr_asprintf("MR%s:%s", id_hex, secret_hex);
	_cleanup_free_ char *stored = NULL;
	int r = repo_setting_init(repo, "url_signing_key", initial, &stored, e);
	return r < 0 ? r : parse_key(stored, ret, e);
}

static const struct access_key *find(const struct signer *s, const char *id)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->keys[i].id, id) == 0)
			return &s->keys[i];
	return NULL;
}

static int add_key(struct signer *s, const char *text, struct err *e)
{
	struct access_key *k = &s->keys[s->count];
	int r = parse_key(text, k, e);
	if (r < 0)
		return r;
	bool taken = find(s, k->id);
	s->count++;
	return taken ? err_set(e, ERR_INVALID, "access key \"%.64s\" is given twice", k->id) : 0;
}

int signer_new(struct repo *repo, const char *const *access_keys, size_t count, struct signer **ret, struct err *e)
{
	struct signer *s = mr_calloc(1, sizeof(*s));
	s->keys = mr_calloc(count + 1, sizeof(*s->keys));
	int r = own_key(repo, &s->keys[s->count++], e);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = add_key(s, access_keys[i], e);
	if (r < 0) {
		signer_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void signer_free(struct signer *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++) {
		free(s->keys[i].id);
		free(s->keys[i].secret);
		free(s->keys[i].user);
		free(s->keys[i].user_folder);
	}
	free(s->keys);
	free(s);
}

static struct sigv4_key sigv4_key_of(const struct access_key *k)
{
	return (struct sigv4_key){
		.access_key_id = k->id, .secret = k->secret, .region = SIGNER_REGION, .service = SIGNER_SERVICE
	};
}

int signer_presign(const struct signer *s, const char *method, const char *host, const char *path, int64_t signed_at_ms,
		   uint32_t expires_s, struct buf *out, struct err *e)
{
	return signer_presign_with(s, method, host, path, NULL, 0, signed_at_ms, expires_s, out, e);
}

int signer_presign_with(const struct signer *s, const char *method, const char *host, const char *path,
			const struct sigv4_pair *extra, size_t extra_count, int64_t signed_at_ms, uint32_t expires_s,
			struct buf *out, struct err *e)
{
	struct sigv4_key key = sigv4_key_of(&s->keys[0]);
	return sigv4_presign(&key, method, host, path, extra, extra_count, signed_at_ms, expires_s, out, e);
}

bool signer_lookup(void *ctx, const char *access_key_id, struct sigv4_key *ret_key)
{
	const struct access_key *k = find(ctx, access_key_id);
	if (!k)
		return false;
	*ret_key = sigv4_key_of(k);
	return true;
}

bool signer_lookup_service(void *ctx, const char *access_key_id, struct sigv4_key *ret_key)
{
	const struct signer *s = ctx;
	const struct access_key *k = find(s, access_key_id);
	if (!k || k == &s->keys[0])
		return false;
	*ret_key = sigv4_key_of(k);
	ret_key->region = NULL;
	return true;
}

const char *signer_user(const struct signer *s, const char *access_key_id)
{
	const struct access_key *k = find(s, access_key_id);
	return k ? k->user : NULL;
}

bool signer_may_reach(const struct signer *s, const char *access_key_id, const char *object_key)
{
	const struct access_key *k = find(s, access_key_id);
	if (!k)
		return false;
	if (!k->user_folder)
		return true;
	/* {kind}/{user}/… */
	const char *user = strchr(object_key, '/');
	size_t n = strlen(k->user_folder);
	return user && strncmp(user + 1, k->user_folder, n) == 0 && user[1 + n] == '/';
}

bool signer_may_replace(const struct signer *s, const char *access_key_id, const char *object_key)
{
	const struct access_key *k = find(s, access_key_id);
	return k && signer_may_reach(s, access_key_id, object_key) && (!k->user_folder || strncmp(object_key, "uploads/", 8) == 0);
}
