import { defineMigration } from '../migration.ts'

export const quota = defineMigration({
  number: 4,
  name: 'quota',
  async up({ createTable, schema, types: { text, integer } }) {
    await createTable('quota_counters')
      .addColumn('counter', text, (column) => column.notNull())
      .addColumn('window_start', integer, (column) => column.notNull())
      .addColumn('window_end', integer, (column) => column.notNull())
      .addColumn('taken', integer, (column) => column.notNull())
      .addColumn('granted', integer, (column) => column.notNull())
      .addColumn('leased', integer, (column) => column.notNull())
      .addColumn('wanted_until', integer, (column) => column.notNull())
      .addPrimaryKeyConstraint('quota_counters_key', ['counter', 'window_start'])
      .execute()
    // What has passed is swept away.
    await schema.createIndex('quota_counters_by_end').on('quota_counters').column('window_end').execute()
    await createTable('quota_holders')
      .addColumn('counter', text, (column) => column.notNull())
      .addColumn('holder', text, (column) => column.notNull())
      .addColumn('held', integer, (column) => column.notNull())
      .addColumn('until', integer, (column) => column.notNull())
      .addColumn('sequence', integer, (column) => column.notNull())
      .addPrimaryKeyConstraint('quota_holders_key', ['counter', 'holder'])
      .execute()
    await schema.createIndex('quota_holders_by_until').on('quota_holders').column('until').execute()
  },
})
