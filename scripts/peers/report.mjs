// The arithmetic and the Markdown of the benchmark against peers.
import { arch, cpus, release, totalmem, type } from 'node:os';

/** Of the figures of interleaved repeats: { median, min, max }. */
export function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted[sorted.length - 1] };
}

/** How many times as fast as a peer ours is: the ratio of each round, so that noise that lasted for a round cancels. */
export function ratios(peer, ours) {
  return spread(peer.map((milliseconds, round) => milliseconds / ours[round]));
}

/** Three significant digits, without an exponent. */
export function short(value) {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const decimals = 2 - Math.floor(Math.log10(Math.abs(value)));
  return decimals > 0 ? value.toFixed(decimals) : String(Math.round(value));
}

/** Three significant digits: 48,500. */
function inThousands(value) {
  return Number(value.toPrecision(3)).toLocaleString('en');
}

function withSpread({ median, min, max }) {
  return `${short(median)} (${short(min)}–${short(max)})`;
}

/**
 * The rows of one table for all cases.
 * @param cases [{ title, stepsAnEpoch?, batch_size?, flops?, results: [{ name, ours?, steps?, milliseconds: [a figure a round], loss? }] }]
 */
export function markdownTable(cases) {
  const lines = [
    '| case | | ms a step, or a product | s an epoch of 60,000 | ours is … times as fast | loss, first epoch |',
    '| --- | --- | --- | --- | --- | --- |',
  ];
  for (const { title, stepsAnEpoch, batch_size, flops, results } of cases) {
    const ours = results.find((result) => result.ours);
    results.forEach((result, i) => {
      const time = spread(result.milliseconds);
      const rate = flops
        ? `${short(flops / time.median / 1e6)} GFLOP/s`
        : `${inThousands((batch_size * 1000) / time.median)} samples/s`;
      const seconds = stepsAnEpoch && (time.median * stepsAnEpoch) / 1000;
      const ratio =
        result === ours ? '' : ours ? withSpread(ratios(result.milliseconds, ours.milliseconds)) : '–';
      const cells = [
        i === 0 ? title : '',
        result.name,
        `${withSpread(time)}, ${rate}`,
        seconds ? (result.steps < stepsAnEpoch ? `≈ ${short(seconds)}` : short(seconds)) : '',
        ratio,
        result.loss === undefined ? '' : result.loss === null ? 'not a number' : result.loss.toFixed(3),
      ];
      lines.push(`| ${cells.join(' | ')} |`);
    });
  }
  return lines.join('\n');
}

/** All that was measured and on what, as it goes to --json. */
export function describe({ repeats, contestants, leftOut, notes }, cases, digits) {
  const versions = Object.assign({}, ...contestants.toReversed().map(({ hello }) => hello.versions));
  // In each row, since there can be several.
  delete versions.PyTorch;
  delete versions.Python;
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: {
      cpu: cpus()[0].model.trim(),
      cores: cpus().length,
      memory_gib: Math.round(totalmem() / 2 ** 30),
      system: `${type()} ${release()} ${arch()}`,
    },
    adapter: contestants[0].hello.adapter,
    cuda_device: contestants.find(({ hello }) => hello.versions.CUDA)?.hello.adapter,
    versions,
    contestants: contestants.map(({ name, hello }) => ({ name, ...hello })),
    digits,
    repeats,
    cases,
    left_out: leftOut,
    notes,
  };
}

export function markdown({ date, machine, adapter, cuda_device, versions, ...report }) {
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const devices = `WebGPU on ${adapter}${cuda_device ? `, CUDA on ${cuda_device}` : ''}`;
  const lines = [
    `Measured on ${date}: ${machine.cpu}, ${machine.cores} cores, ${machine.memory_gib} GiB, ${machine.system}; ${devices}.`,
    `${named.join(', ')}. The digits are ${report.digits}. Medians (smallest–largest) of ${report.repeats} interleaved repeats; a`,
    'ratio is the peer’s time divided by ours in the same round. ≈: scaled up from a part of an epoch.',
    '',
    markdownTable(report.cases),
  ];
  if (report.left_out.length > 0) lines.push('', 'Not there:', '');
  for (const { name, case: title, why } of report.left_out) {
    lines.push(`- ${name}${title ? ` at ${title}` : ''}: ${why}.`);
  }
  if (report.notes.length > 0) lines.push('', ...report.notes.map((note) => `- ${note}`));
  return lines.join('\n');
}

/** The columns of scores, with their decimals. */
const scoreColumns = {
  MCC: ['mcc', 3],
  F1: ['f1', 3],
  uniqueness: ['uniqueness', 3],
  L0: ['l0', 2],
  dead: ['dead', 1],
  R2: ['r2', 3],
  'seconds of training': ['seconds', 1],
};

/**
 * The table of what kinds of sparsity reach: two lines a kind, each score's mean and range over seeds.
 * @param results [{ sparsity, who, seed, seconds, mcc, ... }]
 */
export function synthTable(results) {
  const lines = [
    `| kind | who | ${Object.keys(scoreColumns).join(' | ')} |`,
    `| --- | --- |${' --- |'.repeat(Object.keys(scoreColumns).length)}`,
  ];
  let before;
  for (const { sparsity, who } of distinct(results)) {
    const own = results.filter((result) => result.sparsity === sparsity && result.who === who);
    const cells = Object.values(scoreColumns).map(([name, decimals]) =>
      meanAndRange(
        own.map((result) => result[name]),
        decimals,
      ),
    );
    lines.push(`| ${[sparsity === before ? '' : `\`${sparsity}\``, who, ...cells].join(' | ')} |`);
    before = sparsity;
  }
  return lines.join('\n');
}

/** Each kind with whom it was trained by, once, in the order in which they came. */
function distinct(results) {
  return results.filter(
    ({ sparsity, who }, i) =>
      results.findIndex((other) => other.sparsity === sparsity && other.who === who) === i,
  );
}

/** A mean, and in parentheses the smallest and the largest value, where they differ as they are written. */
function meanAndRange(values, decimals) {
  const mean = (values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(decimals);
  const ends = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(decimals));
  return ends[0] === ends[1] ? mean : `${mean} (${ends.join('–')})`;
}
