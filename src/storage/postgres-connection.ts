import { readFile } from 'node:fs/promises'
import type { ClientConfig, Pool } from 'pg'
import type { PostgresBackend } from './config.ts'
import { codeOf, StorageError } from './errors.ts'
import { beyond } from './parameters.ts'

/** Milliseconds. */
const times = { connect: 5000, statement: 15_000, idle: 30_000 }

/** Without secrets. */
export function placeOf({ host, port, database, schema }: PostgresBackend): string {
  const where = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
  return `postgres://${where}:${port}/${database ?? ''}${schema ? ` (schema ${schema})` : ''}`
}

export function connectionConfig(backend: PostgresBackend, ssl: ClientConfig['ssl'], statement = times.statement): ClientConfig {
  const { host, port, database, user, password, schema } = backend
  return {
    host,
    port,
    ...(database !== undefined && { database }),
    ...(user !== undefined && { user }),
    ...(password && { password: password.reveal() }),
    ssl: ssl ?? false,
    application_name: 'corral',
    keepAlive: true,
    connectionTimeoutMillis: times.connect,
    statement_timeout: statement,
    // A server that has gone without a word does not heed its own limit.
    query_timeout: statement * 1.2,
    idle_in_transaction_session_timeout: statement,
    ...(schema !== undefined && { options: `-c search_path=${quoted(schema)}` }),
    types: { getTypeParser },
  }
}

/** As an option of a connection, where a backslash stands before spaces and itself. */
function quoted(schema: string): string {
  return `"${schema.replaceAll('"', '""')}"`.replaceAll(/[\\ ]/g, String.raw`\$&`)
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
  if (!Number.isSafeInteger(number)) throw beyond(text)
  return number
}

const asItIs = (value: unknown): unknown => value

const getTypeParser = ((oid: number) => parsers[oid] ?? asItIs) as NonNullable<ClientConfig['types']>['getTypeParser']

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
  const unchecked = { rejectUnauthorized: false }
  const chainOnly = { rejectUnauthorized: true, ...(ca !== undefined && { ca }), checkServerIdentity: () => undefined }
  switch (mode) {
    case 'disable':
      return false
    case 'require':
      return ca === undefined ? unchecked : chainOnly
    case 'verify-ca':
      return chainOnly
    case 'verify-full':
      return { rejectUnauthorized: true, ...(ca !== undefined && { ca }) }
    case 'allow':
      return await firstThatWorks([false, unchecked], probe)
    default:
      return await firstThatWorks([unchecked, false], probe)
  }
}

async function firstThatWorks(
  choices: readonly ClientConfig['ssl'][],
  probe: (ssl: ClientConfig['ssl']) => Promise<void>,
): Promise<ClientConfig['ssl']> {
  for (const ssl of choices.slice(0, -1)) {
    try {
      await probe(ssl)
      return ssl
    } catch (error) {
      if (!isAboutTls(error)) throw error
    }
  }
  return choices.at(-1)
}

/** The server has no TLS, or wants it (28000: no line of pg_hba.conf for a connection without, or with). */
function isAboutTls(error: unknown): boolean {
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

export function poolTimes(poolSize: number): Pick<Pool['options'], 'max' | 'idleTimeoutMillis'> {
  return { max: poolSize, idleTimeoutMillis: times.idle }
}
