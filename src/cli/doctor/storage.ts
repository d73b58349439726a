import { limitsAnything } from '../../quota/config.ts'
import { createRedisStore } from '../../quota/stores/redis.ts'
import type { Config } from '../../config/config.ts'
import { canConnect, tlsError } from '../../egress/probe.ts'
import type { Backend, PostgresBackend, RedisBackend, SqliteBackend } from '../../storage/config.ts'
import { codeOf } from '../../storage/errors.ts'
import { type DatabaseStatus, inspectDatabase } from '../../storage/inspect.ts'
import { StorageError } from '../../storage/open.ts'
import { causeOf } from '../../telemetry/events.ts'
import { redactText } from '../../config/redact.ts'
import { type DoctorCheck, failed, type DoctorFinding, ok, warning } from './check.ts'

/** Milliseconds for one look at a port. */
const timeout = 2_000

export const database: DoctorCheck = {
  name: 'database',
  find: async ({ loaded: { config } }) => [await checkDatabase('database', config.storage.records)],
}

async function checkDatabase(subject: string, backend: SqliteBackend | PostgresBackend): Promise<DoctorFinding> {
  try {
    return databaseFinding(subject, await inspectDatabase(backend))
  } catch (error) {
    return failed(subject, redactText(causeOf(error)), remedyFor(error, backend))
  }
}

function remedyFor(error: unknown, backend: SqliteBackend | PostgresBackend): string {
  if (error instanceof StorageError) return error.remedy
  if (backend.engine === 'sqlite') return 'Check that the file is intact and on a local disk; `corral storage status` has details.'
  const codes = codesOf(error)
  return (
    postgresRemedies.find(([known]) => codes.some((code) => known.test(code)))?.[1] ??
    'Start PostgreSQL, or correct `host` and `port` of the backend in `storage`.'
  )
}

/** SQLSTATE (PostgreSQL, appendix A), or the code of TLS. */
const postgresRemedies: readonly (readonly [code: RegExp, remedy: string])[] = [
  [/^28/, 'Correct `user` and `password` of the backend in `storage`, or allow this user in `pg_hba.conf`.'],
  [/^3D000$/, 'Create the database (`createdb`), or correct `db` of the backend in `storage`.'],
  [/^42501$/, 'Grant the user the permissions listed in docs/storage.md, "Permissions".'],
  [/^53/, 'The server has no free connection: raise its `max_connections`, or lower `pool_size`.'],
  [
    /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO/,
    'Set `ca_cert_path` to the CA of its certificate and `host` to the name in it, or choose another `ssl_mode`.',
  ],
]

/** The codes of an error and of what caused it. */
function codesOf(error: unknown): readonly string[] {
  const codes: string[] = []
  for (let at = error; at instanceof Error && codes.length < 5; at = at.cause) codes.push(codeOf(at) ?? '')
  return codes
}

export function databaseFinding(subject: string, { place, version, newest, pending }: DatabaseStatus): DoctorFinding {
  if (version > newest)
    return failed(
      subject,
      `${place} was written by a newer version of Corral (schema ${version}, this supports ${newest})`,
      'Install that version, or restore a backup.',
    )
  if (version === 0) return ok(subject, `${place} does not exist yet; the server creates it on first use`)
  if (pending.length > 0)
    return warning(
      subject,
      `${place} has pending migrations: ${pending.join(', ')}`,
      'Run `corral storage migrate`, or start the server, which runs them too.',
    )
  return ok(subject, `${place} is reachable and up to date`)
}

export const quotaStore: DoctorCheck = {
  name: 'quota store',
  async find({ loaded: { config } }) {
    const backend = limitsAnything(config.quota) ? backendOf(config) : undefined
    if (!backend) return []
    return [backend.engine === 'redis' ? await redisFinding(config, backend) : await checkDatabase('quota store', backend)]
  },
}

/** Undefined: memory, or the database of the records, which is looked at anyway. */
function backendOf({ quota: { store }, storage }: Config): Backend | undefined {
  if (!store) return undefined
  return 'path' in store ? { engine: 'sqlite', path: store.path } : storage.backends[store.backend]
}

async function redisFinding({ quota }: Config, backend: RedisBackend): Promise<DoctorFinding> {
  const place = `Redis at ${backend.host}:${backend.port}`
  await using store = createRedisStore(backend, { namespace: quota.store?.namespace })
  try {
    // Holds nothing: a counter of its own with no slots, forgotten after a second.
    await store.hold({ counter: 'doctor', holder: 'doctor', limit: 1, keep: 0, atLeast: 0, slots: 0, ttl: 1000, sequence: Date.now() })
    return ok('quota store', `${place} responds`)
  } catch (error) {
    return await diagnoseRedis(place, backend, error)
  }
}

/** The Redis client's errors do not distinguish causes: checks the connection, then TLS, then the credentials. */
async function diagnoseRedis(place: string, { host, port, tls, user, password }: RedisBackend, error: unknown): Promise<DoctorFinding> {
  if (!(await canConnect({ host, port }, timeout))) {
    const remedy = 'Start Redis, or correct `host` and `port` of the backend in storage.backends.'
    return failed('quota store', `${place}: cannot connect`, remedy)
  }
  const problem = tls ? await tlsError({ host, port }, timeout) : undefined
  if (problem !== undefined) {
    const remedy = 'Its certificate must match the host name and be issued by a trusted CA; if it does not use TLS, set `tls: false`.'
    return failed('quota store', `${place}: TLS handshake failed (${problem})`, remedy)
  }
  if (codesOf(error).includes('ERR_REDIS_SERVER_ERROR')) {
    const remedy = 'Configure a primary that accepts writes, and a user that may run scripts on keys with the prefix of the namespace.'
    return failed('quota store', `${place} returned an error: ${redactText(causeOf(error))}`, remedy)
  }
  const shown = user || password ? `the configured user${user ? ` '${user}'` : ''} and password` : 'no user and password'
  const remedy = `Correct \`user\` and \`password\` of the backend in storage.backends${tls ? '' : ', or set `tls: true` if it requires TLS'}.`
  return failed('quota store', `${place} is reachable but does not accept ${shown}`, remedy)
}
