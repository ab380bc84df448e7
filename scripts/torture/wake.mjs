// For `node --import`: loses the device when the process wakes up (SIGCONT), the first `?times=3`.
import { globals } from 'webgpu';

let left = Number(new URL(import.meta.url).searchParams.get('times'));
let device;
const { requestDevice } = globals.GPUAdapter.prototype;
globals.GPUAdapter.prototype.requestDevice = async function (...args) {
  device = await requestDevice.apply(this, args);
  return device;
};
process.on('SIGCONT', () => {
  if (left-- > 0) device?.destroy();
});
