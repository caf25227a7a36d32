// Signing in, where the server asks for it: by a token that is pasted or, where the operator has named one, at an OpenID provider
// (oidc.ts). On an open server nothing of this is ever seen.
import { ApiError, api, onSignedOut, setCsrfToken, type Session } from './api';
import { byId, htmlById, setText, show } from './dom';
import { backFromSignIn, leaveToSignIn } from './oidc';

export class SignIn {
	private readonly section = htmlById('sign-in');
	private readonly token = byId('token', HTMLTextAreaElement);
	private readonly signOutButton = byId('sign-out', HTMLButtonElement);
	private readonly away = byId('sign-in-away', HTMLButtonElement);
	private session: Session | null = null;

	constructor(
		private readonly entered: () => void,
		private readonly left: () => void,
	) {
		byId('sign-in-form', HTMLFormElement).addEventListener('submit', (event) => {
			event.preventDefault();
			void this.submit();
		});
		this.away.addEventListener('click', () => {
			const at = this.session?.sign_in;
			if (at) void leaveToSignIn(at).catch((error: unknown) => this.say(error));
		});
		this.signOutButton.addEventListener('click', () => {
			void api.signOut().catch(() => undefined).then(() => this.ask());
		});
		onSignedOut(() => {
			if (this.section.hidden) this.ask();
		});
	}

	/** Whether the page may go on at once; if not, the box is shown and `entered` is called later. */
	async check(): Promise<boolean> {
		await this.read();
		if (this.session?.sign_in) await this.comeBack();
		const { session } = this;
		const ask = Boolean(session?.required && !session.authenticated);
		const named = Boolean(session?.required && session.authenticated);
		setText(htmlById('who'), named ? (session?.user_id ?? '') : '');
		show(htmlById('who'), named);
		show(this.signOutButton, named);
		show(htmlById('tab-monitor'), Boolean(session?.admin));
		if (ask) this.ask();
		return !ask;
	}

	private async read(): Promise<void> {
		this.session = await api.getSession();
		setCsrfToken(this.session.csrf_token);
	}

	/** From the provider: whichever of its tokens the server takes. */
	private async comeBack(): Promise<void> {
		const at = this.session?.sign_in;
		if (!at) return;
		try {
			const tokens = await backFromSignIn(at);
			if (!tokens) return;
			let refused: unknown = new ApiError(401, {});
			for (const token of tokens) {
				try {
					await api.signIn(token);
					return await this.read();
				} catch (error) {
					refused = error;
				}
			}
			throw refused;
		} catch (error) {
			this.say(error);
		}
	}

	private ask(): void {
		const away = Boolean(this.session?.sign_in);
		show(htmlById('sign-in-provider'), away);
		byId('sign-in-paste', HTMLDetailsElement).open = !away;
		show(htmlById('who'), false);
		show(this.signOutButton, false);
		show(this.section, true);
		this.left();
		if (away) this.away.focus();
		else this.token.focus();
	}

	private say(error: unknown): void {
		setText(htmlById('sign-in-error'), error instanceof ApiError ? error.message : String(error));
	}

	private async submit(): Promise<void> {
		setText(htmlById('sign-in-error'), '');
		try {
			await api.signIn(this.token.value.trim());
			this.token.value = '';
			show(this.section, false);
			if (await this.check()) this.entered();
		} catch (error) {
			this.say(error);
			this.token.focus();
		}
	}
}
