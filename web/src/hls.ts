// hls.js is two thirds of the page's script. It is fetched when the first view stands, so that it is there once something is to be
// played, or by whoever plays something before that.
export type HlsLibrary = typeof import('hls.js');

let library: Promise<HlsLibrary> | undefined;
let failures = 0;

/** Some browsers never ask again for a module that they once couldn't fetch: then it needs another address. */
function fetchHls(): Promise<HlsLibrary> {
	if (failures === 0) return import('hls.js');
	const address = `./hls.js?again=${failures}`; // beside this script, where build.mjs puts it
	return import(address) as Promise<HlsLibrary>;
}

export function loadHls(): Promise<HlsLibrary> {
	library ??= fetchHls().catch((error: unknown) => {
		library = undefined;
		failures++;
		throw error;
	});
	return library;
}
