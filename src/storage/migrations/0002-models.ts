import { defineMigration } from '../migration.ts'

export const models = defineMigration({
  number: 2,
  name: 'models',
  async up({ createTable, schema, types: { text, integer } }) {
    await createTable('models')
      .addColumn('id', text, (column) => column.primaryKey().notNull())
      .addColumn('created_at', integer, (column) => column.notNull())
      .addColumn('owner_id', text)
      .addColumn('owner_attributes', text, (column) => column.notNull())
      .addColumn('model_id', text, (column) => column.notNull())
      .addColumn('provider_id', text, (column) => column.notNull())
      .addColumn('provider_model_id', text, (column) => column.notNull())
      .addColumn('model_type', text, (column) => column.notNull())
      .addColumn('metadata', text, (column) => column.notNull())
      .execute()
    await schema.createIndex('models_in_order').on('models').columns(['created_at', 'id']).execute()
  },
})
