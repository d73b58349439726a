import type { OptionSpec } from './command.ts'

export const configOption = {
  type: 'string',
  value: 'NAME|FILE',
  short: 'c',
  description: 'the configuration of the server whose keys are meant; default what `corral run` would serve',
} as const satisfies OptionSpec
