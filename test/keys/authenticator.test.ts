import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { compileAccessPolicy } from '../../src/access/access-policy.ts'
import type { AuthenticationRequest } from '../../src/auth/authenticator.ts'
import { createKeyAuthenticator, type KeyAuthenticator } from '../../src/auth/keys/authenticator.ts'
import type { KeyService } from '../../src/api/keys/service.ts'
import { createKeyService } from '../../src/api/keys/service.ts'
import { createToken } from '../../src/auth/keys/token.ts'
import type { Call, Principal } from '../../src/call.ts'
import { ApiError } from '../../src/errors.ts'
import type { Database } from '../../src/storage/database.ts'
import { newId } from '../../src/storage/ids.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { engines } from '../../src/testing/engines.ts'
import { failureOf } from '../../src/testing/failure-of.ts'
import { recordedLog } from '../../src/testing/recorded-log.ts'
import { pepper, until } from './server.ts'

const start = Date.UTC(2026, 10, 22)
const minute = 60_000

function attempt(token: string | undefined): AuthenticationRequest {
  return {
    request: new Request('http://127.0.0.1/v1/models'),
    credential: token === undefined ? undefined : { header: 'authorization', token },
    peerAddress: undefined,
    signal: new AbortController().signal,
  }
}

for (const engine of engines) {
  describe(engine.name, () => {
    let database: Database
    let authenticator: KeyAuthenticator
    let keys: KeyService
    let time = start
    let away = false
    let now = 0
    const log = recordedLog()
    const operator: Principal = { id: 'os:tester', attributes: {} }
    const call: Call = { requestId: 'cli', signal: new AbortController().signal, principal: operator, providerData: {} }

    beforeEach(async () => {
      time = start
      now = 0
      away = false
      database = await engine.open()
      const events = createEvents(log)
      authenticator = createKeyAuthenticator({ database: withOutages(), pepper, events, clock: () => time, now: () => now })
      keys = createKeyService({
        database,
        policy: compileAccessPolicy([]),
        pepper,
        events,
        operator,
        clock: () => time,
        onChange: () => authenticator.refresh(),
      })
      await authenticator.ready
    })
    afterEach(async () => {
      await authenticator[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    })

    /** The database, whose watch reports failures while it is unavailable. */
    function withOutages(): Pick<Database, 'read' | 'watch'> {
      return {
        get read() {
          if (away) throw new ApiError('service_unavailable_error', 'The database is unavailable.', { code: 'database_unavailable' })
          return database.read
        },
        watch(scope, watcher) {
          let wasAway = false
          const tell = (otherwise: () => void): void => {
            if (away) watcher.onError(new Error('away'))
            else if (wasAway) watcher.onChange()
            else otherwise()
            wasAway = away
          }
          return database.watch(scope, {
            onChange: () => tell(() => watcher.onChange()),
            onError: (error) => watcher.onError(error),
            onPolled: () => tell(() => watcher.onPolled?.()),
          })
        },
      }
    }

    const outcome = async (token: string | undefined): Promise<Principal | { status: number; message: string } | undefined> => {
      try {
        return await authenticator.authenticate(attempt(token))
      } catch (error) {
        if (error instanceof ApiError) return { status: error.status, message: error.message }
        throw error
      }
    }
    const make = async (more: Partial<Parameters<KeyService['create']>[1]> = {}) => {
      const { key, token } = await keys.create(call, { name: 'x', principal: 'alice', ...more })
      return { id: key.id, token: token.reveal() }
    }

    test('what is no key of ours is left to others', async () => {
      for (const token of [undefined, '', 'sk-1234', 'eyJhbGciOi', 'CRL_1', 'crl-1']) expect(await outcome(token)).toBeUndefined()
      expect(await outcome('crl_')).toMatchObject({ status: 401 })
    })

    test('the principal is one object for as long as the key stays the same, given without a promise', async () => {
      const { id, token } = await make({ attributes: { teams: ['a'] }, allowed_models: ['m'], limits: [{ period: 'day', dollars: 1 }] })
      const first = authenticator.authenticate(attempt(token))
      expect(first).toEqual({
        id: 'alice',
        attributes: { teams: ['a'] },
        authenticator: 'api_key',
        key: { id, allowedModels: ['m'], limits: [{ period: 'day', dollars: 1 }] },
      })
      await make()
      expect(authenticator.authenticate(attempt(token))).toBe(first)
      const { token: next } = await keys.rotate(call, id)
      expect(authenticator.authenticate(attempt(next.reveal()))).not.toBe(first)
    })

    test('[KEY-10] a key is refused from the moment at which it expires', async () => {
      const { token } = await make({ expires_at: (start + minute) / 1000 })
      expect(await outcome(token)).toMatchObject({ id: 'alice' })
      time = start + minute - 1
      expect(await outcome(token)).toMatchObject({ id: 'alice' })
      time = start + minute
      expect(await outcome(token)).toEqual({ status: 401, message: 'This API key expired at 2026-11-22T00:01:00.000Z.' })
    })

    test('[KEY-10] the token before a rotation works as long as was asked for, and no longer', async () => {
      const { id, token } = await make()
      const { token: next } = await keys.rotate(call, id, { grace_seconds: minute / 1000 })
      time = start + minute - 1
      expect(await outcome(token)).toMatchObject({ id: 'alice' })
      time = start + minute
      expect(await outcome(token)).toEqual({ status: 401, message: 'This API key was replaced by a new one.' })
      expect(await outcome(next.reveal())).toMatchObject({ id: 'alice' })
      // Revoked within its grace, neither works.
      const third = await keys.rotate(call, id, { grace_seconds: minute / 1000 })
      await keys.revoke(call, id)
      for (const one of [next, third.token]) expect(await outcome(one.reveal())).toMatchObject({ status: 401 })
    })

    test('[KEY-10] without a grace period the token from before a rotation is refused at once with the reason, by any replica’s clock', async () => {
      const { id, token } = await make()
      const { key, token: next } = await keys.rotate(call, id)
      expect(key.previous_valid_until).toBeNull()
      time -= minute
      expect(await outcome(token)).toEqual({ status: 401, message: 'This API key was replaced by a new one.' })
      expect(await outcome(`${token.slice(0, -7)}0${token.slice(-6)}`)).toMatchObject({ status: 401 })
      time += minute
      expect(await outcome(next.reveal())).toMatchObject({ id: 'alice' })
    })

    test('an expired key is given no new token', async () => {
      const { id } = await make({ expires_at: (start + minute) / 1000 })
      time = start + minute
      expect(await failureOf(keys.rotate(call, id))).toMatchObject({ status: 409, code: 'key_not_active' })
    })

    test('[KEY-2] keys stay valid for a minute without the database, then fail with 503', async () => {
      const { token } = await make()
      away = true
      now = 59_000
      expect(await outcome(token)).toMatchObject({ id: 'alice' })
      now = 1_000_000
      await until(async () => 'status' in ((await outcome(token)) ?? {}))
      expect(await outcome(token)).toMatchObject({ status: 503 })
      expect(authenticator.isReadable).toBe(false)
      away = false
      await until(async () => 'id' in ((await outcome(token)) ?? {}))
    })

    test('[KEY-12] a key that is unknown here is a 503 while the database is away, for it may be new; 401 once it is back', async () => {
      const [known, revoked] = [await make(), await make()]
      await keys.revoke(call, revoked.id)
      const unsure = [createToken(newId('key_', start)), createToken(known.id)].map((token) => token.reveal())
      for (const token of unsure) expect(await outcome(token)).toMatchObject({ status: 401 })
      away = true
      const failures = await Promise.all(unsure.map((token) => failureOf(Promise.resolve(authenticator.authenticate(attempt(token))))))
      for (const failure of failures) {
        expect(failure).toMatchObject({ status: 503, code: 'database_unavailable', headers: { 'retry-after': '1' } })
      }
      expect(await outcome(known.token)).toMatchObject({ id: 'alice' })
      expect(await outcome(`${known.token}x`)).toMatchObject({ status: 401 })
      expect(await outcome(revoked.token)).toMatchObject({ status: 401, message: 'This API key has been revoked.' })
      away = false
      for (const token of unsure) expect(await outcome(token)).toMatchObject({ status: 401, message: 'Invalid API key.' })
    })

    test('an unreadable row authenticates no caller, and is logged', async () => {
      for (const column of ['allowed_models', 'allowed_apis', 'limits', 'attributes'] as const) {
        const { id, token } = await make()
        expect(await outcome(token)).toMatchObject({ id: 'alice' })
        await database.write((transaction) =>
          transaction
            .updateTable('api_keys')
            .set({ [column]: '{"not": this' })
            .where('id', '=', id)
            .execute(),
        )
        await authenticator.refresh()
        expect(await outcome(token)).toMatchObject({ status: 401 })
        expect(log.lines.at(-1)?.message).toContain(id)
        await database.write((transaction) => transaction.deleteFrom('api_keys').where('id', '=', id).execute())
      }
    })

    test('two rotations at once leave one token that works', async () => {
      const { id } = await make()
      const all = await Promise.all(Array.from({ length: 4 }, () => keys.rotate(call, id)))
      await authenticator.refresh()
      const working = await Promise.all(all.map(async ({ token }) => 'id' in ((await outcome(token.reveal())) ?? {})))
      expect(working.filter(Boolean).length).toBe(1)
    })
  })
}
