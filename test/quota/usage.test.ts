import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { readUsage } from '../../src/providers/inference/usage.ts'
import { runs } from '../../src/testing/sizes.ts'

describe('usage as vendors tell it', () => {
  test.each([
    [
      'OpenAI',
      {
        prompt_tokens: 100,
        completion_tokens: 50,
        total_tokens: 150,
        prompt_tokens_details: { cached_tokens: 64, audio_tokens: 10 },
        completion_tokens_details: { reasoning_tokens: 20, audio_tokens: 5 },
      },
      { input: 100, output: 50, cached: 64, inputAudio: 10, reasoning: 20, outputAudio: 5 },
    ],
    [
      'xAI: reasoning stands beside the output and in the total',
      { prompt_tokens: 32, completion_tokens: 9, total_tokens: 341, completion_tokens_details: { reasoning_tokens: 300 } },
      { input: 32, output: 309, reasoning: 300 },
    ],
    [
      'xAI: also where there is less reasoning than output',
      { prompt_tokens: 10, completion_tokens: 500, total_tokens: 710, completion_tokens_details: { reasoning_tokens: 200 } },
      { input: 10, output: 700, reasoning: 200 },
    ],
    ['Gemini: thoughts only in the total', { prompt_tokens: 8, completion_tokens: 20, total_tokens: 128 }, { input: 8, output: 120 }],
    [
      'DeepSeek: hits and misses of the cache',
      { prompt_tokens: 30, completion_tokens: 4, total_tokens: 34, prompt_cache_hit_tokens: 20, prompt_cache_miss_tokens: 10 },
      { input: 30, output: 4, cached: 20 },
    ],
    [
      'Anthropic: the input leaves out what the cache took',
      { input_tokens: 5, output_tokens: 7, cache_read_input_tokens: 100, cache_creation_input_tokens: 40 },
      { input: 145, output: 7, cached: 100, cacheWrite: 40 },
    ],
    [
      'cached tokens beside the prompt',
      { prompt_tokens: 5, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 60 } },
      { input: 65, output: 1, cached: 60 },
    ],
    ['OpenRouter: its own account', { prompt_tokens: 1, completion_tokens: 1, cost: 0.0012 }, { input: 1, output: 1, dollars: 0.0012 }],
    [
      'OpenRouter: another’s account as well',
      { prompt_tokens: 1, completion_tokens: 1, cost: 0.1, is_byok: true, cost_details: { upstream_inference_cost: 2 } },
      { input: 1, output: 1, dollars: 2.1 },
    ],
    ['Perplexity', { prompt_tokens: 1, completion_tokens: 1, cost: { total_cost: 0.006 } }, { input: 1, output: 1, dollars: 0.006 }],
    ['embeddings', { prompt_tokens: 4, total_tokens: 4 }, { input: 4, output: 0 }],
  ])('%s', (_, reported, read) => {
    expect(readUsage(reported)).toEqual(read)
  })

  test('[QUO-53] what is no usage', () => {
    for (const value of [null, 1, 'x', {}, { total_tokens: 3 }, { prompt_tokens: 'many' }, { prompt_tokens: -1 }]) {
      expect(readUsage(value)).toBeUndefined()
    }
  })

  test('[QUO-53] the parts are never more than the whole, and no number is odd', () => {
    const value = fc.oneof(fc.integer({ min: -5, max: 1000 }), fc.double(), fc.constant(null), fc.string(), fc.constant(undefined))
    const details = fc.oneof(
      value,
      fc.record({ cached_tokens: value, reasoning_tokens: value, audio_tokens: value, cache_write_tokens: value }),
    )
    const reported = fc.record({
      prompt_tokens: value,
      completion_tokens: value,
      total_tokens: value,
      input_tokens: value,
      prompt_tokens_details: details,
      completion_tokens_details: details,
      cache_read_input_tokens: value,
      prompt_cache_hit_tokens: value,
      cost: value,
    })
    fc.assert(
      fc.property(reported, (usage) => {
        const read = readUsage(usage)
        if (!read) return true
        const { input, output, cached = 0, cacheWrite = 0, reasoning = 0 } = read
        return (
          Object.values(read).every((number: number) => Number.isFinite(number) && number >= 0) &&
          cached + cacheWrite <= input + 1e-9 * (1 + input) &&
          reasoning <= output
        )
      }),
      { numRuns: runs(5000) },
    )
  })
})
