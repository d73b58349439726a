import { readFile } from 'node:fs/promises'
import { type CommandContext, defineCommand } from './command.ts'
import { configOption } from './keys-options.ts'
import { table } from './table.ts'
import { readTime } from './times.ts'

const defaultLimit = 50

export const auditList = defineCommand({
  name: 'audit list',
  aliases: ['audit tail'],
  summary: 'Show the latest entries of the audit log',
  description: 'Shows the entries of all chains in order of time. Does not check their integrity; use `corral audit verify` for that.',
  arguments: [{ name: 'FOLDER|FILE', description: 'files or folders to read; default: the folder of the configuration', many: true }],
  options: {
    event: { type: 'string', value: 'PREFIX', description: 'only events with this prefix, e.g. api_key or request.denied' },
    principal: { type: 'string', value: 'NAME', description: 'only entries of this principal' },
    key: { type: 'string', value: 'KEY', description: 'only entries made with this API key, or about it' },
    since: { type: 'string', value: '24h|DATE', description: 'only entries since this time' },
    limit: { type: 'integer', value: 'N', short: 'n', description: `maximum number of entries; default ${defaultLimit}` },
    config: configOption,
    json: { type: 'boolean', description: 'print the entries unchanged, one JSON object per line' },
  },
  examples: [
    ['Requests denied in the last 24 hours', 'corral audit list --event request.denied --since 24h'],
    ['Changes of API keys', 'corral audit list --event api_key'],
    ['For scripts', 'corral audit list --json -n 100000 | jq -r .reason'],
  ],
  async run({ args, options }, context) {
    const since = isoOf(readTime('since', options.since))
    const { findChains } = await import('./audit-folder.ts')
    const chains = await findChains({ config: options.config, paths: args }, context)
    const paths = chains.flatMap(({ files }) => files.map(({ path }) => path))
    const kept = await readLines(paths, (fields) => matches(fields, { ...options, since }), options.limit ?? defaultLimit)
    if (options.json) for (const { text } of kept) context.stdout.write(`${text}\n`)
    else show(kept, context)
  },
})

type AuditFields = Readonly<Record<string, unknown>>

interface MatchingLine {
  readonly text: string
  readonly fields: AuditFields
}

interface AuditFilter {
  readonly event: string | undefined
  readonly principal: string | undefined
  readonly key: string | undefined
  /** ISO 8601, UTC, as lines have it. */
  readonly since: string | undefined
}

function matches(fields: AuditFields, { event, principal, key, since }: AuditFilter): boolean {
  if (event !== undefined && !textOf(fields, 'event').startsWith(event)) return false
  if (principal !== undefined && fields['principal'] !== principal) return false
  if (key !== undefined && fields['key_id'] !== key && fields['resource'] !== `api_key::${key}`) return false
  return since === undefined || (textOf(fields, 'until') || textOf(fields, 'time')) >= since
}

/** The latest matching entries in order of time; invalid lines are skipped. */
async function readLines(paths: readonly string[], wanted: (fields: AuditFields) => boolean, limit: number): Promise<MatchingLine[]> {
  const [{ linesOf }, { parsed }] = await Promise.all([import('../telemetry/audit/files.ts'), import('../telemetry/audit/line.ts')])
  let kept: MatchingLine[] = []
  const latest = (lines: MatchingLine[]) =>
    lines.toSorted((a, b) => compare(textOf(a.fields, 'time'), textOf(b.fields, 'time'))).slice(-limit || lines.length)
  for (const path of paths) {
    for (const { bytes, unfinished } of linesOf(await readFile(path))) {
      const fields = unfinished ? undefined : parsed(bytes)
      if (fields && wanted(fields)) kept.push({ text: bytes.toString('utf8'), fields })
      if (kept.length > 2 * limit + 10_000) kept = latest(kept)
    }
  }
  return limit === 0 ? [] : latest(kept)
}

function show(lines: readonly MatchingLine[], { stdout, stderr }: CommandContext): void {
  if (lines.length === 0) {
    stderr.write('No matching entries.\n')
    return
  }
  const rows = lines.map(({ fields }) => [
    textOf(fields, 'time').slice(0, 19),
    textOf(fields, 'event'),
    textOf(fields, 'status'),
    textOf(fields, 'principal') || textOf(fields, 'client_address'),
    textOf(fields, 'resource') || textOf(fields, 'action'),
    [textOf(fields, 'reason'), fields['count'] === undefined ? '' : `(${textOf(fields, 'count')} times)`].join(' ').trim(),
  ])
  stdout.write(table(stdout, ['TIME', 'EVENT', 'STATUS', 'PRINCIPAL', 'RESOURCE', 'REASON'], rows))
}

function isoOf(time: number | undefined): string | undefined {
  return time === undefined ? undefined : new Date(time).toISOString()
}

function textOf(fields: AuditFields, name: string): string {
  const value = fields[name]
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
