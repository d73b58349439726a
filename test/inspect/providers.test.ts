import { describe, expect, test } from 'bun:test'
import { z } from 'zod'
import { chat as chatOperation } from '../../src/operations/chat.ts'
import { completions } from '../../src/operations/completions.ts'
import { embeddings } from '../../src/operations/embeddings.ts'
import { rerank } from '../../src/operations/rerank.ts'
import { systemCall } from '../../src/call.ts'
import { defineProvider } from '../../src/providers/provider.ts'
import { Secret } from '../../src/secret.ts'
import { buildServices } from '../../src/services.ts'
import { silentLog } from '../../src/telemetry/logger.ts'
import { failureOf, providerEntry, providerOf, testApp, testConfig } from '../../src/testing/index.ts'

async function json(response: Promise<Response>): Promise<Record<string, unknown>> {
  return (await (await response).json()) as Record<string, unknown>
}

const failing = defineProvider({
  api: 'inference',
  type: 'remote::failing',
  description: 'Cannot be created.',
  config: z.looseObject({}),
  create() {
    throw new Error('no certificate at https://me:secret@host/ca.pem')
  },
})

const secretive = defineProvider({
  api: 'inference',
  type: 'remote::secretive',
  description: 'Has secrets.',
  config: z.looseObject({ api_key: z.string().transform((key) => new Secret(key)) }),
  create: () => ({ hasOwnKey: true, invoke: {}, checkHealth: async () => undefined }),
})

describe('GET /v1/providers', () => {
  test('shows each provider without secrets, with its health asked now', async () => {
    const checks: string[] = []
    const providers = [
      providerEntry(secretive, 'good', { api_key: 'sk-hidden', base_url: 'https://user:hidden@host/v1' }),
      providerOf('down', {
        async checkHealth() {
          checks.push('down')
          throw new Error('connect ECONNREFUSED https://u:hidden@h', { cause: new Error('refused') })
        },
      }),
      providerOf('plain', {}),
      providerOf('keyless', {
        hasOwnKey: false,
        acceptsKeyOf: ({ providerData }) => 'k' in providerData,
        checkHealth: async () => undefined,
      }),
      providerEntry(failing, 'failing'),
    ]
    await using app = await testApp(testConfig({ providers }))
    for (const path of ['/v1/providers', '/v1alpha/admin/providers']) {
      const body = await json(app.fetch(path))
      expect(JSON.stringify(body)).not.toContain('hidden')
      expect(body.data).toEqual([
        {
          api: 'inference',
          provider_id: 'good',
          provider_type: 'remote::secretive',
          config: { api_key: '***', base_url: 'https://***@host/v1' },
          health: { status: 'OK' },
        },
        expect.objectContaining({
          provider_id: 'down',
          health: { status: 'Error', message: 'connect ECONNREFUSED https://***@h: refused' },
        }),
        expect.objectContaining({ provider_id: 'plain', health: { status: 'Not Implemented', message: expect.any(String) } }),
        expect.objectContaining({ provider_id: 'keyless', health: { status: 'Not Implemented', message: expect.any(String) } }),
        expect.objectContaining({
          provider_id: 'failing',
          health: { status: 'Error', message: expect.stringContaining('no certificate at https://***@host/ca.pem') },
        }),
      ])
    }
    expect(checks.length).toBe(2)
    const headers = { 'x-ogx-provider-data': '{"k":"1"}' }
    expect(await json(app.fetch('/v1/providers/keyless', { headers }))).toMatchObject({ health: { status: 'OK' } })
    expect(await json(app.fetch('/v1alpha/admin/providers/good'))).toMatchObject({ provider_id: 'good' })
  })

  test('an unknown one is 404', async () => {
    await using app = await testApp(testConfig({}))
    const response = await app.fetch('/v1/providers/none')
    expect(response.status).toBe(404)
    expect(await response.json()).toMatchObject({ error: { type: 'not_found_error', code: 'provider_not_found' } })
    expect(await json(app.fetch('/v1/providers'))).toEqual({ data: [] })
  })

  test('a provider that could not be created is 503 for inference, and the others serve', async () => {
    const bytes = new TextEncoder().encode('{"object":"chat.completion"}')
    const providers = [
      providerEntry(failing, 'failing'),
      providerOf('works', { invoke: { chat: async () => ({ kind: 'json', bytes, usage: undefined }) } }),
    ]
    await using app = await testApp(testConfig({ providers }))
    const chat = (model: string) =>
      app.fetch('/v1/chat/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hi' }] }),
      })
    const response = await chat('failing/m')
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('60')
    expect(JSON.stringify(await response.json())).not.toContain('ca.pem')
    expect((await chat('works/m')).status).toBe(200)
  })

  test('[OPS-5] a health check that hangs is an error after its time, and its signal is aborted', async () => {
    const aborted = Promise.withResolvers<void>()
    const hanging = providerOf('hanging', {
      checkHealth({ signal, abortListenable: abortNotice = signal }) {
        abortNotice.addEventListener('abort', () => aborted.resolve())
        return Promise.withResolvers<void>().promise
      },
    })
    await using app = await testApp(testConfig({ providers: [hanging] }), { healthTimeout: 10 })
    expect(await json(app.fetch('/v1/providers/hanging'))).toMatchObject({
      health: { status: 'Error', message: 'No response within 0.01 s.' },
    })
    await aborted.promise
  })

  test('[OPS-5] so it is with a caller’s own key, whose call has a notice of its own', async () => {
    const aborted = Promise.withResolvers<void>()
    const hanging = providerOf('hanging', {
      acceptsKeyOf: () => true,
      checkHealth({ signal, abortListenable: abortNotice = signal }) {
        abortNotice.addEventListener('abort', () => aborted.resolve())
        return Promise.withResolvers<void>().promise
      },
    })
    await using app = await testApp(testConfig({ providers: [hanging] }), { healthTimeout: 10 })
    const { providers } = app.services
    const abortNotice = new AbortController().signal
    const call = { ...systemCall('test', new AbortController().signal), abortNotice }
    expect(await providers.health(providers.get('hanging')!, call)).toMatchObject({ status: 'Error' })
    await aborted.promise
  })

  test('checks that are asked for at the same time are one check', async () => {
    let checks = 0
    const gate = Promise.withResolvers<void>()
    const provider = providerOf('p', {
      checkHealth() {
        checks += 1
        return gate.promise
      },
    })
    await using app = await testApp(testConfig({ providers: [provider] }))
    const responses = Promise.all([app.fetch('/v1/providers'), app.fetch('/v1/providers/p'), app.fetch('/v1alpha/admin/providers')])
    gate.resolve()
    for (const response of await responses) expect(response.status).toBe(200)
    expect(checks).toBe(1)
  })

  test('two providers with one id are a start error', async () => {
    const config = testConfig({ providers: [providerOf('p', {}), providerOf('p', {})] })
    expect(await failureOf(buildServices(config, { log: silentLog }))).toMatchObject({
      message: expect.stringContaining("Two providers of the API 'inference' have the id 'p'"),
    })
  })

  test('providers are closed in reverse, whatever one of them does', async () => {
    const closed: string[] = []
    const closing = (id: string, fails = false) =>
      providerOf(id, {
        async [Symbol.asyncDispose]() {
          closed.push(id)
          if (fails) throw new Error('stuck')
        },
      })
    const services = await buildServices(testConfig({ providers: [closing('a'), closing('b', true), closing('c')] }), { log: silentLog })
    await services[Symbol.asyncDispose]()
    expect(closed).toEqual(['c', 'b', 'a'])
  })
})

