import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { redis } from '../../src/testing/engines.ts'
import type { CanaryStage } from './canary-server.ts'

/** A place where a secret must never turn up. */
export interface Sink {
  readonly name: string
  /** All that is there, once everything has happened. */
  read(startCanary: CanaryStage): Promise<string> | string
  /** What must be there, so that an empty sink proves nothing. */
  readonly holds: string | RegExp
  /** A page or the output of a command: read once, since reading it adds to the other sinks. */
  readonly isReply?: boolean
}

const page = (path: string, holds: Sink['holds']): Sink => ({
  name: `GET ${path}`,
  read: (startCanary) => startCanary.page(path),
  holds,
  isReply: true,
})
const command = (words: readonly string[], holds: Sink['holds']): Sink => ({
  name: `corral ${words.join(' ')}`,
  read: (startCanary) => startCanary.command(words),
  holds,
  isReply: true,
})

export const sinks: readonly Sink[] = [
  { name: 'the log', read: (startCanary) => startCanary.output(), holds: '"level":"debug"' },
  { name: 'the answers, heads and bodies', read: (startCanary) => startCanary.responses(), holds: 'Incorrect credentials' },
  { name: 'the audit log', read: ({ home }) => readFolder(join(home, 'audit')), holds: 'request.denied' },
  { name: 'the files in Corral’s home', read: ({ home }) => readFolder(home), holds: 'request.denied' },
  { name: 'the database', read: readDatabase, holds: 'canary key' },
  ...(redis ? [{ name: 'the counters in Redis', read: readRedis, holds: ':' }] : []),
  {
    name: 'the command lines of its processes',
    read: (startCanary) => startCanary.commandLines(),
    holds: process.platform === 'linux' ? 'corral.js' : '',
  },
  {
    name: 'the store of traces',
    read: ({ home }) => ['', '-wal'].map((end) => readIfThere(join(home, `traces.db${end}`))).join('\n'),
    holds: 'corral.upstream.body',
  },
  { name: 'the log’s file', read: ({ home }) => readIfThere(join(home, 'server.log')), holds: '"level":"debug"' },
  { name: 'the spans that reach a collector', read: ({ collector }) => JSON.stringify(collector.spans), holds: 'corral.upstream.body' },
  { name: 'the events of those spans', read: eventsOfSpans, holds: 'exception.message' },
  { name: 'the bytes of those spans', read: ({ collector }) => textOf(collector.traces), holds: 'corral.upstream.body' },
  { name: 'the metrics that reach a collector', read: ({ collector }) => textOf(collector.metrics), holds: 'corral.refusals' },
  { name: 'corral traces show', read: showFailedTraces, holds: 'Reply from', isReply: true },
  page('/v1/providers', 'echo'),
  page('/v1/providers/echo', 'base_url'),
  page('/v1alpha/admin/providers', 'echo'),
  page('/v1alpha/admin/keys', 'canary key'),
  page('/v1/models', 'echo/'),
  page('/v1/inspect/routes', '/v1/models'),
  page('/openapi.json', 'openapi'),
  page('/docs', 'html'),
  page('/readyz', 'status'),
  page('/v1/health', 'OK'),
  page('/metrics', 'corral_refusals_total'),
  command(['config', 'show', 'FILE'], '***'),
  command(['config', 'show', 'FILE', '--json'], '***'),
  command(['config', 'validate', 'FILE'], ''),
  command(['config', 'validate', 'BROKEN'], 'error'),
  command(['config', 'show', 'BROKEN'], 'error'),
  command(['doctor', 'FILE'], '✗ provider'),
  command(['doctor', 'FILE', '--json'], '"findings"'),
  command(['doctor', 'AWAY'], '✗ database'),
  command(['doctor', 'AWAY', '--json'], '"failed"'),
  command(['doctor', 'BROKEN'], '✗ configuration'),
  command(['doctor', 'BROKEN', '--json'], '"findings"'),
  command(['list', 'providers'], 'remote::groq'),
  command(['keys', 'list', '--config', 'FILE'], 'canary key'),
  command(['keys', 'list', '--config', 'FILE', '--json'], 'canary key'),
  command(['storage', 'status', '--config', 'FILE'], ''),
  command(['storage', 'backup', 'BACKUP', '--config', 'FILE'], ''),
  { name: 'the backup of the database', read: (startCanary) => startCanary.backup(), holds: '' },
  command(['policy', 'explain', 'FILE', '--as', 'ann', '--action', 'read', '--resource', 'model::echo/ok'], 'llow'),
  command(['usage', '--config', 'FILE'], ''),
  command(['traces', '--config', 'FILE', '-n', '1000'], '/v1/chat/completions'),
  command(['traces', '--config', 'FILE', '--json', '-n', '1000'], 'trace_id'),
  command(['audit', 'list', '--config', 'FILE', '--json'], 'request.denied'),
  command(['audit', 'verify', '--config', 'FILE'], ''),
  command(['health', 'URL'], ''),
]

function eventsOfSpans({ collector }: CanaryStage): string {
  return JSON.stringify(collector.spans.flatMap(({ events }) => events))
}

function textOf(messages: readonly Uint8Array[]): string {
  return messages.map((message) => Buffer.from(message).toString('latin1')).join('\n')
}

/** A few that providers failed, and a few that were refused. */
async function showFailedTraces(startCanary: CanaryStage): Promise<string> {
  const lines = await startCanary.command(['traces', '--failed', '--json', '-n', '1000', '--config', 'FILE'])
  const failed = lines
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { trace_id: string; error_type: string; http_status: number })
  const kinds = new Map(failed.map((trace) => [`${trace.http_status} ${trace.error_type}`, trace.trace_id]))
  const shown: string[] = []
  for (const id of [...kinds.values()].slice(0, 5)) shown.push(await startCanary.command(['traces', 'show', id, '--config', 'FILE']))
  return shown.join('\n')
}

function readFolder(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.name}\n${readFileSync(join(entry.parentPath, entry.name)).toString('latin1')}`)
    .join('\n')
}

/** Every byte of the SQLite file and the files beside it; every row of every table of PostgreSQL. */
async function readDatabase({ database }: CanaryStage): Promise<string> {
  if (database.engine === 'sqlite') {
    return ['', '-wal', '-shm'].map((end) => readIfThere(database.path + end)).join('\n')
  }
  const { host, port, user, password, schema } = database
  const client = new Client({ host, port, user, password: password?.reveal(), database: database.database })
  await client.connect()
  try {
    const tables = await client.query<{ name: string }>(
      'select table_name as name from information_schema.tables where table_schema = $1',
      [schema],
    )
    const rows: unknown[] = []
    for (const { name } of tables.rows) {
      const table = `${client.escapeIdentifier(schema ?? 'public')}.${client.escapeIdentifier(name)}`
      rows.push(name, ...(await client.query(`select * from ${table}`)).rows)
    }
    return JSON.stringify(rows)
  } finally {
    await client.end()
  }
}

/** Every key and value of this server's. */
async function readRedis({ namespace }: CanaryStage): Promise<string> {
  const client = new Bun.RedisClient(redis?.url)
  try {
    const keys = (await client.send('KEYS', [`${namespace}*`])) as string[]
    return JSON.stringify(await Promise.all(keys.map(async (key) => [key, String(await client.send('DUMP', [key]))])))
  } finally {
    client.close()
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path).toString('latin1')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}
