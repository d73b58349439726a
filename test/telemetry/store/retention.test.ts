import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import * as fc from 'fast-check'
import { openTraceStoreWriter } from '../../../src/telemetry/store/writer.ts'
import type { SpanRecord } from '../../../src/telemetry/traces/span.ts'
import type { TraceStoreLimits } from '../../../src/telemetry/worker/messages.ts'
import { freshPath, read } from './opened.ts'
import { hex, noon, requestSpans } from './records.ts'

setDefaultTimeout(60_000)

/** A trace as far as retention is concerned; `logged`: a caller's own. */
interface Aged {
  readonly number: number
  readonly start: number
  readonly logged: boolean
}

const ofCaller = (number: number, { start, padding }: { start: number; padding: string }): SpanRecord => ({
  traceId: hex(number, 32),
  spanId: hex(number, 16),
  name: 'logged',
  kind: 'internal',
  start,
  end: start,
  attributes: { padding },
  status: 'unset',
  sampled: false,
  kept: 'sampled',
  owner: { requestId: `req-${number}`, principalId: 'mallory' },
})

interface Written {
  readonly start: number
  readonly kilobytes: number
  readonly logged: boolean
  readonly kept: SpanRecord['kept']
}

function recordsOf({ start, kilobytes, logged, kept }: Written, number: number): SpanRecord[] {
  const padding = 'x'.repeat(kilobytes * 1_000)
  return logged ? [ofCaller(number, { start, padding })] : requestSpans(number, { start, kept, attributes: { padding } }).slice(0, 1)
}

/** Every trace that is there, by its number; the oldest first. */
async function agedIn(path: string): Promise<Aged[]> {
  const traces = await read(path, (store) => store.list({ limit: 10_000, order: 'oldest' }))
  return traces.map(({ requestId, start, name }) => ({ number: Number(requestId.slice(4)), start, logged: name === 'logged' }))
}

/** Writes batch after batch at `times`, and looks after each. */
async function writing(
  batches: readonly (readonly Written[])[],
  limits: TraceStoreLimits,
  look: (step: Step) => void,
  timeOf: (batch: number) => number = () => noon,
) {
  await using place = await freshPath()
  let now = noon
  const writer = await openTraceStoreWriter(place.path, limits, { now: () => now })
  let before: Aged[] = []
  let number = 0
  for (const [at, batch] of batches.entries()) {
    now = timeOf(at)
    const added = batch.map((one): Aged => ({ number: (number += 1), start: one.start, logged: one.logged }))
    await writer.write(batch.flatMap((one, index) => recordsOf(one, added[index]!.number)))
    const after = await agedIn(place.path)
    const there = new Set(after.map((each) => each.number))
    const all = [...before, ...added]
    look({ now, after, deleted: all.filter((each) => !there.has(each.number)) })
    before = after
  }
  await writer.close()
}

interface Step {
  readonly now: number
  readonly after: readonly Aged[]
  /** What was there, or was just written, and is gone. */
  readonly deleted: readonly Aged[]
}

const older = (a: Aged, b: Aged) => a.start < b.start || (a.start === b.start && a.number < b.number)

/** Batches of at least so many, which begin at one of `starts`. */
function batchesOf(starts: fc.Arbitrary<number>, least: number): fc.Arbitrary<Written[][]> {
  const one = fc.record({
    start: starts,
    kilobytes: fc.integer({ min: 1, max: 40 }),
    logged: fc.boolean(),
    kept: fc.constantFrom<SpanRecord['kept']>('sampled', 'failed', 'slow'),
  })
  return fc.array(fc.array(one, { minLength: least, maxLength: 60 }), { minLength: 3, maxLength: 8 })
}

describe('what is deleted', () => {
  test('[TST-1] for its age: all that is older than the store keeps, and nothing else, failed or not', async () => {
    const maxAge = 10 * 60_000
    const starts = fc.integer({ min: -20, max: 20 }).map((minutes) => noon + minutes * 60_000)
    // A minute apart, at which it looks; what becomes too old in between stays until then.
    await fc.assert(
      fc.asyncProperty(batchesOf(starts, 1), async (batches) => {
        await writing(
          batches,
          { maxAge, maxBytes: 1e9 },
          ({ now, after, deleted }) => {
            expect(after.filter(({ start }) => start < now - maxAge)).toEqual([])
            expect(deleted.filter(({ start }) => start >= now - maxAge)).toEqual([])
          },
          (at) => noon + at * 60_000,
        )
      }),
      { numRuns: 15 },
    )
  })

  test('[TST-1] for its size: what callers logged before the server’s own, each the oldest first, failed or not', async () => {
    const starts = fc.integer({ min: 0, max: 500 }).map((at) => noon + at)
    let deletions = 0
    await fc.assert(
      fc.asyncProperty(batchesOf(starts, 20), async (batches) => {
        await writing(batches, { maxAge: 1e15, maxBytes: 1_000_000 }, ({ after, deleted }) => {
          deletions += deleted.length
          for (const logged of [true, false]) {
            const last = deleted
              .filter((each) => each.logged === logged)
              .reduce<Aged | undefined>((a, b) => (a && older(b, a) ? a : b), undefined)
            const first = after.find((each) => each.logged === logged)
            if (last && first) expect([last, first, older(last, first)]).toEqual([last, first, true])
          }
          const ownDeleted = deleted.some(({ logged }) => !logged)
          if (ownDeleted) expect(after.filter(({ logged }) => logged)).toEqual([])
        })
      }),
      { numRuns: 15 },
    )
    expect(deletions).toBeGreaterThan(100)
  })
})
