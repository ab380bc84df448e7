// For `node --import`: counts what a process asks of WebGPU, and lets one of these calls meet a fault. It is told by the environment:
// TORTURE_DEVICE, as {"call": "submit", "from": "gpu/program.js:90", "nth": 1, "how": "lost"}; TORTURE_CALLS, the file that gets a line for each call.
import { appendFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { globals } from 'webgpu';

const project = fileURLToPath(new URL('../../dist/', import.meta.url));
const { TORTURE_DEVICE, TORTURE_CALLS: log } = process.env;
const fault = TORTURE_DEVICE ? JSON.parse(TORTURE_DEVICE) : undefined;

/** Calls so far, by what they are and where they come from. */
const counts = new Map();
/** Set where the next error scope, or nobody, is to be told of memory that there is not. */
let lacksMemory = false;
let device;

/** The line of this program that asked. */
function caller() {
  const line = new Error().stack.split('\n').find((each) => each.includes(project));
  const [, where, at] = /dist\/([^?:)]+)(?:\?\d+)?:(\d+)/.exec(line ?? '') ?? [];
  return where ? `${where}:${at}` : 'a library';
}

/** Whether this is the call that meets the fault. */
function meets(call) {
  const from = caller();
  if (log) appendFileSync(log, `${JSON.stringify({ call, path: '', from })}\n`);
  const key = `${call} ${from}`;
  counts.set(key, (counts.get(key) ?? 0) + 1);
  return fault?.call === call && fault.from === from && fault.nth === counts.get(key);
}

const methods = {
  GPU: ['requestAdapter'],
  GPUAdapter: ['requestDevice'],
  GPUDevice: [
    'createBuffer',
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
      if (meets(call)) {
        if (call === 'requestAdapter') return Promise.resolve(null);
        if (call === 'requestDevice') return Promise.reject(new Error('the driver failed'));
        if (fault.how === 'lost') own.destroy();
        if (fault.how === 'lost later') setTimeout(() => own.destroy(), 0);
        if (fault.how === 'invalid') {
          const error = new globals.GPUValidationError('injected');
          setTimeout(() => own.onuncapturederror?.({ error }), 0);
        }
        if (fault.how === 'memory') lacksMemory = true;
      }
      const result = original.apply(this, args);
      if (call === 'requestDevice') {
        return result.then((made) => {
          device = made;
          return made;
        });
      }
      if (call === 'createBuffer' && lacksMemory) {
        // Where no scope is open, it is nobody's.
        setTimeout(() => {
          if (!lacksMemory) return;
          lacksMemory = false;
          own.onuncapturederror?.({ error: new globals.GPUOutOfMemoryError('injected') });
        }, 0);
      }
      if (call === 'popErrorScope' && lacksMemory) {
        lacksMemory = false;
        return result.then(() => new globals.GPUOutOfMemoryError('injected'));
      }
      return result;
    };
  }
}
