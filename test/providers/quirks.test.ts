import { describe, expect, test } from 'bun:test'
import { chatChunk, embeddingsReply, jsonReply, modelsReply } from '../../src/testing/index.ts'
import { chat, chatPath, errorOf, listedTypes, startProvider } from './provider-server.ts'
import { callerKey, operatorKey } from './remote-cases.ts'

const geminiConfig = (url: string) => ({ base_url: url, api_key: operatorKey, access_token: 'ya29.token', project: 'my-project' })

describe('a URL without a path, as older files have it', () => {
  test.each([
    ['remote::groq', '/openai/v1'],
    ['remote::cerebras', '/v1'],
    ['remote::nvidia', '/v1'],
    ['remote::ollama', '/v1'],
    ['remote::lmstudio', '/v1'],
    ['remote::llama-cpp-server', '/v1'],
    ['remote::vllm', '/v1'],
    ['remote::tgi', '/v1'],
    ['remote::passthrough', '/v1'],
    ['remote::azure', '/openai/v1'],
    ['remote::databricks', '/serving-endpoints'],
    ['remote::openai-compatible', ''],
  ])('%s is asked below %p', async (type, root) => {
    await using stage = await startProvider(type, (url) => ({ url: `${url}/`, api_key: operatorKey }))
    expect((await stage.post(chatPath, chat)).status).toBe(200)
    expect(stage.requests()[0]?.path).toBe(`${root}/chat/completions`)
  })

  test('NVIDIA’s append_api_version: false leaves it', async () => {
    await using stage = await startProvider('remote::nvidia', (url) => ({ url, append_api_version: 'False' }))
    await stage.post(chatPath, chat)
    expect(stage.requests()[0]?.path).toBe('/chat/completions')
  })

  test('Azure’s api_base', async () => {
    await using stage = await startProvider('remote::azure', (url) => ({
      api_base: url,
      api_key: operatorKey,
      api_version: null,
      api_type: null,
    }))
    await stage.post(chatPath, chat)
    expect(stage.requests()[0]?.headers).toMatchObject({ 'api-key': operatorKey })
  })
})

test('OpenAI: tokens over a model’s limit are clamped, the rest of the bytes stays', async () => {
  await using stage = await startProvider('remote::openai', (url) => ({ base_url: url, api_key: operatorKey }))
  await stage.post(chatPath, { ...chat, model: 'p/gpt-4o', max_tokens: 99_999, seed: 9_007_199_254_740_991 })
  expect(stage.requests()[0]?.json).toMatchObject({ model: 'gpt-4o', max_tokens: 16_384, seed: 9_007_199_254_740_991 })
})

describe('Anthropic', () => {
  test('is listed in its own way', async () => {
    const model = { type: 'model', id: 'claude-x', display_name: 'Claude X', created_at: '2025-05-14T00:00:00Z' }
    await using stage = await startProvider(
      'remote::anthropic',
      (url) => ({ base_url: `${url}/v1`, api_key: operatorKey }),
      ({ method }) => (method === 'GET' ? jsonReply({ data: [model], has_more: false }) : undefined),
    )
    expect(await listedTypes(stage)).toEqual({ 'p/claude-x': 'llm' })
    const [listing] = stage.upstream.requests
    expect(listing).toMatchObject({
      path: '/v1/models?limit=1000',
      headers: { 'x-api-key': operatorKey, 'anthropic-version': '2023-06-01' },
    })
  })
})

