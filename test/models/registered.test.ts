import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LlamaStackClient as SeedLlamaStackClient } from 'llama-stack-client-seed'
import { OpenAI } from 'openai'
import { fetchFrom } from '../../src/app.ts'
import { engines } from '../../src/testing/engines.ts'
import { upstreamProvider, type MockUpstream } from '../../src/testing/index.ts'
import { modelServer, until, upstreamOfModels } from './model-server.ts'

let upstream: MockUpstream
beforeAll(async () => {
  upstream = await upstreamOfModels()
})
afterAll(() => upstream[Symbol.asyncDispose]())

const fast = { model_id: 'fast', provider_id: 'groq', provider_model_id: 'llama', metadata: { note: 'ours' } }

describe('registering', () => {
  test('[MOD-10] a registered model is there at once: listed, retrieved, used under its name, and gone once deleted', async () => {
    await using server = await modelServer(upstream)
    const made = await server.register('alice', fast)
    expect(made.status).toBe(200)
    expect(made.json).toEqual({
      id: 'fast',
      object: 'model',
      created: expect.any(Number),
      owned_by: expect.any(String),
      identifier: 'fast',
      provider_id: 'groq',
      provider_resource_id: 'llama',
      type: 'model',
      model_type: 'llm',
      metadata: { note: 'ours' },
      custom_metadata: { note: 'ours', model_type: 'llm', provider_id: 'groq', provider_resource_id: 'llama' },
    })
    expect(Math.abs(made.json.created - Date.now() / 1000)).toBeLessThan(60)
    expect((await server.ask('alice', '/v1/models/fast')).json).toEqual(made.json)
    expect((await server.ask('alice', '/v1/openai/v1/models/fast')).json).toEqual(made.json)
    expect(await server.ids('alice')).toContain('fast')
    const before = upstream.requests.length
    const response = await server.chat('alice', 'fast')
    expect([response.status, response.json.model]).toEqual([200, 'fast'])
    expect(upstream.requests[before]).toMatchObject({ json: { model: 'llama' }, headers: { authorization: 'Bearer groq-key' } })
    const deleted = await server.ask('alice', '/v1/models/fast', { method: 'DELETE' })
    expect([deleted.status, deleted.json]).toEqual([200, { id: 'fast', object: 'model', deleted: true }])
    expect((await server.ask('alice', '/v1/models/fast')).status).toBe(404)
    expect((await server.chat('alice', 'fast')).status).toBe(404)
    expect(await server.ids('alice')).not.toContain('fast')
    expect((await server.ask('alice', '/v1/models/fast', { method: 'DELETE' })).status).toBe(404)
  })

  test('[MOD-11] the official clients register and delete', async () => {
    await using server = await modelServer(upstream, { authenticated: false })
    const seed = new SeedLlamaStackClient({ baseURL: 'http://127.0.0.1', fetch: fetchFrom(server.app), maxRetries: 0 })
    expect(await seed.models.register(fast)).toMatchObject({ identifier: 'fast', provider_id: 'groq', provider_resource_id: 'llama' })
    await seed.models.unregister('fast')
    expect(await server.ids(undefined)).not.toContain('fast')
    await server.register(undefined, fast)
    const openai = new OpenAI({ baseURL: 'http://127.0.0.1/v1', apiKey: 'x', fetch: fetchFrom(server.app), maxRetries: 0 })
    expect(await openai.models.delete('fast')).toEqual({ id: 'fast', object: 'model', deleted: true })
  })

  test('[MOD-12] what is not said: the only provider, its own id, an LLM; an id with its provider’s prefix', async () => {
    await using server = await modelServer(upstream)
    const unsaid = await server.register('alice', { model_id: 'x/y', provider_id: 'groq' })
    expect(unsaid.json).toMatchObject({ id: 'x/y', provider_resource_id: 'x/y', model_type: 'llm', metadata: {} })
    const prefixed = await server.register('alice', { model_id: 'groq/new', provider_id: 'groq' })
    expect(prefixed.json).toMatchObject({ id: 'groq/new', provider_resource_id: 'new' })
    const several = await server.register('alice', { model_id: 'z' })
    expect([several.status, several.json.error.param]).toEqual([400, 'provider_id'])
    expect(several.json.error.message).toContain('Please specify a provider_id. Available providers: groq, openai')
    const alone = { providers: [upstreamProvider('groq', upstream.url, { key: 'groq-key' })] }
    await using one = await modelServer(upstream, { parts: alone })
    expect((await one.register('alice', { model_id: 'z', provider_model_id: 'llama' })).json).toMatchObject({
      provider_id: 'groq',
    })
  })

  test.each([
    [{ model_id: 'x', provider_id: 'none' }, 'provider_id'],
    [{ model_id: 'x', provider_id: 'groq', model_type: 'embedding' }, 'metadata.embedding_dimension'],
    [{ model_id: 'x', provider_id: 'groq', provider_model_id: 'auto' }, 'provider_model_id'],
    [{ model_id: 'auto', provider_id: 'groq' }, 'provider_model_id'],
    [{ model_id: 'openai/x', provider_id: 'groq' }, 'model_id'],
    [{ model_id: 'groq/x', provider_id: 'groq', provider_model_id: 'y' }, 'model_id'],
    [{ model_id: 'a/../b', provider_id: 'groq' }, 'model_id'],
    [{ model_id: 'a/', provider_id: 'groq' }, 'model_id'],
    [{ model_id: '/a', provider_id: 'groq' }, 'model_id'],
    [{ model_id: '', provider_id: 'groq' }, 'model_id'],
    [{ model_id: 'a\0b', provider_id: 'groq' }, 'model_id'],
    [{ model_id: ' a', provider_id: 'groq' }, 'model_id'],
    [{ model_id: '\ud800', provider_id: 'groq' }, 'model_id'],
    [{ model_id: 'x', provider_id: 'groq', model_type: 'audio' }, 'model_type'],
    [{ provider_id: 'groq' }, 'model_id'],
  ])('[MOD-13] %j is refused with 400', async (body, param) => {
    await using server = await modelServer(upstream)
    const refused = await server.register('alice', body)
    expect([refused.status, refused.json.error.param]).toEqual([400, param])
    expect((await server.ids('alice')).length).toBe(5)
  })

  test('[MOD-13] what is too long is refused with 400', async () => {
    await using server = await modelServer(upstream)
    const long = [{ model_id: 'x'.repeat(257) }, { metadata: { text: 'x'.repeat(17_000) } }, { provider_model_id: 'x'.repeat(1_000) }]
    const responses = await Promise.all(long.map((over) => server.register('alice', { ...fast, ...over })))
    expect(responses.map(({ status, json }) => [status, json.error.param])).toEqual(
      ['model_id', 'metadata', 'provider_model_id'].map((param) => [400, param]),
    )
  })

  test('[MOD-14] the same again is the same; another of that name, one that is configured or listed, is a conflict', async () => {
    await using server = await modelServer(upstream, {
      parts: { models: [{ modelId: 'configured', providerId: 'groq', type: 'llm', metadata: {} }] },
    })
    const made = await server.register('alice', fast)
    expect((await server.register('alice', fast)).json).toEqual(made.json)
    for (const body of [
      { ...fast, provider_model_id: 'other' },
      { ...fast, metadata: {} },
      { ...fast, model_id: 'configured' },
      { ...fast, model_id: 'groq/llama' },
    ]) {
      const refused = await server.register('alice', { ...body, ...(body.model_id === 'groq/llama' && { provider_model_id: 'llama' }) })
      expect([refused.status, refused.json.error.code, refused.headers.get('x-should-retry')]).toEqual([409, 'already_exists', 'false'])
    }
    const taken = await server.register('mate', fast)
    expect([taken.status, taken.json.error.code]).toEqual([409, 'already_exists'])
    expect((await server.ask('alice', '/v1/models/fast')).json).toEqual(made.json)
  })

  test('registering and deleting are recorded in the audit log', async () => {
    await using server = await modelServer(upstream)
    await server.register('alice', fast)
    await server.ask('alice', '/v1/models/fast', { method: 'DELETE' })
    const changes = server.log.lines.filter(({ fields }) => fields['resource'] === 'model::fast')
    expect(changes.map(({ message, fields }) => [message, fields['by']])).toEqual([
      ['model.registered', 'alice'],
      ['model.deleted', 'alice'],
    ])
  })
})

