// Small helpers over the DOM. The page's elements are all in index.html; scripts look them up once by id.

/** The element of index.html with this id; its absence or another type is a bug of ours. */
export function byId<T extends Element>(id: string, type: new () => T): T {
	const element = document.getElementById(id);
	if (!(element instanceof type)) throw new Error(`index.html lacks #${id}`);
	return element;
}

export const htmlById = (id: string): HTMLElement => byId(id, HTMLElement);

/** A new element, for rows of lists. */
export function make<K extends keyof HTMLElementTagNameMap>(tag: K, className = '', text = ''): HTMLElementTagNameMap[K] {
	const element = document.createElement(tag);
	if (className) element.className = className;
	if (text) element.textContent = text;
	return element;
}

export function show(element: HTMLElement, visible: boolean): void {
	if (element.hidden === visible) element.hidden = !visible;
}

/** Writes text only when it differs, so that screen readers and layout are left in peace. */
export function setText(element: Element, text: string): void {
	if (element.textContent !== text) element.textContent = text;
}

/** Says something once to a screen reader, without moving the focus. */
export function announce(text: string): void {
	setText(htmlById('announce'), text);
}

/** Sets a progress bar's value, for the eye (--value, 0..100) and for assistive technology. */
export function setProgress(bar: HTMLElement, percent: number, spoken: string): void {
	bar.style.setProperty('--value', String(percent));
	bar.setAttribute('aria-valuenow', String(Math.floor(percent)));
	bar.setAttribute('aria-valuetext', spoken);
}

/** Asks before something that can't be undone. */
export function confirmAction(title: string, text: string, yes: string): Promise<boolean> {
	const dialog = byId('confirm', HTMLDialogElement);
	setText(htmlById('confirm-title'), title);
	setText(htmlById('confirm-text'), text);
	setText(htmlById('confirm-yes'), yes);
	dialog.returnValue = 'no';
	dialog.showModal();
	return new Promise((resolve) => {
		dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
	});
}
