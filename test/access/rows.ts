import * as fc from 'fast-check'
import { ownerColumns, ownerOf } from '../../src/access/owner.ts'
import type { Resource } from '../../src/access/policy.ts'
import type { Database } from '../../src/storage/database.ts'
import type { ModelRow } from '../../src/storage/tables.ts'
import { owner, resourceIds } from './generate.ts'

/** Rows of all sorts, few of them made at different times, so that order goes by id as well. */
export function someRows(count: number, seed: number): ModelRow[] {
  const rows = fc.record({ owner, modelId: fc.constantFrom(...resourceIds), at: fc.integer({ min: 1, max: count / 4 }) })
  return fc.sample(rows, { numRuns: count, seed }).map(({ owner: whose, modelId, at }, number) => ({
    id: `row-${(number * 7919) % 100_003}`,
    created_at: at,
    ...ownerColumns(whose),
    model_id: modelId,
    provider_id: 'p',
    provider_model_id: 'm',
    model_type: 'llm',
    metadata: '{}',
  }))
}

export async function fill(database: Database, rows: readonly ModelRow[]): Promise<void> {
  await database.write(async (transaction) => {
    for (let at = 0; at < rows.length; at += 100) {
      await transaction
        .insertInto('models')
        .values(rows.slice(at, at + 100))
        .execute()
    }
  })
}

export function resourceOf(row: ModelRow, type: string): Resource {
  return { type, id: row.model_id, owner: ownerOf(row) }
}

/** The order of lists: by time, then by the bytes of the id. */
export function inOrder(rows: readonly ModelRow[]): ModelRow[] {
  return rows.toSorted((a, b) => a.created_at - b.created_at || Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)))
}
