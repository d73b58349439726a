import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import * as fc from 'fast-check'
import type { StoredTrace, TraceFilter, TraceStore } from '../../../src/telemetry/store/reader.ts'
import { openTraceStoreWriter } from '../../../src/telemetry/store/writer.ts'
import type { SpanRecord } from '../../../src/telemetry/traces/span.ts'
import { freshPath, read } from './opened.ts'
import { hex, noon, requestSpans } from './records.ts'

setDefaultTimeout(60_000)

const ample = { maxAge: 1e15, maxBytes: 1e9 }

/** A request as a test makes it up; of few values each, so that many are alike. */
interface Made {
  readonly start: number
  readonly duration: number
  readonly status: number
  readonly kept: SpanRecord['kept']
  readonly principal: string | undefined
  readonly key: string | undefined
  readonly model: string
  readonly provider: string
  readonly trace: number
}

const made: fc.Arbitrary<Made> = fc.record({
  start: fc.integer({ min: 0, max: 6 }).map((at) => noon + at * 0.5),
  duration: fc.constantFrom(0.25, 10, 5_000),
  status: fc.constantFrom(200, 401, 429, 499, 502),
  kept: fc.constantFrom<SpanRecord['kept']>('sampled', 'failed', 'slow'),
  principal: fc.constantFrom('alice', "b'ob", undefined),
  key: fc.constantFrom('key_1', 'key_2', undefined),
  model: fc.constantFrom('up/small', 'up/big'),
  provider: fc.constantFrom('up', 'down'),
  trace: fc.integer({ min: 1, max: 4 }),
})

function spansOf({ start, duration, status, kept, principal, key, model, provider, trace }: Made, number: number): SpanRecord[] {
  return requestSpans(number, {
    start,
    duration,
    status,
    kept,
    traceId: hex(trace, 32),
    owner: { ...(principal && { principalId: principal }), ...(key && { keyId: key }) },
    attributes: { 'corral.model': model, 'corral.provider': provider },
  })
}

/** Newest first; of those that began together the one that was written last. */
const byAge = (a: { start: number; number: number }, b: { start: number; number: number }) => b.start - a.start || b.number - a.number

const isFailed = ({ kept, status }: Made) => kept === 'failed' || (status >= 400 && status !== 499)

/** What a filter means, said once more, in plain code. */
function meets(one: Made, number: number, filter: TraceFilter): boolean {
  return (
    (filter.since === undefined || one.start >= filter.since) &&
    (filter.until === undefined || one.start < filter.until) &&
    (filter.failed === undefined || isFailed(one) === filter.failed) &&
    (filter.slowerThan === undefined || one.kept === 'slow' || one.duration >= filter.slowerThan) &&
    (filter.keyId === undefined || one.key === filter.keyId) &&
    (filter.model === undefined || one.model === filter.model) &&
    (filter.provider === undefined || one.provider === filter.provider) &&
    (filter.principal === undefined || one.principal === filter.principal) &&
    (filter.requestId === undefined || `req-${number}` === filter.requestId) &&
    (filter.traceId === undefined || hex(one.trace, 32) === filter.traceId)
  )
}

/** Rarely: with many conditions at once hardly anything would be found. */
const maybe = <T>(values: fc.Arbitrary<T>) => fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: values })
const time = fc.integer({ min: -1, max: 7 }).map((at) => noon + at * 0.5)

const filters: fc.Arbitrary<TraceFilter> = fc.record({
  since: maybe(time),
  until: maybe(time),
  failed: maybe(fc.boolean()),
  slowerThan: maybe(fc.constantFrom(0, 0.25, 0.3, 5_000, 5_001)),
  keyId: maybe(fc.constantFrom('key_1', 'key_', 'KEY_1')),
  model: maybe(fc.constantFrom('up/small', 'up/big', 'up/%')),
  provider: maybe(fc.constantFrom('up', 'down')),
  principal: maybe(fc.constantFrom('alice', "b'ob", '')),
  requestId: maybe(fc.constantFrom('req-1', 'req-2', 'req-')),
  traceId: maybe(fc.constantFrom(hex(1, 32), hex(2, 32), hex(9, 32))),
})

/** Writes in batches of so many spans, of each request its spans in this order; numbers count from 1. */
async function write(path: string, all: readonly Made[], { size, clientFirst }: { size: number; clientFirst: boolean }): Promise<void> {
  const writer = await openTraceStoreWriter(path, ample, { now: () => noon })
  const spans = all.flatMap((one, index) => (clientFirst ? spansOf(one, index + 1).toReversed() : spansOf(one, index + 1)))
  for (let at = 0; at < spans.length; at += size) await writer.write(spans.slice(at, at + size))
  await writer.close()
}

