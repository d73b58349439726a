import { defineMigration } from '../migration.ts'

export const ledger = defineMigration({
  number: 5,
  name: 'ledger',
  async up({ createTable, schema, types: { text, integer } }) {
    await createTable('ledger')
      .addColumn('id', text, (column) => column.primaryKey().notNull())
      .addColumn('created_at', integer, (column) => column.notNull())
      .addColumn('request_id', text, (column) => column.notNull())
      .addColumn('key_id', text)
      .addColumn('principal', text)
      .addColumn('attributes', text, (column) => column.notNull())
      .addColumn('provider', text, (column) => column.notNull())
      .addColumn('model', text, (column) => column.notNull())
      .addColumn('capability', text, (column) => column.notNull())
      .addColumn('outcome', text, (column) => column.notNull())
      .addColumn('input_tokens', integer, (column) => column.notNull())
      .addColumn('output_tokens', integer, (column) => column.notNull())
      .addColumn('cached_input_tokens', integer, (column) => column.notNull())
      .addColumn('reasoning_tokens', integer, (column) => column.notNull())
      .addColumn('estimated', integer, (column) => column.notNull())
      .addColumn('cost_nano_dollars', integer)
      .execute()
    await schema.createIndex('ledger_in_order').on('ledger').columns(['created_at', 'id']).execute()
  },
})
