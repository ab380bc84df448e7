// The arithmetic and the Markdown of the benchmark against peers.

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

function withSpread({ median, min, max }) {
  return `${short(median)} (${short(min)}–${short(max)})`;
}

/**
 * The rows of one table for all cases.
 * @param cases [{ title, stepsAnEpoch?, flops?, results: [{ name, ours?, steps?, milliseconds: [a figure a round], loss? }] }]
 */
export function markdownTable(cases) {
  const lines = [
    '| case | | ms a step, or a product | s an epoch of 60,000 | ours is … times as fast | loss, first epoch |',
    '| --- | --- | --- | --- | --- | --- |',
  ];
  for (const { title, stepsAnEpoch, flops, results } of cases) {
    const ours = results.find((result) => result.ours);
    results.forEach((result, i) => {
      const time = spread(result.milliseconds);
      const rate = flops ? `, ${short(flops / time.median / 1e6)} GFLOP/s` : '';
      const seconds = stepsAnEpoch && (time.median * stepsAnEpoch) / 1000;
      const ratio =
        result === ours ? '' : ours ? withSpread(ratios(result.milliseconds, ours.milliseconds)) : '–';
      const cells = [
        i === 0 ? title : '',
        result.name,
        withSpread(time) + rate,
        seconds ? (result.steps < stepsAnEpoch ? `≈ ${short(seconds)}` : short(seconds)) : '',
        ratio,
        result.loss === undefined ? '' : result.loss === null ? 'not a number' : result.loss.toFixed(3),
      ];
      lines.push(`| ${cells.join(' | ')} |`);
    });
  }
  return lines.join('\n');
}
