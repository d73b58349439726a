import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { samplers } from '../../../src/telemetry/config.ts'
import { createSampler } from '../../../src/telemetry/traces/sampler.ts'
import { createTraceContexts, parseBaggage, parseTraceparent, parseTracestate } from '../../../src/telemetry/traces/trace-context.ts'
import { createIds } from '../../../src/telemetry/traces/trace-ids.ts'
import { runs } from '../../../src/testing/sizes.ts'

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...Array.from('0123456789abcdef')), minLength: length, maxLength: length })
const nonZero = (length: number) => hex(length).filter((text) => /[^0]/.test(text))

describe('traceparent', () => {
  test('[TRC-8] what W3C writes is read back', () => {
    const version = hex(2).filter((text) => text !== 'ff')
    fc.assert(
      fc.property(version, nonZero(32), nonZero(16), fc.integer({ min: 0, max: 255 }), (of, traceId, spanId, flags) => {
        const header = `${of}-${traceId}-${spanId}-${flags.toString(16).padStart(2, '0')}`
        expect(parseTraceparent(header)).toEqual({ traceId, spanId, sampled: flags % 2 === 1 })
        // A version to come may say more; this one may not.
        expect(parseTraceparent(`${header}-more`) !== undefined).toBe(of !== '00')
      }),
      { numRuns: runs(500) },
    )
  })

  test('[TRC-8] nothing else is', () => {
    const good = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    fc.assert(
      fc.property(fc.integer({ min: 0, max: good.length - 1 }), fc.string({ maxLength: 3 }), (at, other) => {
        const header = good.slice(0, at) + other + good.slice(at + 1)
        const read = parseTraceparent(header)
        if (read) expect(header.trim()).toMatch(/^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}(-|$)/)
      }),
      { numRuns: runs(1000) },
    )
    fc.assert(fc.property(fc.string(), (header) => expect(parseTraceparent(header)).toBeUndefined()))
  })

  test.each([
    '',
    '00-00000000000000000000000000000000-b7ad6b7169203331-01',
    '00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01',
    'ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    '00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01',
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331',
    `cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-${'x'.repeat(600)}`,
  ])('[TRC-8] %p makes a new trace', (header) => {
    const contexts = createTraceContexts({ sampler: () => true })
    const trace = contexts(header, new Headers({ tracestate: 'a=b' }))
    expect([trace.parentSpanId, trace.state]).toEqual([undefined, undefined])
    expect(trace.traceId).toMatch(/^(?!0{32})[\da-f]{32}$/)
  })
})

test('[TRC-8] tracestate and baggage pass as they are, or not at all', () => {
  expect(parseTracestate(' rojo=00f067aa0ba902b7 ,congo@v=t61rcWkgMzE, ')).toBe('rojo=00f067aa0ba902b7,congo@v=t61rcWkgMzE')
  for (const bad of ['', 'a', 'A=1', 'a=1,a=2', 'a=1\nb=2', 'a=ü', Array.from({ length: 33 }, (_, at) => `k${at}=1`).join(',')]) {
    expect(parseTracestate(bad)).toBeUndefined()
  }
  expect(parseBaggage('user=alice;p=1, b = c%20d')).toBe('user=alice;p=1,b = c%20d')
  for (const bad of ['', 'a b=c', 'a=\r\nx: y', `a=${'x'.repeat(9000)}`]) expect(parseBaggage(bad)).toBeUndefined()
  fc.assert(fc.property(fc.string(), (text) => expect(parseBaggage(text) ?? '').not.toMatch(/[\r\n\0]/)))
  fc.assert(fc.property(fc.string(), (text) => expect(parseTracestate(text) ?? '').not.toMatch(/[\r\n\0]/)))
})

test('[TRC-9] ids are well-formed, and neither processes nor requests share one', () => {
  const seen = new Set<string>()
  for (let process = 0; process < 20; process++) {
    const ids = createIds()
    for (let count = 0; count < 1000; count++) {
      const [trace, span] = [ids.traceId(), ids.spanId()]
      expect(trace).toMatch(/^[\da-f]{32}$/)
      expect(span).toMatch(/^[\da-f]{16}$/)
      seen.add(trace).add(span)
    }
  }
  expect(seen.size).toBe(40_000)
  const zerosFirst = createIds((bytes) => bytes.fill(1).fill(0, 0, 16))
  expect(zerosFirst.traceId()).toBe('01'.repeat(16))
})

const parent = (sampled: boolean) => ({ traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), sampled })

describe('samplers', () => {
  test('[TRC-10] those with a parent do as it does, the others do not ask', () => {
    for (const name of samplers) {
      const sampler = createSampler(name, 0)
      const [yes, no] = [sampler('c'.repeat(32), parent(true)), sampler('c'.repeat(32), parent(false))]
      if (name.startsWith('parentbased_')) expect([name, yes, no]).toEqual([name, true, false])
      else expect([name, yes]).toEqual([name, name === 'always_on'])
    }
  })

  test('[TRC-10] a share is that share, and a larger one holds the smaller', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), hex(32), (a, b, traceId) => {
        const [small, large] = [Math.min(a, b), Math.max(a, b)]
        if (createSampler('traceidratio', small)(traceId, undefined)) {
          expect(createSampler('parentbased_traceidratio', large)(traceId, undefined)).toBe(true)
        }
      }),
      { numRuns: runs(500) },
    )
    const ids = createIds()
    const sampler = createSampler('traceidratio', 0.1)
    const taken = Array.from({ length: 20_000 }, () => sampler(ids.traceId(), undefined)).filter(Boolean).length
    expect(taken).toBeGreaterThan(1_700)
    expect(taken).toBeLessThan(2_300)
  })
})
