import { decoderDirections } from '../insight/evaluation/directions.js';
import type { Model } from '../model/model.js';
import { noNormalization } from '../rows/dataset.js';
import type { SynthData } from './data.js';
import { matchLatents } from './match.js';
import { type RecoveryScores, ScoreSums } from './scores.js';

/** Scores of a model against the features that its data was made of. */
export interface SynthScores extends RecoveryScores {
  readonly mcc: number;
  readonly uniqueness: number;
}

const rowsAtATime = 1024;

/**
 * Measures how well a model of the data finds the features and rebuilds the rows.
 * @param range of rows, for instance ones that follow those that it was trained on.
 * @param progress is called with the rows done.
 * @throws DataError if the model takes rows of another width; NonFiniteError; ClosedError.
 */
export async function measureRecovery(
  model: Model,
  data: SynthData,
  { first, rows }: { readonly first: number; readonly rows: number },
  progress?: (rows: number) => void,
): Promise<SynthScores> {
  const { in_dims, features } = data.config;
  const { hidden } = model;
  model.checkWidth({ name: 'the synthetic data', in_dims });
  const { mcc, uniqueness, best } = await matchLatents(
    await decoderDirections(model),
    data.directions,
    in_dims,
  );
  const sums = new ScoreSums(best, features, in_dims);
  for (let at = 0; at < rows; at += rowsAtATime) {
    const count = Math.min(rowsAtATime, rows - at);
    const active: Int32Array[] = [];
    const values = data.rows(first + at, first + at + count, (found) => active.push(found));
    const set = {
      name: 'synthetic rows',
      rows: count,
      in_dims,
      data: values,
      normalization: noNormalization,
    };
    const codes = await model.encode(set);
    const rebuilt = await model.decode(codes);
    for (let i = 0; i < count; i++) {
      const own = [i * in_dims, (i + 1) * in_dims] as const;
      const code = codes.subarray(i * hidden, (i + 1) * hidden);
      sums.add(values.subarray(...own), rebuilt.subarray(...own), code, active[i]);
    }
    progress?.(at + count);
  }
  return { mcc, uniqueness, ...sums.scores() };
}
