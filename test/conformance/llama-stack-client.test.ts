import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { LlamaStackClient } from 'llama-stack-client'
import { LlamaStackClient as SeedLlamaStackClient } from 'llama-stack-client-seed'
import packageJson from '../../package.json' with { type: 'json' }
import { failureOf } from '../../src/testing/index.ts'
import { startConformance, vector, type Conformance } from './upstream.ts'

let running: Conformance

beforeAll(async () => {
  running = await startConformance()
})

afterAll(async () => {
  await running[Symbol.asyncDispose]()
})

const transports = ['sockets', 'in process'] as const
const messages = [{ role: 'user' as const, content: 'Hi' }]
const model = 'mock/gpt-mock'

const optionsFor = (transport: (typeof transports)[number]) => ({
  baseURL: running.server.url,
  maxRetries: 0,
  fetch: running.transports[transport] as never,
})

describe.each(transports)('llama-stack-client 0.7.3 over %s', (transport) => {
  const client = () => new LlamaStackClient(optionsFor(transport))

  test('[SDK-2] lists and retrieves models', async () => {
    const models = await client().models.list()
    expect(models.map(({ id }) => id)).toEqual(['mock/gpt-mock', 'mock/openai/gpt-oss-120b', 'mock/text-embedding-mock'])
    expect(models[2]?.custom_metadata).toMatchObject({
      model_type: 'embedding',
      provider_id: 'mock',
      provider_resource_id: 'text-embedding-mock',
    })
    expect(await client().models.openai.list()).toEqual(models)
    const one = await client().models.retrieve('mock/openai/gpt-oss-120b')
    expect(one).toMatchObject({
      identifier: 'mock/openai/gpt-oss-120b',
      provider_id: 'mock',
      provider_resource_id: 'openai/gpt-oss-120b',
      model_type: 'llm',
      type: 'model',
    })
  })

  test('[SDK-2] chats, streams and embeds', async () => {
    const whole = await client().chat.completions.create({ model, messages })
    expect(whole).toMatchObject({ model, choices: [{ message: { content: 'Hello there.' } }] })
    const stream = await client().chat.completions.create({ model, messages, stream: true })
    const chunks = await Array.fromAsync(stream)
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe('Hello there.')
    const embedded = await client().embeddings.create({ model: 'mock/text-embedding-mock', input: 'Hi' })
    expect(embedded.data[0]?.embedding).toEqual(vector)
  })

  test('completes text', async () => {
    const whole = await client().completions.create({ model, prompt: 'Hi' })
    expect(whole).toMatchObject({ model, choices: [{ text: 'Hello there.' }] })
  })

  test('reads providers, routes, health and version', async () => {
    const providers = await client().providers.list()
    expect(providers).toMatchObject([{ api: 'inference', provider_id: 'mock', provider_type: 'remote::openai-compatible' }])
    expect(await client().providers.retrieve('mock')).toMatchObject({ provider_id: 'mock', health: { status: expect.any(String) } })
    expect((await client().routes.list()).map(({ route }) => route)).toContain('/v1/models/{model_id}')
    expect((await client().routes.list({ api_filter: 'v1alpha' })).every(({ route }) => route.startsWith('/v1alpha/'))).toBe(true)
    expect(await client().inspect.health()).toEqual({ status: 'OK' })
    expect(await client().inspect.version()).toEqual({ version: packageJson.version })
  })

  test('raises the class of a provider’s status', async () => {
    const said = (content: string) => client().chat.completions.create({ model, messages: [{ role: 'user', content }] })
    expect(await failureOf(said('status 401'))).toBeInstanceOf(LlamaStackClient.AuthenticationError)
    expect(await failureOf(said('status 403'))).toBeInstanceOf(LlamaStackClient.PermissionDeniedError)
    expect(await failureOf(client().models.retrieve('none'))).toBeInstanceOf(LlamaStackClient.NotFoundError)
  })
})

describe.each(transports)('llama-stack-client 0.2.23 over %s', (transport) => {
  const client = () => new SeedLlamaStackClient(optionsFor(transport))

  test('[SDK-2] lists and retrieves models', async () => {
    const models = await client().models.list()
    expect(models.map(({ identifier }) => identifier)).toEqual(['mock/gpt-mock', 'mock/openai/gpt-oss-120b', 'mock/text-embedding-mock'])
    expect(models[2]).toMatchObject({
      model_type: 'embedding',
      provider_id: 'mock',
      provider_resource_id: 'text-embedding-mock',
      type: 'model',
    })
    expect((await client().models.openai.list()).map(({ id }) => id)).toEqual(models.map(({ identifier }) => identifier))
    expect(await client().models.retrieve('mock/openai/gpt-oss-120b')).toMatchObject({ identifier: 'mock/openai/gpt-oss-120b' })
  })

  test('[SDK-2] chats, streams and embeds', async () => {
    const whole = await client().chat.completions.create({ model, messages })
    expect(whole).toMatchObject({ model, choices: [{ message: { content: 'Hello there.' } }] })
    const stream = await client().chat.completions.create({ model, messages, stream: true })
    const chunks = await Array.fromAsync(stream)
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe('Hello there.')
    const embedded = await client().embeddings.create({ model: 'mock/text-embedding-mock', input: 'Hi' })
    expect(embedded.data[0]?.embedding).toEqual(vector)
  })

  test('completes text, whole and streamed', async () => {
    const whole = await client().completions.create({ model, prompt: 'Hi' })
    expect(whole).toMatchObject({ model, choices: [{ text: 'Hello there.' }] })
    const stream = await client().completions.create({ model, prompt: 'Hi', stream: true })
    const chunks = await Array.fromAsync(stream)
    expect(chunks.map(({ choices }) => choices[0]?.text ?? '').join('')).toBe('Hello there.')
  })

  test('reads providers, routes, health and version', async () => {
    expect(await client().providers.list()).toMatchObject([{ provider_id: 'mock' }])
    expect(await client().providers.retrieve('mock')).toMatchObject({ provider_id: 'mock' })
    expect((await client().routes.list()).length).toBeGreaterThan(5)
    expect(await client().inspect.health()).toEqual({ status: 'OK' })
    expect(await client().inspect.version()).toEqual({ version: packageJson.version })
  })

  test('raises the class of a provider’s status', async () => {
    const said = (content: string) => client().chat.completions.create({ model, messages: [{ role: 'user', content }] })
    expect(await failureOf(said('status 401'))).toBeInstanceOf(SeedLlamaStackClient.AuthenticationError)
    expect(await failureOf(client().models.retrieve('none'))).toBeInstanceOf(SeedLlamaStackClient.NotFoundError)
  })
})

test('all responses to these clients conform to the published schemas', () => {
  expect(running.violations).toEqual([])
})
