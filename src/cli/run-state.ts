import {
  DataError,
  type DensityHistory,
  type EpochMetrics,
  type Frame,
  type RunRecord,
  type SavedSnapshot,
  type SparsityName,
  type Tiles,
} from '../node/index.js';

/** What a run has besides its training, and a snapshot keeps of it. */
export interface RunState {
  /** The options that were given, by name. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly history: readonly EpochMetrics<SparsityName>[];
  /** What is in run.json, after the first epoch. */
  readonly record: RunRecord | undefined;
  readonly densities: DensityHistory['history'];
  readonly frames: readonly Frame[];
  /** Tables of metrics that the run had not come to write. */
  readonly unwritten?: readonly string[];
  readonly adapter: { readonly name: string; readonly driver: string };
  /** The tile of every matrix product. */
  readonly tiles: Tiles;
}

/** As a snapshot keeps it. */
export function packState({
  densities,
  frames,
  ...others
}: RunState): Pick<SavedSnapshot<SparsityName>, 'texts' | 'arrays'> {
  const json = {
    ...others,
    densities: densities?.epochs,
    frames: frames.map(({ step, png }) => ({ step, bytes: png.length })),
  };
  const arrays = new Map<string, Uint8Array<ArrayBuffer>>();
  if (densities) arrays.set('densities', new Uint8Array(densities.densities.buffer));
  if (frames.length > 0) arrays.set('frames', Uint8Array.from(Buffer.concat(frames.map(({ png }) => png))));
  return { texts: new Map([['run', JSON.stringify(json)]]), arrays };
}

/** @param file its name in messages. @throws DataError if another program, such as the page, took the snapshot. */
export function unpackState(
  { texts, arrays }: Pick<SavedSnapshot<SparsityName>, 'texts' | 'arrays'>,
  file: string,
): RunState {
  const text = texts.get('run');
  if (text === undefined) {
    throw new DataError(`${file} is the snapshot of a training, but not one of a run of \`sae\`.`);
  }
  const { densities: epochs, frames, ...others } = JSON.parse(text);
  const densities = arrays.get('densities');
  let at = 0;
  return {
    ...others,
    densities: epochs && densities && { epochs, densities: new Float32Array(densities.buffer) },
    frames: frames.map(({ step, bytes }: { step: number; bytes: number }) => {
      const png = Buffer.from(arrays.get('frames')!.subarray(at, at + bytes));
      at += bytes;
      return { step, png };
    }),
  };
}

/** What a run has come to. */
export type RunSoFar = Pick<RunState, 'history' | 'record' | 'densities' | 'frames' | 'unwritten'>;

/** Of a run that has to begin again. */
export const nothingYet: RunSoFar = {
  history: [],
  record: undefined,
  densities: undefined,
  frames: [],
};
