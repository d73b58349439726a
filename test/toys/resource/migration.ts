import { defineMigration } from '../../../src/storage/migration.ts'
import { migrations } from '../../../src/storage/migrations/index.ts'

export const notes = defineMigration({
  number: migrations.length + 1,
  name: 'notes',
  async up({ createTable, schema, types: { text, integer } }) {
    await createTable('notes')
      .addColumn('id', text, (column) => column.primaryKey().notNull())
      .addColumn('created_at', integer, (column) => column.notNull())
      .addColumn('owner_id', text)
      .addColumn('owner_attributes', text, (column) => column.notNull())
      .addColumn('name', text, (column) => column.notNull())
      .addColumn('bytes', integer, (column) => column.notNull())
      .addColumn('words', integer)
      .execute()
    await schema.createIndex('notes_in_order').on('notes').columns(['created_at', 'id']).execute()
  },
})
