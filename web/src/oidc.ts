// Signing in at an OpenID provider: authorization code with PKCE (RFC 7636), as a public client. The page goes to the provider, comes
// back to / with ?code=…&state=…, and changes the code into a token at the provider's token endpoint, the one address beside our own
// that its policy lets it call. The token goes to POST /api/session and is kept nowhere.
import { ApiError, type SignInAt } from './api';

const KEY = 'millrace.sign-in';

interface Pending {
	state: string;
	nonce: string;
	verifier: string;
	/** Where somebody was. */
	hash: string;
}

function base64url(bytes: Uint8Array): string {
	return btoa(String.fromCharCode(...bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}

const random = (): string => base64url(crypto.getRandomValues(new Uint8Array(32)));
const ourAddress = (): string => `${location.origin}/`;

export async function leaveToSignIn(at: SignInAt): Promise<void> {
	// Browsers have it on https and localhost alone.
	if (!crypto.subtle) throw new ApiError(0, { message: 'Signing in like this needs https. A token can be pasted all the same.' });
	const pending: Pending = { state: random(), nonce: random(), verifier: random(), hash: location.hash };
	const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(pending.verifier));
	sessionStorage.setItem(KEY, JSON.stringify(pending));
	const url = new URL(at.authorize_url);
	const query = {
		response_type: 'code',
		client_id: at.client_id,
		redirect_uri: ourAddress(),
		scope: at.scope,
		state: pending.state,
		nonce: pending.nonce,
		code_challenge: base64url(new Uint8Array(digest)),
		code_challenge_method: 'S256',
	};
	for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
	location.assign(url);
}

/** The nonce that an ID token says; '' for what isn't one. */
function nonceOf(token: string): string {
	try {
		const body = (token.split('.')[1] ?? '').replace(/-/g, '+').replace(/_/g, '/');
		return String((JSON.parse(atob(body)) as { nonce?: string }).nonce ?? '');
	} catch {
		return '';
	}
}

async function exchange(at: SignInAt, code: string, pending: Pending): Promise<string[]> {
	const body = new URLSearchParams({
		grant_type: 'authorization_code',
		code,
		client_id: at.client_id,
		redirect_uri: ourAddress(),
		code_verifier: pending.verifier,
	});
	const answer = await fetch(at.token_url, { method: 'POST', body, credentials: 'omit', referrerPolicy: 'no-referrer' }).catch(() => null);
	const tokens = answer?.ok ? ((await answer.json().catch(() => null)) as { id_token?: string; access_token?: string } | null) : null;
	if (!tokens) throw new ApiError(0, { message: 'Signing in did not succeed: the provider gave no token.' });
	const id = tokens.id_token && nonceOf(tokens.id_token) === pending.nonce ? tokens.id_token : undefined;
	return [tokens.access_token, id].filter((token) => token?.split('.').length === 3) as string[];
}

/** Whether somebody has just come back: then the tokens that may do, the access token first, and the address is our own again. */
export async function backFromSignIn(at: SignInAt): Promise<string[] | null> {
	const query = new URLSearchParams(location.search);
	const kept = sessionStorage.getItem(KEY);
	if (!kept || !(query.has('code') || query.has('error')) || !query.has('state')) return null;
	sessionStorage.removeItem(KEY);
	const pending = JSON.parse(kept) as Pending;
	history.replaceState(null, '', `/${pending.hash}`);
	if (query.get('state') !== pending.state) throw new ApiError(0, { message: 'Signing in was begun somewhere else. Please try again.' });
	const code = query.get('code');
	if (!code) throw new ApiError(0, { message: `Signing in did not succeed: ${query.get('error_description') ?? query.get('error') ?? ''}` });
	return exchange(at, code, pending);
}
