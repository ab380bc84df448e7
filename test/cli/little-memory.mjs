// For `node --import`: a device on which buffers of LITTLE_MEMORY bytes have room together. Each refusal is a line in the file REFUSALS.
import { appendFileSync } from 'node:fs';
import { globals } from 'webgpu';

const { LITTLE_MEMORY, REFUSALS } = process.env;
const room = Number(LITTLE_MEMORY);
let taken = 0;
let isRefused = false;

const { createBuffer, popErrorScope } = globals.GPUDevice.prototype;
globals.GPUDevice.prototype.createBuffer = function (descriptor) {
  const buffer = createBuffer.call(this, descriptor);
  taken += descriptor.size;
  if (taken > room) {
    isRefused = true;
    appendFileSync(REFUSALS, `${taken}\n`);
  }
  const { destroy } = buffer;
  let isThere = true;
  buffer.destroy = () => {
    if (isThere) taken -= descriptor.size;
    isThere = false;
    destroy.call(buffer);
  };
  return buffer;
};
globals.GPUDevice.prototype.popErrorScope = async function () {
  const error = await popErrorScope.call(this);
  if (!isRefused) return error;
  isRefused = false;
  return new globals.GPUOutOfMemoryError('there is no room');
};
