import { z } from 'zod';
import { isUsable } from '../rows/check.js';
import type { HostNormalization, Normalization } from '../rows/dataset.js';
import { alternatives } from '../rows/formats/array.js';
import { hostKinds, isHostKind, isOnHost, isUsableOnHost, kindOf } from '../rows/normalization/index.js';
import type { Parameters } from './parameter.js';

/** What names of the arrays of a normalisation begin with, among those of tensors. */
const prefix = 'normalization.';

const scalar = z.object({ mean: z.number(), std: z.number() }).refine(isUsable);
const onHost = z.looseObject({ kind: z.string() });

/** What JSON says of a normalisation: two numbers, or its kind and what that has besides arrays. */
export function normalizationFields(normalization: Normalization): object {
  if (!isOnHost(normalization)) {
    return normalization;
  }
  const { numbers } = kindOf(normalization);
  const fields = Object.entries(normalization).filter(([name]) => name === 'kind' || numbers.includes(name));
  return Object.fromEntries(fields);
}

/** The arrays of a normalisation as tensors, by their names in a file. */
export function normalizationTensors(normalization: Normalization | undefined, in_dims: number): Parameters {
  if (!normalization || !isOnHost(normalization)) {
    return new Map();
  }
  const fields = normalization as unknown as Record<string, Float32Array<ArrayBuffer>>;
  const arrays = Object.entries(kindOf(normalization).arrays(in_dims));
  return new Map(arrays.map(([name, shape]) => [prefix + name, { shape: [...shape], data: fields[name] }]));
}

/** Tensors of a normalisation in a file, by the names of its arrays, and all others. */
export function partTensors(tensors: Parameters): { readonly own: Parameters; readonly others: Parameters } {
  const [own, others]: [Parameters, Parameters] = [new Map(), new Map()];
  for (const [name, tensor] of tensors) {
    if (name.startsWith(prefix)) own.set(name.slice(prefix.length), tensor);
    else others.set(name, tensor);
  }
  return { own, others };
}

/**
 * The normalisation of a file's metadata.
 * @param arrays its tensors.
 * @param fail throws a sentence, about what fits `arrays` badly.
 * @throws whatever zod throws for two numbers.
 */
export function readNormalization(
  described: unknown,
  arrays: Parameters,
  in_dims: number,
  fail: (sentence: string) => never,
): Normalization {
  const given = onHost.safeParse(described).data;
  const expected: Readonly<Record<string, readonly number[]>> =
    given && isHostKind(given.kind) ? hostKinds[given.kind].arrays(in_dims) : {};
  if (given && !isHostKind(given.kind)) {
    fail(
      `its normalization is of the kind ${JSON.stringify(given.kind).slice(0, 80)}, and ${alternatives(Object.keys(hostKinds))} was expected: ` +
        'a later version may have written it.',
    );
  }
  for (const [name, shape] of Object.entries(expected)) {
    const found = arrays.get(name)?.shape;
    if (found?.join() !== shape.join()) {
      const is = found ? `is [${found.join(', ')}]` : 'is missing';
      fail(`the tensor ${prefix}${name} ${is}, and [${shape.join(', ')}] was expected.`);
    }
  }
  const more = [...arrays.keys()].find((name) => !Object.hasOwn(expected, name));
  if (more !== undefined) {
    fail(`it has a tensor ${prefix}${more}, which its normalization does not have.`);
  }
  if (!given) {
    return scalar.parse(described);
  }
  const data = [...arrays].map(([name, tensor]) => [name, tensor.data]);
  const normalization = { ...given, ...Object.fromEntries(data) } as unknown as HostNormalization;
  if (!isUsableOnHost(normalization, in_dims)) {
    fail(`its normalization ${given.kind} cannot be undone: a number is missing, or one is not above 0.`);
  }
  return { ...normalizationFields(normalization), ...Object.fromEntries(data) } as HostNormalization;
}
