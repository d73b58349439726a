import type { ArgumentSpec, OptionSpec } from './command.ts'

export const sourceArgument = {
  name: 'starter|NAME|FILE',
  description: 'a distribution or a file; default what `corral run` would serve',
} as const satisfies ArgumentSpec

export const strictOption = {
  type: 'boolean',
  description: 'treat what is not understood in the file as an error',
} as const satisfies OptionSpec

export const configOption = {
  type: 'string',
  value: 'NAME|FILE',
  short: 'c',
  description: 'the configuration; default what `corral run` would serve',
} as const satisfies OptionSpec
