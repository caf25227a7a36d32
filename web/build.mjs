// Bundles the page into a folder: node build.mjs [folder], "dist" by default. The same sources give the same bytes.
// The folder's files are what tools/embed.py puts into the binary.
import { copyFile, mkdir, readdir, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, 'dist'));
await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });

const common = {
	absWorkingDir: here,
	bundle: true,
	minify: true,
	charset: 'utf8',
	target: ['chrome90', 'firefox90', 'safari15'],
	legalComments: 'inline',
	logLevel: 'warning',
};
await build({
	...common,
	entryPoints: ['src/main.ts'],
	entryNames: 'app',
	chunkNames: '[name]', // hls.js, by src/hls.ts; chunk.js, what both need (index.html fetches it ahead)
	outdir: out,
	format: 'esm',
	splitting: true,
	banner: { js: '/*! Part of Millrace (MIT), whose player is hls.js, Copyright Dailymotion and contributors, Apache License 2.0. */' },
});
await build({ ...common, entryPoints: ['src/app.css'], outfile: join(out, 'app.css') });
for (const name of (await readdir(join(here, 'static'))).sort()) {
	await copyFile(join(here, 'static', name), join(out, name));
}
