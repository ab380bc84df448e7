// For `node --import`: counts what a process asks of WebGPU, and lets one of these calls meet a fault. It is told by the environment:
// TORTURE_FAULT, as {"call": "submit", "from": "gpu/program.js:90", "nth": 1, "how": "lost"}, or {"allocation": 12} for a buffer or texture
// that there is no memory for, with "unchecked": true where nothing is known of the adapter yet; TORTURE_FOLDER, where the process runs;
// TORTURE_CALLS, the file that gets a line for each call. In test/cli/host.mjs, which runs several commands, the message of each one has `fault`,
// `cwd` and `calls` in their place.
import { appendFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { globals } from 'webgpu';

const project = fileURLToPath(new URL('../../dist/', import.meta.url));
let fault;
let log;
/** Calls so far, by what they are and where they come from. */
const counts = new Map();
let allocations = 0;
let device;
/** Open error scopes of each device, the innermost last: whether memory is what they are for, and there was none. */
const scopes = new WeakMap();

const usualCache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
// What Mesa has compiled stays known.
process.env.MESA_SHADER_CACHE_DIR = usualCache;

/** Counts from 0 again. */
function arm(cwd, toFail, into) {
  process.env.XDG_CACHE_HOME = toFail?.unchecked ? join(cwd, 'cache') : usualCache;
  fault = toFail;
  log = into;
  counts.clear();
  allocations = 0;
}

/** The line of this program that asked. */
function caller() {
  const line = new Error().stack.split('\n').find((each) => each.includes(project));
  const [, where, at] = /dist\/([^?:)]+)(?:\?\d+)?:(\d+)/.exec(line ?? '') ?? [];
  return where ? `${where}:${at}` : 'a library';
}

/** Whether this is the call that meets the fault. @param allocates what there must be memory for. */
function meets(call, allocates) {
  const from = caller();
  const allocation = allocates === undefined ? undefined : ++allocations;
  const key = `${call} ${from}`;
  counts.set(key, (counts.get(key) ?? 0) + 1);
  const fails =
    fault?.allocation === undefined
      ? fault?.call === call && fault.from === from && fault.nth === counts.get(key)
      : fault.allocation === allocation;
  if (log) appendFileSync(log, `${JSON.stringify({ call, path: '', from, allocates, fails })}\n`);
  return fails;
}

/** As Dawn does where there is no memory: what was made can be used for nothing, and the scope that is open is told, or else anybody. */
function withoutMemory(own, make, { mappedAtCreation }) {
  if (mappedAtCreation) throw new RangeError('createBuffer failed, size is too large for the implementation');
  const made = make();
  made.destroy();
  const scope = scopes.get(own)?.findLast(({ filter }) => filter === 'out-of-memory');
  if (scope) scope.lacks = true;
  // At once: what is refused since it was given this is told after it.
  else own.onuncapturederror?.({ error: new globals.GPUOutOfMemoryError('injected') });
  return made;
}

const methods = {
  GPU: ['requestAdapter'],
  GPUAdapter: ['requestDevice'],
  GPUDevice: [
    'createBuffer',
    'createTexture',
    'createBindGroup',
    'createShaderModule',
    'createComputePipelineAsync',
    'createCommandEncoder',
    'popErrorScope',
  ],
  GPUQueue: ['submit', 'onSubmittedWorkDone', 'writeBuffer'],
  GPUBuffer: ['mapAsync', 'getMappedRange'],
};

for (const [name, calls] of Object.entries(methods)) {
  const { prototype } = globals[name];
  for (const call of calls) {
    const original = prototype[call];
    prototype[call] = function (...args) {
      const own = name === 'GPUDevice' ? this : device;
      const make = () => original.apply(this, args);
      const isMet = meets(call, /^create(Buffer|Texture)$/.test(call) ? (args[0].label ?? '') : undefined);
      if (isMet) {
        if (call === 'requestAdapter') return Promise.resolve(null);
        if (call === 'requestDevice') return Promise.reject(new Error('the driver failed'));
        if (fault.allocation !== undefined) return withoutMemory(own, make, args[0]);
        if (fault.how === 'lost') own.destroy();
        if (fault.how === 'lost later') setTimeout(() => own.destroy(), 0);
        if (fault.how === 'invalid') {
          const error = new globals.GPUValidationError('injected');
          setTimeout(() => own.onuncapturederror?.({ error }), 0);
        }
      }
      const result = make();
      if (call === 'requestDevice') {
        return result.then((made) => {
          device = made;
          return made;
        });
      }
      if (call === 'popErrorScope' && scopes.get(this).pop().lacks) {
        return result.then(() => new globals.GPUOutOfMemoryError('injected'));
      }
      return result;
    };
  }
}

const { pushErrorScope } = globals.GPUDevice.prototype;
globals.GPUDevice.prototype.pushErrorScope = function (filter) {
  if (!scopes.has(this)) scopes.set(this, []);
  scopes.get(this).push({ filter, lacks: false });
  return pushErrorScope.call(this, filter);
};

const { TORTURE_FOLDER, TORTURE_FAULT, TORTURE_CALLS } = process.env;
arm(TORTURE_FOLDER, TORTURE_FAULT && JSON.parse(TORTURE_FAULT), TORTURE_CALLS);
// Not before the host listens itself: until somebody does, messages wait.
process.once('newListener', function listen(name) {
  if (name !== 'message') return void process.once('newListener', listen);
  process.on('message', ({ cwd, fault, calls }) => {
    process.env.TMPDIR = join(cwd, 'tmp');
    arm(cwd, fault, calls);
  });
});
