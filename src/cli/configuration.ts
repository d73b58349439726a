import { type ConfigFlags, loadConfig, type LoadedConfig } from '../config/load.ts'
import { ConfigErrors, type ConfigIssue, formatIssue } from '../config/report.ts'
import { createEgress } from '../egress/egress.ts'
import { readProxies } from '../egress/proxies.ts'
import { type CommandContext, CommandError, usageError } from './command.ts'

export interface ConfigChoice {
  /** The argument or `--config`; undefined: the variables decide, then `starter`. */
  readonly source: string | undefined
  readonly flags?: ConfigFlags
  readonly strict?: boolean
  /** Look for local servers, as `corral run` does. Default false. */
  readonly probe?: boolean
  /** The command has no need of what only a server does: what of that is missing is a warning. Default false. */
  readonly offline?: boolean
}

/** Loads a configuration and writes its warnings to stderr, beside errors too; what is wrong becomes a CommandError with one line for each mistake. */
export async function loadChosen(choice: ConfigChoice, context: CommandContext): Promise<LoadedConfig> {
  const warn = (warnings: readonly ConfigIssue[]) => {
    for (const warning of warnings) context.stderr.write(`${context.stderr.yellow('warning:')} ${formatIssue(warning)}\n`)
  }
  const loaded = await load(choice, context).catch((error: unknown) => {
    if (error instanceof ConfigErrors) warn(error.warnings)
    throw explained(error)
  })
  warn(loaded.warnings)
  return loaded
}

/** The same without telling anything: throws ConfigErrors. */
export function load({ source, flags, strict, probe, offline }: ConfigChoice, { env, cwd }: CommandContext): Promise<LoadedConfig> {
  const egress = probe ? createEgress({ proxies: readProxies(env) }) : undefined
  return loadConfig({ source, env, cwd, flags, strict, offline, egress })
}

/** ConfigErrors as a CommandError; anything else as it is. */
export function explained(error: unknown): unknown {
  if (!(error instanceof ConfigErrors)) return error
  const lines = error.issues.map(formatIssue)
  const message =
    lines.length === 1 ? lines[0]! : `${lines.length} errors in the configuration:\n${lines.map((line) => `  ${line}`).join('\n')}`
  return new CommandError(message, { cause: error })
}

/** The one configuration that the argument and `--config` name together. */
export function oneSource(argument: string | undefined, option: string | undefined): string | undefined {
  if (argument !== undefined && option !== undefined && argument !== option) {
    throw usageError(`Two configurations given: '${argument}' and --config '${option}'.`, 'Remove one of them.')
  }
  return argument ?? option
}
