import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { notFound } from '../../src/errors.ts'
import { providerOf } from '../../src/testing/index.ts'
import type { MockUpstream } from '../../src/testing/index.ts'
import { modelServer, type ModelServer, upstreamOfModels } from './model-server.ts'

let upstream: MockUpstream
beforeAll(async () => {
  upstream = await upstreamOfModels()
})
afterAll(async () => {
  await upstream[Symbol.asyncDispose]()
})

/** The models among the labels of a metric. */
function modelsIn(server: ModelServer, metric: string): string[] {
  const { metrics } = server.services
  const at = metrics?.definitions.find(({ name }) => name === metric)?.labels.indexOf('gen_ai.request.model') ?? -1
  const points = metrics?.collect()[metric] ?? []
  return [...new Set(points.map(({ labels }) => labels[at] ?? ''))].toSorted()
}

const perRequest = 'gen_ai.server.request.duration'
const perCall = 'gen_ai.client.operation.duration'

describe('models that callers have registered', () => {
  test('[BND-4] never become labels, their targets do', async () => {
    await using server = await modelServer(upstream)
    await server.register('alice', { model_id: 'name-of-alice', provider_id: 'groq', provider_model_id: 'llama' })
    await server.register('bob', { model_id: 'name-of-bob', provider_id: 'openai', provider_model_id: 'gpt' })
    // One name, another target for each owner.
    await server.register('alice', { model_id: 'name-of-both', provider_id: 'groq', provider_model_id: 'shared' })
    await server.register('bob', { model_id: 'name-of-both', provider_id: 'openai', provider_model_id: 'shared' })
    expect((await server.chat('alice', 'name-of-alice')).status).toBe(200)
    expect((await server.chat('bob', 'name-of-bob')).status).toBe(200)
    for (const who of ['alice', 'bob', 'alice']) expect((await server.chat(who, 'name-of-both')).status).toBe(200)
    expect((await server.chat('bob', 'name-of-alice')).status).toBe(404)
    expect(modelsIn(server, perRequest)).toEqual(['groq/llama', 'groq/shared', 'openai/gpt', 'openai/shared', 'other'])
    expect(modelsIn(server, perCall)).toEqual(['gpt', 'llama', 'shared'])
    expect(JSON.stringify(server.services.metrics?.collect())).not.toContain('name-of')
  })

  test('[BND-4] a target that its provider does not list is `other`, and so is a name that is registered anew for another target', async () => {
    await using server = await modelServer(upstream)
    await server.register('alice', { model_id: 'mine', provider_id: 'groq', provider_model_id: 'of-no-listing' })
    await server.chat('alice', 'mine')
    expect(modelsIn(server, perRequest)).toEqual(['other'])
    expect(modelsIn(server, perCall)).toEqual(['other'])
    await server.ask('alice', '/v1/models/mine', { method: 'DELETE' })
    await server.register('alice', { model_id: 'mine', provider_id: 'openai', provider_model_id: 'gpt' })
    await server.chat('alice', 'mine')
    expect(modelsIn(server, perRequest)).toEqual(['openai/gpt', 'other'])
  })

  test('[BND-4] the target of a provider that lists nothing is a label', async () => {
    const unlisting = providerOf('silent', {
      invoke: { chat: () => Promise.reject(notFound('model', 'deployment-1')) },
      listModels: () => Promise.reject(new Error('it cannot list')),
    })
    await using server = await modelServer(upstream, { parts: { providers: [unlisting] } })
    await server.register('alice', { model_id: 'mine', provider_id: 'silent', provider_model_id: 'deployment-1' })
    await server.chat('alice', 'mine')
    expect(modelsIn(server, perRequest)).toEqual(['silent/deployment-1'])
  })
})