describe('Gemini', () => {
  test('an access token goes before the key, with its project', async () => {
    await using stage = await startProvider('remote::gemini', geminiConfig)
    await stage.post(chatPath, chat)
    expect(stage.requests()[0]?.headers).toMatchObject({ authorization: 'Bearer ya29.token', 'x-goog-user-project': 'my-project' })
  })

  test('a caller’s key goes before both, without the operator’s project', async () => {
    await using stage = await startProvider('remote::gemini', geminiConfig)
    await stage.post(chatPath, chat, { gemini_api_key: callerKey })
    expect(stage.requests()[0]?.headers).toMatchObject({ authorization: `Bearer ${callerKey}` })
    expect(stage.requests()[0]?.headers).not.toHaveProperty('x-goog-user-project')
  })

  test('embeddings are known, ids keep their prefix, missing usage is 0', async () => {
    const reply = { object: 'list', data: [{ object: 'embedding', index: 0, embedding: [1] }], model: 'x' }
    await using stage = await startProvider('remote::gemini', geminiConfig, ({ method }) =>
      method === 'GET' ? modelsReply(['models/gemini-embedding-001', 'models/gemini-2.5-flash']) : jsonReply(reply),
    )
    expect(await listedTypes(stage)).toEqual({ 'p/models/gemini-embedding-001': 'embedding', 'p/models/gemini-2.5-flash': 'llm' })
    const response = await stage.post('/v1/embeddings', { model: 'p/models/gemini-embedding-001', input: 'x' })
    expect(await response.json()).toMatchObject({ usage: { prompt_tokens: 0, total_tokens: 0 } })
    expect(stage.requests()[0]?.json).toMatchObject({ model: 'models/gemini-embedding-001' })
  })
})

test.each(['user', 'dimensions'])('Together: embeddings refuse %s by name', async (field) => {
  await using stage = await startProvider(
    'remote::together',
    (url) => ({ base_url: url, api_key: operatorKey }),
    () => embeddingsReply(),
  )
  const response = await stage.post('/v1/embeddings', { input: 'x', [field]: field === 'user' ? 'me' : 8 })
  expect(response.status).toBe(400)
  expect((await errorOf(response)).param).toBe(field)
  expect(stage.requests()).toEqual([])
})

test('Mistral and Perplexity are not asked for usage', async () => {
  for (const type of ['remote::mistral', 'remote::perplexity']) {
    await using stage = await startProvider(
      type,
      (url) => ({ base_url: url, api_key: operatorKey }),
      () => ({
        body: [chatChunk({ content: 'a' }), chatChunk({}, 'stop'), 'data: [DONE]\n\n'],
      }),
    )
    await (await stage.post(chatPath, { ...chat, stream: true, stream_options: { include_usage: true } })).text()
    expect(stage.requests()[0]?.json).not.toHaveProperty('stream_options')
  }
})

test.each(['remote::perplexity', 'remote::passthrough', 'remote::tgi'])(
  '%s: a stream without [DONE] is whole after its finish reason, and not before',
  async (type) => {
    let body = [chatChunk({ content: 'a' }), chatChunk({}, 'stop')]
    await using stage = await startProvider(
      type,
      (url) => ({ base_url: url, api_key: operatorKey }),
      ({ method }) => (method === 'POST' ? { body } : undefined),
    )
    const whole = await (await stage.post(chatPath, { ...chat, stream: true })).text()
    expect(whole).toEndWith('data: [DONE]\n\n')
    expect(whole).not.toContain('"error"')
    body = [chatChunk({ content: 'a' })]
    const broken = await (await stage.post(chatPath, { ...chat, stream: true })).text()
    expect(broken).not.toContain('[DONE]')
    expect(broken).toContain('upstream_error')
  },
)

test('Databricks lists its serving endpoints beside their root', async () => {
  await using stage = await startProvider(
    'remote::databricks',
    (url) => ({ base_url: `${url}/serving-endpoints`, api_token: operatorKey }),
    ({ path }) =>
      path === '/api/2.0/serving-endpoints'
        ? jsonReply({
            endpoints: [
              { name: 'databricks-gte-large-en', task: 'llm/v1/embeddings' },
              { name: 'l', task: 'llm/v1/chat' },
            ],
          })
        : undefined,
  )
  expect(await listedTypes(stage)).toEqual({ 'p/databricks-gte-large-en': 'embedding', 'p/l': 'llm' })
})
