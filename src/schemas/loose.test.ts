import { expect, test } from 'bun:test'
import { chatCompletionRequest } from './chat.ts'
import { completionRequest } from './completions.ts'
import { embeddingsRequest } from './embeddings.ts'
import { rerankRequest } from './rerank.ts'

const user = { role: 'user', content: 'hi' }
const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==', detail: 'ultra' } }

/** What is not published and travels all the same. */
const accepted: [string, object][] = [
  ['unknown keys anywhere', { x: 1, messages: [{ ...user, cache_control: { type: 'ephemeral' } }], stream_options: { chunk: 1 } }],
  ['an unknown kind of content', { messages: [{ role: 'user', content: [{ type: 'video_url', video_url: { url: 'x' } }] }] }],
  ['images in a tool’s result', { messages: [{ role: 'tool', tool_call_id: 'c', content: [image] }] }],
  ['an unknown kind of tool', { tools: [{ type: 'web_search', search: {} }] }],
  ['an unknown tool choice', { tool_choice: 'any' }],
  ['an unknown response format', { response_format: { type: 'regex', pattern: 'a+' } }],
  ['other values of listed strings', { reasoning_effort: 'max', verbosity: 'terse', service_tier: 'on_demand', modalities: ['image'] }],
  ['numbers outside of published bounds', { temperature: 3, top_logprobs: 100, stop: ['a', 'b', 'c', 'd', 'e'], n: 1000 }],
  ['a seed of 64 bits', { seed: Number(9_223_372_036_854_775_807n) }],
  ['tool calls without id and type', { messages: [{ role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: '{}' } }] }] }],
  ['an assistant that said nothing', { messages: [{ role: 'assistant', content: null }] }],
  ['empty content', { messages: [{ role: 'user', content: [] }] }],
]

for (const [name, over] of accepted) {
  test(`[REQ-2] ${name}: accepted`, () => {
    const body = { model: 'm', messages: [user], ...over }
    const result = chatCompletionRequest.safeParse(body)
    expect(result.error?.issues).toBeUndefined()
    expect(result.data as object).toEqual(body)
  })
}

test('[REQ-2] null counts as absent in every optional field, as Llama Stack’s clients send it', () => {
  const demanded = new Set(['model', 'messages', 'prompt', 'input', 'query', 'items'])
  for (const [schema, body] of [
    [chatCompletionRequest, { model: 'm', messages: [user] }],
    [completionRequest, { model: 'm', prompt: 'x' }],
    [embeddingsRequest, { model: 'm', input: 'x' }],
    [rerankRequest, { model: 'm', query: 'x', items: ['y'] }],
  ] as const) {
    const nulls = Object.fromEntries(
      Object.keys(schema.shape)
        .filter((key) => !demanded.has(key))
        .map((key) => [key, null]),
    )
    expect(schema.safeParse({ ...nulls, ...body }).error?.issues).toBeUndefined()
  }
  const message = { role: 'assistant', content: null, refusal: null, name: null, audio: null, tool_calls: null, function_call: null }
  expect(chatCompletionRequest.safeParse({ model: 'm', messages: [message, { ...user, name: null }] }).success).toBe(true)
})

test('every published form of input is accepted', () => {
  for (const input of ['a', ['a', 'b'], [1, 2], [[1], [2, 3]]]) {
    expect(embeddingsRequest.safeParse({ model: 'm', input }).success).toBe(true)
    expect(completionRequest.safeParse({ model: 'm', prompt: input }).success).toBe(true)
  }
})
