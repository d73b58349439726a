import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { definitionsOf } from '../../../src/telemetry/metrics/definitions.ts'
import {
  Instruments,
  maxSeries,
  overflowLabel,
  type HistogramValue,
  type MetricsSnapshot,
} from '../../../src/telemetry/metrics/instruments.ts'
import { cumulativeIn, merge } from '../../../src/telemetry/metrics/merge.ts'
import { formatFor, toText } from '../../../src/telemetry/metrics/prometheus.ts'
import { defaultTelemetry } from '../../../src/telemetry/config.ts'
import { chatReply } from '../../../src/testing/index.ts'
import { parseText, valuesOf } from './parse-text.ts'
import { hello, measured } from './stage.ts'

const definitions = definitionsOf('v1_41')
const duration = 'gen_ai.server.request.duration'
const instruments = () => new Instruments(definitions, (error) => expect(error).toBeUndefined())
const labels = (label: string) => ['chat', 'p', 'p', label, ''] as const

/** What `/metrics` says of these costs (billionths of a dollar), each of them added so many times. */
function printed(costs: readonly number[], times = 1): number {
  const own = instruments()
  const series = own.counter('corral.cost').bind('p', 'm')
  for (let time = 0; time < times; time++) for (const nano of costs) series.add(nano / 1e9)
  const text = toText(own.collect(), definitions, { format: 'prometheus', info: {} })
  return valuesOf(parseText(text), 'corral_cost_USD_total')[0] ?? Number.NaN
}

const sumOf = (costs: readonly number[]) => costs.reduce((sum, cost) => sum + cost, 0)

describe('instruments', () => {
  test('every observation is in the first bucket that holds it, and what is no time is not counted', () => {
    const { buckets = [] } = definitions.find(({ name }) => name === duration) ?? {}
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.double(), fc.constantFrom(...buckets))), (values) => {
        const own = instruments()
        const series = own.histogram(duration).bind(...labels('m'))
        for (const value of values) series.observe(value)
        const counted = values.filter((value) => value >= 0 && value < Infinity)
        const expected = [...buckets, Infinity].map(
          (limit, at) => counted.filter((value) => value <= limit && (at === 0 || value > (buckets[at - 1] as number))).length,
        )
        expect(series.counts).toEqual(expected)
        expect(own.collect()[duration]?.length ?? 0).toBe(counted.length > 0 ? 1 : 0)
      }),
    )
  })

  test('[MET-9] dollars that are counted as they come, and printed, are the ledger’s sum: to the billionth, and of millions to the cent', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.nat(1e9), fc.nat(1e4)), { minLength: 1, maxLength: 1_000 }), (costs) => {
        expect(Math.round(printed(costs) * 1e9)).toBe(sumOf(costs))
      }),
    )
    fc.assert(
      fc.property(fc.array(fc.nat(100e9), { minLength: 50, maxLength: 100 }), (costs) => {
        expect(Math.abs(printed(costs, 1_000) - sumOf(costs) / 1e6)).toBeLessThan(0.005)
      }),
      { numRuns: 20 },
    )
  })

  test('beyond the most sets of labels all share one', () => {
    const own = instruments()
    const family = own.counter('corral.refusals')
    for (let at = 0; at < maxSeries * 2; at++) family.bind('quota', `code-${at}`, '').add(1)
    const points = own.collect()['corral.refusals'] ?? []
    expect(points).toHaveLength(maxSeries)
    expect(points.at(-1)).toEqual({ labels: [overflowLabel, overflowLabel, overflowLabel], value: maxSeries + 1 })
  })

  test('a reader that fails is left out, and reported', () => {
    const reported: unknown[] = []
    const own = new Instruments(definitions, (error) => reported.push(error))
    own.observe('corral.processes', () => {
      throw new Error('no')
    })
    own.counter('corral.cost').bind('p', 'm').add(0.5)
    expect(own.collect()).toEqual({ 'corral.cost': [{ labels: ['p', 'm'], value: 0.5 }] })
    expect(reported).toHaveLength(1)
  })
})

