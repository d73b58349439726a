import { defineCommand, jsonOption } from './command.ts'
import { strictOption, sourceArgument } from './config-options.ts'

export const configValidate = defineCommand({
  name: 'config validate',
  aliases: ['config check'],
  summary: 'check a configuration and tell everything that is wrong with it',
  description:
    'Reads the configuration as `corral run` would, environment included, and starts nothing. All mistakes are told at once, each with its line. Exits with 1 when there is a mistake; warnings alone are no mistake.',
  arguments: [sourceArgument],
  options: { strict: strictOption, json: jsonOption },
  examples: [
    ['Check a file', 'corral config validate groq.yaml'],
    ['Unknown keys are mistakes too; for a CI run', 'corral config validate groq.yaml --strict --json'],
  ],
  async run({ args: [source], options }, context) {
    const { reportValidity } = await import('./validation-report.ts')
    return await reportValidity({ source, strict: options.strict }, context, options.json)
  },
})
