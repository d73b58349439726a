import { ApiError } from '../errors.ts'
import type { StorageConfig } from '../storage/config.ts'
import { type CommandContext, CommandError, type OptionSpec } from './command.ts'

export const recordsOption = {
  type: 'string',
  value: 'NAME|FILE',
  short: 'c',
  description: 'the configuration of the server; default: as `corral run`',
} as const satisfies OptionSpec

/** Works with the database that a configuration keeps its records in; what is wrong with it becomes a CommandError. */
export async function withRecords(
  source: string | undefined,
  context: CommandContext,
  work: (records: StorageConfig['records']) => Promise<void>,
): Promise<void> {
  const [{ load, explained }, { StorageError }] = await Promise.all([import('./configuration.ts'), import('../storage/open.ts')])
  const { config } = await load({ source, offline: true }, context).catch((error: unknown) => {
    throw explained(error)
  })
  try {
    await work(config.storage.records)
  } catch (error) {
    if (error instanceof StorageError) throw new CommandError(error.message, { remedy: error.remedy, cause: error })
    if (error instanceof ApiError) {
      const why = error.cause instanceof Error ? ` (${error.cause.message})` : ''
      throw new CommandError(`${error.message.replace(/\.$/, '')}${why}.`, { cause: error })
    }
    throw error
  }
}
