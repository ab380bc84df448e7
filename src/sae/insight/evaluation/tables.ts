import type { Evaluation } from './evaluation.js';

/** Texts under a heading. */
export interface Table {
  readonly heading: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** What there is to say of a whole model, as names and values. @param heading of the values. @param hidden latents of the model. */
export function figureTable(heading: string, hidden: number, figures: Evaluation): Table {
  const { active_quantiles: active, directions, labels, other_variances } = figures;
  const share = (latents: number) => `${count(latents)} of ${count(hidden)}`;
  const rows = [
    ['MSE', short(figures.mse)],
    ['explained variance', fixed(figures.explained_variance)],
    ...Object.entries(other_variances ?? {}).map(([whose, value]) => [`as ${whose}`, fixed(value)]),
    ['cosine similarity', figures.cosine_similarity.toFixed(4)],
    ['shrinkage', `${figures.shrinkage.toFixed(4)} (norms, reconstruction / row)`],
    ['relative bias', figures.relative_reconstruction_bias.toFixed(4)],
    [
      'L0',
      `${figures.active.toFixed(2)} (least ${active[0]}, 5% ${active[0.05]}, median ${active[0.5]}, 95% ${active[0.95]}, most ${active[1]})`,
    ],
    ['L1', short(figures.l1)],
    ['dead', share(figures.dead)],
    ['dense', `${share(figures.dense)} (active for more than 10% of the rows)`],
    [
      'directions',
      `cosine to the nearest: median ${directions.median_cosine.toFixed(2)}, largest ${directions.max_cosine.toFixed(2)}; ` +
        `${count(directions.copies)} above 0.9`,
    ],
    ...(labels
      ? [
          [
            'labels',
            `${count(labels.classes)}; ${share(labels.predicting)} latents predict one, with a mean F1 of ${labels.mean_f1.toFixed(3)}`,
          ],
          ...labels.probes.map(({ k, accuracy, classes }) => [
            `probe of ${k}`,
            classes.length > 0
              ? `balanced accuracy ${accuracy.toFixed(3)} (${count(classes.length)} labels; 0.5 is chance)`
              : 'no label has enough rows',
          ]),
        ]
      : []),
  ];
  return { heading: ['', heading], rows };
}

/** How many latents have which densities: dead ones, then from the least density of which there are any to the largest. */
export function densityTable({ densities: { edges, counts }, dead }: Evaluation): Table {
  const first = Math.max(
    0,
    counts.findIndex((latents) => latents > 0),
  );
  const end = counts.findLastIndex((latents) => latents > 0) + 1;
  const rows = counts
    .slice(first, end)
    .map((latents, i) => [`up to ${percent(edges[first + i + 1])}`, count(latents)]);
  return { heading: ['density', 'latents'], rows: [['0', count(dead)], ...rows] };
}

/** Of each label that some latent predicts, the latent that does so best; those that are predicted best first. */
export function labelTable({ latents }: Evaluation): Table {
  const ordered = latents
    .flatMap(({ predicts, density }, latent) => (predicts ? [{ ...predicts, density, latent }] : []))
    .sort((a, b) => b.f1 - a.f1 || a.latent - b.latent);
  const best = new Map(ordered.toReversed().map((one) => [one.label, one]));
  const rows = ordered
    .filter((one) => best.get(one.label) === one)
    .map(({ label, precision, recall, f1, density, latent }) => [
      label,
      String(latent + 1),
      precision.toFixed(3),
      recall.toFixed(3),
      f1.toFixed(3),
      percent(density),
    ]);
  return { heading: ['label', 'best latent', 'precision', 'recall', 'F1', 'density'], rows };
}

const count = (value: number) => value.toLocaleString('en');

/** Four decimals; of rows that are all the same, no variance is explained. */
const fixed = (value: number) => (Number.isFinite(value) ? value.toFixed(4) : 'none: all rows are the same');

/** Four digits. */
const short = (value: number) => String(Number(value.toPrecision(4)));

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(2))}%`;
}