/** All pages of a list, each as long as `limit`. */
function pagesOf(store: TraceStore, filter: TraceFilter & { order: 'newest' | 'oldest' }, limit: number): StoredTrace[] {
  const found: StoredTrace[] = []
  for (;;) {
    const page = store.list({ ...filter, limit, after: found.at(-1) })
    found.push(...page)
    if (page.length < limit) return found
  }
}

const sorted = (ids: readonly string[]) => ids.toSorted((a, b) => a.localeCompare(b))

const idsOf = (traces: readonly StoredTrace[]) => traces.map(({ requestId }) => requestId)

const written = fc.record({
  all: fc.array(made, { minLength: 1, maxLength: 25 }),
  size: fc.integer({ min: 1, max: 9 }),
  clientFirst: fc.boolean(),
})

describe('what was written is what is found', () => {
  test('[TST-4] by every filter, in both orders, in pages of any length', async () => {
    await fc.assert(
      fc.asyncProperty(
        written,
        fc.array(fc.tuple(filters, fc.integer({ min: 1, max: 7 })), { minLength: 5, maxLength: 5 }),
        async ({ all, ...how }, requestBody) => {
          await using place = await freshPath()
          await write(place.path, all, how)
          const numbered = all.map((one, index) => ({ ...one, number: index + 1 })).toSorted(byAge)
          await read(place.path, (store) => {
            for (const [filter, limit] of requestBody) {
              const expected = numbered.filter((one) => meets(one, one.number, filter)).map(({ number }) => `req-${number}`)
              expect(idsOf(pagesOf(store, { ...filter, order: 'newest' }, limit))).toEqual(expected)
              expect(idsOf(pagesOf(store, { ...filter, order: 'oldest' }, limit))).toEqual(expected.toReversed())
            }
          })
        },
      ),
      { numRuns: 40 },
    )
  })

  test('[TST-5] by ids, beginnings of ids, spans, and the order of writing; every span as it was', async () => {
    await fc.assert(
      fc.asyncProperty(written, fc.integer({ min: 0, max: 30 }), async ({ all, ...how }, from) => {
        await using place = await freshPath()
        await write(place.path, all, how)
        const numbers = all.map((_, index) => index + 1)
        const within = (wanted: (one: Made, number: number) => boolean) =>
          numbers.filter((number) => wanted(all[number - 1]!, number)).map((number) => `req-${number}`)
        await read(place.path, (store) => {
          // Ids rise in the order of writing, and may leave some out.
          const inOrder = store.writtenAfter(0, 100)
          expect([store.lastId(), idsOf(inOrder)]).toEqual([inOrder.at(-1)!.id, within(() => true)])
          const { id } = inOrder[from % all.length]!
          expect(idsOf(store.writtenAfter(id, 3))).toEqual(idsOf(inOrder.filter((trace) => trace.id > id).slice(0, 3)))
          for (const trace of [1, 4]) {
            const parts = within((one) => one.trace === trace)
            expect(sorted(idsOf(store.byTraceId(hex(trace, 32))))).toEqual(sorted(parts))
            expect(sorted(idsOf(store.find(hex(trace, 32), 100)))).toEqual(sorted(parts))
          }
          expect(sorted(idsOf(store.find('req-2', 100)))).toEqual(all.length >= 2 ? ['req-2'] : [])
          expect(store.find('req-', 100)).toHaveLength(all.length)
          for (const number of numbers) {
            const [trace] = store.bySpanId(hex(number * 2 + 1, 16))
            expect(trace?.requestId).toBe(`req-${number}`)
            const spans = store
              .spansOf(trace!)
              .map(({ statusMessage, events, ...rest }) => ({ ...rest, events: [statusMessage, ...events] }))
            const expected = spansOf(all[number - 1]!, number).map(
              ({ spanId, parentSpanId = null, name, kind, start, end, status, attributes }) => {
                return { spanId, parentSpanId, name, kind, start, end, status, attributes, events: [null] }
              },
            )
            expect(spans.toSorted((a, b) => a.spanId.localeCompare(b.spanId))).toEqual(expected as never)
          }
        })
      }),
      { numRuns: 30 },
    )
  })
})
