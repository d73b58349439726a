import { readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import type { KeyService } from '../api/keys/service.ts'
import { idOfToken } from '../auth/keys/token.ts'
import type { Call, Principal } from '../call.ts'
import type { Config } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import { auditFolderOf } from './audit-folder.ts'
import { type CommandContext, CommandError } from './command.ts'

interface KeyAccess {
  readonly keys: KeyService
  readonly call: Call
  readonly config: Config
  /** Where the keys are, for messages. */
  readonly place: string
}

/**
 * The keys of a configuration's own database, without a policy: access to the database is sufficient. Every change is in the audit log under
 * the name of the operating system's user. Not through a running server, which sees the change by itself.
 */
export async function withKeys(
  config: string | undefined,
  context: CommandContext,
  work: (access: KeyAccess) => Promise<void>,
): Promise<void> {
  const [{ load, explained }, { openDatabase, StorageError }] = await Promise.all([
    import('./configuration.ts'),
    import('../storage/open.ts'),
  ])
  const { config: loaded } = await load({ source: config, offline: true }, context).catch((error: unknown) => {
    throw explained(error)
  })
  const { records } = loaded.storage
  try {
    await using database = await openDatabase(records)
    await using audit = await openAudit(loaded, context)
    const [{ createKeyService }, { loadPepper }, { createEvents }, { silentLog }, { routes }] = await Promise.all([
      import('../api/keys/service.ts'),
      import('../auth/keys/pepper.ts'),
      import('../telemetry/events.ts'),
      import('../telemetry/logger.ts'),
      import('../api/index.ts'),
    ])
    const pepper = await loadPepper({ configured: loaded.keyPepper, folder: loaded.home }).catch((error: Error) => {
      throw new CommandError(error.message, { cause: error })
    })
    const operator: Principal = { id: `os:${osUser()}`, attributes: {} }
    const keys = createKeyService({
      database,
      policy: loaded.accessPolicy,
      pepper: pepper.value,
      events: createEvents(silentLog, audit),
      apis: [...new Set(routes.map(({ api }) => api))],
      operator,
    })
    const call: Call = { requestId: 'cli', signal: context.signal, principal: operator, providerData: {} }
    await work({ keys, call, config: loaded, place: database.place })
  } catch (error) {
    if (error instanceof StorageError) throw new CommandError(error.message, { remedy: error.remedy, cause: error })
    if (error instanceof ApiError) throw new CommandError(error.message, { cause: error })
    throw error
  }
}

/** What a command line means by `KEY`: the id, or the token itself, as when it was found where it should not be. */
export function keyIdOf(text: string): string {
  return idOfToken(text) ?? text
}

async function openAudit(config: Config, { stderr }: CommandContext) {
  const folder = auditFolderOf(config)
  if (folder === undefined) return (await import('../telemetry/audit/audit-log.ts')).noAuditLog
  const { openAuditLog } = await import('../telemetry/audit/open.ts')
  const warn = (_fields: object, message: string) => stderr.write(`${stderr.yellow('warning:')} ${message}\n`)
  try {
    return await openAuditLog({ ...config.audit, folder, name: 'cli', log: { error: warn, warn, info() {} } })
  } catch (error) {
    throw new CommandError(`The audit log in ${folder} cannot be written (${(error as Error).message}).`, {
      remedy: 'Changes of keys require the audit log. Run this as the user of the server, or set another folder in server.audit.folder.',
      cause: error,
    })
  }
}

/**
 * Who runs this, by the system's own word: Bun's `userInfo` gives what the variable USER says, which any user can set. Where the user's number has no
 * name in the file, the number.
 */
function osUser(): string {
  const uid = process.getuid?.()
  if (uid === undefined) return userInfo().username
  try {
    const line = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((text) => text.split(':')[2] === String(uid))
    return line?.split(':')[0] ?? `uid ${uid}`
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error
    return `uid ${uid}`
  }
}
