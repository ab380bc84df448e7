import type { ByteSource } from '../../rows/formats/bytes.js';
import { readJson, refuse } from './bytes.js';
import { openWeights, type Weights } from './weights.js';

/** How files of weights end, whatever program made them. */
const weightsEndings = ['.pt', '.pth', '.npz', '.safetensors'];

/** The files of a saved model: a folder's, or one alone. Each is opened when it is first asked for. */
export class ModelFolder {
  private readonly opened = new Map<string, Promise<Weights>>();
  private readonly texts = new Map<string, Promise<Record<string, unknown>>>();

  constructor(
    private readonly files: ReadonlyMap<string, ByteSource>,
    /** The folder's or file's name in messages. */
    readonly name: string,
  ) {}

  has(...names: readonly string[]): boolean {
    return names.every((name) => this.files.has(name));
  }

  /** A file of JSON. @throws ModelFileError. */
  json(name: string): Promise<Record<string, unknown>> {
    return remembered(this.texts, name, () => readJson(this.file(name), this.place(name)));
  }

  /** A file of tensors. @throws ModelFileError. */
  weights(name: string): Promise<Weights> {
    return remembered(this.opened, name, () => openWeights(this.file(name), this.place(name)));
  }

  /**
   * The only file of tensors, whatever its name; undefined if there is none.
   * @throws ModelFileError if there are several.
   */
  async onlyWeights(): Promise<Weights | undefined> {
    const names = [...this.files.keys()];
    const all = names.filter((name) => weightsEndings.some((ending) => name.endsWith(ending)));
    if (all.length > 1) {
      refuse(this.name, `it has several files of weights: ${all.join(', ')}. Give the one that is meant.`);
    }
    // A file that is given by itself may have any name.
    const [name] = all.length === 0 && names.length === 1 ? names : all;
    return name === undefined ? undefined : this.weights(name);
  }

  /** How a file is called in messages. */
  place(name: string): string {
    return this.files.size === 1 ? this.name : `${this.name}, ${name},`;
  }

  private file(name: string): ByteSource {
    return this.files.get(name) ?? refuse(this.name, `it has no file ${name}.`);
  }
}

function remembered<T>(known: Map<string, Promise<T>>, name: string, read: () => Promise<T>): Promise<T> {
  const before = known.get(name);
  if (before) return before;
  const promise = read();
  known.set(name, promise);
  return promise;
}
