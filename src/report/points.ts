import type { EChartsType } from 'echarts/core';
import { axis, Chart, type Colours, grid } from './chart.js';
import { announce, el } from './dom.js';

/** What an axis has of ECharts' options, besides what all have. */
interface OwnAxis extends Readonly<Record<string, unknown>> {
  readonly axisLabel?: object;
}

/** Points of a chart, each of which opens a latent. */
export interface Points {
  /** What it is called. */
  readonly name: string;
  /** What the chart shows, in words. */
  readonly alternative: string;
  readonly latents: ArrayLike<number>;
  /** Places, one for each of the latents. */
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
  readonly axes: { readonly x: OwnAxis; readonly y: OwnAxis; readonly names: readonly [string, string] };
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

/** Where arrow keys lead: right and down are above 0. */
const ways: Readonly<Record<string, readonly [x: number, y: number]>> = {
  ArrowRight: [1, 0],
  ArrowLeft: [-1, 0],
  ArrowDown: [0, 1],
  ArrowUp: [0, -1],
};

/** A chart of points: the one that is pointed at, or that arrow keys have led to, is told below it; a click or Enter opens it. */
export function pointsChart(points: Points): HTMLElement {
  const { latents, name, alternative, tell, open } = points;
  const canvas = el('canvas', { 'aria-hidden': 'true' });
  // Places of points in pixels of the chart: [points, 2].
  let places = new Float32Array(0);
  let at = -1;
  const chart = new Chart(alternative, (colours) => axesOf(points, colours), {
    height: 340,
    drawn: (echarts, colours) => {
      places = placesOf(points, echarts);
      paint(canvas, echarts, places, points.marked, colours);
      mark();
    },
  });
  const hint =
    'Point at a latent, or go to it with arrow keys, to read about it; a click, a tap or Enter opens it.';
  const told = el('p', { class: 'told', 'aria-hidden': 'true' }, hint);
  const ring = el('div', { class: 'ring', hidden: true });
  const area = el(
    'div',
    {
      class: 'points',
      // So that readers leave arrow keys to it.
      role: 'application',
      tabindex: 0,
      'aria-label': `${name}: arrow keys go from latent to latent, Enter opens one`,
    },
    chart.element,
    canvas,
    ring,
  );

  const mark = () => {
    ring.hidden = at < 0;
    ring.style.left = `${places[2 * at]}px`;
    ring.style.top = `${places[2 * at + 1]}px`;
  };
  const goTo = (point: number) => {
    if (point === at) return;
    at = point;
    mark();
    area.classList.toggle('pointed', at >= 0);
    told.replaceChildren(...(at < 0 ? [hint] : tell(latents[at])));
  };
  const move = (event: PointerEvent) => {
    const box = area.getBoundingClientRect();
    goTo(nearest(places, event.clientX - box.left, event.clientY - box.top));
  };
  area.addEventListener('pointermove', move);
  area.addEventListener('pointerdown', move);
  area.addEventListener('click', () => {
    if (at >= 0) open(latents[at]);
  });
  area.addEventListener('focus', () => {
    if (at >= 0 || !area.matches(':focus-visible')) return;
    goTo(highest(places));
    announce(told.textContent);
  });
  area.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const way = ways[event.key];
    if (event.key === 'Enter' && at >= 0) open(latents[at]);
    else if (way) {
      const next = at < 0 ? highest(places) : nextPoint(places, at, way);
      if (next >= 0) goTo(next);
      announce(next < 0 ? 'There is none further that way.' : told.textContent);
    } else return;
    event.preventDefault();
  });
  return el('div', {}, area, told);
}

/**
 * The nearest point from another one in a direction: of those not further aside than ahead, if there are any. So each is reached that is
 * the furthest in a direction, and none that is not ahead. -1 where there is none.
 */
function nextPoint(places: Float32Array, from: number, [x, y]: readonly [number, number]): number {
  let [point, best] = [-1, [1, Number.POSITIVE_INFINITY]];
  for (let i = 0; i < places.length / 2; i++) {
    const [right, down] = [places[2 * i] - places[2 * from], places[2 * i + 1] - places[2 * from + 1]];
    const [ahead, aside] = [right * x + down * y, Math.abs(right * y) + Math.abs(down * x)];
    if (ahead <= 0) continue;
    const found = [aside > ahead ? 1 : 0, ahead ** 2 + aside ** 2];
    if (found[0] < best[0] || (found[0] === best[0] && found[1] < best[1])) [point, best] = [i, found];
  }
  return point;
}

function highest(places: Float32Array): number {
  let point = 0;
  for (let i = 1; i < places.length / 2; i++) if (places[2 * i + 1] < places[2 * point + 1]) point = i;
  return point;
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
  const withOwn = (all: ReturnType<typeof axis>, own: OwnAxis) => ({
    ...all,
    ...own,
    axisLabel: { ...all.axisLabel, ...own.axisLabel },
  });
  return {
    grid,
    xAxis: withOwn(axis(colours, axes.names[0], false), axes.x),
    yAxis: withOwn(axis(colours, axes.names[1], true), axes.y),
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
