import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Backend } from '../../src/storage/config.ts'
import { postgresAt, redisAt } from '../../src/testing/engines.ts'
import { findOrInstall } from '../../test/services/packages.ts'
import { startPostgres } from '../../test/services/postgres.ts'
import { startRedis } from '../../test/services/redis.ts'

/** A store of counts that runs as long as it is not disposed of. */
export interface Place extends AsyncDisposable {
  readonly backend: Backend
  /** As an entry of `storage.backends`. */
  readonly entry: object
  /** A folder of its own. */
  readonly folder: string
}

export const kinds = ['sqlite', 'postgres', 'redis'] as const
export type Kind = (typeof kinds)[number]

export async function startPlace(kind: Kind): Promise<Place> {
  const resources = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'corral-bench-quota-'))
  resources.defer(() => rm(folder, { recursive: true, force: true }))
  const dispose = () => resources[Symbol.asyncDispose]()
  if (kind === 'sqlite') {
    const path = join(folder, 'counts.db')
    return { backend: { engine: 'sqlite', path }, entry: { type: 'sql_sqlite', db_path: path }, folder, [Symbol.asyncDispose]: dispose }
  }
  const programs = findOrInstall(() => undefined)
  const service = resources.use(kind === 'redis' ? await startRedis(programs.redis) : await startPostgres(programs.postgres))
  const { hostname: host, port, pathname, username: user, password } = new URL(service.url)
  const entry =
    kind === 'redis'
      ? { type: 'kv_redis', host, port: Number(port) }
      : { type: 'sql_postgres', host, port: Number(port), db: pathname.slice(1), user, password }
  const backend = kind === 'redis' ? redisAt(service.url) : postgresAt(service.url)
  return { backend, entry, folder, [Symbol.asyncDispose]: dispose }
}
