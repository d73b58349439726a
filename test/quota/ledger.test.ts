import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { Ledger, LedgerEntry } from '../../src/quota/ledger.ts'
import { openLedger } from '../../src/quota/ledger.ts'
import { systemClock } from '../../src/quota/limiter-clock.ts'
import { sumOf, usageGroups, usageOf } from '../../src/quota/ledger-usage.ts'
import type { Database } from '../../src/storage/database.ts'
import { engines } from '../../src/testing/engines.ts'
import { chatReply, chatStream } from '../../src/testing/index.ts'
import { governed, usage } from './stage.ts'

const entry = (over: Partial<LedgerEntry> = {}): LedgerEntry => ({
  request_id: 'req_1',
  key_id: 'key_1',
  principal: 'alice',
  attributes: '{"teams":["red"]}',
  provider: 'up',
  model: 'up/m',
  capability: 'chat',
  outcome: 'completed',
  input_tokens: 10,
  output_tokens: 5,
  cached_input_tokens: 2,
  reasoning_tokens: 1,
  estimated: 0,
  cost_nano_dollars: 1000,
  ...over,
})

interface Told {
  readonly failed: string[]
  readonly back: string[]
  readonly warnings: { message: string; fields: object }[]
}

function recording() {
  const told: Told = { failed: [], back: [], warnings: [] }
  const events = {
    dependencyFailed: (dependency: string) => told.failed.push(dependency),
    dependencyBack: (dependency: string) => told.back.push(dependency),
    warning: (message: string, fields: object = {}) => told.warnings.push({ message, fields }),
  }
  return { told, events }
}

const rowsOf = (database: Pick<Database, 'read'>) => database.read.selectFrom('ledger').selectAll().orderBy('created_at').execute()

