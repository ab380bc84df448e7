import type { EChartsType } from 'echarts/core';
import { axis, Chart, type Colours, grid } from './chart.js';
import { el } from './dom.js';

/** Points of a chart, each of which opens a latent. */
export interface Points {
  /** What the chart shows, in words. */
  readonly alternative: string;
  readonly latents: ArrayLike<number>;
  /** Places, one for each of the latents. */
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
  readonly axes: { readonly x: object; readonly y: object; readonly names: readonly [string, string] };
  /** Whether a point, by its place in `latents`, is drawn as a diamond in the second colour. */
  readonly marked: (point: number) => boolean;
  /** What to say of a latent. */
  readonly tell: (latent: number) => readonly (Node | string)[];
  readonly open: (latent: number) => void;
}

/** A pointer this near to a point, in CSS pixels, means it. */
const reach = 14;
/** From so many points on they are small, and let those below shine through. */
const many = 2000;

/** A chart of points: the one nearest to the pointer is told below it, and a click opens it. */
export function pointsChart(points: Points): HTMLElement {
  const { latents, alternative, tell, open } = points;
  const canvas = el('canvas', { 'aria-hidden': 'true' });
  // Places of points in pixels of the chart: [points, 2].
  let places = new Float32Array(0);
  const chart = new Chart(alternative, (colours) => axesOf(points, colours), {
    height: 340,
    drawn: (echarts, colours) => {
      places = placesOf(points, echarts);
      paint(canvas, echarts, places, points.marked, colours);
    },
  });
  const hint = 'Point at a latent to read about it, and click or tap it to open it.';
  const told = el('p', { class: 'told', 'aria-hidden': 'true' }, hint);
  const ring = el('div', { class: 'ring', hidden: true });
  const area = el('div', { class: 'points' }, chart.element, canvas, ring);

  let near = -1;
  const move = (event: PointerEvent) => {
    const box = area.getBoundingClientRect();
    const found = nearest(places, event.clientX - box.left, event.clientY - box.top);
    if (found === near) return;
    near = found;
    ring.hidden = near < 0;
    area.classList.toggle('pointed', near >= 0);
    told.replaceChildren(...(near < 0 ? [hint] : tell(latents[near])));
    ring.style.left = `${places[2 * near]}px`;
    ring.style.top = `${places[2 * near + 1]}px`;
  };
  area.addEventListener('pointermove', move);
  area.addEventListener('pointerdown', move);
  area.addEventListener('click', () => {
    if (near >= 0) open(latents[near]);
  });
  return el('div', {}, area, told);
}

/** The point nearest to a place, within reach; -1 where there is none. */
function nearest(places: Float32Array, left: number, top: number): number {
  let [point, best] = [-1, reach ** 2];
  for (let i = 0; i < places.length / 2; i++) {
    const distance = (places[2 * i] - left) ** 2 + (places[2 * i + 1] - top) ** 2;
    if (distance <= best) [point, best] = [i, distance];
  }
  return point;
}

function placesOf({ x, y }: Points, echarts: EChartsType): Float32Array<ArrayBuffer> {
  const places = new Float32Array(2 * x.length);
  for (let i = 0; i < x.length; i++)
    places.set(echarts.convertToPixel({ gridIndex: 0 }, [x[i], y[i]]), 2 * i);
  return places;
}

/** Axes alone, as long as the points need: ECharts makes an object of each point, which takes seconds for ten thousands of them. */
function axesOf({ x, y, axes }: Points, colours: Colours) {
  const ends = (values: ArrayLike<number>) => {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let i = 0; i < values.length; i++) {
      low = Math.min(low, values[i]);
      high = Math.max(high, values[i]);
    }
    return [low, high];
  };
  const [[left, right], [bottom, top]] = [ends(x), ends(y)];
  const corners = [
    [left, bottom],
    [right, top],
  ];
  return {
    grid,
    xAxis: { ...axis(colours, axes.names[0], false), ...axes.x },
    yAxis: { ...axis(colours, axes.names[1], true), ...axes.y },
    series: [{ type: 'scatter', data: corners, symbolSize: 0, silent: true }],
  };
}

function paint(
  canvas: HTMLCanvasElement,
  echarts: EChartsType,
  places: Float32Array,
  marked: (point: number) => boolean,
  { series: [first, second] }: Colours,
): void {
  const scale = devicePixelRatio;
  canvas.width = echarts.getWidth() * scale;
  canvas.height = echarts.getHeight() * scale;
  const context = canvas.getContext('2d')!;
  context.scale(scale, scale);
  const count = places.length / 2;
  const radius = count > many ? 1.75 : 3.5;
  context.globalAlpha = count > many ? 0.5 : 0.75;
  const circle = new Path2D();
  circle.arc(0, 0, radius, 0, 7);
  const [x, y] = [radius + 1.5, radius + 2];
  const diamond = new Path2D(`M0 ${-y}L${x} 0L0 ${y}L${-x} 0Z`);
  for (const [path, colour, wanted] of [
    [circle, first, false],
    [diamond, second, true],
  ] as const) {
    context.fillStyle = colour;
    for (let i = 0; i < count; i++) {
      if (marked(i) !== wanted) continue;
      context.translate(places[2 * i], places[2 * i + 1]);
      context.fill(path);
      context.translate(-places[2 * i], -places[2 * i + 1]);
    }
  }
}
