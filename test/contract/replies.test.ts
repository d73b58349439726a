import { afterAll, beforeAll, expect, test } from 'bun:test'
import {
  chatReply,
  chatStream,
  completionReply,
  completionStream,
  done,
  embeddingsReply,
  errorReply,
  frame,
  jsonReply,
  mockUpstream,
  modelsReply,
  testApp,
  testConfig,
  toolReply,
  toolStream,
  upstreamProvider,
  type MockUpstream,
  type Script,
  type TestApp,
} from '../../src/testing/index.ts'
import { validateReply } from './published.ts'

let upstream: MockUpstream
/** The upstream's response, except to listings. */
const next: Script[] = []
let server: TestApp

beforeAll(async () => {
  upstream = await mockUpstream()
  upstream.respond(({ path }) => (path.endsWith('/models') ? modelsReply(['m']) : next.shift()))
  server = await testApp(testConfig({ providers: [upstreamProvider('mock', upstream.url, { key: 'k' })] }))
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
})

const post = (path: string, body: object) =>
  server.fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'mock/m', ...body }),
  })
const messages = [{ role: 'user', content: 'hi' }]

async function events(response: Response): Promise<unknown[]> {
  const data = [...(await response.text()).matchAll(/^data: (.*)$/gm)].map(([, text = '']) => text)
  expect(data.at(-1)).toBe('[DONE]')
  return data.slice(0, -1).map((text) => JSON.parse(text) as unknown)
}

test('chat completions, plain', async () => {
  for (const script of [chatReply(), toolReply()]) {
    next.push(script)
    expect(validateReply('CreateChatCompletionResponse', await (await post('/v1/chat/completions', { messages })).json())).toEqual([])
  }
})

test('chat completions, chunk by chunk', async () => {
  for (const script of [chatStream(), toolStream()]) {
    next.push(script)
    const chunks = await events(await post('/v1/chat/completions', { messages, stream: true, stream_options: { include_usage: true } }))
    expect(chunks.length).toBeGreaterThan(2)
    for (const chunk of chunks) expect(validateReply('CreateChatCompletionStreamResponse', chunk)).toEqual([])
  }
})

test('responses that lack what the schema requires, whole and chunk by chunk', async () => {
  const call = { function: { name: 'f', arguments: { a: 1 } } }
  const choices = [{ message: { tool_calls: [call, call] } }]
  next.push(jsonReply({ choices }), {
    body: [
      frame({ choices: [{ delta: { tool_calls: [call] } }] }),
      frame({ choices: [{ index: null, delta: { tool_calls: [{ ...call, index: -1, id: null, type: null }] } }] }),
      frame({ choices: [{ index: '0', finish_reason: 'tool_calls' }] }),
      frame({ usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } }),
      done,
    ],
  })
  expect(validateReply('CreateChatCompletionResponse', await (await post('/v1/chat/completions', { messages })).json())).toEqual([])
  const chunks = await events(await post('/v1/chat/completions', { messages, stream: true, stream_options: { include_usage: true } }))
  expect(chunks).toHaveLength(4)
  for (const chunk of chunks) expect(validateReply('CreateChatCompletionStreamResponse', chunk)).toEqual([])
  next.push(...[chatStream(), toolStream()].map((script) => ({ ...script, headers: { 'content-type': 'application/json' } })))
  for (let folded = 0; folded < 2; folded += 1)
    expect(validateReply('CreateChatCompletionResponse', await (await post('/v1/chat/completions', { messages })).json())).toEqual([])
})

test('completions', async () => {
  next.push(completionReply())
  expect(validateReply('CreateCompletionResponse', await (await post('/v1/completions', { prompt: 'x' })).json())).toEqual([])
})

test('completions, chunk by chunk', async () => {
  next.push(completionStream())
  const chunks = await events(await post('/v1/completions', { prompt: 'x', stream: true }))
  expect(chunks.length).toBeGreaterThan(1)
  // OpenAI's document has one schema for whole responses and chunks, and its chunks have null there until the last.
  const wrong = chunks.flatMap((chunk) => validateReply('CreateCompletionResponse', chunk))
  expect(wrong.filter((reason) => !reason.startsWith('/choices/0/finish_reason'))).toEqual([])
})

test('embeddings', async () => {
  next.push(embeddingsReply())
  expect(validateReply('CreateEmbeddingResponse', await (await post('/v1/embeddings', { input: 'x' })).json())).toEqual([])
})

test('models', async () => {
  expect(validateReply('ListModelsResponse', await (await server.fetch('/v1/models')).json())).toEqual([])
})

test('errors: ours, and a provider’s', async () => {
  const ours = [
    await server.fetch('/v1/nowhere'),
    await server.fetch('/v1/chat/completions'),
    await post('/v1/chat/completions', { messages: [] }),
    await post('/v1/chat/completions', { messages, model: 'nobody/none' }),
  ]
  next.push(errorReply(401), errorReply(502, '<html>Bad gateway</html>'))
  const theirs = [await post('/v1/chat/completions', { messages }), await post('/v1/chat/completions', { messages })]
  expect([...ours, ...theirs].map(({ status }) => status)).toEqual([404, 405, 400, 404, 401, 502])
  for (const response of [...ours, ...theirs]) expect(validateReply('ErrorResponse', await response.json())).toEqual([])
})
