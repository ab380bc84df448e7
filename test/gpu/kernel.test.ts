import { afterEach, describe, expect, test } from 'vitest';
import { ClosedError, EngineError, LimitError } from '../../src/gpu/errors.js';
import { multiply } from '../../src/gpu/gemm/gemm.js';
import { Program } from '../../src/gpu/program.js';
import { Scope } from '../../src/gpu/scope.js';
import { Tensor } from '../../src/gpu/tensor.js';
import { gpuOfFile } from '../support/device.js';

const gpu = await gpuOfFile();
const scope = new Scope();
afterEach(() => scope.destroy());

const scale = {
  name: 'scale',
  code: `
var<storage, read_write> x: array<vec4f>;
var<uniform> factor: u32;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) {
    x[id.x] *= f32(factor);
  }
}`,
};

function tensor(name: string, values: number[]): Tensor {
  const made = scope.use(new Tensor(gpu, name, [values.length]));
  made.write(Float32Array.from(values));
  return made;
}

describe('a kernel', () => {
  test('may declare its variables anywhere, and comments declare none', async () => {
    const x = tensor('x', [1, 2, 3, 4, 5]);
    const program = scope.use(new Program(gpu));
    const code = `
// var<uniform> commented: u32; @group(0) @binding(0)
/* var<storage> a: u32; /* var<storage> b: u32; */ // */ alias Four = vec4f;
var<storage, read_write,> x: array<Four>; var<uniform> factor: u32; /* */ var<
  uniform> factor:u32; // each bound once
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { x[id.x] *= f32(factor); }
}`;
    program.add({ code }, { factor: new Uint32Array([3]), x }, [1, 1]);
    await program.ready();
    program.submit();
    expect([...(await x.read())]).toEqual([3, 6, 9, 12, 15]);
  });

  test('is a text of one’s own, whose variables are bound by their names', async () => {
    const x = tensor('x', [1, 2, 3, 4, 5]);
    const program = scope.use(new Program(gpu));
    program.add(scale, { factor: new Uint32Array([3]), x }, [1, 1]);
    await program.ready();
    program.submit();
    program.submit();
    expect([...(await x.read())]).toEqual([9, 18, 27, 36, 45]);
    expect(program.name(0)).toBe('scale');
  });

  test('numbers its bindings in the order of their declarations, each variable once', async () => {
    const again = '\nvar < uniform >factor : u32;\n  var<storage> y: array<vec4f>;\n';
    const { variables } = await gpu.kernel({ ...scale, code: scale.code + again });
    expect(variables).toEqual(['x', 'factor', 'y']);
  });

  test.each([
    [
      'declares a variable in two ways',
      `${scale.code}\nvar<storage, read> x: array<vec4f>;`,
      'x is declared twice',
    ],
    [
      'numbers a binding by hand',
      `@group(0) @binding(0) ${scale.code.trim()}`,
      'Leave @group and @binding out',
    ],
    ['is no WGSL', `${scale.code}\nfn wrong() -> f32 { return 1u; }`, 'line 11: '],
  ])('that %s is refused, and the device goes on', async (_, code, message) => {
    const compiling = gpu.kernel({ name: 'faulty', code });
    await expect(compiling).rejects.toThrow(EngineError);
    await expect(compiling).rejects.toThrow(message);
    await expect(compiling).rejects.toThrow(/^The kernel faulty does not compile:/);
    await gpu.finish();
    const x = tensor('x', [1]);
    const program = scope.use(new Program(gpu));
    program.add(scale, { factor: new Uint32Array([2]), x }, [1, 1]);
    await program.ready();
    program.submit();
    expect([...(await x.read())]).toEqual([2]);
  });

  test('cannot bind more storage buffers than every adapter has', async () => {
    const names = Array.from({ length: 9 }, (_, i) => `b${i}`);
    const code = (count: number) => `
${names
  .slice(0, count)
  .map((name) => `var<storage, read_write> ${name}: array<f32>;`)
  .join('\n')}
@compute @workgroup_size(1) fn main() { ${names
      .slice(0, count)
      .map((name) => `${name}[0] = 1;`)
      .join(' ')} }`;
    await gpu.kernel({ name: 'eight', code: code(8) });
    await expect(gpu.kernel({ name: 'nine', code: code(9) })).rejects.toThrow(
      /The kernel nine does not compile/,
    );
  });
});

