import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { compileAccessPolicy } from '../../src/access/access-policy.ts'
import { accessFilter } from '../../src/access/filter.ts'
import type { AccessPolicy } from '../../src/access/policy.ts'
import { accessPolicySchema } from '../../src/access/schema.ts'
import { systemPrincipal } from '../../src/call.ts'
import type { Database } from '../../src/storage/database.ts'
import { engines } from '../../src/testing/engines.ts'
import { action, anyRules, plainRules, user } from './generate.ts'
import { fill, resourceOf, someRows } from './rows.ts'
import { runs } from '../../src/testing/sizes.ts'

const rows = someRows(300, 42)
const type = fc.constantFrom('model', 'model', 'sql_record::openai_files', 'file')

const idsByDecision = (policy: AccessPolicy, { principal, action: what, type: of }: Parameters<typeof accessFilter>[1]) =>
  rows
    .filter((row) => policy.decide({ principal, action: what, resource: resourceOf(row, of) }).allowed)
    .map(({ id }) => id)
    .toSorted()

for (const engine of engines) {
  describe(engine.name, () => {
    let database: Database
    beforeAll(async () => {
      database = await engine.open()
      await fill(database, rows)
    })
    afterAll(() => database[Symbol.asyncDispose]())

    async function idsBySql(policy: AccessPolicy, question: Parameters<typeof accessFilter>[1]) {
      const { where, exact } = accessFilter(policy, question, { engine: engine.name, table: 'models', idColumn: 'model_id' })
      const found = await database.read.selectFrom('models').select('id').where(where).execute()
      return { found: found.map(({ id }) => id).toSorted(), exact }
    }
    test('[POL-16] the policy as SQL and as a decision agree, row by row', async () => {
      let warnings = 0
      await fc.assert(
        fc.asyncProperty(plainRules, user, action, type, async (rules, principal, what, of) => {
          const policy = compileAccessPolicy(accessPolicySchema.parse(rules))
          const question = { principal, action: what, type: of }
          const { found, exact } = await idsBySql(policy, question)
          expect(exact).toBe(true)
          expect(found).toEqual(idsByDecision(policy, question))
          if (found.length > 0 && found.length < rows.length) warnings += 1
        }),
        { numRuns: runs(1_000) },
      )
      // Enough of them must have distinguished rows.
      expect(warnings).toBeGreaterThan(runs(1_000) / 10)
    }, 120_000)

    test('[POL-16] with regular expressions SQL lets pass whatever is allowed, and says where it says too much', async () => {
      let exactly = 0
      await fc.assert(
        fc.asyncProperty(anyRules, user, action, type, async (rules, principal, what, of) => {
          const policy = compileAccessPolicy(accessPolicySchema.parse(rules))
          const question = { principal, action: what, type: of }
          const { found, exact } = await idsBySql(policy, question)
          const allowed = idsByDecision(policy, question)
          expect(new Set(found).isSupersetOf(new Set(allowed))).toBe(true)
          if (!exact) return
          exactly += 1
          expect(found).toEqual(allowed)
        }),
        { numRuns: runs(1_000) },
      )
      expect(exactly).toBeGreaterThan(runs(1_000) / 5)
    }, 120_000)

    test('without authentication and for the server itself: everything', async () => {
      const closed = compileAccessPolicy(accessPolicySchema.parse([{ forbid: { actions: ['create', 'read', 'update', 'delete'] } }]))
      for (const principal of [undefined, systemPrincipal]) {
        expect((await idsBySql(closed, { principal, action: 'read', type: 'model' })).found).toHaveLength(rows.length)
      }
      expect((await idsBySql(closed, { principal: { ...systemPrincipal }, action: 'read', type: 'model' })).found).toEqual([])
    })

    test('what not both engines can hold matches nothing, and breaks nothing', async () => {
      const policy = compileAccessPolicy([])
      const odd = { id: 'a\0b', attributes: { roles: ['\0', '\ud800', 'x\0'], 'te\0ams': ['x'] } }
      const { found } = await idsBySql(policy, { principal: odd, action: 'read', type: 'model' })
      expect(found).toEqual(idsByDecision(policy, { principal: odd, action: 'read', type: 'model' }))
    })
  })
}
