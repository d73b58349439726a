import { type SslMode, sslModes } from '../storage/config.ts'

/** The parts of a connection string; parts that it leaves out are absent. */
export interface ConnectionString {
  /** A name, an address (IPv6 without brackets), or a folder with a socket. */
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly database?: string | undefined
  readonly user?: string | undefined
  readonly password?: string | undefined
  readonly sslMode?: SslMode | undefined
  /** PEM file, as written. */
  readonly caCertPath?: string | undefined
  /** Names of the parameters that have no effect here. */
  readonly ignored: readonly string[]
}

/** The remedy, without any part of the string, which holds a password. */
export class ConnectionStringError extends Error {}

const form = 'write postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=MODE, with %-escapes for special characters'
const hostPart = String.raw`(?<host>\[[^\]]*\]|[^\s:/?@[\]]*)`
const parameterList = String.raw`(?:\?(?<parameters>.*))?`
// After a colon a port must follow, which is else the beginning of `user:password@host`.
const plain = new RegExp(String.raw`^${hostPart}(?::(?<port>\d+))?(?:/(?<database>[^/?@]*))?${parameterList}$`, 's')
// A password may hold unescaped characters, `@`, `/` and `?` too: the host begins after the first `@` from which the rest is well-formed. Only what
// reads as a whole string of its own up to a `?` (`5432?`, `@host?`) must be escaped.
const withUser = new RegExp(
  String.raw`^(?<user>[^:@/]*)(?::(?<password>.*?))?@${hostPart}(?::(?<port>\d*))?(?:/(?<database>[^/?@]*))?${parameterList}$`,
  's',
)

/**
 * Reads libpq's URI form (PostgreSQL documentation §34.1.1.2): `postgres://` or `postgresql://`, one host. Parameters override what is before the
 * `?`. Throws ConnectionStringError.
 */
export function parseConnectionString(text: string): ConnectionString {
  const [, rest] = /^postgres(?:ql)?:\/\/(.*)$/is.exec(text.trim()) ?? []
  if (rest === undefined) throw new ConnectionStringError(`must begin with postgres:// or postgresql://: ${form}`)
  const { groups } = plain.exec(rest) ?? withUser.exec(rest) ?? {}
  if (!groups) throw new ConnectionStringError(`cannot be read: ${form}`)
  const { parameters, ignored } = readParameters(groups['parameters'] ?? '')
  const value = (name: string, part: string | undefined) => parameters.get(name) ?? (part ? unescape(part) : undefined)
  const host = value('host', groups['host']?.replace(/^\[(.*)\]$/, '$1'))
  const port = value('port', groups['port'])
  if (host?.includes(',') || port?.includes(',')) throw new ConnectionStringError('names several hosts: name the one that takes writes')
  const root = parameters.get('sslrootcert')
  return {
    host,
    port: port === undefined ? undefined : portOf(port),
    database: value('dbname', groups['database']),
    user: value('user', groups['user']),
    password: value('password', groups['password']),
    sslMode: modeOf(parameters.get('sslmode') ?? parameters.get('ssl')),
    caCertPath: root === 'system' ? undefined : root,
    ignored,
  }
}

/** `ssl` is asyncpg's and SQLAlchemy's name of `sslmode`. */
const knownParameters = ['host', 'port', 'dbname', 'user', 'password', 'sslmode', 'ssl', 'sslrootcert']

function readParameters(query: string): { parameters: ReadonlyMap<string, string>; ignored: string[] } {
  const parameters = new Map<string, string>()
  const ignored: string[] = []
  for (const part of query.split('&')) {
    const [name = '', ...values] = part.split('=')
    const value = values.join('=')
    if (name === '') continue
    if (!knownParameters.includes(name)) ignored.push(/^\w{1,40}$/.test(name) ? name : 'one whose name is not a word')
    else if (value !== '') parameters.set(name, unescape(value))
  }
  return { parameters, ignored }
}

function unescape(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // A percent sign that begins no escape is literal.
    return text
  }
}

function portOf(text: string): number {
  const port = Number(text)
  if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) return port
  throw new ConnectionStringError('has a port that is not a whole number from 1 to 65535')
}

function modeOf(text: string | undefined): SslMode | undefined {
  if (text === undefined) return undefined
  const mode = sslModes.find((one) => one === (text === 'true' ? 'require' : text === 'false' ? 'disable' : text))
  if (mode) return mode
  throw new ConnectionStringError(`has an sslmode that is not one of ${sslModes.join(', ')}`)
}
