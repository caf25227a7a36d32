// The shape of a sound, drawn from the peaks that the server has measured (docs/API.md, "By-products": audiowaveform's version 2).

interface Peaks {
	length: number;
	sample_rate: number;
	samples_per_pixel: number;
	data: number[];
}

export class Waveform {
	private constructor(private readonly peaks: Peaks) {}

	/** null: there is none, or it can't be read. */
	static async load(url: string): Promise<Waveform | null> {
		const answer = await fetch(url).catch(() => null);
		if (!answer?.ok) return null;
		const peaks = (await answer.json().catch(() => null)) as Peaks | null;
		return peaks?.length && peaks.data.length >= 2 * peaks.length ? new Waveform(peaks) : null;
	}

	/** Draws it over the whole canvas: what was played in one colour, what is to come in another. `seconds`: of the whole bar. */
	draw(canvas: HTMLCanvasElement, seconds: number, played: number): void {
		const scale = window.devicePixelRatio || 1;
		const [width, height] = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)];
		if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
		const context = canvas.getContext('2d');
		if (!context || !width || !(seconds > 0)) return;
		const style = getComputedStyle(canvas);
		const [before, after] = [style.getPropertyValue('--wave-played'), style.getPropertyValue('--wave-rest')];
		const perPixel = ((seconds / width) * this.peaks.sample_rate) / this.peaks.samples_per_pixel;
		const edge = (played / seconds) * width;
		context.clearRect(0, 0, width, height);
		for (let x = 0; x < width; x++) {
			const [low, high] = this.extent(x * perPixel, (x + 1) * perPixel);
			const top = (1 - high) * (height / 2);
			context.fillStyle = x < edge ? before : after;
			context.fillRect(x, top, 1, Math.max(scale, (high - low) * (height / 2)));
		}
	}

	/** Lowest and highest peak, -1 to 1, of a stretch of points. */
	private extent(from: number, to: number): [number, number] {
		const { data, length } = this.peaks;
		let [low, high] = [0, 0];
		for (let i = Math.floor(from); i < Math.max(Math.floor(from) + 1, Math.floor(to)) && i < length; i++) {
			low = Math.min(low, (data[2 * i] ?? 0) / 128);
			high = Math.max(high, (data[2 * i + 1] ?? 0) / 127);
		}
		return [low, high];
	}
}
