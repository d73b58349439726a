import { afterEach, describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { readUsage } from '../../src/providers/inference/usage.ts'
import { withTicks, xai } from '../../src/providers/inference/xai.ts'
import { costOf, flatRate, toNanoDollars } from '../../src/quota/prices-rates.ts'
import { chatReply, upstreamProvider } from '../../src/testing/index.ts'
import { runs } from '../../src/testing/sizes.ts'
import { governed, type Governed, type GovernedOptions } from './quota-server.ts'

/** Per million tokens: input $1, cached input $0.10, cache writes $1.25, output $2. */
const rates = { input: flatRate(1), cachedInput: flatRate(0.1), cacheWrite: flatRate(1.25), output: flatRate(2), request: 0 }

/** 1000 input tokens of which 800 are cached, and 50 output tokens, as each provider reports them. */
const cachedShapes: Readonly<Record<string, object>> = {
  OpenAI: { ...sums(), prompt_tokens_details: { cached_tokens: 800, audio_tokens: 0 }, completion_tokens_details: { reasoning_tokens: 0 } },
  'OpenAI Responses': { input_tokens: 1000, output_tokens: 50, total_tokens: 1050, input_tokens_details: { cached_tokens: 800 } },
  DeepSeek: { ...sums(), prompt_cache_hit_tokens: 800, prompt_cache_miss_tokens: 200, prompt_tokens_details: { cached_tokens: 800 } },
  'DeepSeek, hits only': { ...sums(), prompt_cache_hit_tokens: 800, prompt_cache_miss_tokens: 200 },
  Moonshot: { ...sums(), cached_tokens: 800 },
  'Moonshot through a gateway that adds details': { ...sums(), cached_tokens: 800, prompt_tokens_details: { cached_tokens: 0 } },
  Together: { ...sums(), cached_tokens: 800, prompt_tokens_details: null },
  Mistral: { ...sums(), num_cached_tokens: 800, prompt_token_details: { cached_tokens: 800 } },
  Groq: { ...sums(), queue_time: 0.02, prompt_time: 0.01, total_time: 0.3, prompt_tokens_details: { cached_tokens: 800 } },
  xAI: {
    ...sums(),
    prompt_tokens_details: { text_tokens: 1000, audio_tokens: 0, image_tokens: 0, cached_tokens: 800 },
    num_sources_used: 0,
  },
  Gemini: { ...sums(), prompt_tokens_details: { cached_tokens: 800 } },
  OpenRouter: {
    ...sums(),
    prompt_tokens_details: { cached_tokens: 800, cache_write_tokens: 0, audio_tokens: 0, video_tokens: 0 },
    is_byok: false,
  },
  Fireworks: { ...sums(), prompt_tokens_details: { cached_tokens: 800 } },
  Cerebras: { ...sums(), prompt_tokens_details: { cached_tokens: 800 }, completion_tokens_details: { accepted_prediction_tokens: 0 } },
  DashScope: { ...sums(), prompt_tokens_details: { cache_read_input_tokens: 800, cache_type: 'ephemeral', cached_tokens: 0 } },
  'vLLM, SGLang': { ...sums(), prompt_tokens_details: { cached_tokens: 800 }, reasoning_tokens: 0 },
  'LiteLLM before Anthropic': {
    ...sums(),
    prompt_tokens_details: { cached_tokens: 800, text_tokens: null, cache_creation_tokens: 0 },
    cache_read_input_tokens: 800,
    cache_creation_input_tokens: 0,
  },
  'LiteLLM before Anthropic, with a zero in OpenAI’s place': {
    ...sums(),
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: null },
    cache_read_input_tokens: 800,
    cache_creation_input_tokens: 0,
  },
  'Databricks before Claude, details null': { ...sums(), prompt_tokens_details: null, cache_read_input_tokens: 800 },
  Anthropic: { input_tokens: 200, output_tokens: 50, cache_read_input_tokens: 800, cache_creation_input_tokens: 0 },
  'a proxy whose prompt tokens exclude cached ones': { prompt_tokens: 200, completion_tokens: 50, cache_read_input_tokens: 800 },
  'the same, with a zero in OpenAI’s place': {
    ...sums(200),
    prompt_tokens_details: { cached_tokens: 0 },
    cache_read_input_tokens: 800,
  },
  'the same, decided by the total': { prompt_tokens: 900, completion_tokens: 50, total_tokens: 1750, cached_tokens: 800 },
  'several counts, one of them above the input': { ...sums(), cached_tokens: 800, prompt_tokens_details: { cached_tokens: 5000 } },
  'counts of the wrong type beside the right one': {
    ...sums(),
    cached_tokens: '900',
    prompt_cache_hit_tokens: -5,
    cache_read_input_tokens: 1e300,
    prompt_tokens_details: { cached_tokens: 800 },
  },
}

function sums(input = 1000, output = 50) {
  return { prompt_tokens: input, completion_tokens: output, total_tokens: input + output }
}

