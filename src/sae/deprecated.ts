import { type LatentActivity, LatentPictures, latentActivity } from './insight/latents.js';
import { strongestLatents } from './insight/probe.js';

// Version 0.1.0 called latents units.

/** @deprecated Use `LatentActivity`. */
export type UnitActivity = LatentActivity;
/** @deprecated Use `latentActivity`. */
export const unitActivity = latentActivity;
/** @deprecated Use `LatentPictures`. */
export const UnitPictures = LatentPictures;
/** @deprecated Use `LatentPictures`. */
export type UnitPictures = LatentPictures;
/** @deprecated Use `strongestLatents`. */
export const strongestUnits = strongestLatents;
