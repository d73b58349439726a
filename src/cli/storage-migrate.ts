import { defineCommand, jsonOption } from './command.ts'
import { recordsOption, withRecords } from './storage-records.ts'

export const storageMigrate = defineCommand({
  name: 'storage migrate',
  summary: 'Run pending database migrations',
  description:
    'A server runs pending migrations when it starts; use this command to run them earlier, e.g. before a rollout to several replicas. ' +
    'Migrations only go forward and run under a lock, so concurrent runs are safe. Make a backup first.',
  options: { config: recordsOption, json: jsonOption },
  examples: [['Before an upgrade', 'corral storage backup before.db && corral storage migrate']],
  async run({ options }, context) {
    const [{ inspectDatabase }, { openDatabase }] = await Promise.all([import('../storage/inspect.ts'), import('../storage/open.ts')])
    const { stdout } = context
    await withRecords(options.config, context, async (records) => {
      const before = await inspectDatabase(records)
      await using database = await openDatabase(records)
      const ran = before.pending
      if (options.json) stdout.write(`${JSON.stringify({ place: database.place, from: before.version, to: before.newest, ran })}\n`)
      else if (ran.length === 0) stdout.write(`${database.place} is up to date: version ${before.newest}.\n`)
      else stdout.write(`${database.place} migrated to version ${before.newest}: ${ran.join(', ')}.\n`)
    })
  },
})
