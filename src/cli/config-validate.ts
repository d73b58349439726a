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
    const { stdout, stderr } = context
    const { load, loadChosen } = await import('./configuration.ts')
    const choice = { source, strict: options.strict }
    if (options.json) {
      const { ConfigErrors } = await import('../config/report.ts')
      const result = await load(choice, context).catch((error: unknown) => {
        if (error instanceof ConfigErrors) return error
        throw error
      })
      const valid = !(result instanceof ConfigErrors)
      stdout.write(`${JSON.stringify({ valid, errors: valid ? [] : result.issues, warnings: result.warnings })}\n`)
      return valid ? 0 : 1
    }
    const { config, origin, warnings } = await loadChosen(choice, context)
    const ids = config.providers.map(({ id }) => id)
    stdout.write(`${stdout.green('valid:')} ${origin.name}, providers: ${ids.join(', ') || 'none'}\n`)
    if (warnings.length > 0) stderr.write(`${warnings.length} warning${warnings.length === 1 ? '' : 's'}\n`)
    return 0
  },
})
