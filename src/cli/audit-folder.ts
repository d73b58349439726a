import { join, resolve } from 'node:path'
import type { Config } from '../config/config.ts'
import type { ChainFile } from '../telemetry/audit/files.ts'
import { type CommandContext, CommandError } from './command.ts'

/** Where the audit log of a configuration is, or would be; undefined: switched off. */
export function auditFolderOf(config: Config): string | undefined {
  return config.written?.['audit'] === false ? undefined : (config.audit?.folder ?? join(config.home, 'audit'))
}

interface AuditSource {
  readonly config: string | undefined
  /** Folders and files; none: the folder of the configuration. */
  readonly paths: readonly string[]
}

/** One chain, with the range to verify. */
export interface AuditChain {
  readonly chain: string
  readonly files: readonly ChainFile[]
  /** False: single files of it were named. */
  readonly whole: boolean
}

/** The chains that a command line names. Throws CommandError where there is nothing to look at. */
export async function findChains({ config, paths }: AuditSource, context: CommandContext): Promise<AuditChain[]> {
  const { byChain, chainFileOf, listChains } = await import('../telemetry/audit/files.ts')
  const { stat } = await import('node:fs/promises')
  const chosen = paths.length > 0 ? paths.map((path) => resolve(context.cwd, path)) : [await configuredFolder(config, context)]
  const found: AuditChain[] = []
  const files: string[] = []
  for (const path of chosen) {
    const isFolder = await stat(path).then(
      (entry) => entry.isDirectory(),
      (error: unknown) => {
        throw unreadable(path, error)
      },
    )
    if (isFolder) {
      const chains = await listChains(path).catch((error: unknown) => {
        throw unreadable(path, error)
      })
      for (const [chain, all] of chains) found.push({ chain, files: all, whole: true })
    } else if (chainFileOf(path)) files.push(path)
    else throw new CommandError(`${path} is not an audit log file; their names are like server-000001.jsonl.`)
  }
  for (const [chain, some] of byChain(files)) found.push({ chain, files: some, whole: false })
  if (found.length === 0)
    throw new CommandError(`No audit log found in ${chosen.join(', ')}.`, { remedy: 'Pass its folder: corral audit verify FOLDER.' })
  return found
}

async function configuredFolder(config: string | undefined, context: CommandContext): Promise<string> {
  const { load, explained } = await import('./configuration.ts')
  const loaded = await load({ source: config, offline: true }, context).catch((error: unknown) => {
    throw explained(error)
  })
  const folder = auditFolderOf(loaded.config)
  if (folder !== undefined) return folder
  throw new CommandError('The audit log is disabled in this configuration (server.audit: false).', {
    remedy: 'Pass the folder of another audit log.',
  })
}

function unreadable(path: string, error: unknown): CommandError {
  const { code = 'unknown cause' } = error as NodeJS.ErrnoException
  const message = code === 'ENOENT' ? `No audit log found in ${path}: no such file or folder.` : `${path} cannot be read (${code}).`
  return new CommandError(message, { cause: error })
}