describe('a program', () => {
  test('cannot be encoded before it is ready, nor where that failed', async () => {
    const x = tensor('x', [1]);
    const encoder = gpu.device.createCommandEncoder();
    const program = scope.use(new Program(gpu));
    program.add(scale, { factor: new Uint32Array([2]), x }, [1, 1]);
    expect(() => program.encode(encoder, 1)).toThrow('only after ready() has succeeded');
    const pending = program.ready();
    expect(() => program.encode(encoder, 1)).toThrow('only after ready() has succeeded');
    await pending;
    program.encode(encoder, 1);
    expect(() => program.add(scale, { x }, [1, 1])).toThrow('takes no more dispatches');

    const failed = scope.use(new Program(gpu));
    failed.add(scale, { factor: new Uint32Array([2]), x }, [1, 1]);
    failed.add({ name: 'faulty', code: 'nothing' }, {}, [1, 1]);
    await expect(failed.ready()).rejects.toThrow('The kernel faulty does not compile');
    expect(() => failed.submit()).toThrow('only after ready() has succeeded');
    await expect(failed.ready()).rejects.toThrow('The kernel faulty does not compile');
  });

  test('cannot be encoded once something that it binds was freed, and the device goes on', async () => {
    const x = tensor('x', [1, 2, 3]);
    const program = scope.use(new Program(gpu));
    program.add(scale, { factor: new Uint32Array([2]), x }, [1, 1]);
    await program.ready();
    const reading = x.read();
    x.destroy();
    // What was submitted before that is done.
    expect([...(await reading)]).toEqual([1, 2, 3]);
    for (const use of [
      () => program.submit(),
      () => x.write(Float32Array.of(1, 2, 3)),
      () => gpu.write(x.buffer, new Uint32Array(4)),
    ]) {
      expect(use).toThrow(ClosedError);
      expect(use).toThrow('The tensor x [3] was freed while it was still needed: its owner was closed.');
    }
    await expect(x.read()).rejects.toThrow(ClosedError);
    const own = tensor('own', [1]);
    const destroyed = new Program(gpu);
    destroyed.add(scale, { factor: new Uint32Array([2]), x: own }, [1, 1]);
    await destroyed.ready();
    destroyed.destroy();
    expect(() => destroyed.submit()).toThrow('factor was freed while it was still needed');
    await gpu.finish();
    expect([...(await own.read())]).toEqual([1]);
  });

  test('that is destroyed while its kernels are compiled leaves nothing', async () => {
    const x = tensor('x', [1]);
    const before = gpu.allocatedBytes;
    const program = new Program(gpu);
    program.add(scale, { factor: new Uint32Array([2]), x }, [1, 1]);
    const pending = program.ready();
    program.destroy();
    await expect(pending).rejects.toThrow(ClosedError);
    expect(gpu.allocatedBytes).toBe(before);
  });

  test('that cannot bind what it was given says so, and the device goes on', async () => {
    const x = tensor('x', [1]);
    const notUniform = scope.adopt(gpu.buffer('Not for uniforms', 16), (buffer) => gpu.free(buffer));
    const program = scope.use(new Program(gpu));
    program.add(scale, { factor: notUniform, x }, [1, 1]);
    await expect(program.ready()).rejects.toThrow(EngineError);
    await expect(program.ready()).rejects.toThrow('A kernel cannot be bound to what it was given: ');
    await gpu.finish();
  });

  const add = {
    name: 'add',
    code: `
var<storage, read_write> x: array<vec4f>;
var<storage, read> y: array<vec4f>;
var<storage, read> z: array<vec4f>;

@compute @workgroup_size(1)
fn main() {
  x[0] += y[0] + z[0];
}`,
  };
  const both = { name: 'both', code: add.code.replace('read> y', 'read_write> y') };

  test.each([
    [
      'reads',
      add,
      ['x', 'x', 'z'],
      'add writes x, and binds the same buffer as x and as y (The tensor x [4])',
    ],
    ['reads, further on,', add, ['x', 'y', 'x'], 'add writes x, and binds the same buffer as x and as z'],
    ['writes, too,', both, ['x', 'x', 'z'], 'both writes y, and binds the same buffer as x and as y'],
    ['reads first', both, ['x', 'y', 'y'], 'both writes y, and binds the same buffer as y and as z'],
  ])(
    'that %s a buffer that it writes is refused, and the device goes on',
    async (_, kernel, [a, b, c], sentence) => {
      const made = new Map(['x', 'y', 'z'].map((name) => [name, tensor(name, [1, 2, 3, 4])]));
      const program = scope.use(new Program(gpu));
      // A tensor's buffer is the same as the tensor.
      program.add(kernel, { x: made.get(a)!, y: made.get(b)!.buffer, z: made.get(c)! }, [1, 1]);
      await expect(program.ready()).rejects.toThrow(RangeError);
      await expect(program.ready()).rejects.toThrow(sentence);
      expect(() => program.submit()).toThrow('only after ready() has succeeded');
      await gpu.finish();
    },
  );

  test('may read one buffer under two names', async () => {
    const [x, y] = [tensor('x', [1, 2, 3, 4]), tensor('y', [1, 1, 1, 1])];
    const program = scope.use(new Program(gpu));
    program.add(add, { x, y, z: y }, [1, 1]);
    await program.ready();
    program.submit();
    expect([...(await x.read())]).toEqual([3, 4, 5, 6]);
  });

  test('cannot multiply a matrix into itself, and the device goes on', async () => {
    const a = scope.use(new Tensor(gpu, 'a', [4, 4]));
    const program = scope.use(new Program(gpu));
    await multiply(program, 'nn', a, a, a);
    await expect(program.ready()).rejects.toThrow(
      /writes c, and binds the same buffer as .*\(The tensor a \[4, 4\]\)/,
    );
    await gpu.finish();
  });

  test('whose kernel needs more than it is given is refused, and the device goes on', async () => {
    const code = scale.code
      .replace('factor: u32', 'factor: array<vec4u, 2>')
      .replace('f32(factor)', 'f32(factor[1].x)');
    const program = scope.use(new Program(gpu));
    program.add({ name: 'wide', code }, { factor: new Uint32Array(4), x: tensor('x', [1]) }, [1, 1]);
    await expect(program.ready()).rejects.toThrow(EngineError);
    await expect(program.ready()).rejects.toThrow(
      /cannot be bound to what it was given: .*"factor".* too small/,
    );
    await gpu.finish();
  });

  test.each([
    [[Number.NaN, 1], '[NaN,1]'],
    [[1.5, 1], '[1.5,1]'],
    [[1, -1], '[1,-1]'],
    [['1', 1], '["1",1]'],
    [[1], '[1]'],
  ])('of %j workgroups is refused', (workgroups, written) => {
    const program = scope.use(new Program(gpu));
    const adding = () => program.add(scale, { x: tensor('x', [1]) }, workgroups as never);
    expect(adding).toThrow(RangeError);
    expect(adding).toThrow(
      `scale was given ${written} workgroups; expected two whole numbers, such as [1, 1]`,
    );
    expect(program.length).toBe(0);
  });

  test.each([
    [5, '5'],
    [null, 'null'],
    [[1], '[1]'],
    [Float32Array.of(1), 'of type Float32Array'],
  ])('that is given %j says what it takes', async (given, written) => {
    const program = scope.use(new Program(gpu));
    program.add(scale, { factor: new Uint32Array([2]), x: given as never }, [1, 1]);
    await expect(program.ready()).rejects.toThrow(
      new TypeError(
        `scale binds x, which is ${written}; expected a Tensor, an Image, a GPUBuffer or a Uint32Array`,
      ),
    );
    await gpu.finish();
  });

  test('says which variable it was not given', async () => {
    const program = scope.use(new Program(gpu));
    program.add(scale, { x: tensor('x', [1]) }, [1, 1]);
    await expect(program.ready()).rejects.toThrow('scale binds factor, which was not given');
  });

  test('frees its uniform buffers', async () => {
    const x = tensor('x', [1]);
    const before = gpu.allocatedBytes;
    const program = new Program(gpu);
    program.add(scale, { factor: new Uint32Array([2]), x }, [1, 1]);
    await program.ready();
    expect(gpu.allocatedBytes).toBe(before + 16);
    program.destroy();
    expect(gpu.allocatedBytes).toBe(before);
  });
});

