import { z } from 'zod';
import { shown } from '../gpu/shown.js';

/** What a command line, a form and a table say about an option. Type, range and default are in its schema. */
export interface OptionFacts {
  /** What it is, in one line, without its default. */
  readonly description: string;
  /** Its label in a form. */
  readonly label: string;
  /** The ends of a form's slider. Other values in its range can be typed. */
  readonly slider?: readonly [low: number, high: number];
}

/** An option as hosts show it and read it. */
export interface Option extends OptionFacts {
  readonly name: string;
  readonly kind: 'number' | 'whole' | 'flag' | 'list' | 'pair' | 'choice';
  /** The default; undefined for an option that is off unless it is given. */
  readonly standard: unknown;
  /** The values of a choice. */
  readonly choices?: readonly string[];
  /** The values of a slider: 1, 2 and 5 times powers of ten, and 0 if it is allowed. */
  readonly stops?: readonly number[];
}

/** Options by their names: schemas that `option` has made. */
export type OptionShape = Readonly<Record<string, z.ZodType>>;
export type OptionValues<Shape extends OptionShape> = z.output<z.ZodObject<Shape>>;

const facts = z.registry<OptionFacts>();

/** Declares an option, once: commands, forms, tables and types are made from that. */
export function option<Schema extends z.ZodType>(schema: Schema, about: OptionFacts): Schema {
  facts.add(schema, about);
  return schema;
}

/** The options of a shape, in its order. A choice with a single value is left out. */
export function optionsOf(shape: OptionShape): Option[] {
  const described = Object.entries(shape).map(([name, schema]): Option => {
    const about = facts.get(schema);
    if (!about) {
      throw new RangeError(`the option ${name} has no description`);
    }
    const standard = schema.safeParse(undefined).data;
    const bare = unwrap(schema);
    const own = { name, kind: kindOf(bare), standard, ...about };
    if (bare instanceof z.ZodEnum) {
      return { ...own, choices: bare.options.map(String) };
    }
    const { slider } = about;
    return slider ? { ...own, stops: stopsOf(slider, schema.safeParse(0).success) } : own;
  });
  return described.filter(({ choices }) => choices?.length !== 1);
}

function unwrap(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodDefault || schema instanceof z.ZodOptional
    ? unwrap(schema.unwrap() as z.ZodType)
    : schema;
}

function stopsOf([low, high]: readonly [number, number], withZero: boolean): number[] {
  const stops = withZero ? [0] : [];
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++) {
    const steps = [1, 2, 5].map((step) => Number(`${step}e${power}`));
    stops.push(...steps.filter((stop) => stop >= low && stop <= high));
  }
  return stops.at(-1) === high ? stops : [...stops, high];
}

function kindOf(schema: z.ZodType): Option['kind'] {
  if (schema instanceof z.ZodEnum) {
    return 'choice';
  }
  if (schema instanceof z.ZodNumber) {
    return schema.isInt ? 'whole' : 'number';
  }
  if (schema instanceof z.ZodTuple) {
    return 'pair';
  }
  return schema instanceof z.ZodBoolean ? 'flag' : 'list';
}

/** A message for zod with what was expected and what was given. */
export function expected(sentence: string) {
  return {
    error: ({ input }: { input?: unknown }) => `${sentence}, and is ${shown(input)}.`,
  };
}

export function whole(name: string, least: number, most = Number.MAX_SAFE_INTEGER): z.ZodNumber {
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  const fault = expected(`${name} must be a whole number ${range}`);
  return z.number(fault).int(fault).min(least, fault).max(most, fault);
}

export function number(name: string, range: string, accept: (value: number) => boolean): z.ZodNumber {
  const fault = expected(`${name} must be a number ${range}`);
  return z.number(fault).refine(accept, fault);
}

/** A number above 0 that kernels can use: a smaller one would be 0 to them, a larger one infinite. */
export function positiveF32(name: string): z.ZodNumber {
  return number(name, 'from 1.18e-38 to 3.4e38, as a kernel can hold', (value) => {
    return value >= 2 ** -126 && value <= (2 - 2 ** -23) * 2 ** 127;
  });
}

export function flag(name: string): z.ZodBoolean {
  return z.boolean(expected(`${name} must be true or false`));
}

export function choice<const Names extends readonly [string, ...string[]]>(name: string, names: Names) {
  const written = names.length > 1 ? `${names.slice(0, -1).join(', ')} or ${names.at(-1)}` : names[0];
  return z.enum(names, expected(`${name} must be ${written}`));
}
