import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { compileAccessPolicy } from '../../src/access/access-policy.ts'
import type { AccessRule } from '../../src/access/schema.ts'
import { requireGrantable } from '../../src/api/keys/permissions.ts'
import type { Call } from '../../src/call.ts'
import { compileWildcard } from '../../src/quota/patterns.ts'
import { engines } from '../../src/testing/engines.ts'
import { type HttpResponse, type KeyBench, keyBench, type KeyServer, until } from './server.ts'
import { runs } from '../../src/testing/sizes.ts'

const keys = '/v1alpha/admin/keys'
const anything: AccessRule = { permit: { actions: ['create', 'read', 'update', 'delete'] } }

const create = (server: KeyServer, token: string, body: HttpResponse) => server.ask(keys, { token, body: { name: 'new', ...body } })

for (const engine of engines) {
  describe(engine.name, () => {
    let bench: KeyBench
    beforeEach(async () => void (bench = await keyBench(engine)))
    afterEach(() => bench[Symbol.asyncDispose]())

    /** A server whose policy has these rules, and the token of `alice` of team a, which works there. */
    async function withAlice(rules?: readonly AccessRule[], more: Parameters<KeyBench['issue']>[0] = { name: 'alice' }) {
      const server = await bench.serve(rules && { rules })
      const { id, token } = await bench.issue({ principal: 'alice', attributes: { teams: ['a'] }, ...more })
      expect((await server.ask('/v1/models', { token })).status).toBe(200)
      return { server, token, id }
    }

    test('[KEY-6] neither the default policy nor an unrelated rule permits changing a key over HTTP', async () => {
      for (const rules of [[], [{ permit: { actions: ['read' as const] } }]]) {
        const { server, token, id } = await withAlice(rules)
        const responses = [
          await create(server, token, {}),
          await server.ask(`${keys}/${id}/rotate`, { token, body: {} }),
          await server.ask(`${keys}/${id}`, { token, method: 'DELETE' }),
        ]
        for (const { status, json } of responses) {
          expect({ status, code: json['error'].code }).toEqual({
            status: 403,
            code: rules.length === 0 ? 'permit_required' : 'access_denied',
          })
        }
        expect((await server.ask(`${keys}/${id}`, { token })).json).toMatchObject({ id, status: 'active' })
      }
      await until(() => bench.auditLines().filter(({ denied_by: by }) => by === 'access_policy').length === 6)
    })

    test('[KEY-6] without authentication only the command line manages keys, and the response says so', async () => {
      const server = await bench.serve({ authenticated: false })
      const { id } = await bench.issue({ name: 'x' })
      for (const response of [
        await server.ask(keys, { body: { name: 'x' } }),
        await server.ask(keys),
        await server.ask(`${keys}/${id}`),
        await server.ask(`${keys}/${id}/rotate`, { body: {} }),
        await server.ask(`${keys}/${id}`, { method: 'DELETE' }),
      ]) {
        expect(response).toMatchObject({
          status: 403,
          json: { error: { code: 'authentication_required', message: expect.stringContaining('corral keys') } },
        })
      }
    })

    test('[KEY-7] a key for oneself has no attribute that one has not', async () => {
      const { server, token } = await withAlice()
      expect((await create(server, token, {})).json).toMatchObject({ principal: 'alice', attributes: { teams: ['a'] }, owner: 'alice' })
      expect((await create(server, token, { attributes: {} })).json).toMatchObject({ attributes: {} })
      for (const attributes of [{ teams: ['b'] }, { teams: ['a', 'b'] }, { roles: ['admin'] }, { constructor: ['x'] }]) {
        const { status, json } = await create(server, token, { attributes })
        expect({ status, error: json['error'] }).toMatchObject({ status: 403, error: { code: 'key_exceeds_caller', param: 'attributes' } })
      }
    })

    test('[KEY-7] a key for somebody else takes a rule about that principal', async () => {
      const { server, token } = await withAlice()
      expect((await create(server, token, { principal: 'bob' })).status).toBe(403)
      const rules: AccessRule[] = [
        { permit: { actions: ['create'], resource: 'api_key::*' } },
        { permit: { actions: ['create'], resource: 'principal::ci-*' } },
        { permit: { actions: ['read'] } },
      ]
      const allowed = await withAlice(rules)
      expect((await create(allowed.server, token, { principal: 'bob' })).status).toBe(403)
      const made = await create(allowed.server, token, { principal: 'ci-1', attributes: { teams: ['ci'] } })
      expect(made.json).toMatchObject({ principal: 'ci-1', attributes: { teams: ['ci'] }, owner: 'alice' })
    })

    test('[KEY-7] rules about owners do not grant access to a team mate’s key', async () => {
      const rules: AccessRule[] = ['resource is unowned', 'user is owner', 'user in owners teams'].map((when) => ({ ...anything, when }))
      const { server, token } = await withAlice(rules)
      expect((await create(server, token, {})).status).toBe(200)
      expect((await create(server, token, { principal: 'bob' })).status).toBe(403)
      const bobs = await bench.issue({ name: 'bob', principal: 'bob', attributes: { teams: ['a'] } })
      // Seen, since the team shares it, and yet its secret is not to be had.
      expect((await server.ask(`${keys}/${bobs.id}`, { token })).status).toBe(200)
      expect((await server.ask(`${keys}/${bobs.id}/rotate`, { token, body: {} })).status).toBe(403)
    })

    test('[KEY-7] a caller with a key creates none that may do more than that', async () => {
      const soon = Math.floor(Date.now() / 1000) + 1_000
      const narrow = { name: 'narrow', allowed_models: ['up/*', 'x'], allowed_apis: ['admin', 'models'], expires_at: soon }
      const { server, token, id } = await withAlice([anything], narrow)
      const within = { allowed_models: ['up/s*', 'x'], allowed_apis: ['models'], expires_at: soon }
      expect((await create(server, token, within)).status).toBe(200)
      const cases: [HttpResponse, string][] = [
        [{ ...within, allowed_models: null }, 'allowed_models'],
        [{ ...within, allowed_models: ['u*'] }, 'allowed_models'],
        [{ ...within, allowed_apis: null }, 'allowed_apis'],
        [{ ...within, allowed_apis: ['models', 'inference'] }, 'allowed_apis'],
        [{ ...within, expires_at: null }, 'expires_at'],
        [{ ...within, expires_at: soon + 1 }, 'expires_at'],
      ]
      for (const [body, param] of cases) {
        expect(await create(server, token, body)).toMatchObject({ status: 403, json: { error: { code: 'key_exceeds_caller', param } } })
      }
      // Its own it may renew; a wider one of its principal's it may not.
      const wide = await bench.issue({ name: 'wide', principal: 'alice', attributes: { teams: ['a'] } })
      expect((await server.ask(`${keys}/${wide.id}/rotate`, { token, body: {} })).status).toBe(403)
      expect((await server.ask(`${keys}/${id}/rotate`, { token, body: { grace_seconds: 60 } })).status).toBe(200)
    })

    test('[KEY-7] who came with a key that has limits makes none', async () => {
      const { server, token } = await withAlice([anything], { name: 'limited', limits: [{ period: 'day', requests: 1_000 }] })
      expect(await create(server, token, { limits: [{ period: 'day', requests: 1 }] })).toMatchObject({
        status: 403,
        json: { error: { code: 'key_exceeds_caller' } },
      })
    })

    test('[KEY-8] another principal’s key cannot be seen, detected or changed', async () => {
      const { server, token } = await withAlice()
      const bobs = await bench.issue({ name: 'bob', principal: 'bob' })
      const absent = `key_${'0'.repeat(32)}`
      for (const [path, options] of [
        ['', {}],
        ['', { method: 'DELETE' }],
        ['/rotate', { body: {} }],
      ] as const) {
        const [theirs, none] = [bobs.id, absent].map((id) => server.ask(`${keys}/${id}${path}`, { token, ...options }))
        const [a, b] = [await theirs!, await none!]
        expect(a.status).toBe(404)
        expect({ ...a.json, headers: [...a.headers.keys()] }).toEqual({
          ...JSON.parse(JSON.stringify(b.json).replace(absent, bobs.id)),
          headers: [...b.headers.keys()],
        })
      }
      expect((await server.ask(keys, { token })).json['data'].map(({ principal }: HttpResponse) => principal)).toEqual(['alice'])
      expect((await server.ask('/v1/models', { token: bobs.token })).status).toBe(200)
    })

    test('[KEY-9] what is wrong with a key is said with the name of the field', async () => {
      const { server, token } = await withAlice()
      const cases: [HttpResponse, string][] = [
        [{ name: '' }, 'name'],
        [{ name: 'line\nbreak' }, 'name'],
        [{ name: 'half a pair \ud800' }, 'name'],
        [{ secret: 'mine' }, 'secret'],
        [{ attributes: { teams: 'a' } }, 'attributes.teams'],
        [{ allowed_models: [] }, 'allowed_models'],
        [{ allowed_models: ['a', ''] }, 'allowed_models[1]'],
        [{ allowed_apis: ['models', 'inferrence'] }, 'allowed_apis[1]'],
        [{ expires_at: 1 }, 'expires_at'],
        [{ expires_at: 'tomorrow' }, 'expires_at'],
        [{ limits: [{ period: 'day' }] }, 'limits[0]'],
        [{ limits: [{ requests: 1 }] }, 'limits[0].period'],
        [{ limits: [{ requests: -1, period: 'day' }] }, 'limits[0].requests'],
        [{ limits: [{ dollars: 0, period: 'day' }] }, 'limits[0].dollars'],
        [{ limits: [{ dollars: 1e-10, period: 'day' }] }, 'limits[0].dollars'],
        [{ limits: [{ requests: 1, period: 'fortnight' }] }, 'limits[0].period'],
      ]
      for (const [body, param] of cases) {
        const { status, json } = await create(server, token, body)
        expect({ body, status, param: json['error'].param }).toEqual({ body, status: 400, param })
      }
      const { json: tiny } = await create(server, token, { limits: [{ dollars: 1e-10, period: 'day' }] })
      expect(tiny['error'].message).toContain('below the minimum of 0.000000001 US dollars')
      expect((await create(server, token, { limits: [{ dollars: 1e-9, period: 'day' }] })).json['limits']).toEqual([
        { dollars: 1e-9, period: 'day' },
      ])
      expect(await server.ask(`${keys}?limit=0`, { token })).toMatchObject({ status: 400, json: { error: { param: 'limit' } } })
      expect(await server.ask(`${keys}?after=nothing`, { token })).toMatchObject({ status: 400, json: { error: { param: 'after' } } })
    })
  })
}

