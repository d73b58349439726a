import { defineCommand, jsonOption } from './command.ts'
import { recordsOption, withRecords } from './storage-records.ts'

export const storageMigrate = defineCommand({
  name: 'storage migrate',
  summary: 'bring the tables up to date',
  description:
    'A server does this by itself when it starts; this is for doing it before, e.g. in a deployment with several replicas. Runs forward only, once, ' +
    'under a lock: several at a time are no harm. Make a backup first.',
  options: { config: recordsOption, json: jsonOption },
  examples: [['Before the new version starts', 'corral storage backup before.db && corral storage migrate']],
  async run({ options }, context) {
    const [{ inspectDatabase }, { openDatabase }] = await Promise.all([import('../storage/inspect.ts'), import('../storage/open.ts')])
    const { stdout } = context
    await withRecords(options.config, context, async (records) => {
      const before = await inspectDatabase(records)
      await using database = await openDatabase(records)
      const ran = before.pending
      if (options.json) stdout.write(`${JSON.stringify({ place: database.place, from: before.version, to: before.newest, ran })}\n`)
      else if (ran.length === 0) stdout.write(`${database.place} is up to date: version ${before.newest}.\n`)
      else stdout.write(`${database.place} is now of version ${before.newest}: ${ran.join(', ')}.\n`)
    })
  },
})
