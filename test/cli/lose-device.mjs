// For `node --import`: destroys the device some submits after training has begun, as a driver that resets would.
import { globals } from 'webgpu';

const after = 30;

let device;
let submits = 0;
const { requestDevice } = globals.GPUAdapter.prototype;
globals.GPUAdapter.prototype.requestDevice = async function (...args) {
  device = await requestDevice.apply(this, args);
  return device;
};
const { submit } = globals.GPUQueue.prototype;
globals.GPUQueue.prototype.submit = function (...args) {
  submits += 1;
  if (submits === after) {
    setTimeout(() => device.destroy(), 0);
  }
  return submit.apply(this, args);
};
