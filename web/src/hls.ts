// hls.js is two thirds of the page's script. It is fetched when the first view stands, so that it is there once something is to be
// played, or by whoever plays something before that.
export type HlsLibrary = typeof import('hls.js');

let library: Promise<HlsLibrary> | undefined;

export function loadHls(): Promise<HlsLibrary> {
	library ??= import('hls.js').catch((error: unknown) => {
		library = undefined;
		throw error;
	});
	return library;
}
