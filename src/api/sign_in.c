/* Signing in at an OpenID provider: what the page needs to know for it (OAuth 2.0's authorization code with PKCE, RFC 7636, as a
 * public client). The page goes there and changes the code into a token itself; the server sees the token alone, at POST
 * /api/session, and checks it as any other. So no secret of a client is kept anywhere, and the server calls nobody. */
#include "api/sign_in.h"

#include <string.h>

/* An address that can stand in a policy's list, and that nobody reads on the way: TLS, or this machine. */
static bool is_good(const char *url)
{
	static const char *const begins[] = { "https://", "http://127.0.0.1:", "http://localhost:" };
	bool good = url[strcspn(url, " \t\r\n;,'\"<>#\\")] == '\0';
	bool known = false;
	for (size_t i = 0; i < sizeof(begins) / sizeof(*begins); i++)
		known |= strncmp(url, begins[i], strlen(begins[i])) == 0 && strlen(url) > strlen(begins[i]);
	return good && known;
}

int sign_in_check(const struct sign_in_opts *o, bool authentication, struct err *e)
{
	if (!o->authorize_url && !o->token_url && !o->client_id)
		return 0;
	if (!o->authorize_url || !o->token_url || !o->client_id)
		return err_set(e, ERR_INVALID, "--oidc-authorize-url, --oidc-token-url and --oidc-client-id belong together");
	if (!authentication)
		return err_set(e, ERR_INVALID, "--oidc-authorize-url: say who signs its tokens, too (--jwks-url)");
	if (!is_good(o->authorize_url) || !is_good(o->token_url))
		return err_set(e, ERR_INVALID, "--oidc-authorize-url, --oidc-token-url: expected https://…");
	return 0;
}

json_t *sign_in_json(const struct sign_in_opts *o)
{
	if (!o->authorize_url)
		return json_null();
	return json_pack("{ss ss ss ss}", "authorize_url", o->authorize_url, "token_url", o->token_url, "client_id", o->client_id,
			 "scope", o->scope);
}

void sign_in_put_origin(const struct sign_in_opts *o, struct buf *out)
{
	if (!o->token_url)
		return;
	const char *host = strstr(o->token_url, "//") + 2;
	(void)buf_puts(out, " ");
	buf_append(out, o->token_url, (size_t)(host - o->token_url) + strcspn(host, "/?"));
}
