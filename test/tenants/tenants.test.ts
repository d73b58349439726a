import { expect, test } from 'bun:test'
import { sources } from '../architecture/source.ts'
import { tenantResources } from './resources.ts'
import { testTenants } from './tenant-tests.ts'

for (const [table, resource] of Object.entries(tenantResources)) testTenants(table, resource)

/** Revoking changes a row for which it takes the right to delete it, and checks that itself. */
const alsoWrites = ['src/api/keys/service.ts']

test('[TEN-2] rows that belong to somebody are written in one place', () => {
  const tables = Object.keys(tenantResources).join('|')
  const writes = new RegExp(`(insertInto|updateTable|deleteFrom|replaceInto|mergeInto)\\(\\s*['"\`](${tables})['"\`]`)
  const elsewhere = sources('src').filter(({ path, text }) => !path.endsWith('.test.ts') && !alsoWrites.includes(path) && writes.test(text))
  expect(elsewhere.map(({ path }) => path)).toEqual([])
  expect(writes.test("transaction.updateTable('models')")).toBe(true)
})
