import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { Ledger, LedgerEntry } from '../../src/quota/ledger.ts'
import { openLedger } from '../../src/quota/ledger.ts'
import { systemClock } from '../../src/quota/limiter-clock.ts'
import { sumOf, usageGroups, usageOf } from '../../src/quota/ledger-usage.ts'
import type { Database } from '../../src/storage/database.ts'
import { engines } from '../../src/testing/engines.ts'
import { chatReply, chatStream } from '../../src/testing/index.ts'
import { governed, usage } from './quota-server.ts'

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

interface ReportedTotals {
  readonly failed: string[]
  readonly returned: string[]
  readonly warnings: { message: string; fields: object }[]
}

function recording() {
  const reported: ReportedTotals = { failed: [], returned: [], warnings: [] }
  const events = {
    dependencyFailed: (dependency: string) => reported.failed.push(dependency),
    dependencyRecovered: (dependency: string) => reported.returned.push(dependency),
    warning: (message: string, fields: object = {}) => reported.warnings.push({ message, fields }),
  }
  return { reported, events }
}

const rowsOf = (database: Pick<Database, 'read'>) => database.read.selectFrom('ledger').selectAll().orderBy('created_at').execute()

for (const engine of engines) {
  describe(engine.name, () => {
    test('[QUO-57] lines are written as they are, in batches', async () => {
      await using database = await engine.open()
      let now = 1_700_000_000_000
      await using ledger = openLedger(database, { events: recording().events, batchSize: 7, clock: { ...systemClock, now: () => now++ } })
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
      const { reported, events } = recording()
      await using ledger = openLedger(database, { events, batchSize: 3 })
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
      expect(reported.failed).toEqual([])
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
            responses: all.length,
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
      const replies = async (question: object) => sumOf(await usageOf(database, { by: 'model', ...question }), null).responses
      expect([
        await replies({}),
        await replies({ since: 200 }),
        await replies({ until: 200 }),
        await replies({ since: 200, until: 300 }),
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

    test('[QUO-57] the ledger agrees with the responses', async () => {
      await using database = await engine.open()
      const ledger = openLedger(database, { events: recording().events })
      const prices = [{ model: '*', input_per_million: 2, output_per_million: 8 }]
      const limits = [{ dollars: 5, period: 'month', per: 'team' }]
      const callers = {
        alice: { attributes: { teams: ['red'] }, key: { id: 'key_a', limits: [] } },
        bob: { attributes: { teams: ['blue'] } },
      }
      const reported = { alice: 0, bob: 0 }
      {
        await using startQuotaServer = await governed({ quota: { limits, prices }, callers, ledger })
        let count = 0
        startQuotaServer.upstream.respond((request) => {
          count += 1
          return request.json?.['stream'] === true ? chatStream() : chatReply('x', usage(count, count % 7))
        })
        for (let at = 0; at < 20; at++) {
          const as = at % 3 ? 'alice' : 'bob'
          const stream = at % 4 === 0
          const reply = await startQuotaServer.chat(stream ? { stream, stream_options: { include_usage: true } } : {}, { as })
          const text = await reply.text()
          const said = /"usage":\{"prompt_tokens":(\d+),"completion_tokens":(\d+)/.exec(text)
          reported[as] += Number(said?.[1]) * 2000 + Number(said?.[2]) * 8000
        }
      }
      const by = async (group: 'user' | 'team' | 'key') =>
        Object.fromEntries((await usageOf(database, { by: group })).map(({ of, costNanoDollars }) => [of ?? '', costNanoDollars]))
      expect(await by('user')).toEqual(reported)
      expect(await by('team')).toEqual({ red: reported.alice, blue: reported.bob })
      expect(await by('key')).toEqual({ key_a: reported.alice, '': reported.bob })
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

const opened = (database: Pick<Database, 'add'>, options: object = {}): { ledger: Ledger; reported: ReportedTotals } => {
  const { reported, events } = recording()
  return {
    reported,
    ledger: openLedger(database, { events, flushInterval: 1, retryInterval: 1, maxBacklog: 10, batchSize: 100, ...options }),
  }
}

describe('a ledger whose database is out of reach', () => {
  test('[QUO-58] keeps its lines and writes them when it is back', async () => {
    const { state, database } = sometimes()
    state.isDown = true
    const { ledger, reported } = opened(database)
    for (let at = 0; at < 5; at++) ledger.record(entry())
    await until(() => state.tries > 3)
    expect(state.written).toBe(0)
    state.isDown = false
    await until(() => state.written === 1)
    await until(() => reported.returned.length === 1)
    expect(reported.warnings).toEqual([])
    await ledger[Symbol.asyncDispose]()
    expect(state.written).toBe(1)
  })

  test('[QUO-58] keeps no more than its backlog, and reports how much it lost and what that cost', async () => {
    const { state, database } = sometimes()
    state.isDown = true
    const { ledger, reported } = opened(database)
    for (let at = 0; at < 14; at++) ledger.record(entry({ cost_nano_dollars: 500_000_000 }))
    expect(reported.warnings).toHaveLength(1)
    state.isDown = false
    await until(() => reported.warnings.length === 2)
    expect(reported.warnings[1]?.fields).toEqual({ lost_lines: 4, lost_usd: 2 })
    await ledger[Symbol.asyncDispose]()
    expect(reported.warnings).toHaveLength(2)
  })

  test('[QUO-58] a server that stops writes what is left', async () => {
    const { state, database } = sometimes()
    const { ledger, reported } = opened(database, { flushInterval: 100_000, batchSize: 2 })
    for (let at = 0; at < 5; at++) ledger.record(entry())
    await ledger[Symbol.asyncDispose]()
    expect(state.written).toBe(3)
    expect(reported.warnings).toEqual([])
  })

  test('[QUO-58] and reports what it could not', async () => {
    const { state, database } = sometimes()
    state.isDown = true
    const { ledger, reported } = opened(database, { flushInterval: 100_000, retryInterval: 100_000 })
    ledger.record(entry({ cost_nano_dollars: null }))
    ledger.record(entry())
    await ledger[Symbol.asyncDispose]()
    expect(reported.warnings.at(-1)?.fields).toEqual({ lost_lines: 2, lost_usd: 0.000001 })
  })
})

function numberOrNull(value: unknown): number | null {
  return value === null ? null : Number(value)
}
