import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { configJsonSchema } from '../../src/config/json-schema.ts'
import { jsonReply, modelsReply, providerEntry, testConfig, testServer } from '../../src/testing/index.ts'
import { endpointTables } from '../cli/endpoint-tables.ts'
import { providersReference } from '../cli/reference.ts'
import { issuesOf, load } from '../config/loading.ts'
import { governed, type Governed } from '../quota/quota-server.ts'
import { otlpReceiver } from '../telemetry/traces/otlp-receiver.ts'
import { exporting, until } from '../telemetry/traces/trace-server.ts'
import { disposed, toyInference, toyStore } from './toy-provider.ts'

const definitions = [toyInference, toyStore]
const reply = { id: 'toy-1', toy_text: 'Hello.', usage: { toys: 4 } }
const hello = { model: 'up/m', messages: [{ role: 'user', content: 'Hello?' }], max_tokens: 10 }

const errorOf = async (response: Response) => ((await response.json()) as { error: Record<string, unknown> }).error

/** A configuration whose provider has the project under this key. */
const withProject = (key: string) => `version: 2
providers:
  inference: [{ provider_id: toys, provider_type: "remote::toy", config: { api_key: k, ${key}: blocks } }]`

describe('a provider of one file and one entry in a list', () => {
  const receiver = otlpReceiver()
  let server: Governed
  beforeAll(async () => {
    server = await governed({
      quota: { limits: [{ name: 'output', per: 'user', models: '*', output_tokens: 40, period: 'hour' }] },
      callers: { alice: { attributes: {} } },
      pricing: toyInference.pricing!,
      provider: (id, url) => providerEntry(toyInference, id, { base_url: url, project: 'blocks', api_key: 'toy-key' }),
      config: { telemetry: { ...exporting(receiver.url), store: undefined } },
    })
    server.upstream.respond(({ method }) => (method === 'POST' ? jsonReply(reply) : modelsReply(['m'])))
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    await receiver[Symbol.asyncDispose]()
  })
  const chat = (fields: object = {}, as = 'alice') => server.chat({ ...hello, ...fields }, { as })

  test('[PRV-9] is sent what its hook makes of a request, and its reply arrives as the hook makes it', async () => {
    const response = await chat()
    expect([response.status, await response.json()]).toMatchObject([200, { choices: [{ message: { content: 'Hello.' } }] }])
    const sent = server.upstream.requests.at(-1)
    expect([sent?.path, sent?.headers.authorization, sent?.json]).toMatchObject([
      expect.stringMatching(/\/chat\/completions$/),
      'Bearer toy-key',
      { model: 'm', project: 'blocks' },
    ])
  })

  test('[PRV-9] requires a credential of Corral’s', async () => {
    const response = await server.ask('/v1/chat/completions', { method: 'POST', body: JSON.stringify(hello) })
    expect([response.status, (await errorOf(response))['type']]).toEqual([401, 'authentication_error'])
  })

  test('[PRV-9] is in the ledger with the usage and the cost that its hook reads', async () => {
    const before = server.lines.length
    await chat()
    expect(server.lines.slice(before)).toMatchObject([
      { provider: 'up', input_tokens: 4, output_tokens: 4, cost_nano_dollars: 500_000_000 },
    ])
  })

  test('[PRV-9] has a span', async () => {
    const before = receiver.spans.length
    await chat()
    const span = () => receiver.spans.slice(before).find(({ name }) => name === 'chat m')
    await until(() => span() !== undefined)
    expect(span()?.attributes).toMatchObject({ 'gen_ai.usage.output_tokens': 4, 'gen_ai.request.model': 'm' })
  })

  test('[PRV-9] has governed fields of its own', async () => {
    const response = await chat({ Toy_Model: 'other' })
    expect([response.status, await errorOf(response)]).toMatchObject([400, { code: 'ambiguous_field', param: 'toy_model' }])
  })

  test('[PRV-9] lacks what it does not declare', async () => {
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'up/m', prompt: 'Hi' }) }
    const response = await server.ask('/v1/completions', { ...init, as: 'alice' })
    expect([response.status, (await errorOf(response))['message']]).toEqual([
      400,
      "Provider 'up' of model 'up/m' does not support completions.",
    ])
  })

  test('[PRV-9] is limited', async () => {
    const response = await chat({ max_tokens: 50 })
    expect([response.status, (await errorOf(response))['type']]).toEqual([429, 'rate_limit_error'])
  })

  test('[PRV-9] is configured, checked and documented by its definition', async () => {
    const { config } = await load(withProject('project'), { definitions })
    expect(config.providers).toMatchObject([{ id: 'toys', type: 'remote::toy', config: { project: 'blocks' } }])
    expect(JSON.stringify(await issuesOf(withProject('projekt'), { definitions }))).toContain('projekt')
    expect(JSON.stringify(configJsonSchema({ definitions, planned: [] }))).toContain('The project that requests are charged to.')
    expect(providersReference(definitions, [], await endpointTables(definitions))).toContain('The project that requests are charged to.')
  })
})

describe('a provider of an API that no part of the server knows', () => {
  const text = `version: 2
providers:
  inference: [{ provider_id: toys, provider_type: "remote::toy", config: { api_key: k } }]
  toy_store: [{ provider_id: store, provider_type: "inline::toy-store", config: { name: shelf } }]`

  test('[PRV-9] is configured, created, listed with its health, never asked for inference, and disposed', async () => {
    const { config } = await load(text, { definitions })
    expect(config.providers.map(({ api, id }) => `${api} ${id}`)).toEqual(['inference toys', 'toy_store store'])
    {
      await using server = await testServer(testConfig({ providers: config.providers }))
      const provider = await (await server.fetch('/v1/providers/store')).json()
      expect(provider).toMatchObject({
        api: 'toy_store',
        provider_type: 'inline::toy-store',
        config: { name: 'shelf' },
        health: { status: 'OK' },
      })
      const response = await server.fetch('/v1/chat/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ...hello, model: 'store/m' }),
      })
      expect(response.status).toBe(404)
      expect(disposed).toEqual([])
    }
    expect(disposed).toEqual(['shelf'])
  })

  test('[PRV-9] is checked by its own schema', async () => {
    expect(JSON.stringify(await issuesOf(text.replace('name: shelf', 'nome: shelf'), { definitions }))).toContain('nome')
  })

  test('[PRV-9] has a type of its own from the definition to the registry', () => {
    const store = toyStore.create({ name: 'typed' })
    store.put('a')
    // @ts-expect-error A store has no operations of inference.
    expect(store.invoke).toBeUndefined()
  })
})
