import type { ArgumentSpec, OptionSpec } from './command.ts'

export const sourceArgument = {
  name: 'starter|NAME|FILE',
  description: 'a distribution or a file; default: as `corral run`',
} as const satisfies ArgumentSpec

export const strictOption = {
  type: 'boolean',
  description: 'treat unknown keys and values as errors',
} as const satisfies OptionSpec

export const configOption = {
  type: 'string',
  value: 'NAME|FILE',
  short: 'c',
  description: 'the configuration; default: as `corral run`',
} as const satisfies OptionSpec