/** A message that names both types. */
const message = (has: string, needs: string) => expect.stringMatching(new RegExp(`'${has}'.*'${needs}'`, 's')) as string

describe('types and capabilities', () => {
  const embeds = providerOf('p', {
    invoke: {
      chat: async () => ({ kind: 'json', bytes: new TextEncoder().encode('{}'), usage: undefined }),
      embeddings: async () => ({ kind: 'json', bytes: new TextEncoder().encode('{}'), usage: undefined }),
    },
    listModels: async () => [
      { id: 'llm', type: 'llm', metadata: {} },
      { id: 'guess', type: 'llm', typeIsGuess: true, metadata: {} },
      { id: 'emb', type: 'embedding', metadata: { embedding_dimension: 3 } },
      { id: 'rank', type: 'rerank', metadata: {} },
    ],
  })
  const call = systemCall('test', new AbortController().signal)

  test('a model of another type is 400 that names both', async () => {
    await using app = await testApp(testConfig({ providers: [embeds] }))
    const { models } = app.services
    expect(await failureOf((async () => models.resolve('p/emb', chatOperation, call))())).toMatchObject({
      status: 400,
      param: 'model',
      message: message('embedding', 'llm'),
    })
    expect(await failureOf((async () => models.resolve('emb', completions, call))())).toMatchObject({
      status: 400,
      message: message('embedding', 'llm'),
    })
    expect(await failureOf((async () => models.resolve('p/llm', embeddings, call))())).toMatchObject({
      status: 400,
      message: message('llm', 'embedding'),
    })
    expect(await failureOf((async () => models.resolve('rank', chatOperation, call))())).toMatchObject({
      status: 400,
      message: message('rerank', 'llm'),
    })
    expect((await models.resolve('p/emb', embeddings, call))[0].model).toBe('emb')
  })

  test('a type that is only a guess is left to the provider', async () => {
    await using app = await testApp(testConfig({ providers: [embeds] }))
    expect((await app.services.models.resolve('guess', embeddings, call))[0].model).toBe('guess')
    expect((await app.services.models.resolve('p/unlisted', embeddings, call))[0].model).toBe('unlisted')
  })

  test('a capability that the provider lacks is 400 that names it', async () => {
    await using app = await testApp(testConfig({ providers: [embeds] }))
    expect(await failureOf((async () => app.services.models.resolve('p/rank', rerank, call))())).toMatchObject({
      status: 400,
      message: expect.stringContaining('does not support rerank'),
    })
  })
})