describe('cached tokens are charged as such, and once', () => {
  test.each(Object.entries(cachedShapes))('[VEN-1] %s', (name, usage) => {
    const isLarger = name.endsWith('by the total')
    expect(readUsage(usage)).toMatchObject({ input: isLarger ? 1700 : 1000, output: 50, cached: 800 })
    expect(costOf(rates, tokensOf(usage))).toBe((isLarger ? 900 : 200) * 1000 + 800 * 100 + 50 * 2000)
  })

  test.each([
    ['vLLM: null details', { ...sums(), prompt_tokens_details: null }, { input: 1000, output: 50 }],
    ['Ollama, llama.cpp, LM Studio, TGI: sums only', sums(), { input: 1000, output: 50 }],
    ['no cache hit', { ...sums(), prompt_tokens_details: { cached_tokens: 0 } }, { input: 1000, output: 50, cached: 0 }],
    [
      'SGLang: hits of all choices, above an input that the total confirms',
      { ...sums(), prompt_tokens_details: { cached_tokens: 4000 } },
      { input: 1000, output: 50 },
    ],
    [
      'reasoning that the total alone holds, as large as the cached part',
      {
        ...sums(100, 10),
        total_tokens: 160,
        prompt_tokens_details: { cached_tokens: 50 },
        completion_tokens_details: { reasoning_tokens: 50 },
      },
      { input: 100, output: 60, cached: 50, reasoning: 50 },
    ],
    [
      'Perplexity: reasoning beside the output',
      { ...sums(33, 11), citation_tokens: 51, num_search_queries: 28, reasoning_tokens: 193, cost: { total_cost: 0.5 } },
      { input: 33, output: 204, reasoning: 193, dollars: 0.5 },
    ],
    [
      'OpenRouter: written to a cache',
      { ...sums(), prompt_tokens_details: { cached_tokens: 100, cache_write_tokens: 700 }, cost: 0.0012 },
      { input: 1000, output: 50, cached: 100, cacheWrite: 700, dollars: 0.0012 },
    ],
    [
      'LiteLLM: written to a cache',
      { ...sums(), prompt_tokens_details: { cached_tokens: 100, cache_creation_tokens: 700 }, cache_creation_input_tokens: 700 },
      { input: 1000, output: 50, cached: 100, cacheWrite: 700 },
    ],
    [
      'Anthropic: read and written beside the input',
      { input_tokens: 200, output_tokens: 50, cache_read_input_tokens: 100, cache_creation_input_tokens: 700 },
      { input: 1000, output: 50, cached: 100, cacheWrite: 700 },
    ],
    ['embeddings', { prompt_tokens: 1000, total_tokens: 1000 }, { input: 1000, output: 0 }],
  ] as const)('[VEN-1] %s', (_, usage, read) => {
    expect(readUsage(usage)).toEqual(read)
  })

  test('[VEN-1] in the ledger', async () => {
    const prices = [{ provider: 'up', model: '*', input_per_million: 1, output_per_million: 2, cached_input_per_million: 0.1 }]
    const startQuotaServer = await on({ quota: { prices } })
    const usage = {
      ...sums(1_000_000, 0),
      prompt_tokens_details: { cached_tokens: 0, audio_tokens: null },
      cache_read_input_tokens: 900_000,
    }
    startQuotaServer.upstream.respond(() => chatReply('Hello.', { usage }))
    await startQuotaServer.chat()
    expect(startQuotaServer.lines).toMatchObject([
      { input_tokens: 1_000_000, cached_input_tokens: 900_000, cost_nano_dollars: 190_000_000 },
    ])
  })
})

const provider: GovernedOptions['provider'] = (id, url) => upstreamProvider(id, url, { usageOf: withTicks })

describe('costs in ticks', () => {
  const usage = { ...sums(), cost_in_usd_ticks: 37_756_000 }

  test.each([
    [0, 0],
    [1, 1],
    [10, 1],
    [11, 2],
    [610, 61],
    [1270, 127],
    [37_756_000, 3_775_600],
    [10_000_000_000, 1_000_000_000],
  ])('[VEN-2] %d ticks', (ticks, nanoDollars) => {
    const { dollars = Number.NaN } = readUsage({ ...sums(), cost_in_usd_ticks: ticks }, withTicks) ?? {}
    expect(toNanoDollars(dollars)).toBe(nanoDollars)
  })

  test.each(['37756000', -1, Number.NaN, Infinity, 1e300, null, {}])('[VEN-3] %p is no cost', (ticks) => {
    expect(readUsage({ ...sums(), cost_in_usd_ticks: ticks }, withTicks)).toEqual({ input: 1000, output: 50 })
  })

  test('[VEN-2] are the cost of an xAI response, and the operator’s price goes before it', async () => {
    const prices = [{ model: 'up/priced', input_per_million: 1, output_per_million: 2 }]
    const startQuotaServer = await on({ quota: { prices }, pricing: xai.pricing!, provider })
    startQuotaServer.upstream.respond(() => chatReply('Hello.', { usage }))
    await startQuotaServer.chat({ model: 'up/grok-4' })
    await startQuotaServer.chat({ model: 'up/priced' })
    expect(startQuotaServer.lines.map((line) => line.cost_nano_dollars)).toEqual([3_775_600, 1000 * 1000 + 50 * 2000])
  })
})

