// Signing in, where the server asks for it. On an open server nothing of this is ever seen.
import { ApiError, api, onSignedOut, setCsrfToken } from './api';
import { byId, htmlById, setText, show } from './dom';

export class SignIn {
	private readonly section = htmlById('sign-in');
	private readonly token = byId('token', HTMLTextAreaElement);
	private readonly signOutButton = byId('sign-out', HTMLButtonElement);

	constructor(
		private readonly entered: () => void,
		private readonly left: () => void,
	) {
		byId('sign-in-form', HTMLFormElement).addEventListener('submit', (event) => {
			event.preventDefault();
			void this.submit();
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
		const session = await api.getSession();
		setCsrfToken(session.csrf_token);
		const ask = session.required && !session.authenticated;
		const named = session.required && session.authenticated;
		setText(htmlById('who'), named ? (session.user_id ?? '') : '');
		show(htmlById('who'), named);
		show(this.signOutButton, named);
		if (ask) this.ask();
		return !ask;
	}

	private ask(): void {
		show(htmlById('who'), false);
		show(this.signOutButton, false);
		show(this.section, true);
		this.left();
		this.token.focus();
	}

	private async submit(): Promise<void> {
		const problem = htmlById('sign-in-error');
		setText(problem, '');
		try {
			await api.signIn(this.token.value.trim());
			this.token.value = '';
			show(this.section, false);
			if (await this.check()) this.entered();
		} catch (error) {
			setText(problem, error instanceof ApiError ? error.message : String(error));
			this.token.focus();
		}
	}
}
