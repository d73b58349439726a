import { resolve } from 'node:path'
import { CommandError, defineCommand, jsonOption } from './command.ts'
import { formatBytes } from './progress.ts'
import { recordsOption, withRecords } from './storage-records.ts'

export const storageBackup = defineCommand({
  name: 'storage backup',
  summary: 'Back up the database',
  description:
    'Writes a consistent copy of a SQLite database while servers continue to use it. To restore it, stop the servers, replace the database file ' +
    'with the copy and delete the -wal and -shm files beside it. For PostgreSQL, prints the pg_dump command and exits with 1.',
  arguments: [{ name: 'FILE', description: 'the file to write', required: true }],
  options: { config: recordsOption, force: { type: 'boolean', description: 'replace an existing file' }, json: jsonOption },
  examples: [['Every night', 'corral storage backup /backup/corral-$(date +%F).db']],
  async run({ args: [file = ''], options }, context) {
    const { backupSqlite, pgDumpCommand } = await import('../storage/backup.ts')
    const { stdout, cwd } = context
    await withRecords(options.config, context, async (records) => {
      const target = resolve(cwd, file)
      if (records.engine === 'postgres') {
        throw new CommandError('Corral does not back up PostgreSQL databases; use pg_dump.', {
          remedy: `Run (pg_dump reads the password from PGPASSWORD or ~/.pgpass, or prompts for it):\n  ${pgDumpCommand(records, target)}`,
        })
      }
      if (records.path === ':memory:') throw new CommandError('The records are in memory: there is no file to back up.')
      const size = await backupSqlite(records.path, target, { replace: options.force })
      if (options.json) stdout.write(`${JSON.stringify({ from: records.path, to: target, size })}\n`)
      else stdout.write(`Backed up ${records.path} to ${target} (${formatBytes(size)}).\n`)
    })
  },
})
