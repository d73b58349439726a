import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { chat } from '../../src/operations/chat.ts'
import { embeddings } from '../../src/operations/embeddings.ts'
import { loadPriceCatalogue, type PriceCatalogue } from '../../src/quota/prices-catalogue.ts'
import { costOf, flatRate, maxCostOf, type Rate, type Rates } from '../../src/quota/prices-rates.ts'
import { createPrices, type Price, type PricesOptions } from '../../src/quota/prices.ts'
import { inferenceDefinitions } from '../providers/inference-definitions.ts'
import type { TokensUsed } from '../../src/quota/governance.ts'
import { runs } from '../../src/testing/sizes.ts'

/** US dollars for a million tokens, with as many decimals as price lists have. */
const perMillion = fc.integer({ min: 0, max: 600_000_000 }).map((millionths) => millionths / 1e6)
const rate: fc.Arbitrary<Rate> = fc.record({
  base: fc.integer({ min: 0, max: 600_000_000 }),
  tiers: fc
    .array(fc.record({ over: fc.integer({ min: 1, max: 500_000 }), price: fc.integer({ min: 0, max: 600_000_000 }) }), { maxLength: 2 })
    .map((tiers) => tiers.toSorted((a, b) => a.over - b.over)),
})
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined })
const rates: fc.Arbitrary<Rates> = fc.record({
  input: rate,
  output: maybe(rate),
  cachedInput: maybe(rate),
  cacheWrite: maybe(rate),
  inputAudio: maybe(rate),
  outputAudio: maybe(rate),
  reasoning: maybe(rate),
  request: fc.integer({ min: 0, max: 1e10 }),
})
const rateOf = (base: number): Rate => ({ base, tiers: [] })
const tokens = fc.integer({ min: 0, max: 1_000_000 })
const usage: fc.Arbitrary<TokensUsed> = fc.record({
  input: tokens,
  output: tokens,
  cachedInput: maybe(tokens),
  cacheWrite: maybe(tokens),
  inputAudio: maybe(tokens),
  reasoning: maybe(tokens),
  outputAudio: maybe(tokens),
})
/** What providers really send now and then. */
const invalid = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(Number.NaN, Infinity, -Infinity, -1, 1e300, 0.5))
const wildUsage = fc.record({
  input: invalid,
  output: invalid,
  cachedInput: maybe(invalid),
  cacheWrite: maybe(invalid),
  inputAudio: maybe(invalid),
  reasoning: maybe(invalid),
  outputAudio: maybe(invalid),
})

describe('money', () => {
  test('[QUO-50] a price list by the book: whole billionths, cached tokens once', () => {
    const gpt4o: Rates = { input: flatRate(2.5), output: flatRate(10), cachedInput: flatRate(1.25), request: 0 }
    expect(costOf(gpt4o, { input: 1000, output: 100 })).toBe(1000 * 2500 + 100 * 10_000)
    expect(costOf(gpt4o, { input: 1000, output: 100, cachedInput: 800 })).toBe(200 * 2500 + 800 * 1250 + 100 * 10_000)
    // Half a billionth of a dollar a token is rounded up once, not once a token.
    expect(costOf({ input: flatRate(0.0005), output: flatRate(0), request: 0 }, { input: 3, output: 0 })).toBe(2)
  })

  test('[QUO-50] never negative, never NaN, always whole, whatever a provider says', () => {
    fc.assert(
      fc.property(rates, wildUsage, (list, used) => {
        const cost = costOf(list, used)
        return Number.isSafeInteger(cost) && cost >= 0
      }),
      { numRuns: runs(5000) },
    )
  })

  test('[QUO-50] exact also where the sum is larger than what numbers hold exactly', () => {
    const many = fc.integer({ min: 0, max: 4e9 })
    const price = fc.integer({ min: 0, max: 600_000_000 })
    fc.assert(
      fc.property(fc.tuple(many, many, many), fc.tuple(price, price, price), ([fresh, cached, written], [a, b, c]) => {
        const list: Rates = { input: rateOf(a), cachedInput: rateOf(b), output: rateOf(c), request: 7 }
        const sum = BigInt(fresh) * BigInt(a) + BigInt(cached) * BigInt(b) + BigInt(written) * BigInt(c) + 7n
        return BigInt(costOf(list, { input: fresh + cached, cachedInput: cached, output: written })) === (sum + 999n) / 1000n
      }),
      { numRuns: runs(3000) },
    )
  })

  test('[QUO-50] every token is charged exactly once: the parts sum to the whole', () => {
    // With one price for everything, how the tokens divide is of no matter.
    fc.assert(
      fc.property(perMillion, usage, (price, used) => {
        const one = flatRate(price)
        const same: Rates = {
          input: one,
          output: one,
          cachedInput: one,
          cacheWrite: one,
          inputAudio: one,
          outputAudio: one,
          reasoning: one,
          request: 0,
        }
        return costOf(same, used) === costOf(same, { input: used.input, output: used.output })
      }),
      { numRuns: runs(3000) },
    )
  })

  test('[QUO-50] sums add up: pieces cost what the whole does, but for a billionth of rounding each', () => {
    fc.assert(
      fc.property(perMillion, perMillion, fc.array(fc.record({ input: tokens, output: tokens }), { maxLength: 20 }), (a, b, pieces) => {
        const list: Rates = { input: flatRate(a), output: flatRate(b), request: 0 }
        const whole = { input: 0, output: 0 }
        let sum = 0
        for (const piece of pieces) {
          whole.input += piece.input
          whole.output += piece.output
          sum += costOf(list, piece)
        }
        const difference = sum - costOf(list, whole)
        return difference >= 0 && difference <= pieces.length
      }),
      { numRuns: runs(2000) },
    )
  })

  test('[QUO-50] a cheaper price for cached tokens never raises the cost of a response', () => {
    fc.assert(
      fc.property(perMillion, perMillion, usage, (a, b, used) => {
        const list: Rates = { input: flatRate(Math.max(a, b)), output: flatRate(1), cachedInput: flatRate(Math.min(a, b)), request: 0 }
        return costOf(list, used) <= costOf(list, { ...used, cachedInput: 0 })
      }),
      { numRuns: runs(2000) },
    )
  })

  test('[QUO-50] the worst case is never less than what a response within it costs', () => {
    fc.assert(
      fc.property(rates, usage, tokens, tokens, (list, used, moreInput, moreOutput) => {
        const max = { input: used.input + moreInput, output: used.output + moreOutput }
        return maxCostOf(list, max) >= costOf(list, used)
      }),
      { numRuns: runs(5000) },
    )
  })
})

