import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { compileAccessPolicy, defaultAccessPolicy } from '../../src/access/access-policy.ts'
import { ownedRows } from '../../src/access/owned-rows.ts'
import type { AccessSubject, NewRow, OwnedRowsOptions } from '../../src/access/owned-table.ts'
import type { ModelRow } from '../../src/storage/tables.ts'
import type { AccessPolicy } from '../../src/access/policy.ts'
import { accessPolicySchema, type AccessRule } from '../../src/access/schema.ts'
import { type Principal, systemPrincipal } from '../../src/call.ts'
import { ApiError } from '../../src/errors.ts'
import type { Database } from '../../src/storage/database.ts'
import { engines } from '../../src/testing/engines.ts'
import { failureOf } from '../../src/testing/index.ts'
import { anyRules, plainRules, user } from './generate.ts'
import { fill, inOrder, resourceOf, someRows } from './rows.ts'
import { runs } from '../../src/testing/sizes.ts'

const alice: Principal = { id: 'alice', attributes: { teams: ['a'] } }
const mate: Principal = { id: 'mate', attributes: { teams: ['a'] } }
const bob: Principal = { id: 'bob', attributes: { teams: ['b'] } }
const as = (principal: Principal | undefined): AccessSubject => ({ requestId: 'r', principal })
const rules = (...list: AccessRule[]) => compileAccessPolicy(accessPolicySchema.parse(list))

const newRow = (id: string): NewRow<ModelRow> => ({
  id,
  created_at: 1,
  model_id: id,
  provider_id: 'p',
  provider_model_id: 'm',
  model_type: 'llm',
  metadata: '{}',
})

/** All of it that a caller sees. */
const shown = ({ status, type, code, param, headers, message }: ApiError, id: string) =>
  JSON.stringify({ status, type, code, param, headers, message }).replaceAll(id, 'ID')

async function refusal(work: Promise<unknown>): Promise<ApiError> {
  const error = await failureOf(work)
  if (error instanceof ApiError) return error
  throw error
}

async function revisionOf(database: Database, scope: string): Promise<number | undefined> {
  const row = await database.read.selectFrom('revisions').select('value').where('scope', '=', scope).executeTakeFirst()
  return row?.value
}