test('[KEY-7] a pattern that is let pass matches no model that the own key does not', () => {
  const letters = fc.constantFrom('a', 'b', '*')
  const pattern = fc.array(letters, { minLength: 1, maxLength: 6 }).map((parts) => parts.join(''))
  const model = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 8 }).map((parts) => parts.join(''))
  const policy = compileAccessPolicy([])
  let passed = 0
  fc.assert(
    fc.property(
      fc.array(pattern, { minLength: 1, maxLength: 3 }),
      pattern,
      fc.array(model, { minLength: 20, maxLength: 20 }),
      (own, wanted, models) => {
        const call: Call = {
          requestId: 'x',
          signal: new AbortController().signal,
          providerData: {},
          principal: { id: 'alice', attributes: {}, key: { id: 'key_1', allowedModels: own, limits: [] } },
        }
        const requestedKey = { id: 'key_2', principal: 'alice', attributes: {}, allowed_models: [wanted] }
        try {
          requireGrantable(policy, call, requestedKey, undefined)
        } catch {
          return
        }
        passed++
        for (const id of models) if (compileWildcard(wanted)(id)) expect(own.some((one) => compileWildcard(one)(id))).toBe(true)
      },
    ),
    { numRuns: runs(5_000) },
  )
  expect(passed).toBeGreaterThan(runs(5_000) / 50)
})
