// Makes the checks of the adapter, of which `sae` makes those that are missing, once for all tests that run it.
import { checkDevice, checkNames, openGpu, passedChecks, rememberPassed } from '../../dist/node/index.js';

const gpu = await openGpu({ tune: 'off' });
const passed = await passedChecks(gpu);
if (checkNames(gpu, { passed }).length > 0) {
  const names = [];
  for await (const { name, ok } of checkDevice(gpu, { passed })) if (ok) names.push(name);
  await rememberPassed(gpu, names);
}
gpu.close();