for (const engine of engines) {
  describe(engine.name, () => {
    let database: Database
    beforeAll(async () => {
      database = await engine.open()
    })
    afterAll(() => database[Symbol.asyncDispose]())

    const warnings: unknown[] = []
    const store = (policy: AccessPolicy = defaultAccessPolicy, over: Partial<OwnedRowsOptions<ModelRow>> = {}) =>
      ownedRows<ModelRow>({
        database,
        table: 'models',
        type: 'model',
        kind: 'Model',
        policy,
        events: {
          async resourceChanged({ event, resource, detail, call }) {
            warnings.push([call.principal?.id, event, resource, detail])
          },
        },
        ...over,
      })

    test('[POL-17] a new row belongs to its creator with the creator’s attributes; it is unowned without authentication', async () => {
      warnings.length = 0
      const made = await store().insert(as(alice), newRow('stamped'), { detail: { new: true } })
      expect(made).toMatchObject({ id: 'stamped', owner_id: 'alice', owner_attributes: '{"teams":["a"]}' })
      expect(await store().get(as(mate), 'stamped')).toEqual(made)
      expect(await store().insert(as(undefined), newRow('free'))).toMatchObject({ owner_id: null, owner_attributes: '{}' })
      expect(await store().get(as(bob), 'free')).toMatchObject({ id: 'free' })
      expect(warnings).toEqual([
        ['alice', 'model.created', 'model::stamped', { new: true }],
        [undefined, 'model.created', 'model::free', undefined],
      ])
    })

    test('only the server itself can set the owner of a row', async () => {
      expect(await store().insert(as(systemPrincipal), newRow('given'), { owner: bob })).toMatchObject({ owner_id: 'bob' })
      expect(await store().insert(as(systemPrincipal), newRow('public'), { owner: null })).toMatchObject({ owner_id: null })
      expect(await failureOf(store().insert(as(systemPrincipal), newRow('whose')))).toMatchObject({
        message: expect.stringContaining('needs an owner'),
      })
      expect(await failureOf(store().insert(as(alice), newRow('not-mine'), { owner: bob }))).toMatchObject({
        message: expect.stringContaining('only the server'),
      })
    })

    test('[POL-18] what may not be read gets the same response as what does not exist; only the log differs', async () => {
      await store().insert(as(alice), newRow('hers'))
      const work = {
        get: (id: string) => store().get(as(bob), id),
        update: (id: string) => store().update(as(bob), id, { metadata: '1' }),
        delete: (id: string) => store().delete(as(bob), id),
      }
      for (const attempt of Object.values(work)) {
        const [hidden, absent] = [await refusal(attempt('hers')), await refusal(attempt('none'))]
        expect(hidden.status).toBe(404)
        expect(shown(hidden, 'hers')).toBe(shown(absent, 'none'))
        expect(hidden.denial).toMatchObject({ by: 'access_policy', action: 'read', resource: 'model::hers' })
        expect(absent.denial).toBeUndefined()
      }
      expect(await store().get(as(alice), 'hers')).toMatchObject({ metadata: '{}' })
      for (const odd of ['a\0b', '\ud800']) expect((await refusal(work.get(odd))).status).toBe(404)
    })

    test('[POL-19] what may be read and not changed is 403, and stays as it is', async () => {
      const readers = rules({ permit: { actions: 'read' } }, { permit: { actions: ['create', 'update', 'delete'], principal: 'alice' } })
      await store(readers).insert(as(alice), newRow('shown'))
      expect((await refusal(store(readers).insert(as(bob), newRow('new')))).status).toBe(403)
      for (const work of [store(readers).update(as(bob), 'shown', { metadata: '1' }), store(readers).delete(as(bob), 'shown')]) {
        const refused = await refusal(work)
        expect(refused.status).toBe(403)
        expect(refused.message).toContain("User 'bob' (attributes: teams=['b']) cannot perform action")
        expect(refused.denial?.resource).toBe('model::shown')
      }
      expect(await store(readers).get(as(bob), 'shown')).toMatchObject({ metadata: '{}' })
      await store(readers).update(as(alice), 'shown', { metadata: '2' })
      await store(readers).delete(as(alice), 'shown')
      expect((await refusal(store(readers).get(as(alice), 'shown'))).status).toBe(404)
    })

    test('[POL-17] a change never changes whose a row is', async () => {
      const before = await store().insert(as(alice), newRow('kept'))
      const stolen = { owner_id: 'bob', owner_attributes: '{}', id: 'other', created_at: 9, metadata: 'new' } as never
      const after = await store().update(as(mate), 'kept', stolen)
      expect(after).toEqual({ ...before, metadata: 'new' })
      expect(await store().get(as(alice), 'kept')).toEqual(after)
      expect(await store().update(as(alice), 'kept', ({ metadata }) => ({ metadata: `${metadata}er` }))).toMatchObject({
        metadata: 'newer',
      })
    })

    test('[POL-19] a change may take the right to delete', async () => {
      const mayNotDelete = rules({ forbid: { actions: 'delete' } }, { permit: { actions: ['create', 'read', 'update'] } })
      await store(mayNotDelete).insert(as(alice), newRow('lasting'))
      const change = (action: 'update' | 'delete') => store(mayNotDelete).update(as(alice), 'lasting', { metadata: action }, { action })
      expect((await refusal(change('delete'))).message).toContain("cannot perform action 'delete'")
      expect(await change('update')).toMatchObject({ metadata: 'update' })
    })

    test('an id that is taken is a conflict', async () => {
      await store().insert(as(alice), newRow('taken'))
      const refused = await refusal(store().insert(as(alice), newRow('taken')))
      expect([refused.status, refused.code, refused.retryable]).toEqual([409, 'already_exists', false])
    })

    test('[POL-20] where a rule has to permit it, the default policy and the want of authentication are not enough', async () => {
      const explicit = { explicit: ['create', 'delete'] as const }
      for (const who of [alice, undefined]) {
        expect((await refusal(store(defaultAccessPolicy, explicit).insert(as(who), newRow('x1')))).status).toBe(403)
      }
      const permits = rules({ permit: { actions: ['create', 'read'] } })
      await store(permits, explicit).insert(as(alice), newRow('x1'))
      expect((await refusal(store(defaultAccessPolicy, explicit).delete(as(alice), 'x1'))).status).toBe(403)
      await store(defaultAccessPolicy, explicit).update(as(alice), 'x1', { metadata: '1' })
      await store(defaultAccessPolicy, explicit).delete(as(systemPrincipal), 'x1')
    })

    test('users whom a table cannot hold own nothing', async () => {
      for (const id of ['', 'a\0', '\udfff', 'x'.repeat(10_000)]) {
        expect((await refusal(store().insert(as({ id, attributes: {} }), newRow('odd')))).status).toBe(403)
      }
      const odd = { id: 'odd', attributes: { teams: ['\0', 'ok', '\ud800'], 'x\0': ['y'] } }
      expect(await store().insert(as(odd), newRow('odd'))).toMatchObject({ owner_attributes: '{"teams":["ok"]}' })
      expect((await store().list(as(odd), { limit: 500, order: 'asc' })).rows.map(({ id }) => id)).toContain('odd')
    })

    test('a row cannot be swapped between the check and the change', async () => {
      for (let round = 0; round < 30; round++) {
        await store().insert(as(alice), newRow('raced'))
        const swap = database.write(async (transaction) => {
          await transaction.deleteFrom('models').where('id', '=', 'raced').execute()
          const row = { ...newRow('raced'), owner_id: 'bob', owner_attributes: '{}' }
          await transaction.insertInto('models').values(row).execute()
        })
        const [changed] = await Promise.allSettled([store().update(as(alice), 'raced', { metadata: 'alice was here' }), swap])
        expect(await store().get(as(bob), 'raced')).toMatchObject({ owner_id: 'bob', metadata: '{}' })
        if (changed.status === 'rejected') expect((changed.reason as ApiError).status).toBe(404)
        await store().delete(as(bob), 'raced')
      }
    })

    test('[RES-4] each change raises the revision of the table in its own transaction', async () => {
      const counted = store(defaultAccessPolicy, { revision: 'counted' })
      await counted.insert(as(alice), newRow('counted'))
      await counted.update(as(alice), 'counted', { metadata: '{"a":1}' })
      expect(await revisionOf(database, 'counted')).toBe(2)
      expect((await refusal(counted.insert(as(alice), newRow('counted')))).status).toBe(409)
      expect((await refusal(counted.delete(as(bob), 'counted'))).status).toBe(404)
      expect(await revisionOf(database, 'counted')).toBe(2)
      await counted.delete(as(alice), 'counted')
      expect(await revisionOf(database, 'counted')).toBe(3)
    })
  })

  describe(`${engine.name}, in pages`, () => {
    const rows = someRows(240, 7)
    let database: Database
    beforeAll(async () => {
      database = await engine.open()
      await fill(database, rows)
    })
    afterAll(() => database[Symbol.asyncDispose]())

    test('[POL-21] pages are full, in order, and show every row that may be read once', async () => {
      let several = 0
      await fc.assert(
        fc.asyncProperty(
          fc.oneof(plainRules, anyRules),
          user,
          fc.integer({ min: 1, max: 60 }),
          fc.constantFrom('asc' as const, 'desc' as const),
          async (list, principal, limit, order) => {
            const policy = rules(...list)
            const store = ownedRows<ModelRow>({ database, table: 'models', type: 'model', kind: 'Model', policy, idColumn: 'model_id' })
            const expected = inOrder(rows).filter((row) => {
              return policy.decide({ principal, action: 'read', resource: resourceOf(row, 'model') }).allowed
            })
            if (order === 'desc') expected.reverse()
            const seen: string[] = []
            for (let after: string | undefined; ; after = seen.at(-1)) {
              const page = await store.list(as(principal), { limit, order, after })
              seen.push(...page.rows.map(({ id }) => id))
              expect(page.rows.length).toBe(Math.min(limit, expected.length - (seen.length - page.rows.length)))
              expect(page.hasMore).toBe(seen.length < expected.length)
              if (!page.hasMore) break
              several += 1
            }
            expect(seen).toEqual(expected.map(({ id }) => id))
          },
        ),
        { numRuns: runs(200) },
      )
      expect(several).toBeGreaterThan(runs(200) / 4)
    }, 120_000)

    test('another’s row is no place to begin a page at', async () => {
      const policy = rules({ permit: { actions: 'read', principal: 'alice' } })
      const store = ownedRows<ModelRow>({ database, table: 'models', type: 'model', kind: 'Model', policy, idColumn: 'model_id' })
      const refused = async (after: string) => refusal(store.list(as(bob), { limit: 5, order: 'asc', after }))
      const [hidden, absent] = [await refused(rows[0]!.id), await refused('row-none')]
      expect([hidden.status, hidden.message.replace(rows[0]!.id, '')]).toEqual([400, absent.message.replace('row-none', '')])
    })
  })
}
