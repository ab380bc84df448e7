export type { ActiveFeatures } from './activations.js';
export {
  type SynthConfig,
  type SynthPreset,
  type SynthPresetName,
  synthPresetNames,
  synthPresets,
} from './config.js';
export { SynthData } from './data.js';
export type { TreeShape } from './hierarchy.js';
export { type Matching, matchLatents } from './match.js';
export { measureRecovery, type SynthScores } from './measure.js';
export { type SynthRun, synthRun } from './run.js';
export { type Detection, type RecoveryScores, ScoreSums } from './scores.js';
