import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { type OperationName, operations } from '../../src/operations/index.ts'
import { likelyInput, maxTokensOf, omitsMaxTokens } from '../../src/quota/estimate.ts'
import { runs } from '../../src/testing/sizes.ts'

const options = { defaultMaxTokens: 4096, inputBytesPerToken: 1 }

function request(body: object, name: OperationName = 'chat') {
  const operation = operations[name]
  return { operation, format: operation.format, body, bytes: Buffer.byteLength(JSON.stringify(body)) }
}
const max = (body: object, name?: OperationName) => maxTokensOf(request(body, name), options)
const user = (content: unknown) => ({ model: 'm', messages: [{ role: 'user', content }] })

describe('output', () => {
  test.each([
    ['max_completion_tokens', { max_completion_tokens: 100 }, 100],
    ['max_tokens', { max_tokens: 70 }, 70],
    ['the larger of the two', { max_tokens: 70, max_completion_tokens: 50 }, 70],
    ['none: the default', {}, 4096],
    ['null: the default', { max_tokens: null }, 4096],
    ['for each of n answers', { max_tokens: 10, n: 3 }, 30],
    ['0, which is no limit to some: the default', { max_tokens: 0 }, 4096],
    ['-1, too', { max_tokens: -1 }, 4096],
    ['the largest, by whatever name', { max_tokens: 1, n_predict: 9000 }, 9000],
    ['a number as text', { max_tokens: 1, max_new_tokens: '700' }, 700],
    ['a limit beside none: the default', { max_tokens: 1, max_completion_tokens: -1 }, 4096],
    ['none beside more than the default', { max_tokens: 9000, n_predict: -1 }, 9000],
    ['what is no number beside a limit: the default', { max_tokens: 1, num_predict: {} }, 4096],
    ['for each of n_cmpl answers', { max_tokens: 10, n: 1, n_cmpl: 4 }, 40],
    ['more than there is', { max_tokens: 1e300, n: 1e300 }, 1e12],
  ])('%s', (_, fields, tokens) => {
    expect(max({ ...user('hi'), ...fields }).output).toBe(tokens)
  })

  test('[QUO-40] text completions: for each prompt, and for what best_of makes', () => {
    expect(max({ prompt: ['a', 'b', 'c'], max_tokens: 5 }, 'completions').output).toBe(15)
    expect(max({ prompt: 'a', max_tokens: 5, best_of: 4, n: 2 }, 'completions').output).toBe(20)
    expect(max({ prompt: [1, 2, 3], max_tokens: 5 }, 'completions').output).toBe(5)
    expect(max({ prompt: [[1], [2]], max_tokens: 5 }, 'completions').output).toBe(10)
  })

  test('[QUO-40] embeddings and rerankings write nothing', () => {
    expect(max({ input: 'text' }, 'embeddings').output).toBe(0)
    expect(max({ query: 'q', items: ['a'] }, 'rerank').output).toBe(0)
    expect(omitsMaxTokens(request({ input: 'text' }, 'embeddings'))).toBe(false)
    expect(omitsMaxTokens(request(user('x')))).toBe(true)
  })
})

