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

/** A chart of points: the one nearest to the pointer is told below it, and a click opens it. */
export function pointsChart(points: Points): HTMLElement {
  const all = Array.from(points.latents, (_, i) => i);
  const chart = new Chart(points.alternative, (colours) => optionOf(points, all, colours), 340);
  const hint = 'Point at a latent to read about it, and click to open it.';
  const told = el('p', { class: 'told', 'aria-hidden': 'true' }, hint);
  const ring = el('div', { class: 'ring', hidden: true });
  chart.element.classList.add('points');
  chart.element.append(ring, told);

  let near = -1;
  const nearest = pixelFinder(chart, points);
  const move = (event: PointerEvent) => {
    const box = chart.element.getBoundingClientRect();
    const found = nearest(event.clientX - box.left, event.clientY - box.top);
    if (found.point === near) return;
    near = found.point;
    ring.hidden = near < 0;
    chart.element.classList.toggle('over', near >= 0);
    told.replaceChildren(...(near < 0 ? [hint] : points.tell(points.latents[near])));
    if (near >= 0) {
      ring.style.left = `${found.x}px`;
      ring.style.top = `${found.y}px`;
    }
  };
  chart.element.addEventListener('pointermove', move);
  chart.element.addEventListener('pointerdown', move);
  chart.element.addEventListener('click', () => {
    if (near >= 0) points.open(points.latents[near]);
  });
  return chart.element;
}

/** Finds the point that is nearest to a place in the chart's element, within reach; -1 where there is none. */
function pixelFinder(chart: Chart, { x, y }: Points) {
  let width = 0;
  let places = new Float32Array(0);
  return (left: number, top: number) => {
    const drawn = chart.drawn;
    if (!drawn) return { point: -1, x: 0, y: 0 };
    if (drawn.getWidth() !== width) {
      width = drawn.getWidth();
      places = new Float32Array(x.length * 2);
      for (let i = 0; i < x.length; i++) {
        const [px, py] = drawn.convertToPixel({ gridIndex: 0 }, [x[i], y[i]]);
        places[2 * i] = px;
        places[2 * i + 1] = py;
      }
    }
    let [point, best] = [-1, reach ** 2];
    for (let i = 0; i < x.length; i++) {
      const distance = (places[2 * i] - left) ** 2 + (places[2 * i + 1] - top) ** 2;
      if (distance <= best) [point, best] = [i, distance];
    }
    return { point, x: places[2 * point] ?? 0, y: places[2 * point + 1] ?? 0 };
  };
}

function optionOf({ x, y, axes, marked }: Points, all: readonly number[], colours: Colours) {
  const [small, many] = [x.length > 2000 ? 4 : 7, x.length > 2000 ? 0.45 : 0.7];
  const series = (name: string, symbol: string, points: readonly number[], colour: string, size: number) => ({
    type: 'scatter',
    name,
    symbol,
    symbolSize: size,
    data: points.map((i) => [x[i], y[i]]),
    itemStyle: { color: colour, opacity: many },
    silent: true,
    progressive: 0,
  });
  return {
    grid,
    xAxis: { ...axis(colours, axes.names[0], false), ...axes.x },
    yAxis: { ...axis(colours, axes.names[1], true), ...axes.y },
    series: [
      series(
        'others',
        'circle',
        all.filter((i) => !marked(i)),
        colours.series[0],
        small,
      ),
      series('marked', 'diamond', all.filter(marked), colours.series[1], small + 3),
    ],
  };
}