const question = (model: string, over: object = {}) => ({
  operation: chat,
  provider: 'up',
  upstreamModel: model,
  model: `up/${model}`,
  ...over,
})

function pricesOf(over: Partial<PricesOptions> = {}) {
  return createPrices({ overrides: [], providers: new Map([['up', { catalogue: 'openai' }]]), ...over })
}

const dollarsPerMillion = (price: Price | undefined, which: 'input' | 'output' | 'cachedInput' = 'input') =>
  (price?.rates?.[which]?.base ?? Number.NaN) / 1e6

const notNeeded = (): Promise<PriceCatalogue> => Promise.reject(new Error('not needed'))

describe('which price', () => {
  test('the catalogue’s, found by the provider’s own name of the model', async () => {
    const price = await pricesOf().find(question('gpt-4o-mini'))
    expect([dollarsPerMillion(price), dollarsPerMillion(price, 'cachedInput'), dollarsPerMillion(price, 'output')]).toEqual([
      0.15, 0.075, 0.6,
    ])
    expect(price?.reported).toBe(false)
  })

  test('is at hand once the catalogue is loaded', async () => {
    const prices = pricesOf()
    await prices.find(question('gpt-4o-mini'))
    expect(prices.find(question('gpt-4o'))).not.toBeInstanceOf(Promise)
    expect(prices.find(question('gpt-4o-mini'))).toBe(prices.find(question('gpt-4o-mini')))
  })

  test('none for a model or a provider that is in no list; no other vendor’s list is tried', async () => {
    expect(await pricesOf().find(question('nobody-knows-this'))).toBeUndefined()
    expect(await pricesOf().find(question('gpt-4o', { provider: 'stranger' }))).toBeUndefined()
    expect(await pricesOf({ providers: new Map([['up', { catalogue: 'groq' }]]) }).find(question('gpt-4o'))).toBeUndefined()
  })

  test('[QUO-51] the configuration’s goes before the catalogue’s; the first that matches counts', async () => {
    const prices = pricesOf({
      overrides: [
        { model: 'up/gpt-4o-*', input: 1, output: 2 },
        { provider: 'other', model: '*', input: 3, output: 3 },
        { provider: 'up', model: '*-turbo', input: 4, output: 5, cachedInput: 0.5, request: 0.01 },
      ],
    })
    expect(dollarsPerMillion(await prices.find(question('gpt-4o-mini')))).toBe(1)
    expect(dollarsPerMillion(await prices.find(question('own-turbo')))).toBe(4)
    expect((await prices.find(question('own-turbo')))?.rates?.request).toBe(1e10)
    expect(dollarsPerMillion(await prices.find(question('gpt-4o')))).toBe(2.5)
  })

  test('[QUO-51] goes by the catalogue’s id also where another one of the same model was asked for before', () => {
    const prices = pricesOf({
      overrides: [
        { model: 'cheap', input: 1, output: 1 },
        { model: '*', input: 2, output: 2 },
      ],
    })
    for (const [model, dollars] of [
      ['up/one', 2],
      ['cheap', 1],
      ['up/one', 2],
    ] as const) {
      expect(dollarsPerMillion(prices.find({ ...question('one'), model }) as Price)).toBe(dollars)
    }
  })

  test('[QUO-52] local providers cost nothing, unless the configuration says otherwise, and load no catalogue', () => {
    const providers = new Map([['up', { local: true }]])
    expect(pricesOf({ providers, load: notNeeded }).find(question('any'))).toMatchObject({
      rates: { input: { base: 0 }, output: { base: 0 } },
    })
    const priced = pricesOf({ providers, load: notNeeded, overrides: [{ model: '*', input: 1, output: 1 }] })
    expect(dollarsPerMillion(priced.find(question('any')) as Price)).toBe(1)
  })

  test('a list without a price for writing prices embeddings, and not chats', async () => {
    const embedding = question('text-embedding-3-small', { operation: embeddings })
    const prices = pricesOf()
    expect(dollarsPerMillion(await prices.find(embedding))).toBe(0.02)
    expect(await prices.find(question('text-embedding-3-small'))).toBeUndefined()
  })

  test('tiers: all tokens of a long request cost more', async () => {
    const prices = pricesOf({ providers: new Map([['up', { catalogue: 'google' }]]) })
    const list = (await prices.find(question('gemini-2.5-pro')))?.rates as Rates
    expect(costOf(list, { input: 200_000, output: 0 })).toBe(200_000 * 1250)
    expect(costOf(list, { input: 200_001, output: 10 })).toBe(200_001 * 2500 + 10 * 15_000)
  })

  test('prices that depend on the time are looked up again when it has passed', async () => {
    let now = Date.UTC(2026, 10, 22, 0, 0, 30)
    let looked = 0
    const load = async (): Promise<PriceCatalogue> => ({
      find(_vendor, _model, at) {
        looked += 1
        return {
          rates: { input: flatRate(at < Date.UTC(2026, 10, 22, 0, 1) ? 1 : 2), output: flatRate(0), request: 0 },
          until: now + 30_000,
        }
      },
    })
    const prices = pricesOf({ load, now: () => now })
    expect(dollarsPerMillion(await prices.find(question('m')))).toBe(1)
    expect(dollarsPerMillion(await prices.find(question('m')))).toBe(1)
    now += 30_000
    expect(dollarsPerMillion(await prices.find(question('m')))).toBe(2)
    expect(looked).toBe(2)
  })

  test('[QUO-50] of a model under two ids of the catalogue, asked for in turn, each price is looked up once', async () => {
    let looked = 0
    const load = async (): Promise<PriceCatalogue> => ({
      find() {
        looked += 1
        return { rates: { input: flatRate(looked), output: flatRate(0), request: 0 }, until: Infinity }
      },
    })
    const prices = pricesOf({ load })
    const asked: number[] = []
    for (const model of ['up/m', 'fast', 'up/m', 'fast']) asked.push(dollarsPerMillion(await prices.find(question('m', { model }))))
    expect([looked, asked]).toEqual([2, [1, 2, 1, 2]])
  })

  test('of a model under ever more ids the price stays what it is', async () => {
    const prices = pricesOf({ overrides: [{ model: '*-dear', input: 2, output: 2 }] })
    for (let at = 0; at < 50; at++) {
      expect(dollarsPerMillion(await prices.find(question('gpt-4o', { model: `id-${at}` })))).toBe(2.5)
      expect(dollarsPerMillion(await prices.find(question('gpt-4o', { model: `id-${at}-dear` })))).toBe(2)
    }
  })

  test('the package’s own: at some hours only', async () => {
    const catalogue = await loadPriceCatalogue()
    const night = catalogue.find('deepseek', 'deepseek-chat', Date.UTC(2025, 5, 1, 20))
    const day = catalogue.find('deepseek', 'deepseek-chat', Date.UTC(2025, 5, 1, 10))
    expect(night?.until).toBe(Date.UTC(2025, 5, 1, 20, 1))
    expect(night?.rates.input.base).not.toBe(day?.rates.input.base)
  })

  test('a catalogue that cannot be loaded is reported, and prices nothing', async () => {
    const failures: unknown[] = []
    const prices = pricesOf({ load: () => Promise.reject(new Error('broken')), onFailure: (error) => failures.push(error) })
    expect(await prices.find(question('gpt-4o'))).toBeUndefined()
    expect(failures).toHaveLength(1)
  })
})

test('every vendor that a provider’s definition names is in the catalogue', async () => {
  const { findProvider } = await import('@pydantic/genai-prices')
  const named = inferenceDefinitions.flatMap(({ pricing }) => (pricing?.catalogue ? [pricing.catalogue] : []))
  expect(named.length).toBeGreaterThan(10)
  for (const vendor of named) expect(findProvider({ providerId: vendor })?.id).toBe(vendor)
})
