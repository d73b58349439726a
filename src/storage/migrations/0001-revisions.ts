import { defineMigration } from '../migration.ts'

export const revisions = defineMigration({
  number: 1,
  name: 'revisions',
  async up({ createTable, types: { text, integer } }) {
    await createTable('revisions')
      .addColumn('scope', text, (column) => column.primaryKey().notNull())
      .addColumn('value', integer, (column) => column.notNull())
      .execute()
  },
})