for (const engine of engines) {
  describe(engine.name, () => {
    test('[QUO-57] lines are written as they are, in batches', async () => {
      await using database = await engine.open()
      let now = 1_700_000_000_000
      await using ledger = openLedger(database, { events: recording().events, batch: 7, clock: { ...systemClock, now: () => now++ } })
      const entries = Array.from({ length: 30 }, (_, at) =>
        entry({
          request_id: `r${at}`,
          key_id: at % 2 ? null : 'k',
          principal: at % 3 ? null : "o'hara “x”",
          cost_nano_dollars: at % 5 ? at : null,
        }),
      )
      for (const one of entries) ledger.record(one)
      await ledger.flush()
      const rows = await rowsOf(database)
      expect(
        rows.map(({ id: _id, created_at: _at, ...rest }) => ({ ...rest, cost_nano_dollars: numberOrNull(rest.cost_nano_dollars) })),
      ).toEqual(entries)
      expect(new Set(rows.map(({ id }) => id)).size).toBe(30)
    })

    test('[QUO-57] a line is written whatever callers put into it, and so are those beside it', async () => {
      await using database = await engine.open()
      const { told, events } = recording()
      await using ledger = openLedger(database, { events, batch: 3 })
      const models = ['m/a\0b', 'm/\ud800', 'm/\udc00\ud800x', 'm/\\u0000', 'm/\u{1F600}', `m/${'x'.repeat(100_000)}`, 'm/plain']
      for (const [at, model] of models.entries()) ledger.record(entry({ request_id: `r${at}`, model }))
      await ledger.flush()
      const rows = await rowsOf(database)
      const written = new Map(rows.map(({ request_id: id, model }) => [id, model]))
      expect(models.map((_, at) => written.get(`r${at}`))).toEqual([
        'm/a\ufffdb',
        'm/\ufffd',
        'm/\ufffd\ufffdx',
        'm/\\u0000',
        'm/\u{1F600}',
        `m/${'x'.repeat(510)}…`,
        'm/plain',
      ])
      expect(told.failed).toEqual([])
    })

    test('[QUO-57] sums by key, user, team, model and provider: each adds up to the whole', async () => {
      await using database = await engine.open()
      const line = fc.record({
        key_id: fc.constantFrom('k1', 'k2', null),
        principal: fc.constantFrom('alice', 'bob', null),
        attributes: fc.constantFrom('{}', '{"teams":["red"]}', '{"teams":["red","blue"]}', '{"teams":["blue","red"],"tier":["gold"]}'),
        provider: fc.constantFrom('a', 'b'),
        model: fc.constantFrom('a/m', 'b/m', 'b/n'),
        input_tokens: fc.nat(1e6),
        output_tokens: fc.nat(1e6),
        cost_nano_dollars: fc.option(fc.nat(2e9)),
        estimated: fc.nat(1),
      })
      await using ledger = openLedger(database, { events: recording().events })
      let all: LedgerEntry[] = []
      await fc.assert(
        fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 30 }), async (lines) => {
          for (const one of lines) ledger.record(entry(one))
          all = [...all, ...lines.map((one) => entry(one))]
          await ledger.flush()
          const whole = {
            answers: all.length,
            inputTokens: all.reduce((sum, one) => sum + one.input_tokens, 0),
            outputTokens: all.reduce((sum, one) => sum + one.output_tokens, 0),
            costNanoDollars: all.reduce((sum, one) => sum + (one.cost_nano_dollars ?? 0), 0),
            estimated: all.filter((one) => one.estimated === 1).length,
            unpriced: all.filter((one) => one.cost_nano_dollars === null).length,
          }
          for (const by of usageGroups) expect(sumOf(await usageOf(database, { by }), null)).toMatchObject(whole)
          const alice = (await usageOf(database, { by: 'user' })).find(({ of }) => of === 'alice')
          expect(alice?.costNanoDollars ?? 0).toBe(
            all.filter(({ principal }) => principal === 'alice').reduce((sum, one) => sum + (one.cost_nano_dollars ?? 0), 0),
          )
        }),
        { numRuns: 20 },
      )
      const teams = await usageOf(database, { by: 'team' })
      expect(new Set(teams.map(({ of }) => of))).toEqual(new Set([null, 'blue, red', 'red']))
    })

    test('from a time on, and up to one', async () => {
      await using database = await engine.open()
      let now = 100
      await using ledger = openLedger(database, { events: recording().events, clock: { ...systemClock, now: () => now } })
      for (now of [100, 200, 300]) ledger.record(entry())
      await ledger.flush()
      const answers = async (question: object) => sumOf(await usageOf(database, { by: 'model', ...question }), null).answers
      expect([
        await answers({}),
        await answers({ since: 200 }),
        await answers({ until: 200 }),
        await answers({ since: 200, until: 300 }),
      ]).toEqual([3, 2, 1, 1])
      expect(await usageOf(database, { by: 'key', since: 1000 })).toEqual([])
    })

    test('[QUO-58] a batch whose acknowledgement got lost is there once', async () => {
      await using database = await engine.open()
      let calls = 0
      const forgetful: Pick<Database, 'add'> = {
        async add(table, texts) {
          await database.add(table, texts)
          calls += 1
          if (calls === 1) throw new Error('connection lost')
        },
      }
      await using ledger = openLedger(forgetful, { events: recording().events })
      for (let at = 0; at < 5; at++) ledger.record(entry({ request_id: `r${at}` }))
      await ledger.flush()
      ledger.record(entry({ request_id: 'r5' }))
      await ledger.flush()
      expect(calls).toBe(2)
      expect((await rowsOf(database)).map((row) => row.request_id).toSorted()).toEqual(['r0', 'r1', 'r2', 'r3', 'r4', 'r5'])
    })

    test('[QUO-57] what the ledger says is what the answers said', async () => {
      await using database = await engine.open()
      const ledger = openLedger(database, { events: recording().events })
      const prices = [{ model: '*', input_per_million: 2, output_per_million: 8 }]
      const limits = [{ dollars: 5, period: 'month', per: 'team' }]
      const callers = {
        alice: { attributes: { teams: ['red'] }, key: { id: 'key_a', limits: [] } },
        bob: { attributes: { teams: ['blue'] } },
      }
      const told = { alice: 0, bob: 0 }
      {
        await using stage = await governed({ quota: { limits, prices }, callers, ledger })
        let count = 0
        stage.upstream.respond((request) => {
          count += 1
          return request.json?.['stream'] === true ? chatStream() : chatReply('x', usage(count, count % 7))
        })
        for (let at = 0; at < 20; at++) {
          const as = at % 3 ? 'alice' : 'bob'
          const stream = at % 4 === 0
          const answer = await stage.chat(stream ? { stream, stream_options: { include_usage: true } } : {}, { as })
          const text = await answer.text()
          const said = /"usage":\{"prompt_tokens":(\d+),"completion_tokens":(\d+)/.exec(text)
          told[as] += Number(said?.[1]) * 2000 + Number(said?.[2]) * 8000
        }
      }
      const by = async (group: 'user' | 'team' | 'key') =>
        Object.fromEntries((await usageOf(database, { by: group })).map(({ of, costNanoDollars }) => [of ?? '', costNanoDollars]))
      expect(await by('user')).toEqual(told)
      expect(await by('team')).toEqual({ red: told.alice, blue: told.bob })
      expect(await by('key')).toEqual({ key_a: told.alice, '': told.bob })
    })
  })
}

