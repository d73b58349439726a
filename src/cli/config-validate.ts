import { defineCommand, jsonOption } from './command.ts'
import { strictOption, sourceArgument } from './config-options.ts'

export const configValidate = defineCommand({
  name: 'config validate',
  aliases: ['config check'],
  summary: 'Validate a configuration',
  description:
    'Reads the configuration as `corral run` does, including the environment, without starting a server. Reports all errors at once, each with its line. Exits with 1 if there are errors; warnings do not change the exit code.',
  arguments: [sourceArgument],
  options: { strict: strictOption, json: jsonOption },
  examples: [
    ['Validate a file', 'corral config validate groq.yaml'],
    ['In CI, with unknown keys as errors', 'corral config validate groq.yaml --strict --json'],
  ],
  async run({ args: [source], options }, context) {
    const { reportValidity } = await import('./validation-report.ts')
    return await reportValidity({ source, strict: options.strict }, context, options.json)
  },
})
