import { defineMigration } from '../migration.ts'

export const apiKeys = defineMigration({
  number: 3,
  name: 'api-keys',
  async up({ createTable, schema, types: { text, integer } }) {
    await createTable('api_keys')
      .addColumn('id', text, (column) => column.primaryKey().notNull())
      .addColumn('created_at', integer, (column) => column.notNull())
      .addColumn('owner_id', text)
      .addColumn('owner_attributes', text, (column) => column.notNull())
      .addColumn('name', text, (column) => column.notNull())
      .addColumn('hash', text, (column) => column.notNull().unique())
      .addColumn('hint', text, (column) => column.notNull())
      .addColumn('principal', text, (column) => column.notNull())
      .addColumn('attributes', text, (column) => column.notNull())
      .addColumn('allowed_models', text)
      .addColumn('allowed_apis', text)
      .addColumn('limits', text, (column) => column.notNull())
      .addColumn('expires_at', integer)
      .addColumn('revoked_at', integer)
      .addColumn('previous_hash', text)
      .addColumn('previous_until', integer)
      .execute()
    await schema.createIndex('api_keys_in_order').on('api_keys').columns(['created_at', 'id']).execute()
    await schema.createIndex('api_keys_by_previous_hash').on('api_keys').column('previous_hash').execute()
  },
})
