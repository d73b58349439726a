import { readFile } from 'node:fs/promises'
import type { ClientBase, ClientConfig, PoolConfig } from 'pg'
import type { PostgresBackend } from './config.ts'
import { codeOf, StorageError } from './errors.ts'
import { outOfRange } from './parameters.ts'

/** Milliseconds. */
const connectionTimeouts = { connect: 5000, statement: 15_000, idle: 30_000 }

/** Without secrets. */
export function placeOf({ host, port, database, schema }: PostgresBackend): string {
  const where = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
  return `postgres://${where}:${port}/${database ?? ''}${schema ? ` (schema ${schema})` : ''}`
}

export function connectionConfig(
  backend: PostgresBackend,
  ssl: ClientConfig['ssl'],
  statement = connectionTimeouts.statement,
): ClientConfig {
  const { host, port, database, user, password } = backend
  return {
    host,
    port,
    ...(database !== undefined && { database }),
    ...(user !== undefined && { user }),
    ...(password && { password: password.reveal() }),
    ssl: ssl ?? false,
    application_name: 'corral',
    keepAlive: true,
    connectionTimeoutMillis: connectionTimeouts.connect,
    // A server that has gone without a word does not heed its own limit.
    query_timeout: statement * 1.2,
    types: { getTypeParser },
  }
}

/**
 * Limits of time, the schema, and the isolation of single statements (the database may have another default), for a connection that has just been
 * made. By a statement, not by the parameters of the connection: poolers refuse those that they do not know.
 * @param statement milliseconds; 0: no limit
 */
export async function configureSession(
  client: ClientBase,
  { schema }: PostgresBackend,
  statement = connectionTimeouts.statement,
): Promise<void> {
  const path = schema === undefined ? null : `"${schema.replaceAll('"', '""')}"`
  await client.query(
    `select set_config('statement_timeout', $1, false), set_config('idle_in_transaction_session_timeout', $1, false),
      set_config('search_path', coalesce($2, current_setting('search_path')), false),
      set_config('default_transaction_isolation', 'read committed', false)`,
    [String(statement), path],
  )
}

/** int8, numeric, and the rest as text or as what they are; nothing is rounded. */
const parsers: Readonly<Record<number, (text: string) => unknown>> = {
  16: (text) => (text === 't' ? 1 : 0),
  20: wholeNumber,
  21: Number,
  23: Number,
  26: Number,
  700: Number,
  701: Number,
  1700: (text) => (/^-?\d+$/.test(text) ? wholeNumber(text) : Number(text)),
}

function wholeNumber(text: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number)) throw outOfRange(text)
  return number
}

const identity = (value: unknown): unknown => value

const getTypeParser = ((oid: number) => parsers[oid] ?? identity) as NonNullable<ClientConfig['types']>['getTypeParser']

/**
 * What a connection must do for TLS, by libpq's rules: `require` encrypts, and checks the certificate only where a CA is named; `verify-ca`
 * checks the chain, `verify-full` the name too. `prefer` (the default) and `allow` depend on the server and are found out by trying.
 */
export async function tlsOptions(
  backend: PostgresBackend,
  probe: (ssl: ClientConfig['ssl']) => Promise<void>,
): Promise<ClientConfig['ssl']> {
  // A socket of this machine has no TLS.
  const mode = backend.host.startsWith('/') ? 'disable' : (backend.sslMode ?? 'prefer')
  const ca = backend.caCertPath === undefined ? undefined : await readCa(backend.caCertPath)
  const unverified = { rejectUnauthorized: false }
  const chainVerified = { rejectUnauthorized: true, ...(ca !== undefined && { ca }), checkServerIdentity: () => undefined }
  switch (mode) {
    case 'disable':
      return false
    case 'require':
      return ca === undefined ? unverified : chainVerified
    case 'verify-ca':
      return chainVerified
    case 'verify-full':
      return { rejectUnauthorized: true, ...(ca !== undefined && { ca }) }
    case 'allow':
      return await firstSuccessful([false, unverified], probe)
    default:
      return await firstSuccessful([unverified, false], probe)
  }
}

async function firstSuccessful(
  choices: readonly ClientConfig['ssl'][],
  probe: (ssl: ClientConfig['ssl']) => Promise<void>,
): Promise<ClientConfig['ssl']> {
  for (const ssl of choices.slice(0, -1)) {
    try {
      await probe(ssl)
      return ssl
    } catch (error) {
      if (!isTlsError(error)) throw error
    }
  }
  return choices.at(-1)
}

/** The server has no TLS, or wants it (28000: no line of pg_hba.conf for a connection without, or with). */
function isTlsError(error: unknown): boolean {
  return codeOf(error) === '28000' || (error instanceof Error && /does not support SSL|SSL connection/i.test(error.message))
}

async function readCa(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new StorageError(
      `The certificate ${path} (ca_cert_path) cannot be read (${codeOf(error) ?? 'unknown cause'}).`,
      'It must name a readable PEM file.',
      error,
    )
  }
}

export function poolConfig(backend: PostgresBackend, statement = connectionTimeouts.statement): PoolConfig {
  return {
    max: backend.poolSize,
    idleTimeoutMillis: connectionTimeouts.idle,
    // A command that is done does not wait for connections that lie idle.
    allowExitOnIdle: true,
    // oxlint-disable-next-line typescript/no-misused-promises -- the pool waits for it, whatever its types say
    onConnect: (client) => configureSession(client, backend, statement),
  }
}
