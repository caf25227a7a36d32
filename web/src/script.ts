// What a narration's script will be like, guessed while it is written: sentences, pauses, how long it takes. Pure. The server reads it
// exactly (docs/API.md, "Scripts") and has the last word; this is as near as an estimate has to be.

/** As the server reckons: what a voice needs for a byte of text, and between sentences. */
const MS_PER_BYTE = 65;
const GAP_MS = 350;
const PARAGRAPH_MS = 1200;
const PREVIEW_BYTES_MAX = 400;
const STRENGTHS: Record<string, number> = { none: 0, 'x-weak': 100, weak: 250, medium: 500, strong: 1000, 'x-strong': 2000 };
const UNITS: Record<string, number> = { ms: 1, s: 1000, min: 60_000 };

const PAUSE = /\[pause\s+(\d+(?:\.\d+)?)\s*(ms|s|min)?\s*\]|<break\b([^>]*)>/gi;
const SENTENCE_END = /([.!?…。！？]["'’”)\]]*)\s+/gu;

export interface Outline {
	sentences: number;
	pauses: number;
	pauseSeconds: number;
	/** Of all of it, without what music adds at both ends. */
	seconds: number;
	/** What a preview of the voice says; '' where there is nothing to say. */
	first: string;
}

const encoder = new TextEncoder();
const bytes = (text: string): number => encoder.encode(text).length;

function breakMs(attributes: string): number {
	const time = /time\s*=\s*["'](\d+(?:\.\d+)?)(ms|s|min)["']/i.exec(attributes);
	if (time) return Number(time[1]) * (UNITS[(time[2] ?? 's').toLowerCase()] ?? 1000);
	const strength = /strength\s*=\s*["']([\w-]+)["']/i.exec(attributes)?.[1] ?? 'medium';
	return STRENGTHS[strength.toLowerCase()] ?? 0;
}

const sayable = (text: string): boolean => /[\p{L}\p{N}]/u.test(text);

/** Those of a stretch without pauses in it. */
function sentencesOf(text: string): string[] {
	const plain = text.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ').trim();
	return plain.replace(SENTENCE_END, '$1\n').split('\n').filter(sayable);
}

/** No longer than a preview may be, cut between words. */
function shortened(sentence: string): string {
	let text = sentence;
	while (bytes(text) > PREVIEW_BYTES_MAX) text = text.slice(0, Math.max(text.lastIndexOf(' '), 0) || Math.floor(text.length / 2));
	return text;
}

export function outline(script: string): Outline {
	const ssml = /<speak\b/i.test(script);
	// A blank line, or <p>, is a paragraph; a pause beside it takes its place.
	const marked = script.replace(ssml ? /<\/?p\b[^>]*>/gi : /\n[ \t]*\n\s*|<\/?p\b[^>]*>/gi, '\u0000');
	let pauseMs = 0;
	const withPauses = marked.replace(PAUSE, (_all, amount?: string, unit?: string, attributes?: string) => {
		const ms = amount === undefined ? breakMs(attributes ?? '') : Number(amount) * (UNITS[(unit ?? 's').toLowerCase()] ?? 1000);
		return `\u0001${ms}\u0001`;
	});
	let [pauses, held, explicit, paragraph] = [0, 0, false, false];
	const sentences: string[] = [];
	withPauses.split('\u0001').forEach((part, index) => {
		if (index % 2 === 1) {
			held += Number(part);
			explicit = true;
			return;
		}
		part.split('\u0000').forEach((stretch, place) => {
			paragraph ||= place > 0;
			const found = sentencesOf(stretch);
			if (!found.length) return;
			const ms = explicit ? held : paragraph && sentences.length ? PARAGRAPH_MS : 0;
			pauses += ms > 0 ? 1 : 0;
			pauseMs += ms;
			[held, explicit, paragraph] = [0, false, false];
			sentences.push(...found);
		});
	});
	pauses += held > 0 ? 1 : 0;
	pauseMs += held;
	const speaking = sentences.reduce((sum, sentence) => sum + GAP_MS + MS_PER_BYTE * bytes(sentence), 0);
	return {
		sentences: sentences.length,
		pauses,
		pauseSeconds: pauseMs / 1000,
		seconds: (speaking + pauseMs) / 1000,
		first: shortened(sentences[0] ?? ''),
	};
}