for (const engine of engines) {
  describe(`on ${engine.name}`, () => {
    test('[MOD-15] every replica sees what another registers and deletes, and a restart keeps it', async () => {
      await using place = await engine.fresh()
      const { backend } = place
      await using one = await modelServer(upstream, { backend })
      {
        await using other = await modelServer(upstream, { backend })
        await one.register('alice', fast)
        await until(async () => (await other.ask('alice', '/v1/models/fast')).status === 200)
        expect((await other.chat('alice', 'fast')).status).toBe(200)
        expect((await other.ask('bob', '/v1/models/fast')).status).toBe(404)
        await other.ask('alice', '/v1/models/fast', { method: 'DELETE' })
        await until(async () => (await one.ask('alice', '/v1/models/fast')).status === 404)
        await other.register('alice', { ...fast, model_id: 'kept' })
      }
      await using again = await modelServer(upstream, { backend })
      expect((await again.ask('alice', '/v1/models/kept')).status).toBe(200)
    })
  })
}

describe('without its database', () => {
  test('[MOD-16] what is configured and listed goes on; what may depend on it is 503 with Retry-After', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'corral-models-'))
    await Bun.write(join(folder, 'corral.db'), 'this is no database, however long one looks at it')
    const parts = { models: [{ modelId: 'configured', providerId: 'groq', providerModelId: 'llama', type: 'llm' as const, metadata: {} }] }
    await using server = await modelServer(upstream, {
      backend: { engine: 'sqlite', path: join(folder, 'corral.db') },
      unasked: true,
      parts,
    })
    for (const model of ['groq/llama', 'llama', 'configured', 'groq/unlisted']) expect((await server.chat('alice', model)).status).toBe(200)
    expect(await server.ids('alice')).toEqual(['configured', 'groq/llama', 'groq/compound', 'groq/shared', 'openai/gpt', 'openai/shared'])
    for (const response of [
      await server.chat('alice', 'perhaps'),
      await server.register('alice', fast),
      await server.ask('alice', '/v1/models/perhaps', { method: 'DELETE' }),
    ]) {
      expect([response.status, response.json.error.code, Number(response.headers.get('retry-after')) > 0]).toEqual([
        503,
        'database_unavailable',
        true,
      ])
    }
    expect((await server.ask('alice', '/v1/models/groq/llama', { method: 'DELETE' })).status).toBe(403)
    await rm(folder, { recursive: true })
  })
})
