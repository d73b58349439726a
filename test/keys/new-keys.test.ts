import { describe, expect, test } from 'bun:test'
import { compileAccessPolicy } from '../../src/access/access-policy.ts'
import type { AuthenticationRequest } from '../../src/auth/authenticator.ts'
import { createKeyAuthenticator } from '../../src/auth/keys/authenticator.ts'
import { createKeyService } from '../../src/api/keys/service.ts'
import { createToken } from '../../src/auth/keys/token.ts'
import type { Call } from '../../src/call.ts'
import type { Database } from '../../src/storage/database.ts'
import { newId } from '../../src/storage/ids.ts'
import { openDatabase } from '../../src/storage/open.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { silentLog } from '../../src/telemetry/logger.ts'
import { engines } from '../../src/testing/engines.ts'
import { failureOf } from '../../src/testing/failure-of.ts'
import { chat, keyBench, pepper } from './server.ts'

const operator = { id: 'os:tester', attributes: {} }
const call: Call = { requestId: 'cli', signal: new AbortController().signal, principal: operator, providerData: {} }

const attempt = (token: string): AuthenticationRequest => ({
  request: new Request('http://127.0.0.1/v1/models'),
  credential: { header: 'authorization', token },
  peerAddress: undefined,
  signal: new AbortController().signal,
})

/** What passes for a key of ours, and is none. */
const stranger = (): string => createToken(newId('key_', Date.now())).reveal()

const keysIn = (database: Database) =>
  createKeyService({ database, policy: compileAccessPolicy([]), pepper, events: createEvents(silentLog), operator })

/** Copies a key from `from` without a notification, so that only polling finds it. */
async function copyQuietly(id: string, from: Database, to: Database): Promise<void> {
  const row = await from.read.selectFrom('api_keys').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  await to.write(async (transaction) => {
    await transaction.deleteFrom('api_keys').where('id', '=', id).execute()
    await transaction.insertInto('api_keys').values(row).execute()
    await transaction
      .insertInto('revisions')
      .values({ scope: 'api_keys', value: 1 })
      .onConflict((conflict) => conflict.column('scope').doUpdateSet(({ eb }) => ({ value: eb('revisions.value', '+', 1) })))
      .execute()
  })
}

/** Counts the polls beyond the regular ones. */
function counted(database: Database) {
  let looks = 0
  const watched: Pick<Database, 'read' | 'watch'> = {
    read: database.read,
    watch(scope, watcher) {
      const watching = database.watch(scope, watcher)
      return {
        poll() {
          looks++
          return watching.poll()
        },
        [Symbol.dispose]: () => watching[Symbol.dispose](),
      }
    },
  }
  return {
    watched,
    get looks() {
      return looks
    },
  }
}

for (const engine of engines) {
  describe(engine.name, () => {
    test('[KEY-12] a key, and each new secret of it, works on every replica from the moment at which it was given out', async () => {
      await using bench = await keyBench(engine)
      const servers = [await bench.serve(), await bench.serve()]
      for (let round = 0; round < 5; round++) {
        const { id, token } = await bench.issue({ name: `number ${round}` })
        const made = servers.map((server) => server.ask('/v1/chat/completions', { token, body: chat() }))
        expect((await Promise.all(made)).map(({ status }) => status)).toEqual([200, 200])
        const { token: next } = await bench.operator.rotate(bench.operatorCall, id)
        const rotated = servers.map((server) => server.ask('/v1/chat/completions', { token: next.reveal(), body: chat() }))
        expect((await Promise.all(rotated)).map(({ status }) => status)).toEqual([200, 200])
      }
    })

    test('[KEY-12] works without a notification, and known keys do not wait', async () => {
      await using elsewhere = await engine.open()
      await using place = await engine.fresh()
      await using other = await openDatabase(place.backend)
      await using database = await openDatabase(place.backend, { timeouts: { pollInterval: 3_600_000 } })
      await using authenticator = createKeyAuthenticator({ database, pepper })
      await authenticator.ready
      const keys = keysIn(elsewhere)
      for (let round = 0; round < 5; round++) {
        const { key, token } = await keys.create(call, { name: 'x', principal: 'alice' })
        await copyQuietly(key.id, elsewhere, other)
        expect(await authenticator.authenticate(attempt(token.reveal()))).toMatchObject({ id: 'alice' })
        const { token: next } = await keys.rotate(call, key.id)
        await copyQuietly(key.id, elsewhere, other)
        expect(await authenticator.authenticate(attempt(next.reveal()))).toMatchObject({ id: 'alice' })
        expect(authenticator.authenticate(attempt(next.reveal()))).toMatchObject({ id: 'alice' })
      }
    }, 60_000)

    test('[KEY-12] any number of unknown keys at once costs one look, and each is refused', async () => {
      await using database = await engine.open()
      const counting = counted(database)
      await using authenticator = createKeyAuthenticator({ database: counting.watched, pepper })
      await authenticator.ready
      const { token } = await keysIn(database).create(call, { name: 'x', principal: 'alice' })
      const flood = Array.from({ length: 2000 }, () => failureOf(Promise.resolve(authenticator.authenticate(attempt(stranger())))))
      expect(await authenticator.authenticate(attempt(token.reveal()))).toMatchObject({ id: 'alice' })
      for (const failure of await Promise.all(flood)) expect(failure).toMatchObject({ status: 401, code: 'invalid_api_key' })
      expect(counting.looks).toBe(1)
      // A typo is detected without a poll; known callers are authenticated as before.
      expect(() => authenticator.authenticate(attempt(`${token.reveal()}x`))).toThrow('mistyped')
      expect(authenticator.authenticate(attempt(token.reveal()))).toMatchObject({ id: 'alice' })
      expect(counting.looks).toBe(1)
    }, 60_000)
  })
}