/** A database that can be out of reach, and keeps what is written in a list. */
function sometimes() {
  const state = { isDown: false, tries: 0, written: 0 }
  const database: Pick<Database, 'add'> = {
    async add() {
      state.tries += 1
      if (state.isDown) throw new Error('connection refused')
      state.written += 1
    },
  }
  return { state, database }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2))
}

const opened = (database: Pick<Database, 'add'>, options: object = {}): { ledger: Ledger; told: Told } => {
  const { told, events } = recording()
  return { told, ledger: openLedger(database, { events, every: 1, retryEvery: 1, backlog: 10, batch: 100, ...options }) }
}

describe('a ledger whose database is out of reach', () => {
  test('[QUO-58] keeps its lines and writes them when it is back', async () => {
    const { state, database } = sometimes()
    state.isDown = true
    const { ledger, told } = opened(database)
    for (let at = 0; at < 5; at++) ledger.record(entry())
    await until(() => state.tries > 3)
    expect(state.written).toBe(0)
    state.isDown = false
    await until(() => state.written === 1)
    await until(() => told.back.length === 1)
    expect(told.warnings).toEqual([])
    await ledger[Symbol.asyncDispose]()
    expect(state.written).toBe(1)
  })

  test('[QUO-58] keeps no more than it has room for, and tells how much it lost and what that cost', async () => {
    const { state, database } = sometimes()
    state.isDown = true
    const { ledger, told } = opened(database)
    for (let at = 0; at < 14; at++) ledger.record(entry({ cost_nano_dollars: 500_000_000 }))
    expect(told.warnings).toHaveLength(1)
    state.isDown = false
    await until(() => told.warnings.length === 2)
    expect(told.warnings[1]?.fields).toEqual({ lost_lines: 4, lost_usd: 2 })
    await ledger[Symbol.asyncDispose]()
    expect(told.warnings).toHaveLength(2)
  })

  test('[QUO-58] a server that stops writes what is left', async () => {
    const { state, database } = sometimes()
    const { ledger, told } = opened(database, { every: 100_000, batch: 2 })
    for (let at = 0; at < 5; at++) ledger.record(entry())
    await ledger[Symbol.asyncDispose]()
    expect(state.written).toBe(3)
    expect(told.warnings).toEqual([])
  })

  test('[QUO-58] and tells what it could not', async () => {
    const { state, database } = sometimes()
    state.isDown = true
    const { ledger, told } = opened(database, { every: 100_000, retryEvery: 100_000 })
    ledger.record(entry({ cost_nano_dollars: null }))
    ledger.record(entry())
    await ledger[Symbol.asyncDispose]()
    expect(told.warnings.at(-1)?.fields).toEqual({ lost_lines: 2, lost_usd: 0.000001 })
  })
})

function numberOrNull(value: unknown): number | null {
  return value === null ? null : Number(value)
}
