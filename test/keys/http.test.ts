import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import OpenAI from 'openai'
import { crc32 } from 'node:zlib'
import { idOfToken, createToken } from '../../src/auth/keys/token.ts'
import { Secret } from '../../src/secret.ts'
import { newId } from '../../src/storage/ids.ts'
import { engines } from '../../src/testing/engines.ts'
import { chat, type KeyBench, keyBench, type KeyServer, secretsOf, until } from './server.ts'
import { runs } from '../../src/testing/sizes.ts'

const keys = '/v1alpha/admin/keys'

for (const engine of engines) {
  describe(engine.name, () => {
    let bench: KeyBench
    let server: KeyServer
    let admin: string
    beforeEach(async () => {
      bench = await keyBench(engine)
      server = await bench.serve()
      admin = (await bench.issue({ name: 'root', principal: 'root', attributes: { roles: ['admin'] } })).token
      expect((await server.ask(keys, { token: admin })).status).toBe(200)
    })
    afterEach(() => bench[Symbol.asyncDispose]())

    test('[KEY-1] the life of a key over HTTP: made, shown once, used, rotated, revoked', async () => {
      const wanted = {
        name: 'search ci',
        principal: 'search',
        attributes: { teams: ['search'] },
        allowed_models: ['up/*'],
        allowed_apis: ['inference', 'models'],
        limits: [{ requests: 1_000, period: 'minute' }, { concurrent_requests: 5 }],
        expires_at: Math.floor(Date.now() / 1000) + 3_600,
      }
      const made = await server.ask(keys, { token: admin, body: wanted })
      expect(made.status).toBe(200)
      expect(made.headers.get('cache-control')).toBe('no-store')
      const { value: token, ...info } = made.json
      expect(info).toMatchObject({
        object: 'api_key',
        status: 'active',
        owner: 'root',
        revoked_at: null,
        ...wanted,
        limits: [wanted.limits[0], { ...wanted.limits[1], period: 'minute' }],
      })
      const id = String(info['id'])

      // At once, in this process; with each kind of client.
      expect((await server.ask('/v1/chat/completions', { token, body: chat() })).status).toBe(200)
      for (const header of ['x-api-key', 'x-goog-api-key']) {
        expect((await server.ask('/v1/chat/completions', { headers: { [header]: token }, body: chat() })).status).toBe(200)
      }
      const openai = new OpenAI({ apiKey: token, baseURL: `${server.url}/v1`, maxRetries: 0 })
      expect((await openai.chat.completions.create({ model: 'up/small', messages: [{ role: 'user', content: 'hi' }] })).id).toBeDefined()

      const got = await server.ask(`${keys}/${id}`, { token: admin })
      expect(got.json).toEqual(info)
      const listed = await server.ask(keys, { token: admin })
      expect(listed.json['data'][0]).toEqual(info)

      const rotated = await server.ask(`${keys}/${id}/rotate`, { token: admin, body: { grace_seconds: 3_600 } })
      expect(rotated.json).toMatchObject({ id, previous_valid_until: expect.any(Number) })
      const next = String(rotated.json['value'])
      for (const one of [token, next]) expect((await server.ask('/v1/models', { token: one })).status).toBe(200)
      const again = await server.ask(`${keys}/${id}/rotate`, { token: admin, body: {} })
      const last = String(again.json['value'])
      for (const one of [token, next]) expect((await server.ask('/v1/models', { token: one })).status).toBe(401)
      expect((await server.ask('/v1/models', { token: last })).status).toBe(200)

      const revoked = await server.ask(`${keys}/${id}`, { token: admin, method: 'DELETE' })
      expect(revoked.json).toMatchObject({ id, status: 'revoked', revoked_at: expect.any(Number) })
      const refused = await server.ask('/v1/models', { token: last })
      expect(refused).toMatchObject({
        status: 401,
        json: { error: { message: 'This API key has been revoked.', type: 'authentication_error' } },
      })
      expect(refused.headers.get('www-authenticate')).toStartWith('Bearer')
      // A caller without the whole key does not learn its state.
      expect((await server.ask('/v1/models', { token: createToken(id).reveal() })).json['error'].message).toBe('Invalid API key.')
      expect((await server.ask(`${keys}/${id}`, { token: admin, method: 'DELETE' })).json).toEqual(revoked.json)
      expect((await server.ask(`${keys}/${id}/rotate`, { token: admin, body: {} })).status).toBe(409)

      await until(() => bench.auditLines().some(({ event }) => event === 'api_key.revoked'))
      const changes = bench.auditLines().filter(({ event }) => String(event).startsWith('api_key.'))
      expect(changes.map(({ event }) => event)).toEqual(['api_key.created', 'api_key.rotated', 'api_key.rotated', 'api_key.revoked'])
      expect(changes.every(({ principal, resource }) => principal === 'root' && resource === `api_key::${id}`)).toBe(true)
      const everywhere = bench.written() + JSON.stringify([info, got.json, listed.json, revoked.json, refused.json])
      for (const one of [token, next, last, admin]) for (const secret of secretsOf(one)) expect(everywhere).not.toContain(secret)
    })

    test('[KEY-2] a key that one replica revokes is refused by the other once that has seen the new revision', async () => {
      const other = await bench.serve()
      const { id, token } = await bench.issue({ name: 'x' })
      expect((await other.ask('/v1/models', { token })).status).toBe(200)
      expect((await server.ask(`${keys}/${id}`, { token: admin, method: 'DELETE' })).status).toBe(200)
      const revision = await revisionOf(bench)
      await until(async () => (await other.ask('/v1/models', { token })).status === 401)
      // Nothing else was changed meanwhile: it is this change that it saw.
      expect(await revisionOf(bench)).toBe(revision)
    })

    test('[KEY-2] a key made on the machine works with a running server, and is refused once it is revoked there', async () => {
      const { id, token } = await bench.issue({ name: 'x' })
      expect((await server.ask('/v1/models', { token })).status).toBe(200)
      await bench.operator.revoke(bench.operatorCall, id)
      await until(async () => (await server.ask('/v1/models', { token })).status === 401)
    })

    test('[KEY-3] under another pepper every key is refused, and one line says why', async () => {
      const other = await bench.serve({ pepper: new Secret('another pepper altogether') })
      const { token } = await bench.issue({ name: 'x' })
      for (const one of [token, admin, token]) {
        expect(await other.ask('/v1/models', { token: one })).toMatchObject({
          status: 401,
          json: { error: { message: 'Invalid API key.' } },
        })
      }
      const warnings = other.log.lines.filter(({ level, message }) => level === 'warn' && message.includes('pepper'))
      expect(warnings.length).toBeGreaterThan(0)
      expect(warnings.at(-1)?.message).toContain('made with another pepper, and are refused')
    })

    test('[KEY-4] a changed, corrupt or copied hash authenticates no caller', async () => {
      const [mine, theirs] = [await bench.issue({ name: 'mine' }), await bench.issue({ name: 'theirs' })]
      const { hash } = await bench.database.read.selectFrom('api_keys').select('hash').where('id', '=', mine.id).executeTakeFirstOrThrow()
      const set = async (id: string, value: string) => {
        await bench.database.write((transaction) => transaction.updateTable('api_keys').set({ hash: value }).where('id', '=', id).execute())
      }
      expect((await server.ask('/v1/models', { token: mine.token })).status).toBe(200)
      for (const spoiled of [hash.replace(/.$/, (digit) => (digit === '0' ? '1' : '0')), 'nothing', '', `${hash}00`]) {
        await set(mine.id, spoiled)
        await bench.issue({ name: 'so that it reads anew' })
        await until(async () => (await server.ask('/v1/models', { token: mine.token })).status === 401)
      }
      // Somebody who can write the table, and has a key, gives another row the hash of the own.
      await set(theirs.id, hash)
      await bench.issue({ name: 'so that it reads anew' })
      await until(async () => (await server.ask('/v1/models', { token: theirs.token })).status === 401)
      const forged = withChecksum(mine.token.replace(mine.id.slice(4), theirs.id.slice(4)))
      expect(idOfToken(forged)).toBe(theirs.id)
      expect(await server.ask('/v1/models', { token: forged })).toMatchObject({
        status: 401,
        json: { error: { message: 'Invalid API key.' } },
      })
    })

    test('[KEY-5] a key sees and uses the models it is for, and other models are not there (404)', async () => {
      const { token } = await bench.issue({ name: 'x', allowed_models: ['up/sm*'] })
      expect((await server.ask('/v1/models', { token })).status).toBe(200)
      await until(async () => (await server.ask('/v1/models', { token: admin })).json['data'].length === 2)
      expect((await server.ask('/v1/models', { token })).json['data'].map(({ id }: { id: string }) => id)).toEqual(['up/small'])
      expect((await server.ask('/v1/chat/completions', { token, body: chat('up/small') })).status).toBe(200)
      const refused = await server.ask('/v1/chat/completions', { token, body: chat('up/large') })
      const absent = await server.ask('/v1/chat/completions', { token, body: chat('up/nothing') })
      expect(refused).toMatchObject({ status: 404, json: { error: { code: 'model_not_found' } } })
      expect(refused.json['error'].message).toBe(absent.json['error'].message.replace('nothing', 'large'))
      expect((await server.ask('/v1/models/up/large', { token })).status).toBe(404)
    })

    test('[KEY-5] a key uses the APIs it is for, and others are refused (403)', async () => {
      const { token } = await bench.issue({ name: 'x', allowed_apis: ['models'] })
      expect((await server.ask('/v1/models', { token })).status).toBe(200)
      expect(await server.ask('/v1/chat/completions', { token, body: chat() })).toMatchObject({
        status: 403,
        json: { error: { type: 'permission_error', code: 'api_not_permitted' } },
      })
      expect((await server.ask(keys, { token })).status).toBe(403)
    })

    const ask = async (limit: string) => {
      const { status, json } = await server.ask(`${keys}?limit=${limit}`, { token: admin })
      const { message, code } = (json as { error: { message: string; code: string } }).error
      return `${String(status)} ${code} ${message}`
    }

    test('an invalid page limit is reported with its value', async () => {
      expect(await ask('0')).toBe("400 integer_below_min_value Invalid 'limit': expected a value of at least 1, but got 0.")
      expect(await ask('101')).toBe("400 integer_above_max_value Invalid 'limit': expected a value of at most 100, but got 101.")
      expect(await ask('abc')).toBe("400 invalid_type Invalid type for 'limit': expected a number, but got 'abc'.")
      expect(await ask('1.5')).toBe("400 invalid_type Invalid type for 'limit': expected an integer, but got '1.5'.")
    })

    test('the limits of a key hold for it, by its id: not for others of the same principal, and still after a rotation', async () => {
      const limited = await bench.issue({ name: 'x', principal: 'alice', limits: [{ period: 'day', requests: 2 }] })
      const free = await bench.issue({ name: 'y', principal: 'alice' })
      const models = async (token: string) => (await server.ask('/v1/models', { token })).status
      expect(await models(free.token)).toBe(200)
      expect([await models(limited.token), await models(limited.token), await models(limited.token), await models(free.token)]).toEqual([
        200, 200, 429, 200,
      ])
      const rotated = await server.ask(`${keys}/${limited.id}/rotate`, { token: admin, body: {} })
      expect(await models(String(rotated.json['value']))).toBe(429)
    })

    test('[KEY-8] lists go by pages, newest first, each key once, and only those that may be read', async () => {
      const { token } = await bench.issue({ name: 'bob', principal: 'bob' })
      for (let n = 0; n < 7; n++) await bench.issue({ name: `key ${n}`, principal: n % 2 ? 'bob' : 'alice' })
      expect((await server.ask(keys, { token })).status).toBe(200)
      const names: string[] = []
      for (let after = '', more = true; more;) {
        const { json } = await server.ask(`${keys}?limit=2${after && `&after=${after}`}`, { token })
        names.push(...json['data'].map(({ name }: { name: string }) => name))
        after = json['last_id']
        more = json['has_more']
      }
      expect(names).toEqual(['key 5', 'key 3', 'key 1', 'bob'])
      const all = await server.ask(`${keys}?limit=100&order=asc`, { token: admin })
      expect(all.json['data'].length).toBe(9)
      expect(all.json).toMatchObject({ object: 'list', has_more: false, first_id: all.json['data'][0].id, last_id: all.json['data'][8].id })
    })

    test('whatever is shown as a key is refused, and never an error of ours', async () => {
      const { token } = await bench.issue({ name: 'x' })
      expect((await server.ask('/v1/models', { token })).status).toBe(200)
      const printable = fc.string({ unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCodePoint(code)), maxLength: 200 })
      const attempt = fc.oneof(
        printable.map((text) => `crl_${text}`),
        fc.tuple(fc.nat({ max: token.length - 1 }), printable).map(([at, text]) => token.slice(0, Math.max(4, at)) + text),
        fc.integer({ min: 0, max: 2 ** 47 }).map((time) => createToken(newId('key_', time)).reveal()),
        fc.constant(token).map((text) => text.toUpperCase()),
      )
      await fc.assert(
        fc.asyncProperty(attempt, fc.constantFrom('authorization', 'x-api-key', 'x-goog-api-key'), async (text, header) => {
          fc.pre(text !== token && !/,/.test(text))
          const { status } = await server.ask('/v1/models', { headers: { [header]: header === 'authorization' ? `Bearer ${text}` : text } })
          expect(status).toBe(401)
        }),
        { numRuns: runs(300) },
      )
      expect(server.log.lines.filter(({ level }) => level === 'error')).toEqual([])
    })
  })
}

async function revisionOf(bench: KeyBench): Promise<number | undefined> {
  const row = await bench.database.read.selectFrom('revisions').select('value').where('scope', '=', 'api_keys').executeTakeFirst()
  return row?.value
}

/** The token as it would be with the right checksum at its end. */
function withChecksum(token: string): string {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
  const head = token.slice(0, -6)
  let rest = crc32(head)
  let text = ''
  for (let place = 0; place < 6; place++, rest = Math.floor(rest / 62)) text = digits.charAt(rest % 62) + text
  return head + text
}