describe('buffers', () => {
  const values = [1, 2, 3, 4];

  test.each<[string, unknown, string]>([
    ['a list', values, 'The values of the tensor x are of type Array; expected a Float32Array.'],
    ['doubles', Float64Array.from(values), 'are of type Float64Array; expected'],
    ['integers of as many bytes', Int32Array.from(values), 'are of type Int32Array; expected'],
    ['bytes', Uint8Array.from(values), 'are of type Uint8Array; expected'],
    ['nothing', undefined, 'are of type undefined; expected'],
    [
      'shared memory',
      new Float32Array(new SharedArrayBuffer(16)),
      'is in shared memory, which not every WebGPU',
    ],
  ])('of tensors are not written with %s', async (_, given, sentence) => {
    const x = tensor('x', values);
    expect(() => x.write(given as never)).toThrow(TypeError);
    expect(() => x.write(given as never)).toThrow(sentence);
    expect([...(await x.read())]).toEqual(values);
  });

  test('are written and read in whole words, and no further than they go', async () => {
    const x = tensor('x', values);
    expect(() => gpu.write(x.buffer, values as never)).toThrow(
      'What is written to The tensor x [4] is of type Array; expected a typed array',
    );
    for (const [bytes, offset] of [
      [4, 2],
      [4, -4],
      [3, 0],
      [4, Number.NaN],
    ]) {
      expect(() => gpu.write(x.buffer, new Uint8Array(bytes), offset)).toThrow(
        `${bytes} bytes cannot be written to The tensor x [4] from byte ${offset} on; expected multiples of 4`,
      );
    }
    const part = scope.use(new Tensor(gpu, 'part', [4, 4]));
    expect(() => part.write(Float32Array.of(1, 2), 0.5)).toThrow(
      '2 values are not 0.5 rows of the tensor part [4, 4]',
    );
    for (const rows of [0, 1.5, 5, Number.NaN]) {
      await expect(part.read(rows)).rejects.toThrow(`${rows} rows cannot be read of the tensor part [4, 4]`);
    }
    await expect(gpu.read(x.buffer, 20)).rejects.toThrow(
      'The tensor x [4] has 16 bytes, and 20 cannot be read',
    );
    const numbers = scope.adopt(gpu.uniform('Numbers', new Uint32Array(4)), (buffer) => gpu.free(buffer));
    await expect(gpu.read(numbers)).rejects.toThrow('Numbers cannot be read: only storage buffers can');
    await gpu.finish();
    expect([...(await x.read())]).toEqual(values);
  });

  test('of every use are counted under a label, and refused where they are too large', async () => {
    const { maxBufferSize, maxUniformBufferBindingSize } = gpu.device.limits;
    const before = gpu.allocatedBytes;
    const uniform = gpu.uniform('Numbers', new Uint32Array(5));
    const staging = gpu.staging('A copy', 64);
    expect([uniform.label, staging.label]).toEqual(['Numbers', 'A copy']);
    expect(gpu.allocatedBytes).toBe(before + 32 + 64);
    expect(() => gpu.uniform('Numbers', new Uint32Array(maxUniformBufferBindingSize / 4 + 1))).toThrow(
      LimitError,
    );
    expect(() => gpu.staging('A copy', maxBufferSize + 4)).toThrow(/^A copy needs .* MiB in one buffer/);
    for (const bytes of [0, -4, 6, 2.5, Number.NaN]) {
      expect(() => gpu.buffer('A buffer', bytes)).toThrow(`A buffer cannot have ${bytes} bytes`);
    }
    expect(() => gpu.write(uniform, new Uint32Array(9))).toThrow(RangeError);
    for (const buffer of [uniform, staging]) {
      gpu.free(buffer);
      gpu.free(buffer);
    }
    expect(gpu.allocatedBytes).toBe(before);
    await gpu.finish();
  });

  test('that are freed while they are read say so, and the device goes on', async () => {
    const staging = gpu.staging('A copy', 64);
    const mapping = gpu.map(staging);
    gpu.free(staging);
    await expect(mapping).rejects.toThrow(ClosedError);
    await expect(mapping).rejects.toThrow('A copy was freed while it was still needed');
    await gpu.finish();
  });
});

describe('a scope', () => {
  const owned = (log: string[], name: string) => ({ destroy: () => log.push(name) });

  test('frees what it owns once, the last made first', () => {
    const log: string[] = [];
    const own = new Scope();
    own.use(owned(log, 'first'));
    own.adopt('second', (name) => log.push(name));
    own.destroy();
    own.destroy();
    expect(log).toEqual(['second', 'first']);
  });

  test('frees what was made where making fails half-way, and hands it on where it does not', async () => {
    const log: string[] = [];
    const failing = Scope.building(async (building) => {
      building.use(owned(log, 'half'));
      throw new Error('no more');
    });
    await expect(failing).rejects.toThrow('no more');
    expect(log).toEqual(['half']);
    const own = await Scope.building(async (building) => {
      building.use(owned(log, 'whole'));
      return building;
    });
    expect(log).toEqual(['half']);
    own.destroy();
    expect(log).toEqual(['half', 'whole']);
    await Scope.during(async (during) => during.use(owned(log, 'lent')));
    expect(log).toEqual(['half', 'whole', 'lent']);
  });
});
