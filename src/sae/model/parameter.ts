import type { Tensor } from '../../gpu/tensor.js';
import { DataError } from '../errors.js';

/** A tensor that is trained, with its name and shape in a saved model. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Values that are drawn for a new model are uniform between -bound and bound; without one they are 0. */
  readonly bound: number;
}

/** Tensors by their names in PyTorch's `state_dict`, row-major, without padding. */
export type Parameters = Map<
  string,
  { readonly shape: readonly number[]; readonly data: Float32Array<ArrayBuffer> }
>;

/** @throws DataError if these are not the expected parameters, or have values that are not finite. */
export function checkParameters(parameters: Parameters, expected: readonly Parameter[]): void {
  if (!(parameters instanceof Map)) {
    throw new DataError('The parameters of a model must be a Map of its tensors by their names.');
  }
  for (const { name, shape } of expected) {
    const found = parameters.get(name);
    const length = shape.reduce((product, side) => product * side, 1);
    const fail = (is: string) =>
      new DataError(`The parameter ${name} ${is}; expected a Float32Array of shape [${shape.join(', ')}].`);
    if (!found) {
      throw fail('is missing');
    }
    if (!(found.data instanceof Float32Array)) {
      throw fail(`has data of type ${(found.data as object | undefined)?.constructor?.name ?? found.data}`);
    }
    if (found.shape?.join() !== shape.join() || found.data.length !== length) {
      throw fail(`has ${found.data.length} values of shape [${found.shape?.join(', ')}]`);
    }
    const { data } = found;
    // A plain loop, which takes a third of the time of `findIndex` for billions of values.
    for (let i = 0; i < data.length; i++) {
      if (!Number.isFinite(data[i])) {
        throw fail(`has ${data[i]} at index ${i}, which is not finite`);
      }
    }
  }
  if (parameters.size > expected.length) {
    throw new DataError(
      `There are ${parameters.size} parameters, and a model of these sizes has ${expected.length}: ` +
        `${expected.map(({ name }) => name).join(', ')}.`,
    );
  }
}

/** Reads tensors as of one moment: all copies are submitted before the first is awaited. */
export async function readParameters(tensors: readonly Tensor[]): Promise<Parameters> {
  const read = tensors.map(async (tensor) => {
    return [tensor.name, { shape: tensor.shape, data: await tensor.read() }] as const;
  });
  return new Map(await Promise.all(read));
}
