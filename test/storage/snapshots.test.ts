import { describe, expect, test } from 'bun:test'
import { ApiError } from '../../src/errors.ts'
import type { Database } from '../../src/storage/database.ts'
import { openDatabase } from '../../src/storage/open.ts'
import { bumpRevision } from '../../src/storage/revisions.ts'
import { createSnapshot } from '../../src/storage/snapshot.ts'
import { engines } from '../../src/testing/engines.ts'
import { failureOf } from '../../src/testing/failure-of.ts'
import { otherProcess, until } from './processes.ts'

/** The revision itself represents the stored data. */
const revisionOf = async (read: Database['read']): Promise<number> => {
  const row = await read.selectFrom('revisions').select('value').where('scope', '=', 'watched').executeTakeFirst()
  return row?.value ?? 0
}

const bump = (database: Database) => database.write((transaction) => bumpRevision(transaction, 'watched'))

for (const engine of engines) {
  describe(engine.name, () => {
    test('[STO-17] a change of another process is seen by all, within a second', async () => {
      await using place = await engine.fresh()
      await using database = await openDatabase(place.backend)
      using snapshot = createSnapshot({ database, scope: 'watched', load: revisionOf })
      await snapshot.ready
      expect(snapshot.current()).toBe(0)
      for (let round = 1; round <= 3; round++) {
        await using other = otherProcess('bump', place.backend)
        await other.exited
        await until(() => snapshot.current() === round)
      }
      await bump(database)
      await until(() => snapshot.current() === 4)
    }, 60_000)

    if (engine.name === 'postgres') {
      test('[STO-17] notifications arrive without polling', async () => {
        await using place = await engine.fresh()
        await using database = await openDatabase(place.backend, { timeouts: { pollInterval: 3_600_000 } })
        await using other = await openDatabase(place.backend)
        using snapshot = createSnapshot({ database, scope: 'watched', load: revisionOf })
        await snapshot.ready
        // The first may still be found by looking: as long as no notification has come, it is looked more often.
        for (let round = 1; round <= 20; round++) {
          await bump(other)
          await until(() => snapshot.current() === round)
        }
      }, 60_000)
    }

    test('[STO-17] no watcher is notified of a rollback, nor of other scopes', async () => {
      await using database = await engine.open({ timeouts: { pollInterval: 100 } })
      let reported = 0
      using watched = database.watch('watched', { onChange: () => void reported++, onError: () => undefined })
      await until(() => reported === 1)
      let looks = 0
      using looking = database.watch('other', { onChange: () => undefined, onError: () => undefined, onPolled: () => void looks++ })
      await failureOf(
        database.write(async (transaction) => {
          await bumpRevision(transaction, 'watched')
          throw new Error('changed my mind')
        }),
      )
      await database.write((transaction) => bumpRevision(transaction, 'unwatched'))
      const before = looks
      await until(() => looks > before + 1)
      expect(reported).toBe(1)
      await bump(database)
      await until(() => reported === 2)
      expect([watched, looking]).toHaveLength(2)
    })

    test('the process that made a change sees it at once after refresh()', async () => {
      await using database = await engine.open()
      const swaps: number[] = []
      using snapshot = createSnapshot({ database, scope: 'watched', load: revisionOf, onChange: (value) => swaps.push(value) })
      await snapshot.ready
      for (let round = 1; round <= 5; round++) {
        await bump(database)
        await snapshot.refresh()
        expect(snapshot.current()).toBe(round)
      }
      expect(swaps.toSorted((a, b) => a - b)).toEqual(swaps)
    })

    test('watching stops with its disposal', async () => {
      await using database = await engine.open()
      let reported = 0
      const watching = database.watch('watched', { onChange: () => void reported++, onError: () => undefined })
      await until(() => reported === 1)
      watching[Symbol.dispose]()
      await bump(database)
      using other = createSnapshot({ database, scope: 'watched', load: revisionOf })
      await other.ready
      expect(other.current()).toBe(1)
      expect(reported).toBe(1)
    })
  })
}

