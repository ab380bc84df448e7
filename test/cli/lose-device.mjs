// For `node --import`: destroys a device some submits after training has begun with it, as a driver that resets would. `?times=2`:
// the first two devices.
import { globals } from 'webgpu';

const after = 30;
let left = Number(new URL(import.meta.url).searchParams.get('times') ?? Number.POSITIVE_INFINITY);

let device;
let submits = 0;
const { requestDevice } = globals.GPUAdapter.prototype;
globals.GPUAdapter.prototype.requestDevice = async function (...args) {
  device = await requestDevice.apply(this, args);
  submits = 0;
  return device;
};
const { submit } = globals.GPUQueue.prototype;
globals.GPUQueue.prototype.submit = function (...args) {
  submits += 1;
  if (submits === after && left > 0) {
    left -= 1;
    setTimeout(() => device.destroy(), 0);
  }
  return submit.apply(this, args);
};
