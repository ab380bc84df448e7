import type { OptionShape, OptionValues } from '../options.js';

/** An update rule, with the moments of the gradients that it keeps. */
export interface Optimizer<Options extends OptionShape = OptionShape> {
  /** What it is, in one line. */
  readonly summary: string;
  /** Their names begin with the rule's name. */
  readonly options: Options;
  /** WGSL files that together provide struct Moments, struct Updated and update_rule(). */
  readonly files: readonly string[];
  /**
   * Number of vec4s in struct Moments, at least one. Each vec4 of a parameter has such a struct, at first of zeros. Two
   * vec4s are called `first` and `second`.
   */
  readonly moments: number;
  /** Values of the files' `override` constants. */
  constants(options: OptionValues<Options>): Readonly<Record<string, number>>;
  /**
   * The two numbers for it in a step's record, computed in double; 0 for one that it does not need.
   * @param t the update's number, from 1.
   */
  rates(lr: number, t: number, options: OptionValues<Options>): readonly [number, number];
}

/** Declares a rule; its functions get its options with their types. */
export function optimizer<const Options extends OptionShape>(rule: Optimizer<Options>): Optimizer<Options> {
  return rule;
}
