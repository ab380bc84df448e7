import { PbfWriter } from 'pbf';

// The messages of an ONNX file, as protocol buffers, as far as models here need them. Field numbers and types are those of
// https://github.com/onnx/onnx/blob/v1.12.0/onnx/onnx.proto, whose text is the specification.

/** The version of the file format (IR_VERSION), and of the operators: the first releases with both are of 2022. */
const [irVersion, opset] = [8, 17];

/** TensorProto.DataType. */
const types = { f32: 1, i64: 7 } as const;
/** TensorProto.DataLocation: in a file of its own. */
const external = 1;
/** AttributeProto.AttributeType. */
const intAttribute = 2;
/** Of protocol buffers: what has a length before it. */
const lengthDelimited = 2;

/** An operator: https://github.com/onnx/onnx/blob/v1.12.0/docs/Operators.md. */
export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, number>>;
}

/** A constant. */
export interface OnnxTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>;
}

/** An input or output of f32. A side of the shape that may be any number has a name. */
export interface OnnxValue {
  readonly name: string;
  readonly shape: readonly (number | string)[];
}

export interface OnnxModel {
  readonly description: string;
  readonly nodes: readonly OnnxNode[];
  readonly tensors: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

type Parts = Uint8Array<ArrayBuffer>[];

/**
 * The parts of a file, in this order. The values of tensors are not copied.
 * @param dataFile the name of a file beside it, for the values of matrices: a file of protocol buffers can have 2 GB at
 *   most. What operators are told by smaller tensors, programs want to find in the model itself.
 * @returns also the parts of that file.
 */
export function onnxParts(model: OnnxModel, dataFile?: string): { model: Parts; data: Parts } {
  const data: Parts = [];
  let offset = 0;
  const tensors = model.tensors.flatMap((tensor) => {
    const values = bytesOf(tensor);
    if (dataFile === undefined || tensor.shape.length < 2) {
      return inlineTensor(tensor, values);
    }
    const place = { location: dataFile, offset, length: values.length };
    data.push(values);
    offset += values.length;
    return [externalTensor(tensor, place)];
  });
  return { model: framed(model, tensors), data };
}

/** GraphProto.initializer, a TensorProto. */
const initializer = 5;

function inlineTensor(tensor: OnnxTensor, values: Uint8Array<ArrayBuffer>): Parts {
  const head = written((file) => {
    writeTensor(file, tensor);
    writeHead(file, 9, values.length); // raw_data
  });
  return [written((file) => writeHead(file, initializer, head.length + values.length)), head, values];
}

function externalTensor(tensor: OnnxTensor, place: Readonly<Record<string, string | number>>): Parts[number] {
  const write = (_: unknown, message: PbfWriter) => {
    writeTensor(message, tensor);
    for (const [key, value] of Object.entries(place)) {
      message.writeMessage(13, writeEntry, [key, String(value)] as const); // external_data
    }
    message.writeVarintField(14, external); // data_location
  };
  return written((file) => file.writeMessage(initializer, write, undefined));
}

/** A ModelProto whose graph ends with these fields. */
function framed(model: OnnxModel, graphEnd: Parts): Parts {
  const graph = written((file) => writeGraph(file, model));
  const length = [graph, ...graphEnd].reduce((sum, part) => sum + part.length, 0);
  const head = written((file) => {
    file.writeVarintField(1, irVersion);
    file.writeStringField(2, 'webgpu-sae'); // producer_name
    file.writeStringField(6, model.description); // doc_string
    file.writeMessage(8, (_, set) => set.writeVarintField(2, opset), undefined); // opset_import, version
    writeHead(file, 7, length); // graph
  });
  return [head, graph, ...graphEnd];
}

/** GraphProto without its initializers. */
function writeGraph(file: PbfWriter, { nodes, inputs, outputs }: OnnxModel): void {
  for (const node of nodes) {
    file.writeMessage(1, writeNode, node);
  }
  file.writeStringField(2, 'sae'); // name
  for (const value of inputs) {
    file.writeMessage(11, writeValue, value);
  }
  for (const value of outputs) {
    file.writeMessage(12, writeValue, value);
  }
}

/** NodeProto. */
function writeNode({ op, inputs, outputs, attributes = {} }: OnnxNode, file: PbfWriter): void {
  for (const name of inputs) {
    file.writeStringField(1, name);
  }
  for (const name of outputs) {
    file.writeStringField(2, name);
  }
  file.writeStringField(3, outputs[0]); // name
  file.writeStringField(4, op); // op_type
  for (const attribute of Object.entries(attributes)) {
    file.writeMessage(5, writeAttribute, attribute);
  }
}

/** AttributeProto. */
function writeAttribute([name, value]: readonly [string, number], file: PbfWriter): void {
  file.writeStringField(1, name);
  file.writeVarintField(3, value); // i
  file.writeVarintField(20, intAttribute); // type
}

/** ValueInfoProto, with a TypeProto, whose Tensor has a TensorShapeProto. */
function writeValue({ name, shape }: OnnxValue, file: PbfWriter): void {
  file.writeStringField(1, name);
  const dimension = (side: number | string, message: PbfWriter) => {
    if (typeof side === 'number') message.writeVarintField(1, side);
    else message.writeStringField(2, side);
  };
  const dimensions = (_: unknown, message: PbfWriter) => {
    for (const side of shape) message.writeMessage(1, dimension, side);
  };
  const tensor = (_: unknown, message: PbfWriter) => {
    message.writeVarintField(1, types.f32); // elem_type
    message.writeMessage(2, dimensions, undefined); // shape
  };
  file.writeMessage(2, (_, message) => message.writeMessage(1, tensor, undefined), undefined); // type, tensor_type
}

/** TensorProto without its values. */
function writeTensor(file: PbfWriter, { name, shape, data }: OnnxTensor): void {
  for (const side of shape) {
    file.writeVarintField(1, side); // dims
  }
  file.writeVarintField(2, data instanceof Float32Array ? types.f32 : types.i64); // data_type
  file.writeStringField(8, name);
}

/** StringStringEntryProto. */
function writeEntry([key, value]: readonly [string, string], file: PbfWriter): void {
  file.writeStringField(1, key);
  file.writeStringField(2, value);
}

/** What stands before a message or bytes of that length. */
function writeHead(file: PbfWriter, field: number, length: number): void {
  file.writeTag(field, lengthDelimited);
  file.writeVarint(length);
}

function written(write: (file: PbfWriter) => void): Uint8Array<ArrayBuffer> {
  const file = new PbfWriter();
  write(file);
  return file.finish() as Uint8Array<ArrayBuffer>;
}

function bytesOf({ data }: OnnxTensor): Uint8Array<ArrayBuffer> {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
