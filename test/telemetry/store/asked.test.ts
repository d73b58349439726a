import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import * as fc from 'fast-check'
import { rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { openTraceStoreWriter } from '../../../src/telemetry/store/writer.ts'
import type { SpanRecord } from '../../../src/telemetry/traces/span.ts'
import { inProcess } from '../../cli/corral.ts'
import { hex, noon, requestSpans, temporary } from './records.ts'
import { type ReceivedResponse, type Person, traceServer } from './server.ts'

setDefaultTimeout(60_000)

type Owner = 'alice' | 'anna' | 'bob' | 'admin' | undefined

interface Made {
  readonly owner: Owner
  readonly status: number
  readonly model: string
  readonly trace: number
  readonly second: number
}

const made: fc.Arbitrary<Made> = fc.record({
  owner: fc.constantFrom<Owner>('alice', 'anna', 'bob', 'admin', undefined),
  status: fc.constantFrom(200, 404, 502),
  model: fc.constantFrom('up/small', 'up/big'),
  trace: fc.integer({ min: 1, max: 5 }),
  second: fc.integer({ min: 0, max: 5 }),
})

const teams: Readonly<Record<string, readonly string[]>> = { alice: ['a'], anna: ['a'], bob: ['b'], admin: [] }

/** By the default policy: what is one's own, and what shares a team with one. */
function mayRead(person: Person, owner: Owner): boolean {
  return owner !== undefined && (owner === person || (teams[person] ?? []).some((team) => teams[owner]?.includes(team)))
}

function spansOf({ owner, status, model, trace, second }: Made, number: number): SpanRecord[] {
  return requestSpans(number, {
    start: noon + second * 1_000,
    status,
    traceId: hex(trace, 32),
    owner: owner ? { principalId: owner, attributes: { teams: teams[owner] ?? [] } } : {},
    attributes: { 'corral.model': model },
  })
}

const readers = ['alice', 'anna', 'bob', 'admin'] as const

interface TraceInfo {
  readonly trace_id: string
}

interface SpanInfo {
  readonly span_id: string
}

interface Series {
  readonly values: readonly { readonly value: number }[]
}

function dataOf({ status, body }: ReceivedResponse): readonly (TraceInfo & SpanInfo & Series)[] {
  expect(status).toBe(200)
  return (body as { data: readonly (TraceInfo & SpanInfo & Series)[] }).data
}

const rootOf = (number: number) => hex(number * 2, 16)

describe('over HTTP', () => {
  test('[TST-7] whatever is asked, each sees its own and its team’s, and all of it', async () => {
    const requests = fc.array(made, { minLength: 1, maxLength: 20 })
    const status = fc.constantFrom(undefined, 200, 404, 502, 500)
    await fc.assert(
      fc.asyncProperty(requests, status, fc.integer({ min: 0, max: 3 }), async (all, wanted, offset) => {
        const records = all.flatMap((one, index) => spansOf(one, index + 1))
        const server = await traceServer({ records })
        const conditions = wanted === undefined ? [] : [{ key: 'http.response.status_code', op: 'eq', value: wanted }]
        const ask = (who: Person, path: string, body?: object) => server.ask(who, `/v1alpha/telemetry/${path}`, body)
        for (const who of readers) {
          const visible = all.flatMap((one, index) => (mayRead(who, one.owner) ? [{ ...one, number: index + 1 }] : []))
          const meeting = visible.filter((one) => wanted === undefined || one.status === wanted)

          // A trace is listed once, at the position of its newest part that is visible and matches.
          const listed = dataOf(await ask(who, 'traces', { attribute_filters: conditions, limit: 100 }))
          const ids = listed.map((trace) => trace.trace_id)
          const newestFirst = meeting.toSorted((a, b) => b.second - a.second || b.number - a.number)
          expect(ids).toEqual([...new Set(newestFirst.map(({ trace }) => hex(trace, 32)))])
          const rest = dataOf(await ask(who, 'traces', { attribute_filters: conditions, limit: 2, offset }))
          expect(rest.map((trace) => trace.trace_id)).toEqual(ids.slice(offset, offset + 2))

          const spans = dataOf(await ask(who, 'spans', { attribute_filters: conditions, attributes_to_return: [] }))
          const seen = new Set(visible.flatMap(({ number }) => [rootOf(number), hex(number * 2 + 1, 16)]))
          expect(spans.filter(({ span_id: id }) => !seen.has(id))).toEqual([])

          const sums = dataOf(await ask(who, 'metrics/requests', { query_type: 'instant', start_time: noon / 1_000 }))
          const counted = sums.flatMap(({ values }) => values).reduce((sum, { value }) => sum + value, 0)
          expect(counted).toBe(visible.length)
        }
        // A 404 is a failed request and so a trace of its caller: after everything that counts traces.
        for (const who of readers) {
          for (const [index, one] of all.entries()) {
            const number = index + 1
            const expected = mayRead(who, one.owner) ? 200 : 404
            expect((await ask(who, `traces/${hex(one.trace, 32)}/spans/${rootOf(number)}`)).status).toBe(expected)
            expect((await ask(who, `spans/${rootOf(number)}/tree`, {})).status).toBe(expected)
          }
        }
        await server[Symbol.asyncDispose]()
        await rm(dirname(server.path), { recursive: true })
      }),
      { numRuns: 12 },
    )
  })
})

describe('by the command', () => {
  test('[TST-4] corral traces lists what its flags mean, the newest first', async () => {
    const flags = fc.record({
      failed: fc.boolean(),
      model: fc.option(fc.constantFrom('up/small', 'up/none'), { nil: undefined }),
      principal: fc.option(fc.constantFrom('alice', 'bob'), { nil: undefined }),
      second: fc.option(fc.integer({ min: 0, max: 6 }), { nil: undefined }),
      limit: fc.integer({ min: 1, max: 20 }),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(made, { minLength: 1, maxLength: 20 }),
        fc.array(flags, { minLength: 4, maxLength: 4 }),
        async (all, requestBody) => {
          const folder = await temporary()
          const config = join(folder, 'run.yaml')
          const path = join(folder, 'traces.db')
          await writeFile(
            config,
            JSON.stringify({ version: 2, distro_name: 'asked', providers: {}, telemetry: { store: { enabled: true, path } } }),
          )
          const writer = await openTraceStoreWriter(path, { maxAge: 1e15, maxBytes: 1e9 })
          await writer.write(all.flatMap((one, index) => spansOf(one, index + 1)))
          await writer.close()
          for (const { failed, model, principal, second, limit } of requestBody) {
            const since = second === undefined ? undefined : noon + second * 1_000
            const words = [
              ...(failed ? ['--failed'] : []),
              ...(model ? ['--model', model] : []),
              ...(principal ? ['--principal', principal] : []),
              ...(since === undefined ? [] : ['--since', new Date(since).toISOString()]),
            ]
            const { code, stdout } = await inProcess(['traces', '--json', '-n', String(limit), ...words, '-c', config], {
              env: { CORRAL_HOME: folder },
            })
            const ids = stdout.split('\n').flatMap((line) => (line === '' ? [] : [(JSON.parse(line) as { request_id: string }).request_id]))
            const expected = all
              .map((one, index) => ({ ...one, number: index + 1 }))
              .filter((one) => (!failed || one.status >= 400) && (!model || one.model === model) && (!principal || one.owner === principal))
              .filter((one) => second === undefined || one.second >= second)
              .toSorted((a, b) => b.second - a.second || b.number - a.number)
            expect([code, ids]).toEqual([0, expected.slice(0, limit).map(({ number }) => `req-${number}`)])
          }
          await rm(folder, { recursive: true })
        },
      ),
      { numRuns: 15 },
    )
  })
})