describe('numbers of the wrong type or size', () => {
  const odd = fc.oneof(
    fc.integer({ min: -5, max: 3000 }),
    fc.double(),
    fc.constantFrom(null, undefined, '12', true, 1e300, -1, 0.5, [], {}, Number.NaN, Infinity),
  )
  const details = fc.oneof(
    odd,
    fc.dictionary(fc.constantFrom('cached_tokens', 'reasoning_tokens', 'audio_tokens', 'cache_write_tokens'), odd),
  )
  const names = ['prompt_tokens', 'completion_tokens', 'total_tokens', 'input_tokens', 'output_tokens', 'cached_tokens']
  const others = [
    'num_cached_tokens',
    'prompt_cache_hit_tokens',
    'cache_read_input_tokens',
    'cache_creation_input_tokens',
    'reasoning_tokens',
  ]
  const usage = fc.record(
    Object.fromEntries([
      ...[...names, ...others, 'cost', 'cost_in_usd_ticks', 'estimated_cost'].map((name) => [name, odd] as const),
      ...['prompt_tokens_details', 'input_tokens_details', 'completion_tokens_details'].map((name) => [name, details] as const),
    ]),
    { requiredKeys: [] },
  )

  test('[VEN-3] are never counted: whole tokens, parts within their whole, a finite cost', () => {
    fc.assert(
      fc.property(usage, (reported) => {
        const read = readUsage(reported)
        if (!read) return
        const { dollars = 0, estimated, ...tokens } = read
        expect(estimated).toBeUndefined()
        for (const count of Object.values(tokens)) expect(Number.isInteger(count) && count >= 0 && count <= 4e9).toBe(true)
        expect((read.cached ?? 0) + (read.cacheWrite ?? 0)).toBeLessThanOrEqual(read.input)
        expect(read.reasoning ?? 0).toBeLessThanOrEqual(read.output)
        for (const cost of [toNanoDollars(dollars), costOf(rates, tokensOf(reported))]) {
          expect(Number.isSafeInteger(cost) && cost >= 0).toBe(true)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('[VEN-3] are the same by the short way of plain usage as by the full one', () => {
    const few = fc.constantFrom(0, 0, 0, null, 1, 5)
    const partsOf = (parts: readonly string[]) =>
      fc.option(fc.record(Object.fromEntries(parts.map((name) => [name, few])), { requiredKeys: [] }), { nil: null })
    const given = fc.record(
      {
        prompt_tokens: fc.oneof(fc.nat(20), fc.constantFrom(1.5, 1e9, 1e10, null)),
        completion_tokens: fc.nat(20),
        prompt_tokens_details: partsOf(['cached_tokens', 'audio_tokens', 'cache_write_tokens', 'text_tokens']),
        completion_tokens_details: partsOf(['reasoning_tokens', 'audio_tokens', 'accepted_prediction_tokens', 'image_tokens']),
        cost: few,
      },
      { requiredKeys: ['prompt_tokens', 'completion_tokens'] },
    )
    fc.assert(
      fc.property(given, fc.constantFrom(0, 0, 0, 1), (counts, excess) => {
        const plain = { ...counts, total_tokens: (counts.prompt_tokens ?? 0) + counts.completion_tokens + excess }
        // A member that OpenAI does not have leads the full way.
        expect(readUsage(plain)).toEqual(readUsage({ ...plain, vendor: true }))
      }),
      { numRuns: runs(2000) },
    )
  })

  test('[VEN-3] are taken from the total where it is reported, and else the usage is estimated', () => {
    expect(readUsage({ prompt_tokens: '100', completion_tokens: 5, total_tokens: 105 })).toEqual({ input: 100, output: 5 })
    expect(readUsage({ prompt_tokens: 100, completion_tokens: '5', total_tokens: 105 })).toEqual({ input: 100, output: 5 })
    for (const reported of [
      { prompt_tokens: '100', completion_tokens: 5 },
      { prompt_tokens: 100, completion_tokens: -1 },
      { completion_tokens: 5 },
    ]) {
      expect(readUsage(reported)).toBeUndefined()
    }
  })

  test('[VEN-3] leave a line with an estimate in the ledger', async () => {
    const startQuotaServer = await on({ quota: { prices: [{ model: '*', input_per_million: 1, output_per_million: 2 }] } })
    startQuotaServer.upstream.respond(() =>
      chatReply('Hello there.', { usage: { prompt_tokens: 1e300, completion_tokens: '7', cached_tokens: -3 } }),
    )
    await startQuotaServer.chat()
    expect(startQuotaServer.lines).toMatchObject([{ estimated: 1, output_tokens: 3, cached_input_tokens: 0 }])
  })
})

function tokensOf(usage: object) {
  const { input, output, cached, cacheWrite, reasoning } = readUsage(usage) ?? { input: 0, output: 0 }
  return { input, output, cachedInput: cached, cacheWrite, reasoning }
}

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const part of open.splice(0)) await part[Symbol.asyncDispose]()
})

async function on(options: GovernedOptions): Promise<Governed> {
  const startQuotaServer = await governed(options)
  open.push(startQuotaServer)
  return startQuotaServer
}
