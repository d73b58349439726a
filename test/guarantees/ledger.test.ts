import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { type Ledger, type LedgerEntry, openLedger } from '../../src/quota/ledger.ts'
import type { Clock } from '../../src/quota/limiter-clock.ts'
import { VirtualTime } from '../quota/limiter-simulation.ts'

const entry = (at: number): LedgerEntry => ({
  request_id: String(at),
  key_id: null,
  principal: null,
  attributes: '{}',
  provider: 'up',
  model: 'up/m',
  capability: 'chat',
  outcome: 'completed',
  input_tokens: 1,
  output_tokens: 1,
  cached_input_tokens: 0,
  reasoning_tokens: 0,
  estimated: 0,
  cost_nano_dollars: null,
})

interface Line {
  readonly made: number
  readonly begun: number
  readonly written: number
}

/** A ledger in virtual time over a database with given write durations; the times of each line. */
function slowLedger(time: VirtualTime, { writeTakes, clock = time.clock() }: { writeTakes: () => number; clock?: Clock }) {
  const lines: Line[] = []
  const made: number[] = []
  const quiet = { dependencyFailed() {}, dependencyRecovered() {}, warning() {} }
  const database = {
    async add(_table: string, { rows }: { readonly rows: readonly string[] }) {
      const begun = time.now
      await time.sleep(writeTakes())
      for (const row of rows) {
        const number = Number((JSON.parse(row) as unknown[])[2])
        lines.push({ made: made[number]!, begun, written: time.now })
      }
    },
  }
  const ledger: Ledger = openLedger(database, { events: quiet, clock })
  const record = (): void => ledger.record(entry(made.push(time.now) - 1))
  return { record, lines }
}

test('[GUA-2] lines of a steady load are begun within a second and on disk one write later', async () => {
  const time = new VirtualTime(1_700_000_000_000)
  const { record, lines } = slowLedger(time, { writeTakes: () => 600 })
  for (let at = 0; at < 10_000; at += 50) time.after(at, record)
  await time.runUntil(time.now + 20_000)
  expect(lines).toHaveLength(200)
  expect(Math.max(...lines.map(({ made, begun }) => begun - made))).toBeLessThanOrEqual(1_000)
  expect(Math.max(...lines.map(({ made, written }) => written - made))).toBeLessThanOrEqual(1_600)
})

test('[GUA-2] lines are not late when timers are', async () => {
  const time = new VirtualTime(1_700_000_000_000)
  const regular = time.clock()
  // An event loop that calls timers five seconds late.
  const clock = { ...regular, after: (milliseconds: number, run: () => void) => regular.after(milliseconds + 5_000, run) }
  const { record, lines } = slowLedger(time, { writeTakes: () => 100, clock })
  for (let at = 0; at < 10_000; at += 10) time.after(at, record)
  await time.runUntil(time.now + 30_000)
  expect(lines).toHaveLength(1_000)
  const delays = lines.filter(({ made }) => made < 1_700_000_008_000).map(({ made, begun }) => begun - made)
  expect(Math.max(...delays)).toBeLessThanOrEqual(1_010)
})

test('[GUA-2] whenever lines come and however long writes take, none waits longer than a second or the write under way', async () => {
  const load = fc.array(fc.record({ pause: fc.nat(900), lines: fc.integer({ min: 1, max: 40 }) }), { minLength: 1, maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(load, fc.array(fc.nat(3_000), { minLength: 1, maxLength: 5 }), async (bursts, durations) => {
      const time = new VirtualTime(1_700_000_000_000)
      let writes = 0
      const { record, lines } = slowLedger(time, { writeTakes: () => durations[writes++ % durations.length]! })
      let at = 0
      for (const { pause, lines: count } of bursts) {
        at += pause
        time.after(at, () => {
          for (let n = 0; n < count; n++) record()
        })
      }
      await time.runUntil(time.now + at + 20_000)
      expect(lines).toHaveLength(bursts.reduce((sum, { lines: count }) => sum + count, 0))
      const ends = [...new Set(lines.map(({ written }) => written))]
      for (const { made, begun } of lines) expect(begun - made <= 1_000 || ends.includes(begun)).toBe(true)
      const maxDuration = Math.max(...durations)
      for (const { made, begun } of lines) expect(begun - made).toBeLessThanOrEqual(Math.max(1_000, maxDuration))
    }),
    { numRuns: 30 },
  )
})
