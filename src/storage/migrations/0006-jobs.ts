import { sql } from 'kysely'
import { defineMigration } from '../migration.ts'

export const jobs = defineMigration({
  number: 6,
  name: 'jobs',
  async up({ createTable, transaction, types: { text, integer } }) {
    await createTable('jobs')
      .addColumn('id', text, (column) => column.primaryKey().notNull())
      .addColumn('created_at', integer, (column) => column.notNull())
      .addColumn('kind', text, (column) => column.notNull())
      .addColumn('key', text)
      .addColumn('payload', text, (column) => column.notNull())
      .addColumn('state', text, (column) => column.notNull())
      .addColumn('run_at', integer, (column) => column.notNull())
      .addColumn('attempts', integer, (column) => column.notNull())
      .addColumn('max_attempts', integer, (column) => column.notNull())
      .addColumn('lease_owner', text)
      .addColumn('lease_until', integer)
      .addColumn('cancel_requested', integer, (column) => column.notNull())
      .addColumn('last_error', text)
      .addColumn('progress', text)
      .addColumn('finished_at', integer)
      .execute()
    // An index of a part of the table serves the queries that repeat its condition (src/jobs/rows.ts); finished jobs cost those nothing.
    await sql`create unique index jobs_alive_by_key on jobs (kind, key) where state in ('queued', 'running')`.execute(transaction)
    await sql`create index jobs_queued on jobs (run_at, id) where state = 'queued'`.execute(transaction)
    await sql`create index jobs_running on jobs (lease_until) where state = 'running'`.execute(transaction)
    await sql`create index jobs_finished on jobs (finished_at) where finished_at is not null`.execute(transaction)
  },
})