describe('input', () => {
  test('[QUO-41] a token for each byte of text, and some for each message', () => {
    expect(max(user('hello')).input).toBe(5 + 8 + 8)
    expect(max(user('héllo')).input).toBe(6 + 8 + 8)
    expect(
      max({
        messages: [
          { role: 'system', content: 'ab' },
          { role: 'user', content: 'cd', name: 'x' },
        ],
      }).input,
    ).toBe(5 + 16 + 8)
    expect(max({ prompt: 'hello' }, 'completions').input).toBe(5 + 8)
    expect(max({ input: 'hello' }, 'embeddings').input).toBe(5 + 8)
  })

  test('[QUO-41] lists of texts count by their texts, tokens by their number', () => {
    expect(max({ input: ['hello', 'wörld'] }, 'embeddings').input).toBe(5 + 6 + 8 + 8)
    expect(max({ prompt: ['hello', 'you'], max_tokens: 1 }, 'completions').input).toBe(5 + 3 + 8 + 8)
    expect(max({ input: [100257, 100258, 3] }, 'embeddings').input).toBe(3 + 8)
    expect(max({ input: [[100257, 100258], [3]] }, 'embeddings').input).toBe(3 + 8 + 8)
    const strange = { input: ['hello', { text: 'unheard of' }] }
    expect(max(strange, 'embeddings').input).toBeGreaterThanOrEqual(JSON.stringify(strange).length)
    const both = { prompt: 'hello', input: 'x'.repeat(50) }
    expect(max(both, 'embeddings').input).toBeGreaterThanOrEqual(50)
  })

  test('[QUO-41] never below what a tokenizer of bytes would count, whatever the body holds', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 50 })
    const part = fc.oneof(
      text.map((value) => ({ type: 'text', text: value })),
      text.map((value) => ({ type: 'refusal', refusal: value })),
      text.map((value) => ({ type: 'unheard_of', note: value })),
    )
    const call = fc.record({ id: text, type: fc.constant('function'), function: fc.record({ name: text, arguments: text }) })
    const message = fc.record(
      {
        role: fc.constantFrom('user', 'assistant', 'tool'),
        content: fc.oneof(text, fc.array(part, { maxLength: 3 })),
        tool_calls: fc.array(call, { maxLength: 2 }),
      },
      { requiredKeys: ['role', 'content'] },
    )
    const body = fc.record(
      {
        model: text,
        messages: fc.array(message, { maxLength: 4 }),
        tools: fc.array(fc.object({ maxDepth: 2 })),
        documents: text,
        temperature: fc.double(),
      },
      { requiredKeys: ['model', 'messages'] },
    )
    const textsIn = (value: unknown): number => {
      if (typeof value === 'string') return Buffer.byteLength(value)
      if (typeof value !== 'object' || value === null) return 0
      return Object.values(value).reduce<number>((sum, one) => sum + textsIn(one), 0)
    }
    fc.assert(
      fc.property(body, ({ model: _model, ...read }) => {
        // What has only `role` and `type` in common with text is not read by a model.
        const known = JSON.parse(
          JSON.stringify(read, (key, value: unknown) => (key === 'role' || key === 'type' ? undefined : value)),
        ) as object
        return maxTokensOf(request({ ...read, model: 'm' }), options).input >= textsIn(known)
      }),
      { numRuns: runs(2000) },
    )
  })

  test('[QUO-41] tools count with their whole definition', () => {
    const tools = [{ type: 'function', function: { name: 'f', description: 'x'.repeat(1000) } }]
    expect(max({ ...user('hi'), tools }).input).toBeGreaterThan(1000 + 512)
  })

  test('[QUO-41] images, sound and files do not count by their base64', () => {
    const image = { type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(1_000_000)}` } }
    expect(max(user([{ type: 'text', text: 'what?' }, image])).input).toBe(5 + 2048 + 8 + 8)
    const sound = { type: 'input_audio', input_audio: { data: 'A'.repeat(640_000), format: 'wav' } }
    expect(max(user([sound])).input).toBe(10_000 + 16)
    const file = { type: 'file', file: { file_data: 'A'.repeat(40_000) } }
    expect(max(user([file])).input).toBe(10_000 + 16)
    expect(max({ ...user([image]), tools: [] }).input).toBeLessThan(4000)
    const data = 'A'.repeat(640_000)
    expect(max({ ...user([{ type: 'image_url', image_url: data }]), tools: [] }).input).toBeLessThan(4000)
    expect(max(user([{ type: 'input_audio', input_audio: data }])).input).toBe(10_000 + 16)
  })

  test('[QUO-41] what stands beside what is known of a part counts: some upstream may read it', () => {
    const book = 'x'.repeat(9000)
    const url = `data:image/png;base64,${'A'.repeat(100_000)}`
    for (const part of [
      { type: 'text', text: 'hi', Text: book },
      { type: 'image_url', image_url: { url }, Type: 'text', text: book },
      { type: 'image_url', image_url: { url, text: book } },
      { type: 'input_audio', input_audio: { data: 'A'.repeat(100_000), transcript: book } },
      { type: 'file', file: { file_data: 'A', filename: book } },
    ]) {
      const { input } = max(user([part]))
      expect({ part: part.type, enough: input >= 9000, packed: input > 20_000 }).toEqual({ part: part.type, enough: true, packed: false })
    }
    expect(max(user([{ type: 'image_url', image_url: { url, detail: 'low' } }])).input).toBe(2048 + 8 + 8)
  })

  test('[ADD-8] messages that are no objects count with the body', () => {
    expect(max({ messages: ['x'.repeat(9000), null, 5] }).input).toBeGreaterThanOrEqual(9000)
  })

  test('[ADD-8] a role that holds a text counts', () => {
    expect(max({ messages: [{ role: 'x'.repeat(9000), content: 'hi' }] }).input).toBeGreaterThanOrEqual(9000)
  })

  test('[QUO-41] a reranker reads its query with each document', () => {
    const body = { query: 'q'.repeat(100), items: ['a', 'b', 'c'] }
    expect(max(body, 'rerank').input).toBeGreaterThanOrEqual(300 + 3)
  })

  test('[QUO-41] fewer where the operator says that a token has more bytes', () => {
    expect(maxTokensOf(request(user('x'.repeat(400))), { ...options, inputBytesPerToken: 4 }).input).toBe(100 + 16)
  })

  test('[QUO-41] what is likely is about a quarter', () => {
    expect(likelyInput(request(user('x'.repeat(400))))).toBe(100 + 8)
    expect(likelyInput(request({ input: Array(100).fill(7) }, 'embeddings'))).toBe(100 + 4)
  })
})
