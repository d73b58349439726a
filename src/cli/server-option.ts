import type { OptionSpec } from './command.ts'

export const urlOption = {
  type: 'string',
  value: 'URL',
  description: 'address of the running server; default http://127.0.0.1:8321, or the port in CORRAL_PORT',
} as const satisfies OptionSpec
