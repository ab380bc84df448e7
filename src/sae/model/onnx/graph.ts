import type { OnnxNode, OnnxTensor } from './messages.js';

/** The nodes in the order of a forward pass, and their constants. */
export class Graph {
  readonly nodes: OnnxNode[] = [];
  readonly tensors: OnnxTensor[] = [];

  /** Appends an operator, and gives its output's name. */
  add(op: string, inputs: readonly string[], output: string, attributes?: OnnxNode['attributes']): string {
    this.nodes.push({ op, inputs, outputs: [output], ...(attributes && { attributes }) });
    return output;
  }

  constant(name: string, shape: readonly number[], data: OnnxTensor['data']): string {
    this.tensors.push({ name, shape, data });
    return name;
  }
}
