import { EngineError } from './errors.js';

/** What a kernel is made of: WGSL files joined in this order, then `code`, and the values of `override` constants. */
export interface KernelSource {
  /** File names for the shader loader, such as `gemm/gemm.wgsl`. */
  readonly files?: readonly string[];
  /** WGSL that goes after the files. */
  readonly code?: string;
  /** The name in messages and profiles; by default made of the files' names. */
  readonly name?: string;
  readonly constants?: Readonly<Record<string, number>>;
}

/**
 * A compiled kernel with one entry point, `main`. Its WGSL declares what it binds by name only,
 *
 *     var<storage, read> x: array<vec4f>;
 *     var y: texture_storage_2d_array<rgba32float, read>;
 *
 * and the kernel numbers the bindings. If several of its files declare the same variable, it is one binding.
 */
export class Kernel {
  private constructor(
    readonly name: string,
    readonly pipeline: GPUComputePipeline,
    readonly layout: GPUBindGroupLayout,
    /** The bound variables in the order of their numbers, from 0, in group 0. */
    readonly variables: readonly string[],
    /** Those of them that the kernel may write. */
    readonly written: ReadonlySet<string>,
  ) {}

  /** @throws EngineError with the compiler's messages and the lines they refer to. */
  static async compile(device: GPUDevice, source: KernelSource, texts: readonly string[]): Promise<Kernel> {
    const name = kernelName(source);
    const fail = (reason: string, cause?: unknown) =>
      new EngineError(`The kernel ${name} does not compile:${reason}`, { cause });
    const { code, bindings } = numberBindings(texts.join('\n'), fail);
    const storage = bindings.filter(({ type }) => type === 'storage' || type === 'read-only-storage');
    const { maxStorageBuffersPerShaderStage: most } = device.limits;
    if (storage.length > most) {
      const names = storage.map(({ variable }) => variable).join(', ');
      throw fail(
        `\n  It binds ${storage.length} storage buffers, and at most ${most} work on every adapter: ${names}`,
      );
    }
    const entries = bindings.map(({ type }, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      ...(type === 'image' ? { storageTexture: imageLayout } : { buffer: { type } }),
    }));
    // The scope makes an error this kernel's failure, not the device's.
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ label: name, code });
    const layout = device.createBindGroupLayout({ label: name, entries });
    const pipelineLayout = device.createPipelineLayout({ bindGroupLayouts: [layout] });
    const invalid = device.popErrorScope();
    try {
      const pipeline = await device.createComputePipelineAsync({
        label: name,
        layout: pipelineLayout,
        compute: { module, entryPoint: 'main', constants: { ...source.constants } },
      });
      const variables = bindings.map(({ variable }) => variable);
      const written = bindings.filter(({ type }) => type === 'storage').map(({ variable }) => variable);
      return new Kernel(name, pipeline, layout, variables, new Set(written));
    } catch (error) {
      const { messages } = await module.getCompilationInfo();
      const lines = code.split('\n');
      const details = messages.map(({ lineNum, message }) => {
        return `\n  ${placeOf(lineNum, source, texts)}: ${message}\n    ${lines[lineNum - 1] ?? ''}`;
      });
      const reason = (await invalid.catch(() => null))?.message ?? (error as Error).message;
      throw fail(details.length > 0 ? details.join('') : `\n  ${reason}`, error);
    }
  }
}

/** The file that a line of the joined texts comes from, and its number there. */
function placeOf(line: number, { files = [] }: KernelSource, texts: readonly string[]): string {
  let own = line;
  for (const [i, text] of texts.entries()) {
    const count = text.split('\n').length;
    if (own <= count) {
      return i < files.length ? `${files[i]}, line ${own}` : `line ${own}`;
    }
    own -= count;
  }
  return `line ${line}`;
}

/** The declaration of a bound variable: a buffer, or an image. */
const declaration =
  /\bvar\s*(?:<\s*(uniform|storage)\s*(?:,\s*(read|read_write)\s*)?,?\s*>\s*(\w+)\s*:\s*([^;]+)|(\w+)\s*:\s*texture_storage_2d_array\s*<\s*rgba32float\s*,\s*read\s*,?\s*>\s*);/g;
const imageLayout = { access: 'read-only', format: 'rgba32float', viewDimension: '2d-array' } as const;
const bindingTypes = {
  uniform: 'uniform',
  'storage, read': 'read-only-storage',
  'storage, read_write': 'storage',
} as const;

interface Binding {
  readonly variable: string;
  readonly type: GPUBufferBindingType | 'image';
}

/** WGSL with its comments replaced by spaces. Block comments can be nested. */
function withoutComments(text: string): string {
  let depth = 0;
  let line = false;
  return text.replace(/\/\*|\*\/|\/\/|\n|./g, (piece) => {
    if (piece === '\n') {
      line = false;
      return piece;
    }
    line ||= piece === '//' && depth === 0;
    if (!line && piece === '/*') {
      depth += 1;
    } else if (!line && piece === '*/' && depth > 0) {
      depth -= 1;
    } else if (!line && depth === 0) {
      return piece;
    }
    return ' '.repeat(piece.length);
  });
}

const bare = (declaration: string) => declaration.replace(/\s/g, '');

/** Numbers the bound variables. Line numbers stay the same. */
function numberBindings(
  source: string,
  fail: (reason: string) => EngineError,
): { code: string; bindings: readonly Binding[] } {
  const text = withoutComments(source);
  const [numbered] = /@(group|binding)\([^)]*\).*/.exec(text) ?? [];
  if (numbered) {
    throw fail(
      `\n  ${numbered}\n  Leave @group and @binding out: variables are bound by name, and numbered automatically.`,
    );
  }
  const bindings: Binding[] = [];
  const declared = new Map<string, string>();
  const code = text.replace(declaration, (whole, kind, access, ofBuffer, type, ofImage) => {
    const variable = ofBuffer ?? ofImage;
    const space = (kind === 'uniform' ? kind : `storage, ${access ?? 'read'}`) as keyof typeof bindingTypes;
    const written = ofImage
      ? `var ${variable}: texture_storage_2d_array<rgba32float, read>;`
      : `var<${space}> ${variable}: ${type};`;
    const same = declared.get(variable);
    if (same !== undefined && bare(same) !== bare(written)) {
      throw fail(`\n  ${variable} is declared twice, as\n    ${same}\n    ${written}`);
    }
    // Keeps the number of lines.
    const rest = '\n'.repeat(whole.split('\n').length - written.split('\n').length);
    if (same !== undefined) {
      return '\n'.repeat(whole.split('\n').length - 1);
    }
    declared.set(variable, written);
    bindings.push({ variable, type: ofImage ? 'image' : bindingTypes[space] });
    return `@group(0) @binding(${bindings.length - 1}) ${written}${rest}`;
  });
  return { code, bindings };
}

/** The name of a kernel in messages and tools. */
export function kernelName({ name, files = [] }: KernelSource): string {
  return name ?? (files.map((file) => file.replace('.wgsl', '')).join('+') || 'without a name');
}

/** The same for kernels made of the same texts with the same constants. */
export function kernelKey({ files = [], code = '', constants = {} }: KernelSource): string {
  return JSON.stringify([files, code, Object.entries(constants).sort()]);
}
