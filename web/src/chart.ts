// Small charts over time, drawn as SVG: stacked columns, or a line with gaps where nothing is known. Each column says its numbers when it
// is pointed at; the whole says what it shows in one sentence to who doesn't see it.

const SVG = 'http://www.w3.org/2000/svg';
const HEIGHT = 132;
const LEFT = 40;
const RIGHT = 6;
const TOP = 10;
const BOTTOM = 20;
const STEPS = [1, 2, 5, 10];

export interface Series {
	/** A class of monitor.css: its colour. */
	name: string;
	label: string;
	/** One for each bucket; null: nothing is known of it. */
	values: (number | null)[];
}

export interface Chart {
	kind: 'columns' | 'line';
	series: Series[];
	starts: Date[];
	/** A value in words, with its unit. */
	say(value: number): string;
	/** What stands at the axis. */
	short(value: number): string;
	/** Times of the axis. */
	time(date: Date): string;
	summary: string;
}

function node(name: string, attributes: Record<string, string | number>, text = ''): SVGElement {
	const element = document.createElementNS(SVG, name);
	for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
	if (text) element.textContent = text;
	return element;
}

/** A round number that is at least that much: the top of the axis. */
export function niceTop(value: number): number {
	if (!(value > 0)) return 1;
	const power = 10 ** Math.floor(Math.log10(value));
	return (STEPS.find((step) => step * power >= value * 0.999) ?? 10) * power;
}

export class ChartBox {
	private readonly svg = node('svg', { class: 'chart', role: 'img' });
	private chart: Chart | null = null;
	private width = 0;

	constructor(private readonly box: HTMLElement) {
		box.append(this.svg);
		new ResizeObserver(() => {
			if (box.clientWidth !== this.width) this.draw();
		}).observe(box);
	}

	show(chart: Chart): void {
		this.chart = chart;
		this.draw();
	}

	private draw(): void {
		const { chart } = this;
		this.width = this.box.clientWidth;
		if (!chart || !this.width) return;
		const count = chart.starts.length;
		const sums = chart.starts.map((_start, i) => chart.series.reduce((sum, { values }) => sum + (values[i] ?? 0), 0));
		const top = niceTop(Math.max(...sums, 0));
		const inner = this.width - LEFT - RIGHT;
		const x = (i: number): number => LEFT + (inner * i) / count;
		const y = (value: number): number => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
		const parts = [...this.axes(chart, top, x, y)];
		if (chart.kind === 'columns') parts.push(...this.columns(chart, x, y));
		else parts.push(...this.line(chart, x, y));
		parts.push(...this.pointers(chart, x));
		this.svg.setAttribute('viewBox', `0 0 ${this.width} ${HEIGHT}`);
		this.svg.setAttribute('aria-label', chart.summary);
		this.svg.replaceChildren(...parts);
	}

	private *axes(chart: Chart, top: number, x: (i: number) => number, y: (value: number) => number): Generator<SVGElement> {
		for (const value of [0, top / 2, top]) {
			yield node('line', { class: value ? 'grid' : 'ground', x1: LEFT, x2: this.width - RIGHT, y1: y(value), y2: y(value) });
			if (value) yield node('text', { class: 'tick', x: LEFT - 6, y: y(value) + 4, 'text-anchor': 'end' }, chart.short(value));
		}
		const count = chart.starts.length;
		const places: [number, string][] = [[0, 'start'], [Math.floor(count / 2), 'middle'], [count - 1, 'end']];
		for (const [i, anchor] of places) {
			const start = chart.starts[i];
			const at = anchor === 'end' ? this.width - RIGHT : x(i);
			if (start) yield node('text', { class: 'tick', x: at, y: HEIGHT - 4, 'text-anchor': anchor }, chart.time(start));
		}
	}

	private *columns(chart: Chart, x: (i: number) => number, y: (value: number) => number): Generator<SVGElement> {
		for (let i = 0; i < chart.starts.length; i++) {
			let below = 0;
			for (const { name, values } of chart.series) {
				const value = values[i] ?? 0;
				if (!(value > 0)) continue;
				const [from, to] = [y(below), y(below + value)];
				const width = Math.max(1, x(i + 1) - x(i) - (x(1) - x(0) > 4 ? 2 : 0.5));
				yield node('rect', { class: name, x: x(i), y: to, width, height: Math.max(1, from - to), rx: Math.min(2, width / 3) });
				below += value;
			}
		}
	}

	private *line(chart: Chart, x: (i: number) => number, y: (value: number) => number): Generator<SVGElement> {
		const middle = (i: number): number => (x(i) + x(i + 1)) / 2;
		for (const { name, values } of chart.series) {
			let path = '';
			let drawn = false;
			values.forEach((value, i) => {
				if (value !== null) path += `${drawn ? 'L' : 'M'}${middle(i).toFixed(1)} ${y(value).toFixed(1)}`;
				drawn = value !== null;
			});
			if (path) yield node('path', { class: `${name} stroke`, d: path });
			for (const [i, value] of values.entries()) {
				if (value !== null) yield node('circle', { class: name, cx: middle(i), cy: y(value), r: 2.2 });
			}
		}
	}

	/** What is said of a column when it is pointed at. */
	private *pointers(chart: Chart, x: (i: number) => number): Generator<SVGElement> {
		for (const [i, start] of chart.starts.entries()) {
			const lines = chart.series.map(({ label, values }) => {
				const value = values[i] ?? null;
				return `${label}: ${value === null ? '–' : chart.say(value)}`;
			});
			const area = node('rect', { class: 'pointer', x: x(i), y: 0, width: x(i + 1) - x(i), height: HEIGHT - BOTTOM });
			area.append(node('title', {}, `${chart.time(start)}\n${lines.join('\n')}`));
			yield area;
		}
	}
}
