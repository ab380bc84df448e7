// For `node --import`: writes once a second what a process holds, a line of JSON each, to the file SOAK_SAMPLES.
import { appendFileSync, readdirSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { globals } from 'webgpu';

const { SOAK_SAMPLES } = process.env;
let deviceBytes = 0;
const sizes = new WeakMap();
const { createBuffer } = globals.GPUDevice.prototype;
globals.GPUDevice.prototype.createBuffer = function (descriptor) {
  const buffer = createBuffer.call(this, descriptor);
  sizes.set(buffer, descriptor.size);
  deviceBytes += descriptor.size;
  return buffer;
};
const { destroy } = globals.GPUBuffer.prototype;
globals.GPUBuffer.prototype.destroy = function () {
  deviceBytes -= sizes.get(this) ?? 0;
  sizes.delete(this);
  return destroy.call(this);
};

const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();
setInterval(() => {
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
  const handles = readdirSync('/proc/self/fd').length;
  const sample = { rss, heapUsed, arrayBuffers, deviceBytes, handles, delay: delay.percentile(99) / 1e6 };
  appendFileSync(SOAK_SAMPLES, `${JSON.stringify(sample)}\n`);
  delay.reset();
}, 1000).unref();
