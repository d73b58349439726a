import { resolve } from 'node:path'
import { CommandError, defineCommand, jsonOption } from './command.ts'
import { formatBytes } from './progress.ts'
import { recordsOption, withRecords } from './storage-records.ts'

export const storageBackup = defineCommand({
  name: 'storage backup',
  summary: 'copy the database, also while servers write it',
  description:
    'Copies a SQLite database as it is at one moment; servers go on reading and writing. The copy is a whole database: to restore it, stop the servers ' +
    'and put it in the place of the file, without the -wal and -shm beside it. For a PostgreSQL it tells the pg_dump command, and exits with 1.',
  arguments: [{ name: 'FILE', description: 'where the copy goes', required: true }],
  options: { config: recordsOption, force: { type: 'boolean', description: 'replace the file if it is there' }, json: jsonOption },
  examples: [['Every night', 'corral storage backup /backup/corral-$(date +%F).db']],
  async run({ args: [file = ''], options }, context) {
    const { backupSqlite, pgDumpCommand } = await import('../storage/backup.ts')
    const { stdout, cwd } = context
    await withRecords(options.config, context, async (records) => {
      const target = resolve(cwd, file)
      if (records.engine === 'postgres') {
        throw new CommandError('A PostgreSQL database is copied by its own program, not by Corral.', {
          remedy: `Run this (the password is asked for, or taken from PGPASSWORD or ~/.pgpass):\n  ${pgDumpCommand(records, target)}`,
        })
      }
      if (records.path === ':memory:') throw new CommandError('These records are in memory: there is nothing to copy.')
      const size = await backupSqlite(records.path, target, { replace: options.force })
      if (options.json) stdout.write(`${JSON.stringify({ from: records.path, to: target, size })}\n`)
      else stdout.write(`${records.path} was copied to ${target} (${formatBytes(size)}).\n`)
    })
  },
})
