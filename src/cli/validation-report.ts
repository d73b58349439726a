import type { CommandContext, ExitCode } from './command.ts'
import { type ConfigChoice, load, loadChosen } from './configuration.ts'
import { ConfigErrors } from '../config/report.ts'

/** Loads a configuration and reports whether it is valid. Exit code 1 when it is not; with `json` errors are part of the result. */
export async function reportValidity(choice: ConfigChoice, context: CommandContext, json: boolean): Promise<ExitCode> {
  const { stdout, stderr } = context
  if (json) {
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
}
