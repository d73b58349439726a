import type { OptionSpec } from './command.ts'

export const configOption = {
  type: 'string',
  value: 'NAME|FILE',
  short: 'c',
  description: 'the configuration of the server; default: as `corral run`',
} as const satisfies OptionSpec