/** What one process may have counted. */
const snapshots = fc.array(
  fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat({ max: 100 })), { maxLength: 20 }).map((observed): MetricsSnapshot => {
    const own = instruments()
    for (const [label, value] of observed) {
      own.counter('corral.cost').bind('p', label).add(value)
      own
        .histogram(duration)
        .bind(...labels(label))
        .observe(value)
    }
    own.observe('corral.quota.utilization', () =>
      observed.slice(0, 1).map(([label, value]) => ({ labels: [label, 'requests', 'day'], value })),
    )
    return own.collect()
  }),
  { maxLength: 4 },
)

const totalOf = (all: readonly MetricsSnapshot[], name: string) =>
  all
    .flatMap((snapshot) => snapshot[name] ?? [])
    .reduce((sum, { value }) => sum + (typeof value === 'number' ? value : value.counts.reduce((a, b) => a + b, 0)), 0)

const up = (value: number, at: number): MetricsSnapshot => ({ 'corral.provider.up': [{ labels: ['p'], value, at }] })

describe('several processes', () => {
  test('[MET-6] nothing is lost or doubled, in whatever order and grouping they are added', () => {
    fc.assert(
      fc.property(snapshots, fc.nat(), (all, cut) => {
        const merged = merge(all, definitions)
        const at = all.length === 0 ? 0 : cut % all.length
        const grouped = merge([merge(all.slice(0, at), definitions), merge(all.slice(at), definitions)], definitions)
        expect(grouped).toEqual(merged)
        for (const name of ['corral.cost', duration]) {
          expect(totalOf([merged], name)).toBe(totalOf(all, name))
          const sets = (merged[name] ?? []).map((point) => point.labels.join())
          expect(new Set(sets).size).toBe(sets.length)
        }
        const sums = (merged[duration] ?? []).reduce((sum, { value }) => sum + (value as HistogramValue).sum, 0)
        expect(sums).toBe(all.flatMap((one) => one[duration] ?? []).reduce((sum, { value }) => sum + (value as HistogramValue).sum, 0))
        for (const { value, labels: set } of merged['corral.quota.utilization'] ?? []) {
          const same = all.flatMap((one) => one['corral.quota.utilization'] ?? []).filter((point) => point.labels.join() === set.join())
          expect(value).toBe(Math.max(...same.map((point) => point.value as number)))
        }
      }),
    )
  })

  test('[MET-6] of one that is gone what it counted stays, and what it was does not', () => {
    const counted = cumulativeIn(
      { 'corral.cost': [{ labels: ['p', 'm'], value: 1 }], 'corral.processes': [{ labels: [], value: 1 }] },
      definitions,
    )
    expect(Object.keys(counted)).toEqual(['corral.cost'])
  })

  test('of what is observed the latest counts', () => {
    for (const order of [
      [up(1, 5), up(0, 9)],
      [up(0, 9), up(1, 5)],
    ]) {
      expect(merge(order, definitions)['corral.provider.up']?.[0]?.value).toBe(0)
    }
  })
})

test.each([
  [null, 'prometheus'],
  ['*/*', 'prometheus'],
  ['text/plain', 'prometheus'],
  ['application/openmetrics-text; version=1.0.0', 'openmetrics'],
  ['application/openmetrics-text;q=0.4,text/plain;q=0.5', 'prometheus'],
  ['application/openmetrics-text;q=0', 'prometheus'],
  ['application/openmetrics-text;q=invalid', 'prometheus'],
] as const)('accept: %p gives %p', (accept, format) => {
  expect(formatFor(accept)).toBe(format)
})

test('[MET-2] the later conventions’ names, where they are asked for', async () => {
  const usage = { prompt_tokens: 30, completion_tokens: 12, total_tokens: 42, completion_tokens_details: { reasoning_tokens: 5 } }
  await using it = await measured(() => chatReply('Hi.', { usage }), { telemetry: { ...defaultTelemetry, conventions: 'latest' } })
  await (await it.post('/v1/chat/completions', { model: 'up/small', ...hello })).text()
  const families = await it.read()
  expect(valuesOf(families, 'gen_ai_client_inference_duration_seconds_count')).toEqual([1])
  expect(valuesOf(families, 'gen_ai_client_inference_usage_input_tokens_total')).toEqual([30])
  expect(valuesOf(families, 'gen_ai_client_inference_usage_reasoning_output_tokens_total')).toEqual([5])
  expect(valuesOf(families, 'gen_ai_client_inference_operation_output_tokens_sum')).toEqual([12])
  expect(families.has('gen_ai_client_token_usage')).toBe(false)
})