/** A database whose changes and failures the test controls. */
function scripted(looking = () => Promise.resolve()) {
  let watcher: Parameters<Database['watch']>[1] | undefined
  let disposed = false
  const database: Pick<Database, 'read' | 'watch'> = {
    read: undefined as never,
    watch(_scope, given) {
      watcher = given
      return { poll: () => looking(), [Symbol.dispose]: () => void (disposed = true) }
    },
  }
  return {
    database,
    onChange: () => watcher?.onChange(),
    onError: () => watcher?.onError(new Error('out of reach')),
    onPolled: () => watcher?.onPolled?.(),
    get disposed() {
      return disposed
    },
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('a snapshot', () => {
  test('[STO-18] is a 503 with Retry-After before the first load', async () => {
    const source = scripted()
    const loading = Promise.withResolvers<string>()
    using snapshot = createSnapshot({ database: source.database, scope: 's', load: () => loading.promise })
    const status = () => {
      try {
        return snapshot.current()
      } catch (error) {
        expect(error).toBeInstanceOf(ApiError)
        return [(error as ApiError).status, (error as ApiError).headers]
      }
    }
    expect(status()).toEqual([503, { 'retry-after': '1' }])
    source.onChange()
    expect(status()).toEqual([503, { 'retry-after': '1' }])
    loading.resolve('here')
    await snapshot.ready
    expect(status()).toBe('here')
  })

  test('[STO-18] stays good for a minute without its store, is a 503 after it, and good again once read anew', async () => {
    const source = scripted()
    let now = 1000
    let stored: string | Error = 'first'
    const load = () => (stored instanceof Error ? Promise.reject(stored) : Promise.resolve(stored))
    using snapshot = createSnapshot({ database: source.database, scope: 's', load, now: () => now })
    source.onChange()
    await snapshot.ready
    // An hour without a change is no failure, as long as it was looked.
    now += 3_600_000
    expect(snapshot.current()).toBe('first')
    source.onPolled()
    source.onError()
    now += 60_000
    expect(snapshot.current()).toBe('first')
    now += 1
    expect(() => snapshot.current()).toThrow('too old')
    // The store responds, but reading fails: the snapshot stays too old.
    stored = new Error('still starting')
    source.onChange()
    await turn()
    source.onPolled()
    expect(() => snapshot.current()).toThrow('too old')
    stored = 'second'
    source.onChange()
    await turn()
    expect(snapshot.current()).toBe('second')
    now += 3_600_000
    expect(snapshot.current()).toBe('second')
  })

  test('[STO-18] counts from the last look that worked, not from the first that failed', async () => {
    const source = scripted()
    let now = 0
    using snapshot = createSnapshot({ database: source.database, scope: 's', load: () => Promise.resolve('x'), now: () => now })
    source.onChange()
    await snapshot.ready
    now = 100_000
    source.onPolled()
    now = 130_000
    source.onError()
    now = 160_000
    expect(snapshot.current()).toBe('x')
    now = 160_001
    expect(() => snapshot.current()).toThrow('too old')
  })

  test('[STO-18] counts from the beginning of a load, however long it took', async () => {
    const source = scripted()
    let now = 0
    const loading = Promise.withResolvers<string>()
    using snapshot = createSnapshot({ database: source.database, scope: 's', load: () => loading.promise, now: () => now })
    now = 1000
    source.onChange()
    now = 50_000
    loading.resolve('x')
    await snapshot.ready
    source.onError()
    now = 61_000
    expect(snapshot.current()).toBe('x')
    now = 61_001
    expect(() => snapshot.current()).toThrow('too old')
  })

  test('a slow load never replaces what a later one has read', async () => {
    const source = scripted()
    const loads: PromiseWithResolvers<string>[] = []
    const load = () => {
      const one = Promise.withResolvers<string>()
      loads.push(one)
      return one.promise
    }
    using snapshot = createSnapshot({ database: source.database, scope: 's', load })
    source.onChange()
    source.onChange()
    loads[1]?.resolve('newer')
    await turn()
    loads[0]?.resolve('older')
    await turn()
    expect(snapshot.current()).toBe('newer')
  })

  test('ready resolves where the first load fails, and the next try brings it', async () => {
    const source = scripted()
    const reported: string[] = []
    let tries = 0
    using snapshot = createSnapshot({
      database: source.database,
      scope: 's',
      load: () => (++tries === 1 ? Promise.reject(new Error('bad row')) : Promise.resolve('good')),
      events: { unexpected: (where) => void reported.push(where) },
    })
    source.onChange()
    await snapshot.ready
    expect(() => snapshot.current()).toThrow('not loaded')
    await until(() => tries === 2)
    await turn()
    expect(snapshot.current()).toBe('good')
    expect(reported).toEqual(['reading s'])
  })

  test('[STO-17] concurrent requests share a poll that begins after them; the next waits for the minimum interval', async () => {
    const looks: PromiseWithResolvers<void>[] = []
    const source = scripted(() => {
      const one = Promise.withResolvers<void>()
      looks.push(one)
      return one.promise
    })
    const reported: string[] = []
    const stored = { text: 'first' }
    using snapshot = createSnapshot({
      database: source.database,
      scope: 's',
      load: async () => {
        const { text } = stored
        await turn()
        return text
      },
      minPollInterval: 3_600_000,
    })
    const ask = async (who: string) => {
      await snapshot.catchUp()
      reported.push(`${who}: ${snapshot.current()}`)
    }
    source.onChange()
    await snapshot.ready
    const [one, two] = [ask('one'), ask('two')]
    await turn()
    expect(looks.length).toBe(1)
    // The look has begun: it may have been too early for this one.
    const three = ask('three')
    stored.text = 'second'
    source.onChange()
    looks[0]?.resolve()
    await Promise.all([one, two])
    expect(reported).toEqual(['one: second', 'two: second'])
    expect(looks.length).toBe(1)
    // No request waits for more than a second.
    await three
    expect(reported.at(-1)).toBe('three: second')
    expect(looks.length).toBe(1)
  })

  test('[STO-17] resolves with whether the snapshot is at least as new as the request', async () => {
    let look: (() => void) | undefined
    const source = scripted(() => Promise.resolve(look?.()))
    let stored: string | Error = 'first'
    const reported: string[] = []
    using snapshot = createSnapshot({
      database: source.database,
      scope: 's',
      load: () => (stored instanceof Error ? Promise.reject(stored) : Promise.resolve(stored)),
      events: { unexpected: (where) => void reported.push(where) },
      minPollInterval: 0,
    })
    source.onChange()
    await snapshot.ready
    look = () => source.onPolled()
    expect(await snapshot.catchUp()).toBe(true)
    look = () => source.onError()
    expect(await snapshot.catchUp()).toBe(false)
    // As where the database is closed.
    look = undefined
    expect(await snapshot.catchUp()).toBe(false)
    look = () => {
      throw new Error('no look')
    }
    expect(await snapshot.catchUp()).toBe(false)
    expect(reported).toEqual(['polling for changes of s'])
    stored = new Error('cannot be read')
    look = () => source.onChange()
    expect(await snapshot.catchUp()).toBe(false)
    // Nothing is new, and yet the latest has not been read.
    look = () => source.onPolled()
    expect(await snapshot.catchUp()).toBe(false)
    stored = 'second'
    await until(() => snapshot.catchUp())
    expect(snapshot.current()).toBe('second')
    expect(await snapshot.catchUp()).toBe(true)
  })

  test('stops watching when it is disposed of', () => {
    const source = scripted()
    createSnapshot({ database: source.database, scope: 's', load: () => Promise.resolve(1) })[Symbol.dispose]()
    expect(source.disposed).toBe(true)
  })
})
