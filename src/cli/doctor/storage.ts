import { limitsAnything } from '../../quota/config.ts'
import { createRedisStore } from '../../quota/stores/redis.ts'
import type { Config } from '../../config/config.ts'
import type { Backend, PostgresBackend, SqliteBackend } from '../../storage/config.ts'
import { type DatabaseStatus, inspectDatabase } from '../../storage/inspect.ts'
import { StorageError } from '../../storage/open.ts'
import { causeOf } from '../../telemetry/events.ts'
import { redactText } from '../../config/redact.ts'
import { type Check, failed, type Finding, ok, warning } from './check.ts'

export const database: Check = {
  name: 'database',
  find: async ({ loaded: { config } }) => [await inspected('database', config.storage.records)],
}

async function inspected(subject: string, backend: SqliteBackend | PostgresBackend): Promise<Finding> {
  try {
    return databaseFinding(subject, await inspectDatabase(backend))
  } catch (error) {
    const remedy =
      (error instanceof StorageError && error.remedy) ||
      'Start the database, or correct its place in `storage`; `corral storage status` tells more.'
    return failed(subject, redactText(causeOf(error)), remedy)
  }
}

export function databaseFinding(subject: string, { place, version, newest, pending }: DatabaseStatus): Finding {
  if (version > newest)
    return failed(
      subject,
      `${place} was written by a newer Corral (${version}, this knows ${newest})`,
      'Install that version, or restore a backup.',
    )
  if (version === 0) return ok(subject, `${place} is not there yet: the server makes it when it needs it`)
  if (pending.length > 0)
    return warning(
      subject,
      `${place} lacks ${pending.join(', ')}`,
      'Run `corral storage migrate`, or start the server, which does the same.',
    )
  return ok(subject, `${place} is reachable and up to date`)
}

export const quotaStore: Check = {
  name: 'quota store',
  async find({ loaded: { config } }) {
    const backend = limitsAnything(config.quota) ? backendOf(config) : undefined
    if (!backend) return []
    return [backend.engine === 'redis' ? await redisFinding(config, backend) : await inspected('quota store', backend)]
  },
}

/** Undefined: memory, or the database of the records, which is looked at anyway. */
function backendOf({ quota: { store }, storage }: Config): Backend | undefined {
  if (!store) return undefined
  return 'path' in store ? { engine: 'sqlite', path: store.path } : storage.backends[store.backend]
}

async function redisFinding({ quota }: Config, backend: Extract<Backend, { engine: 'redis' }>): Promise<Finding> {
  const place = `Redis at ${backend.host}:${backend.port}`
  await using store = createRedisStore(backend, { namespace: quota.store?.namespace })
  try {
    // Holds nothing: a counter of its own with no slots, forgotten after a second.
    await store.hold({ counter: 'doctor', holder: 'doctor', limit: 1, keep: 0, atLeast: 0, slots: 0, ttl: 1000, sequence: Date.now() })
    return ok('quota store', `${place} answers`)
  } catch (error) {
    return failed('quota store', redactText(causeOf(error)), 'Start Redis, or correct its place, user and password in storage.backends.')
  }
}
