/* Who may speak in a session. Pool threads of the server process. */
#include <jansson.h>
#include <string.h>

#include "base/encode.h"
#include "http/json.h"
#include "live/service_internal.h"
#include "net/post.h"

#define LOOK_UP_S 3
#define LOOK_UP_BYTES (64u << 10)

int live_access_check(const struct live_speaker_opts *who, const char *session, struct err *e)
{
	if (!who->by_token)
		return 0;
	if (strcmp(who->role, "speaker") != 0)
		return err_set_code(e, ERR_DENIED, "NOT_A_SPEAKER", "the token's role must be speaker");
	if (!who->session[0] || (session && strcmp(who->session, session) != 0))
		return err_set_code(e, ERR_DENIED, "NOT_YOUR_SESSION", "the token's session_id must name this session");
	return 0;
}

static bool put_url(struct buf *out, const char *url, const char *session, const char *user)
{
	bool ok = true;
	while (ok && *url) {
		const char *value = NULL;
		if (strncmp(url, "{session}", 9) == 0)
			value = session;
		else if (strncmp(url, "{user}", 6) == 0)
			value = user;
		ok = value ? uri_encode(out, value, strlen(value), false) : buf_append(out, url, 1);
		url += value == session ? 9 : value ? 6 : 1;
	}
	return ok;
}

int live_access_look_up(const char *url, const char *session, const char *user, struct err *e)
{
	_cleanup_buf_ struct buf address, body;
	struct net_answer got = { 0 };
	json_t *answer = NULL;
	buf_init(&address, 8192);
	buf_init(&body, LOOK_UP_BYTES);
	if (!put_url(&address, url, session, user))
		return err_set(e, ERR_INTERNAL, "the look-up's address is too long");
	struct net_client *c = net_client_new();
	int r = net_post(c, &(struct net_post){ .url = address.data, .method = "GET", .timeout_s = LOOK_UP_S }, &body, &got, e);
	net_client_free(c);
	/* It isn't known whose fault that is: the speaker may come again, and isn't let in. */
	if (r < 0 || got.status >= 500 || got.status == 429)
		return err_set_code(e, ERR_UNAVAILABLE, "LOOK_UP_FAILED", "the session's look-up failed: %s",
				    r < 0 ? err_kind_name((enum err_kind)-r) : "it answered with an error");
	if (got.status >= 300)
		return err_set_code(e, ERR_DENIED, "SESSION_REFUSED", "the session's look-up refused it");
	/* Any answer is a yes, unless it says otherwise. */
	bool no = body.len && json_parse(body.data, body.len, &answer, NULL) == 0 &&
		  json_is_false(json_object_get(answer, "active"));
	json_decref(answer);
	return no ? err_set_code(e, ERR_DENIED, "SESSION_REFUSED", "the session is not active") : 0;
}
