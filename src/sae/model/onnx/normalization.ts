import { noNormalization } from '../../rows/dataset.js';
import { isOnHost } from '../../rows/normalization/index.js';
import type { SavedModel } from '../saved-model.js';
import type { Graph } from './graph.js';

/** A normalisation in a graph. */
export interface GraphNormalization {
  /** Appends what normalises rows, and gives its output's name. */
  apply(input: string): string;
  /** Appends what undoes it, if it does anything. */
  undo(input: string, output: string): void;
}

/** The normalisation of a model's rows; undefined if there is none. */
export function graphNormalization(
  graph: Graph,
  { normalization = noNormalization, config: { in_dims } }: Pick<SavedModel, 'normalization' | 'config'>,
): GraphNormalization | undefined {
  if (!isOnHost(normalization)) {
    const { mean, std } = normalization;
    const none = mean === noNormalization.mean && std === noNormalization.std;
    return none ? undefined : scaled(graph, [], Float32Array.of(mean), Float32Array.of(std));
  }
  switch (normalization.kind) {
    case 'standardize':
      return scaled(graph, [in_dims], normalization.mean, normalization.std);
    case 'row':
      return byRow(graph);
    case 'zca': {
      const { matrix, inverse } = normalization;
      graph.constant('mean', [in_dims], normalization.mean);
      graph.constant('whitening', [in_dims, in_dims], matrix);
      graph.constant('whitening_inverse', [in_dims, in_dims], inverse);
      return {
        apply: (input) =>
          graph.add('MatMul', [graph.add('Sub', [input, 'mean'], 'centred'), 'whitening'], 'normalised'),
        undo(input, output) {
          graph.add('Add', [graph.add('MatMul', [input, 'whitening_inverse'], 'scaled'), 'mean'], output);
        },
      };
    }
  }
}

function scaled(
  graph: Graph,
  shape: readonly number[],
  mean: Float32Array<ArrayBuffer>,
  std: Float32Array<ArrayBuffer>,
): GraphNormalization {
  graph.constant('mean', shape, mean);
  graph.constant('std', shape, std);
  return {
    apply: (input: string) =>
      graph.add('Div', [graph.add('Sub', [input, 'mean'], 'centred'), 'std'], 'normalised'),
    undo(input: string, output: string) {
      graph.add('Add', [graph.add('Mul', [input, 'std'], 'scaled'), 'mean'], output);
    },
  };
}

/** Rows of zeros are divided by 1, and their reconstructions are zeros. */
function byRow(graph: Graph): GraphNormalization {
  graph.constant('no_norm', [], Float32Array.of(0));
  graph.constant('one', [], Float32Array.of(1));
  graph.constant('of_rows', [1], BigInt64Array.of(1n));
  const norms = 'row_norms';
  return {
    apply(input) {
      const squares = graph.add('Mul', [input, input], 'squares');
      graph.add('Sqrt', [graph.add('ReduceSum', [squares, 'of_rows'], 'row_squares')], norms);
      const none = graph.add('Equal', [norms, 'no_norm'], 'row_norms.none');
      return graph.add('Div', [input, graph.add('Where', [none, 'one', norms], 'divisors')], 'normalised');
    },
    undo: (input, output) => graph.add('Mul', [input, norms], output),
  };
}
