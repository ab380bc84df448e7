import { decoderNorms } from '../formats/fold.js';
import type { SaeFiles } from '../formats/index.js';
import { type Layer, layersOf } from '../layers.js';
import type { SavedModel } from '../saved-model.js';
import { transposed } from '../transposed.js';
import { Graph } from './graph.js';
import { onnxParts } from './messages.js';
import { graphNormalization } from './normalization.js';

/** Bytes of a file of protocol buffers, at most. */
const largestFile = 2 ** 31 - 1;

/** More than a file has besides the values of its tensors. */
const roomForGraph = 2 ** 20;

const modelFile = 'model.onnx';

/**
 * The files of a model for ONNX Runtime and other programs that run ONNX: `model.onnx` (opset 17), of input `x`
 * [batch, in_dims] in the units of the training rows (8-bit values divided by 255), and outputs `codes` [batch, latents]
 * and `reconstruction` [batch, in_dims], all f32. Weights are those of the model, under their names; its normalisation is
 * part of the graph, and is undone at its end. If that is more than 2 GB, matrices are in `model.onnx.data` beside it.
 * @param most bytes of `model.onnx`.
 */
export function onnxFiles(saved: SavedModel, most = largestFile): SaeFiles {
  const { in_dims, h_dims } = saved.config;
  const { nodes, tensors } = graphOf(saved);
  const model = {
    description:
      'A sparse autoencoder: codes and reconstructions of rows x, in the units of the rows that it was trained on (8-bit values divided by 255).',
    nodes,
    tensors,
    inputs: [{ name: 'x', shape: ['batch', in_dims] }],
    outputs: [
      { name: 'codes', shape: ['batch', h_dims[h_dims.length - 1]] },
      { name: 'reconstruction', shape: ['batch', in_dims] },
    ],
  };
  const bytes = tensors.reduce((sum, { data }) => sum + data.byteLength, roomForGraph);
  const dataFile = `${modelFile}.data`;
  const parts = onnxParts(model, bytes > most ? dataFile : undefined);
  const data = parts.data.length > 0 ? ([[dataFile, parts.data]] as const) : [];
  return new Map([...data, [modelFile, parts.model]]);
}

function graphOf({ config, parameters, normalization }: SavedModel): Graph {
  const graph = new Graph();
  for (const [name, { shape, data }] of parameters) {
    graph.constant(name, shape, data);
  }
  const normalized = graphNormalization(graph, { config, ...(normalization && { normalization }) });
  const layers = layersOf(config);
  let last = normalized?.apply('x') ?? 'x';
  if (config.pre_bias) {
    last = graph.add('Sub', [last, `${layers[layers.length - 1].name}.bias`], 'less_bias');
  }
  const rescaled = config.selection?.rescale_acts_by_decoder_norm;
  if (rescaled) {
    const { name, inputs, outputs } = layers[config.h_dims.length];
    const directions = transposed(parameters.get(`${name}.weight`)!.data, outputs);
    graph.constant('decoder_norms', [inputs], Float32Array.from(decoderNorms(directions, outputs)));
  }
  for (const [i, layer] of layers.entries()) {
    const makesCode = i === config.h_dims.length - 1;
    const isLast = i === layers.length - 1;
    const output = makesCode ? 'codes' : isLast && !normalized ? 'reconstruction' : `${layer.name}.output`;
    last = addLayer(graph, layer, last, output);
    if (makesCode && rescaled) {
      last = graph.add('Div', [last, 'decoder_norms'], 'codes.unscaled');
    }
  }
  normalized?.undo(last, 'reconstruction');
  return graph;
}

const activationOps = { relu: 'Relu', sigmoid: 'Sigmoid' } as const;

/** One fully connected layer, whose weight is [outputs, inputs]. */
function addLayer(graph: Graph, layer: Layer, input: string, output: string): string {
  const { name, activation, selection } = layer;
  const inputs = [input, `${name}.weight`, `${name}.bias`];
  const product = activation === 'identity' ? output : `${name}.pre`;
  graph.add('Gemm', inputs, product, { transB: 1 });
  if (activation === 'identity') {
    return product;
  }
  const active = graph.add(activationOps[activation], [product], selection ? `${name}.output` : output);
  if (!selection) {
    return active;
  }
  const latents = selection.rescale_acts_by_decoder_norm
    ? graph.add('Mul', [active, 'decoder_norms'], `${name}.rescaled`)
    : active;
  return 'topk' in selection
    ? addTopK(graph, selection.topk, latents, output)
    : addThreshold(graph, `${name}.threshold`, latents, output);
}

/** What is not above its threshold becomes 0. What a threshold below 0 lets through is 0 already. */
function addThreshold(graph: Graph, threshold: string, input: string, output: string): string {
  const zero = graph.constant('zero', [], Float32Array.of(0));
  const above = graph.add('Greater', [input, threshold], 'codes.above');
  return graph.add('Where', [above, input, zero], output);
}

/** What is not among the largest becomes 0. */
function addTopK(graph: Graph, topk: number, input: string, output: string): string {
  const k = graph.constant('k', [1], BigInt64Array.of(BigInt(topk)));
  // Of equal values, the one with the lower index is the larger for TopK, as it is for the model.
  const [values, indices] = ['topk.values', 'topk.indices'];
  graph.nodes.push({ op: 'TopK', inputs: [input, k], outputs: [values, indices] });
  const shape = graph.add('Shape', [input], 'codes.shape');
  const zeros = graph.add('ConstantOfShape', [shape], 'codes.zeros');
  return graph.add('ScatterElements', [zeros, indices, values], output, { axis: 1 });
}
