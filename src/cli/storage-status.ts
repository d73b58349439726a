import { CommandError, defineCommand, jsonOption } from './command.ts'
import { formatBytes } from './progress.ts'
import type { DatabaseStatus } from '../storage/inspect.ts'
import { recordsOption, withRecords } from './storage-records.ts'
import { table } from './table.ts'

export const storageStatus = defineCommand({
  name: 'storage status',
  summary: 'Show the database of records',
  description:
    'Shows location, version, pending migrations and row counts of the database of keys, registered models and the ledger. Changes nothing.',
  options: { config: recordsOption, json: jsonOption },
  examples: [
    ['Location, version and tables', 'corral storage status'],
    ['For scripts', "corral storage status --json | jq '.pending | length'"],
  ],
  async run({ options }, context) {
    const { inspectDatabase } = await import('../storage/inspect.ts')
    const { stdout } = context
    await withRecords(options.config, context, async (records) => {
      const status = await inspectDatabase(records)
      if (options.json) {
        stdout.write(`${JSON.stringify(status)}\n`)
        refuseNewer(status)
        return
      }
      const { engine, place, version, newest, pending, tables, size } = status
      const newer = version > newest ? ` (newer than this program, which supports ${newest})` : ''
      const facts = [
        ['engine', engine === 'sqlite' ? 'SQLite' : 'PostgreSQL'],
        ['location', place],
        ['version', version === 0 ? 'not created yet' : `${version}${newer}`],
        ['pending', version > newest ? 'unknown to this program' : pending.length === 0 ? 'none' : pending.join(', ')],
        ['size', formatBytes(size)],
      ]
      stdout.write(facts.map(([name = '', value = '']) => `${stdout.bold(name.padEnd(8))}  ${value}\n`).join(''))
      const rows = tables.map(({ name, rows: count }) => [name, String(count)])
      if (rows.length > 0) stdout.write(`\n${table(stdout, ['TABLE', 'ROWS'], rows)}`)
      refuseNewer(status)
    })
  },
})

/** No server of this version starts with it. */
function refuseNewer({ place, version, newest }: DatabaseStatus): void {
  if (version <= newest) return
  throw new CommandError(
    `The database ${place} is newer than this program: it has schema version ${version}, this program supports ${newest}.`,
    {
      remedy: 'Run the newer version, or restore a backup from before it ran.',
    },
  )
}
